"""K-mer spectra and one-hot positions: the features of the classical baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from scizoo.errors import ConfigError, DataError
from scizoo_genomics.tokenizers.lookup import codes_of, rolling, rolling_any

_ROWS = 256  # sequences counted at once, into one dense block


def canonical_columns(k: int) -> tuple[np.ndarray, int]:
    """Return the column of each k-mer, shared with its reverse complement, and the number of columns."""
    numbers = np.arange(4**k, dtype=np.int64)
    reverse = np.zeros_like(numbers)
    for place in range(k):
        reverse |= (3 - (numbers >> (2 * place) & 3)) << (2 * (k - 1 - place))
    smaller = np.minimum(numbers, reverse)
    kept = np.unique(smaller)
    return np.searchsorted(kept, smaller).astype(np.int32), len(kept)


def count_kmers(sequences: Sequence[str], k: int, *, canonical: bool = True) -> sparse.csr_matrix:
    """Count k-mers; those with an ambiguity code are left out.

    Returns
    -------
    csr_matrix of float32, shape (sequences, k-mers)
    """
    columns, width = canonical_columns(k) if canonical else (np.arange(4**k, dtype=np.int32), 4**k)
    blocks = []
    rows_at_once = max(1, min(_ROWS, 64_000_000 // width))
    for first in range(0, len(sequences), rows_at_once):
        batch = sequences[first : first + rows_at_once]
        codes, offsets = codes_of(batch)
        numbers = rolling(codes, k)
        if not len(numbers):
            blocks.append(sparse.csr_matrix((len(batch), width), dtype=np.float32))
            continue
        rows = np.repeat(np.arange(len(batch)), np.diff(offsets))[: len(numbers)]
        good = np.arange(len(numbers)) + k <= offsets[1:][rows]
        if codes.max() > 3:
            good &= ~rolling_any(codes > 3, k)
        places = rows[good] * width + columns[numbers[good]]
        counts = np.bincount(places, minlength=len(batch) * width).reshape(len(batch), width)
        blocks.append(sparse.csr_matrix(counts.astype(np.float32)))
    if not blocks:
        return sparse.csr_matrix((0, width), dtype=np.float32)
    return sparse.vstack(blocks, format="csr")


class KmerSpectrum:
    """Turns sequences into weighted k-mer counts, in scikit-learn's manner.

    Parameters
    ----------
    k_min, k_max : int
        Lengths of the k-mers, both counted.
    canonical : bool
        Whether a k-mer and its reverse complement share a column; for data without a strand.
    weighting : {"tfidf", "log", "frequency", "count"}
        ``log`` is ``log(1 + count)``; ``tfidf`` is that times how rare the k-mer is among the training
        sequences; ``frequency`` divides by the number of k-mers. All but ``count`` are scaled to unit
        length for each k, so that every length counts alike.

    Raises
    ------
    ConfigError
        When a setting is out of range.
    """

    def __init__(self, k_min: int = 3, k_max: int = 6, canonical: bool = True, weighting: str = "tfidf"):
        if not 1 <= k_min <= k_max <= 10:
            raise ConfigError(
                f"k_min={k_min} and k_max={k_max} cannot be used.", expected="1 to 10, ascending"
            )
        if weighting not in ("tfidf", "log", "frequency", "count"):
            raise ConfigError(f"weighting is '{weighting}'.", expected="tfidf, log, frequency or count")
        self.k_min, self.k_max, self.canonical, self.weighting = k_min, k_max, canonical, weighting
        self._idf: list[np.ndarray] = []

    def fit_transform(self, sequences: Sequence[str]) -> sparse.csr_matrix:
        """Learn how rare each k-mer is, and return the features."""
        self._idf = []
        counts = self._counts(sequences)
        for matrix in counts:
            seen = np.asarray((matrix > 0).sum(axis=0)).ravel()
            self._idf.append(np.log((1 + matrix.shape[0]) / (1 + seen)).astype(np.float32) + 1)
        return self._weigh(counts)

    def transform(self, sequences: Sequence[str]) -> sparse.csr_matrix:
        """Return the features, shape (sequences, columns), float32."""
        return self._weigh(self._counts(sequences))

    def _counts(self, sequences: Sequence[str]) -> list[sparse.csr_matrix]:
        lengths = range(self.k_min, self.k_max + 1)
        return [count_kmers(sequences, k, canonical=self.canonical) for k in lengths]

    def _weigh(self, counts: list[sparse.csr_matrix]) -> sparse.csr_matrix:
        weighed = []
        for matrix, idf in zip(counts, self._idf):
            if self.weighting in ("tfidf", "log"):
                matrix.data = np.log1p(matrix.data)
            if self.weighting == "tfidf":
                matrix.data *= idf[matrix.indices]
            if self.weighting != "count":
                power = 1 if self.weighting == "frequency" else 2
                size = np.asarray(matrix.power(power).sum(axis=1)).ravel() ** (1 / power)
                matrix.data /= np.repeat(np.maximum(size, 1e-12), np.diff(matrix.indptr)).astype(np.float32)
            weighed.append(matrix)
        return sparse.hstack(weighed, format="csr")


class PositionFeatures:
    """One-hot words at every position, for windows cut around one point (a splice site, a start).

    Parameters
    ----------
    word : int
        Longest word: 2 adds each pair of neighbours to the single bases.
    """

    def __init__(self, word: int = 2):
        if not 1 <= word <= 4:
            raise ConfigError(f"word is {word}.", expected="1 to 4")
        self.word = word
        self._length: int | None = None

    def fit_transform(self, sequences: Sequence[str]) -> sparse.csr_matrix:
        """Note the common length, and return the features."""
        self._length = len(sequences[0]) if len(sequences) else 0
        return self.transform(sequences)

    def transform(self, sequences: Sequence[str]) -> sparse.csr_matrix:
        """Return the features; words with an ambiguity code have none.

        Raises
        ------
        DataError
            When the sequences are not of one length.
        """
        length = self._length or 0
        for position, sequence in enumerate(sequences):
            if len(sequence) != length:
                raise DataError(
                    f"Sequence {position} has {len(sequence)} bases, the first had {length}.",
                    expected="windows of one length for the position baseline",
                    remedy="use a k-mer baseline instead.",
                )
        codes, _ = codes_of(sequences)
        blocks = []
        for word in range(1, min(self.word, length) + 1):
            numbers = rolling(codes, word)
            bad = rolling_any(codes > 3, word)
            start = np.arange(len(sequences))[:, None] * length + np.arange(length - word + 1)
            columns = np.arange(length - word + 1) * 4**word + numbers[start]
            good = ~bad[start]
            rows = np.broadcast_to(np.arange(len(sequences))[:, None], columns.shape)
            shape = (len(sequences), (length - word + 1) * 4**word)
            ones = np.ones(int(good.sum()), dtype=np.float32)
            blocks.append(sparse.csr_matrix((ones, (rows[good], columns[good])), shape=shape))
        return sparse.hstack(blocks, format="csr")
