"""Features with a model of scikit-learn, for classes, for tags and for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError, did_you_mean
from scizoo.evaluation.features import FeatureBaseline, standardised
from scizoo_music.features.notes import KINDS, note_features
from scizoo_music.features.timbre import sound_features

MODELS = ("logistic", "svm", "forest")


class Featured(FeatureBaseline):
    """Features under a model. Subclasses say which features.

    Parameters
    ----------
    model : {"logistic", "svm", "forest"}
        Logistic regression or a support-vector machine with Gaussian kernel, whose scores are turned into
        probabilities by Platt's method, both on standardised features; or a random forest. For numbers ridge
        regression stands in for the first, support-vector and forest regression for the others.
    C : float
        Inverse strength of the penalty.
    n_estimators : int
        Trees of a forest.
    balanced : bool
        Whether each class counts alike, however many members it has.
    seed : int
    """

    def __init__(
        self,
        model: str = "logistic",
        C: float = 1.0,
        n_estimators: int = 300,
        balanced: bool = False,
        seed: int = 0,
    ):
        self.model, self.C, self.n_estimators, self.balanced, self.seed = (
            model,
            C,
            n_estimators,
            balanced,
            seed,
        )

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> Featured:
        """Learn from labelled records; see the core's FeatureBaseline."""
        if self.model not in MODELS:
            raise ConfigError(f"model={self.model}: {did_you_mean(str(self.model), MODELS)}")
        super().fit(records, targets, groups)
        return self

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest settings of the model."""
        if self.model == "forest":
            return {"balanced": trial.suggest_categorical("balanced", [False, True])}
        return {
            "C": trial.suggest_float("C", 1e-3, 1e3, log=True),
            "balanced": trial.suggest_categorical("balanced", [False, True]),
        }

    def classifier(self, labels: np.ndarray) -> Any:
        """Return a new classifier."""
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import SVC

        weight = "balanced" if self.balanced else None
        if self.model == "logistic":
            return standardised(LogisticRegression(C=self.C, class_weight=weight, max_iter=500, tol=1e-3))
        fewest = int(np.bincount(np.unique(labels, return_inverse=True)[1]).min())
        if self.model == "forest" or fewest < 2:  # Platt's method needs two of each class
            return RandomForestClassifier(self.n_estimators, class_weight=weight, random_state=self.seed)
        machine = standardised(SVC(C=self.C, class_weight=weight, random_state=self.seed))
        return CalibratedClassifierCV(machine, cv=min(5, fewest), ensemble=False)

    def regressor(self) -> Any:
        """Return a new regressor."""
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.linear_model import Ridge
        from sklearn.svm import SVR

        if self.model == "logistic":
            return standardised(Ridge(alpha=1.0 / self.C))
        if self.model == "svm":
            return standardised(SVR(C=self.C))
        return RandomForestRegressor(self.n_estimators, random_state=self.seed)


class NoteHistograms(Featured):
    """Histograms of pitch classes, intervals and rhythms with logistic regression.

    Parameters
    ----------
    kinds : sequence of {"pitch", "interval", "rhythm"}
    model, C, n_estimators, balanced, seed
        As of :class:`Featured`.
    """

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        model: str = "logistic",
        C: float = 0.1,
        n_estimators: int = 300,
        balanced: bool = False,
        seed: int = 0,
    ):
        super().__init__(model, C, n_estimators, balanced, seed)
        self.kinds = kinds

    @property
    def title(self) -> str:  # type: ignore[override]
        """The name that people read."""
        names = {"logistic": "logistic regression", "svm": "SVM", "forest": "random forest"}
        return f"{', '.join(self.kinds)} histograms ({names.get(self.model, self.model)})"

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features that were asked for."""
        for kind in self.kinds:
            if kind not in KINDS:
                raise ConfigError(f"kinds={kind}: {did_you_mean(str(kind), KINDS)}")
        return note_features(records, tuple(self.kinds))


class TimbreStatistics(Featured):
    """Statistics of MFCCs and spectra of sounds, with a support-vector machine.

    Parameters
    ----------
    coefficients : int
        MFCCs.
    model, C, n_estimators, balanced, seed
        As of :class:`Featured`.
    """

    def __init__(
        self,
        coefficients: int = 20,
        model: str = "svm",
        C: float = 3.0,
        n_estimators: int = 300,
        balanced: bool = False,
        seed: int = 0,
    ):
        super().__init__(model, C, n_estimators, balanced, seed)
        self.coefficients = coefficients

    @property
    def title(self) -> str:  # type: ignore[override]
        """The name that people read."""
        names = {"logistic": "logistic regression", "svm": "SVM", "forest": "random forest"}
        return f"MFCC statistics ({names.get(self.model, self.model)})"

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the features."""
        return sound_features(records, self.coefficients)
