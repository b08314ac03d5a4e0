"""Features with a model of scikit-learn: what the classical baselines share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.baseline import Baseline


class Tabular(Baseline):
    """Features with a model of scikit-learn for classes, labels or numbers. Subclasses say which features.

    Parameters
    ----------
    model : {"forest", "linear"}
        A random forest (Breiman 2001, Machine Learning 45, 5), which takes missing features as they are; or
        logistic regression, for numbers ridge regression, on standardised features, the missing ones replaced
        by the median.
    n_estimators : int
        Trees of a forest.
    max_features : float
        Share of the features that a split of a tree chooses among.
    min_samples_leaf : int
    balanced : bool
        Whether each class counts alike, however many members it has.
    C : float
        Inverse strength of the penalty of the linear models.
    seed : int
    """

    title = "features with a random forest"

    def __init__(
        self,
        model: str = "forest",
        n_estimators: int = 300,
        max_features: float = 0.2,
        min_samples_leaf: int = 1,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        self.model, self.n_estimators, self.max_features = model, n_estimators, max_features
        self.min_samples_leaf, self.balanced, self.C, self.seed = min_samples_leaf, balanced, C, seed

    def fit_features(self, records: Sequence[Record]) -> np.ndarray:
        """Learn what the features need of the training records, and return them."""
        return self.features(records)

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features of records, shape (records, features); NaN where missing."""
        raise TypeError(f"{type(self).__name__} lacks features")

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> Tabular:
        """Learn from labelled records; see the core's Baseline."""
        if self.model not in ("forest", "linear"):
            raise ConfigError(f"model={self.model}: {did_you_mean(str(self.model), ('forest', 'linear'))}")
        targets = np.asarray(targets)
        x = _clean(self.fit_features(records))
        self.numbers_ = targets.dtype.kind == "f" and not _labels(targets)
        self.models_: list[Any] = []
        self.shares_: list[float] = []
        self.variance_: list[float] = []
        if targets.ndim == 1 and not self.numbers_:
            self.models_ = [self._classifier().fit(x, targets)]
            self.classes_ = np.asarray(self.models_[0].classes_)
            return self
        columns = targets.astype(float).reshape(len(records), -1)
        for column in columns.T:
            known = np.isfinite(column)
            if self.numbers_:
                model = self._regressor().fit(x[known], column[known])
                self.models_.append(model)
                self.variance_.append(self._error(model, x[known], column[known]))
            else:
                labels = column[known].astype(int)
                self.shares_.append((labels.sum() + 0.5) / (len(labels) + 1))
                both = len(np.unique(labels)) == 2
                self.models_.append(self._classifier().fit(x[known], labels) if both else None)
        return self

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes) or (records, labels)."""
        x = _clean(self.features(records))
        if not self.shares_:
            return self.models_[0].predict_proba(x)
        columns = [
            np.full(len(x), share) if model is None else model.predict_proba(x)[:, 1]
            for model, share in zip(self.models_, self.shares_)
        ]
        return np.stack(columns, axis=1)

    def predict(self, records: Sequence[Record]) -> np.ndarray:
        """Return numbers, shape (records, targets); of a classifier the likeliest classes."""
        x = _clean(self.features(records))
        if not self.numbers_:
            return self.models_[0].predict(x)
        return np.stack([model.predict(x) for model in self.models_], axis=1)

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the error, shape (records, targets).

        On average that of predictions for records not learned from: of a forest for those a tree did not see,
        half of it shared out by how far the trees disagree; of ridge regression by cross-validation.
        """
        floor = np.tile(self.variance_, (len(records), 1))
        if self.model != "forest":
            return floor
        x = _clean(self.features(records)).astype(np.float32)
        spread = np.stack(
            [np.var([tree.predict(x) for tree in model.estimators_], axis=0) for model in self.models_],
            axis=1,
        )
        scale = np.maximum(spread.mean(axis=0, keepdims=True), 1e-12)
        return 0.5 * floor + 0.5 * floor * spread / scale

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest settings of the model."""
        if self.model == "linear":
            return {"C": trial.suggest_float("C", 1e-3, 1e3, log=True)}
        return {
            "max_features": trial.suggest_float("max_features", 0.05, 1.0, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 8, log=True),
            "balanced": trial.suggest_categorical("balanced", [False, True]),
        }

    def _classifier(self) -> Any:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if self.balanced else None
        if self.model == "linear":
            return _prepared(LogisticRegression(C=self.C, class_weight=weight, max_iter=2000))
        return RandomForestClassifier(
            self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=weight,
            random_state=self.seed,
        )

    def _regressor(self) -> Any:
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.linear_model import Ridge

        if self.model == "linear":
            return _prepared(Ridge(alpha=1.0 / self.C))
        return RandomForestRegressor(
            self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.seed,
            oob_score=True,
            bootstrap=True,
        )

    def _error(self, model: Any, x: np.ndarray, y: np.ndarray) -> float:
        if self.model == "forest":
            return float(np.mean((model.oob_prediction_ - y) ** 2))
        from sklearn.base import clone
        from sklearn.model_selection import cross_val_predict

        folds = min(5, len(y))
        if folds < 2:
            return float(np.var(y))
        return float(np.mean((cross_val_predict(clone(model), x, y, cv=folds) - y) ** 2))


def _labels(targets: np.ndarray) -> bool:
    """Whether targets of real type are labels: several columns of nothing but 0, 1 and missing."""
    return targets.ndim == 2 and bool(np.isin(targets[np.isfinite(targets)], (0.0, 1.0)).all())


def _clean(x: np.ndarray) -> np.ndarray:
    """Turn infinite features into missing ones, and bound the rest for trees that count in float32."""
    return np.clip(np.where(np.isfinite(x), x, np.nan), -1e30, 1e30)


def _prepared(model: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), model)
