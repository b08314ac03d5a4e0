"""The metrics of quantile forecasts, in the form of :mod:`scizoo.evaluation.resampled`.

Each function takes weights (B, N), one row a replicate, and gives (B,) values, NaN where undefined. Steps
whose truth is unknown are left out. The point forecast is the median.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

#: Ratios to the floor are kept within these bounds, so that no series decides alone.
RATIOS = (0.01, 100.0)

Resample = Callable[[Outputs, np.ndarray], np.ndarray]


def value(function: Resample) -> Callable[[Outputs, np.ndarray | None], float]:
    """Make the single value of a metric from its form for many weightings."""

    def one(outputs: Outputs, weights: np.ndarray | None = None) -> float:
        count = np.ones(len(outputs)) if weights is None else np.asarray(weights, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = float(function(outputs, count[None])[0])
        if np.isnan(found):
            raise Undefined(_reason(outputs))
        return found

    return one


def _reason(outputs: Outputs) -> str:
    if np.isnan(outputs.targets).all():
        return "no value of any future is known"
    return "no record has a scale, a floor or a value that differs from zero"


def _once(function: Callable[[Outputs], np.ndarray]) -> Callable[[Outputs], np.ndarray]:
    """Keep one number or a few a record beside the outputs: a bootstrap asks for them many times."""

    @functools.wraps(function)
    def kept(outputs: Outputs) -> np.ndarray:
        known: dict[str, np.ndarray] = outputs.__dict__.setdefault("_kept", {})
        if function.__name__ not in known:
            known[function.__name__] = function(outputs)
        return known[function.__name__]

    return kept


def errors(outputs: Outputs) -> np.ndarray:
    """Give the absolute error of the median at each step (N, H), NaN where the truth is unknown."""
    return np.abs(outputs.targets - outputs.require("point"))


def quantile_losses(outputs: Outputs) -> np.ndarray:
    """Give twice the pinball loss at each step, averaged over the levels (N, H), NaN where unknown.

    With many levels it tends to the continuous ranked probability score (Gneiting and Ranjan 2011,
    J. Bus. Econ. Stat. 29, 411).
    """
    quantiles, total = outputs.require("quantiles"), np.zeros(outputs.targets.shape)
    for place, level in enumerate(outputs.levels):  # one level at a time: all at once may not fit in memory
        above = outputs.targets - quantiles[..., place]
        total += np.maximum(level * above, (level - 1) * above)
    return 2 * total / len(outputs.levels)


@_once
def _counts(outputs: Outputs) -> np.ndarray:
    return (~np.isnan(outputs.targets)).sum(axis=1)


@_once
def _error_sums(outputs: Outputs) -> np.ndarray:
    return np.nansum(errors(outputs), axis=1)


@_once
def _square_sums(outputs: Outputs) -> np.ndarray:
    return np.nansum(errors(outputs) ** 2, axis=1)


@_once
def _loss_sums(outputs: Outputs) -> np.ndarray:
    return np.nansum(quantile_losses(outputs), axis=1)


@_once
def _size_sums(outputs: Outputs) -> np.ndarray:
    return np.nansum(np.abs(outputs.targets), axis=1)


@_once
def _percentages(outputs: Outputs) -> np.ndarray:
    size = np.abs(outputs.targets) + np.abs(outputs.require("point"))
    each = 200 * errors(outputs) / np.where(size == 0, 1, size)
    return _a_step(np.nansum(each, axis=1), outputs)


@_once
def _beside_floor(outputs: Outputs) -> np.ndarray:
    """Give errors, losses and the floor's errors, summed where all are known, and whether any is (N, 4)."""
    floor = np.abs(outputs.targets - outputs.require("naive"))
    both = ~np.isnan(floor)
    parts = (errors(outputs), quantile_losses(outputs), floor)
    sums = [np.where(both, each, 0.0).sum(axis=1) for each in parts]
    return np.stack([*sums, both.any(axis=1)], axis=1)


@_once
def _held_sums(outputs: Outputs) -> np.ndarray:
    intervals = central_levels(outputs.levels)
    sums = [np.nansum(held(outputs, low, high), axis=1) for _, low, high in intervals]
    return np.stack(sums, axis=1) if sums else np.empty((len(outputs), 0))


def _a_step(sums: np.ndarray, outputs: Outputs) -> np.ndarray:
    """Divide sums of records (N,) by their known steps; NaN where there are none."""
    count = _counts(outputs)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _mean_of_known(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(weights @ np.where(known, values, 0.0), weights @ known.astype(float))


def _ratio(sums: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)


def _over_steps(sums: np.ndarray, outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Give the mean over all known steps of all records."""
    return _ratio(weights @ sums, weights @ _counts(outputs).astype(float))


def scaled_errors(outputs: Outputs) -> np.ndarray:
    """Give the mean absolute scaled error of each record (N,), NaN where it has no scale."""
    scale = outputs.require("scale")
    return _a_step(_error_sums(outputs), outputs) / np.where(scale > 0, scale, np.nan)


def mase(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Mean absolute scaled error (Hyndman and Koehler 2006, Int. J. Forecasting 22, 679).

    The error of each record in units of the mean absolute seasonal difference of its history, averaged over
    records; below 1 a forecast is better than the seasonal naive one was within the history. Records whose
    history never changes have no scale and are left out.
    """
    return _mean_of_known(scaled_errors(outputs), weights)


def smape(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Symmetric mean absolute percentage error as in the M4 competition: 0 to 200.

    Makridakis, Spiliotis and Assimakopoulos 2020, Int. J. Forecasting 36, 54. Where truth and forecast are
    both zero the error is zero.
    """
    return _mean_of_known(_percentages(outputs), weights)


def wql(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Weighted quantile loss: of all steps and records together, relative to the sum of absolute values.

    As in Ansari et al. 2024 (Chronos, arXiv 2403.07815): twice the pinball loss, averaged over the levels.
    Series of large values weigh more.
    """
    return _ratio(weights @ _loss_sums(outputs), weights @ _size_sums(outputs))


def crps(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score by quantiles, mean over steps, in the series' own units."""
    return _over_steps(_loss_sums(outputs), outputs, weights)


def mae(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Mean absolute error of the median over all steps of all records."""
    return _over_steps(_error_sums(outputs), outputs, weights)


def mse(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the median over all steps of all records, in squared units."""
    return _over_steps(_square_sums(outputs), outputs, weights)


def relative(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Geometric mean over series of the mean absolute error relative to that of the floor.

    Davydenko and Fildes 2013, Int. J. Forecasting 29, 510. Below 1 is better than the floor. A series is a
    group of records; each counts once, however many windows it has. Ratios are kept within 0.01 and 100, so
    that no series decides alone.
    """
    return _geometric(outputs, 0, weights)


def relative_crps(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Geometric mean over series of the quantile loss relative to the floor's; see :func:`relative`.

    The floor says one number, of which the continuous ranked probability score is the absolute error.
    """
    return _geometric(outputs, 1, weights)


def _geometric(outputs: Outputs, which: int, weights: np.ndarray) -> np.ndarray:
    sums = _beside_floor(outputs)
    names, member, size = np.unique(outputs.groups, return_inverse=True, return_counts=True)
    belongs = sparse.csr_array(
        (np.ones(len(member)), (np.arange(len(member)), member)), shape=(len(member), len(names))
    )

    def by_group(values: np.ndarray) -> np.ndarray:
        return np.asarray((belongs.T @ (weights * values).T).T)

    ours, theirs, known = (by_group(sums[:, place]) for place in (which, 2, 3))
    ratio = np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1), np.inf)
    ratio = np.where((ours == 0) & (theirs == 0), 1.0, ratio)
    counted = np.where(known > 0, by_group(np.ones(len(member))) / size, 0.0)
    logs = (counted * np.log(np.clip(ratio, *RATIOS))).sum(axis=1)
    total = counted.sum(axis=1)
    return np.where(total > 0, np.exp(_ratio(logs, total)), np.nan)


def central_levels(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """Give each central interval that the levels hold: its coverage, and the places of its two ends."""
    found = []
    for low, level in enumerate(levels):
        for high in range(low + 1, len(levels)):
            if abs(level + levels[high] - 1) < 1e-9:
                found.append((round(levels[high] - level, 9), low, high))
    return sorted(found)


def held(outputs: Outputs, low: int, high: int) -> np.ndarray:
    """Say whether each truth lay between two quantiles (N, H): 1 or 0, NaN where it is unknown."""
    quantiles = outputs.require("quantiles")
    inside = (outputs.targets >= quantiles[..., low]) & (outputs.targets <= quantiles[..., high])
    return np.where(np.isnan(outputs.targets), np.nan, inside)


def coverage_error(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Mean distance between what central intervals promise and how often they hold the truth, over levels."""
    levels = [level for level, *_ in central_levels(outputs.levels)]
    if not levels:
        return np.full(len(weights), np.nan)
    shares = [_over_steps(sums, outputs, weights) for sums in _held_sums(outputs).T]
    return np.abs(np.stack(shares) - np.array(levels)[:, None]).mean(axis=0)


def coverage_by_level(outputs: Outputs) -> list[dict[str, float]]:
    """Say how often the central intervals held the truth, over all steps: ``level`` and ``coverage``."""
    return [
        {"level": level, "coverage": _plain_mean(held(outputs, low, high))}
        for level, low, high in central_levels(outputs.levels)
    ]


def coverage_by_step(outputs: Outputs, most: int = 12) -> list[dict[str, Any]]:
    """Say the same step by step ahead, or for equal stretches of a long horizon.

    Returns
    -------
    list of dict
        ``first`` and ``last`` step (from 1), and ``coverage`` by ``level``.
    """
    found = []
    for stretch in np.array_split(np.arange(outputs.targets.shape[1]), min(most, outputs.targets.shape[1])):
        covered = [
            {"level": level, "coverage": _plain_mean(held(outputs, low, high)[:, stretch])}
            for level, low, high in central_levels(outputs.levels)
        ]
        found.append({"first": int(stretch[0]) + 1, "last": int(stretch[-1]) + 1, "coverage": covered})
    return found


def error_by_step(outputs: Outputs) -> dict[str, list[float]]:
    """Give the mean error of each step ahead, scaled where records have a scale; and that of the floor."""
    scale = np.ones(len(outputs)) if outputs.scale is None else outputs.scale
    scale = np.where(scale > 0, scale, np.nan)[:, None]
    found = {"error": [_plain_mean(step) for step in (errors(outputs) / scale).T]}
    if outputs.naive is not None:
        naive = np.abs(outputs.targets - outputs.naive) / scale
        found["naive"] = [_plain_mean(step) for step in naive.T]
    return found


def _plain_mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
