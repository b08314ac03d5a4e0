"""The notes of an ABC tune, and whether its bars add up.

Own code, because a corpus of tunes is parsed for each split, audit and scoring, where music21's parser takes
many times as long; the tests compare both. Repeats are not written out: a tune is read as it is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from scizoo.errors import DataError
from scizoo_music.abc.bars import TICKS, Bar, read_tempo, signature
from scizoo_music.abc.tokens import (
    TUPLET_TIME,
    Tune,
    parse_key,
    parse_length,
    parse_meter,
    parse_unit,
    plain_bar,
    split_tune,
    tokens,
)
from scizoo_music.pieces import Key, Meter, Piece

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_LONGEST = 100_000  # signs of a tune


@dataclass
class _Voice:
    """Where one voice has got to."""

    number: int
    now: int = 0
    bar_start: int = 0
    left: str = ""
    notes: list[list] = field(default_factory=list)  # [onset, duration, pitch, tied]
    last: list[int] = field(default_factory=list)  # the notes that a length or a tie behind them is for
    last_time: int = 0
    broken: Fraction | None = None  # what the next note is to be multiplied by
    tuplet: tuple[Fraction, int] | None = None
    accidentals: dict[tuple[str, int], int] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True)
class Parsed:
    """A tune that was read: its notes, its bars voice by voice, and what was passed over."""

    piece: Piece
    bars: list[Bar]
    grace_notes: int


def parse_tune(text: str) -> Piece:
    """Give the notes of a tune; see :func:`read_tune`."""
    return read_tune(text).piece


def read_tune(text: str) -> Parsed:
    """Read a tune.

    Raises
    ------
    DataError
        When it has no key, no note, or signs that mean nothing; the message says which.
    """
    if len(text) > _LONGEST:
        raise DataError(f"the tune has {len(text):,} characters.", expected=f"at most {_LONGEST:,}")
    return _Reader(split_tune(text)).read()


class _Reader:
    """Reads one tune; its state is what the signs so far have set."""

    def __init__(self, tune: Tune):
        self.tune = tune
        self.meter = parse_meter(tune.fields.get("M", "none"))
        self.unit = parse_unit(tune.fields.get("L") or None, self.meter)
        self.key = parse_key(tune.fields["K"])
        self.signature = signature(self.key)
        self.meters: list[Meter] = [self.meter] if self.meter else []
        self.keys: list[Key] = [self.key]
        self.voices: dict[str, _Voice] = {}
        self.voice = self._voice("")
        self.graces = 0

    def _voice(self, name: str) -> _Voice:
        if name and "" in self.voices and not self.voices[""].notes:
            self.voices[name] = self.voices.pop("")  # music begins after the first V: field
        if name not in self.voices:
            self.voices[name] = _Voice(len(self.voices))
        return self.voices[name]

    def read(self) -> Parsed:
        for letter, line in self.tune.body:
            if letter:
                self._field(letter, line)
            else:
                self._line(line)
        for voice in self.voices.values():
            if voice.now > voice.bar_start:
                self._bar(voice, "")
        found = [(note, voice.number) for voice in self.voices.values() for note in voice.notes]
        if not found:
            raise DataError("the tune has no note.", expected="at least one")
        onset, duration, pitch = (np.array([note[n] for note, _ in found], dtype=float) for n in range(3))
        if pitch.min() < 0 or pitch.max() > 127:
            raise DataError("the tune has a note beyond MIDI's range.", expected="pitches 0 to 127")
        bars = [bar for voice in self.voices.values() for bar in voice.bars]
        first = bars[0] if bars else None
        short = first is not None and 0 < first.length < first.expected and len(bars) > 1
        fields = self.tune.fields
        piece = Piece(
            onset / TICKS,
            duration / TICKS,
            pitch,
            voice=np.array([number for _, number in found]),
            meters=self.meters,
            keys=self.keys,
            tempos=read_tempo(fields.get("Q", "")),
            pickup=first.length / TICKS if first is not None and short else 0.0,
            title=fields.get("T", ""),
            composer=fields.get("C", ""),
        )
        return Parsed(piece, bars, self.graces)

    def _field(self, letter: str, text: str) -> None:
        now = self.voice.now / TICKS
        if letter == "K":
            key = parse_key(text)
            if key[1:] != self.key[1:]:
                self.keys.append(key._replace(onset=now))
            self.key, self.signature = key, signature(key)
        elif letter == "M":
            meter = parse_meter(text)
            if meter is not None and (self.meter is None or meter[1:] != self.meter[1:]):
                self.meters.append(meter._replace(onset=now))
            self.meter = meter
        elif letter == "L":
            self.unit = parse_unit(text, self.meter)
        elif letter == "V":
            self.voice = self._voice(text.split()[0] if text.split() else "")

    def _line(self, line: str) -> None:
        voice, fresh = self.voice, False
        chord: list[int] | None = None
        found = list(tokens(line))
        for place, (kind, text) in enumerate(found):
            if kind == "note" and chord is not None:
                chord.append(self._pitch(text))
                fresh = False
            elif kind in ("note", "rest"):
                self._sound(voice, [self._pitch(text)] if kind == "note" else [])
                if text in ("Z", "X"):
                    self._stretch(voice, self._bar_units())
                fresh = True
            elif kind == "length" and chord is None and fresh:
                self._stretch(voice, parse_length(text))
                fresh = False
            elif kind == "length" and chord is None:
                raise DataError(f"the length '{text}' stands behind no note.")
            elif kind == "broken":
                self._break(voice, text)
            elif kind == "tie":
                for note in voice.last:
                    voice.notes[note][3] = True
            elif kind == "bar":
                self._bar(voice, plain_bar(text))
            elif kind == "open":
                if chord is not None:
                    raise DataError("a chord begins within a chord.")
                chord = []
            elif kind == "close":
                if not chord:
                    raise DataError("a ']' closes no chord.")
                inner = next((t for k, t in found[:place][::-1][:2] if k == "length"), None)
                self._sound(voice, chord)
                if inner is not None:  # [A2c2]: the notes of a chord state its length
                    self._stretch(voice, parse_length(inner))
                chord, fresh = None, True
            elif kind == "tuplet":
                self._tuplet(voice, text)
            elif kind == "field":
                self._field(text[1], text[3:-1])
                voice = self.voice
            elif kind == "grace":
                self.graces += sum(letter.isalpha() for letter in text)
        if chord is not None:
            raise DataError("a chord is not closed.")

    def _bar_units(self) -> Fraction:
        """How many units of length a bar has, for rests of whole bars."""
        if self.meter is None:
            return Fraction(1)
        return Fraction(self.meter.beats, self.meter.unit) / self.unit

    def _pitch(self, text: str) -> int:
        letter = text.lstrip("^_=")[0]
        octave = text.count("'") - text.count(",") + (6 if letter.islower() else 5)
        sign = text[: len(text) - len(text.lstrip("^_="))]
        name = letter.upper()
        if sign:
            self.voice.accidentals[name, octave] = _SIGNS[sign]
        shift = self.voice.accidentals.get((name, octave), self.signature.get(name, 0))
        return 12 * octave + _STEPS[name] + shift

    def _sound(self, voice: _Voice, pitches: list[int]) -> None:
        time = int(self.unit * 4 * TICKS)
        if voice.tuplet is not None:
            factor, left = voice.tuplet
            time = _times(time, factor)
            voice.tuplet = (factor, left - 1) if left > 1 else None
        if voice.broken is not None:
            time = _times(time, voice.broken)
            voice.broken = None
        tied = {voice.notes[n][2]: n for n in voice.last if voice.notes[n][3]}
        voice.last, voice.last_time = [], time
        for pitch in dict.fromkeys(pitches):
            if pitch in tied:
                note = tied[pitch]
                voice.notes[note][1] += time
                voice.notes[note][3] = False
            else:
                voice.notes.append([voice.now, time, pitch, False])
                note = len(voice.notes) - 1
            voice.last.append(note)
        voice.now += time

    def _stretch(self, voice: _Voice, factor: Fraction) -> None:
        more = _times(voice.last_time, factor) - voice.last_time
        for note in voice.last:
            voice.notes[note][1] += more
        voice.now += more
        voice.last_time += more

    def _break(self, voice: _Voice, text: str) -> None:
        part = Fraction(1, 2 ** len(text))
        if text[0] == ">":
            self._stretch(voice, 2 - part)
            voice.broken = part
        else:
            self._stretch(voice, part)
            voice.broken = 2 - part

    def _tuplet(self, voice: _Voice, text: str) -> None:
        parts = [int(number) if number else 0 for number in text[1:].split(":")]
        notes = parts[0]
        if notes < 2:
            raise DataError(f"'{text}' is no tuplet.", expected="(3 and the like")
        compound = self.meter is not None and self.meter.beats % 3 == 0 and self.meter.beats > 3
        time = TUPLET_TIME[notes] if notes not in (5, 7, 9) or not compound else 3
        time = parts[1] if len(parts) > 1 and parts[1] else time
        voice.tuplet = (Fraction(time, notes), parts[2] if len(parts) > 2 and parts[2] else notes)

    def _bar(self, voice: _Voice, right: str) -> None:
        length = voice.now - voice.bar_start
        expected = self.meter.beats * 4 * TICKS // self.meter.unit if self.meter else 0
        if length:
            voice.bars.append(Bar(length, expected, voice.left, right))
            voice.bar_start, voice.left = voice.now, right
        elif right and right != "|":
            voice.left = right
        voice.accidentals.clear()


def _times(time: int, factor: Fraction) -> int:
    found, rest = divmod(time * factor.numerator, factor.denominator)
    if rest or not found:
        raise DataError("a note is finer than this reader's grid.", expected="notes of at least 1/1024")
    return found
