"""Pictures brought to one size: by spacing in millimetres or by their shape, cut or padded."""

from __future__ import annotations

import numpy as np

from scizoo.data.placement import Placement

FITS = ("pad", "crop", "stretch")


def placed(
    shape: tuple[int, int],
    size: int,
    fit: str = "pad",
    spacing: tuple[float, float] | None = None,
    target: float | None = None,
) -> Placement:
    """Say where a picture lies in the square that the model sees.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    size : int
        Of the square.
    fit : {"pad", "crop", "stretch"}
        Where no spacing is asked for: the longer side becomes ``size`` and the rest is black, the shorter
        side becomes ``size`` and what stands over is cut off, or each side becomes ``size``.
    spacing : (float, float), optional
        Millimetres of the picture's rows and columns; where they differ, sides are compared in millimetres.
    target : float, optional
        Millimetres a pixel that are wanted; the picture is then cut or padded about its centre.
    """
    plane = (size, size)
    if target is not None and spacing is not None:
        scales = (spacing[0] / target, spacing[1] / target)
    elif fit == "stretch":
        return Placement.stretched(shape, plane)
    else:
        steps = spacing or (1.0, 1.0)
        sides = (shape[0] * steps[0], shape[1] * steps[1])
        side = max(sides) if fit == "pad" else min(sides)
        scales = (size * steps[0] / side, size * steps[1] / side)
    boxes = [_axis(count, scale, size) for count, scale in zip(shape, scales, strict=True)]
    (top, height, down, rows), (left, width, right, columns) = boxes
    return Placement(shape, plane, (top, left, height, width), (down, right, rows, columns))


def _axis(count: int, scale: float, size: int) -> tuple[int, int, int, int]:
    """Return start and length in the picture, then in the square, along one axis."""
    whole = max(1, round(count * scale))
    if whole <= size:
        return 0, count, (size - whole) // 2, whole
    kept = min(count, max(1, round(size / scale)))
    return (count - kept) // 2, kept, 0, size


def fitted(
    plane: np.ndarray,
    size: int,
    fit: str = "pad",
    spacing: tuple[float, float] | None = None,
    target: float | None = None,
) -> np.ndarray:
    """Bring a picture to (size, size) as :func:`placed` says; float32, black (0) around it."""
    return placed(plane.shape, size, fit, spacing, target).fit_image(plane)  # type: ignore[arg-type]
