"""The audits on the page: leakage between the parts, and results by subgroup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scizoo.evaluation.report import tables
from scizoo.evaluation.report.figures import shown, usable
from scizoo.evaluation.report.markup import Markup, tag

Section = Mapping[str, Any]


def verdict_mark(words: str, look: str) -> Markup:
    """Write a judgement in a word; ``look`` is good, bad or open, told by a sign as well as by colour."""
    sign = {"good": "✓", "bad": "✕", "open": "○"}[look]
    return tag("span", tag("span", sign, aria_hidden="true"), f" {words}", class_=f"mark {look}")


def leakage(section: Section) -> Markup:
    """Make the leakage audit.

    Parameters
    ----------
    section : mapping
        ``passed`` and ``checks``, each with ``title`` (or ``name``), ``count``, ``of``, ``tolerance``,
        ``passed``, ``allowed``, ``note`` and ``examples``. Other keys are written below as they are.
    """
    checks: Sequence[Section] = section.get("checks") or []
    rows, shown_examples = [], []
    for check in checks:
        title = str(check.get("title") or check.get("name"))
        rows.append(
            [
                title,
                _mark(check),
                _counted(check),
                _tolerance(check),
                check.get("note") or check.get("reason") or "",
            ]
        )
        if check.get("examples"):
            examples = tag("ul", (tag("li", _example(one)) for one in check["examples"]))
            shown_examples.append(
                tag("details", tag("summary", f"{title}: examples"), examples, class_="printed")
            )
    body = []
    if section.get("passed") is not None:
        good = bool(section["passed"])
        words = (
            "No leak beyond the tolerances."
            if good
            else "This split leaks: read every figure with that in mind."
        )
        body.append(
            tag("p", verdict_mark("passed" if good else "failed", "good" if good else "bad"), " ", words)
        )
    if rows:
        header = ["check", "", "found", "tolerated", "note"]
        body.append(tables.grid(header, rows, label="Leakage audit", words=(0, 1, 4)))
    body += shown_examples
    body.append(_rest(section, {"passed", "checks"}))
    return Markup("".join(body))


def _mark(check: Section) -> Markup:
    if check.get("passed") is None:
        return verdict_mark("not measured", "open")
    if not check.get("judged", True) and check.get("count"):  # "passed" would sound as if nothing was found
        return verdict_mark("reported only", "open")
    if check["passed"]:
        return verdict_mark("passed", "good")
    return verdict_mark("allowed by name", "open") if check.get("allowed") else verdict_mark("leaks", "bad")


def _counted(check: Section) -> str:
    count, total = check.get("count"), check.get("of", check.get("records"))
    if not usable(count):
        return "–"
    words = f"{count:,}"
    return f"{words} of {total:,} ({count / total:.2%})" if usable(total) and total else words


def _tolerance(check: Section) -> str:
    tolerance = check.get("tolerance")
    if not usable(tolerance):
        return "–"
    return f"{tolerance:.2%}" if isinstance(tolerance, float) else f"{tolerance:,}"


def _example(one: Any) -> Any:
    if isinstance(one, Mapping):
        return ", ".join(
            f"{str(name).replace('_', ' ')} {tables.plainly(value)}" for name, value in one.items()
        )
    if isinstance(one, list | tuple):
        return " ~ ".join(str(tables.plainly(value)) for value in one)
    return tables.plainly(one)


def _rest(section: Section, known: set[str]) -> Markup:
    """Write what this page has no own form for, so that nothing of the content is lost."""
    return tables.facts(
        (str(name).replace("_", " "), tables.plainly(value))
        for name, value in section.items()
        if name not in known and value is not None
    )


def subgroups(section: Section | Sequence[Section]) -> Markup:
    """Make one table for each column by which the records were told apart.

    Parameters
    ----------
    section : mapping or sequence
        ``finding`` in one sentence, and ``columns`` (or just them): each with ``column``, ``metric``,
        ``rows`` and, where it was tested, ``gap``. Rows hold ``name``, ``records``, ``groups``, ``score``,
        ``calibration`` and ``coverage`` as estimates, ``too_small`` and ``reason``. The gap holds ``first``,
        ``second``, ``difference``, ``low``, ``high``, ``p_value`` and ``adjusted_p_value``.
    """
    whole: Section = section if isinstance(section, Mapping) else {"columns": section}
    body = [tag("p", whole["finding"])] if whole.get("finding") else []
    for one in whole.get("columns") or []:
        body += [tag("h3", f"By {one.get('column')}"), _by_column(one), _gap(one.get("gap"))]
    body.append(_rest(whole, {"finding", "columns"}))
    return Markup("".join(body))


def _by_column(one: Section) -> Markup:
    rows = list(one.get("rows") or [])
    metric = one.get("metric") or {}
    title = tables.arrow(metric) if isinstance(metric, Mapping) and metric else str(metric or "score")
    extras = [
        (key, words)
        for key, words in (
            ("calibration", "calibration error\N{NO-BREAK SPACE}↓"),
            ("coverage", "conformal coverage"),
        )
        if any(row.get(key) for row in rows)
    ]
    ends = tables.ends_of(row.get("score") for row in rows if not row.get("too_small"))
    cells, classes = [], []
    for row in rows:
        small = bool(row.get("too_small"))
        size = tables.counted(row.get("records"), "record")
        if usable(row.get("groups")):
            size += f" in {tables.counted(row['groups'], 'group')}"
        score: Any = tables.estimated(row.get("score"))
        if small:
            reason = tag("span", row["reason"], class_="interval") if row.get("reason") else ""
            score = Markup(tag("span", "too small to judge") + reason)
        cells.append(
            [
                Markup(tag("span", row.get("name"), class_="name") + tag("span", size, class_="interval")),
                score,
                "" if small else tables.whisker(row.get("score"), ends, role="pretrained"),
                *("" if small else tables.estimated(row.get(key)) for key, _ in extras),
            ]
        )
        classes.append("faint" if small else "")
    header = [one.get("column"), title, "", *(words for _, words in extras)]
    return tables.grid(header, cells, label=f"Results by {one.get('column')}", classes=classes)


def _gap(gap: Section | None) -> Markup:
    if not gap:
        return Markup("")
    p = gap.get("adjusted_p_value", gap.get("p_value"))
    bounds = [float(gap[name]) for name in ("low", "high") if usable(gap.get(name))]
    interval = f" [{shown(bounds[0])}, {shown(bounds[1])}]" if len(bounds) == 2 else ""
    apart = len(bounds) < 2 or bounds[0] > 0 or bounds[1] < 0
    found = usable(p) and p < 0.05 and apart
    words = (
        f"Worst gap: {gap.get('first')} against {gap.get('second')}, "
        f"{shown(gap.get('difference'))}{interval}, adjusted p {tables.probability(p)}. "
    )
    words += "It is more than chance." if found else "No evidence that it is more than chance."
    return tag("p", words, class_="caption")
