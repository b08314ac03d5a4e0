"""Features of a transit search: the best box, and what tells planets from eclipsing binaries.

Sources: Kovács, Zucker & Mazeh 2002 (A&A 391, 369) for box least squares, as astropy.timeseries has it;
Coughlin et al. 2016 (ApJS 224, 12) for the tests on odd and even transits, secondary eclipses and shape.
"""

from __future__ import annotations

import numpy as np

from scizoo_astronomy.objects import LightCurve

NAMES = (
    *("log_period", "power", "excess", "depth", "depth_snr", "duration", "duty", "transits"),
    *("odd_even", "secondary_snr", "secondary_ratio", "ingress", "scatter", "spread"),
)
_DURATIONS = (0.08, 0.16, 0.32)  # days


def transit_features(curve: LightCurve, window: float = 1.0, most: int = 4000) -> np.ndarray:
    """Search a light curve for transits and describe the best; in the order of ``NAMES``.

    Slow changes are taken off by a running median first; a box is then fitted at every period from half a
    day to half of the time spanned.

    Parameters
    ----------
    curve : LightCurve
        Of flux or magnitudes; the brightest band's points are not told apart.
    window : float
        Days of the running median; well above the longest transit.
    most : int
        Periods tried at most.

    Returns
    -------
    ndarray of float64, shape (features,)
        NaN where there is too little to search.
    """
    from astropy.timeseries import BoxLeastSquares

    found = np.full(len(NAMES), np.nan)
    time, light = curve.time, -curve.value if curve.is_magnitude else curve.value
    span = time[-1] - time[0] if len(time) else 0.0
    if len(time) < 20 or span < 2.0:
        return found
    light = light / np.median(light) if not curve.is_magnitude and np.median(light) > 0 else light
    flat = light - _running_median(time, light, window)
    scatter = 1.4826 * float(np.median(np.abs(flat - np.median(flat)))) or float(flat.std()) or 1.0
    search = BoxLeastSquares(time, flat, np.full(len(time), scatter))
    steps = int(min(most, 8 * span / _DURATIONS[0]))
    periods = 1 / np.linspace(1 / (span / 2), 1 / 0.5, steps)
    searched = search.power(periods, np.array(_DURATIONS), objective="snr")
    best = int(np.argmax(searched.power))
    period, duration = float(searched.period[best]), float(searched.duration[best])
    start = float(searched.transit_time[best])
    away = _away(time, start, period)
    within, beside = np.abs(away) < duration / 2, (np.abs(away) > duration) & (np.abs(away) < 4 * duration)
    level = float(np.median(flat[beside])) if beside.any() else 0.0
    depth = level - float(flat[within].mean()) if within.any() else 0.0
    number = np.round((time - start) / period).astype(int)
    odd, even = (_depth(flat, level, within & (number % 2 == side)) for side in (1, 0))
    opposite = np.abs(_away(time, start + period / 2, period)) < duration / 2
    second, count = _depth(flat, level, opposite)
    core = np.abs(away) < duration / 6
    power = np.asarray(searched.power, dtype=np.float64)
    found[:] = [
        np.log10(period),
        power[best],
        (power[best] - np.median(power)) / (1.4826 * np.median(np.abs(power - np.median(power))) or 1.0),
        np.log10(max(depth, 1e-8)),
        depth / scatter * np.sqrt(max(int(within.sum()), 1)),
        duration,
        duration / period,
        len(np.unique(number[within])),
        abs(odd[0] - even[0]) / scatter * np.sqrt(max(min(odd[1], even[1]), 1)),
        second / scatter * np.sqrt(max(count, 1)),
        second / depth if depth > 0 else 0.0,
        _depth(flat, level, core)[0] / depth if depth > 0 and core.any() else 1.0,
        np.log10(scatter),
        np.log10(max(float(light.std()), 1e-8)),
    ]
    return found


def _away(time: np.ndarray, start: float, period: float) -> np.ndarray:
    return np.mod(time - start + period / 2, period) - period / 2


def _depth(flat: np.ndarray, level: float, chosen: np.ndarray) -> tuple[float, int]:
    return (level - float(flat[chosen].mean()) if chosen.any() else 0.0), int(chosen.sum())


def _running_median(time: np.ndarray, light: np.ndarray, window: float) -> np.ndarray:
    first = np.searchsorted(time, time - window / 2)
    last = np.searchsorted(time, time + window / 2, side="right")
    return np.array([np.median(light[a:b]) for a, b in zip(first, last)])
