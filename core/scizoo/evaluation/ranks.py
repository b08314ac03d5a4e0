"""Ranks of right answers in a pool: what a task of retrieval is judged by, and the metrics that rest on them.

Every query is ranked against the distinct documents of its part, and every document against the distinct
queries. Equal documents are one document, and all that belong to equal queries count as right. The rank of
the best right answer is one more than the number of wrong ones before it; wrong ones with exactly its score
count half, so that its rank is the mean over all orders of the tie.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from scizoo.data.documents import RETRIEVAL, numbered
from scizoo.data.records import Record
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.outputs import Outputs, meta_columns

#: Scores of some queries (rows of the first argument's numbers) against all documents: (queries, documents).
Scores = Callable[[np.ndarray], np.ndarray]

#: The best answers of each query that outputs keep.
ANSWERS = 3
_CELLS = 8_000_000  # scores that are held at once


@dataclass(frozen=True)
class PoolSettings:
    """Which candidates a query is ranked against.

    Parameters
    ----------
    size : int or None
        How many candidates, its own among them: the others are drawn once, the same for every query and
        contender. None takes every document of the part.
    seed : int
        Of the draw.
    """

    size: int | None = None
    seed: int = 0

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any]) -> PoolSettings:
        """Read ``evaluation.pool`` and ``seed``.

        Raises
        ------
        ConfigError
            When the pool is no number from 2.
        """
        size = (cfg.get("evaluation") or {}).get("pool")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 2):
            raise ConfigError(
                f"evaluation.pool={size}", expected="a whole number from 2, or null for every document"
            )
        return cls(size, int(cfg.get("seed") or 0))

    def draw(self, count: int) -> np.ndarray | None:
        """Draw numbers of candidates; None where all take part."""
        if self.size is None or self.size >= count:
            return None
        return np.random.default_rng(self.seed).permutation(count)[: self.size]


@dataclass(frozen=True)
class Pairing:
    """The distinct queries and documents of some records, and which belong together.

    Parameters
    ----------
    queries, documents : ndarray of int
        A record for each distinct query and document.
    query_of, document_of : ndarray of int, shape (records,)
        Which of them each record has.
    right : csr_array of bool, shape (queries, documents)
        Which documents are right for which query.
    """

    queries: np.ndarray
    documents: np.ndarray
    query_of: np.ndarray
    document_of: np.ndarray
    right: Any

    @classmethod
    def of(cls, records: Sequence[Record]) -> Pairing:
        """Find what is equal among the queries and documents of some records."""
        query_of = numbered([record.input for record in records])
        document_of = numbered([record.target for record in records])
        queries, documents = (np.unique(one, return_index=True)[1] for one in (query_of, document_of))
        shape = (len(queries), len(documents))
        right = sparse.csr_array((np.ones(len(records), dtype=bool), (query_of, document_of)), shape=shape)
        return cls(queries, documents, query_of, document_of, right)


def rank_outputs(
    records: Sequence[Record],
    groups: np.ndarray,
    targets: np.ndarray,
    scores: Scores,
    pool: PoolSettings,
    pairing: Pairing | None = None,
) -> Outputs:
    """Rank every query against the documents and every document against the queries.

    Parameters
    ----------
    records : sequence of Record
        Pairs.
    groups : ndarray of str
    targets : ndarray of int
        Number of each record's document.
    scores : callable
        Higher is better. It is asked for blocks of queries, twice each, and must give the same both times.
    pool : PoolSettings
    pairing : Pairing, optional
        Of these records, where it is known.

    Returns
    -------
    Outputs
        Of kind retrieval.

    Raises
    ------
    TrainingError
        When scores are of the wrong shape or not finite.
    """
    pairs = pairing or Pairing.of(records)
    shape = pairs.right.shape
    step = max(1, _CELLS // max(1, shape[1]))
    blocks = [np.arange(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
    forth, back = pool.draw(shape[1]), pool.draw(shape[0])

    def block(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.asarray(scores(rows), dtype=np.float64)
        if found.shape != (len(rows), shape[1]) or not np.isfinite(found).all():
            raise TrainingError(
                f"scores of the shape {found.shape} were given, or some are not finite.",
                expected=f"{(len(rows), shape[1])} finite numbers: a row a query, a column a document",
            )
        return found, pairs.right[rows].toarray()

    best_query, best_document = np.full(shape[0], -np.inf), np.full(shape[1], -np.inf)
    for rows in blocks:
        found, right = block(rows)
        masked = np.where(right, found, -np.inf)
        best_query[rows] = masked.max(axis=1)
        best_document = np.maximum(best_document, masked.max(axis=0))
    query_rank, query_size = np.empty(shape[0]), np.empty(shape[0])
    ahead, wrong_count, last = np.zeros(shape[1]), np.zeros(shape[1]), np.zeros((2, shape[1]))
    answers = np.empty((shape[0], min(ANSWERS, shape[1])), dtype=np.int64)
    drawn = None if back is None else np.isin(np.arange(shape[0]), back)
    for rows in blocks:
        found, right = block(rows)
        answers[rows] = _best(found, answers.shape[1])
        columns = slice(None) if forth is None else forth
        wrong, theirs = ~right[:, columns], found[:, columns]
        if forth is not None:  # the last one drawn makes room for the right answer where that was not drawn
            wrong[wrong.all(axis=1), -1] = False
        query_rank[rows] = 1 + (_before(theirs, best_query[rows, None]) * wrong).sum(axis=1)
        query_size[rows] = 1 + wrong.sum(axis=1)
        before, others = _before(found, best_document[None]), ~right
        if drawn is not None:
            others &= drawn[rows, None]
            if back is not None and back[-1] in rows:
                place = int(np.flatnonzero(rows == back[-1])[0])
                last = np.stack([before[place] * others[place], others[place]])
        ahead += (before * others).sum(axis=0)
        wrong_count += others.sum(axis=0)
    if pool.size is not None and back is not None:
        full = wrong_count == pool.size
        ahead, wrong_count = ahead - full * last[0], wrong_count - full * last[1]
    return Outputs(
        ids=np.array([record.id for record in records], dtype=str),
        groups=groups,
        targets=targets,
        kind=RETRIEVAL,
        ranks=np.stack([query_rank[pairs.query_of], 1 + ahead[pairs.document_of]], axis=1),
        candidates=np.stack([query_size[pairs.query_of], 1 + wrong_count[pairs.document_of]], axis=1),
        answers=np.array([record.id for record in records], dtype=str)[
            pairs.documents[answers[pairs.query_of]]
        ],
        meta=meta_columns([record.meta for record in records]),
    )


def _before(scores: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Say of each candidate whether it stands before the right answer; half where they tie."""
    return np.where(scores > best, 1.0, np.where(scores == best, 0.5, 0.0))


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """Give the columns of the highest scores of each row, the highest first."""
    if scores.shape[1] > 4 * count:
        some = np.argpartition(-scores, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
        return np.take_along_axis(some, order, axis=1)
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def vector_scores(query: np.ndarray, document: np.ndarray, pairing: Pairing) -> Scores:
    """Score by the product of vectors.

    Parameters
    ----------
    query, document : ndarray, shape (records, width)
        Of each record.
    pairing : Pairing
        Of the records.
    """
    asked, answers = query[pairing.queries], document[pairing.documents]
    return lambda rows: asked[rows] @ answers.T


def ranker_outputs(
    baseline: Any, records: Sequence[Record], targets: np.ndarray, groups: np.ndarray, pool: PoolSettings
) -> Outputs:
    """Let a fitted baseline rank; see :class:`~scizoo.evaluation.rankers.RankBaseline`."""
    pairing = Pairing.of(records)
    documents = [records[row].target for row in pairing.documents]
    queries = [records[row].input for row in pairing.queries]

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.asarray(baseline.scores([queries[row] for row in rows], documents))

    return rank_outputs(records, groups, targets, scores, pool, pairing)


def reciprocal_rank(way: int) -> Callable[[Outputs, np.ndarray], np.ndarray]:
    """Mean of one over the rank (MRR), for weights (B, N)."""
    return lambda outputs, weights: _mean(1.0 / outputs.require("ranks")[:, way], weights)


def recall_at(most: int, way: int) -> Callable[[Outputs, np.ndarray], np.ndarray]:
    """Share of records whose right answer stands among the first ``most``, for weights (B, N)."""
    return lambda outputs, weights: _mean((outputs.require("ranks")[:, way] <= most).astype(float), weights)


def median_rank(way: int) -> Callable[[Outputs, np.ndarray], np.ndarray]:
    """Median of the rank, for weights (B, N): the mean of the two middle ones where they differ."""

    def function(outputs: Outputs, weights: np.ndarray) -> np.ndarray:
        ranks = outputs.require("ranks")[:, way]
        order = np.argsort(ranks, kind="stable")
        upto = np.cumsum(weights[:, order], axis=1)
        half = upto[:, -1:] / 2
        low = (upto < half - 1e-9).sum(axis=1)
        high = (upto <= half + 1e-9).sum(axis=1)
        most = len(ranks) - 1
        return (ranks[order][np.minimum(low, most)] + ranks[order][np.minimum(high, most)]) / 2

    return function


#: The measures of one direction, the main one first.
NAMES = ("mrr", "recall_at_1", "recall_at_5", "recall_at_10", "median_rank")
_Measure = Callable[[Outputs, np.ndarray], np.ndarray]


def measures(way: int) -> list[tuple[str, str, Literal["higher", "lower"], _Measure]]:
    """Name the measures of one direction: name, title, which way is better, and the function."""
    found: list[tuple[str, str, Literal["higher", "lower"], _Measure]]
    found = [("mrr", "MRR", "higher", reciprocal_rank(way))]
    for most in (1, 5, 10):
        found.append((f"recall_at_{most}", f"recall at {most}", "higher", recall_at(most, way)))
    return [*found, ("median_rank", "median rank", "lower", median_rank(way))]


def single(function: Callable[[Outputs, np.ndarray], np.ndarray]) -> Callable[..., float]:
    """Turn a metric of many weightings into one of a single weighting."""

    def value(outputs: Outputs, weights: np.ndarray | None = None) -> float:
        once = np.ones(len(outputs)) if weights is None else np.asarray(weights, dtype=float)
        return float(function(outputs, once[None])[0])

    return value


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (weights @ values) / weights.sum(axis=1)
