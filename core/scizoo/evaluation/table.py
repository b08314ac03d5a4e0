"""The one table of results, in the terminal and in Markdown: each value with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scizoo.evaluation.intervals import Estimate
from scizoo.evaluation.metrics import Metric, get_metric

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One contender.

    Parameters
    ----------
    name : str
        As people read it: "dna-tiny with LoRA".
    scores : mapping of str to Estimate
        By metric name; a missing one is shown as a dash.
    labels : int, optional
        The label budget.
    role : str
        ``"pretrained"``, ``"scratch"``, ``"baseline"`` or ``"floor"``.
    extra : mapping of str to str
        Further cells, such as the time.
    """

    name: str
    scores: Mapping[str, Estimate]
    labels: int | None = None
    role: str = "pretrained"
    extra: Mapping[str, str] = field(default_factory=dict)


def number(value: float, digits: int = 3) -> str:
    """Write a number with a fixed count of decimals, or of significant digits when large or tiny."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif 0 < size < 10**-digits:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{digits}f}"
    return text.replace("-", "−")


def with_interval(result: Estimate, digits: int = 3) -> str:
    """Write a value and its interval: ``0.812 [0.790, 0.833]``."""
    if math.isnan(result.value):
        return "–"
    if math.isnan(result.low):
        return number(result.value, digits)
    return f"{number(result.value, digits)} [{number(result.low, digits)}, {number(result.high, digits)}]"


def _header(metric: Metric) -> str:
    return f"{metric.title} {'↑' if metric.direction == 'higher' else '↓'}"


def _cells(
    rows: Sequence[Row], metrics: Sequence[str | Metric], digits: int
) -> tuple[list[str], list[list[str]]]:
    found = [get_metric(metric) for metric in metrics]
    budgets = any(row.labels is not None for row in rows)
    extras = list(dict.fromkeys(name for row in rows for name in row.extra))
    header = ["model", *(["labels"] if budgets else []), *map(_header, found), *extras]
    body = []
    for row in rows:
        cells = [row.name]
        if budgets:
            cells.append("–" if row.labels is None else f"{row.labels:,}")
        for metric in found:
            result = row.scores.get(metric.name)
            cells.append("–" if result is None else with_interval(result, digits))
        body.append(cells + [row.extra.get(name, "") for name in extras])
    return header, body


def rich_table(
    rows: Sequence[Row], metrics: Sequence[str | Metric], *, title: str | None = None, digits: int = 3
) -> Table:
    """Make the table for the terminal.

    Parameters
    ----------
    rows : sequence of Row
    metrics : sequence of str or Metric
        The columns, in order.
    title : str, optional
    digits : int
        Decimals.

    Returns
    -------
    rich.table.Table
    """
    from rich.table import Table
    from rich.text import Text

    header, body = _cells(rows, metrics, digits)
    table = Table(title=title, title_justify="left", caption=_caption(rows), caption_justify="left")
    for place, name in enumerate(header):
        table.add_column(Text(name), justify="left" if place == 0 else "right", overflow="fold")
    for row, cells in zip(rows, body, strict=True):
        # Text, not markup: [0.790, 0.833] must not be read as a style.
        table.add_row(*map(Text, cells), style="bold" if row.role == "pretrained" else "")
    return table


def markdown_table(rows: Sequence[Row], metrics: Sequence[str | Metric], *, digits: int = 3) -> str:
    """Make the table for a card or a log.

    Returns
    -------
    str
        Markdown, with the caption below; a bar inside a name is escaped.
    """
    header, body = _cells(rows, metrics, digits)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    caption = _caption(rows)
    return f"{text}\n\n{caption}\n" if caption else f"{text}\n"


def _caption(rows: Sequence[Row]) -> str | None:
    results = [result for row in rows for result in row.scores.values()]
    intervals = [result for result in results if not math.isnan(result.low)]
    reasons = list(dict.fromkeys(r.reason for r in results if r.reason))
    parts = []
    if intervals:
        one = intervals[0]
        over = "groups" if one.groups < one.records else "records"
        seeds = max(result.seeds for result in intervals)
        drawn = f"{over} and seeds" if seeds > 1 else over
        parts.append(
            f"[{one.level:.0%} interval], bootstrap over {drawn}; {one.records:,} test records"
            + (f" in {one.groups:,} groups" if over == "groups" else "")
            + (f", {seeds} seeds." if seeds > 1 else ".")
        )
    parts += [f"–: {reason}." for reason in reasons]
    return " ".join(parts) or None


def table_section(rows: Sequence[Row], metrics: Sequence[str | Metric]) -> dict[str, Any]:
    """Give the table as the ``table`` section of report.json."""
    found = [get_metric(metric) for metric in metrics]
    return {
        "metrics": [{"name": m.name, "title": m.title, "direction": m.direction} for m in found],
        "rows": [
            {
                "name": row.name,
                "role": row.role,
                "labels": row.labels,
                "scores": {m.name: row.scores[m.name].to_dict() for m in found if m.name in row.scores},
                "extra": dict(row.extra),
            }
            for row in rows
        ],
        "caption": _caption(rows),
    }
