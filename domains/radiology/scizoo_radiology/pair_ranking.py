"""The classical way from a picture to its report: features of the one regressed on words of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.rankers import RankBaseline
from scizoo_radiology.features.cache import matrix
from scizoo_radiology.features.radiomics import radiomics


class RadiomicsToWords(RankBaseline):
    """Ridge regression from radiomics-like features to topics of reports; the nearest report comes first.

    Reports are TF-IDF vectors reduced by latent semantic analysis (Deerwester et al. 1990); the score is the
    cosine between a report's topics and those that the picture's features predict.

    Parameters
    ----------
    topics : int
        Dimensions of the reduced vectors, as far as the training reports allow.
    alpha : float
        Strength of the ridge penalty.
    seed : int
    """

    title = "radiomics-like features to words (ridge regression)"

    def __init__(self, topics: int = 50, alpha: float = 100.0, seed: int = 0):
        self.topics, self.alpha, self.seed = topics, alpha, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> RadiomicsToWords:
        """Learn topics, and the regression on them, from the training pairs."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.words_ = TfidfVectorizer(sublinear_tf=True)
        counts = self.words_.fit_transform([str(record.target) for record in records])
        topics = max(1, min(self.topics, min(counts.shape) - 1))
        self.topics_ = TruncatedSVD(topics, random_state=self.seed)
        meant = self.topics_.fit_transform(counts)
        self.model_ = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), Ridge(self.alpha)
        ).fit(self._pictures([record.input for record in records]), meant)
        return self

    def scores(self, queries: Sequence[Any], documents: Sequence[Any]) -> np.ndarray:
        """Return cosines, shape (pictures, reports)."""
        meant = self.topics_.transform(self.words_.transform([str(one) for one in documents]))
        said = self.model_.predict(self._pictures(queries)).reshape(len(queries), -1)
        return _unit(said) @ _unit(meant).T

    @staticmethod
    def _pictures(values: Sequence[Any]) -> np.ndarray:
        return matrix([Record(str(n), value) for n, value in enumerate(values)], "radiomics", radiomics)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest how many topics, and a penalty."""
        return {
            "topics": trial.suggest_int("topics", 5, 200, log=True),
            "alpha": trial.suggest_float("alpha", 1.0, 1e4, log=True),
        }


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
