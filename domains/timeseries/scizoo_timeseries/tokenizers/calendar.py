"""Calendar features: hour of day, day of week and month of year as sines and cosines."""

from __future__ import annotations

import numpy as np

NAMES = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "month_sin", "month_cos")


def calendar_features(stamps: np.ndarray) -> np.ndarray:
    """Return the six features of each stamp.

    Parameters
    ----------
    stamps : ndarray, shape (T,)
        ``datetime64``; step numbers have no calendar.

    Returns
    -------
    ndarray of float64, shape (T, 6)
        NaN for stamps that are no dates.
    """
    if not np.issubdtype(stamps.dtype, np.datetime64):
        return np.full((len(stamps), len(NAMES)), np.nan)
    seconds = stamps.astype("datetime64[s]").astype(np.int64)
    hour = (seconds % 86_400) / 86_400
    weekday = ((seconds // 86_400 + 3) % 7) / 7  # the first day of 1970 was a Thursday
    month = (stamps.astype("datetime64[M]").astype(np.int64) % 12) / 12
    phase = 2 * np.pi * np.stack([hour, weekday, month], axis=1)
    return np.stack([np.sin(phase), np.cos(phase)], axis=2).reshape(len(stamps), len(NAMES))
