"""K-mer spectrum with gradient boosting, for classes, labels and real targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Baseline
from scizoo_genomics.baselines import _groups, _inputs, best_of
from scizoo_genomics.features import KmerSpectrum

_CELLS = 60_000_000  # cells of the dense matrix at most; more records get fewer columns


class _Boosting(Baseline):
    """What the boosted baselines share: dense columns of the most telling k-mers."""

    k_min: int
    k_max: int
    canonical: bool
    columns: int
    learning_rate: float | None
    rounds: int
    folds: int
    seed: int

    def _fit_features(self, records: Sequence[Record], scores: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Return the columns that tell most about the targets, one at a time."""
        self.features_ = KmerSpectrum(self.k_min, self.k_max, self.canonical, "frequency")
        x = self.features_.fit_transform(_inputs(records))
        count = max(16, min(self.columns, _CELLS // max(len(records), 1), x.shape[1]))
        order = np.argsort(-np.nan_to_num(scores(x), nan=-1.0), kind="stable")
        self.columns_ = np.sort(order[:count])
        return x[:, self.columns_].toarray()

    def _transform(self, records: Sequence[Record]) -> np.ndarray:
        return self.features_.transform(_inputs(records))[:, self.columns_].toarray()

    def _options(self, rate: float) -> dict[str, Any]:
        return {
            "learning_rate": rate,
            "max_iter": self.rounds,
            "max_leaf_nodes": 15,
            "early_stopping": False,
            "random_state": self.seed,
        }

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a learning rate, the rounds and the longest k-mer."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.4, log=True),
            "rounds": trial.suggest_int("rounds", 20, 100),
            "k_max": trial.suggest_int("k_max", max(self.k_min, 3), 6),
        }


class KmerBoosting(_Boosting):
    """K-mer spectrum with histogram gradient boosting, for classes and for several labels.

    Parameters
    ----------
    k_min, k_max, canonical
        As of :class:`~scizoo_genomics.features.KmerSpectrum`.
    columns : int
        K-mers kept: those whose frequency differs most between the classes (ANOVA F).
    learning_rate : float, optional
        By cross-validation when not given.
    rounds : int
        Trees a class.
    folds : int
    seed : int
    """

    title = "the k-mer baseline (gradient boosting)"

    def __init__(
        self,
        k_min: int = 2,
        k_max: int = 5,
        canonical: bool = True,
        columns: int = 120,
        learning_rate: float | None = None,
        rounds: int = 25,
        folds: int = 2,
        seed: int = 0,
    ):
        self.k_min, self.k_max, self.canonical, self.columns = k_min, k_max, canonical, columns
        self.learning_rate, self.rounds, self.folds, self.seed = learning_rate, rounds, folds, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> KmerBoosting:
        """Learn from labelled records; see the core's Baseline."""
        from sklearn.feature_selection import f_classif

        targets = np.asarray(targets)
        by = _groups(records, groups)

        def scores(x: Any) -> np.ndarray:
            columns = targets.reshape(len(targets), -1)
            best = np.zeros(x.shape[1])
            for column in columns.T:
                known = np.flatnonzero(~np.isnan(column.astype(float)))
                if len(np.unique(column[known])) > 1:
                    with np.errstate(divide="ignore", invalid="ignore"):
                        best = np.fmax(
                            best, np.nan_to_num(f_classif(x[known], column[known])[0], posinf=1e12)
                        )
            return best

        x = self._fit_features(records, scores)
        if targets.ndim == 1:
            self.model_ = self._fit_classes(x, targets, by)
            self.classes_ = self.model_.classes_
        else:
            self.models_ = [self._fit_label(x, targets[:, label], by) for label in range(targets.shape[1])]
        return self

    def _fit_classes(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        def fit(rate: float, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            model = HistGradientBoostingClassifier(**self._options(rate)).fit(x[rows], y[rows])
            return lambda test: model.predict(x[test]) != y[test]

        rate = self.learning_rate
        if rate is None:
            rate = best_of(
                (0.1, 0.3), fit, lambda test, wrong: float(wrong.mean()), y, groups, self.folds, self.seed
            )
        self.learning_rate_ = rate
        return HistGradientBoostingClassifier(**self._options(rate)).fit(x, y)

    def _fit_label(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        known = np.flatnonzero(~np.isnan(y))
        classes = np.unique(y[known]).astype(int)
        if len(classes) < 2:
            return float(classes[0]) if len(classes) else 0.5
        return self._fit_classes(x[known], y[known].astype(int), groups[known])

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes of ``classes_``, or labels)."""
        x = self._transform(records)
        if hasattr(self, "classes_"):
            return self.model_.predict_proba(x)
        columns = [
            np.full(len(x), model) if isinstance(model, float) else model.predict_proba(x)[:, 1]
            for model in self.models_
        ]
        return np.stack(columns, axis=1)


class KmerBoostingRegressor(_Boosting):
    """K-mer spectrum with histogram gradient boosting, for one or several real targets.

    Parameters
    ----------
    k_min, k_max, canonical, columns, learning_rate, rounds, folds, seed
        As of :class:`KmerBoosting`; columns are kept by their correlation with the target.
    """

    title = "the k-mer baseline (gradient boosting)"

    def __init__(
        self,
        k_min: int = 2,
        k_max: int = 5,
        canonical: bool = False,
        columns: int = 300,
        learning_rate: float | None = None,
        rounds: int = 100,
        folds: int = 3,
        seed: int = 0,
    ):
        self.k_min, self.k_max, self.canonical, self.columns = k_min, k_max, canonical, columns
        self.learning_rate, self.rounds, self.folds, self.seed = learning_rate, rounds, folds, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> KmerBoostingRegressor:
        """Learn from records; missing targets (NaN) are left out, target by target."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.feature_selection import f_regression

        y = np.asarray(targets, dtype=float).reshape(len(records), -1)
        by = _groups(records, groups)

        def scores(x: Any) -> np.ndarray:
            best = np.zeros(x.shape[1])
            for column in y.T:
                known = np.flatnonzero(~np.isnan(column))
                best = np.fmax(best, np.nan_to_num(f_regression(x[known], column[known])[0], posinf=1e12))
            return best

        x = self._fit_features(records, scores)
        self.models_ = []
        for column in range(y.shape[1]):
            known = np.flatnonzero(~np.isnan(y[:, column]))
            xk, yk = x[known], y[known, column]

            def fit(rate: float, rows: np.ndarray, xk: Any = xk, yk: np.ndarray = yk) -> Callable:
                model = HistGradientBoostingRegressor(**self._options(rate)).fit(xk[rows], yk[rows])
                return lambda test: (model.predict(xk[test]) - yk[test]) ** 2

            rate = self.learning_rate
            if rate is None:
                rate = best_of(
                    (0.03, 0.1, 0.3),
                    fit,
                    lambda test, squares: float(squares.mean()),
                    yk,
                    by[known],
                    self.folds,
                    self.seed,
                )
            self.models_.append(HistGradientBoostingRegressor(**self._options(rate)).fit(xk, yk))
        return self

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Return predictions, shape (records, targets)."""
        x = self._transform(records)
        return np.stack([model.predict(x) for model in self.models_], axis=1)
