"""Directions and distances: stacks of slices into volumes whose axes run to S, P and L."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo_radiology.images import Volume
from scizoo_radiology.readers.files import UnusableError

_PLANES = ("axial", "coronal", "sagittal")  # by the axis S, P, L that the slices follow
_UNEVEN = 0.05  # of the distance of two slices


class BrokenOrientationError(UnusableError):
    """Orientation tags that cannot be true."""


def directions(cosines: Sequence[float]) -> np.ndarray:
    """Check DICOM's Image Orientation (Patient).

    Parameters
    ----------
    cosines : sequence of 6 floats
        Direction of growing columns, then of growing rows, in LPS.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Rows: unit vectors along columns, along rows, and across the slice.

    Raises
    ------
    BrokenOrientationError
        When they are not two unit vectors at a right angle.
    """
    numbers = np.asarray(cosines, dtype=np.float64)
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        raise BrokenOrientationError("its orientation is not six numbers")
    across, down = numbers[:3], numbers[3:]
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(across @ down) > 0.02:
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise BrokenOrientationError(f"its orientation ({shown}) is not two unit vectors at a right angle")
    across, down = across / lengths[0], down / lengths[1]
    return np.stack([across, down, np.cross(across, down)])


def slice_affine(axes: np.ndarray, position: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the affine from (column, row, slice, 1) to LPS.

    Parameters
    ----------
    axes : ndarray, shape (3, 3)
        As :func:`directions` gives.
    position : ndarray, shape (3,)
        Centre of the first voxel, in millimetres.
    spacing : (float, float, float)
        Along slices, rows and columns.
    """
    affine = np.eye(4)
    affine[:3, 0] = axes[0] * spacing[2]
    affine[:3, 1] = axes[1] * spacing[1]
    affine[:3, 2] = axes[2] * spacing[0]
    affine[:3, 3] = position
    return affine


def to_spl(pixels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Turn and flip a volume so that its axes run nearest to S, P and L; no value is interpolated.

    Parameters
    ----------
    pixels : ndarray, shape (slices, rows, columns)
    affine : ndarray, shape (4, 4)
        From (column, row, slice, 1) to LPS.

    Returns
    -------
    pixels : ndarray, shape (slices, rows, columns)
    affine : ndarray, shape (4, 4)
        Of the turned volume.
    acquired : str
        The plane of the slices before.

    Raises
    ------
    BrokenOrientationError
        When the affine is singular.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise BrokenOrientationError("its affine cannot be inverted")
    along = io_orientation(affine)  # of columns, rows, slices: which of L, P, S, and the sign
    if np.isnan(along).any():
        raise BrokenOrientationError("its affine leaves an axis without a direction")
    turned = apply_orientation(pixels.transpose(2, 1, 0), along)
    acquired = _PLANES[2 - int(along[2, 0])]
    return turned.transpose(2, 1, 0), affine @ inv_ornt_aff(along, pixels.shape[::-1]), acquired


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Return the millimetres along slices, rows and columns."""
    columns, rows, slices = np.linalg.norm(affine[:3, :3], axis=0)
    return float(slices), float(rows), float(columns)


def even_step(places: np.ndarray) -> float:
    """Return the distance from slice to slice.

    Parameters
    ----------
    places : ndarray, shape (slices,)
        Millimetres along the normal, ascending.

    Raises
    ------
    UnusableError
        When the distances differ: a slice is missing, or stands there twice.
    """
    steps = np.diff(places)
    step = float(np.median(steps))
    if step <= 0 or np.abs(steps - step).max() > max(_UNEVEN * step, 0.02):
        worst = int(np.argmax(np.abs(steps - step)))
        raise UnusableError(
            f"its slices are not at even distances: {steps[worst]:.2f} mm after slice {worst + 1}, "
            f"else {step:.2f} mm; add what is missing, or read slices as they are with data.plane=acquired"
        )
    return step


def place_volume(pixels: np.ndarray, affine: np.ndarray | None, **about: object) -> Volume:
    """Make a volume, turned to S, P and L where its affine is known."""
    if affine is None:
        return Volume(pixels, oriented=False, **about)  # type: ignore[arg-type]
    turned, placed, acquired = to_spl(pixels, affine)
    about["spacing"] = spacing_of(placed)
    return Volume(turned, affine=placed, acquired=acquired, **about)  # type: ignore[arg-type]
