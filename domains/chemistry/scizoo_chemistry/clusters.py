"""Clusters of molecules: Taylor-Butina on fingerprints, and groups joined over several criteria."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from scizoo_chemistry.fingerprints import ecfp


def butina_clusters(
    inputs: Sequence[Any], cutoff: float = 0.4, radius: int = 2, bits: int = 2048
) -> np.ndarray:
    """Cluster molecules by Taylor-Butina (Butina 1999, J. Chem. Inf. Comput. Sci. 39:747).

    Every member of a cluster lies within ``cutoff`` of its centre; the molecule with most neighbours is
    the first centre. As ``rdkit.ML.Cluster.Butina``, whose clusters it gives, but it keeps only the
    neighbours instead of all distances. Time grows with the square of the number of molecules: some seconds
    for 10,000.

    Parameters
    ----------
    inputs : sequence of str or Structure
    cutoff : float
        Tanimoto distance (1 - similarity) up to which molecules are neighbours.
    radius, bits : int
        Of the Morgan fingerprint; radius 2 is ECFP4.

    Returns
    -------
    ndarray of int64, shape (inputs,)
        Cluster numbers from 0, the first found (the largest) first.
    """
    size = len(inputs)
    clusters = np.full(size, -1, dtype=np.int64)
    if not size:
        return clusters
    left, right = near_pairs(inputs, cutoff, radius, bits)
    ends = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.argsort(ends[0], kind="stable")
    counts = np.bincount(ends[0], minlength=size)
    neighbours = np.split(ends[1][order], np.cumsum(counts)[:-1])
    number = 0
    # Of equally many neighbours the later molecule is the centre, as in RDKit.
    for centre in np.lexsort((np.arange(size), counts))[::-1]:
        if clusters[centre] >= 0:
            continue
        near = neighbours[centre]
        clusters[centre] = number
        clusters[near[clusters[near] < 0]] = number
        number += 1
    return clusters


def near_pairs(
    inputs: Sequence[Any], cutoff: float, radius: int = 2, bits: int = 2048
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of molecules within a Tanimoto distance; every pair is compared.

    Returns
    -------
    left, right : ndarray of int64, shape (pairs,)
        Positions, ``left < right``.
    """
    from rdkit import DataStructs

    prints = ecfp(inputs, radius, bits)
    higher = [np.empty(0, dtype=np.int64)]
    for place in range(len(prints) - 1):
        alike = np.array(DataStructs.BulkTanimotoSimilarity(prints[place], prints[place + 1 :]))
        higher.append(np.flatnonzero(1 - alike <= cutoff) + place + 1)
    counts = np.array([len(found) for found in higher[1:]], dtype=np.int64)
    return np.repeat(np.arange(len(counts)), counts), np.concatenate(higher)


def copy_groups(inputs: Sequence[Any], similarity: float = 0.9) -> list[int]:
    """Number molecules so that near copies, directly or over others, have one number.

    Parameters
    ----------
    inputs : sequence of str or Structure
    similarity : float
        Tanimoto similarity of ECFP4 from which two are near copies.
    """
    # The slack keeps a pair at the very threshold, whatever the rounding of 1 - similarity.
    left, right = near_pairs(inputs, 1 - similarity + 1e-9)
    partner = list(range(len(inputs)))

    def find(item: int) -> int:
        while partner[item] != item:
            partner[item] = partner[partner[item]]
            item = partner[item]
        return item

    for i, j in zip(left.tolist(), right.tolist()):
        a, b = find(i), find(j)
        partner[max(a, b)] = min(a, b)
    return [find(item) for item in range(len(inputs))]


def join_groups(*criteria: Sequence[Hashable | None]) -> list[int]:
    """Join records that share a key of any criterion, directly or over others.

    Parameters
    ----------
    *criteria : sequences of hashable
        One key a record; None shares nothing.

    Returns
    -------
    list of int
        A number a record; the position of the group's first record.
    """
    size = len(criteria[0]) if criteria else 0
    parent = list(range(size))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for keys in criteria:
        first: dict[Hashable, int] = {}
        for position, key in enumerate(keys):
            if key is not None:
                a, b = find(first.setdefault(key, position)), find(position)
                parent[max(a, b)] = min(a, b)
    return [find(position) for position in range(size)]
