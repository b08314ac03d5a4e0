"""The tables of a report: values with their intervals, each with a small drawing of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scizoo.evaluation.report.figures import shown, usable
from scizoo.evaluation.report.markup import Markup, tag

Section = Mapping[str, Any]
ROLES = {
    "pretrained": "pre-trained",
    "scratch": "from scratch",
    "baseline": "baseline",
    "floor": "floor",
    "ceiling": "real records",
}


def chip(role: str) -> Markup:
    """Name the role of a contender, in its colour."""
    return tag("span", ROLES.get(role, role), class_=f"chip {role if role in ROLES else ''}".strip())


def grid(
    header: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    label: str,
    words: Iterable[int] = (0,),
    classes: Sequence[str] = (),
) -> Markup:
    """Make a table that scrolls sideways inside of its own box where the screen is narrow.

    Parameters
    ----------
    header : sequence
    rows : iterable of sequence
        The first cell of each is its header.
    label : str
        What the table is, for those who cannot see it.
    words : iterable of int
        Columns of text; the others hold numbers and stand to the right.
    classes : sequence of str
        One for each row.
    """
    texts = set(words)
    table_rows = [list(row) for row in rows]
    drawings = {
        column
        for row in table_rows
        for column, cell in enumerate(row)
        if isinstance(cell, Markup) and cell.startswith("<svg")
    }

    def looks(column: int) -> str | None:
        return "plot" if column in drawings else None if column in texts else "number"

    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            (tag("td", cell, class_=looks(column)) for column, cell in enumerate(row[1:], start=1)),
            class_=(classes[place] or None) if classes else None,
        )
        for place, row in enumerate(table_rows)
    ]
    head = tag(
        "tr", (tag("th", cell, scope="col", class_=looks(column)) for column, cell in enumerate(header))
    )
    # Few columns stay near each other, so that the eye finds its way along a row.
    width = "small" if len(header) <= 4 and not drawings else None
    table = tag("table", tag("thead", head), tag("tbody", body), class_=width)
    return tag("div", table, class_="scroll", role="region", aria_label=label, tabindex=0)


def estimated(result: Section | None, digits: int = 3) -> Markup | str:
    """Write a value with its interval below."""
    if not result or not usable(result.get("value")):
        return tag("span", "–", title=(result or {}).get("reason"))
    value = tag("span", shown(result["value"], digits), class_="value")
    if not usable(result.get("low")) or not usable(result.get("high")):
        return value
    interval = f"{shown(result['low'], digits)} to {shown(result['high'], digits)}"
    return Markup(value + tag("span", interval, class_="interval"))


def whisker(
    result: Section | None, ends: tuple[float, float], *, zero: bool = False, role: str = ""
) -> Markup | str:
    """Draw a value and its interval on a scale that all rows of a table share.

    Parameters
    ----------
    result : mapping or None
        ``value``, ``low`` and ``high``.
    ends : tuple of float
        Of the scale.
    zero : bool
        Whether to mark zero.
    role : str
        Chooses the colour.
    """
    if not result or not usable(result.get("value")) or ends[1] <= ends[0]:
        return ""

    def place(value: float) -> str:
        return f"{4 + 92 * min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0]))):.2f}"

    parts = [tag("line", x1=4, x2=96, y1=8, y2=8, class_="scale")]
    if zero:
        parts.append(tag("line", x1=place(0), x2=place(0), y1=1, y2=15, class_="zero"))
    if usable(result.get("low")) and usable(result.get("high")):
        low, high = place(result["low"]), place(result["high"])
        parts.append(tag("line", x1=low, x2=high, y1=8, y2=8, class_="range"))
    parts.append(tag("circle", cx=place(result["value"]), cy=8, r=3.4))
    colour = role if role in ROLES else ""
    return tag("svg", parts, viewBox="0 0 100 16", class_=f"whisker {colour}".strip(), aria_hidden="true")


def ends_of(results: Iterable[Section | None], *, zero: bool = False) -> tuple[float, float]:
    """Give the ends of a scale that holds all values and intervals."""
    found = [
        float(result[name])
        for result in results
        if result
        for name in ("value", "low", "high")
        if usable(result.get(name))
    ]
    if zero:
        found.append(0.0)
    return (min(found), max(found)) if found else (0.0, 0.0)


def arrow(metric: Section) -> str:
    """Write a metric's title and which way is better."""
    title = str(metric.get("title") or metric.get("name"))
    return f"{title}\N{NO-BREAK SPACE}{'↓' if metric.get('direction') == 'lower' else '↑'}"


def heading(name: Any, role: str) -> Markup:
    """Name a contender together with its role."""
    return Markup(tag("span", name, class_="name") + " " + chip(role))


def results(section: Section) -> list[Markup]:
    """Make the table of results, and by label budget where there are several.

    Parameters
    ----------
    section : mapping
        ``table``.
    """
    rows, metrics = list(section.get("rows") or []), list(section.get("metrics") or [])
    if not rows or not metrics:
        return []
    budgets = sorted({row["labels"] for row in rows if row.get("labels") is not None})
    most = budgets[-1] if budgets else None
    here = [row for row in rows if row.get("labels") == most]
    found: list[Markup] = []
    if len(budgets) > 1:
        found.append(tag("h3", f"With all metrics, at {most:,} labels"))
    found.append(_by_metric(here, metrics))
    if len(budgets) > 1:
        found.append(tag("h3", f"{metrics[0].get('title')} by training labels"))
        found.append(_by_budget(rows, metrics[0], budgets))
    if section.get("caption"):
        found.append(tag("p", section["caption"], class_="caption"))
    return found


def _by_metric(rows: Sequence[Section], metrics: Sequence[Section]) -> Markup:
    first = metrics[0]["name"]
    # A floor far below would press all others together; it then stands at the end of the scale.
    ends = ends_of(row["scores"].get(first) for row in rows if row.get("role") not in ("floor", "ceiling"))
    extras = list(dict.fromkeys(name for row in rows for name in row.get("extra") or {}))
    cells = [
        [
            heading(row["name"], str(row.get("role"))),
            estimated(row["scores"].get(first)),
            whisker(row["scores"].get(first), ends, role=str(row.get("role"))),
            *(estimated(row["scores"].get(metric["name"])) for metric in metrics[1:]),
            *((row.get("extra") or {}).get(name, "") for name in extras),
        ]
        for row in rows
    ]
    scale = tag(
        "span",
        tag("span", shown(ends[0], 2)),
        tag("span", shown(ends[1], 2)),
        class_="ends",
        aria_hidden="true",
    )
    header = ["model", arrow(metrics[0]), scale, *map(arrow, metrics[1:]), *extras]
    return grid(header, cells, label="Results on the test part")


def _by_budget(rows: Sequence[Section], metric: Section, budgets: Sequence[int]) -> Markup:
    lines: dict[tuple[str, str], dict[int, Section]] = {}
    for row in rows:
        if row.get("labels") is not None and metric["name"] in row["scores"]:
            line = lines.setdefault((row["name"], str(row.get("role"))), {})
            line[row["labels"]] = row["scores"][metric["name"]]
    cells = [
        [heading(*names), *(estimated(line.get(labels)) for labels in budgets)]
        for names, line in lines.items()
    ]
    header = [arrow(metric), *(f"{labels:,}" for labels in budgets)]
    return grid(header, cells, label=f"{metric.get('title')} by training labels")


def comparisons(rows: Sequence[Section], metric: Section) -> Markup:
    """Make the table of differences: each pre-trained contender against its rivals, most labels first."""
    rows = sorted(rows, key=lambda row: -(row.get("labels") or 0))
    scores = [
        {"value": row.get("difference"), "low": row.get("low"), "high": row.get("high")} for row in rows
    ]
    ends = ends_of(scores, zero=True)
    cells = []
    for row, score in zip(rows, scores, strict=True):
        rivals = [
            tag("span", row["first"], class_="name"),
            tag("span", f"against {row['second']}", class_="interval"),
        ]
        labels = "–" if row.get("labels") is None else f"{row['labels']:,}"
        adjusted = row.get("adjusted_p_value", row.get("p_value"))
        cells.append(
            [
                Markup("".join(rivals)),
                labels,
                estimated(score),
                whisker(
                    score, ends, zero=True, role="pretrained" if _better(score) else str(row.get("role"))
                ),
                probability(adjusted),
            ]
        )
    header = ["contenders", "labels", f"Δ {metric.get('title') or ''}".strip(), "", "adjusted p"]
    return grid(header, cells, label="Differences between contenders")


def _better(score: Section) -> bool:
    return usable(score.get("value")) and score["value"] > 0


def probability(p: Any) -> str:
    """Write a p-value; the tiny ones only as such."""
    return "< 0.001" if usable(p) and p < 0.001 else shown(p)


def counted(number: Any, word: str) -> str:
    """Write a count and what is counted: ``1 group``, ``97 groups``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}" if usable(number) else f"– {word}s"


def facts(pairs: Iterable[tuple[Any, Any]]) -> Markup:
    """Make a list of terms and what they are; what is missing is left out."""
    entries = [
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in pairs
        if value is not None and value != "" and value != []
    ]
    return tag("dl", entries, class_="facts") if entries else Markup("")


def plainly(value: Any) -> Any:
    """Write any plain value in words, for what this page has no own form for."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return shown(value)
    if isinstance(value, Mapping):
        if {"value", "low", "high"} <= set(value):
            return estimated(value)
        return facts((str(name).replace("_", " "), plainly(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, Mapping) for one in value):
            names = list(dict.fromkeys(name for one in value for name in one))
            rows = [[plainly(one.get(name)) for name in names] for one in value]
            return grid(
                [name.replace("_", " ") for name in names], rows, label="Table", words=range(len(names))
            )
        if all(isinstance(one, str | int | float) or one is None for one in value):
            return ", ".join(str(plainly(one)) for one in value)
        return tag("ul", (tag("li", plainly(one)) for one in value))
    return str(value)
