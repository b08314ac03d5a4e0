"""How alike sequences are, for the leakage audit: exact copies, near copies, overlap with a corpus."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo_genomics.alphabet import reverse_complements
from scizoo_genomics.kmers import band_keys, bands_for, hashed_kmers, pieces, signatures

_CANDIDATES = 8  # the likeliest partners of a record whose similarity is then counted exactly


class KmerJaccard:
    """Similarity as the share of common canonical k-mers; both strands of a sequence are the same.

    Parameters
    ----------
    k : int
        Length of the k-mers of :meth:`near_duplicates`.
    threshold : float
        Jaccard similarity from which two sequences count as near duplicates.
    permutations : int
        Hashes of the MinHash signature that finds candidates.
    sketch_k, sketch_scale : int
        Corpus sketches keep one in ``sketch_scale`` of the different k-mers of length ``sketch_k``.
    """

    def __init__(
        self,
        k: int = 11,
        threshold: float = 0.8,
        permutations: int = 128,
        sketch_k: int = 21,
        sketch_scale: int = 200,
    ):
        self.k, self.threshold, self.permutations = k, threshold, permutations
        self.sketch_k, self.sketch_scale = sketch_k, sketch_scale

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {
            "k": self.k,
            "threshold": self.threshold,
            "permutations": self.permutations,
            "sketch_k": self.sketch_k,
            "sketch_scale": self.sketch_scale,
        }

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings that a sketch depends on; it can only be read with the same ones."""
        return {"sketch_k": self.sketch_k, "sketch_scale": self.sketch_scale}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` whose sequences are the same, on the same or on opposite strands."""
        known: dict[bytes, list[int]] = defaultdict(list)
        for position, digest in enumerate(_digests(records_a)):
            known[digest].append(position)
        return [(i, j) for j, digest in enumerate(_digests(records_b)) for i in known.get(digest, ())]

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each record of ``records_b`` its likest one in ``records_a``.

        Candidates by locality-sensitive hashing (a pair at the threshold is found with a probability
        of 99%); the similarity of the likeliest is then counted from the full k-mer sets.

        Returns
        -------
        list of (i, j, similarity)
            At most one a record of ``records_b``, ascending in ``j``; only those at or above the threshold.
        """
        if not len(records_a) or not len(records_b):
            return []
        sequences = [record.input for record in (*records_a, *records_b)]
        signature = signatures(sequences, self.k, self.permutations)
        size = len(records_a)
        candidates = self._candidates(signature, size)
        found = []
        for j in sorted(candidates):
            there = np.array(sorted(candidates[j]))
            alike = (signature[there] == signature[size + j]).sum(axis=1)
            best = there[np.argsort(-alike, kind="stable")[:_CANDIDATES]]
            mine = self._set(sequences[size + j])
            scores = [self._jaccard(mine, self._set(sequences[i])) for i in best]
            top = int(np.argmax(scores))
            if scores[top] >= self.threshold:
                found.append((int(best[top]), j, float(scores[top])))
        return found

    def _candidates(self, signature: np.ndarray, size: int) -> dict[int, set[int]]:
        """Return the members of ``a`` that share a band with each member of ``b``."""
        found: dict[int, set[int]] = defaultdict(set)
        width = bands_for(self.threshold, self.permutations)
        for key in band_keys(signature, width):
            order = np.argsort(key[:size], kind="stable")
            ordered = key[:size][order]
            left = np.searchsorted(ordered, key[size:], side="left")
            right = np.searchsorted(ordered, key[size:], side="right")
            for j in np.flatnonzero(right > left):
                # Of a crowded bucket a few members will do: all of them are much alike.
                found[int(j)].update(order[left[j] : min(right[j], left[j] + 32)].tolist())
        return found

    def _set(self, sequence: str) -> np.ndarray:
        return np.unique(hashed_kmers([sequence], self.k)[0])

    @staticmethod
    def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
        common = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - common
        return common / union if union else 0.0

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Sketch a corpus, read lazily, so that overlap with it can be measured without it.

        Returns
        -------
        ndarray of uint32
            The sorted lowest ``1/sketch_scale`` of the hashes of its canonical k-mers (FracMinHash, Irber et
            al. 2022, bioRxiv 2022.01.11.475838), their upper 32 bits: half the room in a checkpoint, and of
            100,000 of them less than 1% of strange k-mers are taken for known ones.
        """
        iterator, kept = iter(records), np.empty(0, dtype=np.uint32)
        while batch := [record.input for record in islice(iterator, 1000)]:
            for _, piece in pieces(batch):
                hashes, _ = hashed_kmers(piece, self.sketch_k, self.sketch_scale)
                kept = np.union1d(kept, _upper(hashes))
        return kept

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share of each record's k-mers that the corpus holds.

        Parameters
        ----------
        sketch : ndarray of uint32
            What :meth:`sketch` gave, with the same settings.
        records : sequence of Record

        Returns
        -------
        ndarray of float64, shape (records,)
            0 to 1; NaN for records of which no k-mer falls into the sketch's share (short ones: average
            over many).
        """
        result = np.full(len(records), np.nan)
        for first, batch in pieces([record.input for record in records]):
            hashes, rows = hashed_kmers(batch, self.sketch_k, self.sketch_scale)
            hashes = _upper(hashes)
            if len(hashes):
                place = np.minimum(np.searchsorted(sketch, hashes), max(len(sketch) - 1, 0))
                known = sketch[place] == hashes if len(sketch) else np.zeros(len(hashes), dtype=bool)
                total = np.bincount(rows, minlength=len(batch))
                held = np.bincount(rows, weights=known, minlength=len(batch))
                some = total > 0
                result[first : first + len(batch)][some] = held[some] / total[some]
        return result


def _upper(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(32)).astype(np.uint32)


def _digests(records: Sequence[Record]) -> list[bytes]:
    sequences = [record.input for record in records]
    others = reverse_complements(sequences)
    return [
        hashlib.blake2b(min(one, other).encode("ascii"), digest_size=16).digest()
        for one, other in zip(sequences, others)
    ]
