"""Meters, keys and tempos of a piece."""

from __future__ import annotations

from typing import NamedTuple

_TONICS = (
    "Cb",
    "Gb",
    "Db",
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
    "G#",
    "D#",
    "A#",
)
#: How many fifths the tonic of a mode lies above that of the major key with the same signature.
MODES = {
    "lydian": -1,
    "major": 0,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "phrygian": 4,
    "locrian": 5,
}


class Meter(NamedTuple):
    """A time signature from some onset on (quarter beats)."""

    onset: float
    beats: int
    unit: int

    @property
    def bar(self) -> float:
        """Length of a bar in quarter beats."""
        return self.beats * 4 / self.unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Key(NamedTuple):
    """A key signature from some onset on: sharps (flats are negative), and the mode."""

    onset: float
    fifths: int
    mode: str = "major"

    @property
    def tonic(self) -> str:
        """Name of the tonic: ``"F#"``."""
        return _TONICS[(self.fifths + MODES[self.mode] + 7) % len(_TONICS)]

    @property
    def tonic_class(self) -> int:
        """Pitch class of the tonic, 0 is C."""
        return (7 * (self.fifths + MODES[self.mode])) % 12

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"


class Tempo(NamedTuple):
    """Quarter beats a minute from some onset on."""

    onset: float
    bpm: float


def transposed_fifths(fifths: int, semitones: int) -> int:
    """Key signature (sharps; flats negative) so many semitones higher, of at most six sharps or flats."""
    moved = (fifths + 7 * semitones) % 12
    return moved - 12 if moved > 6 else moved
