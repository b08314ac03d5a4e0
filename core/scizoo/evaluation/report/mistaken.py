"""Figures of what was wrong: a confusion matrix, counts by label, predictions against the truth."""

from __future__ import annotations

import numpy as np

from scizoo.evaluation.report.figures import Drawing, Key, Section, short, shown, swatch
from scizoo.evaluation.report.ranks import rank_counts
from scizoo.evaluation.report.svg import (
    HEAT,
    INK,
    MUTED,
    ON_HEAT,
    PAPER,
    SERIES,
    WIDTH,
    canvas,
    inline_svg,
    page_style,
)

_MANY_CLASSES = 12  # from here on a matrix shows no numbers, and from `_CROWD` on no single names
_CROWD = 40


def error_figures(section: Section) -> list[Drawing]:
    """Draw what was wrong: a confusion matrix, counts by label, errors a step, ranks, or residuals."""
    kind = section.get("kind")
    if kind == "multilabel" and section.get("right"):
        return [_label_counts(section)]
    if kind == "forecast":
        return [_by_step(section)] if len(section.get("steps") or []) > 1 else []
    if kind == "retrieval":
        return [rank_counts(section)] if section.get("counts") else []
    if section.get("matrix"):
        return [_confusion(section)]
    if section.get("true") and section.get("predicted"):
        return _residuals(section)
    return []


def _class_names(section: Section, count: int) -> list[str]:
    names = [str(name) for name in section.get("classes") or ()]
    return names if len(names) == count else [str(place) for place in range(count)]


def _confusion(section: Section) -> Drawing:
    from matplotlib.patches import Rectangle

    matrix = np.asarray(section["matrix"], dtype=float)
    count = len(matrix)
    names = _class_names(section, count)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    with page_style():
        figure, axes = canvas(min(WIDTH + 0.4, max(2.6, 1.6 + 0.34 * count)))
        if count <= _CROWD:
            for row, column in zip(*np.nonzero(matrix), strict=True):
                axes.add_patch(
                    Rectangle(
                        (column - 0.5, row - 0.5),
                        1,
                        1,
                        facecolor=HEAT,
                        alpha=0.08 + 0.92 * share[row, column],
                        linewidth=0,
                    )
                )
        else:  # thousands of cells are a picture
            picture = np.zeros((count, count, 4))
            picture[..., :3] = np.array([0x00, 0x72, 0xB2]) / 255
            picture[..., 3] = np.where(matrix > 0, 0.08 + 0.92 * share, 0)
            axes.imshow(picture, interpolation="nearest")
        if count <= _MANY_CLASSES:
            for row, column in np.ndindex(matrix.shape):
                if matrix[row, column]:
                    axes.text(
                        column,
                        row,
                        f"{matrix[row, column]:,.0f}",
                        ha="center",
                        va="center",
                        size=9 if count <= 6 else 7.5,
                        color=ON_HEAT if share[row, column] > 0.55 else INK,
                    )
        axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), aspect="auto")
        if count <= _CROWD:
            size = 9 if count <= _MANY_CLASSES else 6.5
            ticks = np.arange(count)
            axes.set_yticks(ticks, [short(name) for name in names], fontsize=size)
            turned = count > 3 or max(map(len, names)) > 9
            axes.set_xticks(
                ticks,
                [short(name) for name in names],
                fontsize=size,
                rotation=40 if turned else 0,
                ha="right" if turned else "center",
                rotation_mode="anchor",
            )
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        right = np.trace(matrix) / max(matrix.sum(), 1)
        words = (
            f"Confusion matrix of {count} classes: {right:.0%} of {matrix.sum():,.0f} test records are right."
        )
        worst = confused(section, 3)
        if worst:
            words += " Most often confused: " + "; ".join(
                f"{true} taken for {said}, {times:,} times" for true, said, times in worst
            )
        svg = inline_svg(figure, "confusion", words)
    return Drawing("confusion", svg, "Rows are the true classes; the shade is the share of the row.")


def confused(section: Section, most: int = 5) -> list[tuple[str, str, int]]:
    """List the pairs of classes that were confused most often: true, predicted, how often."""
    matrix = np.asarray(section["matrix"], dtype=int).copy()
    names = _class_names(section, len(matrix))
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    pairs = [np.unravel_index(place, matrix.shape) for place in order]
    return [
        (names[row], names[column], int(matrix[row, column])) for row, column in pairs if matrix[row, column]
    ]


def _label_counts(section: Section) -> Drawing:
    right, missed, false = (np.asarray(section[name], dtype=float) for name in ("right", "missed", "false"))
    names = _class_names(section, len(right))
    order = np.argsort(-(right + missed), kind="stable")[:24]
    y = np.arange(len(order))
    with page_style():
        figure, axes = canvas(max(2.0, 0.9 + 0.26 * len(order)))
        axes.barh(y, right[order], color=SERIES[0], height=0.7)
        axes.barh(
            y, missed[order], left=right[order], color=SERIES[1], height=0.7, hatch="////", edgecolor=PAPER
        )
        axes.barh(y, -false[order], color=SERIES[3], height=0.7, hatch="....", edgecolor=PAPER)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(y, [short(names[place], 20) for place in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        axes.set_xlabel("← records said wrongly · records truly there →")
        words = (
            f"Of {len(names)} labels, {right.sum():,.0f} were found, {missed.sum():,.0f} missed, "
            f"{false.sum():,.0f} said wrongly."
        )
        svg = inline_svg(figure, "labels", words)
        keys = tuple(
            Key(title, swatch(SERIES[colour], patch=True))
            for title, colour, place in (("found", 0, 0), ("missed", 1, 1), ("said wrongly", 3, 2))
        )
    caption = "The most frequent labels." if len(names) > len(order) else "Every label."
    return Drawing("labels", svg, caption, keys)


def dice_by_class(section: Section) -> Drawing | None:
    """Draw the Dice coefficient of each class of a segmentation with its interval."""
    found = [one for one in section.get("by_class") or [] if one["dice"].get("value") is not None]
    if not found:
        return None
    value, low, high = (
        np.array(
            [np.nan if one["dice"].get(name) is None else one["dice"][name] for one in found], dtype=float
        )
        for name in ("value", "low", "high")
    )
    y = np.arange(len(found))
    with page_style():
        figure, axes = canvas(max(1.6, 0.9 + 0.28 * len(found)))
        axes.hlines(y, np.nan_to_num(low, nan=0), np.nan_to_num(high, nan=0), color=SERIES[0], linewidth=2)
        axes.plot(value, y, "o", color=SERIES[0], markersize=5)
        axes.set_yticks(y, [short(str(one["class"]), 24) for one in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("Dice")
        axes.grid(axis="y", visible=False)
        said = "; ".join(f"{one['class']} {shown(one['dice']['value'])}" for one in found[:12])
        svg = inline_svg(figure, "dice", f"Dice coefficient of each class: {said}.")
    return Drawing("dice", svg, "The overlap of each class with its interval over groups.")


def _by_step(section: Section) -> Drawing:
    steps = np.asarray(section["steps"])
    lines = [("error", "the forecast", 0, "-"), ("naive", "the floor", 6, "--")]
    with page_style():
        figure, axes = canvas(3.3)
        keys, words = [], []
        for name, title, colour, dashes in lines:
            if not section.get(name):
                continue
            values = np.array([np.nan if value is None else value for value in section[name]], dtype=float)
            marker = "o" if len(steps) <= 60 else None
            axes.plot(steps, values, color=SERIES[colour], marker=marker, linestyle=dashes, markersize=3.5)
            keys.append(Key(title, swatch(SERIES[colour], marker, dashes)))
            words.append(f"{title} {shown(values[0])} at the first step and {shown(values[-1])} at the last")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("steps ahead")
        scaled = "mean absolute error, scaled" if section.get("scaled") else "mean absolute error"
        axes.set_title(scaled, loc="left", color=MUTED)
        svg = inline_svg(figure, "steps", f"{scaled.capitalize()} by steps ahead: {'; '.join(words)}.")
    caption = "How far the median is off, by how far it looks ahead."
    if section.get("scaled"):
        caption += " In units of the mean seasonal difference of each history."
    return Drawing("steps", svg, caption, tuple(keys))


def _residuals(section: Section) -> list[Drawing]:
    true, said = (np.asarray(section[name], dtype=float) for name in ("true", "predicted"))
    true, said = true.reshape(len(true), -1), said.reshape(len(said), -1)
    names = _class_names(section, true.shape[1])
    found = []
    for column in range(min(true.shape[1], 4)):
        known = np.isfinite(true[:, column]) & np.isfinite(said[:, column])
        if not known.any():
            continue
        x, y = true[known, column], said[known, column]
        name = names[column] if true.shape[1] > 1 or section.get("classes") else "target"
        with page_style():
            figure, axes = canvas(3.5)
            ends = [min(x.min(), y.min()), max(x.max(), y.max())]
            axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=":")
            axes.plot(x, y, "o", color=SERIES[0], markersize=3.2, alpha=0.45, markeredgewidth=0)
            axes.set_xlabel(f"true {short(name, 30)}")
            axes.set_title("predicted", loc="left", color=MUTED)
            error = np.abs(x - y)
            words = (
                f"Predicted against true {name} for {len(x):,} records; "
                f"the median error is {shown(float(np.median(error)))}."
            )
            scatter = inline_svg(figure, f"scatter{column}", words)
            figure, axes = canvas(3.5)
            axes.hist(
                y - x, bins="auto" if len(x) < 400 else 40, color=SERIES[0], edgecolor=PAPER, linewidth=0.6
            )
            axes.axvline(0, color=INK, linewidth=1, linestyle=":")
            axes.set_xlabel("predicted − true")
            axes.set_title("records", loc="left", color=MUTED)
            axes.grid(axis="x", visible=False)
            mean = float(np.mean(y - x))
            words = (
                f"Histogram of the residuals of {name}: mean {shown(mean)}, spread {shown(np.std(y - x))}."
            )
            residuals = inline_svg(figure, f"residuals{column}", words)
        found.append(
            Drawing(f"scatter{column}", scatter, f"{name}: on the dotted line predictions are right.")
        )
        found.append(Drawing(f"residuals{column}", residuals, f"{name}: residuals, mean {shown(mean)}."))
    return found
