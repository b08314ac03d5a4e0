"""What tokenizers of a time grid share: notes as whole numbers of steps, pitches as ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import add_up
from scizoo.errors import ConfigError, DataError
from scizoo_music.pieces import Piece, as_piece

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_SLACK = 1e-3  # of a step: what rounding of files may do


class GridTokenizer(TokenTokenizer):
    """Pitches on a grid of equal steps.

    Parameters
    ----------
    step : float
        Length of a step in quarter beats.
    lowest, highest : int
        MIDI pitches of the vocabulary.
    """

    #: Tokens between the special ones and the pitches.
    SIGNS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, step: float = 1.0, lowest: int = 21, highest: int = 108):
        if not 0 < step <= 16:
            raise ConfigError(f"tokenizer.step={step}", expected="quarter beats above 0, such as 0.25")
        if not 0 <= lowest < highest <= 127:
            raise ConfigError(
                f"tokenizer: lowest={lowest}, highest={highest}", expected="MIDI pitches from 0 to 127"
            )
        self.step, self.lowest, self.highest = float(step), int(lowest), int(highest)
        pitches = range(self.lowest, self.highest + 1)
        self._vocab = (
            *self.SPECIAL,
            *self.SIGNS,
            *(f"{_NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in pitches),
        )
        #: The id of MIDI pitch 0, were it in the vocabulary.
        self.base = len(self.SPECIAL) + len(self.SIGNS) - self.lowest

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, signs, pitches by name (middle C is C4)."""
        return self._vocab

    def sign(self, text: str) -> int:
        """Give the id of a sign."""
        return len(self.SPECIAL) + self.SIGNS.index(text)

    def on_grid(self, place: int, input: Any) -> tuple[Piece, np.ndarray, np.ndarray]:
        """Give a piece and its notes' first steps and ends, both in steps.

        Raises
        ------
        DataError
            When a note does not lie on the grid or its pitch is not in the vocabulary.
        """
        piece = as_piece(input)
        begin, end = piece.onset / self.step, (piece.onset + piece.duration) / self.step
        first, last = np.round(begin), np.round(end)
        off = (np.abs(first - begin) > _SLACK) | (np.abs(last - end) > _SLACK) | (last <= first)
        if off.any():
            note = int(np.argmax(off))
            raise DataError(
                f"Input {place} has a note at quarter beat {piece.onset[note]:g} of length "
                f"{piece.duration[note]:g}, off the grid of {self.step:g}.",
                expected="notes on the grid",
                remedy="lower tokenizer.step, or leave the piece out.",
            )
        if piece.pitch.min() < self.lowest or piece.pitch.max() > self.highest:
            raise DataError(
                f"Input {place} has pitches {piece.pitch.min()} to {piece.pitch.max()}.",
                expected=f"MIDI pitches {self.lowest} to {self.highest}",
                remedy="set tokenizer.lowest and tokenizer.highest, and train a new model.",
            )
        return piece, first.astype(np.int64), last.astype(np.int64)

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode pieces into ``input_ids``, int32, one row a piece.

        Raises
        ------
        DataError
            When a piece does not fit the grid or the voices.
        """
        return {
            "input_ids": Ragged.from_rows(
                [self.row(place, input) for place, input in enumerate(inputs)], np.int32
            )
        }

    def row(self, place: int, input: Any) -> np.ndarray:
        """Encode one piece."""
        raise TypeError(f"{type(self).__name__} lacks row")

    def sounding(self, place: int, input: Any) -> np.ndarray:
        """Say which notes sound at the step of each token, or of its voice; bool (tokens, notes)."""
        raise TypeError(f"{type(self).__name__} lacks sounding")

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number a note of the piece: a token's score is shared among the notes that it speaks of."""
        tokens, notes = np.nonzero(self.sounding(0, input)[: len(scores)])
        shares = scores / np.maximum(np.bincount(tokens, minlength=len(scores)), 1)
        return {"notes": add_up(notes, shares[tokens], len(as_piece(input)))}

    def settings(self) -> dict[str, Any]:
        """Return the grid and the range."""
        return {"step": self.step, "lowest": self.lowest, "highest": self.highest}

    def fingerprint(self) -> str:
        """Return a digest of the class and its settings."""
        text = json.dumps([type(self).__qualname__, 1, self.settings()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
