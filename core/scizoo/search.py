"""What ``Model.search`` gives: the best documents of a pool for each query, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scizoo.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

_CELLS = 8_000_000  # scores that are held at once


@dataclass(frozen=True)
class SearchResult:
    """The best documents for each query, the best first.

    Parameters
    ----------
    ids : list of str
        Of the queries.
    documents : list of list of str
        Ids of the documents found for each query.
    positions : ndarray of int, shape (queries, k)
        Their places in the pool.
    scores : ndarray, shape (queries, k)
        Cosine similarity, -1 to 1.
    """

    ids: list[str]
    documents: list[list[str]]
    positions: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def to_frame(self) -> pd.DataFrame:
        """Give a table with a row a query and answer: ``id``, ``rank``, ``document``, ``score``."""
        import pandas as pd

        many = self.positions.shape[1]
        return pd.DataFrame(
            {
                "id": [name for name in self.ids for _ in range(many)],
                "rank": list(range(1, many + 1)) * len(self.ids),
                "document": [name for names in self.documents for name in names],
                "score": self.scores.ravel(),
            }
        )


def nearest(
    queries: np.ndarray,
    documents: np.ndarray,
    ids: Sequence[str],
    names: Sequence[str],
    k: int,
) -> SearchResult:
    """Find the documents with the highest product for each query; of equal ones the first in the pool.

    Parameters
    ----------
    queries, documents : ndarray, shape (count, width)
        Of length 1.
    ids, names : sequence of str
        Of the queries and of the documents.
    k : int
        How many; of a smaller pool all.

    Raises
    ------
    ConfigError
        When k is no number from 1.
    DataError
        When there is no document.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigError(f"k={k}", expected="how many documents a query: a whole number from 1")
    if not len(documents):
        raise DataError("there is no document to search.", expected="one document or more in the pool")
    most = min(k, len(documents))
    positions = np.empty((len(queries), most), dtype=np.int64)
    scores = np.empty((len(queries), most))
    step = max(1, _CELLS // len(documents))
    for start in range(0, len(queries), step):
        found = queries[start : start + step] @ documents.T
        order = np.argsort(-found, axis=1, kind="stable")[:, :most]
        positions[start : start + step] = order
        scores[start : start + step] = np.take_along_axis(found, order, axis=1)
    return SearchResult(list(ids), [[names[one] for one in row] for row in positions], positions, scores)
