"""Features with a model of scikit-learn: what the classical baselines share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.features import FeatureBaseline, standardised

MODELS = ("boosting", "forest", "linear")


class Tabular(FeatureBaseline):
    """Features, which subclasses say, with a model of scikit-learn, for classes or for several labels.

    Parameters
    ----------
    model : {"boosting", "forest", "linear"}
        Gradient boosting on histograms (Ke et al. 2017; Friedman 2001), a random forest (Breiman 2001), or
        logistic regression on standardised features, missing ones replaced by the median.
    rounds : int
        Trees of boosting (a class) or of a forest.
    learning_rate : float
        Of boosting.
    min_leaf : int
        Fewest records in a leaf.
    max_features : float
        Share of the features that a split of a forest's tree chooses among.
    balanced : bool
        Whether each class counts alike, however many members it has.
    C : float
        Inverse strength of the penalty of logistic regression.
    seed : int
    """

    title = "features with a classifier"

    def __init__(
        self,
        model: str = "boosting",
        rounds: int = 200,
        learning_rate: float = 0.1,
        min_leaf: int = 5,
        max_features: float = 0.2,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        self.model, self.rounds, self.learning_rate, self.min_leaf = model, rounds, learning_rate, min_leaf
        self.max_features, self.balanced, self.C, self.seed = max_features, balanced, C, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> Tabular:
        """Learn from labelled records; see the core's FeatureBaseline."""
        if self.model not in MODELS:
            raise ConfigError(f"model={self.model}: {did_you_mean(str(self.model), MODELS)}")
        super().fit(records, targets, groups)
        return self

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest settings of the model."""
        balanced = trial.suggest_categorical("balanced", [False, True])
        if self.model == "linear":
            return {"C": trial.suggest_float("C", 1e-3, 1e3, log=True), "balanced": balanced}
        if self.model == "boosting":
            return {
                "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
                "rounds": trial.suggest_int("rounds", 50, 400, log=True),
                "min_leaf": trial.suggest_int("min_leaf", 2, 30, log=True),
                "balanced": balanced,
            }
        return {
            "max_features": trial.suggest_float("max_features", 0.02, 1.0, log=True),
            "min_leaf": trial.suggest_int("min_leaf", 1, 10, log=True),
            "balanced": balanced,
        }

    def classifier(self, labels: np.ndarray) -> Any:
        """Return a new classifier."""
        from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if self.balanced else None
        if self.model == "boosting":
            return HistGradientBoostingClassifier(
                max_iter=self.rounds,
                learning_rate=self.learning_rate,
                min_samples_leaf=self.min_leaf,
                class_weight=weight,
                early_stopping=False,
                random_state=self.seed,
            )
        if self.model == "forest":
            return RandomForestClassifier(
                self.rounds,
                max_features=self.max_features,
                min_samples_leaf=self.min_leaf,
                class_weight=weight,
                random_state=self.seed,
            )
        return standardised(LogisticRegression(C=self.C, class_weight=weight, max_iter=2000), impute=True)


class Forest(Tabular):
    """The same with a random forest by default. Parameters as of :class:`Tabular`."""

    title = "features with a random forest"

    def __init__(
        self,
        model: str = "forest",
        rounds: int = 300,
        learning_rate: float = 0.1,
        min_leaf: int = 1,
        max_features: float = 0.2,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, rounds, learning_rate, min_leaf, max_features, balanced, C, seed)
