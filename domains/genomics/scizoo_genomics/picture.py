"""One sequence drawn for a report: coloured bases above, the share of G and C below."""

from __future__ import annotations

from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.colouring import explained, note, signed_colours
from scizoo_genomics.tokenizers.lookup import codes_of

#: Colours of A, C, G, T and ambiguity codes, told apart by colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#009E73", "#0072B2", "#E69F00", "#D55E00", "#999999")
_ROW = 100  # bases a line
_LINES = 12


def gc_share(codes: np.ndarray, window: int) -> np.ndarray:
    """Return the running share of G and C around each base; ambiguous bases count for neither side.

    Returns
    -------
    ndarray of float64, shape (bases,)
        NaN where no base of the window is known.
    """
    known, strong = codes < 4, (codes == 1) | (codes == 2)
    half = window // 2
    size = len(codes)
    left = np.maximum(np.arange(size) - half, 0)
    right = np.minimum(np.arange(size) + half + 1, size)

    def total(flags: np.ndarray) -> np.ndarray:
        sums = np.concatenate([[0], np.cumsum(flags)])
        return sums[right] - sums[left]

    with np.errstate(invalid="ignore", divide="ignore"):
        return total(strong) / total(known)


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a sequence.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is a sequence; of long ones the first 1,200 bases are coloured, and the title says so.
    prediction : Any, optional
        What was predicted, in words or as a number, for the title; or with what the network used of the
        bases, see :func:`scizoo.evaluation.colouring.explained`: each line then has a strip below it.
    """
    from matplotlib.colors import ListedColormap

    prediction, used, output = explained(prediction)
    codes, _ = codes_of([record.input])
    size = len(codes)
    shown = np.minimum(codes[: _ROW * _LINES], 4).astype(float)
    lines = max(1, -(-len(shown) // _ROW))
    width = _ROW if lines > 1 else max(len(shown), 1)
    grid = np.full(lines * width, np.nan)
    grid[: len(shown)] = shown
    axes.imshow(
        grid.reshape(lines, width),
        cmap=ListedColormap(COLOURS),
        vmin=-0.5,
        vmax=4.5,
        aspect="auto",
        interpolation="nearest",
        extent=(0, width, lines, 0),
    )
    if used is not None:
        _mark(axes, np.asarray(used, dtype=float)[: len(shown)], lines, width)
        note(axes, output, "It is the strip below each line of bases.")
    # The share of G and C runs along the whole sequence, in a strip below the bases.
    strip = max(1.0, lines * 0.5)
    share = gc_share(codes, max(11, size // 40))
    across = np.linspace(0, width, size) if size > 1 else np.array([0.0])
    axes.plot(across, lines + strip * (1 - share), color="black", linewidth=0.8)
    axes.axhline(lines + strip / 2, color="#999999", linewidth=0.5, linestyle=":")
    axes.set_xlim(0, width)
    axes.set_ylim(lines + strip, 0)
    axes.set_yticks([lines / 2, lines + strip / 2], ["bases", "GC 50%"], fontsize=7)
    axes.set_xticks([])
    for base, colour, place in zip("ACGT", COLOURS, (0.0, 0.05, 0.1, 0.15)):
        axes.text(
            place, -0.02, base, color=colour, fontsize=8, weight="bold", transform=axes.transAxes, va="top"
        )
    title = f"{record.id} ({size:,} bases" + (f", first {len(shown):,} drawn)" if len(shown) < size else ")")
    if record.target is not None:
        title += f"\ntrue: {record.target}"
    if prediction is not None:
        title += f"   predicted: {prediction}"
    axes.set_title(title, fontsize=8)


def _mark(axes: Any, used: np.ndarray, lines: int, width: int) -> None:
    """Lay a strip over the lower half of each line, coloured by what its bases added."""
    colours = np.ones((lines * width, 4))
    colours[:, 3] = 0.0
    marks = signed_colours(used)
    # On white, not on the colours of the bases.
    colours[: len(used), :3] = 1 - (1 - marks[:, :3]) * marks[:, 3:]
    colours[: len(used), 3] = 1.0
    for line, row in enumerate(colours.reshape(lines, 1, width, 4)):
        extent = (0, width, line + 1, line + 0.5)
        axes.imshow(row, aspect="auto", interpolation="nearest", extent=extent, zorder=2)
