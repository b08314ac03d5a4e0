"""Confidence intervals and paired differences by bootstrap over groups and seeds.

Records of one group (reads of a genus, images of a patient) are not independent, so whole groups are
drawn, with all their records (Field and Welsh 2007, "Bootstrapping clustered data"). Where a model was
trained with several seeds, each replicate draws seeds too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from scizoo.errors import DataError
from scizoo.evaluation.metrics import Metric, get_metric, replicate, score
from scizoo.evaluation.outputs import Outputs

Method = Literal["percentile", "bca"]


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval.

    Parameters
    ----------
    value, low, high : float
        NaN where there is none; then ``reason`` says why.
    level : float
        Confidence of the interval, such as 0.95.
    records, groups, seeds : int
        What it rests on.
    resamples : int
        Bootstrap replicates in which the metric was defined.
    method : str
        How the interval was made.
    reason : str, optional
        Why the value or the interval is missing.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    records: int = 0
    groups: int = 0
    seeds: int = 1
    resamples: int = 0
    method: str = "percentile"
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for metrics.json."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class PairedResult:
    """How much better the first of two models is than the second, on the same records.

    Parameters
    ----------
    difference, low, high : float
        In the metric's unit, turned so that positive always means that the first is better, whichever
        way the metric goes.
    p_value : float
        Two-sided bootstrap test of no difference.
    level : float
        Confidence of the interval.
    value_first, value_second : float
        The metric of either model (mean over its seeds).
    records, groups, seeds_first, seeds_second, resamples : int
        What it rests on.
    reason : str, optional
        Why there is no difference to give.
    """

    difference: float
    low: float
    high: float
    p_value: float
    level: float = 0.95
    value_first: float = math.nan
    value_second: float = math.nan
    records: int = 0
    groups: int = 0
    seeds_first: int = 1
    seeds_second: int = 1
    resamples: int = 0
    reason: str | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of zero."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json."""
        return dict(self.__dict__)


def group_weights(groups: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw groups with replacement and say how often each record counts.

    Parameters
    ----------
    groups : ndarray of str, shape (N,)
    resamples : int
    rng : Generator

    Returns
    -------
    ndarray of float32, shape (resamples, N)
    """
    _, member = np.unique(groups, return_inverse=True)
    size = int(member.max()) + 1 if len(member) else 0
    counts = np.empty((resamples, size), dtype=np.float32)
    for row in counts:  # row by row: one multinomial of all rows would hold int64 of the same size twice
        row[:] = np.bincount(rng.integers(0, size, size), minlength=size)
    return counts[:, member]


def percentile_interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Give the central interval of replicates, leaving out undefined ones."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def bca_interval(
    values: np.ndarray, value: float, jackknife: np.ndarray, level: float
) -> tuple[float, float]:
    """Give the bias-corrected and accelerated interval (Efron 1987).

    Parameters
    ----------
    values : ndarray, shape (B,)
        Bootstrap replicates.
    value : float
        The metric on all records.
    jackknife : ndarray, shape (J,)
        The metric without each group (or block of groups).
    level : float

    Returns
    -------
    tuple of float
    """
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return math.nan, math.nan
    # Ties count half, or a metric of few values would look biased.
    share = (np.mean(known < value) + np.mean(known <= value)) / 2
    bias = stats.norm.ppf(np.clip(share, 1 / (len(known) + 1), len(known) / (len(known) + 1)))
    spread = np.nanmean(jackknife) - jackknife[np.isfinite(jackknife)]
    scale = (spread**2).sum() ** 1.5
    acceleration = (spread**3).sum() / (6 * scale) if scale > 0 else 0.0
    bounds = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        z = bias + stats.norm.ppf(tail)
        bounds.append(stats.norm.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(known, bounds)
    return float(low), float(high)


def _jackknife(metric: Metric, outputs: Outputs, rng: np.random.Generator, blocks: int = 200) -> np.ndarray:
    names, member = np.unique(outputs.groups, return_inverse=True)
    if len(names) > blocks:  # leaving out blocks of groups bounds the cost and keeps the skewness
        member = rng.permutation(len(names))[member] % blocks
        names = np.arange(blocks)
    return replicate(metric, outputs, (member[None, :] != np.arange(len(names))[:, None]).astype(np.float32))


def estimate(
    metric: str | Metric,
    outputs: Outputs | Sequence[Outputs],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    method: Method = "percentile",
    seed: int = 0,
) -> Estimate:
    """Compute a metric and its confidence interval.

    Parameters
    ----------
    metric : str or Metric
    outputs : Outputs or sequence of Outputs
        One model; or the same model trained with several seeds, on the same records.
    resamples : int
        Bootstrap replicates.
    level : float
    method : str
        ``"percentile"`` or ``"bca"`` (one seed only).
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        The mean over seeds. With fewer than two groups it has no interval, and the reason says so.

    Raises
    ------
    DataError
        When the seeds were not judged on the same records.
    """
    runs = [outputs] if isinstance(outputs, Outputs) else align(*outputs)
    found = get_metric(metric, runs[0].kind)
    scores = [score(found, run) for run in runs]
    groups = len(np.unique(runs[0].groups))
    facts: dict[str, Any] = {"level": level, "records": len(runs[0]), "groups": groups, "seeds": len(runs)}
    value = float(np.mean([result.value for result in scores]))
    if math.isnan(value):
        return Estimate(value, **facts, reason=next(r.reason for r in scores if r.reason))
    if groups < 2:
        return Estimate(value, **facts, reason="one group alone gives no interval")
    rng = np.random.default_rng(seed)
    weights = group_weights(runs[0].groups, resamples, rng)
    table = np.stack([replicate(found, run, weights) for run in runs], axis=1)
    values = draw_seeds(table, rng)
    if method == "bca" and len(runs) == 1:
        low, high = bca_interval(values, value, _jackknife(found, runs[0], rng), level)
    else:
        method = "percentile"
        low, high = percentile_interval(values, level)
    # Few seeds stretched about their mean can pass the end of the metric's range.
    low, high = (float(np.clip(end, *found.bounds)) for end in (low, high))
    known = int(np.isfinite(values).sum())
    reason = None if known else "the metric is undefined in every bootstrap replicate"
    return Estimate(value, low, high, **facts, resamples=known, method=method, reason=reason)


def estimate_function(
    function: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Give any weighted statistic its interval by bootstrap over groups.

    Parameters
    ----------
    function : callable
        ``function(weights (B, N)) -> (B,)``.
    groups : ndarray of str, shape (N,)
    resamples, level, seed
        As in :func:`estimate`.

    Returns
    -------
    Estimate
    """
    count = len(np.unique(groups))
    facts: dict[str, Any] = {"level": level, "records": len(groups), "groups": count}
    if count == 0:
        return Estimate(math.nan, **facts, reason="there are no records")
    value = float(function(np.ones((1, len(groups))))[0])
    if math.isnan(value):
        return Estimate(value, **facts, reason="it has no value on these records")
    if count < 2:
        return Estimate(value, **facts, reason="one group alone gives no interval")
    values = function(group_weights(groups, resamples, np.random.default_rng(seed)))
    low, high = percentile_interval(values, level)
    return Estimate(value, low, high, **facts, resamples=int(np.isfinite(values).sum()))


def weighted_mean(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Give the mean of ``values`` (N,) as a statistic for :func:`estimate_function`."""

    def mean(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        return np.where(total > 0, weights @ values / np.where(total > 0, total, 1), np.nan)

    return mean


def align(*runs: Outputs) -> list[Outputs]:
    """Bring outputs on the same records into one order.

    Raises
    ------
    DataError
        When they hold different records, or different truths for one record.
    """
    if not runs:
        raise ValueError("nothing to align")
    first = runs[0]
    order = np.argsort(first.ids, kind="stable")
    aligned = [first]
    for run in runs[1:]:
        if len(run) == len(first) and np.array_equal(run.ids, first.ids):
            same = run
        else:
            other = np.argsort(run.ids, kind="stable")
            if len(run) != len(first) or not np.array_equal(run.ids[other], first.ids[order]):
                lone = sorted(set(first.ids.tolist()) ^ set(run.ids.tolist()))[:3]
                raise DataError(
                    f"two models were judged on different records (such as {', '.join(lone) or 'repeats'}).",
                    expected="the same test records for every model of a comparison",
                )
            back = np.empty(len(order), dtype=np.int64)
            back[order] = other
            same = run.take(back)
        if not np.array_equal(same.targets, first.targets, equal_nan=same.targets.dtype.kind == "f"):
            raise DataError("two models were judged against different targets for the same records.")
        aligned.append(same)
    return aligned


def draw_seeds(table: np.ndarray, rng: np.random.Generator, draw: np.ndarray | None = None) -> np.ndarray:
    """Average replicates (B, S) over seeds drawn anew for each replicate.

    Drawing S of S seeds understates the variance between them by (S - 1) / S, which matters at 3 or 5
    seeds; deviations from the mean are stretched to make up for it (Davison and Hinkley 1997, 3.8).

    Parameters
    ----------
    table : ndarray, shape (B, S)
    rng : Generator
    draw : ndarray of int, shape (B, S), optional
        Which seeds each replicate takes; drawn where it is not given.

    Returns
    -------
    ndarray, shape (B,)
    """
    seeds = table.shape[1]
    if seeds == 1:
        return table[:, 0]
    if draw is None:
        draw = rng.integers(0, seeds, table.shape)
    centre = table.mean(axis=1, keepdims=True)
    stretched = centre + math.sqrt(seeds / (seeds - 1)) * (table - centre)
    return np.take_along_axis(stretched, draw, axis=1).mean(axis=1)


def paired_difference(
    metric: str | Metric,
    first: Outputs | Sequence[Outputs],
    second: Outputs | Sequence[Outputs],
    *,
    paired_seeds: bool | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedResult:
    """Compare two models on the same test records, over groups and seeds.

    Each replicate draws groups once for both models and seeds for each.

    Parameters
    ----------
    metric : str or Metric
    first, second : Outputs or sequence of Outputs
        One entry a seed.
    paired_seeds : bool, optional
        Whether entry i of both was trained on the same labels and seed, so that seeds are drawn
        together. Default: when both have equally many, more than one.
    resamples, level, seed
        As in :func:`estimate`.

    Returns
    -------
    PairedResult
        Positive means that the first is better.

    Raises
    ------
    DataError
        When the models were not judged on the same records.
    """
    ours = [first] if isinstance(first, Outputs) else list(first)
    theirs = [second] if isinstance(second, Outputs) else list(second)
    runs = align(*ours, *theirs)
    ours, theirs = runs[: len(ours)], runs[len(ours) :]
    if paired_seeds is None:
        paired_seeds = len(ours) == len(theirs)
    elif paired_seeds and len(ours) != len(theirs):
        raise ValueError("seeds can only be paired when both models have as many")
    found = get_metric(metric, runs[0].kind)
    scores = [score(found, run) for run in runs]
    means = [float(np.mean([s.value for s in part])) for part in (scores[: len(ours)], scores[len(ours) :])]
    groups = len(np.unique(runs[0].groups))
    facts: dict[str, Any] = {
        "level": level,
        "value_first": means[0],
        "value_second": means[1],
        "records": len(runs[0]),
        "groups": groups,
        "seeds_first": len(ours),
        "seeds_second": len(theirs),
    }
    difference = found.sign * (means[0] - means[1])
    if math.isnan(difference):
        reason = next((s.reason for s in scores if s.reason), "the metric is undefined")
        return PairedResult(math.nan, math.nan, math.nan, math.nan, **facts, reason=reason)
    if groups < 2:
        reason = "one group of test records gives no interval"
        return PairedResult(difference, math.nan, math.nan, math.nan, **facts, reason=reason)
    rng = np.random.default_rng(seed)
    weights = group_weights(runs[0].groups, resamples, rng)
    left = np.stack([replicate(found, run, weights) for run in ours], axis=1)
    right = np.stack([replicate(found, run, weights) for run in theirs], axis=1)
    values = draw_seeds(left - right, rng) if paired_seeds else draw_seeds(left, rng) - draw_seeds(right, rng)
    values = found.sign * values
    low, high = percentile_interval(values, level)
    known = values[np.isfinite(values)]
    why = None if len(known) else "the metric is undefined in every bootstrap replicate"
    return PairedResult(difference, low, high, two_sided_p(known), **facts, resamples=len(known), reason=why)


def two_sided_p(values: np.ndarray) -> float:
    """Give the bootstrap p-value of "no difference": twice the smaller tail beyond zero, never 0.

    Ties with zero belong to both tails, so that identical models give 1.
    """
    if len(values) == 0:
        return math.nan
    tail = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(values) + 1)))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Correct p-values for multiple comparisons (Holm 1979); NaN stays NaN and counts as no test.

    Parameters
    ----------
    p_values : sequence of float

    Returns
    -------
    ndarray
        Adjusted p-values, in the given order.
    """
    given = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(given), np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * factors))
    return adjusted
