"""Polyphonic frames: the notes that sound in each step, from low to high, and the end of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.errors import DataError
from scizoo_music.pieces import Piece
from scizoo_music.tokenizers.grid import GridTokenizer

_KEYS = 256  # more than any id: frames and ids are sorted as one number


class FrameTokenizer(GridTokenizer):
    """The piano roll of a piece as tokens: each frame's pitches ascending, then the end-of-frame token.

    A causal model over these tokens gives each frame's set of notes a likelihood, the product of its tokens':
    the model of a frame is not 88 independent coin tosses, since each note is seen by the next. What it gives
    to descending or repeated pitches is lost, so that its likelihood of the sets is a lower bound.

    Voices are not kept, nor is whether a pitch that sounds in two frames in a row was struck twice: decoding
    gives one long note. With input of such notes in one voice, decoding gives back what was encoded.

    Parameters
    ----------
    step, lowest, highest
        See :class:`~scizoo_music.tokenizers.grid.GridTokenizer`; 21 to 108 are the 88 keys of a piano.
    """

    SIGNS: ClassVar[tuple[str, ...]] = ("/",)
    unit: ClassVar[str | None] = "frame"
    in_nats: ClassVar[bool] = True  # as the literature states it

    def size(self, input: Any) -> int:
        """Count the frames of a piece."""
        return int(self.on_grid(0, input)[2].max())

    def row(self, place: int, input: Any) -> np.ndarray:
        """Encode one piece."""
        piece, first, last = self.on_grid(place, input)
        lengths = last - first
        ends = np.cumsum(lengths)
        frames = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths) + np.repeat(first, lengths)
        notes = np.unique(frames * _KEYS + np.repeat(piece.pitch.astype(np.int64), lengths) + self.base)
        borders = np.arange(last.max()) * _KEYS + _KEYS - 1
        keys = np.sort(np.concatenate([notes, borders])) % _KEYS
        return np.where(keys == _KEYS - 1, self.sign("/"), keys)

    def sounding(self, place: int, input: Any) -> np.ndarray:
        """A pitch speaks of the notes of that pitch in its frame, the end of a frame of all notes in it."""
        piece, first, last = self.on_grid(place, input)
        row = self.row(place, piece)
        border = row == self.sign("/")
        frame = (np.cumsum(border) - border)[:, None]
        now = (first <= frame) & (frame < last)
        return now & (border[:, None] | (row[:, None] - self.base == piece.pitch))

    def decode(self, ids: Sequence[int]) -> Piece:
        """Give the notes back; an unfinished last frame is left out.

        Raises
        ------
        DataError
            When the pitches of a frame do not ascend, or there is no note.
        """
        row = np.asarray(ids, dtype=np.int64)
        row = row[row >= len(self.SPECIAL)]
        border = row == self.sign("/")
        frames = np.cumsum(border) - border
        whole = frames < border.sum()
        keys = (frames * _KEYS + row)[whole & ~border]
        if not len(keys):
            raise DataError("the frames hold no note.", expected="at least one")
        if (np.diff(keys) <= 0).any():
            raise DataError(
                "the notes of a frame do not ascend.", expected="each pitch once, from low to high"
            )
        frame, pitch = keys // _KEYS, keys % _KEYS - self.base
        order = np.lexsort((frame, pitch))
        frame, pitch = frame[order], pitch[order]
        goes_on = (np.diff(pitch) == 0) & (np.diff(frame) == 1)
        starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
        lengths = np.diff(np.append(starts, len(frame)))
        return Piece(frame[starts] * self.step, lengths * self.step, pitch[starts])
