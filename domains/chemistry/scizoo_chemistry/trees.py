"""Classical baselines: extended-connectivity fingerprints with random forests or gradient boosting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo_chemistry.baselines import _SMALLEST_VARIANCE, _Classifier, _Features, _inputs, _Regressor
from scizoo_chemistry.features import fingerprints


class _Fingerprints(_Features):
    """Extended-connectivity fingerprints (Rogers and Hahn 2010, J. Chem. Inf. Model. 50:742)."""

    radius: int
    bits: int
    counts: bool

    def _describe(self, records: Sequence[Record]) -> np.ndarray:
        return fingerprints(_inputs(records), self.radius, self.bits, self.counts)


class _Forest(_Fingerprints):
    """Settings of both random forests.

    Parameters
    ----------
    trees : int
    max_features : float or str
        Share of the columns, or ``"sqrt"`` of their number, that each node looks at.
    min_leaf : int
        Fewest molecules in a leaf.
    radius, bits, counts
        As of :func:`~scizoo_chemistry.features.fingerprints`.
    jobs : int
        Processor cores.
    seed : int
    """

    def __init__(
        self,
        trees: int = 300,
        max_features: float | str = "sqrt",
        min_leaf: int = 1,
        radius: int = 2,
        bits: int = 2048,
        counts: bool = False,
        jobs: int = 1,
        seed: int = 0,
    ):
        self.trees, self.max_features, self.min_leaf = trees, max_features, min_leaf
        self.radius, self.bits, self.counts = radius, bits, counts
        self.jobs, self.seed = jobs, seed

    def _options(self) -> dict[str, Any]:
        return {
            "n_estimators": self.trees,
            "max_features": self.max_features,
            "min_samples_leaf": self.min_leaf,
            "n_jobs": self.jobs,
            "random_state": self.seed,
        }

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest how nodes look and leaves end, the radius, and bits or counts."""
        return {
            "max_features": trial.suggest_categorical("max_features", ["sqrt", 0.05, 0.1, 0.3]),
            "min_leaf": trial.suggest_int("min_leaf", 1, 5),
            "radius": trial.suggest_int("radius", 1, 3),
            "counts": trial.suggest_categorical("counts", [False, True]),
        }


class FingerprintForest(_Forest, _Classifier):
    """ECFP with a random forest (Svetnik et al. 2003), for classes and for several labels.

    Parameters
    ----------
    trees, max_features, min_leaf, radius, bits, counts, jobs, seed
        As of :class:`_Forest`.
    """

    title = "the ECFP baseline (random forest)"

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(**self._options()).fit(x, y)


class FingerprintForestRegressor(_Forest, _Regressor):
    """ECFP with a random forest, for one or several real targets.

    Parameters
    ----------
    trees, max_features, min_leaf, radius, bits, counts, jobs, seed
        As of :class:`_Forest`; a third of the columns is usual for real targets.
    """

    title = "the ECFP baseline (random forest)"

    def __init__(
        self,
        trees: int = 300,
        max_features: float | str = 0.3,
        min_leaf: int = 1,
        radius: int = 2,
        bits: int = 2048,
        counts: bool = False,
        jobs: int = 1,
        seed: int = 0,
    ):
        super().__init__(trees, max_features, min_leaf, radius, bits, counts, jobs, seed)

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(**self._options()).fit(x, y)

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the trees' answers; each is one molecule's value where leaves are single."""
        x = self._columns(records).astype(np.float32)
        spread = [np.var([tree.predict(x) for tree in model.estimators_], axis=0) for model in self.models_]
        return np.maximum(np.stack(spread, axis=1), _SMALLEST_VARIANCE * self.spread_)


class _Boosting(_Fingerprints):
    """Settings of both boosted baselines.

    Parameters
    ----------
    learning_rate : float
    rounds : int
        Trees, a class each.
    leaves : int
        Most leaves of a tree.
    min_leaf : int
        Fewest molecules in a leaf; the library's own 20 would learn nothing from 20 labels.
    max_features : float
        Share of the columns that each node looks at.
    l2 : float
        Penalty on the leaves' values.
    radius, bits, counts
        As of :func:`~scizoo_chemistry.features.fingerprints`.
    seed : int
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        rounds: int = 100,
        leaves: int = 31,
        min_leaf: int = 5,
        max_features: float = 0.2,
        l2: float = 1.0,
        radius: int = 2,
        bits: int = 2048,
        counts: bool = False,
        seed: int = 0,
    ):
        self.learning_rate, self.rounds = learning_rate, rounds
        self.leaves, self.min_leaf = leaves, min_leaf
        self.max_features, self.l2 = max_features, l2
        self.radius, self.bits, self.counts, self.seed = radius, bits, counts, seed

    def _options(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "max_iter": self.rounds,
            "max_leaf_nodes": self.leaves,
            "min_samples_leaf": self.min_leaf,
            "max_features": self.max_features,
            "l2_regularization": self.l2,
            "early_stopping": False,
            "random_state": self.seed,
        }

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a learning rate, the rounds, the size of trees, the radius, and bits or counts."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
            "rounds": trial.suggest_int("rounds", 50, 300),
            "leaves": trial.suggest_int("leaves", 7, 63),
            "min_leaf": trial.suggest_int("min_leaf", 2, 20),
            "radius": trial.suggest_int("radius", 1, 3),
            "counts": trial.suggest_categorical("counts", [False, True]),
        }


class FingerprintBoosting(_Boosting, _Classifier):
    """ECFP with histogram gradient boosting, for classes and for several labels.

    Parameters
    ----------
    learning_rate, rounds, leaves, min_leaf, max_features, l2, radius, bits, counts, seed
        As of :class:`_Boosting`.
    """

    title = "the ECFP baseline (gradient boosting)"

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(**self._options()).fit(x, y)


class FingerprintBoostingRegressor(_Boosting, _Regressor):
    """ECFP with histogram gradient boosting, for one or several real targets.

    Parameters
    ----------
    learning_rate, rounds, leaves, min_leaf, max_features, l2, radius, bits, counts, seed
        As of :class:`_Boosting`.
    """

    title = "the ECFP baseline (gradient boosting)"

    def _fit_one(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(**self._options()).fit(x, y)
