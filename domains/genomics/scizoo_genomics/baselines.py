"""Classical baselines: k-mer spectrum (or positions) with logistic regression, ridge or boosting.

Each is tuned by cross-validation inside the records it is fitted on, by whole groups where they have any,
unless the setting in question is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Baseline
from scizoo_genomics.features import KmerSpectrum, PositionFeatures

_DENSE = 0.08  # share of filled cells from which dense products are faster


def _inputs(records: Sequence[Record]) -> list[str]:
    return [record.input for record in records]


def _compact(matrix: sparse.csr_matrix) -> Any:
    """Return a dense matrix where that is faster and small enough, else the sparse one."""
    cells = matrix.shape[0] * matrix.shape[1]
    filled = matrix.nnz / max(cells, 1)
    return matrix.toarray() if filled > _DENSE and cells < 400_000_000 else matrix


def _groups(records: Sequence[Record], groups: np.ndarray | None) -> np.ndarray:
    if groups is not None:
        return np.asarray(groups)
    return np.array([f"id:{one.id}" if one.group is None else one.group for one in records], dtype=object)


def folds_of(
    targets: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield train and test positions of a cross-validation by whole groups; none when groups are too few."""
    from sklearn.model_selection import GroupKFold

    if len(set(groups.tolist())) < folds:
        return
    yield from GroupKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(targets)), groups=groups)


def best_of(
    grid: Sequence[float],
    fit: Callable[[float, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    loss: Callable[[np.ndarray, np.ndarray], float],
    targets: np.ndarray,
    groups: np.ndarray,
    folds: int,
    seed: int,
) -> float:
    """Choose a setting by cross-validation.

    Parameters
    ----------
    grid : sequence of float
        The values to try; the middle one is taken when the data are too few to choose.
    fit : callable
        A value and training positions to a function from positions to predictions.
    loss : callable
        Test positions and their predictions to a number; lower is better.
    targets, groups : ndarray
    folds, seed : int

    Returns
    -------
    float
    """
    total = np.zeros(len(grid))
    count = 0
    for train, test in folds_of(targets, groups, folds, seed):
        if targets.ndim == 1 and targets.dtype.kind in "iu" and len(np.unique(targets[train])) < 2:
            continue
        count += 1
        for place, value in enumerate(grid):
            total[place] += loss(test, fit(value, train)(test))
    return grid[int(total.argmin())] if count else grid[len(grid) // 2]


class _Linear(Baseline):
    """Shared by the logistic baselines: features to probabilities, the penalty by cross-validation."""

    C: float | None
    grid: Sequence[float] = (1.0, 10.0, 100.0, 1000.0)
    folds: int
    seed: int

    def _features(self) -> KmerSpectrum | PositionFeatures:
        raise TypeError(f"{type(self).__name__} lacks features")

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> _Linear:
        """Learn from labelled records; see the core's Baseline."""
        targets = np.asarray(targets)
        self.features_ = self._features()
        x = _compact(self.features_.fit_transform(_inputs(records)))
        by = _groups(records, groups)
        if targets.ndim == 1:
            self.model_ = self._fit_classes(x, targets, by)
            self.classes_ = self.model_.classes_
        else:
            self.models_ = [self._fit_label(x, targets[:, label], by) for label in range(targets.shape[1])]
        return self

    def _new(self, C: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=C, max_iter=300, tol=1e-3)

    def _fit_classes(self, x: Any, y: np.ndarray, groups: np.ndarray) -> Any:
        def fit(C: float, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            model = self._new(C).fit(x[rows], y[rows])
            place = {int(label): column for column, label in enumerate(model.classes_)}

            def predict(test: np.ndarray) -> np.ndarray:
                probability = model.predict_proba(x[test])
                column = np.array([place.get(int(label), -1) for label in y[test]])
                found = probability[np.arange(len(test)), column]
                return np.where(column < 0, 1e-6, found)  # a class the fold never saw

            return predict

        def loss(test: np.ndarray, truth: np.ndarray) -> float:
            return float(-np.log(np.maximum(truth, 1e-6)).mean())

        C = self.C
        if C is None:
            C = best_of(self.grid, fit, loss, y, groups, self.folds, self.seed)
        self.C_ = C
        return self._new(C).fit(x, y)

    def _fit_label(self, x: Any, y: np.ndarray, groups: np.ndarray) -> Any:
        known = np.flatnonzero(~np.isnan(y))
        classes = np.unique(y[known]).astype(int)
        if len(classes) < 2:
            return float(classes[0]) if len(classes) else 0.5
        return self._fit_classes(x[known], y[known].astype(int), groups[known])

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes of ``classes_``, or labels)."""
        x = _compact(self.features_.transform(_inputs(records)))
        if hasattr(self, "classes_"):
            return self.model_.predict_proba(x)
        columns = [
            np.full(x.shape[0], model) if isinstance(model, float) else model.predict_proba(x)[:, 1]
            for model in self.models_
        ]
        return np.stack(columns, axis=1)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty and the features' settings."""
        return {"C": trial.suggest_float("C", 0.1, 1000.0, log=True)}


class KmerLogistic(_Linear):
    """K-mer spectrum with logistic regression, for classes and for several labels.

    Parameters
    ----------
    k_min, k_max, canonical, weighting
        As of :class:`~scizoo_genomics.features.KmerSpectrum`.
    C : float, optional
        Inverse strength of the L2 penalty; by cross-validation when not given.
    folds : int
        Of the cross-validation.
    seed : int
    """

    title = "the k-mer baseline (logistic regression)"

    def __init__(
        self,
        k_min: int = 3,
        k_max: int = 6,
        canonical: bool = True,
        weighting: str = "tfidf",
        C: float | None = None,
        folds: int = 3,
        seed: int = 0,
    ):
        self.k_min, self.k_max, self.canonical, self.weighting = k_min, k_max, canonical, weighting
        self.C, self.folds, self.seed = C, folds, seed

    def _features(self) -> KmerSpectrum:
        return KmerSpectrum(self.k_min, self.k_max, self.canonical, self.weighting)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty, the longest k-mer and the weighting."""
        return {
            "C": trial.suggest_float("C", 0.1, 1000.0, log=True),
            "k_max": trial.suggest_int("k_max", max(self.k_min, 4), 7),
            "weighting": trial.suggest_categorical("weighting", ["tfidf", "log", "frequency"]),
        }


class PositionLogistic(_Linear):
    """Bases and words at each position with logistic regression: a weight matrix with neighbours.

    The classical baseline where windows are cut around one point and the strand is known.

    Parameters
    ----------
    word : int
        Longest word at a position.
    C : float, optional
        Inverse strength of the L2 penalty; by cross-validation when not given.
    folds : int
    seed : int
    """

    title = "the position baseline (logistic regression)"
    grid = (0.01, 0.1, 1.0)

    def __init__(self, word: int = 2, C: float | None = None, folds: int = 3, seed: int = 0):
        self.word, self.C, self.folds, self.seed = word, C, folds, seed

    def _features(self) -> PositionFeatures:
        return PositionFeatures(self.word)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty and the length of words."""
        return {
            "C": trial.suggest_float("C", 1e-3, 10.0, log=True),
            "word": trial.suggest_int("word", 1, 3),
        }


class KmerRidge(Baseline):
    """K-mer spectrum with ridge regression, for one or several real targets.

    Parameters
    ----------
    k_min, k_max, canonical, weighting
        As of :class:`~scizoo_genomics.features.KmerSpectrum`.
    alpha : float, optional
        Strength of the L2 penalty; by cross-validation when not given.
    folds : int
    seed : int
    """

    title = "the k-mer baseline (ridge regression)"

    def __init__(
        self,
        k_min: int = 1,
        k_max: int = 6,
        canonical: bool = False,
        weighting: str = "log",
        alpha: float | None = None,
        folds: int = 3,
        seed: int = 0,
    ):
        self.k_min, self.k_max, self.canonical, self.weighting = k_min, k_max, canonical, weighting
        self.alpha, self.folds, self.seed = alpha, folds, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> KmerRidge:
        """Learn from records; missing targets (NaN) are left out, target by target."""
        from sklearn.linear_model import Ridge

        y = np.asarray(targets, dtype=float).reshape(len(records), -1)
        self.features_ = KmerSpectrum(self.k_min, self.k_max, self.canonical, self.weighting)
        x = _compact(self.features_.fit_transform(_inputs(records)))
        by = _groups(records, groups)
        self.models_, self.variance_ = [], []
        for column in range(y.shape[1]):
            known = np.flatnonzero(~np.isnan(y[:, column]))
            xk, yk = x[known], y[known, column]

            def fit(alpha: float, rows: np.ndarray, xk: Any = xk, yk: np.ndarray = yk) -> Callable:
                model = Ridge(alpha=alpha).fit(xk[rows], yk[rows])

                def predict(places: np.ndarray) -> np.ndarray:
                    return model.predict(xk[places])

                return predict

            def loss(test: np.ndarray, predicted: np.ndarray, yk: np.ndarray = yk) -> float:
                return float(((predicted - yk[test]) ** 2).mean())

            alpha = self.alpha
            if alpha is None:
                alpha = best_of((0.03, 0.3, 3.0, 30.0), fit, loss, yk, by[known], self.folds, self.seed)
            errors = []
            for train, test in folds_of(yk, by[known], self.folds, self.seed):
                errors.append(loss(test, fit(alpha, train)(test)))
            self.models_.append(Ridge(alpha=alpha).fit(xk, yk))
            # The spread of predictions for groups not fitted on, which is what test records are.
            self.variance_.append(float(np.mean(errors)) if errors else float(yk.var()))
        return self

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Return predictions, shape (records, targets)."""
        x = _compact(self.features_.transform(_inputs(records)))
        return np.stack([model.predict(x) for model in self.models_], axis=1)

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the error, as cross-validation measured it; the same for every record."""
        return np.tile(self.variance_, (len(records), 1))

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty, the longest k-mer and the weighting."""
        return {
            "alpha": trial.suggest_float("alpha", 1e-3, 100.0, log=True),
            "k_max": trial.suggest_int("k_max", max(self.k_min, 4), 7),
            "weighting": trial.suggest_categorical("weighting", ["tfidf", "log", "frequency"]),
        }
