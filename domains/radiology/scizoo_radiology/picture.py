"""Pictures of the field's objects for the report: windowed slices with contours, reports, measures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from scizoo.data.records import Record
from scizoo.evaluation.colouring import draw_marked_list, draw_marked_text, draw_saliency, explained, note
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.tokenizers.image import scaled, shown_limits

_BAR = 50.0  # millimetres of the bar that shows the scale
_WORDS = 420  # characters of a report that are shown
_WIDTH = 70  # characters of a line of the title


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a record.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` is a picture, a volume (its middle slice is shown), a report, or a row of measures.
    prediction : Any, optional
        What was predicted, in words; of a segmentation the class of each pixel, drawn as contours; or with
        what the network used of the record, see :func:`scizoo.evaluation.colouring.explained`.
    """
    value, truth = record.input, record.target
    prediction, used, output = explained(prediction)
    if isinstance(value, Volume) and isinstance(used, Mapping):
        value, used = value.slice(int(used["slice"]), str(used["plane"])), used["map"]
    elif isinstance(value, Volume):
        value = value.slice(value.count(value.acquired or "axial") // 2, value.acquired or "axial")
    if isinstance(value, RadiologyImage) and used is not None:
        axes.set_axis_off()
        left, right = axes.inset_axes([0, 0, 0.49, 1]), axes.inset_axes([0.51, 0, 0.49, 1])
        about = draw_image(left, value)
        draw_image(right, value)
        height, width = value.shape
        rows, columns = value.spacing or (1.0, 1.0)
        draw_saliency(right, used, (-0.5, width - 0.5, height - 0.5, -0.5), aspect=rows / columns)
    elif isinstance(value, RadiologyImage):
        about = draw_image(axes, value)
        if _is_map(truth) or _is_map(prediction):
            from scizoo.evaluation.contours import draw_contours

            draw_contours(axes, *(one if _is_map(one) else None for one in (truth, prediction)))
    elif isinstance(value, str):
        about = draw_text(axes, value, used)
    elif isinstance(value, Mapping):
        about = draw_measures(axes, value, used)
    else:
        about = type(value).__name__
        axes.set_axis_off()
    said = [
        f"{what}: {_words(one)}"
        for what, one in (("true", truth), ("predicted", prediction))
        if one is not None and not _is_map(one)
    ]
    # Several findings need a line each.
    between = "   " if sum(map(len, said)) < _WIDTH else "\n"
    axes.set_title("\n".join(filter(None, [f"{record.id} ({about})", between.join(said)])), fontsize=8)
    if used is not None:
        note(axes, output)


def _is_map(value: Any) -> bool:
    return len(getattr(value, "shape", ())) == 2


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(name for name, holds in value.items() if holds) or "none"
    return textwrap.shorten(str(value), _WIDTH, placeholder=" ...")


def draw_image(axes: Any, image: RadiologyImage) -> str:
    """Draw a picture in its window with a bar of 50 mm where the spacing is known; returns the words."""
    low, high = shown_limits(image, "file" if image.window else "calibrated")
    rows, columns = image.spacing or (1.0, 1.0)
    shown = scaled(image.pixels, low, high)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect=rows / columns, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    about = " ".join(word for word in (image.modality, image.plane) if word) or "picture"
    unit = f" {image.unit}" if image.unit else ""
    about += f", {low:.4g} to {high:.4g}{unit}"
    width = _BAR / columns
    if image.spacing is not None and image.spacing_at == "patient" and width < image.shape[1]:
        place = 0.96 * (image.shape[0] - 1)
        axes.plot([0.04 * image.shape[1], 0.04 * image.shape[1] + width], [place, place], color="white", lw=2)
        about += f", bar {_BAR:.0f} mm"
    if image.orientation:
        # The letters of the usual display: which side of the patient the left and the top edge show.
        opposite = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
        right, down = image.orientation[0], image.orientation[1]
        for x, y, letter in ((0.01, 0.5, opposite.get(right, "")), (0.5, 0.99, opposite.get(down, ""))):
            axes.text(x, y, letter, transform=axes.transAxes, color="#FFD400", fontsize=7, va="top")
    return about


def draw_text(axes: Any, text: str, used: Any = None) -> str:
    """Write a report, or where it was used most; returns the words."""
    axes.set_axis_off()
    if used is not None:
        draw_marked_text(axes, text, used, lines=13, size=7.5, prose=True)
        return f"{len(text.split())} words"
    shown = textwrap.shorten(text, _WORDS, placeholder=" ...")
    axes.text(0.02, 0.98, textwrap.fill(shown, 46), transform=axes.transAxes, va="top", fontsize=7)
    return f"{len(text.split())} words"


def draw_measures(axes: Any, measures: Mapping[str, float], used: Any = None) -> str:
    """List the first measures of a row, or those that were used most; returns the words."""
    axes.set_axis_off()
    if used is not None:
        draw_marked_list(axes, [f"{name}  {value:.4g}" for name, value in measures.items()], used)
        return f"{len(measures)} measures"
    lines = [f"{name}  {value:.4g}" for name, value in list(measures.items())[:16]]
    axes.text(
        0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7, family="monospace"
    )
    return f"{len(measures)} measures"
