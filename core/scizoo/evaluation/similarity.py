"""How alike records are: what a domain tells the leakage audit, and answers for domains without their own."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from scizoo.data.records import Record
from scizoo.data.targets import input_key
from scizoo.errors import ConfigError, DataError

_CANDIDATES = 8  # the likeliest partners of a record whose similarity is then counted exactly
_CROWD = 32  # members of one bucket that are looked at: all of them are much alike


def in_sketch(values: np.ndarray, sketch: np.ndarray) -> np.ndarray:
    """Tell which values a sketch holds, without sorting it again for every record as ``np.isin`` does.

    Parameters
    ----------
    values : ndarray
    sketch : ndarray
        Sorted ascending.

    Returns
    -------
    ndarray of bool
        As many as ``values``.
    """
    if not len(sketch):
        return np.zeros(np.shape(values), dtype=bool)
    place = np.minimum(np.searchsorted(sketch, values), len(sketch) - 1)
    return np.asarray(sketch[place] == values)


@runtime_checkable
class Similarity(Protocol):
    """What the audit asks of a domain (k-mers of sequences, fingerprints of molecules, sky distance, ...)."""

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]] | list[tuple[int, int, float]]:
        """Return every pair ``(i, j)`` that means the same input; a third entry is ignored."""

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Return ``(i, j, similarity)``: for records of ``b`` the likest of ``a``, where it is too like."""

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Sum a corpus up in a small array, from which overlap with it can be measured."""

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share (0 to 1, NaN where unknown) of each record that the sketched corpus holds."""


class ExactSimilarity:
    """Equal inputs only, for any kind of input; near copies are not looked for."""

    finds_near = False

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` whose inputs are equal."""
        return equal_pairs([input_key(r.input) for r in records_a], [input_key(r.input) for r in records_b])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Return the equal ones: nothing else is known to be alike."""
        return [(i, j, 1.0) for i, j in self.exact_duplicates(records_a, records_b)]

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted hashes (uint64) of all inputs."""
        return np.unique(np.fromiter((_hash(record) for record in records), dtype=np.uint64))

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return 1 for each record whose input the corpus holds, else 0."""
        mine = np.fromiter((_hash(record) for record in records), dtype=np.uint64, count=len(records))
        return np.isin(mine, sketch).astype(np.float64)


class MinHashTextSimilarity:
    """Similarity of texts as the share of common character shingles, found by MinHash (Broder 1997).

    White space is normalised: texts that differ in it alone have similarity 1.

    Parameters
    ----------
    shingle : int
        Characters of a shingle.
    threshold : float
        Jaccard similarity from which two texts count as near duplicates.
    permutations : int
        Hashes of the signature that finds candidates.
    scale : int
        Corpus sketches keep one in ``scale`` of the different runs.
    corpus_shingle : int
        Characters of the runs by which a corpus is known. They are longer: nearly every run of nine stands
        somewhere in a corpus without the text at hand being there. 50 are some eight words, as contamination
        is told for language models (Chowdhery et al. 2022, arXiv 2204.02311).

    Raises
    ------
    ConfigError
        When a setting has no meaning.
    """

    finds_near = True

    def __init__(
        self,
        shingle: int = 9,
        threshold: float = 0.8,
        permutations: int = 128,
        scale: int = 20,
        corpus_shingle: int = 50,
    ):
        if min(shingle, permutations, scale, corpus_shingle) < 1:
            raise ConfigError(
                f"audit: shingle={shingle}, permutations={permutations}, scale={scale}, "
                f"corpus_shingle={corpus_shingle}: from 1 on"
            )
        if not 0 < threshold <= 1:
            raise ConfigError(f"audit.threshold={threshold}", expected="a similarity above 0, at most 1")
        self.shingle, self.threshold = shingle, threshold
        self.permutations, self.scale = permutations, scale
        self.corpus_shingle = corpus_shingle

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {
            "shingle": self.shingle,
            "threshold": self.threshold,
            "permutations": self.permutations,
            "scale": self.scale,
            "corpus_shingle": self.corpus_shingle,
        }

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings on which a corpus' sketch depends."""
        return {"corpus_shingle": self.corpus_shingle, "scale": self.scale}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of equal texts."""
        return equal_pairs([_text(r) for r in records_a], [_text(r) for r in records_b])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each text of ``records_b`` its likest one in ``records_a``.

        Candidates by locality-sensitive hashing (a pair at the threshold is found with a probability of
        99%); their similarity is then counted from the full sets of shingles.

        Returns
        -------
        list of (i, j, similarity)
            At most one a record of ``records_b``, ascending in ``j``; at or above the threshold only.
        """
        if not len(records_a) or not len(records_b):
            return []
        sets = [self._shingles(record, self.shingle) for record in (*records_a, *records_b)]
        signature, size, found = self._signatures(sets), len(records_a), []
        for j, there in sorted(_candidates(signature, size, self._width()).items()):
            alike = (signature[there] == signature[size + j]).sum(axis=1)
            best = there[np.argsort(-alike, kind="stable")[:_CANDIDATES]]
            scores = [_jaccard(sets[size + j], sets[i]) for i in best]
            top = int(np.argmax(scores))
            if scores[top] >= self.threshold:
                found.append((int(best[top]), j, scores[top]))
        return found

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted lowest ``1/scale`` (uint64) of the hashes of the corpus's runs."""
        kept, waiting = np.empty(0, dtype=np.uint64), []
        for record in records:
            waiting.append(self._sampled(record))
            if len(waiting) == 1000:
                kept, waiting = np.unique(np.concatenate([kept, *waiting])), []
        return np.unique(np.concatenate([kept, *waiting]))

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share of each text's runs that the corpus holds; NaN where none was sampled."""
        shares = np.full(len(records), np.nan)
        for row, record in enumerate(records):
            mine = self._sampled(record)
            if len(mine):
                shares[row] = in_sketch(mine, sketch).mean()
        return shares

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Number the texts so that near duplicates, and near duplicates of those, have the same number.

        Returns
        -------
        ndarray of int64, shape (records,)
            The position of the first text of each one's group.
        """
        sets = [self._shingles(record, self.shingle) for record in records]
        parent = np.arange(len(records))

        def root(place: int) -> int:
            while parent[place] != place:
                parent[place] = parent[parent[place]]
                place = int(parent[place])
            return place

        compared: set[tuple[int, int]] = set()
        for key in _bands(self._signatures(sets), self._width()) if len(records) else ():
            order = np.argsort(key, kind="stable")
            ordered = key[order]
            # Of a bucket each text is compared with the few before it: all of them are much alike.
            for back in range(1, _CANDIDATES + 1):
                for at in np.flatnonzero(ordered[back:] == ordered[:-back]).tolist():
                    one, other = sorted((int(order[at]), int(order[at + back])))
                    if (one, other) in compared:
                        continue
                    compared.add((one, other))
                    first, second = sorted((root(one), root(other)))
                    if first != second and _jaccard(sets[one], sets[other]) >= self.threshold:
                        parent[second] = first
        return np.array([root(place) for place in range(len(records))], dtype=np.int64)

    def _shingles(self, record: Record, size: int) -> np.ndarray:
        """Hash every run of so many characters; a shorter text is one run."""
        codes = np.frombuffer(" ".join(_text(record).split()).encode("utf-32-le"), dtype=np.uint32)
        width = max(1, min(size, len(codes)))
        key = np.zeros(max(0, len(codes) - width + 1), dtype=np.uint64)
        for place in range(width):
            key = _mix(key ^ codes[place : place + len(key)].astype(np.uint64))
        return np.unique(key)

    def _sampled(self, record: Record) -> np.ndarray:
        hashes = self._shingles(record, self.corpus_shingle)
        return hashes[hashes < np.uint64((2**64 - 1) // self.scale)]

    def _signatures(self, sets: Sequence[np.ndarray]) -> np.ndarray:
        salts = _mix(np.arange(1, self.permutations + 1, dtype=np.uint64))[:, None]
        rows = np.empty((len(sets), self.permutations), dtype=np.uint64)
        for number, hashes in enumerate(sets):
            if len(hashes):
                # Blocks bound the memory for a long text.
                rows[number] = np.min(
                    [_mix(hashes[at : at + 8192] ^ salts).min(axis=1) for at in range(0, len(hashes), 8192)],
                    axis=0,
                )
            else:  # an empty text is like no other
                rows[number] = _mix(salts[:, 0] ^ np.uint64(2**63 + number))
        return rows

    def _width(self) -> int:
        """Return the widest band with which a pair at the threshold still meets with probability 0.99."""
        widths = range(1, self.permutations + 1)
        met = [w for w in widths if 1 - (1 - self.threshold**w) ** (self.permutations // w) >= 0.99]
        return max(met, default=1)


def equal_pairs(keys_a: Sequence[Hashable], keys_b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return every pair ``(i, j)`` of equal keys, ascending in ``j``."""
    known: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys_a):
        known[key].append(position)
    return [(i, j) for j, key in enumerate(keys_b) for i in known.get(key, ())]


def _candidates(signature: np.ndarray, size: int, width: int) -> dict[int, np.ndarray]:
    """Return the members of ``a`` (the first ``size``) that share a band with each member of ``b``."""
    found: dict[int, set[int]] = defaultdict(set)
    for key in _bands(signature, width):
        order = np.argsort(key[:size], kind="stable")
        ordered = key[:size][order]
        left = np.searchsorted(ordered, key[size:], side="left")
        right = np.searchsorted(ordered, key[size:], side="right")
        for j in np.flatnonzero(right > left):
            found[int(j)].update(order[left[j] : min(right[j], left[j] + _CROWD)].tolist())
    return {j: np.array(sorted(members)) for j, members in found.items()}


def _bands(signature: np.ndarray, width: int) -> Iterator[np.ndarray]:
    for start in range(0, signature.shape[1] - width + 1, width):
        key = np.zeros(len(signature), dtype=np.uint64)
        for column in range(start, start + width):
            key = _mix(key ^ signature[:, column])
        yield key


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - common
    return common / union if union else 0.0


def _mix(key: np.ndarray) -> np.ndarray:
    """Scramble 64-bit numbers one to one (splitmix64)."""
    key = key + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _hash(record: Record) -> int:
    content = repr(input_key(record.input)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _text(record: Record) -> str:
    if not isinstance(record.input, str):
        raise DataError(
            f"record '{record.id}' is no text but {type(record.input).__name__}.",
            expected="texts, which MinHashTextSimilarity compares",
            remedy="name the similarity of the field under audit._target_.",
        )
    return record.input
