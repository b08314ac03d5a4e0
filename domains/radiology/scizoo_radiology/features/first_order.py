"""First-order statistics of pixel values, as the Image Biomarker Standardisation Initiative defines them.

Names, definitions and the values on its digital phantom are those of the IBSI reference manual (Zwanenburg et
al. 2020, Radiology 295, 328-338; arXiv 1612.07003), sections 3.3 (intensity-based) and 3.4 (histogram).
"""

from __future__ import annotations

import numpy as np

#: Intensity-based statistics in the order in which :func:`first_order` gives them.
NAMES = (
    *("mean", "variance", "skewness", "excess_kurtosis", "median", "minimum", "p10", "p90", "maximum"),
    *("interquartile_range", "range", "mean_absolute_deviation", "robust_mean_absolute_deviation"),
    *("median_absolute_deviation", "coefficient_of_variation", "quartile_dispersion", "energy", "rms"),
)
#: Statistics of the histogram of discretised values.
HISTOGRAM_NAMES = ("histogram_entropy", "histogram_uniformity")


def first_order(values: np.ndarray) -> np.ndarray:
    """Return intensity-based statistics.

    Parameters
    ----------
    values : ndarray of float, shape (pixels,)
        Of the region, finite.

    Returns
    -------
    ndarray of float64, shape (18,)
        As :data:`NAMES`; NaN where a quotient is undefined.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    mean = x.mean()
    centred = x - mean
    variance = float((centred**2).mean())
    low, p25, median, p75, p10, p90 = np.percentile(x, [0, 25, 50, 75, 10, 90])
    robust = x[(x >= p10) & (x <= p90)]
    flat = variance <= 1e-24
    return np.array(
        [
            mean,
            variance,
            0.0 if flat else float((centred**3).mean()) / variance**1.5,
            0.0 if flat else float((centred**4).mean()) / variance**2 - 3.0,
            median,
            low,
            p10,
            p90,
            x.max(),
            p75 - p25,
            x.max() - low,
            np.abs(centred).mean(),
            np.abs(robust - robust.mean()).mean(),
            np.abs(x - median).mean(),
            np.sqrt(variance) / mean if mean else np.nan,
            (p75 - p25) / (p75 + p25) if p75 + p25 else np.nan,
            (x**2).sum(),
            np.sqrt((x**2).mean()),
        ]
    )


def histogram(levels: np.ndarray, count: int) -> np.ndarray:
    """Return entropy (in bits) and uniformity of discretised values.

    Parameters
    ----------
    levels : ndarray of int, shape (pixels,)
        From 1 to ``count``.
    count : int
    """
    share = np.bincount(np.asarray(levels).ravel(), minlength=count + 1)[1:] / max(1, np.size(levels))
    known = share[share > 0]
    return np.array([-(known * np.log2(known)).sum(), (share**2).sum()])


def discretised(values: np.ndarray, count: int = 32) -> np.ndarray:
    """Return levels 1 to ``count`` by a fixed number of bins between the extremes (IBSI 2.7).

    Parameters
    ----------
    values : ndarray of float
    count : int

    Returns
    -------
    ndarray of int64, of the same shape
    """
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.ones(values.shape, dtype=np.int64)
    levels = np.floor(count * (values - low) / (high - low)).astype(np.int64) + 1
    return np.minimum(levels, count)
