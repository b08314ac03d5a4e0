"""Judging generated records: what a domain fills in, and the figures that every field shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scizoo.data.targets import input_key
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.intervals import (
    Estimate,
    PairedResult,
    estimate_function,
    group_weights,
    percentile_interval,
    two_sided_p,
)
from scizoo.evaluation.memorised import CopyIndex
from scizoo.evaluation.metrics import Direction, Metric
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

#: ``statistic(weights (B, N)) -> (B,)``: a figure of N samples, each counted so often in each replicate.
Statistic = Callable[[np.ndarray], np.ndarray]

#: Names of the figures of held-out records.
NLL_TOKEN, NLL_RECORD = "nll_per_token", "nll_per_record"


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
    """

    title: str
    direction: Direction
    values: np.ndarray | None = None
    statistic: Statistic | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)
    reason: str | None = None

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


@dataclass(frozen=True)
class Generated:
    """Records that one contender wrote, or real ones in their place.

    Parameters
    ----------
    inputs : list
        The field's objects; None where the tokens stand for none.
    rows : list of ndarray of int
        The same as tokens, special tokens left out.
    """

    inputs: list[Any]
    rows: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.inputs)


class Scorer(ABC):
    """Judges generated records as a field does.

    :meth:`fit` sees the training and held-out records once, :meth:`score` each contender's records. A
    subclass fills in :meth:`key`, and :meth:`figures` for what only its field can measure. What needs no
    knowledge of a field is done here: validity, uniqueness, novelty, copies and lengths.
    """

    #: The figure of which the verdict speaks; a task's ``metric`` goes before it.
    main: str = "validity"

    def fit(self, training: Sequence[Any], heldout: Sequence[Any], tokens: TokenView) -> Scorer:
        """Take in what generated records are compared with.

        Parameters
        ----------
        training, heldout : sequence
            ``Record.input`` of the training and of the test part.
        tokens : TokenView
            The same as tokens.
        """
        self._known = {key for key in self.keys(training) if key is not None}
        self._copies = CopyIndex(tokens.training)
        self._lengths = np.array([len(row) for row in tokens.heldout])
        self.prepare(training, heldout)
        return self

    def prepare(self, training: Sequence[Any], heldout: Sequence[Any]) -> None:  # noqa: B027 (optional)
        """Compute what :meth:`figures` needs of the training and held-out records."""

    @abstractmethod
    def key(self, value: Any) -> Hashable | None:
        """Name a record canonically: equal records have equal keys. None where it is not valid."""

    def keys(self, values: Sequence[Any]) -> list[Hashable | None]:
        """Name many records; a domain that can do many at once overrides this."""
        return [self.key(value) for value in values]

    def text(self, value: Any) -> str:
        """Write a record as one line for ``samples.csv`` and the report."""
        return str(value)

    def figures(
        self, generated: Sequence[Any], keys: Sequence[Hashable | None]
    ) -> Mapping[str, SampleFigure]:
        """Measure what only the field can.

        Parameters
        ----------
        generated : sequence
            The field's objects, None where undecodable.
        keys : sequence
            Their canonical names, None where not valid.

        Returns
        -------
        mapping of str to SampleFigure
        """
        return {}

    def score(self, generated: Generated) -> dict[str, SampleFigure]:
        """Measure one contender's records.

        Returns
        -------
        dict of str to SampleFigure
            ``validity``, ``uniqueness``, ``novelty``, ``longest_copy``, ``copied_share``,
            ``length_distance`` and the field's own.
        """
        keys = [None if one is None else self.key(one) for one in generated.inputs]
        return {
            **_identity_figures(keys, self._known),
            **self.figures(generated.inputs, keys),
            **self._token_figures(generated.rows),
        }

    def _token_figures(self, rows: Sequence[np.ndarray]) -> dict[str, SampleFigure]:
        lengths = np.array([len(row) for row in rows])
        runs = self._copies.longest(rows)
        return {
            "longest_copy": SampleFigure(
                "longest run copied from training (tokens)", "lower", runs.astype(float), bounds=(0, np.inf)
            ),
            "copied_share": SampleFigure(
                "longest copied run, share of the record",
                "lower",
                np.where(lengths > 0, runs / np.maximum(lengths, 1), np.nan),
                bounds=(0, 1),
            ),
            "length_distance": SampleFigure(
                "distance of lengths (tokens)",
                "lower",
                statistic=length_distance(lengths, self._lengths),
                bounds=(0, np.inf),
            ),
        }


class TextScorer(Scorer):
    """Judges records of any field by what needs no knowledge of it: every record is valid as it stands."""

    main = "novelty"

    def key(self, value: Any) -> Hashable | None:
        """Name a record by its content."""
        return input_key(value)


@dataclass(frozen=True)
class TokenView:
    """Training and held-out records as tokens, special tokens left out."""

    training: Sequence[np.ndarray] = field(default_factory=list)
    heldout: Sequence[np.ndarray] = field(default_factory=list)


def _identity_figures(keys: Sequence[Hashable | None], known: set[Hashable]) -> dict[str, SampleFigure]:
    """Validity, uniqueness and novelty, as Polykovskiy et al. 2020 (Front. Pharmacol. 11, 565644) count them.

    Validity is the share of valid samples; uniqueness the share of distinct ones among the valid; novelty
    the share of the distinct valid ones that are not in training.
    """
    valid = np.array([key is not None for key in keys], dtype=bool)
    rows = np.flatnonzero(valid)
    times = Counter(keys[row] for row in rows)
    copies = np.array([times[keys[row]] for row in rows], dtype=float)
    unseen = np.full(len(keys), np.nan)
    unseen[rows] = [float(keys[row] not in known) for row in rows]
    found = {"validity": SampleFigure("validity", "higher", valid.astype(float), bounds=(0, 1))}
    nothing = "no sample is valid"
    if not len(rows):
        return found | {
            name: SampleFigure(name, "higher", unseen, reason=nothing) for name in ("uniqueness", "novelty")
        }
    unique = linearised(len(times) / len(rows), (copies == 1).astype(float))
    shares = np.ones(len(keys))
    shares[rows] = 1 / copies
    return found | {
        "uniqueness": SampleFigure("uniqueness", "higher", statistic=pick(unique, rows), bounds=(0, 1)),
        "novelty": SampleFigure("novelty", "higher", unseen, mean_of(unseen, shares), (0, 1)),
    }


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
    """Give a figure of `count` samples its interval, by bootstrap over the samples."""
    if figure.reason is not None or not count:
        return Estimate(
            float("nan"), level=level, records=count, groups=count, reason=figure.reason or "no samples"
        )
    found = estimate_function(
        figure.function(), np.arange(count).astype(str), resamples=resamples, level=level, seed=seed
    )
    low, high = (float(np.clip(end, *figure.bounds)) for end in (found.low, found.high))
    return Estimate(**{**found.to_dict(), "low": low, "high": high})


def difference_of_figures(
    first: tuple[SampleFigure, int], second: tuple[SampleFigure, int], *, resamples: int, level: float
) -> PairedResult:
    """Compare a figure of two contenders' samples, which were drawn apart from each other.

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
    facts: dict[str, Any] = {"level": level, "records": first[1], "groups": first[1]}
    reason = first[0].reason or second[0].reason
    if reason:
        nan = float("nan")
        return PairedResult(nan, nan, nan, nan, **facts, reason=reason)
    values, replicates = [], []
    for number, (figure, count) in enumerate((first, second)):
        function = figure.function()
        rng = np.random.default_rng([number, 1])
        values.append(float(function(np.ones((1, count)))[0]))
        replicates.append(function(group_weights(np.arange(count).astype(str), resamples, rng)))
    return _result(sign, values, sign * (replicates[0] - replicates[1]), facts)


@dataclass(frozen=True)
class Likelihood:
    """How likely a contender finds each held-out record.

    Parameters
    ----------
    sums : ndarray, shape (R,)
        Log-likelihood of each record, in nats.
    tokens : ndarray, shape (R,)
        How many tokens that is.
    groups : ndarray of str, shape (R,)
    """

    sums: np.ndarray
    tokens: np.ndarray
    groups: np.ndarray

    def per_token(self, weights: np.ndarray) -> np.ndarray:
        """Negative log-likelihood per token under weights (B, R)."""
        return -(weights @ self.sums) / np.maximum(weights @ self.tokens, 1)

    def estimates(self, *, resamples: int, level: float) -> dict[str, Estimate]:
        """Give the negative log-likelihood per token and per record, bootstrapped over groups."""
        settings: dict[str, Any] = {"resamples": resamples, "level": level}
        return {
            NLL_TOKEN: estimate_function(self.per_token, self.groups, **settings),
            NLL_RECORD: estimate_function(mean_of(-self.sums), self.groups, **settings),
        }


def difference_of_likelihood(
    first: Likelihood, second: Likelihood, *, resamples: int, level: float
) -> PairedResult:
    """Compare the likelihood per token of the same held-out records, paired over their groups."""
    groups = len(np.unique(first.groups))
    facts: dict[str, Any] = {"level": level, "records": len(first.groups), "groups": groups}
    ones = np.ones((1, len(first.groups)))
    values = [float(one.per_token(ones)[0]) for one in (first, second)]
    if groups < 2:
        nan = float("nan")
        reason = "one group of test records gives no interval"
        return PairedResult(values[1] - values[0], nan, nan, nan, **facts, reason=reason)
    weights = group_weights(first.groups, resamples, np.random.default_rng(0))
    return _result(-1.0, values, second.per_token(weights) - first.per_token(weights), facts)


def _result(
    sign: float, values: Sequence[float], replicates: np.ndarray, facts: Mapping[str, Any]
) -> PairedResult:
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


def main_figure(scorer: Scorer, wanted: str | None, figures: Mapping[str, SampleFigure]) -> str:
    """Name the figure of which the verdict speaks.

    Raises
    ------
    ConfigError
        When the task names one that the scorer does not measure.
    """
    name = wanted or scorer.main
    if name not in figures:
        raise ConfigError(
            f"task.metric={name}: {type(scorer).__name__} does not measure it; {did_you_mean(name, figures)}"
        )
    return name
