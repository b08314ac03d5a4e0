"""Radiomics-like features of whole pictures: first-order statistics, texture at two scales, a layout."""

from __future__ import annotations

import numpy as np

from scizoo_radiology.features import first_order, texture
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.resample import resize
from scizoo_radiology.tokenizers.image import scaled, shown_limits

LEVELS = 16  # grey levels of co-occurrence; more leave matrices of small pictures empty
LAYOUT = 8  # rows and columns of the cells whose means tell where it is bright
_SIDE = 128  # larger pictures are reduced first: texture of single pixels is noise of the detector
_SLICES = 5  # of a volume so many are described, and their features averaged


def names() -> tuple[str, ...]:
    """Return the names of the features, in order."""
    scales = tuple(f"{name}_at_{distance}" for distance in (1, 2) for name in texture.NAMES)
    cells = tuple(f"cell_{row}_{column}" for row in range(LAYOUT) for column in range(LAYOUT))
    return (
        *first_order.NAMES,
        *first_order.HISTOGRAM_NAMES,
        *scales,
        *texture.LBP_NAMES,
        *texture.GRADIENT_NAMES,
        *cells,
    )


def radiomics(picture: RadiologyImage | Volume) -> np.ndarray:
    """Return the features of a picture; of a volume their mean over slices evenly through it.

    First-order statistics are of the calibrated values; texture, gradients and layout of the picture as
    shown, from black (0) to white (1), since arbitrary units differ from picture to picture. There is no
    segmented region: the whole picture is described, so that these are IBSI's definitions on another region
    than its own.

    Returns
    -------
    ndarray of float64, shape (145,)
        As :func:`names`; NaN where a feature is undefined.
    """
    low, high = shown_limits(picture, "calibrated")
    if isinstance(picture, RadiologyImage):
        return _plane(picture.values, low, high)
    count = len(picture.pixels)
    chosen = ((np.arange(min(_SLICES, count)) + 0.5) * count / min(_SLICES, count)).astype(int)
    return np.mean([_plane(picture.pixels[index].astype(np.float32), low, high) for index in chosen], axis=0)


def _plane(values: np.ndarray, low: float, high: float) -> np.ndarray:
    known = values[np.isfinite(values)]
    if not len(known):
        return np.full(len(names()), np.nan)
    shown = scaled(values, low, high)
    longest = max(shown.shape)
    if longest > _SIDE:
        rows, columns = (max(3, round(side * _SIDE / longest)) for side in shown.shape)
        shown = resize(shown, (rows, columns))
    levels = first_order.discretised(shown, LEVELS)
    return np.concatenate(
        [
            first_order.first_order(known),
            first_order.histogram(levels, LEVELS),
            texture.texture(levels, LEVELS, 1),
            texture.texture(levels, LEVELS, 2),
            texture.local_binary_patterns(shown),
            texture.gradients(shown),
            resize(shown, (LAYOUT, LAYOUT)).ravel(),
        ]
    )


def pixels(picture: RadiologyImage | Volume, side: int = 28) -> np.ndarray:
    """Return the picture itself at ``side`` by ``side`` pixels, flat; of a volume its middle slice."""
    low, high = shown_limits(picture, "calibrated")
    values = picture.pixels
    plane = values if values.ndim == 2 else values[len(values) // 2]
    return resize(scaled(plane, low, high), (side, side)).ravel()
