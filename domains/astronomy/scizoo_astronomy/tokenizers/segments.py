"""Statistics of many objects at once: each object is a stretch of one long array."""

from __future__ import annotations

import numpy as np


def owners(offsets: np.ndarray) -> np.ndarray:
    """Return the object that each element belongs to, shape (total,)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def segment_median(values: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Take the median of each segment.

    Parameters
    ----------
    values : ndarray, shape (total,)
        NaN is left out.
    owner : ndarray of int, shape (total,)
        The segment of each value, in any order.
    count : int
        How many segments there are.

    Returns
    -------
    ndarray of float64, shape (count,)
        NaN where a segment has no value.
    """
    known = ~np.isnan(values)
    values, owner = values[known], owner[known]
    sizes = np.bincount(owner, minlength=count)
    full = np.flatnonzero(sizes)
    medians = np.full(count, np.nan)
    if not len(full):
        return medians
    if np.any(owner[1:] < owner[:-1]):
        order = np.argsort(owner, kind="stable")
        values, owner = values[order], owner[order]
    sizes = sizes[full]
    starts = np.cumsum(sizes) - sizes
    if len(full) * sizes.max() <= 4 * len(values):
        # Rows of one table, sorted in place: several times faster than ranking all by two keys.
        table = np.full((len(full), sizes.max()), np.inf)
        row = np.repeat(np.arange(len(full)), sizes)
        table[row, np.arange(len(values)) - starts[row]] = values
        table.sort(axis=1)
        ranked, starts = table.ravel(), np.arange(len(full)) * table.shape[1]
    else:
        ranked = values[np.lexsort((values, owner))]
    medians[full] = 0.5 * (ranked[starts + (sizes - 1) // 2] + ranked[starts + sizes // 2])
    return medians


def thin(offsets: np.ndarray, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Choose at most so many elements of each segment, at even steps.

    Returns
    -------
    rows : ndarray of int
        Positions of the chosen elements, ascending.
    offsets : ndarray of int
        Of the chosen ones.
    """
    lengths = np.diff(offsets)
    kept = lengths if most is None else np.minimum(lengths, most)
    ends = np.zeros(len(kept) + 1, dtype=np.int64)
    np.cumsum(kept, out=ends[1:])
    owner = owners(ends)
    place = np.arange(ends[-1]) - ends[:-1][owner]
    # Integer arithmetic: the middle of each of `kept` equal stretches of the segment.
    step = ((2 * place + 1) * lengths[owner]) // (2 * kept[owner])
    return offsets[:-1][owner] + step, ends
