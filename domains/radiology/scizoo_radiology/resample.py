"""Pictures and volumes at another spacing or size; averages where they shrink, so that nothing is skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scizoo_radiology.images import RadiologyImage, Volume


def resize(pixels: np.ndarray, shape: tuple[int, int], labels: bool = False) -> np.ndarray:
    """Resize a picture.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns)
    shape : (int, int)
        Rows and columns of the result.
    labels : bool
        Whether the values are classes: then the nearest one is taken, and the type is kept. Else they are
        interpolated linearly, over a wider support where the picture shrinks (antialiased).

    Returns
    -------
    ndarray of float32, or of the type of ``pixels``
    """
    from PIL import Image

    if labels:
        rows = _nearest(pixels.shape[0], shape[0])
        return np.ascontiguousarray(pixels[rows][:, _nearest(pixels.shape[1], shape[1])])
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)


def _nearest(have: int, want: int) -> np.ndarray:
    return np.minimum(((np.arange(want) + 0.5) * have / want).astype(int), have - 1)


def _sized(count: int, spacing: float, wanted: float) -> int:
    return max(1, round(count * spacing / wanted))


def resample(image: RadiologyImage, spacing: Sequence[float]) -> RadiologyImage:
    """Bring a picture to a spacing.

    Parameters
    ----------
    image : RadiologyImage
    spacing : (float, float)
        Millimetres from row to row and from column to column.

    Returns
    -------
    RadiologyImage
        Its spacing is what whole rows and columns give: the wanted one within half a pixel over the side.

    Raises
    ------
    ValueError
        When the picture states no spacing.
    """
    if image.spacing is None:
        raise ValueError(
            "it states no pixel spacing, so that it cannot be brought to one; state it with "
            "data.assume_spacing=[ROWS,COLUMNS] in mm, or leave data.spacing out"
        )
    pairs = zip(image.shape, image.spacing, spacing, strict=True)
    rows, columns = (_sized(count, have, want) for count, have, want in pairs)
    if (rows, columns) == image.shape:
        return image
    return _at_size(image, (rows, columns))


def shrink(image: RadiologyImage, max_side: int) -> RadiologyImage:
    """Bring a picture's longer side to ``max_side`` pixels where it is longer; the ratio of sides is kept."""
    longest = max(image.shape)
    if longest <= max_side:
        return image
    rows, columns = (max(1, round(side * max_side / longest)) for side in image.shape)
    return _at_size(image, (rows, columns))


def _at_size(image: RadiologyImage, shape: tuple[int, int]) -> RadiologyImage:
    pixels = resize(image.pixels, shape)
    if image.pixels.dtype.kind != "f":  # rounded as the file's own values are
        pixels = np.rint(pixels)
    spacing = image.spacing
    if spacing is not None:
        sides = zip(image.shape, shape, spacing, strict=True)
        rows, columns = (step * before / after for before, after, step in sides)
        spacing = (rows, columns)
    return image.with_pixels(pixels, spacing)


def resample_volume(volume: Volume, spacing: Sequence[float], labels: bool = False) -> Volume:
    """Bring a volume to a spacing.

    Parameters
    ----------
    volume : Volume
    spacing : (float, float, float)
        Millimetres along slices, rows and columns.
    labels : bool
        Whether the voxels are classes.

    Raises
    ------
    ValueError
        When the volume states no spacing.
    """
    if volume.spacing is None:
        raise ValueError(
            "it states no spacing, so that it cannot be brought to one; state it with "
            "data.assume_spacing=[SLICES,ROWS,COLUMNS] in mm, or leave data.spacing out"
        )
    old = volume.pixels.shape
    new = tuple(_sized(c, have, want) for c, have, want in zip(old, volume.spacing, spacing, strict=True))
    if new == old:
        return volume
    flat = np.stack([resize(one, (new[1], new[2]), labels) for one in volume.pixels])
    across = resize(flat.reshape(old[0], -1), (new[0], new[1] * new[2]), labels).reshape(new)
    if volume.pixels.dtype.kind != "f" and not labels:
        across = np.rint(across)
    scale = np.array([before / after for before, after in zip(old, new, strict=True)])
    deep, high, wide = (float(step) for step in np.array(volume.spacing) * scale)
    affine = volume.affine
    if affine is not None:
        # Columns of the affine belong to columns, rows, slices; the centre of the first voxel moves.
        factors = scale[::-1]
        affine = affine.copy()
        affine[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2)
        affine[:3, :3] = affine[:3, :3] * factors
    return replace(volume, pixels=across, spacing=(deep, high, wide), affine=affine)
