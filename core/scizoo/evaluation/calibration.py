"""Does a model know how sure it may be: reliability, calibration error, and scaling fitted on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from scizoo.evaluation.intervals import Estimate, estimate_function
from scizoo.evaluation.outputs import Outputs

_TINY = 1e-12


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: how often predictions of a confidence come true.

    Parameters
    ----------
    confidence, frequency : ndarray, shape (bins,)
        Mean confidence, and the share that came true.
    low, high : ndarray, shape (bins,)
        Wilson interval of the share.
    count : ndarray of int, shape (bins,)
    ece : float
        Expected calibration error over these bins.
    """

    confidence: np.ndarray
    frequency: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    ece: float

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form: one mapping a bin, and the error."""
        columns = ("confidence", "frequency", "low", "high", "count")
        rows = zip(*(getattr(self, name) for name in columns), strict=True)
        return {"bins": [dict(zip(columns, row, strict=True)) for row in rows], "ece": self.ece}


def claims(outputs: Outputs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give what the model claimed, with which confidence, and whether it was so.

    Two classes: the second class. More: the class with the highest probability. Multilabel: each known
    label.

    Returns
    -------
    tuple of ndarray
        Confidence, truth (0 or 1) and the row of ``outputs`` each claim is about.
    """
    probability = outputs.require("probability")
    rows = np.arange(len(outputs))
    if outputs.kind == "multilabel":
        known = ~np.isnan(outputs.targets)
        return probability[known], outputs.targets[known], np.nonzero(known)[0]
    if probability.shape[1] == 2:
        return probability[:, 1], (outputs.targets == 1).astype(float), rows
    return probability.max(axis=1), (outputs.predicted == outputs.targets).astype(float), rows


def adaptive_bins(confidence: np.ndarray, bins: int = 15) -> np.ndarray:
    """Assign each claim to a bin, so that all bins hold equally many and equal claims share a bin.

    Equal mass rather than equal width: a confident model leaves most bins of equal width empty
    (Nixon et al. 2019, "Measuring Calibration in Deep Learning").

    Parameters
    ----------
    confidence : ndarray, shape (M,)
    bins : int
        How many at most; with few claims fewer, so that each holds 10 or more.

    Returns
    -------
    ndarray of int, shape (M,)
    """
    bins = max(1, min(bins, len(confidence) // 10))
    if not len(confidence):
        return np.empty(0, dtype=np.int64)
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, confidence, side="left"), return_inverse=True)[1]


def _binned_error(
    confidence: np.ndarray, truth: np.ndarray, member: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Give the calibration error (B,) for weights (B, M) over fixed bins."""
    one_hot = np.eye(member.max() + 1)[member] if len(member) else np.zeros((0, 1))
    gaps = np.abs((weights * (truth - confidence)) @ one_hot).sum(axis=1)
    total = weights.sum(axis=1)
    return np.where(total > 0, gaps / np.where(total > 0, total, 1), np.nan)


def calibration_error(
    outputs: Outputs, *, bins: int = 15, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Give the expected calibration error over bins of equal mass, with its interval over groups.

    Parameters
    ----------
    outputs : Outputs
        With probabilities.
    bins : int
    resamples, level, seed
        As in :func:`scizoo.evaluation.intervals.estimate`.

    Returns
    -------
    Estimate
        Biased upwards on few records, as every binned error is; the interval shows how much it varies.
    """
    confidence, truth, rows = claims(outputs)
    member = adaptive_bins(confidence, bins)

    def error(weights: np.ndarray) -> np.ndarray:
        return _binned_error(confidence, truth, member, weights[:, rows])

    return estimate_function(error, outputs.groups, resamples=resamples, level=level, seed=seed)


def reliability(outputs: Outputs, *, bins: int = 15, level: float = 0.95) -> Reliability:
    """Give the reliability diagram over bins of equal mass."""
    confidence, truth, _ = claims(outputs)
    member = adaptive_bins(confidence, bins)
    count = np.bincount(member)
    hits = np.bincount(member, truth).round().astype(int)
    bounds = [
        stats.binomtest(int(h), int(n)).proportion_ci(level, method="wilson")
        for h, n in zip(hits, count, strict=True)
    ]
    return Reliability(
        np.bincount(member, confidence) / count,
        hits / count,
        np.array([bound.low for bound in bounds]),
        np.array([bound.high for bound in bounds]),
        count,
        float(_binned_error(confidence, truth, member, np.ones((1, len(truth))))[0])
        if len(truth)
        else np.nan,
    )


@dataclass(frozen=True)
class TemperatureScaling:
    """Divides logits by one number, so that confidence matches frequency (Guo et al. 2017).

    The order of the classes, and so the prediction, does not change.

    Parameters
    ----------
    temperature : float
        Above 1 the model was too sure of itself.
    kind : str
        ``classification``, ``tokens`` or ``multilabel``.
    """

    temperature: float
    kind: str = "classification"

    @classmethod
    def fit(cls, outputs: Outputs) -> TemperatureScaling:
        """Find the temperature with the lowest log loss on validation records.

        Of n records, one in n + 2 is taken to be wrong (Platt 1999): a part without errors would else
        ask for temperature zero, and n records cannot show that a model never errs.
        """
        probability = np.clip(outputs.require("probability"), _TINY, 1)
        rows = np.arange(len(outputs))

        def loss(log_temperature: float) -> float:
            temperature = float(np.exp(log_temperature))
            if outputs.kind == "multilabel":
                known = ~np.isnan(outputs.targets)
                logits = special.logit(np.clip(probability, _TINY, 1 - _TINY))[known] / temperature
                sign = np.where(outputs.targets[known] == 1, 1, -1)
                right, wrong = special.log_expit(sign * logits), special.log_expit(-sign * logits)
            else:
                logs = special.log_softmax(np.log(probability) / temperature, axis=1)
                right = logs[rows, outputs.targets]
                wrong = (logs.sum(axis=1) - right) / max(1, logs.shape[1] - 1)
            doubt = 1 / (len(right) + 2)
            return float(-((1 - doubt) * right + doubt * wrong).mean())

        best = optimize.minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
        return cls(float(np.exp(best.x)), outputs.kind)

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Scale probabilities (N, C)."""
        return _scale(np.clip(probability, _TINY, 1), self.temperature, self.kind)

    def apply(self, outputs: Outputs) -> Outputs:
        """Give the outputs with scaled probabilities."""
        return outputs.with_probability(self(outputs.require("probability")))

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps (JSON)."""
        return {"temperature": self.temperature, "kind": self.kind}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TemperatureScaling:
        """Build it again from :meth:`state`."""
        return cls(float(state["temperature"]), str(state["kind"]))


def _scale(probability: np.ndarray, temperature: float, kind: str) -> np.ndarray:
    if kind == "multilabel":
        return special.expit(special.logit(np.clip(probability, _TINY, 1 - _TINY)) / temperature)
    return special.softmax(np.log(probability) / temperature, axis=1)


@dataclass(frozen=True)
class VarianceScaling:
    """Multiplies the predicted variance of each target by one number.

    Parameters
    ----------
    factor : ndarray, shape (T,)
        Above 1 the model was too sure of itself.
    """

    factor: np.ndarray

    @classmethod
    def fit(cls, outputs: Outputs) -> VarianceScaling:
        """Take the factor of highest likelihood on validation records: the mean squared z-score."""
        squared = (outputs.targets - outputs.require("mean")) ** 2 / np.maximum(
            outputs.require("variance"), _TINY
        )
        return cls(np.maximum(np.nanmean(squared, axis=0), _TINY))

    def apply(self, outputs: Outputs) -> Outputs:
        """Give the outputs with scaled variances."""
        from dataclasses import replace

        return replace(outputs, variance=outputs.require("variance") * self.factor)

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps (JSON)."""
        return {"factor": self.factor.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> VarianceScaling:
        """Build it again from :meth:`state`."""
        return cls(np.asarray(state["factor"], dtype=float))


def probability_integral(outputs: Outputs) -> np.ndarray:
    """Give each target's place in its predicted normal distribution (N, T); uniform when calibrated."""
    deviation = np.sqrt(np.maximum(outputs.require("variance"), _TINY))
    return stats.norm.cdf(outputs.targets, outputs.require("mean"), deviation)


def interval_coverage(
    outputs: Outputs, levels: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
) -> list[dict[str, float]]:
    """Say how often the predicted central intervals hold the truth: regression's reliability diagram.

    Returns
    -------
    list of dict
        ``level`` and ``coverage`` for each level.
    """
    place = probability_integral(outputs)
    distance = np.abs(place[~np.isnan(place)] - 0.5) * 2
    return [{"level": float(level), "coverage": float(np.mean(distance <= level))} for level in levels]
