"""Figures of generated records, with their intervals: means over samples, and statistics that are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.evaluation.intervals import (
    Estimate,
    PairedResult,
    estimate_function,
    group_weights,
    percentile_interval,
    two_sided_p,
)
from scizoo.evaluation.metrics import Direction, Metric
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

#: ``statistic(weights (B, N)) -> (B,)``: a figure of N samples, each counted so often in each replicate.
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SampleFigure:
    """One measure of generated records.

    Parameters
    ----------
    title : str
        As people write it.
    direction : str
        ``"higher"`` or ``"lower"``: which is better.
    values : ndarray of float, shape (N,), optional
        A value of each sample, NaN where it has none; the figure is their mean. They become a column of
        ``samples.csv``.
    statistic : callable, optional
        Where the figure is no mean.
    bounds : tuple of float
        The lowest and highest value it can have; no interval passes them.
    reason : str, optional
        Why it has no value here.
    groups : ndarray of str, shape (N,), optional
        Samples that were not drawn apart from each other, such as several answers to one prompt: they are
        resampled together.
    """

    title: str
    direction: Direction
    values: np.ndarray | None = None
    statistic: Statistic | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)
    reason: str | None = None
    groups: np.ndarray | None = None

    def function(self) -> Statistic:
        """Give the figure as a statistic of weights."""
        if self.statistic is not None:
            return self.statistic
        assert self.values is not None
        return mean_of(self.values)

    def metric(self, name: str) -> Metric:
        """Describe it as a column of a table."""
        return describe_metric(name, self.title, self.direction, self.bounds)


def describe_metric(
    name: str, title: str, direction: Direction, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Metric:
    """Describe a figure of generation, which is measured here and not from Outputs."""
    return Metric(name, title, direction, ("generation",), (), _not_from_outputs, bounds=bounds)


def _not_from_outputs(outputs: Outputs, weights: np.ndarray | None) -> float:
    raise Undefined("it is measured on generated records")


def mean_of(values: np.ndarray, counts: np.ndarray | None = None) -> Statistic:
    """Mean over the samples that have a value, each counting `counts` times."""
    known = np.isfinite(values)
    times = np.where(known, 1.0 if counts is None else counts, 0.0)
    filled = np.where(known, values, 0.0)

    def mean(weights: np.ndarray) -> np.ndarray:
        total = weights @ times
        return np.where(total > 0, weights @ (filled * times) / np.where(total > 0, total, 1.0), np.nan)

    return mean


def linearised(value: float, influence: np.ndarray) -> Statistic:
    """A figure about pairs of samples, by the influence of each.

    Drawing samples with replacement takes some of them twice, and a figure that looks for equal or similar
    samples would count those. Replicates are therefore the value plus the weighted mean of the centred
    influences, to first order the same (the infinitesimal jackknife, Efron 1982).

    Parameters
    ----------
    value : float
    influence : ndarray, shape (N,)
        The derivative of the figure by the weight of each sample, times N.
    """
    centred = influence - influence.mean() if len(influence) else influence

    def replicates(weights: np.ndarray) -> np.ndarray:
        return value + weights @ centred / np.maximum(weights.sum(axis=1), 1e-12)

    return replicates


def recentred(statistic: Statistic) -> Statistic:
    """Move the replicates of a distance so that their mean is its value.

    A distance between distributions is larger on resampled records than on the records themselves, for
    resampling adds noise; the spread of the replicates is what is wanted.
    """

    def moved(weights: np.ndarray) -> np.ndarray:
        found = statistic(weights)
        if len(found) < 2:
            return found
        value = statistic(np.ones((1, weights.shape[1])))[0]
        return found + (value - np.nanmean(found))

    return moved


def pick(statistic: Statistic, rows: np.ndarray) -> Statistic:
    """Let a statistic of some samples take the weights of all."""
    return lambda weights: statistic(weights[:, rows])


def length_distance(lengths: np.ndarray, reference: np.ndarray) -> Statistic:
    """Wasserstein-1 distance between the lengths of samples and those of reference records.

    The mean number of tokens by which one distribution must be moved to become the other: the area between
    their cumulated frequencies.

    Parameters
    ----------
    lengths, reference : ndarray of int
    """
    most = int(max(lengths.max(initial=0), reference.max(initial=0)))
    reached = np.bincount(reference, minlength=most + 1).cumsum() / max(1, len(reference))

    def distance(weights: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(weights), most + 1))
        for length in np.unique(lengths).tolist():
            counts[:, length] = weights[:, lengths == length].sum(axis=1)
        cumulated = counts.cumsum(axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
        return np.abs(cumulated - reached).sum(axis=1)

    return recentred(distance)


def estimate_figure(
    figure: SampleFigure, count: int, *, resamples: int, level: float, seed: int = 0
) -> Estimate:
    """Give a figure of `count` samples its interval, by bootstrap over the samples or their groups."""
    if figure.reason is not None or not count:
        return Estimate(
            float("nan"), level=level, records=count, groups=count, reason=figure.reason or "no samples"
        )
    found = estimate_function(
        figure.function(), _groups(figure, count), resamples=resamples, level=level, seed=seed
    )
    low, high = (float(np.clip(end, *figure.bounds)) for end in (found.low, found.high))
    return Estimate(**{**found.to_dict(), "low": low, "high": high})


def difference_of_figures(
    first: tuple[SampleFigure, int], second: tuple[SampleFigure, int], *, resamples: int, level: float
) -> PairedResult:
    """Compare a figure of two contenders' samples, which were drawn apart from each other.

    Where both have the same groups (answers to the same prompts) both are resampled alike.

    Parameters
    ----------
    first, second : tuple of (SampleFigure, int)
        The figure and its number of samples.
    resamples : int
    level : float

    Returns
    -------
    PairedResult
        Positive means that the first is better.
    """
    sign = 1.0 if first[0].direction == "higher" else -1.0
    ours, theirs = (_groups(figure, count) for figure, count in (first, second))
    facts: dict[str, Any] = {"level": level, "records": first[1], "groups": len(np.unique(ours))}
    reason = first[0].reason or second[0].reason
    if reason:
        nan = float("nan")
        return PairedResult(nan, nan, nan, nan, **facts, reason=reason)
    values, replicates = [], []
    paired = first[0].groups is not None and np.array_equal(np.unique(ours), np.unique(theirs))
    for number, ((figure, count), groups) in enumerate(((first, ours), (second, theirs))):
        function = figure.function()
        rng = np.random.default_rng([0 if paired else number, 1])
        values.append(float(function(np.ones((1, count)))[0]))
        replicates.append(function(group_weights(groups, resamples, rng)))
    return paired_result(sign, values, sign * (replicates[0] - replicates[1]), facts)


def _groups(figure: SampleFigure, count: int) -> np.ndarray:
    return np.arange(count).astype(str) if figure.groups is None else figure.groups


def paired_result(
    sign: float, values: Sequence[float], replicates: np.ndarray, facts: Mapping[str, Any]
) -> PairedResult:
    """Put a difference of two contenders and its replicates into words of a comparison.

    Parameters
    ----------
    sign : float
        -1 where lower is better.
    values : sequence of float
        Of the first and the second.
    replicates : ndarray, shape (B,)
        Of the difference, positive where the first is better.
    facts : mapping
        ``level``, ``records`` and ``groups``.
    """
    known = replicates[np.isfinite(replicates)]
    low, high = percentile_interval(known, float(facts["level"]))
    return PairedResult(
        sign * (values[0] - values[1]),
        low,
        high,
        two_sided_p(known),
        value_first=values[0],
        value_second=values[1],
        resamples=len(known),
        **facts,
    )
