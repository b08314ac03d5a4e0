"""Distances between generated and held-out molecules, as statistics of weighted samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.evaluation.sample_figures import Statistic, recentred


def scaffold_similarity(ours: Sequence[str | None], theirs: Sequence[str | None]) -> Statistic | None:
    """Cosine of the counts of scaffolds of generated and held-out molecules (Scaf of MOSES).

    Parameters
    ----------
    ours, theirs : sequence of str or None
        The scaffold of each generated and each held-out molecule; None where it has none that counts.

    Returns
    -------
    callable or None
        None where either side has no scaffold.
    """
    names = sorted({one for one in (*ours, *theirs) if one is not None})
    place = {name: number for number, name in enumerate(names)}
    reference = np.bincount([place[one] for one in theirs if one is not None], minlength=len(names))
    rows = np.flatnonzero([one is not None for one in ours])
    if not len(rows) or not reference.any():
        return None
    columns = np.array([place[str(ours[row])] for row in rows.tolist()])
    reference = reference / np.linalg.norm(reference)

    def cosine(weights: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(weights), len(names)))
        np.add.at(counts.T, columns, weights[:, rows].T)
        length = np.linalg.norm(counts, axis=1)
        return np.where(length > 0, counts @ reference / np.where(length > 0, length, 1), np.nan)

    return recentred(cosine)


def descriptor_distance(ours: np.ndarray, theirs: np.ndarray) -> Statistic:
    """Frechet distance between normal distributions fitted to standardised descriptors.

    ``|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))``, with the means m and covariances C of generated and
    held-out molecules, each descriptor having the held-out molecules' mean taken out and divided by their
    standard deviation (the formula of Dowson and Landau 1982, which FCD takes of a network's features).

    Parameters
    ----------
    ours, theirs : ndarray, shape (N, D) and (M, D)
    """
    spread = theirs.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    ours, theirs = ((values - theirs.mean(axis=0)) / scale for values in (ours, theirs))
    width = theirs.shape[1]
    root = _root(np.cov(theirs, rowvar=False, bias=True).reshape(width, width))
    trace = float((root * root).sum())
    squares = (ours[:, :, None] * ours[:, None, :]).reshape(len(ours), -1)

    def distance(weights: np.ndarray) -> np.ndarray:
        total = np.maximum(weights.sum(axis=1), 1e-12)
        mean = weights @ ours / total[:, None]
        second = (weights @ squares / total[:, None]).reshape(-1, width, width)
        covariance = second - mean[:, :, None] * mean[:, None, :]
        # The eigenvalues of C1 C2 are those of C2^(1/2) C1 C2^(1/2), which is symmetric.
        values = np.linalg.eigvalsh(root @ covariance @ root).clip(min=0)
        own = np.trace(covariance, axis1=1, axis2=2)
        found = (mean**2).sum(axis=1) + own + trace - 2 * np.sqrt(values).sum(axis=1)
        return found.clip(min=0)

    return recentred(distance)


def _root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
