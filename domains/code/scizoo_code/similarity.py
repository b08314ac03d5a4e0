"""How alike pieces of source are: runs of tokens in common, found by MinHash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.similarity import MinHashTextSimilarity, equal_pairs
from scizoo_code.sources import text_of

_TOKEN = re.compile(r"\w+|[^\w\s]")
_SEED = np.uint64(0x9E3779B97F4A7C15)


def tokens_of(text: str) -> list[str]:
    """Cut source of any language into words and single signs; white space is none."""
    return _TOKEN.findall(text)


def token_key(text: str) -> bytes:
    """Name a text by its tokens: layout does not count."""
    return hashlib.blake2b(
        "\n".join(tokens_of(text)).encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


def mix(key: np.ndarray) -> np.ndarray:
    """Scramble 64-bit numbers one to one (splitmix64, Steele et al. 2014)."""
    key = key + _SEED
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


class _Words(dict[str, int]):
    """Numbers of words, the same on every machine; remembers those that it was asked for."""

    def __missing__(self, word: str) -> int:
        data = word.encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
        if len(self) < 1_000_000:
            self[word] = number
        return number


_WORDS = _Words()


def shingles(words: Sequence[str], size: int) -> np.ndarray:
    """Hash every run of ``size`` words; fewer words are one run.

    Returns
    -------
    ndarray of uint64
        Sorted and distinct; empty where there are no words.
    """
    codes = np.fromiter((_WORDS[word] for word in words), dtype=np.uint64, count=len(words))
    width = max(1, min(size, len(codes)))
    key = np.zeros(max(0, len(codes) - width + 1), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for place in range(width):
            key = mix(key ^ codes[place : place + len(key)])
    return np.unique(key)


class CodeSimilarity(MinHashTextSimilarity):
    """Similarity of source as the share of common runs of tokens (Jaccard), found by MinHash.

    As SantaCoder and StarCoder remove near duplicates (Allal et al. 2023, arXiv 2301.03988): shingles of five
    tokens and a Jaccard similarity from 0.7. Layout does not count: texts of the same tokens are equal.

    Parameters
    ----------
    shingle : int
        Tokens of a shingle.
    threshold : float
        Jaccard similarity from which two texts count as near duplicates.
    permutations : int
        Hashes of the signature that finds candidates.
    scale : int
        Corpus sketches keep one in ``scale`` of the different runs.
    least : int
        Texts of fewer tokens than this are no near duplicates of others: they are too short to be told apart.
    corpus_shingle : int
        Tokens of the runs by which a corpus is known: 13, as benchmarks are looked for in the corpora of
        language models (Brown et al. 2020, arXiv 2005.14165), for shorter ones are idioms.
    """

    def __init__(
        self,
        shingle: int = 5,
        threshold: float = 0.7,
        permutations: int = 256,
        scale: int = 20,
        least: int = 10,
        corpus_shingle: int = 13,
    ):
        super().__init__(shingle, threshold, permutations, scale, corpus_shingle)
        self.least = least

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return super().settings() | {"least": self.least}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of the same tokens."""
        keys = [
            [token_key(text_of(record.input)) for record in records] for records in (records_a, records_b)
        ]
        return equal_pairs(*keys)

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each text of ``records_b`` its likest one in ``records_a``; see the base class."""
        rows = [
            [n for n, record in enumerate(records) if len(tokens_of(text_of(record.input))) >= self.least]
            for records in (records_a, records_b)
        ]
        found = super().near_duplicates([records_a[n] for n in rows[0]], [records_b[n] for n in rows[1]])
        return [(rows[0][i], rows[1][j], score) for i, j, score in found]

    def signatures(self, texts: Iterable[str]) -> np.ndarray:
        """Return the MinHash signature of each text, uint64 of shape (texts, permutations)."""
        rows = []
        for text in texts:
            rows.append(self._signatures([shingles(tokens_of(text), self.shingle)])[0])
        return np.array(rows, dtype=np.uint64).reshape(-1, self.permutations)

    def bands(self, signatures: np.ndarray) -> Iterator[np.ndarray]:
        """Yield a key of each text for each band of its signature: texts that share one may be alike."""
        width = self._width()
        for start in range(0, self.permutations - width + 1, width):
            key = np.zeros(len(signatures), dtype=np.uint64)
            with np.errstate(over="ignore"):
                for column in range(start, start + width):
                    key = mix(key ^ signatures[:, column])
            yield key

    def _shingles(self, record: Record, size: int) -> np.ndarray:
        return shingles(tokens_of(text_of(record.input)), size)
