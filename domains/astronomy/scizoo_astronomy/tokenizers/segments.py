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
    ranked = values[np.lexsort((values, owner))]
    sizes = np.bincount(owner, minlength=count)
    starts = np.cumsum(sizes) - sizes
    medians = np.full(count, np.nan)
    full = sizes > 0
    low = starts[full] + (sizes[full] - 1) // 2
    high = starts[full] + sizes[full] // 2
    medians[full] = 0.5 * (ranked[low] + ranked[high])
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
