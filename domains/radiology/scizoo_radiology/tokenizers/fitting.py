"""Pictures brought to one size: by spacing in millimetres or by their shape, cut or padded."""

from __future__ import annotations

import numpy as np

from scizoo_radiology.resample import resize

FITS = ("pad", "crop", "stretch")


def centred(plane: np.ndarray, rows: int, columns: int, fill: float = 0.0) -> np.ndarray:
    """Cut or pad (rows, columns) about its centre to another shape."""
    found = np.full((rows, columns), fill, dtype=plane.dtype)
    height, width = min(rows, plane.shape[0]), min(columns, plane.shape[1])
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    y, x = (rows - height) // 2, (columns - width) // 2
    found[y : y + height, x : x + width] = plane[top : top + height, left : left + width]
    return found


def fitted(
    plane: np.ndarray,
    size: int,
    fit: str = "pad",
    spacing: tuple[float, float] | None = None,
    target: float | None = None,
) -> np.ndarray:
    """Bring a picture to (size, size).

    Parameters
    ----------
    plane : ndarray of float32, shape (rows, columns)
    size : int
    fit : {"pad", "crop", "stretch"}
        Where no spacing is asked for: the longer side becomes ``size`` and the rest is black, the shorter
        side becomes ``size`` and what stands over is cut off, or each side becomes ``size``.
    spacing : (float, float), optional
        Millimetres of the picture's rows and columns.
    target : float, optional
        Millimetres a pixel that are wanted; the picture is then cut or padded about its centre.

    Returns
    -------
    ndarray of float32
    """
    rows, columns = plane.shape
    if target is not None and spacing is not None:
        scales = (spacing[0] / target, spacing[1] / target)
    else:
        # Pixels that are not square: the sides are compared in millimetres.
        high, wide = (rows, columns) if spacing is None else (rows * spacing[0], columns * spacing[1])
        if fit == "stretch":
            return resize(plane, (size, size))
        side = max(high, wide) if fit == "pad" else min(high, wide)
        scales = (size * high / side / rows, size * wide / side / columns)
    shape = (max(1, round(rows * scales[0])), max(1, round(columns * scales[1])))
    return centred(plane if plane.shape == shape else resize(plane, shape), size, size)
