"""The value of each metric, from scikit-learn and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats
from sklearn import metrics as sk

from scizoo.evaluation.outputs import Outputs

Weights = np.ndarray | None


class Undefined(Exception):
    """A metric has no value on these records; the message is the reason."""


def _present(outputs: Outputs, weights: Weights) -> np.ndarray:
    targets = outputs.targets if weights is None else outputs.targets[weights > 0]
    classes = np.unique(targets)
    if len(classes) < 2:
        name = outputs.classes[classes[0]] if len(classes) and outputs.classes else "one class"
        raise Undefined(f"all records are of one class ({name})")
    return classes


def accuracy(outputs: Outputs, weights: Weights = None) -> float:
    """Share of records whose class is right."""
    return sk.accuracy_score(outputs.targets, outputs.predicted, sample_weight=weights)


def balanced_accuracy(outputs: Outputs, weights: Weights = None) -> float:
    """Mean recall of the classes that occur."""
    _present(outputs, weights)
    return sk.balanced_accuracy_score(outputs.targets, outputs.predicted, sample_weight=weights)


def mcc(outputs: Outputs, weights: Weights = None) -> float:
    """Matthews correlation coefficient (of several classes: Gorodkin 2004); 0 for a constant prediction."""
    _present(outputs, weights)
    return sk.matthews_corrcoef(outputs.targets, outputs.predicted, sample_weight=weights)


def macro_f1(outputs: Outputs, weights: Weights = None) -> float:
    """Mean F1 of the classes that occur or are predicted."""
    _present(outputs, weights)
    keep = slice(None) if weights is None else weights > 0
    return sk.f1_score(
        outputs.targets[keep],
        outputs.predicted[keep],
        sample_weight=None if weights is None else weights[keep],
        average="macro",
        zero_division=0,
    )


def _one_against_rest(outputs: Outputs, weights: Weights, function: Callable[..., float]) -> float:
    classes = _present(outputs, weights)
    probability = outputs.require("probability")
    if probability.shape[1] == 2:
        return function(outputs.targets == 1, probability[:, 1], sample_weight=weights)
    return float(
        np.mean([function(outputs.targets == c, probability[:, c], sample_weight=weights) for c in classes])
    )


def auroc(outputs: Outputs, weights: Weights = None) -> float:
    """Area under the ROC curve; of several classes, the mean of each one against the rest."""
    return _one_against_rest(outputs, weights, sk.roc_auc_score)


def auprc(outputs: Outputs, weights: Weights = None) -> float:
    """Average precision; of several classes, the mean of each one against the rest."""
    return _one_against_rest(outputs, weights, sk.average_precision_score)


def log_loss(outputs: Outputs, weights: Weights = None) -> float:
    """Mean negative log-probability of the true class, in nats."""
    probability = outputs.require("probability")
    return sk.log_loss(
        outputs.targets,
        probability / probability.sum(axis=1, keepdims=True),
        sample_weight=weights,
        labels=np.arange(probability.shape[1]),
    )


def squared_errors(outputs: Outputs) -> np.ndarray:
    """Squared distance of each record's probabilities from the truth; of two classes, of the second."""
    probability = outputs.require("probability")
    if probability.shape[1] == 2:
        return (probability[:, 1] - (outputs.targets == 1)) ** 2
    truth = np.zeros_like(probability)
    truth[np.arange(len(outputs)), outputs.targets] = 1
    return ((probability - truth) ** 2).sum(axis=1)


def brier(outputs: Outputs, weights: Weights = None) -> float:
    """Brier score: of two classes 0 to 1, of several 0 to 2 (Brier's own form)."""
    return float(np.average(squared_errors(outputs), weights=weights))


def _over_labels(
    outputs: Outputs, weights: Weights, function: Callable[..., float], need_both: bool
) -> float:
    probability = outputs.require("probability")
    values = []
    for label in range(outputs.targets.shape[1]):
        keep = ~np.isnan(outputs.targets[:, label])
        if weights is not None:
            keep &= weights > 0
        truth = outputs.targets[keep, label]
        if len(truth) == 0 or (need_both and len(np.unique(truth)) < 2):
            continue
        weight = None if weights is None else weights[keep]
        values.append(function(truth, probability[keep, label], sample_weight=weight))
    if not values:
        raise Undefined("no label has both positive and negative records")
    return float(np.mean(values))


def mean_auroc(outputs: Outputs, weights: Weights = None) -> float:
    """Mean area under the ROC curve of the labels that have both classes; missing labels are left out."""
    return _over_labels(outputs, weights, sk.roc_auc_score, True)


def mean_auprc(outputs: Outputs, weights: Weights = None) -> float:
    """Mean average precision of the labels that have both classes; missing labels are left out."""
    return _over_labels(outputs, weights, sk.average_precision_score, True)


def mean_brier(outputs: Outputs, weights: Weights = None) -> float:
    """Mean squared error of the labels' probabilities; missing labels are left out."""

    def one(truth: np.ndarray, probability: np.ndarray, sample_weight: Weights) -> float:
        return float(np.average((truth - probability) ** 2, weights=sample_weight))

    return _over_labels(outputs, weights, one, False)


def _over_targets(
    outputs: Outputs, weights: Weights, function: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
) -> float:
    mean, count = outputs.require("mean"), np.ones(len(outputs)) if weights is None else weights
    values = []
    for column in range(outputs.targets.shape[1]):
        keep = ~np.isnan(outputs.targets[:, column]) & (count > 0)
        if keep.any():
            values.append(function(outputs.targets[keep, column], mean[keep, column], count[keep]))
    if not values:
        raise Undefined("no record has a target")
    return float(np.mean(values))


def rmse(outputs: Outputs, weights: Weights = None) -> float:
    """Root mean squared error; of several targets, the mean."""
    return _over_targets(outputs, weights, lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w))


def mae(outputs: Outputs, weights: Weights = None) -> float:
    """Mean absolute error; of several targets, the mean; of forecasts, over all steps of all records."""
    if outputs.kind == "forecast":
        from scizoo.evaluation import forecasts  # it imports this module

        return forecasts.value(forecasts.mae)(outputs, weights)
    return _over_targets(outputs, weights, lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w))


def _varied(truth: np.ndarray) -> None:
    if len(truth) < 2 or np.ptp(truth) == 0:
        raise Undefined("all records have the same target")


def r2(outputs: Outputs, weights: Weights = None) -> float:
    """Share of the variance explained; of several targets, the mean."""

    def one(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
        _varied(truth)
        return sk.r2_score(truth, predicted, sample_weight=weight)

    return _over_targets(outputs, weights, one)


def _correlation(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray, ranked: bool) -> float:
    _varied(truth)
    if np.ptp(predicted) == 0:
        raise Undefined("the predictions are constant")
    if (weight == weight[0]).all():
        function = stats.spearmanr if ranked else stats.pearsonr
        return float(function(truth, predicted).statistic)
    # Weights are counts: the records, each as often as it counts.
    times = weight.astype(np.int64)
    return _correlation(np.repeat(truth, times), np.repeat(predicted, times), np.ones(times.sum()), ranked)


def pearson(outputs: Outputs, weights: Weights = None) -> float:
    """Pearson's correlation; of several targets, the mean."""
    return _over_targets(outputs, weights, lambda y, p, w: _correlation(y, p, w, False))


def spearman(outputs: Outputs, weights: Weights = None) -> float:
    """Spearman's rank correlation; of several targets, the mean."""
    return _over_targets(outputs, weights, lambda y, p, w: _correlation(y, p, w, True))


def normal_losses(outputs: Outputs) -> np.ndarray:
    """Negative log-density of each target under the predicted normal distribution, in nats (N, T)."""
    deviation = np.sqrt(np.maximum(outputs.require("variance"), 1e-12))
    return -stats.norm.logpdf(outputs.targets, outputs.require("mean"), deviation)


def nll(outputs: Outputs, weights: Weights = None) -> float:
    """Mean negative log-density under the predicted normal distribution, in nats; targets' mean."""
    losses = normal_losses(outputs)
    count = np.ones(len(outputs)) if weights is None else weights
    sums = np.nansum(losses * count[:, None], axis=0)
    totals = (~np.isnan(losses) * count[:, None]).sum(axis=0)
    if not (totals > 0).any():
        raise Undefined("no record has a target")
    return float(np.mean(sums[totals > 0] / totals[totals > 0]))


def bits_per_token(outputs: Outputs, weights: Weights = None) -> float:
    """Mean negative log-likelihood of a token, in bits."""
    count = np.ones(len(outputs)) if weights is None else weights
    tokens = (outputs.require("tokens") * count).sum()
    if tokens == 0:
        raise Undefined("no token was predicted")
    return float(-(outputs.require("log_likelihood") * count).sum() / tokens / math.log(2))


def perplexity(outputs: Outputs, weights: Weights = None) -> float:
    """Two to the power of the bits per token."""
    return float(2.0 ** bits_per_token(outputs, weights))
