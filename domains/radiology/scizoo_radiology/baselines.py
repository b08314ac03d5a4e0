"""Classical baselines: radiomics-like features, the pixels themselves, rows of measures, words of reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo_radiology.features.cache import matrix
from scizoo_radiology.features.radiomics import pixels, radiomics
from scizoo_radiology.tabular import Forest, Tabular


class Radiomics(Tabular):
    """First-order statistics, co-occurrence, local binary patterns, gradients and a layout of 8 x 8 cells.

    Definitions of the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020), on whole pictures.
    Parameters as of :class:`~scizoo_radiology.tabular.Tabular`.
    """

    title = "radiomics-like features (gradient boosting)"

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return 145 features a picture."""
        return matrix(records, "radiomics", radiomics)


class RadiomicsForest(Forest):
    """The same features with a random forest. Parameters as of :class:`~scizoo_radiology.tabular.Tabular`."""

    title = "radiomics-like features (random forest)"

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return 145 features a picture."""
        return matrix(records, "radiomics", radiomics)


class PixelForest(Forest):
    """The pixels at a small size with a random forest: hard to beat on small pictures that are well aligned.

    Parameters
    ----------
    side : int
        Rows and columns to which pictures are brought.
    model, rounds, learning_rate, min_leaf, max_features, balanced, C, seed
        As of :class:`~scizoo_radiology.tabular.Tabular`.
    """

    title = "pixels (random forest)"

    def __init__(
        self,
        model: str = "forest",
        rounds: int = 300,
        learning_rate: float = 0.1,
        min_leaf: int = 1,
        max_features: float = 0.05,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
        side: int = 28,
    ):
        super().__init__(model, rounds, learning_rate, min_leaf, max_features, balanced, C, seed)
        self.side = side

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the pixels."""
        return matrix(records, ("pixels", self.side), lambda picture: pixels(picture, self.side))


class MeasuresForest(Forest):
    """Rows of measures as they are, with a random forest, as MRIQC's own classifier is (Esteban et al. 2017).

    Parameters as of :class:`~scizoo_radiology.tabular.Tabular`; ``model=boosting`` and ``linear`` do as well.
    """

    title = "measures as they are (random forest)"

    def fit_features(self, records: Sequence[Record]) -> np.ndarray:
        """Note the names of the measures, and return them."""
        self.names_ = list(records[0].input)
        return self.features(records)

    def features(self, records: Sequence[Record]) -> np.ndarray:
        """Return the measures.

        Raises
        ------
        DataError
            When a record lacks one of the training part's, naming it.
        """
        for record in records:
            lacking = [name for name in self.names_ if name not in record.input]
            if lacking:
                raise DataError(f"record '{record.id}' lacks the measure '{lacking[0]}'.")
        rows = [[float(record.input[name]) for name in self.names_] for record in records]
        return np.array(rows, dtype=np.float64).reshape(len(records), len(self.names_))


class MeasuresBoosting(MeasuresForest):
    """Rows of measures with gradient boosting; parameters as of :class:`MeasuresForest`."""

    title = "measures as they are (gradient boosting)"

    def __init__(
        self,
        model: str = "boosting",
        rounds: int = 200,
        learning_rate: float = 0.05,
        min_leaf: int = 5,
        max_features: float = 0.2,
        balanced: bool = False,
        C: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(model, rounds, learning_rate, min_leaf, max_features, balanced, C, seed)


class ReportWords(Tabular):
    """Words and pairs of words by TF-IDF (Salton and Buckley 1988) with logistic regression.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty.
    ngrams : int
        Longest run of words that counts.
    balanced : bool
        Whether each class counts alike, however many members it has.
    seed : int
    """

    title = "TF-IDF of words (logistic regression)"

    def __init__(self, C: float = 10.0, ngrams: int = 2, balanced: bool = False, seed: int = 0):
        super().__init__(model="linear", balanced=balanced, C=C, seed=seed)
        self.ngrams = ngrams

    def fit_features(self, records: Sequence[Record]) -> Any:
        """Learn the words of the training reports, and return their weights (sparse)."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.words_ = TfidfVectorizer(
            ngram_range=(1, self.ngrams), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"
        ).fit(record.input for record in records)
        return self.features(records)

    def features(self, records: Sequence[Record]) -> Any:
        """Return TF-IDF weights, sparse."""
        return self.words_.transform(record.input for record in records)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty, pairs of words or not, and whether classes are balanced."""
        return {
            "C": trial.suggest_float("C", 0.1, 1000.0, log=True),
            "ngrams": trial.suggest_int("ngrams", 1, 3),
            "balanced": trial.suggest_categorical("balanced", [False, True]),
        }

    def classifier(self, labels: np.ndarray) -> Any:
        """Return a new classifier."""
        from sklearn.linear_model import LogisticRegression

        weight = "balanced" if self.balanced else None
        return LogisticRegression(C=self.C, class_weight=weight, max_iter=1000)
