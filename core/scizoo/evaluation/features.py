"""Features under models of scikit-learn: what the classical baselines of most fields are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Baseline


class FeatureBaseline(Baseline):
    """Features of records with a model for classes, several labels or numbers.

    A subclass says which features (:meth:`features`) and which models (:meth:`classifier`, and
    :meth:`regressor` where it predicts numbers). Of several labels or numbers each has a model of its own,
    learnt from the records that state it; a label of which only one kind was seen gets its smoothed share.
    """

    def features(self, records: Sequence[Record]) -> Any:
        """Return the features of records, shape (records, features)."""
        raise TypeError(f"{type(self).__name__} lacks features")

    def fit_features(self, records: Sequence[Record]) -> Any:
        """Learn what the features need of the training records, and return them."""
        return self.features(records)

    def classifier(self, labels: np.ndarray) -> Any:
        """Return a new classifier of scikit-learn for these labels."""
        raise TypeError(f"{type(self).__name__} lacks a classifier")

    def regressor(self) -> Any:
        """Return a new regressor of scikit-learn."""
        raise TypeError(f"{type(self).__name__} lacks a regressor")

    def error_of(self, model: Any, x: Any, y: np.ndarray) -> float:
        """Return the mean squared error of a fitted regressor on records it has not learned from."""
        return cross_validated_error(model, x, y)

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> FeatureBaseline:
        """Learn from labelled records; unknown labels and numbers (NaN) are left out."""
        targets = np.asarray(targets)
        x = self.fit_features(records)
        self.models_: list[Any] = []
        self.shares_: list[float] = []
        self.variance_: list[float] = []
        if targets.ndim == 1 and targets.dtype.kind != "f":
            self.models_ = [self.classifier(targets).fit(x, targets)]
            self.classes_ = np.asarray(self.models_[0].classes_)
            return self
        labels = targets.dtype.kind != "f" or _are_labels(targets)
        for column in targets.astype(float).reshape(len(records), -1).T:
            known = np.flatnonzero(np.isfinite(column))
            if labels:
                self._fit_label(x[known], column[known].astype(int))
            else:
                model = self.regressor().fit(x[known], column[known])
                self.models_.append(model)
                self.variance_.append(self.error_of(model, x[known], column[known]))
        return self

    def _fit_label(self, x: Any, labels: np.ndarray) -> None:
        self.shares_.append((labels.sum() + 0.5) / (len(labels) + 1))
        both = len(np.unique(labels)) == 2
        self.models_.append(self.classifier(labels).fit(x, labels) if both else None)

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes) or (records, labels)."""
        x = self.features(records)
        if not self.shares_:
            return np.asarray(self.models_[0].predict_proba(x))
        columns = [
            np.full(x.shape[0], share) if model is None else model.predict_proba(x)[:, 1]
            for model, share in zip(self.models_, self.shares_, strict=True)
        ]
        return np.stack(columns, axis=1)

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Return numbers, shape (records, targets); of a classifier the likeliest classes."""
        x = self.features(records)
        if not self.variance_:
            return np.asarray(self.models_[0].predict(x))
        return np.stack([model.predict(x) for model in self.models_], axis=1)

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the error, shape (records, targets): that of :meth:`error_of`."""
        return np.tile(self.variance_, (len(records), 1))


def standardised(model: Any, *, impute: bool = False) -> Any:
    """Put a model behind standardised features.

    Parameters
    ----------
    model : estimator of scikit-learn
    impute : bool
        Whether missing features (NaN) become the median first.

    Returns
    -------
    Pipeline
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [SimpleImputer(strategy="median", keep_empty_features=True)] if impute else []
    return make_pipeline(*steps, StandardScaler(), model)


def cross_validated_error(model: Any, x: Any, y: np.ndarray) -> float:
    """Return the mean squared error of a model in five folds, above 0; of one record alone 1.

    Parameters
    ----------
    model : estimator of scikit-learn
    x : array, shape (records, features)
    y : ndarray, shape (records,)
    """
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_predict

    folds = min(5, len(y))
    if folds < 2:
        return float(np.var(y)) or 1.0
    return float(np.mean((cross_val_predict(clone(model), x, y, cv=folds) - y) ** 2)) or 1e-12


def _are_labels(targets: np.ndarray) -> bool:
    """Whether targets of real type are labels: several columns of nothing but 0, 1 and missing."""
    return targets.ndim == 2 and bool(np.isin(targets[np.isfinite(targets)], (0.0, 1.0)).all())
