"""The later sections of the page: single mistakes, cost, tuning, data, and how to reproduce."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from scizoo.evaluation.cost import duration
from scizoo.evaluation.report import tables
from scizoo.evaluation.report.figures import shown, usable
from scizoo.evaluation.report.markup import Markup, tag
from scizoo.evaluation.report.media import players

Content = Mapping[str, Any]
_MOST_SHOWN = 6  # values of a target, beyond which only the first and the last are written
_PICTURE = re.compile(r"data:image/(png|jpeg|webp|svg\+xml);base64,[A-Za-z0-9+/]+=*")


@dataclass(frozen=True)
class Part:
    """A section of the page.

    Parameters
    ----------
    key : str
        Its anchor.
    title : str
    lead : str or Markup
        One or two sentences that say how to read it.
    body : Markup
    """

    key: str
    title: str
    lead: str | Markup
    body: Markup


def judged(section: Content) -> str:
    """Say which contender a section is about."""
    facts = []
    if section.get("labels") is not None:
        facts.append(tables.counted(section["labels"], "label"))
    if section.get("seed") is not None:
        facts.append(f"seed {section['seed']}")
    return str(section.get("name") or "the model") + (f" ({', '.join(facts)})" if facts else "")


def mistakes(content: Content) -> Part | None:
    """Show the worst mistakes, each with the domain's own picture of it."""
    found = list(content.get("mistakes") or [])
    if not found:
        return None
    main = content.get("main") or {}
    cards = []
    for one in found:
        picture = str(one.get("picture") or "")
        image = None
        if _PICTURE.fullmatch(picture):  # nothing else may be loaded
            words = (
                f"Record {one['id']}: true {_said(one.get('true'))}, predicted {_said(one.get('predicted'))}"
            )
            image = tag("img", src=picture, alt=words)
        pairs = [
            ("true", _said(one.get("true"))),
            ("predicted", _said(one.get("predicted"))),
            ("confidence", f"{one['confidence']:.1%}" if usable(one.get("confidence")) else None),
            (
                "given to the truth",
                f"{one['probability_of_true']:.1%}" if usable(one.get("probability_of_true")) else None,
            ),
            ("error", _said(one["error"]) if "error" in one else None),
            ("Dice", shown(one["dice"]) if usable(one.get("dice")) else None),
            ("scaled error", shown(one["scaled_error"]) if usable(one.get("scaled_error")) else None),
            ("group", tag("bdi", one["group"]) if one.get("group") not in (None, one["id"]) else None),
            *((str(name), tables.plainly(value)) for name, value in (one.get("meta") or {}).items()),
        ]
        if "answers" in one:
            cards.append(_search(one, image))
            continue
        sounds = players(one.get("media"), f"Record {one['id']}")
        cards.append(tag("article", tag("h3", tag("bdi", one["id"])), image, sounds, tables.facts(pairs)))
    if any("answers" in one for one in found):
        lead = f"The test records for which {judged(main)} put most documents before the right one."
        return Part("mistakes", "Worst searches", lead, tag("div", cards, class_="cards"))
    lead = f"The test records on which {judged(main)} was wrong with the most confidence." if main else ""
    if any("dice" in one for one in found):
        lead = f"The test records with the lowest overlap of {judged(main)}: truth dashed, prediction solid."
    if any(one.get("explained") is not None for one in found):
        lead += (
            " Colours are integrated gradients of the class, label or value named below each picture: red "
            "raised it, blue lowered it. They show what the network used, not what is true of the world."
        )
    return Part("mistakes", "Worst mistakes", lead, tag("div", cards, class_="cards"))


def _search(one: Content, image: Markup | None) -> Markup:
    """Show one search: the query, its document and where that stood, and what stood first."""

    def text(words: Any, name: str) -> Any:
        return tag("bdi", name) if words is None else tag("pre", tag("code", tag("bdi", words)))

    pairs = [
        ("query", None if one.get("query") is None else text(one["query"], "")),
        ("right document", text(one.get("true"), str(one["id"]))),
        ("its rank", f"{shown(one['rank'])} of {one['candidates']:,}"),
        *(
            (f"found {place}.", text(answer.get("text"), str(answer.get("id"))))
            for place, answer in enumerate(one["answers"], start=1)
        ),
        ("group", tag("bdi", one["group"]) if one.get("group") not in (None, one["id"]) else None),
        *((str(name), tables.plainly(value)) for name, value in (one.get("meta") or {}).items()),
    ]
    return tag("article", tag("h3", tag("bdi", one["id"])), image, tables.facts(pairs))


def samples(content: Content) -> Part | None:
    """Show the first records that the main contender wrote."""
    section = content.get("samples")
    if not section or not section.get("shown"):
        return None
    cards = []
    for one in section["shown"]:
        picture = str(one.get("picture") or "")
        image = None
        if _PICTURE.fullmatch(picture):  # nothing else may be loaded
            image = tag("img", src=picture, alt=f"Record {one['id']} as its domain draws it")
        words = tag("code", tag("bdi", one["text"])) if one.get("text") is not None else "no record"
        text = tag("pre" if "\n" in (one.get("text") or "") else "p", words)
        if one.get("listing") and image is not None:  # what a picture says better
            text = tag("details", tag("summary", "As text"), text)
        pairs = [
            ("log-likelihood per token", _said(one.get("log_likelihood_per_token"))),
            ("ended by itself", None if one.get("finished") is not False else "no"),
            *((name.replace("_", " "), _said(value)) for name, value in (one.get("figures") or {}).items()),
        ]
        name = tag("h3", tag("bdi", one["id"]))
        sounds = players(one.get("media"), f"Record {one['id']}")
        cards.append(tag("article", name, image, sounds, text, tables.facts(pairs)))
    count = tables.counted(section.get("count"), "record")
    lead = f"The first of {count} that {section['name']} wrote, as they were drawn; samples.csv holds all."
    return Part("samples", "Generated records", lead, tag("div", cards, class_="cards"))


def _said(value: Any) -> str:
    if isinstance(value, Mapping):  # a forecast: its median
        return _said(value.get("median"))
    if isinstance(value, list) and len(value) > _MOST_SHOWN:
        return f"{_said(value[:3])}, …, {_said(value[-1])} ({len(value)} steps)"
    if isinstance(value, list):
        return ", ".join(_said(one) for one in value)
    return shown(value) if value is None or isinstance(value, int | float) else str(value)


def _amount(value: Any) -> str:
    if not usable(value):
        return "–"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}"


def cost(content: Content) -> Part | None:
    """Say what each contender cost."""
    rows = list(content.get("cost") or [])
    if not rows:
        return None
    most = max(row.get("labels") or 0 for row in rows)
    rest = [row for row in rows if (row.get("labels") or 0) < most]
    body = _cost_table([row for row in rows if (row.get("labels") or 0) == most])
    if rest:
        body = Markup(body + tag("details", tag("summary", "With fewer labels"), _cost_table(rest)))
    assumptions = list(dict.fromkeys(str(row["assumption"]) for row in rows if row.get("assumption")))
    body = Markup(body + Markup("").join(tag("p", words, class_="caption") for words in assumptions))
    lead = (
        "Means over seeds, of one training as tuned and its predictions. "
        "The tuning comes on top: that many trials."
    )
    return Part("cost", "Cost", lead, body)


def _cost_table(rows: Sequence[Content]) -> Markup:
    cells = [
        [
            tables.heading(row["name"], str(row.get("role"))),
            "–" if row.get("labels") is None else f"{row['labels']:,}",
            duration(row["seconds"]) if usable(row.get("seconds")) else "–",
            f"{shown(row.get('energy'), 2)} Wh" if usable(row.get("energy")) else "–",
            f"{row['peak_memory'] / 1e9:.2f} GB" if usable(row.get("peak_memory")) else "–",
            _amount(row.get("parameters")),
            _amount(row.get("trained_parameters")),
            _amount(row.get("steps")),
            _amount(row.get("trials")),
        ]
        for row in sorted(rows, key=lambda row: -(row.get("labels") or 0))
    ]
    header = ["model", "labels", "time", "energy", "memory", "parameters", "trained", "steps", "trials"]
    return tables.grid(header, cells, label="Cost")


def tuning(content: Content) -> Part | None:
    """Say what was tried and chosen, and that all had the same budget."""
    section = content.get("tuning") or {}
    rows = list(section.get("contenders") or [])
    if not rows:
        return None
    cells = []
    for row in rows:
        settings = ", ".join(
            f"{name} {tables.plainly(value)}" for name, value in (row.get("settings") or {}).items()
        )
        labels = "–" if row.get("labels") is None else f"{row['labels']:,}"
        cells.append(
            [
                row["name"],
                labels,
                f"{len(row.get('trials') or [])}",
                settings or "as configured",
                row.get("note"),
            ]
        )
    table = tables.grid(
        ["model", "labels", "trials", "chosen", "note"], cells, label="Tuning", words=(0, 3, 4)
    )
    trials = section.get("trials")
    lead = (
        f"Every contender had the same budget: {tables.counted(trials, 'trial')} at each number of labels, "
        if usable(trials)
        else ""
    )
    lead += "judged on the validation part alone."
    return Part(
        "tuning",
        "Tuning",
        lead[0].upper() + lead[1:],
        tag("details", tag("summary", "What was chosen"), table),
    )


def data(content: Content) -> Part | None:
    """Say what was judged and how it was split."""
    section = content.get("data")
    if not section:
        return None
    parts = section.get("parts") or {}
    body = Markup("")
    if parts:
        rows = [
            [name, *(f"{part[key]:,}" if usable(part.get(key)) else "–" for key in ("records", "groups"))]
            for name, part in parts.items()
        ]
        body = tables.grid(["part", "records", "groups"], rows, label="Parts of the split")
    rejected = section.get("rejected")
    pairs = [
        ("data", section.get("name")),
        ("split", section.get("split")),
        ("licence", section.get("licence")),
        ("citation", section.get("citation")),
        ("rejected records", f"{rejected:,}" if usable(rejected) else None),
        ("fingerprint", tag("code", section["fingerprint"]) if section.get("fingerprint") else None),
    ]
    return Part("data", "Data", "What was judged, and how it was split.", Markup(tables.facts(pairs) + body))


def reproduce(content: Content) -> Part | None:
    """Give the command, seeds, versions and config."""
    section = content.get("reproduce")
    if not section:
        return None
    body = []
    if section.get("command"):
        body.append(tag("pre", tag("code", section["command"]), class_="command"))
    seeds = ", ".join(str(seed) for seed in section.get("seeds") or [])
    body.append(tables.facts([("seeds", seeds), ("machine", section.get("machine"))]))
    versions = section.get("versions") or {}
    if versions:
        body.append(tables.facts((name, tag("code", version)) for name, version in versions.items()))
    if section.get("config"):
        words = yaml.safe_dump(section["config"], sort_keys=False, allow_unicode=True, width=96)
        body.append(
            tag("details", tag("summary", "The resolved config"), tag("pre", tag("code", words), tabindex=0))
        )
    lead = (
        "The command, seeds and versions that made this page; report.json beside it holds the same content."
    )
    return Part("reproduce", "How to reproduce", lead, Markup("".join(body)))
