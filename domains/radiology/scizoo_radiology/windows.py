"""Windowing: which part of the calibrated values becomes 0 (black) to 1 (white)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo_radiology.images import RadiologyImage, Volume

#: Centre and width in Hounsfield units of the usual display windows of CT.
PRESETS: dict[str, tuple[float, float]] = {
    "abdomen": (50.0, 400.0),
    "angiography": (300.0, 600.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "liver": (60.0, 160.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (40.0, 400.0),
    "soft-tissue": (40.0, 350.0),
    "stroke": (40.0, 40.0),
    "subdural": (75.0, 215.0),
    "temporal-bone": (700.0, 4000.0),
    "wide": (0.0, 2000.0),
}
#: What else a window may be called: by the file, the whole range of the picture, its percentiles, as stored.
OTHERS = ("auto", "file", "range", "percentile", "stored")
#: Percentiles of a picture's own values that become 0 and 1, where its unit is arbitrary.
TAILS = (0.5, 99.5)
#: Of CT where no preset is named.
CT_DEFAULT = "wide"

Window = str | tuple[float, float]


def parse_window(value: Any, key: str = "tokenizer.window") -> Window:
    """Return a window as the name of one, or as centre and width.

    Parameters
    ----------
    value : str or sequence of two numbers
        One of :data:`PRESETS` or :data:`OTHERS`, or centre and width in the unit of the pixels.
    key : str
        What the config calls it, for the message.

    Raises
    ------
    ConfigError
        When it is neither.
    """
    if isinstance(value, str):
        if value not in PRESETS and value not in OTHERS:
            raise ConfigError(
                f"{key}={value} is no window: {did_you_mean(value, [*PRESETS, *OTHERS])}",
                expected="a preset, or [centre, width]",
            )
        return value
    numbers = list(value) if isinstance(value, Sequence) else []
    try:
        centre, width = (float(number) for number in numbers)
    except (TypeError, ValueError):
        centre, width = 0.0, -1.0
    if not width > 0 or not np.isfinite([centre, width]).all():
        raise ConfigError(f"{key}={value} is no window.", expected="a preset, or [centre, width]")
    return (centre, width)


def limits(picture: RadiologyImage | Volume, window: Window = "auto") -> tuple[float, float]:
    """Return the values that become 0 and 1.

    ``auto`` is the preset :data:`CT_DEFAULT` for Hounsfield units, 0 to 255 for pictures of 8 bits, and
    percentiles of the picture's own finite values for all others, whose unit is arbitrary (MR, radiographs).

    Parameters
    ----------
    picture : RadiologyImage or Volume
        Of a volume all slices share one window.
    window : str or (float, float)
        See :func:`parse_window`. ``file`` is what the file proposes (``auto`` where it proposes nothing),
        ``range`` from the lowest to the highest value, ``stored`` 0 to the largest number of the pixels'
        type (of real numbers: to 1).
    """
    if window == "auto":
        if picture.unit == "HU":
            window = CT_DEFAULT
        else:
            window = "stored" if picture.pixels.dtype == np.uint8 else "percentile"
    if window == "file":
        if picture.window is None:
            return limits(picture, "auto")
        window = picture.window
    if isinstance(window, tuple):
        centre, width = window
        return centre - width / 2, centre + width / 2
    if window in PRESETS:
        return limits(picture, PRESETS[window])
    if window == "stored":
        kind = picture.pixels.dtype
        return 0.0, float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
    values = picture.pixels
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (
        (float(known.min()), float(known.max()))
        if window == "range"
        else (float(number) for number in np.percentile(known, TAILS))
    )
    if not high > low:  # nearly all of the picture is its background
        low, high = float(known.min()), float(known.max())
    return low, high


def windowed(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map values to 0 to 1, linearly between the limits; what was not measured (NaN) is black.

    Parameters
    ----------
    values : ndarray of any shape
    low, high : float
        From :func:`limits`.

    Returns
    -------
    ndarray of float32
    """
    span = high - low
    scaled = (values.astype(np.float32) - low) / span if span > 0 else np.zeros(values.shape, np.float32)
    return np.clip(np.nan_to_num(scaled, nan=0.0), 0.0, 1.0).astype(np.float32)
