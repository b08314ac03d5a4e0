"""Decisions by a threshold: sensitivity, specificity and their like.

They are in the form of :mod:`scizoo.evaluation.resampled`. For two classes the second one is positive. With
several labels each has its own decisions, and a metric is the mean over the labels for which it is defined; a
label that is unknown for a record is left out there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import Undefined

Resample = Callable[[Outputs, np.ndarray], np.ndarray]


_NOTHING = "it is for two classes, or for several labels"


def _decides(outputs: Outputs) -> bool:
    return outputs.kind == "multilabel" or outputs.require("probability").shape[1] == 2


def columns(outputs: Outputs) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """Go through what is decided.

    Yields
    ------
    name : str
        The positive class, or the label.
    truth : ndarray, shape (N,)
        1, 0 or NaN where unknown.
    probability : ndarray, shape (N,)
    threshold : float
        From which on the probability counts as positive.

    Raises
    ------
    Undefined
        When there are more than two classes.
    """
    probability = outputs.require("probability")
    if not _decides(outputs):
        raise Undefined(_NOTHING)
    if outputs.kind == "multilabel":
        for place in range(probability.shape[1]):
            name = outputs.classes[place] if outputs.classes else str(place)
            limit = outputs.thresholds[place] if outputs.thresholds else 0.5
            yield name, outputs.targets[:, place], probability[:, place], limit
        return
    name = outputs.classes[1] if outputs.classes else "1"
    limit = outputs.thresholds[0] if outputs.thresholds else 0.5
    yield name, (outputs.targets == 1).astype(float), probability[:, 1], limit


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _decided(
    truth: np.ndarray, probability: np.ndarray, limit: float, weights: np.ndarray, name: str
) -> np.ndarray:
    """Give one measure of one column of decisions (B,)."""
    said = probability >= limit
    right = {"tp": said & (truth == 1), "fp": said & (truth == 0), "fn": ~said & (truth == 1)}
    counts = {key: weights @ rows.astype(float) for key, rows in right.items()}
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    tn = weights @ (~said & (truth == 0)).astype(float)
    pairs = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
    }
    return _ratio(*pairs[name])


def _curve(
    truth: np.ndarray, probability: np.ndarray, wanted: float, weights: np.ndarray, name: str
) -> np.ndarray:
    """Give the highest sensitivity whose specificity is at least ``wanted`` (B,), or the other way round."""
    known = np.isfinite(truth)
    order = np.argsort(-probability[known], kind="stable")
    value, positive = probability[known][order], truth[known][order] == 1
    count = np.asarray(weights)[:, known][:, order]
    # One step a distinct probability: records of equal ones are called positive together.
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1) if len(value) else np.empty(0, dtype=int)
    found = np.zeros((len(count), len(last) + 1))
    false = np.zeros_like(found)
    found[:, 1:] = np.cumsum(count * positive, axis=1)[:, last]
    false[:, 1:] = np.cumsum(count * ~positive, axis=1)[:, last]
    total = found[:, -1:], false[:, -1:]
    sensitivity, specificity = _ratio(found, total[0]), 1 - _ratio(false, total[1])
    held, given = (
        (specificity, sensitivity) if name == "sensitivity_at_specificity" else (sensitivity, specificity)
    )
    best = np.where(held >= wanted - 1e-12, given, -np.inf).max(axis=1)
    undefined = (total[0][:, 0] <= 0) | (total[1][:, 0] <= 0)
    return np.where(undefined, np.nan, best)


def _mean(parts: list[np.ndarray]) -> np.ndarray:
    table = np.stack(parts)
    known = np.isfinite(table)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, table, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _at_threshold(outputs: Outputs, weights: np.ndarray, *, name: str) -> np.ndarray:
    if not _decides(outputs):
        return np.full(len(weights), np.nan)
    return _mean([_decided(true, p, limit, weights, name) for _, true, p, limit in columns(outputs)])


def _at_value(outputs: Outputs, weights: np.ndarray, *, name: str, wanted: float) -> np.ndarray:
    if not _decides(outputs):
        return np.full(len(weights), np.nan)
    return _mean([_curve(true, p, wanted, weights, name) for _, true, p, _ in columns(outputs)])


#: Measures of the decisions at the chosen thresholds (one half where none was chosen).
AT_THRESHOLD: dict[str, Resample] = {
    name: functools.partial(_at_threshold, name=name)
    for name in ("sensitivity", "specificity", "ppv", "npv", "f1")
}


def _maker(name: str) -> Callable[[float], Resample]:
    return lambda wanted: functools.partial(_at_value, name=name, wanted=wanted)


#: Measures along the whole curve, at a stated value of the other side.
AT_VALUE: dict[str, Callable[[float], Resample]] = {
    name: _maker(name) for name in ("sensitivity_at_specificity", "specificity_at_sensitivity")
}


def value(function: Resample) -> Callable[[Outputs, np.ndarray | None], float]:
    """Make the single value of a metric from its form for many weightings."""

    def one(outputs: Outputs, weights: np.ndarray | None = None) -> float:
        if not _decides(outputs):
            raise Undefined(_NOTHING)
        count = np.ones(len(outputs)) if weights is None else np.asarray(weights, dtype=float)
        found = float(function(outputs, count[None])[0])
        if np.isnan(found):
            raise Undefined("no record is positive, negative, or called so, as it takes")
        return found

    return one
