"""How alike recordings are, for the leakage audit and for splits: landmarks of their spectra."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.similarity import MinHashTextSimilarity, equal_pairs
from scizoo_music.sound.mel import power_spectrogram
from scizoo_music.sound.sounds import Sound, as_sound

_RATE, _WINDOW, _HOP = 8_000, 1024, 128
_PEAK = (25, 31)  # windows and bands around a peak that are all lower
_LOUD = 4.0  # nats of power below the loudest peak, beyond which peaks are noise
_FAN = 5  # later peaks that a peak is paired with
_REACH = 64  # windows from one to the other at most
_COARSE = (2, 8)  # bands and windows that are not told apart
_FIRST = 0x20000  # characters that stand for landmarks begin here: letters, never white space
_CODES = 0xE0000


def landmarks(sound: Sound) -> np.ndarray:
    """Hash pairs of spectral peaks: two frequencies and the time between them (Wang 2003, ISMIR).

    Half of them survive MP3, or noise 20 dB below; fewer an excerpt. They change with transposition and
    tempo: a cover is another recording.

    Returns
    -------
    ndarray of uint64
        Different ones, sorted.
    """
    from scipy.ndimage import maximum_filter

    power = np.log(power_spectrogram(sound.mono(_RATE), _WINDOW, _HOP) + 1e-10)
    top = (maximum_filter(power, size=_PEAK) == power) & (power > power.max() - _LOUD)
    time, band = np.nonzero(top)
    band = band // _COARSE[0]
    found = []
    for ahead in range(1, _FAN + 1):
        gap = time[ahead:] - time[:-ahead]
        near = (gap >= 1) & (gap <= _REACH)
        key = (band[:-ahead][near] * 513 + band[ahead:][near]) * 64 + gap[near] // _COARSE[1]
        found.append(key.astype(np.uint64))
    return np.unique(np.concatenate(found))


class SoundSimilarity:
    """Similarity of recordings as the share of common landmarks, found by MinHash (Broder 1997).

    Exact duplicates have equal samples.

    Parameters
    ----------
    threshold : float
        Jaccard similarity from which two recordings count as copies of one.
    permutations : int
        Hashes of the signature that finds candidates.
    scale : int
        Corpus sketches keep one in ``scale`` of the different landmarks.
    """

    finds_near = True

    def __init__(self, threshold: float = 0.25, permutations: int = 128, scale: int = 20):
        self._texts = MinHashTextSimilarity(1, threshold, permutations, scale, corpus_shingle=1)

    @property
    def threshold(self) -> float:
        """From which similarity two recordings count as copies."""
        return self._texts.threshold

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        found = self._texts.settings()
        return {name: found[name] for name in ("threshold", "permutations", "scale")}

    def exact_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int]]:
        """Return every pair ``(i, j)`` of equal samples."""
        return equal_pairs([_digest(one) for one in records_a], [_digest(one) for one in records_b])

    def near_duplicates(
        self, records_a: Sequence[Record], records_b: Sequence[Record]
    ) -> list[tuple[int, int, float]]:
        """Find for each recording of ``records_b`` its likest in ``records_a``, at or above the threshold."""
        return self._texts.near_duplicates(_as_texts(records_a), _as_texts(records_b))

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Number the records so that copies of one recording, and copies of those, have the same number."""
        return self._texts.groups(_as_texts(records))

    def sketch(self, records: Iterable[Record]) -> np.ndarray:
        """Return the sorted hashes (uint64) of a share of the corpus's landmarks."""
        return self._texts.sketch(_as_text(record) for record in records)

    def overlap(self, sketch: np.ndarray, records: Sequence[Record]) -> np.ndarray:
        """Return the share of each recording's landmarks that the corpus holds; NaN where none is sampled."""
        return self._texts.overlap(sketch, _as_texts(records))


_KEPT: dict[str, str] = {}
_MOST = 50_000


def _digest(record: Record) -> str:
    return as_sound(record.input).digest()


def _as_text(record: Record) -> Record:
    """Write a recording's landmarks as characters, one each; computed once a process for each sound."""
    sound = as_sound(record.input)
    key = sound.digest()
    if key not in _KEPT:
        if len(_KEPT) >= _MOST:
            _KEPT.clear()
        codes = landmarks(sound) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
        _KEPT[key] = "".join(chr(_FIRST + int(code) % _CODES) for code in codes)
    return replace(record, input=_KEPT[key])


def _as_texts(records: Sequence[Record]) -> list[Record]:
    return [_as_text(record) for record in records]
