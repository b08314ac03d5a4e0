"""DeLong's intervals and test for the area under the ROC curve, also where records share groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from scizoo.evaluation.intervals import Estimate, PairedResult, align
from scizoo.evaluation.outputs import Outputs


def _components(truth: np.ndarray, value: np.ndarray) -> tuple[float, np.ndarray]:
    """Give the AUROC and each record's structural component (Sun and Xu 2014, by mid-ranks)."""
    positives, negatives = value[truth], value[~truth]
    ranks = stats.rankdata(value)
    component = np.empty(len(value))
    component[truth] = (ranks[truth] - stats.rankdata(positives)) / len(negatives)
    component[~truth] = 1 - (ranks[~truth] - stats.rankdata(negatives)) / len(positives)
    return float(component[truth].mean()), component


def _variance(truth: np.ndarray, component: np.ndarray, centre: float, groups: np.ndarray) -> float:
    """Give the variance of an AUROC, or of a difference of two, over groups.

    Obuchowski (1997), "Nonparametric analysis of clustered ROC curve data"; where each record is a group
    of its own, this is DeLong, DeLong and Clarke-Pearson (1988).
    """
    _, member = np.unique(groups, return_inverse=True)
    count = member.max() + 1
    positives, negatives = truth.sum(), (~truth).sum()
    sums = [np.bincount(member[part], component[part] - centre, count) for part in (truth, ~truth)]
    with_positive = len(np.unique(member[truth]))
    with_negative = len(np.unique(member[~truth]))
    if min(with_positive, with_negative) < 2:
        return math.nan
    s10 = with_positive / ((with_positive - 1) * positives) * (sums[0] ** 2).sum()
    s01 = with_negative / ((with_negative - 1) * negatives) * (sums[1] ** 2).sum()
    s11 = count / (count - 1) * (sums[0] * sums[1]).sum()
    return float(s10 / positives + s01 / negatives + 2 * s11 / (positives * negatives))


def _binary(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    probability = outputs.require("probability")
    if outputs.kind != "classification" or probability.shape[1] != 2:
        raise ValueError("DeLong's method is for two classes")
    return outputs.targets == 1, probability[:, 1]


def auroc_interval(
    truth: np.ndarray, value: np.ndarray, groups: np.ndarray | None = None, *, level: float = 0.95
) -> Estimate:
    """Give the AUROC with DeLong's interval, made on the logit scale so that it stays within 0 and 1.

    Parameters
    ----------
    truth : ndarray of bool, shape (N,)
    value : ndarray, shape (N,)
        Higher means more likely positive.
    groups : ndarray, shape (N,), optional
        Records that belong together; each its own by default.
    level : float

    Returns
    -------
    Estimate
    """
    truth = np.asarray(truth, dtype=bool)
    groups = np.arange(len(truth)) if groups is None else np.asarray(groups)
    facts: dict[str, Any] = {
        "level": level,
        "records": len(truth),
        "groups": len(np.unique(groups)),
        "method": "delong",
    }
    if truth.all() or not truth.any():
        return Estimate(math.nan, **facts, reason="all records are of one class")
    area, component = _components(truth, np.asarray(value, dtype=float))
    variance = _variance(truth, component, area, groups)
    if math.isnan(variance):
        return Estimate(area, **facts, reason="one group alone gives no interval")
    if variance <= 0 or area in (0.0, 1.0):
        return Estimate(
            area, area, area, **facts, reason="the classes are separated: no variance to estimate"
        )
    z = stats.norm.ppf((1 + level) / 2)
    middle = math.log(area / (1 - area))
    half = z * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-edge)) for edge in (middle - half, middle + half))
    return Estimate(area, low, high, **facts)


def delong(outputs: Outputs, *, level: float = 0.95) -> Estimate:
    """Give the AUROC of a binary classifier with DeLong's interval, over its groups."""
    return auroc_interval(*_binary(outputs), outputs.groups, level=level)


def delong_difference(first: Outputs, second: Outputs, *, level: float = 0.95) -> PairedResult:
    """Compare the AUROC of two binary classifiers on the same records.

    Returns
    -------
    PairedResult
        Positive means that the first is better.
    """
    first, second = align(first, second)
    truth, ours = _binary(first)
    if truth.all() or not truth.any():
        reason = "all records are of one class"
        return PairedResult(math.nan, math.nan, math.nan, math.nan, level=level, reason=reason)
    area, component = _components(truth, ours)
    other, other_component = _components(truth, _binary(second)[1])
    difference = area - other
    variance = _variance(truth, component - other_component, difference, first.groups)
    deviation = math.sqrt(max(variance, 0.0))
    half = float(stats.norm.ppf((1 + level) / 2)) * deviation
    if deviation > 0:
        p_value = float(2 * stats.norm.sf(abs(difference) / deviation))
    else:
        p_value = 1.0 if difference == 0 else 0.0
    return PairedResult(
        difference,
        difference - half,
        difference + half,
        p_value,
        level=level,
        value_first=area,
        value_second=other,
        records=len(first),
        groups=len(np.unique(first.groups)),
    )
