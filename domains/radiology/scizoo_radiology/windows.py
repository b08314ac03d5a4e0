"""Windows: which values are shown, as named presets of CT, as a file proposes it, or by percentiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo_radiology.images import RadiologyImage

#: Centre and width in HU. Usual settings as teaching references list them (Radiopaedia, "Windowing (CT)");
#: sites differ by some tens of HU.
CT_PRESETS: dict[str, tuple[float, float]] = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "soft-tissue": (50.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "subdural": (75.0, 215.0),
    "stroke": (40.0, 40.0),
    "temporal-bone": (600.0, 2800.0),
    "liver": (30.0, 150.0),
    "angio": (200.0, 600.0),
    "spine": (50.0, 250.0),
}
#: What stands for a window that depends on the picture.
AUTO, FILE = "auto", "file"

Window = str | Sequence[float]


def check_window(window: Window) -> Window:
    """Return a window that can be used, pairs as a tuple.

    Parameters
    ----------
    window : str or (float, float)
        A name in :data:`CT_PRESETS`, ``"auto"``, ``"file"``, or centre and width.

    Raises
    ------
    ConfigError
        When there is no such preset, or the pair is none.
    """
    if isinstance(window, str):
        known = (*CT_PRESETS, AUTO, FILE)
        if window not in known:
            raise ConfigError(
                f"there is no window '{window}': {did_you_mean(window, known)}",
                expected="a preset, auto, file, or [centre, width]",
            )
        return window
    pair = tuple(float(number) for number in window)
    if len(pair) != 2 or not np.isfinite(pair).all() or pair[1] <= 0:
        raise ConfigError(
            f"the window {list(window)} cannot be used.", expected="[centre, width], width above 0"
        )
    return pair


def limits(
    image: RadiologyImage, window: Window, percentiles: tuple[float, float] = (0.5, 99.5)
) -> tuple[float, float]:
    """Return the values that a window shows as black and as white.

    Parameters
    ----------
    image : RadiologyImage
    window : str or (float, float)
        A preset holds for pictures in HU; others get ``auto``. ``auto`` is between two percentiles of the
        picture. ``file`` is what the file proposes, and ``auto`` where it proposes none.
    percentiles : (float, float)
    """
    window = check_window(window)
    if window == FILE:
        window = image.window if image.window is not None else AUTO
    if isinstance(window, str) and window in CT_PRESETS:
        window = CT_PRESETS[window] if image.unit == "HU" else AUTO
    if window == AUTO:
        values = image.pixels
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        low, high = (float(value) for value in np.percentile(values, percentiles))
        return (low, high) if high > low else (float(values.min()), float(values.max()))
    centre, width = (float(number) for number in window)
    return centre - width / 2, centre + width / 2


def apply_window(
    image: RadiologyImage, window: Window = AUTO, percentiles: tuple[float, float] = (0.5, 99.5)
) -> np.ndarray:
    """Return the picture from 0 (black) to 1 (white), clipped to a window.

    The function is DICOM's LINEAR_EXACT (PS3.3, C.11.2.1.3.2). Values that are not finite become 0.

    Parameters
    ----------
    image, window, percentiles
        As in :func:`limits`.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
    """
    low, high = limits(image, window, percentiles)
    values = image.values
    if not high > low:  # every pixel alike
        return np.zeros(values.shape, dtype=np.float32)
    shown = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0).astype(np.float32)
