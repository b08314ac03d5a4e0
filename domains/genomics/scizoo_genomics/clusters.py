"""Homology clusters: single linkage of sequences whose k-mers overlap, on either strand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo_genomics.kmers import band_keys, bands_for, signatures


class _Union:
    """Union-find with path halving; the smallest member names its component."""

    def __init__(self, size: int):
        self.parent = np.arange(size, dtype=np.int64)

    def find(self, item: int) -> int:
        parent = self.parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = int(parent[item])
        return item

    def roots(self, items: np.ndarray) -> np.ndarray:
        """Return the component of every item, compressing all paths at once."""
        found = self.parent[items]
        while True:
            above = self.parent[found]
            if np.array_equal(above, found):
                break
            found = above
        self.parent[items] = found
        return found

    def join(self, items: np.ndarray) -> None:
        roots = np.unique(self.roots(items))
        self.parent[roots] = roots[0]


def homology_clusters(
    sequences: Sequence[str],
    *,
    k: int = 11,
    threshold: float = 0.3,
    permutations: int = 128,
    link_all: int = 4000,
) -> np.ndarray:
    """Cluster sequences that share k-mers.

    Two sequences are linked when the Jaccard similarity of their canonical k-mer sets, estimated by
    MinHash, reaches ``threshold``; clusters are the connected components (single linkage), so no two
    sequences of different clusters are alike, up to the estimate's error of about
    ``sqrt(threshold * (1 - threshold) / permutations)``. Candidates come from locality-sensitive hashing
    set so that a pair at the threshold is found with a probability of 99%.

    Parameters
    ----------
    sequences : sequence of str
    k : int
        Length of the k-mers. Chance matches grow rare from ``log4`` of the data's bases on.
    threshold : float
        Jaccard similarity that links, 0 to 1.
    permutations : int
        Hashes a signature.
    link_all : int
        Above this many different clusters in one bucket, each is compared with the bucket's remaining
        leader only, which bounds the time on repetitive data.

    Returns
    -------
    ndarray of int64, shape (sequences,)
        Cluster numbers, from 0, in order of first appearance.
    """
    signature = signatures(sequences, k, permutations)
    union = _Union(len(sequences))
    needed = int(np.ceil(threshold * permutations))
    # Identical signatures first: copies then count once everywhere below.
    for key in band_keys(signature, permutations):
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        union.parent = np.minimum(union.parent, first[inverse])
    for key in band_keys(signature, bands_for(threshold, permutations)):
        order = np.argsort(key, kind="stable")
        edges = np.flatnonzero(np.diff(key[order])) + 1
        for bucket in np.split(order, edges):
            if len(bucket) > 1:
                _link(bucket, signature, needed, union, link_all)
    roots = union.roots(np.arange(len(sequences), dtype=np.int64))
    _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _link(bucket: np.ndarray, signature: np.ndarray, needed: int, union: _Union, link_all: int) -> None:
    """Join the members of one bucket that are alike; members already joined are not compared again."""
    roots = union.roots(bucket)
    if (roots == roots[0]).all():
        return
    exhaustive = len(np.unique(roots)) <= link_all
    waiting = bucket
    while len(waiting) > 1:
        leader, waiting = waiting[0], waiting[1:]
        other = waiting[union.roots(waiting) != union.find(int(leader))]
        if len(other):
            alike = other[(signature[other] == signature[leader]).sum(axis=1) >= needed]
            if len(alike):
                union.join(np.append(alike, leader))
        if not exhaustive:
            # Whatever now belongs to the leader's cluster needs no comparison of its own.
            waiting = waiting[union.roots(waiting) != union.find(int(leader))]
        elif (union.roots(waiting) == union.find(int(leader))).all():
            return
