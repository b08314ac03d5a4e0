"""What a score shows, before it is drawn: written notes with their spelling, values, bars and beams."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from scizoo_music.pieces import Piece

_FIFTHS = "FCGDAEB"
_STEPS = "CDEFGAB"
#: Written values in quarter beats without dots: whole note to sixty-fourth.
_VALUES = tuple(Fraction(4, 2**power) for power in range(7))
MIDDLE_LINE = 34  # B4, counted in steps of the scale from C0


@dataclass(frozen=True)
class Sign:
    """A note or rest as it is written.

    Parameters
    ----------
    onset, length : Fraction
        In quarter beats.
    step : int or None
        Steps of the scale above C0 (B4 is 34); None is a rest.
    alter : int
        Semitones by which the spelling raises the step.
    accidental : str
        The sign before the note; empty where the key or the bar says it already.
    value : Fraction
        Its written value without dots and without its tuplet.
    dots : int
    triplet : bool
        Whether three stand in the time of two.
    tied : bool
        Whether it goes on in the next sign.
    """

    onset: Fraction
    length: Fraction
    step: int | None
    alter: int = 0
    accidental: str = ""
    value: Fraction = Fraction(1)
    dots: int = 0
    triplet: bool = False
    tied: bool = False

    @property
    def flags(self) -> int:
        """How many flags or beams its stem has."""
        return max(0, _VALUES.index(self.value) - 2)


@dataclass(frozen=True)
class Measure:
    """A bar of signs.

    Parameters
    ----------
    signs : tuple of Sign
    beams : tuple of tuple of int
        Places of signs that share a beam.
    """

    signs: tuple[Sign, ...]
    beams: tuple[tuple[int, ...], ...]


def is_melody(piece: Piece) -> bool:
    """Whether one note sounds at a time in one voice, so that it can be written on one staff."""
    if piece.voices > 1:
        return False
    return bool((piece.onset[1:] >= (piece.onset + piece.duration)[:-1] - 1e-6).all())


def spell(pitch: int, fifths: int) -> tuple[int, int]:
    """Give step above C0 and alteration of a pitch, spelled nearest to a key on the line of fifths."""
    for place in range(fifths - 4, fifths + 8):
        if (7 * place - pitch) % 12 == 0:
            letter, alter = _FIFTHS[(place + 1) % 7], (place + 1) // 7
            return _STEPS.index(letter) + 7 * ((pitch - alter) // 12 - 1), alter
    raise ValueError(f"{pitch} is no pitch")  # twelve fifths in a row reach every pitch class


def signature(fifths: int) -> dict[int, int]:
    """Give the alteration of each step (0 is C) under a key signature."""
    count = min(abs(fifths), 7)
    letters = _FIFTHS[:count] if fifths > 0 else _FIFTHS[::-1][:count]
    return {_STEPS.index(letter): (1 if fifths > 0 else -1) for letter in letters}


def written(length: Fraction) -> list[tuple[Fraction, int, bool]]:
    """Write a length as values with dots, several of them where one does not do: (value, dots, triplet)."""
    for triplet in (False, True):
        plain = length * Fraction(3, 2) if triplet else length
        for value in _VALUES:
            for dots, factor in ((0, Fraction(1)), (1, Fraction(3, 2)), (2, Fraction(7, 4))):
                if value * factor == plain:
                    return [(value, dots, triplet)]
    found = []
    for value in _VALUES:
        while length >= value:
            found.append((value, 0, False))
            length -= value
    return found or [(_VALUES[-1], 0, False)]


def measures(piece: Piece) -> list[Measure]:
    """Write a melody out bar by bar.

    Parameters
    ----------
    piece : Piece
        For which :func:`is_melody` holds.

    Returns
    -------
    list of Measure
    """
    fifths = piece.key.fifths if piece.key else 0
    lines = [_beats(line) for line in piece.bars()]
    notes = [
        (_beats(on), _beats(on + length), int(pitch))
        for on, length, pitch in zip(piece.onset, piece.duration, piece.pitch, strict=True)
    ]
    found = []
    for start, end in pairwise(lines):
        inside = [note for note in notes if note[0] < end and note[1] > start]
        signs: list[Sign] = []
        at, known = start, dict(signature(fifths))
        altered: dict[int, int] = {}
        for first, last, pitch in inside:
            first = max(first, start)
            if first > at:
                signs += _signs(at, first - at, None, 0, "", False)
            step, alter = spell(pitch, fifths)
            now = altered.get(step, known.get(step % 7, 0))
            mark = "" if now == alter else {-2: "♭♭", -1: "♭", 0: "♮", 1: "♯", 2: "𝄪"}.get(alter, "")
            altered[step] = alter
            signs += _signs(first, min(last, end) - first, step, alter, mark, last > end)
            at = min(last, end)
        if at < end and signs and end != lines[-1]:
            signs += _signs(at, end - at, None, 0, "", False)
        found.append(Measure(tuple(signs), _beams(signs, start, end, piece)))
    return found


def _beats(value: float) -> Fraction:
    """Snap a time to the grid of notation: 64ths and their triplets."""
    return Fraction(round(float(value) * 48), 48)


def _signs(
    onset: Fraction, length: Fraction, step: int | None, alter: int, mark: str, tied: bool
) -> list[Sign]:
    found, parts = [], written(length)
    for place, (value, dots, triplet) in enumerate(parts):
        last = place == len(parts) - 1
        size = value * {0: Fraction(1), 1: Fraction(3, 2), 2: Fraction(7, 4)}[dots]
        size = size * Fraction(2, 3) if triplet else size
        joined = step is not None and (tied or not last)
        found.append(Sign(onset, size, step, alter, "" if place else mark, value, dots, triplet, joined))
        onset += size
    return found


def _beams(signs: list[Sign], start: Fraction, end: Fraction, piece: Piece) -> tuple[tuple[int, ...], ...]:
    """Group signs with flags that lie in one beat; in 6/8 and its kin a beat is a dotted quarter."""
    meter = next((one for one in reversed(piece.meters) if one.onset <= start + 1e-6), piece.meter)
    beat = Fraction(3, 2) if meter.unit == 8 and meter.beats % 3 == 0 else Fraction(4, meter.unit)
    beat = max(beat, Fraction(1))
    offset = end - start  # counted from the end, so that a pick-up keeps to the beats of a full bar
    groups: list[list[int]] = []
    for place, sign in enumerate(signs):
        if sign.step is None or not sign.flags:
            groups.append([])
            continue
        number = (sign.onset - start - offset) // beat
        if groups and groups[-1] and (signs[groups[-1][0]].onset - start - offset) // beat == number:
            groups[-1].append(place)
        else:
            groups.append([place])
    return tuple(tuple(group) for group in groups if len(group) > 1)
