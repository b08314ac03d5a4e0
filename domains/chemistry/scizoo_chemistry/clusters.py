"""Clusters of molecules: Taylor-Butina on fingerprints, and groups joined over several criteria."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from scizoo_chemistry.fingerprints import ecfp
from scizoo_chemistry.neighbours import neighbours


def butina_clusters(
    inputs: Sequence[Any], cutoff: float = 0.4, radius: int = 2, bits: int = 2048
) -> np.ndarray:
    """Cluster molecules by Taylor-Butina (Butina 1999, J. Chem. Inf. Comput. Sci. 39:747).

    Every member of a cluster lies within ``cutoff`` of its centre; the molecule with most neighbours is
    the first centre. It gives the clusters of ``rdkit.ML.Cluster.Butina``, but keeps only the neighbours
    instead of all distances.

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
    near = np.split(ends[1][order], np.cumsum(counts)[:-1])
    number = 0
    # Of equally many neighbours the later molecule is the centre, as in RDKit.
    for centre in np.lexsort((np.arange(size), counts))[::-1]:
        if clusters[centre] >= 0:
            continue
        members = near[centre]
        clusters[centre] = number
        clusters[members[clusters[members] < 0]] = number
        number += 1
    return clusters


def near_pairs(
    inputs: Sequence[Any], cutoff: float, radius: int = 2, bits: int = 2048
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of molecules within a Tanimoto distance of ECFP.

    Returns
    -------
    left, right : ndarray of int64, shape (pairs,)
        Positions, ``left < right``.
    """
    prints = ecfp(inputs, radius, bits)
    # The slack keeps a pair at the very cutoff, whatever the rounding of 1 - distance.
    found = [
        near[near > place] for place, (near, _) in enumerate(neighbours(prints, prints, 1 - cutoff - 1e-9))
    ]
    counts = np.array([len(near) for near in found], dtype=np.int64)
    right = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
    return np.repeat(np.arange(len(counts)), counts), right


def copy_groups(inputs: Sequence[Any], similarity: float = 0.9) -> list[int]:
    """Number molecules so that near copies, directly or over others, have one number.

    Parameters
    ----------
    inputs : sequence of str or Structure
    similarity : float
        Tanimoto similarity of ECFP4 from which two are near copies.
    """
    left, right = near_pairs(inputs, 1 - similarity)
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
