"""Split conformal prediction: sets and intervals that hold the truth as often as the user asks.

The promise holds when the records to predict are like the validation records on which it was calibrated.
Where the test part holds groups never seen before (new genera, new patients) that is not given, so the
coverage is measured there, overall and per group, and reported as measured.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import stats

from scizoo.evaluation.intervals import Estimate, estimate_function, weighted_mean
from scizoo.evaluation.outputs import Outputs

SetMethod = Literal["lac", "aps", "raps"]
IntervalMethod = Literal["absolute", "scaled", "cqr"]
_FIRST = -1.0  # below every nonconformity


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """Give the score that a new one stays below with the wanted probability.

    The ceil((n + 1) coverage)-th smallest of n scores; infinite when n is too small to promise it.

    Parameters
    ----------
    scores : ndarray, shape (n,)
    coverage : float
        Between 0 and 1.

    Returns
    -------
    float
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, not {coverage}")
    scores = np.sort(scores[~np.isnan(scores)])
    # Rounded first: (9 + 1) * 0.9 must be 9, not 9.000000000000002.
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


def uniform_of(ids: Sequence[str] | np.ndarray, seed: int = 0) -> np.ndarray:
    """Give each record a number between 0 and 1 that depends on its id alone.

    The randomisation of adaptive sets: a record gets the same set whatever is predicted beside it.
    """
    key = int(seed).to_bytes(8, "little", signed=True)
    digests = (hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest() for name in ids)
    return np.array([int.from_bytes(digest, "little") / 2**64 for digest in digests])


@dataclass
class ConformalClassifier:
    """Sets of classes that hold the true one with a chosen probability.

    Parameters
    ----------
    method : str
        ``"lac"``: smallest sets on average (Sadinle, Lei and Wasserman 2019); ``"aps"``: adaptive, larger
        for harder records (Romano, Sesia and Candès 2020); ``"raps"``: adaptive, regularised against
        long tails (Angelopoulos et al. 2021).
    coverage : float
    penalty, rank_free : float, int
        RAPS: each class beyond the ``rank_free`` likeliest adds ``penalty`` to its score.
    allow_empty : bool
        Whether a set may hold no class. Otherwise the likeliest class conforms best of all: it is in every
        set, calibration knows it, and the sets are no larger than the coverage needs (any nested family
        of sets may be calibrated: Gupta, Kuchibhotla and Ramdas 2022, arXiv 1910.10562). A model that is
        right more often than was asked gives single classes, and covers as often as it is right.
    seed : int
        Of the randomisation.
    """

    method: SetMethod = "aps"
    coverage: float = 0.9
    penalty: float = 0.01
    rank_free: int = 3
    allow_empty: bool = False
    seed: int = 0
    threshold: float = field(default=math.nan, init=False)

    def __post_init__(self) -> None:
        if self.method not in ("lac", "aps", "raps"):
            raise ValueError(f"method {self.method!r} is none of lac, aps, raps")

    def _scores(self, probability: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Give the nonconformity of every class (N, C); the higher, the less like the class."""
        scores = self._plain_scores(probability, uniform)
        if not self.allow_empty:
            scores[np.arange(len(scores)), probability.argmax(axis=1)] = _FIRST
        return scores

    def _plain_scores(self, probability: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        if self.method == "lac":
            return 1 - probability
        order = np.argsort(-probability, axis=1, kind="stable")
        ranked = np.take_along_axis(probability, order, axis=1)
        mass = np.cumsum(ranked, axis=1) - ranked * (1 - uniform[:, None])
        if self.method == "raps":
            mass += self.penalty * np.maximum(0, np.arange(1, ranked.shape[1] + 1) - self.rank_free)
        scores = np.empty_like(mass)
        np.put_along_axis(scores, order, mass, axis=1)
        return scores

    def fit(
        self, probability: np.ndarray, targets: np.ndarray, ids: Sequence[str] | np.ndarray
    ) -> ConformalClassifier:
        """Calibrate on validation records the model was not trained on.

        Parameters
        ----------
        probability : ndarray, shape (n, C)
        targets : ndarray of int, shape (n,)
        ids : sequence of str

        Returns
        -------
        ConformalClassifier
            Itself.
        """
        return self.calibrate(self.true_scores(probability, targets, ids))

    def true_scores(
        self, probability: np.ndarray, targets: np.ndarray, ids: Sequence[str] | np.ndarray
    ) -> np.ndarray:
        """Give the nonconformity (n,) of the true classes: all that calibration needs of these records."""
        scores = self._scores(np.asarray(probability, dtype=float), uniform_of(ids, self.seed))
        return scores[np.arange(len(targets)), targets]

    def calibrate(self, scores: np.ndarray) -> ConformalClassifier:
        """Calibrate on the :meth:`true_scores` of validation records, in any order."""
        self.threshold = conformal_quantile(scores, self.coverage)
        return self

    def sets(self, probability: np.ndarray, ids: Sequence[str] | np.ndarray) -> np.ndarray:
        """Give the sets as a mask.

        Returns
        -------
        ndarray of bool, shape (N, C)
        """
        if math.isnan(self.threshold):
            raise ValueError("fit comes first")
        probability = np.asarray(probability, dtype=float)
        return self._scores(probability, uniform_of(ids, self.seed)) <= self.threshold

    def state(self) -> dict[str, np.ndarray]:
        """Give what a checkpoint keeps: plain arrays without objects."""
        return {
            "method": np.array(["lac", "aps", "raps"].index(self.method)),
            "settings": np.array([self.coverage, self.penalty, self.rank_free, self.allow_empty, self.seed]),
            "threshold": np.array(self.threshold),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> ConformalClassifier:
        """Build it again from :meth:`state`."""
        coverage, penalty, free, empty, seed = (float(value) for value in state["settings"])
        methods: list[SetMethod] = ["lac", "aps", "raps"]
        made = cls(methods[int(state["method"])], coverage, penalty, int(free), bool(empty), int(seed))
        made.threshold = float(state["threshold"])
        return made


@dataclass
class ConformalRegressor:
    """Intervals that hold the true value with a chosen probability, for each target by itself.

    Parameters
    ----------
    method : str
        ``"absolute"``: the same width everywhere (Lei et al. 2018); ``"scaled"``: width in proportion to
        the predicted standard deviation; ``"cqr"``: conformalised quantile regression (Romano,
        Patterson and Candès 2019), on quantiles of the predicted distribution or given ones.
    coverage : float
    """

    method: IntervalMethod = "cqr"
    coverage: float = 0.9
    margin: np.ndarray = field(default_factory=lambda: np.empty(0), init=False)

    def __post_init__(self) -> None:
        if self.method not in ("absolute", "scaled", "cqr"):
            raise ValueError(f"method {self.method!r} is none of absolute, scaled, cqr")

    def quantiles(self, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the lower and upper quantile of a predicted normal distribution, for ``cqr``."""
        half = stats.norm.ppf((1 + self.coverage) / 2) * np.sqrt(variance)
        return mean - half, mean + half

    def fit(self, outputs: Outputs) -> ConformalRegressor:
        """Calibrate on validation outputs with a mean and (but for ``absolute``) a variance."""
        mean = outputs.require("mean")
        residual = np.abs(outputs.targets - mean)
        if self.method == "cqr":
            return self.fit_quantiles(outputs.targets, *self.quantiles(mean, outputs.require("variance")))
        if self.method == "scaled":
            residual = residual / np.sqrt(np.maximum(outputs.require("variance"), 1e-12))
        return self._keep(residual)

    def fit_quantiles(self, targets: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> ConformalRegressor:
        """Calibrate ``cqr`` on quantiles that a model predicted directly, each (n, T)."""
        if self.method != "cqr":
            raise ValueError("quantiles are for the method cqr")
        return self._keep(np.maximum(lower - targets, targets - upper))

    def calibrate(self, residual: np.ndarray, deviation: np.ndarray | None = None) -> ConformalRegressor:
        """Calibrate on absolute residuals and predicted standard deviations (n, T), for any coverage."""
        if self.method == "absolute":
            return self._keep(residual)
        if deviation is None:
            raise ValueError(f"the method {self.method} needs a deviation")
        if self.method == "scaled":
            return self._keep(residual / np.maximum(deviation, 1e-6))
        return self._keep(residual - stats.norm.ppf((1 + self.coverage) / 2) * deviation)

    def _keep(self, scores: np.ndarray) -> ConformalRegressor:
        columns = scores.reshape(len(scores), -1).T
        self.margin = np.array([conformal_quantile(column, self.coverage) for column in columns])
        return self

    def intervals(
        self, mean: np.ndarray, variance: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give lower and upper ends, each (N, T), in the target's unit."""
        if not len(self.margin):
            raise ValueError("fit comes first")
        mean = np.asarray(mean, dtype=float)
        mean = mean[:, None] if mean.ndim == 1 else mean
        if self.method == "absolute":
            return mean - self.margin, mean + self.margin
        if variance is None:
            raise ValueError(f"the method {self.method} needs a variance")
        variance = np.maximum(np.asarray(variance, dtype=float).reshape(mean.shape), 1e-12)
        if self.method == "scaled":
            return mean - self.margin * np.sqrt(variance), mean + self.margin * np.sqrt(variance)
        return self.from_quantiles(*self.quantiles(mean, variance))

    def from_quantiles(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Widen or narrow predicted quantiles (N, T); ends that would cross meet in the middle."""
        low, high = lower - self.margin, upper + self.margin
        middle = (lower + upper) / 2  # not of low and high, which may be infinite
        return np.minimum(low, middle), np.maximum(high, middle)

    def state(self) -> dict[str, np.ndarray]:
        """Give what a checkpoint keeps: plain arrays without objects."""
        return {
            "method": np.array(["absolute", "scaled", "cqr"].index(self.method)),
            "settings": np.array([self.coverage]),
            "margin": self.margin,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> ConformalRegressor:
        """Build it again from :meth:`state`."""
        methods: list[IntervalMethod] = ["absolute", "scaled", "cqr"]
        made = cls(methods[int(state["method"])], float(np.ravel(state["settings"])[0]))
        made.margin = np.asarray(state["margin"], dtype=float)
        return made


@dataclass(frozen=True)
class Coverage:
    """How often sets or intervals held the truth on test records.

    Parameters
    ----------
    asked : float
    measured : Estimate
        Over groups.
    size : Estimate
        Mean number of classes, or mean width.
    size_unit : str
    worst_groups : list of dict
        The groups (with enough records) covered worst: ``group``, ``records``, ``coverage``.
    covered : ndarray, shape (N,)
        1 where the record's truth was held (of several targets, the share), NaN where unknown.
    method : str
    """

    asked: float
    measured: Estimate
    size: Estimate
    size_unit: str
    worst_groups: list[dict[str, Any]]
    covered: np.ndarray
    method: str

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form for report.json, without the single records."""
        return {name: value for name, value in self.__dict__.items() if name != "covered"}


def coverage_of(
    outputs: Outputs,
    covered: np.ndarray,
    size: np.ndarray,
    unit: str,
    made: Any,
    min_records: int,
    resamples: int,
    seed: int,
) -> Coverage:
    """Sum up what was held (N,) and its size (N,); what made it has ``coverage`` and ``method``."""
    known = ~np.isnan(covered)
    groups = outputs.groups[known]
    names, member, count = np.unique(groups, return_inverse=True, return_counts=True)
    share = np.bincount(member, covered[known], len(names)) / np.maximum(count, 1)
    order = [place for place in np.lexsort((-count, share)) if count[place] >= min_records]
    worst = [
        {"group": str(names[p]), "records": int(count[p]), "coverage": float(share[p])} for p in order[:5]
    ]
    settings: dict[str, Any] = {"resamples": resamples, "seed": seed}
    # An infinite interval has no mean width; the promise could not be kept with so few records.
    finite = np.isfinite(size)
    return Coverage(
        made.coverage,
        estimate_function(weighted_mean(covered[known]), groups, **settings),
        estimate_function(weighted_mean(size[finite]), outputs.groups[finite], **settings)
        if finite.any()
        else Estimate(math.nan, reason="too few validation records to promise this coverage"),
        unit,
        worst,
        covered,
        made.method,
    )


def measure_sets(
    conformal: ConformalClassifier,
    outputs: Outputs,
    *,
    min_records: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Coverage:
    """Measure the coverage and size of a classifier's sets on test outputs.

    Parameters
    ----------
    conformal : ConformalClassifier
        Fitted on validation.
    outputs : Outputs
    min_records : int
        Smaller groups are not named among the worst.
    resamples, seed
        As in :func:`scizoo.evaluation.intervals.estimate`.

    Returns
    -------
    Coverage
    """
    sets = conformal.sets(outputs.require("probability"), outputs.ids)
    covered = sets[np.arange(len(outputs)), outputs.targets].astype(float)
    size = sets.sum(axis=1).astype(float)
    return coverage_of(outputs, covered, size, "classes", conformal, min_records, resamples, seed)


def measure_intervals(
    conformal: ConformalRegressor,
    outputs: Outputs,
    *,
    unit: str = "units",
    min_records: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> Coverage:
    """Measure the coverage and width of a regressor's intervals on test outputs; see :func:`measure_sets`."""
    low, high = conformal.intervals(outputs.require("mean"), outputs.variance)
    known = ~np.isnan(outputs.targets)
    held = np.where(known, (outputs.targets >= low) & (outputs.targets <= high), 0).sum(axis=1)
    covered = np.where(known.any(axis=1), held / np.maximum(known.sum(axis=1), 1), np.nan)
    return coverage_of(
        outputs, covered, (high - low).mean(axis=1), unit, conformal, min_records, resamples, seed
    )
