"""Molecules above a Tanimoto similarity, found exactly without comparing every pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rdkit.DataStructs import ExplicitBitVect


def neighbours(
    queries: Sequence[ExplicitBitVect], known: Sequence[ExplicitBitVect], similarity: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each query the known fingerprints at or above a Tanimoto similarity.

    Two sets whose Jaccard similarity reaches t share one of the ``n - ceil(t n) + 1`` rarest elements of
    each (prefix filtering; Bayardo et al. 2007, Scaling up all pairs similarity search). Only what shares a
    rare bit is compared, by RDKit; nothing is missed.

    Parameters
    ----------
    queries, known : sequence of ExplicitBitVect
    similarity : float
        Above 0, at most 1.

    Yields
    ------
    positions : ndarray of int64, shape (found,)
        In ``known``, ascending.
    similarities : ndarray of float64, shape (found,)
    """
    from rdkit import DataStructs

    bits = [np.fromiter(fingerprint.GetOnBits(), dtype=np.int64) for fingerprint in known]
    width = len(known[0]) if len(known) else 0
    frequency = np.bincount(np.concatenate(bits), minlength=width) if bits else np.zeros(0, np.int64)
    rank = np.empty(width, dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(width)

    def rarest(on: np.ndarray) -> np.ndarray:
        # The slack keeps a pair at the very threshold, whatever the rounding.
        least = int(np.ceil(similarity * len(on) - 1e-6))
        return np.sort(rank[on])[: len(on) - least + 1]

    holders: list[list[int]] = [[] for _ in range(width)]
    for position, on in enumerate(bits):
        for bit in rarest(on):
            holders[bit].append(position)
    lists = [np.array(found, dtype=np.int64) for found in holders]
    for query in queries:
        on = np.fromiter(query.GetOnBits(), dtype=np.int64)
        shared = [lists[bit] for bit in rarest(on)] if width else []
        candidates = np.unique(np.concatenate(shared)) if shared else np.empty(0, dtype=np.int64)
        alike = np.array(
            DataStructs.BulkTanimotoSimilarity(query, [known[place] for place in candidates.tolist()]),
            dtype=np.float64,
        )
        good = alike >= similarity
        yield candidates[good], alike[good]
