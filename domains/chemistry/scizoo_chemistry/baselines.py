"""What the classical baselines share, and RDKit's descriptors with linear models.

Several labels and several values are learnt one by one, each from the records where it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Baseline
from scizoo_chemistry.descriptors import DescriptorScale

_SMALLEST_VARIANCE = 1e-6  # share of the target's own variance


def _inputs(records: Sequence[Record]) -> list[Any]:
    return [record.input for record in records]


def _groups(records: Sequence[Record], groups: np.ndarray | None) -> np.ndarray:
    if groups is not None:
        return np.asarray(groups)
    return np.array([f"id:{one.id}" if one.group is None else one.group for one in records], dtype=object)


def folds_of(groups: np.ndarray, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield train and test positions of a cross-validation by whole groups; none when groups are too few."""
    from sklearn.model_selection import GroupKFold

    if len(set(groups.tolist())) >= folds:
        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        yield from splitter.split(np.zeros(len(groups)), groups=groups)


class _Features(Baseline):
    """What all share: features of molecules, whose columns that never vary in training are left out."""

    def _describe(self, records: Sequence[Record]) -> np.ndarray:
        raise TypeError(f"{type(self).__name__} lacks features")

    def _learn_columns(self, records: Sequence[Record]) -> np.ndarray:
        x = self._describe(records)
        self.columns_ = np.flatnonzero(x.max(axis=0) > x.min(axis=0))
        if not len(self.columns_):
            self.columns_ = np.arange(1)  # molecules that are all alike still need a column
        return x[:, self.columns_]

    def _columns(self, records: Sequence[Record]) -> np.ndarray:
        return self._describe(records)[:, self.columns_]


class _Classifier(_Features):
    """One model for classes, or one a label."""

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        raise TypeError(f"{type(self).__name__} lacks a model")

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> _Classifier:
        """Learn from labelled records; of several labels, the missing ones (NaN) are left out."""
        targets = np.asarray(targets)
        x, by = self._learn_columns(records), _groups(records, groups)
        if targets.ndim == 1:
            self.model_ = self._fit_one(x, targets, by)
            self.classes_ = self.model_.classes_
        else:
            self.models_ = [self._fit_label(x, targets[:, label], by) for label in range(targets.shape[1])]
        return self

    def _fit_label(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        known = np.flatnonzero(~np.isnan(y))
        classes = np.unique(y[known]).astype(int)
        if len(classes) < 2:  # with few labels: nothing to learn but the only answer that was seen
            return float(classes[0]) if len(classes) else 0.5
        return self._fit_one(x[known], y[known].astype(int), groups[known])

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes of ``classes_``, or labels)."""
        x = self._columns(records)
        if hasattr(self, "classes_"):
            return self.model_.predict_proba(x)
        columns = [
            np.full(len(x), model) if isinstance(model, float) else model.predict_proba(x)[:, 1]
            for model in self.models_
        ]
        return np.stack(columns, axis=1)


class _Regressor(_Features):
    """One model a target."""

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        raise TypeError(f"{type(self).__name__} lacks a model")

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> _Regressor:
        """Learn from records; missing targets (NaN) are left out, target by target."""
        y = np.asarray(targets, dtype=float).reshape(len(records), -1)
        x, by = self._learn_columns(records), _groups(records, groups)
        self.models_, self.spread_ = [], np.nanvar(y, axis=0)
        for column in y.T:
            known = np.flatnonzero(~np.isnan(column))
            self.models_.append(self._fit_one(x[known], column[known], by[known]))
        return self

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Return predictions, shape (records, targets)."""
        x = self._columns(records)
        return np.stack([model.predict(x) for model in self.models_], axis=1)


class _Descriptors:
    """RDKit's 2-D descriptors, scaled by the training molecules; undefined ones are at the centre."""

    scale_: DescriptorScale

    def _learn_columns(self, records: Sequence[Record]) -> np.ndarray:
        self.scale_ = DescriptorScale().fit(_inputs(records))
        return super()._learn_columns(records)  # type: ignore[misc]

    def _describe(self, records: Sequence[Record]) -> np.ndarray:
        return self.scale_.transform(_inputs(records))


def _choose(
    grid: Sequence[float], loss: Callable[[float, np.ndarray, np.ndarray], float], folds: list[Any]
) -> tuple[float, float]:
    """Return the value with the least loss over folds, and that loss; without folds the middle value."""
    if not folds:
        return grid[len(grid) // 2], float("nan")
    means = [float(np.mean([loss(value, train, test) for train, test in folds])) for value in grid]
    best = int(np.argmin(means))
    return grid[best], means[best]


class DescriptorLogistic(_Descriptors, _Classifier):
    """RDKit's 2-D descriptors with logistic regression, for classes and for several labels.

    Parameters
    ----------
    C : float, optional
        Inverse strength of the L2 penalty; by cross-validation over whole groups when not given.
    balanced : bool
        Whether rare classes count as much as frequent ones.
    folds, seed : int
        Of the cross-validation.
    """

    title = "the descriptor baseline (logistic regression)"

    def __init__(self, C: float | None = None, balanced: bool = False, folds: int = 3, seed: int = 0):
        self.C, self.balanced, self.folds, self.seed = C, balanced, folds, seed

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.linear_model import LogisticRegression

        def new(C: float) -> LogisticRegression:
            weight = "balanced" if self.balanced else None
            return LogisticRegression(C=C, class_weight=weight, max_iter=500, tol=1e-3)

        def loss(C: float, train: np.ndarray, test: np.ndarray) -> float:
            model = new(C).fit(x[train], y[train])
            place = {int(label): column for column, label in enumerate(model.classes_)}
            column = np.array([place.get(int(label), -1) for label in y[test]])
            found = model.predict_proba(x[test])[np.arange(len(test)), column]
            return float(-np.log(np.maximum(np.where(column < 0, 0.0, found), 1e-6)).mean())

        C = self.C
        if C is None:
            several = [(a, b) for a, b in folds_of(groups, self.folds, self.seed) if len(np.unique(y[a])) > 1]
            C, _ = _choose((0.001, 0.01, 0.1, 1.0), loss, several)
        return new(C).fit(x, y)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty and whether classes are balanced."""
        return {
            "C": trial.suggest_float("C", 1e-4, 10.0, log=True),
            "balanced": trial.suggest_categorical("balanced", [False, True]),
        }


class DescriptorRidge(_Descriptors, _Regressor):
    """RDKit's 2-D descriptors with ridge regression, for one or several real targets.

    Parameters
    ----------
    alpha : float, optional
        Strength of the L2 penalty; by cross-validation over whole groups when not given.
    folds, seed : int
        Of the cross-validation.
    """

    title = "the descriptor baseline (ridge regression)"
    grid = (0.3, 3.0, 30.0, 300.0, 3000.0)

    def __init__(self, alpha: float | None = None, folds: int = 3, seed: int = 0):
        self.alpha, self.folds, self.seed = alpha, folds, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> DescriptorRidge:
        """Learn from records; missing targets (NaN) are left out, target by target."""
        self.errors_: list[float] = []
        super().fit(records, targets, groups)
        return self

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.linear_model import Ridge

        def loss(alpha: float, train: np.ndarray, test: np.ndarray) -> float:
            return float(
                ((Ridge(alpha=alpha).fit(x[train], y[train]).predict(x[test]) - y[test]) ** 2).mean()
            )

        grid = self.grid if self.alpha is None else (self.alpha,)
        alpha, error = _choose(grid, loss, list(folds_of(groups, self.folds, self.seed)))
        # Molecules of other groups are what test records are, so their error is the variance to expect.
        self.errors_.append(float(y.var()) if np.isnan(error) else error)
        return Ridge(alpha=alpha).fit(x, y)

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the error, as cross-validation measured it; the same for every record."""
        return np.tile(np.maximum(self.errors_, _SMALLEST_VARIANCE * self.spread_), (len(records), 1))

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty."""
        return {"alpha": trial.suggest_float("alpha", 1e-2, 1e5, log=True)}
