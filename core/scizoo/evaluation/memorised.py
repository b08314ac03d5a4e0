"""The memorisation audit: the longest run of tokens that a generated record copies from training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

_CHUNK = 4_000_000  # training tokens looked at together
_BITS = 22  # of the table that lets most training n-grams be passed over
_SHIFT = np.uint64(64 - _BITS)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class CopyIndex:
    """Finds the longest n-gram that each of some records shares with training records.

    An n-gram is known by a 64-bit polynomial hash that slides along a record; two different ones meet in it
    with a chance of about one in 10^19 a pair. Whether a record holds a copied n-gram of a length falls
    with the length, so that a binary search finds the longest.

    Parameters
    ----------
    rows : iterable of ndarray of int
        Training records as tokens, special tokens left out.
    """

    def __init__(self, rows: Iterable[np.ndarray]):
        self._chunks: list[_Text] = []
        some: list[np.ndarray] = []
        size = 0
        for row in chain(rows, [None]):
            if row is not None:
                some.append(np.asarray(row))
                size += len(row)
            if some and (row is None or size >= _CHUNK):
                self._chunks.append(_Text(some))
                some, size = [], 0

    def longest(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Measure the longest copied run of each record.

        Parameters
        ----------
        rows : sequence of ndarray of int
            Generated records as tokens, special tokens left out.

        Returns
        -------
        ndarray of int64, shape (len(rows),)
            In tokens; 0 where not even one token occurs in training.
        """
        known = np.zeros(len(rows), dtype=np.int64)  # a copied run of this length was found
        beyond = np.array([len(row) for row in rows], dtype=np.int64)  # none longer than this can be
        while (known < beyond).any():
            tried = (known + beyond + 1) // 2
            for length in np.unique(tried[known < beyond]).tolist():
                members = np.flatnonzero((tried == length) & (known < beyond))
                hit = self._any_copied([rows[member] for member in members.tolist()], length)
                known[members[hit]] = length
                beyond[members[~hit]] = length - 1
        return known

    def _any_copied(self, rows: Sequence[np.ndarray], length: int) -> np.ndarray:
        """Tell of each row whether one of its n-grams of a length occurs in training."""
        text = _Text(rows)
        inside = text.left[: text.count(length)] >= length
        distinct, place = np.unique(text.ngrams(length)[inside], return_inverse=True)
        table = np.zeros(1 << _BITS, dtype=bool)
        table[distinct >> _SHIFT] = True
        copied = np.zeros(len(distinct), dtype=bool)
        for chunk in self._chunks:
            hashes = chunk.ngrams(length)
            # Those that cross the border of two records are sorted out among the few that the table lets by.
            places = np.flatnonzero(table[hashes >> _SHIFT])
            hashes = hashes[places[chunk.left[places] >= length]]
            nearest = np.minimum(np.searchsorted(distinct, hashes), max(len(distinct) - 1, 0))
            copied[nearest[distinct[nearest] == hashes]] = True
        found = np.zeros(len(rows), dtype=bool)
        found[text.owners[: len(inside)][inside][copied[place]]] = True
        return found


def _mixed(tokens: np.ndarray) -> np.ndarray:
    """Turn ids into 64-bit numbers that look random (splitmix64, Steele et al. 2014)."""
    values = (tokens.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_BASE = 0xD1342543DE82EF95  # odd, so that its powers never vanish modulo 2^64


class _Text:
    """Rows end to end, with the running hash from which that of any n-gram follows."""

    def __init__(self, rows: Sequence[np.ndarray]):
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = np.concatenate(list(rows)) if len(rows) else np.empty(0, dtype=np.int64)
        self.owners = np.repeat(np.arange(len(rows)), lengths)
        self.left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))
        # sum of token * base^-position: a difference times base^position is free of the position.
        inverse = pow(_BASE, -1, 1 << 64)
        self.powers = _powers(_BASE, len(tokens))
        weighted = _mixed(tokens) * _powers(inverse, len(tokens))
        self.sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(weighted, dtype=np.uint64)])

    def count(self, length: int) -> int:
        """How many n-grams of a length there are, those that cross the border of two rows included."""
        return max(0, len(self.left) - length + 1)

    def ngrams(self, length: int) -> np.ndarray:
        """Give the hash of every n-gram of a length, those that cross the border of two rows included."""
        count = self.count(length)
        hashes = self.sums[length : length + count] - self.sums[:count]
        hashes *= self.powers[:count]
        hashes *= _GOLDEN  # the table reads the high bits, into which every bit must have found its way
        return hashes


def _powers(base: int, count: int) -> np.ndarray:
    """Powers 0 to count-1 of a base modulo 2^64."""
    factors = np.full(count, base & ((1 << 64) - 1), dtype=np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)
