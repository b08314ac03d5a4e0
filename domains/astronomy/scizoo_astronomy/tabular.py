"""Features with a model of scikit-learn: what the classical baselines share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.features import FeatureBaseline, standardised


class Tabular(FeatureBaseline):
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

    def raw_features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features of records, shape (records, features); NaN or infinite where missing."""
        raise TypeError(f"{type(self).__name__} lacks features")

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features with what is infinite as missing, bounded for trees that count in float32."""
        x = self.raw_features(records)
        return np.clip(np.where(np.isfinite(x), x, np.nan), -1e30, 1e30)

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> Tabular:
        """Learn from labelled records; see the core's FeatureBaseline."""
        if self.model not in ("forest", "linear"):
            raise ConfigError(f"model={self.model}: {did_you_mean(str(self.model), ('forest', 'linear'))}")
        super().fit(records, targets, groups)
        return self

    def predict_variance(self, records: Sequence[Record]) -> np.ndarray:
        """Return the variance of the error, shape (records, targets).

        On average that of predictions for records not learned from: of a forest for those a tree did not see,
        half of it shared out by how far the trees disagree; of ridge regression by cross-validation.
        """
        floor = np.tile(self.variance_, (len(records), 1))
        if self.model != "forest":
            return floor
        x = self.features(records).astype(np.float32)
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

    def classifier(self, labels: np.ndarray) -> Any:
        """Return a new classifier."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if self.balanced else None
        if self.model == "linear":
            return standardised(LogisticRegression(C=self.C, class_weight=weight, max_iter=2000), impute=True)
        return RandomForestClassifier(
            self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=weight,
            random_state=self.seed,
        )

    def regressor(self) -> Any:
        """Return a new regressor."""
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.linear_model import Ridge

        if self.model == "linear":
            return standardised(Ridge(alpha=1.0 / self.C), impute=True)
        return RandomForestRegressor(
            self.n_estimators,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=self.seed,
            oob_score=True,
            bootstrap=True,
        )

    def error_of(self, model: Any, x: np.ndarray, y: np.ndarray) -> float:
        """Return the mean squared error for records that a tree did not see, or by cross-validation."""
        if self.model == "forest":
            return float(np.mean((model.oob_prediction_ - y) ** 2))
        return super().error_of(model, x, y)
