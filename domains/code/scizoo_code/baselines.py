"""The field's linear method: words weighted by how rare they are, and a support vector machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.baseline import Baseline
from scizoo_code.sources import text_of

_WORD = re.compile(r"[^\W\d_]+|\d+|_+|[^\w\s]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(text: str) -> list[str]:
    """Cut source into words of names, numbers and signs: ``getHTTPLine_2`` is get, http, line, _, 2."""
    return [part.lower() for word in _WORD.findall(text) for part in _CAMEL.split(word)]


def query_words(value: Any) -> str:
    """Write a source or a query as its words, signs left out, for ranking by words."""
    return " ".join(word for word in words_of(text_of(value)) if word[0].isalnum())


class TfidfSVM(Baseline):
    """Runs of words under tf-idf weights with a linear support vector machine.

    As what learned models of code are measured against (Allamanis et al. 2018, arXiv 1709.06182). Decision
    values become probabilities by Platt's sigmoid, fitted by cross-validation; where a class is too rare for
    that, by a softmax.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty.
    longest : int
        Words in a run, at most.
    features : int
        Runs that are counted, the most frequent ones.
    balanced : bool
        Whether rare classes count as much as frequent ones.
    folds, seed : int
        Of the cross-validation.
    """

    title = "TF-IDF + linear SVM"

    def __init__(
        self,
        C: float = 1.0,
        longest: int = 2,
        features: int = 50_000,
        balanced: bool = False,
        folds: int = 3,
        seed: int = 0,
    ):
        self.C, self.longest, self.features = C, longest, features
        self.balanced, self.folds, self.seed = balanced, folds, seed

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> TfidfSVM:
        """Learn from labelled records; of several labels, the missing ones (NaN) are left out."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer_ = TfidfVectorizer(
            analyzer="word",
            tokenizer=words_of,
            token_pattern=None,
            lowercase=False,
            ngram_range=(1, self.longest),
            max_features=self.features,
            sublinear_tf=True,
        )
        x = self.vectorizer_.fit_transform([text_of(record.input) for record in records])
        targets = np.asarray(targets)
        if targets.ndim == 1:
            self.model_ = self._fit_one(x, targets)
            self.classes_ = np.unique(targets)
        else:
            self.models_ = [self._fit_label(x, column) for column in targets.T]
        return self

    def _fit_label(self, x: Any, y: np.ndarray) -> Any:
        known = np.flatnonzero(~np.isnan(y))
        classes = np.unique(y[known])
        if len(classes) < 2:  # nothing to learn but the only answer that was seen
            return float(classes[0]) if len(classes) else 0.5
        return self._fit_one(x[known], y[known].astype(int))

    def _fit_one(self, x: Any, y: np.ndarray) -> Any:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.svm import LinearSVC

        counts = np.unique(y, return_counts=True)[1]
        if len(counts) < 2:
            return None
        machine = LinearSVC(
            C=self.C, class_weight="balanced" if self.balanced else None, random_state=self.seed
        )
        if counts.min() < self.folds:
            return machine.fit(x, y)
        return CalibratedClassifierCV(machine, cv=self.folds).fit(x, y)

    def predict_proba(self, records: Sequence[Record]) -> np.ndarray:
        """Return probabilities, shape (records, classes of ``classes_``, or labels)."""
        x = self.vectorizer_.transform([text_of(record.input) for record in records])
        if hasattr(self, "classes_"):
            return _probabilities(self.model_, x)
        columns = [
            np.full(len(records), model) if isinstance(model, float) else _probabilities(model, x)[:, 1]
            for model in self.models_
        ]
        return np.stack(columns, axis=1)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Suggest a penalty, the length of runs, and whether classes are balanced."""
        return {
            "C": trial.suggest_float("C", 1e-2, 1e2, log=True),
            "longest": trial.suggest_int("longest", 1, 3),
            "balanced": trial.suggest_categorical("balanced", [False, True]),
        }


def _probabilities(model: Any, x: Any) -> np.ndarray:
    if model is None:  # one class alone was seen
        return np.ones((x.shape[0], 1))
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(x))
    scores = model.decision_function(x)
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], axis=1)
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
