"""The field's symbolic object: a piece as arrays of notes, with its meters, keys and tempos.

``Record.input`` of symbolic music is a :class:`Piece`, or a ``str``: the ABC text of one tune, from its first
field to its last bar. :func:`as_piece` gives the notes of either. Sound is another object, of
:mod:`scizoo_music.sound`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from scizoo.errors import DataError
from scizoo_music.signatures import MODES, Key, Meter, Tempo, transposed_fifths

__all__ = ["MODES", "VELOCITY", "Key", "Meter", "Piece", "Tempo", "as_piece", "transposed_fifths"]

#: Velocity of notes whose source states none.
VELOCITY = 64


@dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """A piece, or a tune, as notes. Notes are sorted by onset, voice and pitch when it is made.

    Parameters
    ----------
    onset : ndarray of float64, shape (notes,)
        Quarter beats from the beginning; a pick-up begins at 0.
    duration : ndarray of float64, shape (notes,)
        Quarter beats, above 0. Grace notes, which have none, are no notes here; readers count them in
        the meta of the record.
    pitch : ndarray of int16, shape (notes,)
        MIDI numbers 0 to 127; 60 is middle C.
    voice : ndarray of int16, shape (notes,), optional
        Which part: 0 is the first, in scores the highest (soprano 0, alto 1, tenor 2, bass 3). 0 by default.
    velocity : ndarray of int16, shape (notes,), optional
        1 to 127; 64 by default.
    meters : sequence of Meter, optional
        Ascending in onset. Empty where the source states none; :meth:`meter` then takes 4/4.
    keys : sequence of Key, optional
        As the source states them; empty where it does not.
    tempos : sequence of Tempo, optional
        Empty where the source states none; :meth:`seconds` then takes 120.
    pickup : float
        Quarter beats before the first full bar; 0 where the piece begins on a bar line.
    programs : tuple of int
        General MIDI program of each voice (-1 drums); empty where the source states none.
    title, composer, source : str
        For people; two pieces are equal whatever they are called.

    Raises
    ------
    ValueError
        When there is no note, lengths differ, or a number is out of range.
    """

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    voice: np.ndarray = None  # type: ignore[assignment]  # an array once it is made
    velocity: np.ndarray = None  # type: ignore[assignment]  # likewise
    meters: Sequence[Meter] = ()
    keys: Sequence[Key] = ()
    tempos: Sequence[Tempo] = ()
    pickup: float = 0.0
    programs: tuple[int, ...] = ()
    title: str = field(default="", compare=False)
    composer: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        count = len(self.onset)
        if not count:
            raise ValueError("it has no note")
        kinds = {"onset": "f8", "duration": "f8", "pitch": "i2", "voice": "i2", "velocity": "i2"}
        filled = {"voice": 0, "velocity": VELOCITY}
        columns = {}
        for name, kind in kinds.items():
            given = getattr(self, name)
            column = np.full(count, filled[name], kind) if given is None else np.asarray(given, dtype=kind)
            if column.shape != (count,):
                raise ValueError(f"{name} has the shape {column.shape}, onset ({count},)")
            columns[name] = column
        if not (np.isfinite(columns["onset"]).all() and np.isfinite(columns["duration"]).all()):
            raise ValueError("an onset or a duration is not finite")
        for name, low, high in (
            ("onset", 0, np.inf),
            ("pitch", 0, 127),
            ("velocity", 1, 127),
            ("voice", 0, 999),
        ):
            if columns[name].min() < low or columns[name].max() > high:
                raise ValueError(f"{name} is out of range ({columns[name].min()} to {columns[name].max()})")
        if columns["duration"].min() <= 0:
            raise ValueError("a note has no duration")
        order = np.lexsort((columns["pitch"], columns["voice"], columns["onset"]))
        for name, column in columns.items():
            sorted_column = column[order]
            sorted_column.flags.writeable = False
            object.__setattr__(self, name, sorted_column)
        object.__setattr__(self, "meters", tuple(Meter(*one) for one in self.meters))
        object.__setattr__(self, "keys", tuple(Key(*one) for one in self.keys))
        object.__setattr__(self, "tempos", tuple(Tempo(*one) for one in self.tempos))
        object.__setattr__(self, "programs", tuple(self.programs))
        if any(meter.beats < 1 or meter.unit < 1 for meter in self.meters):
            raise ValueError("a meter has no beats")
        if any(not 0 < tempo.bpm < 10_000 for tempo in self.tempos):
            raise ValueError("a tempo is out of range")

    def __len__(self) -> int:
        return len(self.onset)

    def __repr__(self) -> str:
        name = f"'{self.title}', " if self.title else ""
        return f"Piece({name}{len(self)} notes, {self.voices} voices, {self.end:g} quarter beats)"

    @property
    def end(self) -> float:
        """Where the last note ends, in quarter beats."""
        return float((self.onset + self.duration).max())

    @property
    def voices(self) -> int:
        """How many voices sound."""
        return len(np.unique(self.voice))

    @property
    def meter(self) -> Meter:
        """The first meter; 4/4 where none is stated."""
        return self.meters[0] if self.meters else Meter(0.0, 4, 4)

    @property
    def key(self) -> Key | None:
        """The first key; None where none is stated."""
        return self.keys[0] if self.keys else None

    def part(self, voice: int) -> Piece:
        """Give one voice alone.

        Raises
        ------
        ValueError
            When the piece has no such voice.
        """
        return self.select(self.voice == voice)

    def select(self, rows: np.ndarray) -> Piece:
        """Give some of its notes; ``rows`` is a mask or positions."""
        return self.replaced(**{name: getattr(self, name)[rows] for name in _COLUMNS})

    def replaced(self, **changes: Any) -> Piece:
        """Give the piece with some fields changed."""
        return Piece(**({name: getattr(self, name) for name in self.__dataclass_fields__} | changes))

    def transposed(self, semitones: int) -> Piece:
        """Give the piece so many semitones higher; the key signature has at most six sharps or flats.

        Raises
        ------
        ValueError
            When a pitch leaves 0 to 127.
        """
        keys = tuple(key._replace(fifths=transposed_fifths(key.fifths, semitones)) for key in self.keys)
        return self.replaced(pitch=self.pitch + semitones, keys=keys)

    def bars(self) -> np.ndarray:
        """Onsets of the bar lines, from that of the first bar or pick-up to the one after the last note."""
        lines, place, end = [0.0], 0.0, self.end
        changes = list(self.meters) or [self.meter]
        if self.pickup > 0:
            place = self.pickup
            lines.append(place)
        while place < end - 1e-9:
            now = [meter for meter in changes if meter.onset <= place + 1e-9] or changes[:1]
            place += now[-1].bar
            lines.append(place)
        return np.array(lines)

    def seconds(self, beats: np.ndarray | float) -> np.ndarray:
        """Turn quarter beats into seconds by the piece's tempos; 120 a minute where none is stated."""
        tempos = list(self.tempos) or [Tempo(0.0, 120.0)]
        starts = np.array([0.0, *(tempo.onset for tempo in tempos[1:])])
        rates = np.array([60.0 / tempo.bpm for tempo in tempos])
        begun = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])
        at = np.asarray(beats, dtype=float)
        which = np.clip(np.searchsorted(starts, at, side="right") - 1, 0, None)
        return begun[which] + (at - starts[which]) * rates[which]

    def melody(self) -> np.ndarray:
        """Pitches of the highest voice in order, the highest of notes that begin together; shape (notes,)."""
        top = self.voice == self.voice.min()
        onset, pitch = self.onset[top], self.pitch[top]
        # Sorted by onset and pitch: the last of each onset is the highest.
        last = np.append(onset[1:] != onset[:-1], True)
        return pitch[last]


_COLUMNS = ("onset", "duration", "pitch", "voice", "velocity")


def as_piece(input: Any) -> Piece:
    """Give the notes of a record's input, a Piece or the ABC text of a tune.

    Raises
    ------
    DataError
        When it is neither, or the text cannot be read.
    """
    if isinstance(input, Piece):
        return input
    if isinstance(input, str):
        return _from_abc(input)
    raise DataError(
        f"an input is a {type(input).__name__}, no symbolic music.",
        expected="a scizoo_music.pieces.Piece or the ABC text of a tune",
    )


@lru_cache(maxsize=50_000)
def _from_abc(text: str) -> Piece:
    from scizoo_music.abc.tunes import parse_tune

    return parse_tune(text)
