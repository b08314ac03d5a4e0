"""How alike pieces are, for the leakage audit: one melody in any key, its variants, a corpus's share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo.evaluation.similarity import MinHashTextSimilarity, equal_pairs
from scizoo_music.pieces import as_piece

_FIRST = 0x4E00  # characters that stand for intervals begin here: letters, never white space
_UNISON = 128


def interval_text(input: Any) -> str:
    """Write the melody as one character an interval in semitones, so that its key does not matter.

    The melody is the highest voice, of notes that begin together the highest. Notes that repeat the one
    before count. A piece of one note, or one that cannot be read, is an empty text.
    """
    try:
        pitches = as_piece(input).melody()
    except DataError:
        return ""
    return "".join(chr(_FIRST + _UNISON + int(step)) for step in np.diff(pitches))


def melody_key(input: Any) -> tuple[str, tuple[float, ...]]:
    """Return what is equal for the same intervals in the same rhythm, whatever the key."""
    return interval_text(input), _rhythm(input)


def _rhythm(input: Any) -> tuple[float, ...]:
    try:
        piece = as_piece(input)
    except DataError:
        return ()
    return tuple(np.round(piece.onset - piece.onset[0], 4).tolist())


class MelodySimilarity:
    """Similarity of melodies as the share of common runs of intervals, found by MinHash (Broder 1997).

    Transpositions of a piece are the same piece. Variants of a tune, as two fiddlers play it, share many
    runs.

    Parameters
    ----------
    intervals : int
        Intervals of a run; 5 are six notes.
    threshold : float
        Jaccard similarity from which two melodies count as variants of one.
    permutations : int
        Hashes of the signature that finds candidates.
    scale : int
        Corpus sketches keep one in ``scale`` of the different runs.
    corpus_intervals : int
        Intervals of the runs by which a corpus is known. They are longer: nearly every run of five stands
        somewhere among thousands of tunes, without any of these being the tune at hand.
    """

    finds_near = True

    def __init__(
        self,
        intervals: int = 5,
        threshold: float = 0.5,
        permutations: int = 128,
        scale: int = 16,
        corpus_intervals: int = 10,
    ):
        self.intervals, self.corpus_intervals = intervals, corpus_intervals
        self._texts = MinHashTextSimilarity(intervals, threshold, permutations, scale, corpus_intervals)

    @property
    def threshold(self) -> float:
        """From which similarity two melodies count as variants."""
        return self._texts.threshold

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        found = self._texts.settings()
        lengths = {"intervals": found.pop("shingle"), "corpus_intervals": found.pop("corpus_shingle")}
        return lengths | found

    def sketch_settings(self) -> dict[str, Any]:
        """Return the settings on which a corpus' sketch depends."""
        return {"corpus_intervals": self.corpus_intervals, "scale": self._texts.scale}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of the same intervals in the same rhythm, whatever the key."""
        keys = [melody_key(one.input) for one in (*records_a, *records_b)]
        return equal_pairs(keys[: len(records_a)], keys[len(records_a) :])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each melody of ``records_b`` its likest in ``records_a``, at or above the threshold."""
        return self._texts.near_duplicates(_as_texts(records_a), _as_texts(records_b))

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Number the records so that variants of one melody, and variants of those, have the same number."""
        return self._texts.groups(_as_texts(records))

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted hashes (uint64) of a share of the corpus's runs of intervals."""
        return self._texts.sketch(_as_text(record) for record in records)

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share of each melody's runs that the corpus holds; NaN where none was sampled."""
        return self._texts.overlap(sketch, _as_texts(records))


def _as_text(record: Record) -> Record:
    return replace(record, input=interval_text(record.input))


def _as_texts(records: Sequence[Record]) -> list[Record]:
    return [_as_text(record) for record in records]
