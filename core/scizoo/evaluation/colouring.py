"""Colours of what a network used, which every domain's pictures share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

#: Colours of what raised and what lowered the output, which colour-blind readers can tell apart (the ends of
#: ColorBrewer's RdBu; Harrower and Brewer 2003), and of what the network did not read.
RAISED, LOWERED, UNREAD = "#D6604D", "#4393C3", "#E4E4E4"
_FAINT = 0.04  # shares of the largest below which nothing is coloured


class Explained(NamedTuple):
    """What was predicted, as a person would say it; what the tokenizer's ``attribute`` gave, and of what."""

    said: Any
    attributions: Any
    output: str | None


def explained(prediction: Any) -> Explained:
    """Take apart what a ``draw`` hook is given.

    Parameters
    ----------
    prediction : Any
        A mapping with ``attributions``, the prediction under ``value`` and the class, label or value that is
        explained under ``output``; anything else is the prediction itself.
    """
    if not isinstance(prediction, Mapping) or "attributions" not in prediction:
        return Explained(prediction, None, None)
    return Explained(prediction.get("value"), prediction["attributions"], prediction.get("output"))


def strengths(values: Any) -> np.ndarray:
    """Scale numbers by the largest, so that they lie from -1 to 1; NaN stays NaN, and all zeros stay so."""
    array = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
    return array / largest if largest > 0 else array


def signed_colours(values: Any) -> np.ndarray:
    """Give a colour a number: red raised the output, blue lowered it, paler for less.

    Parameters
    ----------
    values : array_like, any shape
        Numbers of one scale; the largest gets the full colour.

    Returns
    -------
    ndarray of float, shape (..., 4)
        Red, green, blue and opacity, 0 to 1: what matters little is transparent, what was not read (NaN) is
        grey.
    """
    from matplotlib.colors import to_rgb

    scaled = strengths(values)
    known = np.isfinite(scaled)
    colours = np.zeros((*scaled.shape, 4))
    colours[..., :3] = np.where((scaled > 0)[..., None], to_rgb(RAISED), to_rgb(LOWERED))
    strength = np.abs(np.where(known, scaled, 0.0))
    colours[..., 3] = np.where(strength >= _FAINT, strength, 0.0)
    colours[~known] = (*to_rgb(UNREAD), 1.0)
    return colours


def note(axes: Any, output: str | None, more: str = "") -> None:
    """Say below the picture what its colours mean.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    output : str, optional
        The class, label or value that is explained.
    more : str
        Further words.
    """
    unnamed = output in (None, "", "value")  # the core's own name for a single quantity
    what = "the predicted value" if unnamed else f"the prediction of “{_shortened(str(output))}”"
    words = f"Colour is what the network used: red raised, blue lowered {what}."
    words += f"\n{more}" if more else ""
    axes.figure.supxlabel(words.replace("$", r"\$"), fontsize=6, color="#444444")


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:38] + "..."


def draw_saliency(
    axes: Any, saliency: np.ndarray, extent: tuple[float, float, float, float], **how: Any
) -> None:
    """Lay a map of what pixels added over a picture.

    Single pixels' gradients are noisy, so the map is smoothed by a normal kernel of 1/40 of its longer side,
    which keeps its sum.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    saliency : ndarray, shape (height, width)
        Of the whole picture, in any resolution; NaN where the network saw nothing of it.
    extent : (float, float, float, float)
        Left, right, bottom and top of the picture in the axes.
    **how
        Passed on to ``imshow``, such as ``origin``.
    """
    from scipy.ndimage import gaussian_filter

    known = np.isfinite(saliency)
    smooth = gaussian_filter(np.where(known, saliency, 0.0), max(saliency.shape) / 40.0)
    colours = signed_colours(np.where(known, smooth, np.nan))
    colours[..., 3] = np.where(known, 0.75 * colours[..., 3], 0.3)
    axes.imshow(colours, extent=extent, interpolation="bilinear", **how)


def draw_coloured_line(axes: Any, x: Any, y: Any, colours: np.ndarray, width: float = 1.6) -> None:
    """Draw a line of which each point has its own colour.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x, y : array_like, shape (points,)
        Gaps (NaN) stay gaps.
    colours : ndarray, shape (points, 4)
        Such as :func:`solid_colours` gives.
    width : float
        Of the line in points.
    """
    from matplotlib.collections import LineCollection

    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    # A point has half of the way to each neighbour.
    middle_x, middle_y = 0.5 * (across[1:] + across[:-1]), 0.5 * (up[1:] + up[:-1])
    points = np.stack([across, up], axis=1)
    middles = np.stack([middle_x, middle_y], axis=1)
    first = np.concatenate([points[:1], middles])
    last = np.concatenate([middles, points[-1:]])
    # Beside a gap half of the way is not known, but the point itself is.
    first = np.where(np.isfinite(first), first, points)
    last = np.where(np.isfinite(last), last, points)
    pieces = np.stack([first, points, last], axis=1)
    shown = np.isfinite(pieces).all(axis=(1, 2))
    axes.add_collection(LineCollection(list(pieces[shown]), colors=colours[shown], linewidths=width))
    axes.autoscale_view()


def solid_colours(values: Any) -> np.ndarray:
    """Give opaque colours for thin things, (..., 4): light grey where little matters."""
    colours = signed_colours(values)
    ground = np.array([0.72, 0.72, 0.72])
    opaque = np.ones_like(colours)
    opaque[..., :3] = ground + (colours[..., :3] - ground) * colours[..., 3:]
    return opaque


def break_at_spaces(text: str, width: int) -> str:
    """Put line breaks in the places of spaces, so that lines are no wider where words allow it."""
    letters = list(text)
    begin, space = 0, None
    for place, letter in enumerate(text):
        if letter == "\n":
            begin, space = place + 1, None
        elif letter == " ":
            space = place
        if space is not None and place - begin >= width:
            letters[space], begin, space = "\n", space + 1, None
    return "".join(letters)


def draw_marked_text(
    axes: Any,
    text: str,
    values: Any,
    *,
    lines: int = 20,
    size: float = 6.0,
    tab: int = 4,
    prose: bool = False,
) -> None:
    """Write a text with coloured grounds in a typewriter's letters, from where it begins to matter.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    text : str
        Lines that are wider than the axes are broken.
    values : array_like, shape (characters,)
    lines : int
        How many fill the axes.
    size : float
        Of letters in points.
    tab : int
        Columns of a tab.
    prose : bool
        Whether lines are broken between words, and not within them.
    """
    columns = page_columns(axes, size)
    if prose:
        text = break_at_spaces(text, int(columns))
    cells = layout_cells(text, int(columns), tab)
    first = first_line(cells[:, 0], values, lines)
    mark_cells(axes, cells - [first, 0], values, columns, lines)
    for word in _words_on_page(text, cells):
        row, column = cells[word.start]
        if first <= row < first + lines:
            axes.text(
                column / columns,
                1 - (row - first + 0.5) / lines,
                text[word].replace("$", r"\$"),
                family="monospace",
                fontsize=size,
                va="center",
                transform=axes.transAxes,
            )


def _words_on_page(text: str, cells: np.ndarray) -> Iterator[slice]:
    """Cut a text into words that stand on one line, so that each can be put where its cells are."""
    for word in re.finditer(r"\S+", text):
        first, last = word.span()
        breaks = np.flatnonzero(np.diff(cells[first:last, 0])) + first + 1
        edges = [first, *breaks.tolist(), last]
        yield from map(slice, edges[:-1], edges[1:])


def draw_marked_list(axes: Any, lines: Sequence[str], values: Any, most: int = 16, size: float = 7.0) -> None:
    """List named numbers with coloured grounds, those that were used most, in their order.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    lines : sequence of str
    values : array_like, shape (lines,)
    most : int
        How many are shown.
    size : float
        Of letters in points.
    """
    colours = solid_colours(values)
    strength = np.abs(np.nan_to_num(np.asarray(values, dtype=np.float64)))
    shown = np.sort(np.argsort(-strength, kind="stable")[:most])
    for row, place in enumerate(shown):
        axes.text(
            0.02,
            1 - (row + 0.5) / max(len(shown), 8),
            lines[place].replace("$", r"\$"),
            transform=axes.transAxes,
            va="center",
            fontsize=size,
            family="monospace",
            bbox={"facecolor": colours[place], "edgecolor": "none", "pad": 0.8},
        )


def page_columns(axes: Any, size: float) -> float:
    """Measure how many letters of a typewriter fill the axes, which is no whole number.

    Their width in the picture is rounded to whole pixels, so that only a measured one keeps words that are
    placed one by one in line.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    size : float
        Of letters in points.
    """
    axes.figure.draw_without_rendering()  # a layout gives the axes their width no earlier
    probe = axes.text(0, 0, "0" * 50, family="monospace", fontsize=size)
    width = probe.get_window_extent().width / 50
    probe.remove()
    return float(axes.bbox.width / width)


def layout_cells(text: str, columns: int, tab: int = 4) -> np.ndarray:
    """Give each character its row and column on a page so many columns wide; int of shape (characters, 2)."""
    cells = np.empty((len(text), 2), dtype=np.int64)
    row = column = 0
    for place, letter in enumerate(text):
        if column >= columns and letter != "\n":
            row, column = row + 1, 0
        cells[place] = row, column
        if letter == "\n":
            row, column = row + 1, 0
        else:
            column += tab - column % tab if letter == "\t" else 1
    return cells


def first_line(rows: np.ndarray, values: Any, lines: int) -> int:
    """Choose the first of so many lines so that what was used most can be seen; 0 where all fit."""
    weight = np.abs(np.nan_to_num(np.asarray(values, dtype=np.float64)))
    if not len(rows) or rows[-1] < lines or not weight.any():
        return 0
    sums = np.concatenate([[0.0], np.cumsum(np.bincount(rows, weight))])
    held = sums[np.minimum(np.arange(len(sums) - 1) + lines, len(sums) - 1)] - sums[:-1]
    return int(held.argmax())


def mark_cells(axes: Any, cells: np.ndarray, values: Any, columns: float, lines: int) -> None:
    """Colour the grounds of characters; runs of one colour become one box.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    cells : ndarray of int, shape (characters, 2)
        Row and column of each; those beyond the page are not drawn.
    values : array_like, shape (characters,)
    columns : float
    lines : int
        Of the page, which fills the axes.
    """
    from matplotlib.patches import Rectangle

    colours = signed_colours(values)
    colours[..., 3] *= 0.7  # letters must stay readable
    shown = (cells[:, 0] >= 0) & (cells[:, 0] < lines) & (cells[:, 1] < columns) & (colours[:, 3] > 0)
    places = np.flatnonzero(shown)
    if not len(places):
        return
    beside = (np.diff(places) == 1) & (np.diff(cells[places], axis=0) == [0, 1]).all(axis=1)
    alike = (np.abs(np.diff(colours[places], axis=0)) < 1e-9).all(axis=1)
    for run in np.split(places, np.flatnonzero(~(beside & alike)) + 1):
        row, column = cells[run[0]]
        axes.add_patch(
            Rectangle(
                (column / columns, 1 - (row + 1) / lines),
                len(run) / columns,
                1 / lines,
                facecolor=colours[run[0]],
                linewidth=0,
                transform=axes.transAxes,
                zorder=0.5,
                clip_on=False,
            )
        )
