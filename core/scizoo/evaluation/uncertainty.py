"""What a fitted model keeps to say how sure it is: fitted on validation records, applied to new ones.

Conformal scores are kept rather than thresholds, so that the coverage is picked when predicting. They are
of the outputs as the model gives them: scaling is fitted to the same records, and sets of scaled outputs
would no longer be promised anything.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from scizoo.checkpoints.uncertainty import UncertaintyState
from scizoo.errors import ConfigError
from scizoo.evaluation.calibration import TemperatureScaling, VarianceScaling
from scizoo.evaluation.conformal import ConformalClassifier, ConformalRegressor, conformal_quantile
from scizoo.evaluation.ood import MahalanobisDetector
from scizoo.evaluation.outputs import Outputs

#: Validation records below which nothing is fitted to them.
FEW = 20

_KINDS = ("classification", "multilabel", "regression")
_FOLDS = 5
_OWN_MEAN = 5  # records of a class below which it has no mean of its own
_OOD = "ood."


def fit_uncertainty(
    outputs: Outputs,
    embeddings: np.ndarray | None = None,
    *,
    coverage: float = 0.9,
    quantile: float = 0.95,
    seed: int = 0,
) -> UncertaintyState | None:
    """Fit all that is kept, to validation records alone.

    Parameters
    ----------
    outputs : Outputs
        Of the validation part, as the model gives them.
    embeddings : ndarray, shape (N, D), optional
        What the head saw of the same records; without them nothing is told about strange records.
    coverage : float
        What sets and intervals aim at when the user asks for nothing else.
    quantile : float
        Share of records like these below the threshold of the out-of-distribution score.
    seed : int
        Of the folds.

    Returns
    -------
    UncertaintyState or None
        None for other kinds of task, and with fewer than 20 validation records.
    """
    check_coverage(coverage)
    known = np.ones(len(outputs), dtype=bool)
    if outputs.kind in ("multilabel", "regression"):
        known = ~np.isnan(outputs.targets).all(axis=1)
    if outputs.kind not in _KINDS or known.sum() < FEW:
        return None
    arrays, methods = _fit_regression(outputs) if outputs.kind == "regression" else _fit_classes(outputs)
    settings: dict[str, Any] = {
        "kind": outputs.kind,
        "fitted_on": "validation",
        "records": int(known.sum()),
        "groups": len(np.unique(outputs.groups[known])),
        "coverage": float(coverage),
        **methods,
        "ood": None,
    }
    if embeddings is not None:
        detector = _fit_detector(np.asarray(embeddings, dtype=np.float64), outputs, quantile, seed)
        arrays |= {_OOD + name: array for name, array in detector.state().items()}
        settings["ood"] = {"method": "mahalanobis", "quantile": quantile, "means": len(detector.means)}
    return UncertaintyState(arrays, settings)


def apply_uncertainty(
    state: UncertaintyState,
    *,
    ids: Sequence[str] | np.ndarray,
    probability: np.ndarray | None = None,
    mean: np.ndarray | None = None,
    variance: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    coverage: float | None = None,
) -> dict[str, np.ndarray]:
    """Say how sure a model is of its predictions.

    Parameters
    ----------
    state : UncertaintyState
        Of :func:`fit_uncertainty`.
    ids : sequence of str
        The records'; adaptive sets are randomised by them, so that a record always gets the same set.
    probability : ndarray, shape (N, C), optional
        Of classes or labels, as the model gives them.
    mean, variance : ndarray, shape (N, T), optional
        Of quantities, in the units of the fit.
    embeddings : ndarray, shape (N, D), optional
    coverage : float, optional
        How often sets and intervals shall hold the truth; by default what the state says.

    Returns
    -------
    dict of str to ndarray
        ``probability`` (N, C), calibrated, and ``members`` (N, C) of bool, the sets; or ``variance``,
        calibrated, ``lower`` and ``upper``, each (N, T). With embeddings ``ood_score`` and ``ood`` (N,).

    Raises
    ------
    ConfigError
        When the coverage does not lie between 0 and 1.
    """
    coverage = check_coverage(state.settings["coverage"] if coverage is None else coverage)
    arrays, kind = state.arrays, state.settings["kind"]
    found: dict[str, np.ndarray] = {}
    if probability is not None:
        probability = np.asarray(probability, dtype=np.float64)
        scaling = TemperatureScaling(float(arrays["temperature"][0]), kind)
        found["probability"] = scaling(probability)
        if kind == "multilabel":
            found["members"] = 1 - probability <= conformal_quantile(arrays["scores"], coverage)
        else:
            classifier = ConformalClassifier("aps", coverage, seed=int(state.settings["conformal"]["seed"]))
            found["members"] = classifier.calibrate(arrays["scores"]).sets(probability, ids)
    if mean is not None:
        regressor = ConformalRegressor(state.settings["conformal"]["method"], coverage)
        regressor.calibrate(arrays["residual"], arrays.get("deviation"))
        found["lower"], found["upper"] = regressor.intervals(mean, variance)
        if variance is not None and "variance_factor" in arrays:
            found["variance"] = variance * arrays["variance_factor"]
    if embeddings is not None and state.settings.get("ood"):
        detector = MahalanobisDetector.from_state(
            {name.removeprefix(_OOD): array for name, array in arrays.items() if name.startswith(_OOD)}
        )
        found["ood_score"] = detector.score(embeddings)
        found["ood"] = found["ood_score"] > detector.threshold
    return found


def check_coverage(coverage: Any) -> float:
    """Give a coverage as a number.

    Raises
    ------
    ConfigError
        When it is none between 0 and 1.
    """
    number = isinstance(coverage, int | float | np.number) and not isinstance(coverage, bool)
    if not number or not 0 < coverage < 1:
        raise ConfigError(
            f"coverage={coverage} is no share of records.",
            expected="a number between 0 and 1, such as 0.9: how often sets and intervals hold the truth",
        )
    return float(coverage)


def highest_coverage(state: UncertaintyState) -> float:
    """Give the coverage above which there are too few validation records for any promise.

    Beyond it sets hold every class and intervals have no end.
    """
    scores = state.arrays["residual" if state.settings["kind"] == "regression" else "scores"]
    least = int((~np.isnan(scores)).reshape(len(scores), -1).sum(axis=0).min())
    return least / (least + 1)


def join_labels(names: Iterable[str]) -> str:
    """Join the labels of a set by ``;``; a label that holds one itself is quoted as in CSV."""
    line = io.StringIO()
    csv.writer(line, delimiter=";", lineterminator="").writerow(list(names))
    return line.getvalue()


def _fit_classes(outputs: Outputs) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    probability = outputs.require("probability")
    temperature = TemperatureScaling.fit(outputs).temperature
    if outputs.kind == "multilabel":
        # The least likely of a record's labels decides whether a set holds them all.
        known = ~np.isnan(outputs.targets)
        scores = np.where(outputs.targets == 1, 1 - probability, 0.0).max(axis=1)[known.any(axis=1)]
        conformal: dict[str, Any] = {"method": "all_labels"}
    else:
        classifier = ConformalClassifier("aps")
        scores = classifier.true_scores(probability, outputs.targets, outputs.ids)
        conformal = {"method": "aps", "seed": classifier.seed}
    arrays = {"temperature": np.array([temperature]), "scores": np.sort(scores)}
    return arrays, {"calibration": {"method": "temperature"}, "conformal": conformal}


def _fit_regression(outputs: Outputs) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    residual = np.abs(outputs.targets - outputs.require("mean"))
    order = np.argsort(residual, axis=0)  # nothing says any more which record a score was of
    arrays = {"residual": np.take_along_axis(residual, order, axis=0)}
    if outputs.variance is None:
        return arrays, {"calibration": None, "conformal": {"method": "absolute"}}
    deviation = np.sqrt(np.maximum(outputs.variance, 0))
    arrays["deviation"] = np.take_along_axis(deviation, order, axis=0)
    measured = (~np.isnan(residual)).any(axis=0)
    factor = np.ones(residual.shape[1])  # a quantity without validation values stays as it is
    if measured.any():
        part = Outputs(
            outputs.ids,
            outputs.groups,
            outputs.targets[:, measured],
            "regression",
            mean=outputs.require("mean")[:, measured],
            variance=outputs.variance[:, measured],
        )
        factor[measured] = VarianceScaling.fit(part).factor
    arrays["variance_factor"] = factor
    return arrays, {"calibration": {"method": "variance"}, "conformal": {"method": "cqr"}}


def _fit_detector(
    embeddings: np.ndarray, outputs: Outputs, quantile: float, seed: int
) -> MahalanobisDetector:
    """Fit to all records, and the threshold to records that a fit without their group had not seen.

    Records lie nearer to means and covariance that were computed from them than new ones do; a threshold
    on their own distances would flag far more than its share.
    """
    labels = np.zeros(len(embeddings), dtype=np.int64)
    if outputs.kind == "classification":
        count = np.bincount(outputs.targets)
        labels = np.where(count[outputs.targets] >= _OWN_MEAN, outputs.targets, -1)
    detector = MahalanobisDetector(quantile=quantile)
    scores = np.full(len(embeddings), math.nan)
    fold = _folds(outputs.groups, seed)
    for number in range(_FOLDS):
        held = fold == number
        if held.any():
            scores[held] = detector.fit(embeddings[~held], labels[~held]).score(embeddings[held])
    detector.fit(embeddings, labels)
    detector.threshold = float(np.quantile(scores, quantile))
    return detector


def _folds(groups: np.ndarray, seed: int) -> np.ndarray:
    """Give each record the number of its fold, whole groups together where no group is too large."""
    names, member = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[member] % _FOLDS
    if np.bincount(fold, minlength=_FOLDS).max() > len(groups) // 2:
        fold = np.random.default_rng(seed).permutation(len(groups)) % _FOLDS
    return fold
