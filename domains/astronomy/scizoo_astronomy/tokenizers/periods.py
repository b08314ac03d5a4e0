"""Periods of light curves, for folding."""

from __future__ import annotations

import numpy as np


def best_period(
    time: np.ndarray,
    value: np.ndarray,
    error: np.ndarray | None = None,
    *,
    max_frequency: float = 8.0,
    samples_per_peak: int = 5,
) -> float | None:
    """Return the period of the highest peak of a Lomb-Scargle periodogram (VanderPlas 2018, ApJS 236:16).

    Parameters
    ----------
    time, value : ndarray, shape (points,)
        Days and brightness; bands should be centred beforehand.
    error : ndarray, shape (points,), optional
        Used where every one is known and positive.
    max_frequency : float
        Highest frequency searched, per day.
    samples_per_peak : int
        How finely frequencies are sampled.

    Returns
    -------
    float or None
        Days; None where there is nothing to fold: fewer than 8 times, or no change at all. For a binary with
        two like minima it is half the orbital period.
    """
    from astropy.timeseries import LombScargle

    span = float(time[-1] - time[0]) if len(time) else 0.0
    if len(time) < 8 or span <= 0 or float(np.ptp(value)) == 0.0:
        return None
    usable = error is not None and np.isfinite(error).all() and bool((error > 0).all())
    search = LombScargle(time - time[0], value, error if usable else None)
    frequency, power = search.autopower(
        minimum_frequency=1.0 / span,
        maximum_frequency=max(max_frequency, 2.0 / span),
        samples_per_peak=samples_per_peak,
        method="fast",
    )
    if not len(power) or not np.isfinite(power).any():
        return None
    return float(1.0 / frequency[int(np.nanargmax(power))])
