"""An interpolated n-gram model over token ids: the floor that a language model must beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


class _Level:
    """Counts of one context length, as sorted keys for binary search."""

    def __init__(self, contexts: np.ndarray, tokens: np.ndarray, vocab_size: int):
        self.vocab_size = vocab_size
        self.pairs, self.pair_counts = np.unique(contexts * vocab_size + tokens, return_counts=True)
        owners = self.pairs // vocab_size
        size = int(contexts.max()) + 1 if len(contexts) else 1
        self.totals = np.bincount(owners, weights=self.pair_counts, minlength=size)
        self.distinct = np.bincount(owners, minlength=size)

    def probability(self, contexts: np.ndarray, tokens: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Interpolate this level with the probabilities of the level below (Witten-Bell)."""
        known = contexts >= 0
        rows = np.where(known, contexts, 0)
        counts = _count(self.pairs, self.pair_counts, rows * self.vocab_size + tokens)
        distinct = self.distinct[rows]
        mixed = (counts + distinct * lower) / np.maximum(self.totals[rows] + distinct, 1)
        return np.where(known & (distinct > 0), mixed, lower)

    def distribution(self, contexts: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Interpolate the distributions (N, V) of the level below with the counts after each context."""
        rows = np.where(contexts >= 0, contexts, 0)
        starts = np.searchsorted(self.pairs, rows * self.vocab_size)
        ends = np.searchsorted(self.pairs, (rows + 1) * self.vocab_size)
        sizes = np.where(contexts >= 0, ends - starts, 0)
        owners = np.repeat(np.arange(len(rows)), sizes)
        places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + starts[owners]
        distinct = sizes.astype(float)
        mixed = distinct[:, None] * lower
        mixed[owners, self.pairs[places] % self.vocab_size] += self.pair_counts[places]
        total = np.bincount(owners, weights=self.pair_counts[places], minlength=len(rows)) + distinct
        return np.where(sizes[:, None] > 0, mixed / np.maximum(total, 1)[:, None], lower)


def _count(keys: np.ndarray, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    if not len(keys):
        return np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, counts[places], 0)


class NGramModel:
    """Interpolated n-gram language model with Witten-Bell smoothing.

    Parameters
    ----------
    order : int
        Length of the n-gram: 1 is a unigram, 2 a bigram.
    vocab_size : int
        How many token ids there are.

    References
    ----------
    I. H. Witten and T. C. Bell, "The zero-frequency problem", IEEE Trans. Inf. Theory 37 (1991).
    """

    def __init__(self, order: int, vocab_size: int):
        if order < 1:
            raise ValueError("order must be at least 1")
        self.order = order
        self.vocab_size = vocab_size

    def fit(self, rows: Iterable[Sequence[int] | np.ndarray]) -> NGramModel:
        """Count the n-grams of the training rows; n-grams never cross the border of a row."""
        tokens, starts = _join(rows)
        self._contexts: list[np.ndarray] = []
        contexts = np.zeros(len(tokens), dtype=np.int64)
        self._levels = [_Level(contexts, tokens, self.vocab_size)]
        for depth in range(1, self.order):
            keys = self._keys(contexts, tokens, starts, depth)
            table = np.unique(keys[keys >= 0])
            self._contexts.append(table)
            contexts = _look_up(table, keys)
            seen = contexts >= 0
            self._levels.append(_Level(contexts[seen], tokens[seen], self.vocab_size))
        return self

    def log_likelihood(self, rows: Iterable[Sequence[int] | np.ndarray]) -> np.ndarray:
        """Natural log probability of every token, rows end to end.

        Returns
        -------
        ndarray of float64, shape (total tokens,)
        """
        tokens, starts = _join(rows)
        contexts = np.zeros(len(tokens), dtype=np.int64)
        uniform = np.full(len(tokens), 1.0 / self.vocab_size)
        probability = self._levels[0].probability(contexts, tokens, uniform)
        for depth, table in enumerate(self._contexts, start=1):
            contexts = _look_up(table, self._keys(contexts, tokens, starts, depth))
            probability = self._levels[depth].probability(contexts, tokens, probability)
        return np.log(probability)

    def truncated(self, order: int) -> NGramModel:
        """Give the fitted model of a lower order; it shares the counts of this one."""
        if not 1 <= order <= self.order:
            raise ValueError("order must lie between 1 and that of the fitted model")
        model = NGramModel(order, self.vocab_size)
        model._contexts, model._levels = self._contexts[: order - 1], self._levels[:order]
        return model

    def next_token(self, histories: np.ndarray) -> np.ndarray:
        """Distribution of the token after each history.

        Parameters
        ----------
        histories : ndarray of int, shape (N, L)
            Rows of ids from their beginning on.

        Returns
        -------
        ndarray of float64, shape (N, vocab_size)
        """
        histories = np.asarray(histories, dtype=np.int64)
        contexts = np.zeros(len(histories), dtype=np.int64)
        uniform = np.full((len(histories), self.vocab_size), 1.0 / self.vocab_size)
        probability = self._levels[0].distribution(contexts, uniform)
        for depth, table in enumerate(self._contexts, start=1):
            if depth > histories.shape[1]:
                break
            keys = np.where(contexts >= 0, contexts * self.vocab_size + histories[:, -depth], -1)
            contexts = np.where(keys >= 0, _look_up(table, keys), -1)
            probability = self._levels[depth].distribution(contexts, probability)
        return probability

    def bits_per_token(self, rows: Iterable[Sequence[int] | np.ndarray]) -> float:
        """Mean of -log2 p over all tokens."""
        return float(-self.log_likelihood(rows).mean() / np.log(2))

    def _keys(self, contexts: np.ndarray, tokens: np.ndarray, starts: np.ndarray, depth: int) -> np.ndarray:
        # The context of length d is the context of length d-1 and the token d places back.
        keys = np.full(len(tokens), -1, dtype=np.int64)
        place = np.arange(len(tokens)) - starts
        inside = (place >= depth) & (contexts >= 0)
        where = np.flatnonzero(inside)
        keys[where] = contexts[where] * self.vocab_size + tokens[where - depth]
        return keys


def _join(rows: Iterable[Sequence[int] | np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    arrays = [np.asarray(row, dtype=np.int64) for row in rows]
    lengths = [len(array) for array in arrays]
    tokens = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)
    starts = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths) if arrays else np.empty(0, dtype=np.int64)
    return tokens, starts


def _look_up(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    if not len(table):
        return np.full(len(keys), -1, dtype=np.int64)
    places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[places] == keys, places, -1)
