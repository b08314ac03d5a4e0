"""The figures of a report, each made from its section of the content alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard

import numpy as np

from scizoo.evaluation.report.markup import Markup, tag
from scizoo.evaluation.report.svg import (
    INK,
    MUTED,
    SERIES,
    VARIABLES,
    canvas,
    inline_svg,
    page_style,
)
from scizoo.evaluation.table import number

Section = Mapping[str, Any]
#: Told apart by colour-blind readers (Okabe and Ito 2008), and by marker and dashes without any colour.
_PALETTES = {
    "pretrained": ((0, "o", "-"), (2, "s", "-"), (4, "D", "-"), (5, "^", "-"), (7, "P", "-")),
    "scratch": ((6, "v", "--"), (6, "<", "--"), (6, ">", "--")),
    "baseline": ((3, "X", "-."), (1, "p", "-."), (5, "h", "-."), (7, "d", "-."), (4, "*", "-.")),
    "floor": ((6, "_", ":"),),
}


@dataclass(frozen=True)
class Key:
    """One entry of a legend, which stands beside the figure as text of the page.

    Parameters
    ----------
    name : str
    swatch : Markup
        A small drawing of the line or marker.
    """

    name: str
    swatch: Markup


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Parameters
    ----------
    name : str
        Unique on the page.
    svg : Markup
    caption : str
    keys : tuple of Key
        Its legend.
    """

    name: str
    svg: Markup
    caption: str
    keys: tuple[Key, ...] = ()


def usable(value: Any) -> TypeGuard[float]:
    """Say whether a value of the content is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def shown(value: Any, digits: int = 3) -> str:
    """Write a number of the content, which may be missing."""
    return number(float(value), digits) if usable(value) else "–"


def short(name: str, most: int = 16) -> str:
    """Shorten a name for an axis."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def _looks(roles: Sequence[str]) -> list[tuple[int, str, str]]:
    """Give each contender its colour, marker and dashes by its role."""
    met: dict[str, int] = {}
    found = []
    for role in roles:
        options = _PALETTES.get(role, _PALETTES["baseline"])
        found.append(options[met.get(role, 0) % len(options)])
        met[role] = met.get(role, 0) + 1
    return found


@cache
def swatch(
    colour: str, marker: str | None = None, dashes: str | None = None, *, patch: bool = False
) -> Markup:
    """Draw the look of a line or patch, as small as a word; written by hand, a figure would take longer."""
    from matplotlib.markers import MarkerStyle

    tone, parts = VARIABLES[colour], []
    if patch:
        parts.append(tag("rect", x=4, y=1, width=28, height=10, fill=tone))
    if dashes:
        pattern = {"--": "6 3", "-.": "7 2.5 1.5 2.5", ":": "1.5 2.5"}.get(dashes)
        parts.append(
            tag("line", x1=1, x2=35, y1=6, y2=6, stroke=tone, stroke_width=1.8, stroke_dasharray=pattern)
        )
    if marker:
        style = MarkerStyle(marker)
        path: Any = style.get_path()
        outlines = path.transformed(style.get_transform()).to_polygons(closed_only=False)
        points = ("M" + "L".join(f"{18 + 8 * x:.2f} {6 - 8 * y:.2f}" for x, y in one) for one in outlines)
        parts.append(tag("path", d="".join(points), fill=tone, stroke=tone, stroke_width=1))
    return tag("svg", parts, viewBox="0 0 36 12", aria_hidden="true", class_="swatch")


def learning_curves(curves: Sequence[Section], metric: Section, level: float = 0.95) -> Drawing | None:
    """Draw the main metric over label budgets, one line a contender.

    Parameters
    ----------
    curves : sequence of mapping
        The ``curves`` section: ``name``, ``role`` and ``points`` with ``labels``, ``value``,
        ``low`` and ``high``.
    metric : mapping
        ``title`` and ``direction``.
    level : float
        Of the intervals, for the caption.

    Returns
    -------
    Drawing or None
        None where no contender has two points.
    """
    lines = []
    for curve in curves:
        points = [point for point in curve["points"] if usable(point.get("value")) and point.get("labels")]
        if points:
            lines.append((curve, points))
    budgets = sorted({point["labels"] for _, points in lines for point in points})
    if len(budgets) < 2:
        return None
    title = str(metric.get("title") or metric.get("name"))
    caption = f"Points are means over seeds, bars {level:.0%} intervals. Points are drawn slightly apart."
    # A floor far from all others would press them together.
    above = [point["value"] for curve, points in lines if curve.get("role") != "floor" for point in points]
    for curve, points in list(lines):
        gaps = [min(abs(point["value"] - other) for other in above) for point in points] if above else [0.0]
        if curve.get("role") == "floor" and min(gaps) > 0.25 * (max(above) - min(above)):
            lines.remove((curve, points))
            caption += f" Not drawn: {curve['name']}, at {shown(points[-1]['value'])}."
    with page_style():
        figure, axes = canvas(3.3)
        keys, words = [], []
        values = [point["value"] for _, points in lines for point in points]
        margin = max(max(values) - min(values), 1e-6)
        looks = _looks([str(curve.get("role")) for curve, _ in lines])
        for place, ((curve, points), (colour, marker, dashes)) in enumerate(zip(lines, looks, strict=True)):
            shift = 1.035 ** (place - (len(lines) - 1) / 2)  # so that intervals do not hide each other
            x = np.array([point["labels"] for point in points]) * shift
            y = np.array([point["value"] for point in points])
            low = np.array([point["low"] if usable(point.get("low")) else point["value"] for point in points])
            high = np.array(
                [point["high"] if usable(point.get("high")) else point["value"] for point in points]
            )
            axes.vlines(x, low, high, color=SERIES[colour], linewidth=1.1, alpha=0.7)
            axes.plot(x, y, color=SERIES[colour], marker=marker, linestyle=dashes, markersize=5.5)
            keys.append(Key(str(curve["name"]), swatch(SERIES[colour], marker, dashes)))
            words.append(
                f"{curve['name']}: "
                + ", ".join(f"{shown(point['value'])} with {point['labels']:,}" for point in points)
            )
        axes.set_xscale("log")
        axes.set_xticks(budgets, [f"{labels:,}" for labels in budgets])
        axes.minorticks_off()
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, min(values) - margin), min(top, max(values) + margin))
        axes.set_xlabel("training labels")
        better = "higher" if metric.get("direction") == "higher" else "lower"
        axes.set_title(f"{title} on test ({better} is better)", loc="left", color=MUTED)
        svg = inline_svg(
            figure, "curves", f"Learning curves, {title} by training labels. " + "; ".join(words) + "."
        )
    return Drawing("curves", svg, caption, tuple(keys))


def reliability_diagram(section: Section) -> Drawing | None:
    """Draw confidence against frequency, before and after scaling; of regression, level against coverage."""
    stages = [(name, section[name]) for name in ("before", "after") if section.get(name)]
    if not stages:
        return None
    regression = "coverage" in stages[0][1]
    with page_style():
        figure, axes = canvas(3.5)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        keys = [Key("perfectly calibrated", swatch(MUTED, None, ":"))]
        words = []
        for (name, stage), (colour, marker, dashes) in zip(
            stages, ((3, "o", "-"), (0, "s", "-")), strict=False
        ):
            title = "as trained" if name == "before" else "after scaling on validation"
            if regression:
                x = [point["level"] for point in stage["coverage"]]
                y = [point["coverage"] for point in stage["coverage"]]
                gap = np.mean(np.abs(np.subtract(x, y))) if x else math.nan
                words.append(f"{title}, coverage is off by {shown(gap)} on average")
            else:
                bins = (stage.get("reliability") or {}).get("bins") or []
                x, y = [one["confidence"] for one in bins], [one["frequency"] for one in bins]
                low, high = [one["low"] for one in bins], [one["high"] for one in bins]
                axes.vlines(x, low, high, color=SERIES[colour], linewidth=1, alpha=0.55)
                error = (stage.get("ece") or {}).get("value")
                words.append(f"{title}, the calibration error is {shown(error)}")
            axes.plot(x, y, color=SERIES[colour], marker=marker, linestyle=dashes, markersize=5)
            keys.append(Key(title, swatch(SERIES[colour], marker, dashes)))
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", anchor="W")
        axes.set_xlabel("level of the predicted interval" if regression else "confidence")
        axes.set_title(
            "share of truths inside" if regression else "share that came true", loc="left", color=MUTED
        )
        svg = inline_svg(figure, "reliability", f"Reliability diagram: {'; '.join(words)}.")
    caption = (
        "Above the dotted line the intervals are wider than they need to be, below it too narrow."
        if regression
        else "Below the dotted line the model is too sure of itself, above it not sure enough. "
        "Each point is a bin with equally many predictions, its bar an interval of the share."
    )
    return Drawing("reliability", svg, caption, tuple(keys))


def coverage_by_step(section: Section) -> Drawing | None:
    """Draw how often central intervals of a forecast held the truth, step by step ahead."""
    steps = (section.get("before") or {}).get("steps") or []
    if len(steps) < 2:
        return None
    levels = [point["level"] for point in steps[0]["coverage"]]
    chosen = sorted({levels[0], levels[len(levels) // 2], levels[-1]})
    x = [(step["first"] + step["last"]) / 2 for step in steps]
    with page_style():
        figure, axes = canvas(3.3)
        keys, words = [], []
        looks = ((0, "o", "-"), (2, "s", "-"), (3, "D", "-"))
        for level, (colour, marker, dashes) in zip(chosen, looks, strict=False):
            place = levels.index(level)
            y = [step["coverage"][place]["coverage"] for step in steps]
            y = [value if usable(value) else math.nan for value in y]
            axes.axhline(level, color=SERIES[colour], linewidth=1, linestyle=":")
            axes.plot(x, y, color=SERIES[colour], marker=marker, linestyle=dashes, markersize=4.5)
            keys.append(Key(f"{level:.0%} interval", swatch(SERIES[colour], marker, dashes)))
            words.append(f"the {level:.0%} interval holds {shown(y[0])} at first and {shown(y[-1])} at last")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("steps ahead")
        axes.set_title("share of truths inside", loc="left", color=MUTED)
        svg = inline_svg(figure, "coveragesteps", f"Coverage by steps ahead: {'; '.join(words)}.")
    caption = "Dotted: what each interval promises. Long horizons are drawn in equal stretches of steps."
    return Drawing("coveragesteps", svg, caption, tuple(keys))


def conformal_coverage(section: Section) -> Drawing | None:
    """Draw the measured coverage, overall and of the groups covered worst, beside the one asked for."""
    measured, asked = section.get("measured") or {}, section.get("asked")
    if not usable(measured.get("value")) or not usable(asked):
        return None
    groups = [one for one in section.get("worst_groups") or [] if usable(one.get("coverage"))]
    names = ["all test records", *(f"{short(str(one['group']), 18)} ({one['records']:,})" for one in groups)]
    values = [measured["value"], *(one["coverage"] for one in groups)]
    y = np.arange(len(names))
    with page_style():
        figure, axes = canvas(1.1 + 0.3 * len(names))
        axes.axvline(asked, color=INK, linewidth=1, linestyle=":")
        if usable(measured.get("low")):
            axes.hlines(0, measured["low"], measured["high"], color=SERIES[0], linewidth=2)
        axes.plot(values[:1], y[:1], "o", color=SERIES[0], markersize=7)
        axes.plot(values[1:], y[1:], "D", color=SERIES[3], markersize=5)
        axes.set_yticks(y, names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(max(0, min([*values, measured.get("low") or 1, asked]) - 0.06), 1.01)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel("share of records whose truth was held")
        words = (
            f"Conformal coverage: {asked:.0%} asked, {measured['value']:.1%} measured on all test records."
        )
        if groups:
            words += f" The worst group, {groups[0]['group']}, is covered at {groups[0]['coverage']:.1%}."
        svg = inline_svg(figure, "conformal", words)
    caption = "Dotted: what was asked for." + (
        " Below: the groups covered worst, with their records." if groups else ""
    )
    return Drawing("conformal", svg, caption)


def ood_histogram(section: Section) -> Drawing | None:
    """Draw how strange the test records are beside the strange ones: ``histogram`` of the ``ood`` section.

    The histogram holds ``edges`` (B + 1) and ``counts``, a mapping of a name to B counts.
    """
    histogram = section.get("histogram") or {}
    edges, counts = histogram.get("edges") or [], histogram.get("counts") or {}
    if len(edges) < 2 or not counts:
        return None
    with page_style():
        figure, axes = canvas(3.0)
        keys = []
        for place, (name, values) in enumerate(counts.items()):
            colour = SERIES[(0, 3, 2)[place % 3]]
            share = np.asarray(values, dtype=float) / max(1, sum(values))
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.3)
            axes.stairs(share, edges, color=colour, linewidth=1.6, linestyle=("-", "--", "-.")[place % 3])
            keys.append(Key(str(name), swatch(colour, None, ("-", "--", "-.")[place % 3])))
        threshold = section.get("threshold")
        if usable(threshold):
            axes.axvline(threshold, color=INK, linewidth=1, linestyle=":")
            keys.append(Key("flagged beyond", swatch(INK, None, ":")))
        axes.set_xlabel("score: the higher, the stranger")
        axes.set_title("share of records", loc="left", color=MUTED)
        area = (section.get("auroc") or {}).get("value")
        words = f"Histogram of out-of-distribution scores of {' and '.join(map(str, counts))}"
        svg = inline_svg(figure, "ood", words + (f"; AUROC {shown(area)}." if usable(area) else "."))
    return Drawing("ood", svg, "Each histogram adds up to one.", tuple(keys))


def score_histogram(scores: Mapping[str, Any], bins: int = 30) -> dict[str, Any]:
    """Count scores in shared bins, as the ``histogram`` of the ``ood`` section.

    Parameters
    ----------
    scores : mapping of str to array
        For example ``{"test records": ..., "shuffled records": ...}``. The bins reach from the lowest score
        to the 99.5th percentile of each; the last bin holds what lies beyond.
    bins : int

    Returns
    -------
    dict
        ``edges`` and ``counts``.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    arrays = {name: values[np.isfinite(values)] for name, values in arrays.items()}
    arrays = {name: values for name, values in arrays.items() if len(values)}
    if not arrays:
        return {"edges": [], "counts": {}}
    low = min(values.min() for values in arrays.values())
    high = max(float(np.quantile(values, 0.995)) for values in arrays.values())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    return {
        "edges": edges.tolist(),
        "counts": {
            name: np.histogram(np.minimum(values, edges[-1]), edges)[0].tolist()
            for name, values in arrays.items()
        },
    }
