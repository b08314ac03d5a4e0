"""report.html and report.json from the content of a report, which :file:`schema.json` describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from scizoo.evaluation.plain import plain
from scizoo.evaluation.report import tables
from scizoo.evaluation.report.audits import verdict_mark
from scizoo.evaluation.report.figures import shown, usable
from scizoo.evaluation.report.markup import Markup, tag
from scizoo.evaluation.report.sections import parts
from scizoo.files import write_json, write_text

_OUTCOMES = {
    "pretrained": ("pre-training is worth using", "good"),
    "mixed": ("it depends on the number of labels", "open"),
    "undecided": ("no evidence either way", "open"),
    "scratch": ("no better than from scratch", "bad"),
    "baseline": ("the baseline wins", "bad"),
}


def schema() -> dict[str, Any]:
    """Read the JSON schema of report.json (draft 2020-12)."""
    found: dict[str, Any] = json.loads(_resource("schema.json"))
    return found


def write_report(run_dir: str | Path, content: Mapping[str, Any]) -> Path:
    """Write ``report.json`` and ``report.html`` into a run directory, each whole or not at all.

    Parameters
    ----------
    run_dir : path
    content : mapping
        As :file:`schema.json` describes it; estimates and arrays may still be objects, and numbers that are
        not finite become null.

    Returns
    -------
    Path
        Of report.html.
    """
    values = cleaned(content)
    page = render(values)
    write_json(Path(run_dir) / "report.json", values)
    return write_text(Path(run_dir) / "report.html", page)


def cleaned(content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the content as JSON can hold it: plain values, no number that is not finite, sound Unicode."""
    # A name read from a damaged file may hold half a character, which no file can be written with.
    text = json.dumps(plain(dict(content)), ensure_ascii=False, allow_nan=False)
    found: dict[str, Any] = json.loads(text.encode("utf-8", "replace"))
    return found


def render(content: Mapping[str, Any]) -> str:
    """Make the page: one file without scripts that loads nothing from anywhere.

    Parameters
    ----------
    content : mapping
        Sections that are missing or None are left out.

    Returns
    -------
    str
        HTML.
    """
    content = cleaned(content)
    made = parts(content)
    body = [
        tag(
            "section",
            tag("h2", part.title),
            tag("p", part.lead, class_="lead") if part.lead else None,
            part.body,
            id=part.key,
            class_="part",
        )
        for part in made
    ]
    links = tag("nav", (tag("a", part.title, href=f"#{part.key}") for part in made), aria_label="Sections")
    task = content.get("task") or {}
    return Template(_resource("page.html")).substitute(
        title=tag("title", f"{task.get('name') or 'report'}: {content.get('verb') or 'report'}"),
        style=_resource("style.css"),
        header=_header(content),
        nav=links if len(made) > 2 else "",
        body="\n".join(body),
        footer=_footer(content),
    )


def _resource(name: str) -> str:
    return files("scizoo.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _header(content: Mapping[str, Any]) -> Markup:
    """Make what one reads first: the verdict, what it rests on, and what must not be overlooked."""
    task, verdict = content.get("task") or {}, content.get("verdict") or {}
    trail = tag(
        "p",
        tag("span", task.get("name") or "report", class_="task"),
        tag("span", content.get("verb")),
        class_="trail",
    )
    mark = _OUTCOMES.get(str(verdict.get("outcome")))
    found = [
        trail,
        tag("p", verdict_mark(*mark), class_="outcome") if mark else None,
        tag("h1", verdict.get("sentence") or _summary(content)),
    ]
    second = verdict.get("versus_scratch")
    if second:
        found.append(tag("p", second, class_="second"))
    evidence = [tag("li", tables.plainly(one)) for one in verdict.get("evidence") or [] if one != second]
    if evidence:
        listed = tag("ul", evidence, class_="evidence")
        words = tag("summary", f"The evidence: {tables.counted(len(evidence), 'comparison')}")
        found.append(listed if len(evidence) <= 3 else tag("details", words, listed, class_="printed"))
    if task.get("summary"):
        found.append(tag("p", task["summary"], class_="lead"))
    found.append(_rests_on(content))
    found += _warnings(content)
    return tag("header", found)


def _summary(content: Mapping[str, Any]) -> str:
    """Say the main result where there is nothing to compare, as of a single checkpoint."""
    table = content.get("table") or {}
    rows, metrics = table.get("rows") or [], table.get("metrics") or []
    name = str((content.get("main") or {}).get("name") or (content.get("task") or {}).get("name") or "Report")
    found = next((row for row in rows if row["name"] == name), rows[0] if rows else None)
    score = (found or {}).get("scores", {}).get(metrics[0]["name"]) if metrics else None
    if not score or not usable(score.get("value")):
        return name
    words = f"{found['name'] if found else name} reaches {shown(score['value'])} {metrics[0].get('title')}"
    if usable(score.get("low")) and usable(score.get("high")):
        words += f" [{shown(score['low'])}, {shown(score['high'])}]"
    return words + (f" on {score['records']:,} records." if score.get("records") else ".")


def _rests_on(content: Mapping[str, Any]) -> Markup:
    data, task = content.get("data") or {}, content.get("task") or {}
    metric = task.get("metric") or {}
    judged = {name: part for name, part in (data.get("parts") or {}).items() if usable(part.get("records"))}
    most = judged.get("test") or (next(iter(judged.values())) if len(judged) == 1 else {})
    groups = f" in {tables.counted(most['groups'], 'group')}" if usable(most.get("groups")) else ""
    seeds = (content.get("reproduce") or {}).get("seeds") or []
    return tables.facts(
        [
            (
                "judged on",
                tables.counted(most["records"], "test record" if "test" in judged else "record") + groups
                if most
                else None,
            ),
            ("by", tables.arrow(metric) if metric else None),
            ("data", data.get("name")),
            ("seeds", str(len(seeds)) if seeds else None),
        ]
    )


def _warnings(content: Mapping[str, Any]) -> list[Markup]:
    found = []
    leakage, failed = content.get("leakage") or {}, content.get("failed") or []
    if content.get("disclaimer"):
        found.append(tag("p", content["disclaimer"], class_="notice", role="note"))
    if leakage.get("passed") is False:
        link = tag("a", "leakage audit", href="#leakage")
        found.append(
            tag("p", "The test part is not clean: see the ", link, ".", class_="notice bad", role="note")
        )
    if failed:
        lines = (tag("li", tag("b", one.get("name")), f": {one.get('problem')}") for one in failed)
        words = tag("p", f"{len(failed)} of the runs failed and are missing here.")
        found.append(tag("div", words, tag("ul", lines), class_="notice bad", role="note"))
    return found


def _footer(content: Mapping[str, Any]) -> Markup:
    version = ((content.get("reproduce") or {}).get("versions") or {}).get("scizoo")
    return tag(
        "footer",
        tag("p", f"Made by scizoo {version or ''}".strip(), ". This page loads nothing from elsewhere."),
    )
