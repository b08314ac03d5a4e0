"""What generated pieces are worth: whether they can be read, how they are like real ones, what they copy."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.generation import Scorer
from scizoo.evaluation.memorised import CopyIndex
from scizoo.evaluation.sample_figures import SampleFigure, pick
from scizoo_music.abc.tunes import read_tune
from scizoo_music.generation.statistics import DISTRIBUTIONS, distance, table
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.similarity import interval_text

_TITLES = {
    "pitch_distance": "pitch-class divergence (bits)",
    "interval_distance": "interval divergence (bits)",
    "rhythm_distance": "rhythm divergence (bits)",
    "duration_distance": "duration divergence (bits)",
}


class PieceScorer(Scorer):
    """Judges generated pieces and tunes.

    A piece is valid when it can be read and has at least ``least`` notes. Equal are pieces of the same
    intervals and rhythm, in whatever key. Over the valid ones are measured, against held-out pieces:

    - ``pitch_distance``, ``interval_distance``, ``rhythm_distance``, ``duration_distance``: Jensen-Shannon
      divergence in bits, 0 to 1, of the pooled distributions of pitch classes (above the tonic), melodic
      intervals, times between onsets, and durations (features of Yang and Lerch 2020, Neural Comput. Appl.
      32:4773);
    - ``bars_right``: the share of a tune's bars that have the length of its meter (ABC alone; pick-ups and
    bars
      at repeats may be shorter). The row of real records shows how often those do;
    - ``copied_intervals`` and ``copied_interval_share``: the longest run of melodic intervals that occurs in
    a
      training piece, in whatever key, in intervals and as a share of the melody. That of the core,
      ``longest_copy``, counts tokens in the same key.

    Parameters
    ----------
    reference : int
        Held-out pieces that written ones are compared with, at most.
    least : int
        Notes of a valid piece.
    """

    main = "interval_distance"

    def __init__(self, reference: int = 2_000, least: int = 4):
        for name, value in (("reference", reference), ("least", least)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"scorer.{name}={value}", expected="a whole number from 1")
        self.reference, self.least = reference, least

    def key(self, value: Any) -> Hashable | None:
        """Name a piece by its intervals and rhythm; None where it cannot be read or is too short."""
        piece = self._piece(value)
        if piece is None:
            return None
        onset = np.round((piece.onset - piece.onset[0]) * 48).astype(int)
        return tuple((piece.pitch - piece.pitch[0]).tolist()), tuple(onset.tolist())

    def _piece(self, value: Any) -> Piece | None:
        try:
            piece = as_piece(value)
        except (DataError, ValueError):
            return None
        return piece if len(piece) >= self.least else None

    def text(self, value: Any) -> str:
        """Write a tune as its ABC text, another piece as its notes: onset, pitch and duration of each."""
        if isinstance(value, str):
            return value
        piece = as_piece(value)
        notes = zip(piece.onset.tolist(), piece.voice.tolist(), piece.pitch.tolist(), piece.duration.tolist())
        return " ".join(f"{onset:g}:{voice}:{pitch}:{length:g}" for onset, voice, pitch, length in notes)

    def read(self, text: str) -> Any:
        r"""Read a prompt: ABC text (``\n`` may stand for a line end), or notes as :meth:`text` writes them.

        Raises
        ------
        DataError
            When it is neither.
        """
        if ":" in text and text[:1].isdigit():
            try:
                rows = [[float(word) for word in note.split(":")] for note in text.split()]
                onset, voice, pitch, length = zip(*rows, strict=True)
                return Piece(
                    np.array(onset), np.array(length), np.array(pitch, np.int16), np.array(voice, np.int16)
                )
            except ValueError as error:
                raise DataError(
                    f"the prompt '{text[:40]}' is no list of notes: {error}.",
                    expected="notes as onset:voice:pitch:duration, such as 0:0:67:1 1:0:69:0.5",
                ) from error
        return text.replace("\\n", "\n")

    def prepare(self, training: Sequence[Any], heldout: Sequence[Any]) -> None:
        """Count what generated pieces are compared with."""
        rows = np.unique(np.linspace(0, len(heldout) - 1, min(self.reference, len(heldout))).astype(int))
        pieces = [
            piece for piece in (self._piece(heldout[row]) for row in rows.tolist()) if piece is not None
        ]
        if not pieces:
            raise DataError(f"no held-out piece has {self.least} notes.", expected="pieces to compare with")
        self._counts = {name: table(pieces, name) for name in DISTRIBUTIONS}
        self._melodies = CopyIndex([_intervals(value) for value in training])

    def figures(
        self, generated: Sequence[Any], keys: Sequence[Hashable | None]
    ) -> Mapping[str, SampleFigure]:
        """Measure the valid pieces; see the class."""
        rows = np.flatnonzero([key is not None for key in keys])
        nothing = np.full(len(keys), np.nan)
        if not len(rows):
            reason = "no sample is valid"
            found = {
                name: SampleFigure(title, "lower", nothing, reason=reason) for name, title in _TITLES.items()
            }
            return found | {
                name: SampleFigure(title, "lower", nothing, reason=reason)
                for name, title in (
                    ("copied_intervals", "longest copied run (intervals)"),
                    ("copied_interval_share", "longest copied run (share of the melody)"),
                )
            }
        pieces = [as_piece(generated[row]) for row in rows.tolist()]
        made = {
            name: SampleFigure(
                title,
                "lower",
                statistic=pick(distance(table(pieces, name), self._counts[name]), rows),
                bounds=(0.0, 1.0),
            )
            for name, title in _TITLES.items()
        }
        melodies = [_intervals(generated[row]) for row in rows.tolist()]
        runs = self._melodies.longest(melodies).astype(float)
        lengths = np.array([max(len(melody), 1) for melody in melodies], dtype=float)
        return {
            **made,
            **self._bars(generated, rows),
            "copied_intervals": SampleFigure(
                "longest copied run (intervals)", "lower", _spread(nothing, rows, runs), bounds=(0, np.inf)
            ),
            "copied_interval_share": SampleFigure(
                "longest copied run (share of the melody)",
                "lower",
                _spread(nothing, rows, runs / lengths),
                bounds=(0, 1),
            ),
        }

    @staticmethod
    def _bars(generated: Sequence[Any], rows: np.ndarray) -> dict[str, SampleFigure]:
        shares = np.full(len(generated), np.nan)
        for row in rows.tolist():
            if isinstance(generated[row], str):
                bars = read_tune(generated[row]).bars
                shares[row] = np.mean([bar.adds_up for bar in bars]) if bars else np.nan
        if not np.isfinite(shares).any():
            return {}
        return {"bars_right": SampleFigure("bars that add up", "higher", shares, bounds=(0, 1))}


def _intervals(value: Any) -> np.ndarray:
    return np.array([ord(letter) for letter in interval_text(value)], dtype=np.int64)


def _spread(like: np.ndarray, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Lay values of the valid samples out over all samples."""
    whole = like.copy()
    whole[rows] = values
    return whole
