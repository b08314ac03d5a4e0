"""The piano-roll of a chorale's voices: a token a voice and step, interleaved or the soprano first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.errors import ConfigError, DataError
from scizoo_music.pieces import Piece
from scizoo_music.tokenizers.grid import GridTokenizer

_REST, _HOLD, _LINE = "_", "-", "|"
ORDERS = ("interleaved", "soprano_first")


class ChoraleTokenizer(GridTokenizer):
    """Each voice has one token a step: a pitch that begins, ``-`` where it is held, ``_`` where it rests.

    ``interleaved`` writes step by step, in each the voices from the first (soprano) to the last, as DeepBach
    (Hadjeres et al. 2017) and BachBot (Liang et al. 2017) do. ``soprano_first`` writes the whole first voice,
    a ``|``, and then step by step the others: a causal model continues a given soprano. A piece of one voice
    is then a soprano that waits for its harmony. Decoding is exact; meter, key and tempo are not kept.

    Parameters
    ----------
    voices : int
        Voices of a piece; one that has fewer rests.
    order : {"interleaved", "soprano_first"}
    step, lowest, highest
        See :class:`~scizoo_music.tokenizers.grid.GridTokenizer`.
    """

    SIGNS: ClassVar[tuple[str, ...]] = (_REST, _HOLD, _LINE)

    def __init__(
        self,
        voices: int = 4,
        order: str = "interleaved",
        step: float = 0.25,
        lowest: int = 24,
        highest: int = 96,
    ):
        super().__init__(step, lowest, highest)
        if not 1 <= voices <= 16:
            raise ConfigError(f"tokenizer.voices={voices}", expected="from 1 to 16")
        if order not in ORDERS:
            raise ConfigError(f"tokenizer.order={order}", expected=" or ".join(ORDERS))
        self.voices, self.order = voices, order

    def settings(self) -> dict[str, Any]:
        """Return the grid, the range, the voices and their order."""
        return {"voices": self.voices, "order": self.order, **super().settings()}

    def roll(self, place: int, input: Any) -> np.ndarray:
        """Give the ids of a piece by step and voice, shape (steps, voices).

        Raises
        ------
        DataError
            When the piece has more voices, or two notes of one voice sound at once.
        """
        piece, first, last = self.on_grid(place, input)
        if piece.voice.max() >= self.voices:
            raise DataError(
                f"Input {place} has a voice {piece.voice.max() + 1}.",
                expected=f"at most {self.voices} voices",
                remedy="set tokenizer.voices, or leave the piece out.",
            )
        roll = np.full((int(last.max()), self.voices), self.sign(_REST), dtype=np.int64)
        free = np.full(self.voices, 0)
        for begin, end, pitch, voice in zip(first, last, piece.pitch, piece.voice):
            if begin < free[voice]:
                raise DataError(
                    f"Input {place} has two notes at once in voice {voice + 1}, at quarter beat "
                    f"{begin * self.step:g}.",
                    expected="voices of one note at a time",
                    remedy="part the voices, or take tokenizer=music/frames.",
                )
            roll[begin, voice] = pitch + self.base
            roll[begin + 1 : end, voice] = self.sign(_HOLD)
            free[voice] = end
        return roll

    def row(self, place: int, input: Any) -> np.ndarray:
        """Encode one piece."""
        roll = self.roll(place, input)
        if self.order == "interleaved":
            return roll.ravel()
        soprano = np.append(roll[:, 0], self.sign(_LINE))
        alone = (roll[:, 1:] == self.sign(_REST)).all()
        return soprano if alone else np.concatenate([soprano, roll[:, 1:].ravel()])

    def sounding(self, place: int, input: Any) -> np.ndarray:
        """A token speaks of the note that its voice has at its step."""
        piece, first, last = self.on_grid(place, input)
        steps, count = int(last.max()), len(self.row(place, piece))
        step, voice = np.divmod(np.arange(steps * self.voices), self.voices)
        if self.order == "soprano_first":
            upper, lower = voice == 0, voice > 0
            # No voice sings the line between.
            step = np.concatenate([step[upper], [-1], step[lower]])
            voice = np.concatenate([voice[upper], [-1], voice[lower]])
        step, voice = step[:count, None], voice[:count, None]
        return (first <= step) & (step < last) & (piece.voice == voice)

    def unroll(self, ids: Sequence[int]) -> np.ndarray:
        """Give ids by step and voice, shape (steps, voices); an unfinished last step is left out.

        Raises
        ------
        DataError
            When ids of a soprano-first row have no ``|`` after the soprano, or more steps below than in it.
        """
        row = np.asarray(ids, dtype=np.int64)
        row = row[row >= len(self.SPECIAL)]
        line = np.flatnonzero(row == self.sign(_LINE))
        if self.order == "interleaved":
            if len(line):
                raise DataError("a '|' stands among the voices.", expected="pitches, '-' and '_'")
            return row[: len(row) // self.voices * self.voices].reshape(-1, self.voices)
        if len(line) != 1 or line[0] == 0:
            raise DataError("the soprano does not end in one '|'.", expected="a soprano, then '|'")
        soprano, rest = row[: line[0]], row[line[0] + 1 :]
        below = rest[: len(rest) // (self.voices - 1) * (self.voices - 1)].reshape(-1, self.voices - 1)
        if len(below) > len(soprano):
            raise DataError("the voices below go on after the soprano.", expected="as many steps as it has")
        roll = np.full((len(soprano), self.voices), self.sign(_REST), dtype=np.int64)
        roll[:, 0] = soprano
        roll[: len(below), 1:] = below
        return roll

    def decode(self, ids: Sequence[int]) -> Piece:
        """Give the notes back.

        Raises
        ------
        DataError
            When a hold follows no note, or there is no note.
        """
        roll = self.unroll(ids)
        steps = len(roll)
        lanes = roll.T.ravel()  # voice by voice
        begins = lanes >= self.sign(_REST) + len(self.SIGNS)
        held = lanes == self.sign(_HOLD)
        before = np.concatenate([[False], (begins | held)[:-1]])
        before[:: steps or 1] = False
        if (held & ~before).any():
            raise DataError("a hold follows no note.", expected="a pitch before each '-'")
        starts = np.flatnonzero(begins)
        if not len(starts):
            raise DataError("the voices hold no note.", expected="at least one")
        # A note lasts as long as holds follow.
        stops = np.append(np.flatnonzero(~held), len(lanes))
        ends = stops[np.searchsorted(stops, starts, side="right")]
        voice = starts // steps
        ends = np.minimum(ends, (voice + 1) * steps)
        return Piece(
            (starts - voice * steps) * self.step,
            (ends - starts) * self.step,
            lanes[starts] - self.base,
            voice,
        )
