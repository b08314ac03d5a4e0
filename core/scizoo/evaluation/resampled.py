"""The metrics for many weightings at once: what makes a bootstrap take seconds.

Each function takes weights (B, N), one row a replicate, and gives (B,) values, NaN where undefined.
scikit-learn has no such form; :mod:`scizoo.evaluation.scores` holds the values these must equal.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from scizoo.evaluation import forecasts
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.scores import normal_losses, squared_errors


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights @ values) / weights.sum(axis=1)


def accuracy(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.accuracy`."""
    return _weighted_mean((outputs.predicted == outputs.targets).astype(float), weights)


def _marginals(outputs: Outputs, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give true counts, predicted counts and hits of each class, each (B, C).

    Every metric of the confusion matrix here needs no more, so the matrix itself, C times larger, is
    never made.
    """
    classes = outputs.require("probability").shape[1]
    rows = np.arange(len(outputs))

    def counts(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
        table = sparse.csr_array(
            (np.ones(keep.sum()), (rows[keep], labels[keep])), shape=(len(outputs), classes)
        )
        return np.asarray((table.T @ weights.T).T)

    every = np.ones(len(outputs), dtype=bool)
    predicted = outputs.predicted
    return (
        counts(outputs.targets, every),
        counts(predicted, every),
        counts(predicted, predicted == outputs.targets),
    )


def _single(true: np.ndarray) -> np.ndarray:
    return (true > 0).sum(axis=1) < 2


def balanced_accuracy(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.balanced_accuracy`."""
    true, _, hits = _marginals(outputs, weights)
    recall = np.where(true > 0, hits / np.where(true > 0, true, 1), 0.0)
    return np.where(_single(true), np.nan, recall.sum(axis=1) / (true > 0).sum(axis=1))


def mcc(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.mcc`."""
    true, predicted, hits = _marginals(outputs, weights)
    total = weights.sum(axis=1)
    covariance = hits.sum(axis=1) * total - (true * predicted).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    value = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)
    return np.where(_single(true), np.nan, value)


def macro_f1(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.macro_f1`."""
    true, predicted, hits = _marginals(outputs, weights)
    size = true + predicted
    f1 = np.where(size > 0, 2 * hits / np.where(size > 0, size, 1), 0.0)
    return np.where(_single(true), np.nan, f1.sum(axis=1) / (size > 0).sum(axis=1))


def ranking_areas(truth: np.ndarray, value: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the areas under the ROC and the precision-recall curve of one binary label.

    Parameters
    ----------
    truth : ndarray of bool, shape (N,)
    value : ndarray, shape (N,)
        Higher means more likely positive; ties count half for ROC.
    weights : ndarray, shape (B, N)

    Returns
    -------
    tuple of ndarray, shape (B,) each
        NaN where a replicate has only one class.
    """
    order = np.argsort(-value, kind="stable")
    value, truth = value[order], truth[order]
    weights = weights[:, order]
    ends = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)  # the last record of each tie
    true = np.cumsum(weights * truth, axis=1)[:, ends]
    every = np.cumsum(weights, axis=1)[:, ends]
    false = every - true
    positives, negatives = true[:, -1], false[:, -1]
    gained = np.diff(true, axis=1, prepend=0.0)
    missed_before = np.concatenate([np.zeros((len(weights), 1)), false[:, :-1]], axis=1)
    below = negatives[:, None] - (false + missed_before) / 2
    defined = (positives > 0) & (negatives > 0)
    roc = np.where(defined, (gained * below).sum(axis=1) / (positives * negatives), np.nan)
    precision = np.divide(true, every, out=np.zeros_like(true), where=every > 0)
    average = np.where(defined, (gained * precision).sum(axis=1) / positives, np.nan)
    return roc, average


def _areas(outputs: Outputs, weights: np.ndarray, which: int) -> np.ndarray:
    probability = outputs.require("probability")
    if probability.shape[1] == 2:
        return ranking_areas(outputs.targets == 1, probability[:, 1], weights)[which]
    classes = np.unique(outputs.targets)
    columns = [ranking_areas(outputs.targets == c, probability[:, c], weights)[which] for c in classes]
    return _mean_of_defined(np.stack(columns, axis=1))


def _mean_of_defined(columns: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(columns)
    count = defined.sum(axis=1)
    return np.where(count > 0, np.nansum(columns, axis=1) / np.maximum(count, 1), np.nan)


def auroc(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.auroc`."""
    return _areas(outputs, weights, 0)


def auprc(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.auprc`."""
    return _areas(outputs, weights, 1)


def log_loss(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.log_loss`."""
    probability = outputs.require("probability")
    probability = probability / probability.sum(axis=1, keepdims=True)
    tiny = np.finfo(probability.dtype).eps
    true = np.clip(probability[np.arange(len(outputs)), outputs.targets], tiny, 1 - tiny)
    return _weighted_mean(-np.log(true), weights)


def brier(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.brier`."""
    return _weighted_mean(squared_errors(outputs), weights)


def _label_areas(outputs: Outputs, weights: np.ndarray, which: int) -> np.ndarray:
    probability, columns = outputs.require("probability"), []
    for label in range(outputs.targets.shape[1]):
        keep = ~np.isnan(outputs.targets[:, label])
        if keep.any():
            truth = outputs.targets[keep, label] == 1
            columns.append(ranking_areas(truth, probability[keep, label], weights[:, keep])[which])
    return _mean_of_defined(np.stack(columns, axis=1)) if columns else np.full(len(weights), np.nan)


def mean_auroc(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.mean_auroc`."""
    return _label_areas(outputs, weights, 0)


def mean_auprc(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.mean_auprc`."""
    return _label_areas(outputs, weights, 1)


def _column_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give weighted means of columns (B, T) of values (N, T) that may be NaN."""
    known = ~np.isnan(values)
    total = weights @ known.astype(float)
    sums = weights @ np.where(known, values, 0.0)
    return np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)


def mean_brier(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.mean_brier`."""
    errors = (outputs.targets - outputs.require("probability")) ** 2
    return _mean_of_defined(_column_means(errors, weights))


def rmse(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.rmse`."""
    errors = (outputs.targets - outputs.require("mean")) ** 2
    return _mean_of_defined(np.sqrt(_column_means(errors, weights)))


def mae(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.mae`."""
    if outputs.kind == "forecast":
        return forecasts.mae(outputs, weights)
    return _mean_of_defined(_column_means(np.abs(outputs.targets - outputs.require("mean")), weights))


def r2(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.r2`."""
    targets = outputs.targets - np.nanmean(outputs.targets, axis=0)  # against loss of digits in the squares
    error = _column_means((outputs.targets - outputs.require("mean")) ** 2, weights)
    variance = _column_means(targets**2, weights) - _column_means(targets, weights) ** 2
    varied = variance > 1e-12 * np.nanvar(outputs.targets, axis=0)
    return _mean_of_defined(np.where(varied, 1 - error / np.where(varied, variance, 1), np.nan))


def _correlation(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give weighted correlations; truth and predicted are (N,) or (B, N)."""
    total = weights.sum(axis=1, keepdims=True)
    safe = np.where(total > 0, total, 1)
    x = truth - (weights * truth).sum(axis=1, keepdims=True) / safe
    y = predicted - (weights * predicted).sum(axis=1, keepdims=True) / safe
    spread = (weights * x**2).sum(axis=1) * (weights * y**2).sum(axis=1)
    value = (weights * x * y).sum(axis=1) / np.sqrt(np.where(spread > 0, spread, 1))
    return np.where(spread > 1e-24, value, np.nan)


def _mid_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Give the mid-rank (B, N) that each record has when every record counts ``weights`` times."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(values) - 1)
    tie = np.searchsorted(ends, np.arange(len(values)))
    upto = np.cumsum(weights[:, order], axis=1)[:, ends]
    before = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
    ranks = np.empty_like(weights)
    ranks[:, order] = ((upto + before + 1) / 2)[:, tie]
    return ranks


def _correlations(outputs: Outputs, weights: np.ndarray, ranked: bool) -> np.ndarray:
    columns = []
    for column in range(outputs.targets.shape[1]):
        keep = ~np.isnan(outputs.targets[:, column])
        if not keep.any():
            continue
        truth, predicted = outputs.targets[keep, column], outputs.require("mean")[keep, column]
        part = weights[:, keep]
        if ranked:
            columns.append(_correlation(_mid_ranks(truth, part), _mid_ranks(predicted, part), part))
        else:
            columns.append(_correlation(truth, predicted, part))
    return _mean_of_defined(np.stack(columns, axis=1)) if columns else np.full(len(weights), np.nan)


def pearson(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.pearson`."""
    return _correlations(outputs, weights, ranked=False)


def spearman(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.spearman`."""
    return _correlations(outputs, weights, ranked=True)


def nll(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.nll`."""
    return _mean_of_defined(_column_means(normal_losses(outputs), weights))


def bits_per_token(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.bits_per_token`."""
    tokens = weights @ outputs.require("tokens").astype(float)
    losses = -(weights @ outputs.require("log_likelihood")) / math.log(2)
    return np.where(tokens > 0, losses / np.where(tokens > 0, tokens, 1), np.nan)


def perplexity(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
    """See :func:`scizoo.evaluation.scores.perplexity`."""
    return 2.0 ** bits_per_token(outputs, weights)
