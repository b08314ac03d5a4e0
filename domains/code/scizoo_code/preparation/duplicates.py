"""Which texts of a corpus are copies of earlier ones: equal, or nearly so."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from scizoo_code.similarity import CodeSimilarity

_ESTIMATES = 4096  # pairs whose signatures are compared at once


def content_key(text: str) -> bytes:
    """Name a text by its bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def near_clusters(signatures: np.ndarray, similarity: CodeSimilarity) -> np.ndarray:
    """Cluster texts whose signatures are alike.

    Candidates share a band (locality-sensitive hashing, Leskovec et al., Mining of Massive Datasets, ch. 3);
    a pair is joined when the share of equal MinHash values, which estimates the Jaccard similarity, reaches
    the threshold. Joined pairs form clusters, as in StarCoder's removal of near duplicates.

    Parameters
    ----------
    signatures : ndarray of uint64, shape (texts, permutations)
    similarity : CodeSimilarity

    Returns
    -------
    ndarray of int64, shape (texts,)
        The first text of the cluster that each belongs to.
    """
    parent = np.arange(len(signatures))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = int(parent[node])
        return node

    for pairs in _candidates(signatures, similarity):
        alike = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1) >= similarity.threshold
        for one, other in pairs[alike].tolist():
            first, second = sorted((find(one), find(other)))
            parent[second] = first
    return np.array([find(node) for node in range(len(signatures))], dtype=np.int64)


def _candidates(signatures: np.ndarray, similarity: CodeSimilarity) -> list[np.ndarray]:
    """Pair each member of a bucket with the first and with the one before it."""
    found: set[tuple[int, int]] = set()
    for keys in similarity.bands(signatures):
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
        for members in np.split(order, starts[1:]):
            for place in range(1, len(members)):
                found.add((int(members[0]), int(members[place])))
                found.add((int(members[place - 1]), int(members[place])))
    pairs = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    return [pairs[at : at + _ESTIMATES] for at in range(0, len(pairs), _ESTIMATES)]


def copies(clusters: Sequence[int] | np.ndarray) -> dict[int, list[int]]:
    """Give the later members of each cluster by its first."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, first in enumerate(clusters):
        if first != number:
            found[int(first)].append(number)
    return dict(found)
