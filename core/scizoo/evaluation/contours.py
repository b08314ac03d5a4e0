"""Outlines of label maps over a picture, for the drawings of domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Colours of classes, told apart by colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def draw_contours(
    axes: Any,
    truth: Any = None,
    predicted: Any = None,
    classes: Sequence[str] | None = None,
    *,
    shape: tuple[int, int] | None = None,
    background: int | None = 0,
) -> None:
    """Draw the outlines of each class: the truth dashed, the prediction solid, one colour a class.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Shows the image, pixel by pixel, as ``imshow`` does.
    truth, predicted : array-like of int, shape (H, W), optional
        Maps whose values name the same classes; None draws none.
    classes : sequence of str, optional
        Names of the classes by number, for a legend.
    shape : (int, int), optional
        Height and width at which the image is shown, where that is not the size of the maps.
    background : int, optional
        The value that has no outline.
    """
    maps = [(np.asarray(one), style) for one, style in ((truth, "--"), (predicted, "-")) if one is not None]
    if not maps:
        return
    values = sorted({int(value) for labels, _ in maps for value in np.unique(labels)})
    values = [value for value in values if value >= 0 and value != background]
    handles = []
    for place, value in enumerate(values):
        colour = COLOURS[place % len(COLOURS)]
        for labels, style in maps:
            mask = labels == value
            if mask.any():
                height, width = shape or mask.shape
                across = (np.arange(mask.shape[1]) + 0.5) * width / mask.shape[1] - 0.5
                down = (np.arange(mask.shape[0]) + 0.5) * height / mask.shape[0] - 0.5
                # A rim of nothing, so that the outline of what touches the edge is closed.
                axes.contour(
                    np.concatenate([[across[0] - 1], across, [across[-1] + 1]]),
                    np.concatenate([[down[0] - 1], down, [down[-1] + 1]]),
                    np.pad(mask.astype(float), 1),
                    levels=[0.5],
                    colors=[colour],
                    linestyles=[style],
                    linewidths=0.9,
                )
        if classes is not None and value < len(classes):
            handles.append((colour, classes[value]))
    if handles:
        from matplotlib.lines import Line2D

        lines = [Line2D([], [], color=colour, label=name) for colour, name in handles]
        axes.legend(handles=lines, fontsize=6, loc="upper right")
