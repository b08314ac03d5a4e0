"""Synthetic series to pre-train on: sums and products of random functions, and mixes of real series.

The compositions follow KernelSynth and TSMixup (Ansari et al. 2024, arXiv 2403.07815). KernelSynth draws from
a Gaussian process by factorising its covariance, cubic in the length; here each kernel's function is drawn
from its spectrum (random Fourier features, Rahimi and Recht 2007), linear in the length, and functions are
added or multiplied where KernelSynth does so with kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Periods in steps: hours, days, weeks, months, quarters, and minutes of several widths.
PERIODS = (4, 5, 6, 7, 10, 12, 14, 24, 26, 30, 48, 52, 60, 96, 144, 168, 288, 336, 365)
_FEATURES = 16
_KINDS = ("periodic", "periodic", "periodic", "smooth", "rough", "trend", "walk", "noise")


def _periodic(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Draw a function of one period with a random number of harmonics, as a periodic kernel's."""
    period = float(rng.choice(PERIODS)) if rng.random() < 0.85 else float(np.exp(rng.uniform(1.4, 6.0)))
    harmonics = min(int(rng.integers(1, 9)), max(1, int(period // 2)))
    order = np.arange(1, harmonics + 1)
    size = rng.normal(size=(2, harmonics)) * order ** -rng.uniform(0.3, 1.5)
    phase = 2 * np.pi * order[:, None] * time[None] / period
    return size[0] @ np.cos(phase) + size[1] @ np.sin(phase)


def _stationary(rng: np.random.Generator, time: np.ndarray, rough: bool) -> np.ndarray:
    """Draw a smooth function: of a radial basis kernel, or of a rational quadratic one of many scales."""
    scale = len(time) * np.exp(rng.uniform(np.log(0.01), np.log(0.5)))
    frequency = rng.normal(size=_FEATURES) / scale
    if rough:
        frequency *= np.sqrt(rng.gamma(1.0, 1.0, size=_FEATURES))
    phase = rng.uniform(0, 2 * np.pi, size=_FEATURES)
    return np.sqrt(2 / _FEATURES) * np.cos(frequency[:, None] * time[None] + phase[:, None]).sum(axis=0)


def _trend(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Draw a straight line, or one that bends once."""
    place = time / len(time)
    line = rng.normal() * place
    if rng.random() < 0.3:
        line += rng.normal() * 2 * np.maximum(place - rng.uniform(0.1, 0.9), 0)
    return 2 * line


def _walk(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """Draw a random walk that returns to its mean more or less."""
    from scipy.signal import lfilter

    pull = 1 - np.exp(rng.uniform(-7, -0.7))
    found = lfilter([1.0], [1.0, -pull], rng.normal(size=len(time)))
    return found / max(float(found.std()), 1e-9)


def draw_function(rng: np.random.Generator, length: int) -> np.ndarray:
    """Draw one random function of unit size, shape (length,)."""
    time = np.arange(length, dtype=np.float64) + rng.integers(0, 1000)
    kind = str(rng.choice(_KINDS))
    if kind == "periodic":
        found = _periodic(rng, time)
    elif kind in ("smooth", "rough"):
        found = _stationary(rng, time, kind == "rough")
    elif kind == "trend":
        found = _trend(rng, np.arange(length, dtype=np.float64))
    elif kind == "walk":
        found = _walk(rng, time)
    else:
        found = rng.normal(size=length)
    spread = float(found.std())
    return found / spread if spread > 1e-9 else found


def kernel_series(rng: np.random.Generator, length: int, most: int = 5) -> np.ndarray:
    """Draw one synthetic series.

    Parameters
    ----------
    rng : numpy.random.Generator
    length : int
    most : int
        Functions that are composed at most.

    Returns
    -------
    ndarray of float64, shape (length,)
    """
    series = draw_function(rng, length)
    for _ in range(int(rng.integers(0, most))):
        other = draw_function(rng, length) * np.exp(rng.normal(0, 0.5))
        series = series + other if rng.random() < 0.7 else series * other
    series = series + rng.normal(size=length) * float(series.std()) * np.exp(rng.uniform(-5, -0.7))
    return _weathered(rng, series)


def _weathered(rng: np.random.Generator, series: np.ndarray) -> np.ndarray:
    """Give a series what measured ones have: growth, jumps, spikes, counts, zeros."""
    length = len(series)
    spread = max(float(series.std()), 1e-9)
    chance = rng.random(6)
    if chance[0] < 0.15:  # multiplicative growth
        series = np.exp(np.clip(series / spread * rng.uniform(0.1, 0.8), -5, 5))
    if chance[1] < 0.1:
        series = series + (np.arange(length) >= rng.integers(0, length)) * rng.normal() * 3 * spread
    if chance[2] < 0.1:
        hits = rng.random(length) < rng.uniform(0.002, 0.02)
        series = series + hits * rng.normal(size=length) * 5 * spread
    if chance[3] < 0.1:  # nothing below zero, as sunshine or demand
        series = np.maximum(series - np.quantile(series, rng.uniform(0, 0.5)), 0)
    if chance[4] < 0.1:
        series = np.round(series / max(float(series.std()), 1e-9) * rng.uniform(1, 20))
    if chance[5] < 0.5:
        series = series + rng.normal() * 10 * max(float(series.std()), 1e-9)
    return series


def mix(rng: np.random.Generator, windows: Sequence[np.ndarray]) -> np.ndarray:
    """Mix real windows of equal length: Dirichlet weights over mean-scaled values (TSMixup).

    Parameters
    ----------
    rng : numpy.random.Generator
    windows : sequence of ndarray, shape (T,)
        NaN where missing in any of them.

    Returns
    -------
    ndarray of float64, shape (T,)
    """
    weights = rng.dirichlet(np.full(len(windows), 1.5))
    mixed = np.zeros(len(windows[0]))
    for weight, window in zip(weights, windows):
        known = window[np.isfinite(window)]
        size = float(np.abs(known).mean()) if len(known) else 1.0
        mixed = mixed + weight * window / (size if size > 0 else 1.0)
    return mixed
