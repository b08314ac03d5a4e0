"""Classical baselines of retrieval: the contract, TF-IDF and BM25 on words, and random order."""

from __future__ import annotations

import re
import zlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from scizoo.data.records import Record
from scizoo.data.targets import input_key
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.baseline import Baseline

#: Letters and digits in a row; snake_case is taken apart.
WORDS = r"[^\W_]+"


class RankBaseline(Baseline):
    """A method that scores documents for queries.

    A subclass takes its settings as keyword arguments and stores each under its own name. It implements
    :meth:`scores`, and ``fit`` where it learns something from the training pairs (``record.input`` is the
    query, ``record.target`` its document).
    """

    def fit(
        self, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray | None = None
    ) -> RankBaseline:
        """Learn from the training pairs; by default nothing.

        Parameters
        ----------
        records : sequence of Record
        targets : ndarray of int
            The number of each record's document.
        groups : ndarray of str, optional
        """
        return self

    @abstractmethod
    def scores(self, queries: Sequence[Any], documents: Sequence[Any]) -> np.ndarray:
        """Score every document for every query.

        Parameters
        ----------
        queries : sequence
            ``Record.input`` of some records: a block of all queries.
        documents : sequence
            ``Record.target``, the pool; the same object for every block, so that an index may be kept.

        Returns
        -------
        ndarray, shape (queries, documents)
            Higher is better. The same question must have the same answer each time.
        """


class RandomRanking(RankBaseline):
    """Documents in random order: what knowing nothing achieves.

    Parameters
    ----------
    seed : int
    """

    title = "random order"

    def __init__(self, seed: int = 0):
        self.seed = seed

    def scores(self, queries: Sequence[Any], documents: Sequence[Any]) -> np.ndarray:
        """Draw a score for each document, anew for each query."""
        found = np.empty((len(queries), len(documents)))
        for row, query in zip(found, queries, strict=True):
            row[:] = np.random.default_rng([self.seed, zlib.crc32(repr(input_key(query)).encode())]).random(
                len(documents)
            )
        return found


class WordRanking(RankBaseline):
    """The common part of TF-IDF and BM25: both sides as counts of words, weighted over the pool.

    How rare a word is, is counted in the documents that are searched, as any search engine does: without a
    label, and without the training pairs.

    Parameters
    ----------
    pattern : str
        Regular expression of a word.
    lowercase : bool
        Whether capital letters count as small ones.
    query_text, document_text : str or callable, optional
        What turns a query or a document into text, a function or its dotted name in a plugin; by default they
        are texts.
    """

    def __init__(
        self,
        pattern: str = WORDS,
        lowercase: bool = True,
        query_text: str | Callable[[Any], str] | None = None,
        document_text: str | Callable[[Any], str] | None = None,
    ):
        self.pattern, self.lowercase = pattern, lowercase
        self.query_text, self.document_text = query_text, document_text

    def scores(self, queries: Sequence[Any], documents: Sequence[Any]) -> np.ndarray:
        """See :meth:`RankBaseline.scores`."""
        known: Any = getattr(self, "_pool", None)
        if known is not documents:
            self._vectorizer = self._counter()
            counts = self._counted(self._vectorizer.fit_transform, documents, self.document_text)
            self._pool, self._index = documents, self._weighted(sparse.csr_array(counts))
        asked = self._vectorizer.transform(_texts(queries, self.query_text))
        return (self._asked(sparse.csr_array(asked)) @ self._index.T).toarray()

    def _counter(self) -> Any:
        from sklearn.feature_extraction.text import CountVectorizer

        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(f"pattern={self.pattern!r} is no regular expression: {error}") from error
        return CountVectorizer(token_pattern=self.pattern, lowercase=self.lowercase, dtype=np.float64)

    def _counted(self, count: Any, documents: Sequence[Any], text: Any) -> Any:
        try:
            return count(_texts(documents, text))
        except ValueError as error:  # such as that there is no word at all
            raise DataError(
                f"the words ({self.pattern!r}) of the documents cannot be counted: {error}",
                expected="texts, or document_text=FUNCTION that gives the text of a document",
            ) from error

    def _weighted(self, counts: Any) -> Any:
        """Weight the counts of the documents (documents, words)."""
        raise TypeError(f"{type(self).__name__} lacks _weighted")

    def _asked(self, counts: Any) -> Any:
        """Weight the counts of the queries (queries, words)."""
        return counts


class TfidfRanking(WordRanking):
    """Cosine of TF-IDF vectors (Salton and Buckley 1988), by scikit-learn.

    Parameters
    ----------
    sublinear : bool
        Whether a word counts by one plus the logarithm of how often it occurs.
    pattern, lowercase, query_text, document_text
        See :class:`WordRanking`.
    """

    title = "TF-IDF cosine"

    def __init__(
        self,
        sublinear: bool = True,
        pattern: str = WORDS,
        lowercase: bool = True,
        query_text: str | Callable[[Any], str] | None = None,
        document_text: str | Callable[[Any], str] | None = None,
    ):
        super().__init__(pattern, lowercase, query_text, document_text)
        self.sublinear = sublinear

    def _weighted(self, counts: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfTransformer

        self._tfidf = TfidfTransformer(sublinear_tf=self.sublinear).fit(counts)
        return sparse.csr_array(self._tfidf.transform(counts))

    def _asked(self, counts: Any) -> Any:
        return sparse.csr_array(self._tfidf.transform(counts))

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Try both ways of counting."""
        return {"sublinear": trial.suggest_categorical("sublinear", [True, False])}


class Bm25Ranking(WordRanking):
    """Okapi BM25 (Robertson and Zaragoza 2009), with an inverse document frequency that is never negative.

    That is Lucene's form: ``log(1 + (N - n + 0.5) / (n + 0.5))`` for a word in n of N documents. A word that
    a query repeats counts as often.

    Parameters
    ----------
    k1 : float
        How slowly further occurrences of a word stop to count.
    b : float
        How much long documents are held back, 0 to 1.
    pattern, lowercase, query_text, document_text
        See :class:`WordRanking`.
    """

    title = "BM25"

    def __init__(
        self,
        k1: float = 1.2,
        b: float = 0.75,
        pattern: str = WORDS,
        lowercase: bool = True,
        query_text: str | Callable[[Any], str] | None = None,
        document_text: str | Callable[[Any], str] | None = None,
    ):
        super().__init__(pattern, lowercase, query_text, document_text)
        self.k1, self.b = k1, b

    def _weighted(self, counts: Any) -> Any:
        held = np.asarray((counts > 0).sum(axis=0)).ravel()
        rarity = np.log1p((counts.shape[0] - held + 0.5) / (held + 0.5))
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        mean = max(float(lengths.mean()), 1e-12)
        table = counts.tocoo()
        row, word = table.coords
        damped = self.k1 * (1 - self.b + self.b * lengths[row] / mean)
        values = rarity[word] * table.data * (self.k1 + 1) / (table.data + damped)
        return sparse.csr_array((values, (row, word)), shape=counts.shape)

    def search_space(self, trial: Any) -> dict[str, Any]:
        """Try the range that is usual for texts."""
        return {"k1": trial.suggest_float("k1", 0.5, 3.0), "b": trial.suggest_float("b", 0.0, 1.0)}


def _texts(values: Sequence[Any], text: str | Callable[[Any], str] | None) -> list[str]:
    """Turn queries or documents into text.

    Raises
    ------
    DataError
        When one is no text.
    """
    read: Callable[[Any], Any] | None = None if isinstance(text, str) else text
    if isinstance(text, str):
        from scizoo.config import get_class

        read = get_class(text, key="query_text, document_text")
    found = [value if read is None else read(value) for value in values]
    for one in found:
        if not isinstance(one, str):
            raise DataError(
                f"a baseline on words was given {type(one).__name__}, not a text.",
                remedy="name what gives its text (query_text, document_text), or leave this baseline out.",
            )
    return found
