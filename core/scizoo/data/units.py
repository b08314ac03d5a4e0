"""From a number a position to a number a unit of the field, for ``Tokenizer.attribute``."""

from __future__ import annotations

from typing import Any

import numpy as np


def deal_out(scores: np.ndarray, sizes: Any) -> np.ndarray:
    """Share each position's score evenly among the units that it stands for, in a row.

    Parameters
    ----------
    scores : ndarray, shape (positions,)
    sizes : array_like of int, shape (positions,)
        Units of each position; the score of one without any is lost.

    Returns
    -------
    ndarray of float64, shape (sum of sizes,)
    """
    counts = np.asarray(sizes, dtype=np.int64)
    return np.repeat(np.asarray(scores, dtype=np.float64) / np.maximum(counts, 1), counts)


def add_up(places: Any, scores: Any, size: int) -> np.ndarray:
    """Add scores up at the units that they belong to.

    Parameters
    ----------
    places : array_like of int, shape (n,)
        The unit of each score.
    scores : array_like of float, shape (n,)
        NaN where nothing is known.
    size : int
        How many units there are.

    Returns
    -------
    ndarray of float64, shape (size,)
        NaN at units without any known score.
    """
    where, values = np.asarray(places, dtype=np.int64), np.asarray(scores, dtype=np.float64)
    known = np.isfinite(values)
    total = np.bincount(where[known], values[known], minlength=size).astype(np.float64)
    total[np.bincount(where[known], minlength=size) == 0] = np.nan
    return total


def characters_of_bytes(text: str, scores: np.ndarray) -> np.ndarray:
    """Add the scores of UTF-8 bytes up to characters.

    Parameters
    ----------
    text : str
        Surrogate escapes stand for one byte each.
    scores : ndarray, shape (bytes,)
        Of the first bytes; those that follow were not read.

    Returns
    -------
    ndarray of float64, shape (characters,)
    """
    sizes = [len(letter.encode("utf-8", "surrogateescape")) for letter in text]
    owner = np.repeat(np.arange(len(text)), sizes)[: len(scores)]
    return add_up(owner, scores[: len(owner)], len(text))
