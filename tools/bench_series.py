"""Speed of the tokenizers of time series and light curves beside NumPy called once a series.

Usage: python tools/bench.py series

What most data sets do in `__getitem__`: scale one series, cut it, look next at the following one. Both encode
the same series in one thread, in turn; the median counts. The ratio holds on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bench_tokenizers import measure

from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.tokenizers.lightcurve import LightCurveTokenizer
from scizoo_timeseries.tokenizers.binned import BinnedTokenizer
from scizoo_timeseries.tokenizers.patches import PatchTokenizer

#: What each tokenizer is compared with.
LOOPS = {
    "timeseries/patch16": "NumPy a series, patches",
    "timeseries/bins1024": "NumPy a series, bins",
    "astronomy/lightcurve": "NumPy a light curve",
}
Encode = Callable[[Sequence[Any]], object]


def patches(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scale by mean and deviation, pad in front, fold into patches of 16."""
    found = []
    for one in series:
        padded = np.concatenate([np.full(-len(one) % 16, np.nan), one])
        scaled = (padded - np.nanmean(one)) / (np.nanstd(one) + 1e-8)
        found.append(np.clip(np.nan_to_num(scaled), -20, 20).astype(np.float32).reshape(-1, 16))
    return found


def bins(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Divide by the mean absolute value and look each value up among 1,024 bins, as Chronos does."""
    edges = np.linspace(-16, 16, 1025)[1:-1]
    return [np.digitize(one / np.nanmean(np.abs(one)), edges).astype(np.int32) + 5 for one in series]


def curves(objects: Sequence[LightCurve]) -> list[np.ndarray]:
    """Centre each band, scale by the deviation, put times and passbands beside."""
    found = []
    for one in objects:
        value = one.value.astype(np.float64).copy()
        for band in np.unique(one.band):
            value[one.band == band] -= np.median(value[one.band == band])
        scale = 1.4826 * np.median(np.abs(value)) + 1e-12
        days = (one.time - one.time[0]) / 100
        found.append(np.stack([-value / scale, one.error / scale, days], axis=1).astype(np.float32))
    return found


def speeds_of(series: int = 2000, length: int = 128, repeats: int = 5) -> dict[str, float]:
    """Measure every contender on drawn series; millions of values a second by name."""
    draw = np.random.default_rng(0)
    values = [draw.standard_normal(length).cumsum() for _ in range(series)]
    objects = [
        LightCurve(
            time=np.sort(draw.uniform(0, 1000, length)),
            value=draw.normal(15, 0.3, length),
            error=np.full(length, 0.02),
            band=np.where(np.arange(length) % 2, "V", "I"),
        )
        for _ in range(series)
    ]
    patch, binned = PatchTokenizer(patch=16, channels=1), BinnedTokenizer()
    unfolded = LightCurveTokenizer(phase="none")
    found = measure(
        {LOOPS["timeseries/patch16"]: patches, "timeseries/patch16": patch.encode}, values, repeats
    )
    found |= measure(
        {LOOPS["timeseries/bins1024"]: bins, "timeseries/bins1024": binned.encode}, values, repeats
    )
    return found | measure(
        {LOOPS["astronomy/lightcurve"]: curves, "astronomy/lightcurve": unfolded.encode}, objects, repeats
    )
