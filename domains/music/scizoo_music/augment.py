"""Views of a piece: the same music in other keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError, DataError
from scizoo_music.abc.plain import transpose_abc
from scizoo_music.pieces import Piece


class Transpose(Augment):
    """The piece and its transpositions: notes, accidentals and key signatures move together.

    A transposition that would leave MIDI's range, or need three sharps before a note, is left out.

    Parameters
    ----------
    semitones : sequence of int
        How far the views lie above the piece as it is; 0, the piece itself, is always the first.
    train, predict : bool
        Whether training draws among the views, and whether prediction averages over them.
    """

    def __init__(
        self,
        semitones: Sequence[int] = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6),
        train: bool = True,
        predict: bool = False,
    ):
        super().__init__(train, predict)
        self.semitones = [int(step) for step in semitones if step]
        if any(abs(step) > 24 for step in self.semitones):
            raise ConfigError(
                f"augment.semitones={list(semitones)}", expected="at most two octaves either way"
            )

    def views(self, input: Any) -> list[Any]:
        """Return the piece, then its transpositions."""
        found = [input]
        for step in self.semitones:
            try:
                found.append(transposed(input, step))
            except (DataError, ValueError):
                continue
        return found

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"semitones": self.semitones, **super().settings()}


def transposed(input: Any, semitones: int) -> Any:
    """Transpose a piece, or a tune in plain ABC.

    Raises
    ------
    DataError, ValueError
        When the result cannot be written or leaves MIDI's range.
    """
    if isinstance(input, Piece):
        return input.transposed(semitones)
    return transpose_abc(input, semitones)
