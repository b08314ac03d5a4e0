"""The metrics of quantile forecasts, in the form of :mod:`scizoo.evaluation.resampled`.

Each function takes weights (B, N), one row a replicate, and gives (B,) values, NaN where undefined. Steps
whose truth is unknown are left out. The point forecast is the median.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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


def errors(outputs: Outputs) -> np.ndarray:
    """Give the absolute error of the median at each step (N, H), NaN where the truth is unknown."""
    return np.abs(outputs.targets - outputs.require("point"))


def quantile_losses(outputs: Outputs) -> np.ndarray:
    """Give twice the pinball loss at each step, averaged over the levels (N, H), NaN where unknown.

    With many levels it tends to the continuous ranked probability score (Gneiting and Ranjan 2011,
    J. Bus. Econ. Stat. 29, 411).
    """
    levels = np.asarray(outputs.levels)
    above = outputs.targets[..., None] - outputs.require("quantiles")
    return 2 * np.maximum(levels * above, (levels - 1) * above).mean(axis=2)


def _record_means(each: np.ndarray) -> np.ndarray:
    known = (~np.isnan(each)).sum(axis=1)
    return np.where(known > 0, np.nansum(each, axis=1) / np.maximum(known, 1), np.nan)


def _mean_of_known(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total = weights @ known.astype(float)
    return np.where(total > 0, weights @ np.where(known, values, 0.0) / np.where(total > 0, total, 1), np.nan)


def _over_steps(each: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give the mean over all known steps of all records."""
    total = weights @ (~np.isnan(each)).sum(axis=1)
    return np.where(total > 0, (weights @ np.nansum(each, axis=1)) / np.where(total > 0, total, 1), np.nan)


def scaled_errors(outputs: Outputs) -> np.ndarray:
    """Give the mean absolute scaled error of each record (N,), NaN where it has no scale."""
    scale = outputs.require("scale")
    return _record_means(errors(outputs)) / np.where(scale > 0, scale, np.nan)


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
    absolute = errors(outputs)
    size = np.abs(outputs.targets) + np.abs(outputs.require("point"))
    return _mean_of_known(_record_means(200 * absolute / np.where(size == 0, 1, size)), weights)


def wql(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Weighted quantile loss: of all steps and records together, relative to the sum of absolute values.

    As in Ansari et al. 2024 (Chronos, arXiv 2403.07815): twice the pinball loss, averaged over the levels.
    Series of large values weigh more.
    """
    losses = quantile_losses(outputs)
    size = np.where(np.isnan(losses), 0.0, np.abs(outputs.targets)).sum(axis=1)
    total = weights @ size
    sums = weights @ np.nansum(losses, axis=1)
    return np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)


def crps(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score by quantiles, mean over steps, in the series' own units."""
    return _over_steps(quantile_losses(outputs), weights)


def mse(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Mean squared error of the median over all steps of all records, in squared units."""
    return _over_steps(errors(outputs) ** 2, weights)


def relative(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Geometric mean over series of the mean absolute error relative to that of the floor.

    Davydenko and Fildes 2013, Int. J. Forecasting 29, 510. Below 1 is better than the floor. A series is a
    group of records; each counts once, however many windows it has. Ratios are kept within 0.01 and 100 as in
    fev-bench (Shchur et al. 2025, arXiv 2509.26468).
    """
    return _geometric(outputs, errors(outputs), weights)


def relative_crps(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """Geometric mean over series of the quantile loss relative to the floor's; see :func:`relative`.

    The floor says one number, of which the continuous ranked probability score is the absolute error.
    """
    return _geometric(outputs, quantile_losses(outputs), weights)


def _geometric(outputs: Outputs, losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    floor = np.abs(outputs.targets - outputs.require("naive"))
    both = ~np.isnan(losses) & ~np.isnan(floor)
    ours, theirs = (np.where(both, each, 0.0).sum(axis=1) for each in (losses, floor))
    names, member, size = np.unique(outputs.groups, return_inverse=True, return_counts=True)
    belongs = np.eye(len(names))[member]
    numbers = [(weights * each) @ belongs for each in (ours, theirs, both.any(axis=1))]
    ratio = np.where(numbers[1] > 0, numbers[0] / np.where(numbers[1] > 0, numbers[1], 1), np.inf)
    ratio = np.where((numbers[0] == 0) & (numbers[1] == 0), 1.0, ratio)
    counted = np.where(numbers[2] > 0, (weights @ belongs) / size, 0.0)
    total = counted.sum(axis=1)
    logs = (counted * np.log(np.clip(ratio, *RATIOS))).sum(axis=1)
    return np.where(total > 0, np.exp(logs / np.where(total > 0, total, 1)), np.nan)


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
    found = central_levels(outputs.levels)
    if not found:
        return np.full(len(weights), np.nan)
    shares = [_over_steps(held(outputs, low, high), weights) - level for level, low, high in found]
    return np.abs(np.stack(shares)).mean(axis=0)


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
