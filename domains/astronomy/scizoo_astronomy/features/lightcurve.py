"""Features of light curves, as catalogues of variable stars are classified by.

Sources: Richards et al. 2011 (ApJ 733, 10) and 2012 (ApJS 203, 32); Debosscher et al. 2007 (A&A 475, 1159)
for the harmonics; Stetson 1996 (PASP 108, 851) for J and K; von Neumann 1941, as used by Shin et al. 2009
(MNRAS 400, 1897), for eta; Kim et al. 2014 (A&A 566, A43) for the cumulative-sum range and the folded eta;
Dubath et al. 2011 (MNRAS 414, 2602) for the scatter on twice the period; Nun et al. 2015 (arXiv 1506.00010)
collects them.
"""

from __future__ import annotations

import numpy as np

from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.periodogram import Peak, best_peak

HARMONICS = 4
_FLUX_RATIOS = (20, 35, 50, 65, 80)
TIMELESS = (
    *("level", "deviation", "amplitude", "amplitude_90", "skew", "kurtosis", "small_kurtosis", "mad", "iqr"),
    *("near_median", "beyond_1", "beyond_2", "skew_high", "skew_low", "chi2", "stetson_k", "stetson_j"),
    *("eta", "eta_time", "cusum_range", "trend", "max_slope", "noise", "excess"),
    *(f"flux_ratio_{percent}" for percent in _FLUX_RATIOS),
)
PERIODIC = (
    *("log_period", "power", "log_period_2", "power_2", "period_ratio", "explained", "log_amplitude"),
    *(f"r{k}1" for k in range(2, HARMONICS + 1)),
    *(f"{turn}_phi{k}1" for k in range(2, HARMONICS + 1) for turn in ("cos", "sin")),
    *("rise", "model_skew", "folded_eta", "folded_eta_double", "double_scatter", "minima_difference"),
    *("minima_phase", "eclipse_width", "folded_cusum"),
)
NAMES = (*TIMELESS, *PERIODIC)


def light_curve_features(curve: LightCurve, max_frequency: float = 20.0) -> np.ndarray:
    """Compute all features of a light curve, in the order of ``NAMES``; NaN where one has no meaning.

    Of several bands the one with most points gives the shape; the period is searched in all bands, each
    centred. Bright is large in every feature, also for magnitudes.

    Parameters
    ----------
    curve : LightCurve
    max_frequency : float
        Highest frequency that is searched, per day.

    Returns
    -------
    ndarray of float64, shape (features,)
    """
    bands, counts = np.unique(curve.band, return_counts=True)
    main = curve if len(bands) == 1 else curve.select(curve.band == bands[counts.argmax()])
    sign = -1.0 if curve.is_magnitude else 1.0
    height, error = sign * main.value, main.error
    with np.errstate(all="ignore"):
        timeless = _timeless(main.time, height, error, main.value)
        centred, errors = _centred(curve, sign)
        peak = best_peak(curve.time, centred, errors, max_frequency=max_frequency)
        periodic = np.full(len(PERIODIC), np.nan)
        if peak is not None and len(main) >= 8:
            periodic = _periodic(curve.time, centred, main.time, height, error, peak, max_frequency)
    return np.concatenate([timeless, periodic])


def band_features(curve: LightCurve, bands: tuple[str, ...]) -> np.ndarray:
    """Compute mean and spread in each band against all bands, shape (2 * bands,); NaN without points."""
    sign = -1.0 if curve.is_magnitude else 1.0
    height, found = sign * curve.value, []
    for band in bands:
        here = height[curve.band == band]
        found += [here.mean() - height.mean(), here.std()] if len(here) else [np.nan, np.nan]
    return np.array(found)


def _centred(curve: LightCurve, sign: float) -> tuple[np.ndarray, np.ndarray]:
    height, error = sign * curve.value, curve.error
    if len(curve.bands) == 1:
        return height, error
    centred = height.copy()
    for band in curve.bands:
        here = curve.band == band
        centred[here] -= np.median(height[here])
    return centred, error


def _timeless(time: np.ndarray, height: np.ndarray, error: np.ndarray, raw: np.ndarray) -> np.ndarray:
    count = len(height)
    deviation = height.std()
    median = np.median(height)
    centred = height - height.mean()
    low, high = height.min(), height.max()
    percentiles = np.percentile(height, [5, 25, 50, 75, 95])
    absolute = np.abs(height - median)
    skew = (centred**3).mean() / deviation**3
    kurtosis = (centred**4).mean() / deviation**4 - 3
    small = (
        count
        * (count + 1)
        / ((count - 1) * (count - 2) * (count - 3))
        * ((centred / height.std(ddof=1)) ** 4).sum()
        - 3 * (count - 1) ** 2 / ((count - 2) * (count - 3))
        if count > 3
        else np.nan
    )
    known = np.isfinite(error) & (error > 0)
    sigma = np.where(known, error, np.median(error[known]) if known.any() else np.nan)
    weight = 1 / sigma**2
    weighted = (weight * height).sum() / weight.sum()
    delta = np.sqrt(count / max(count - 1, 1)) * (height - weighted) / sigma
    stetson_k = np.abs(delta).mean() / np.sqrt((delta**2).mean())
    step = np.diff(height)
    gap = np.diff(time)
    near = gap < max(5 * np.median(gap), 1e-9) if len(gap) else np.zeros(0, bool)
    product = delta[1:] * delta[:-1]
    stetson_j = (np.sign(product) * np.sqrt(np.abs(product)))[near].mean() if near.any() else np.nan
    eta = (step**2).mean() / height.var() if len(step) else np.nan
    slopes = step[gap > 0] / gap[gap > 0]
    eta_time = (
        np.log10((1 / gap[gap > 0] ** 2).mean() * (time[-1] - time[0]) ** 2)
        + np.log10(((step[gap > 0] / gap[gap > 0]) ** 2).sum() / (1 / gap[gap > 0] ** 2).sum() / height.var())
        if (gap > 0).any()
        else np.nan
    )
    cusum = np.cumsum(centred) / (count * deviation)
    span = np.ptp(time)
    trend = np.polyfit((time - time[0]) / span, height, 1)[0] / deviation if span > 0 else np.nan
    noise = np.median(sigma)
    spread = percentiles[4] - percentiles[0]
    level = -median if np.array_equal(raw, -height) else np.sign(median) * np.log10(1 + np.abs(median))
    ratios = []
    for percent in _FLUX_RATIOS:
        inner = np.percentile(height, [50 - percent / 2, 50 + percent / 2])
        ratios.append((inner[1] - inner[0]) / spread)
    return np.array(
        [
            level,
            np.log10(deviation),
            np.log10((high - low) / 2),
            np.log10(spread),
            skew,
            np.arcsinh(kurtosis),
            np.arcsinh(small),
            np.median(absolute) / deviation,
            (percentiles[3] - percentiles[1]) / deviation,
            (absolute < (high - low) / 10).mean(),
            (np.abs(centred) > deviation).mean(),
            (np.abs(centred) > 2 * deviation).mean(),
            (percentiles[4] - median) / deviation,
            (median - percentiles[0]) / deviation,
            np.log10(((height - weighted) ** 2 * weight).mean()),
            stetson_k,
            stetson_j,
            eta,
            eta_time,
            np.ptp(cusum),
            trend,
            np.log10(np.percentile(np.abs(slopes), 90)) if len(slopes) else np.nan,
            np.log10(noise),
            np.log10(max(deviation**2 - noise**2, 1e-10) ** 0.5),
            *ratios,
        ]
    )


def _design(phase: np.ndarray, harmonics: int) -> np.ndarray:
    angle = 2 * np.pi * phase[:, None] * np.arange(1, harmonics + 1)
    return np.hstack([np.ones((len(phase), 1)), np.cos(angle), np.sin(angle)])


def harmonic_fit(
    time: np.ndarray, height: np.ndarray, error: np.ndarray, period: float, harmonics: int = HARMONICS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit a Fourier series ``a_0 + sum_k A_k cos(2 pi k t / P + phi_k)``.

    A weak ridge keeps the harmonics small where the phases leave gaps.

    Returns
    -------
    amplitude, phase : ndarray, shape (harmonics,)
        ``A_k`` and ``phi_k`` in radians, with time counted from the first point.
    model : ndarray, shape (points,)
    """
    known = np.isfinite(error) & (error > 0)
    weight = 1 / np.where(known, error, np.median(error[known])) if known.any() else np.ones(len(height))
    # Underestimated errors of a few points must not decide all.
    weight = np.clip(weight / np.median(weight), 0.2, 5.0)
    design = _design((time - time[0]) / period, harmonics)
    left = (design * weight[:, None] ** 2).T @ design
    ridge = 1e-3 * np.trace(left) / len(left) * np.diag([0.0, *np.repeat(1.0, 2 * harmonics)])
    solution = np.linalg.solve(left + ridge, (design * weight[:, None] ** 2).T @ height)
    cosine, sine = solution[1 : harmonics + 1], solution[harmonics + 1 :]
    return np.hypot(cosine, sine), np.arctan2(-sine, cosine), design @ solution


def _eta(phase: np.ndarray, height: np.ndarray) -> float:
    ordered = height[np.argsort(phase, kind="stable")]
    return float((np.diff(ordered, append=ordered[:1]) ** 2).mean() / height.var())


def _periodic(
    time_all: np.ndarray,
    height_all: np.ndarray,
    time: np.ndarray,
    height: np.ndarray,
    error: np.ndarray,
    peak: Peak,
    max_frequency: float,
) -> np.ndarray:
    period = peak.period
    harmonics = min(HARMONICS, max(1, (len(time) - 3) // 3))
    amplitude, angle, model = harmonic_fit(time, height, error, period, harmonics)
    ratio = np.full(HARMONICS - 1, np.nan)
    relative = np.full(HARMONICS - 1, np.nan)
    ratio[: harmonics - 1] = amplitude[1:] / amplitude[0]
    relative[: harmonics - 1] = angle[1:] - np.arange(2, harmonics + 1) * angle[0]
    explained = 1 - (height - model).var() / height.var()
    flat = np.full(len(time_all), np.nan)
    _, _, fitted = harmonic_fit(time_all, height_all, flat, period, harmonics)
    second = best_peak(time_all, height_all - fitted, None, max_frequency=max_frequency)
    grid = np.arange(200) / 200
    k = np.arange(1, harmonics + 1)
    shape = (amplitude * np.cos(2 * np.pi * grid[:, None] * k + angle)).sum(axis=1)
    rise = ((shape.argmax() - shape.argmin()) % 200) / 200
    model_skew = ((shape - shape.mean()) ** 3).mean() / shape.std() ** 3
    phase = ((time - time[0]) / period) % 1
    double = ((time - time[0]) / (2 * period)) % 1
    ordered = height[np.argsort(phase, kind="stable")]
    cusum = np.ptp(np.cumsum(ordered - ordered.mean()) / (len(ordered) * height.std()))
    depth, apart, width = _minima(double, height)
    return np.array(
        [
            np.log10(period),
            peak.power,
            np.log10(second.period) if second else np.nan,
            second.power if second else np.nan,
            np.log10(second.period / period) if second else np.nan,
            explained,
            np.log10(amplitude[0]),
            *ratio,
            *np.stack([np.cos(relative), np.sin(relative)], axis=1).reshape(-1),
            rise,
            model_skew,
            _eta(phase, height),
            _eta(double, height),
            _scatter(double, height) / max(_scatter(phase, height), 1e-12),
            depth,
            apart,
            width,
            cusum,
        ]
    )


def _scatter(phase: np.ndarray, height: np.ndarray) -> float:
    ordered = height[np.argsort(phase, kind="stable")]
    return float(np.median(np.abs(np.diff(ordered))))


def _minima(phase: np.ndarray, height: np.ndarray, bins: int = 40) -> tuple[float, float, float]:
    """Compare the two deepest minima of a curve folded on twice its period, as of an eclipsing binary.

    Returns
    -------
    difference, apart, width : float
        Of their depths and phases, and the share of phases below half of the deeper one's depth.
    """
    place = np.minimum((phase * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    mean = np.where(counts > 0, np.bincount(place, height, minlength=bins) / np.maximum(counts, 1), np.nan)
    if np.isfinite(mean).sum() < bins // 2:
        return np.nan, np.nan, np.nan
    top = np.nanpercentile(mean, 90)
    first = int(np.nanargmin(mean))
    away = np.abs((np.arange(bins) - first + bins // 2) % bins - bins // 2)
    rest = np.where(away >= bins // 5, mean, np.nan)
    if not np.isfinite(rest).any():
        return np.nan, np.nan, np.nan
    other = int(np.nanargmin(rest))
    depth = top - mean[first]
    if depth <= 0:
        return np.nan, np.nan, np.nan
    width = np.nanmean(mean < top - depth / 2)
    return float((rest[other] - mean[first]) / depth), float(away[other] / bins), float(width)
