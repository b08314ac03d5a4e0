"""Pieces as files: MIDI, ABC and MusicXML."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from scizoo.errors import DataError
from scizoo_music.abc.bars import TICKS, signature
from scizoo_music.abc.tokens import write_key, write_length
from scizoo_music.pieces import Key, Meter, Piece, Tempo, as_piece

_DIVISION = 480
_FINEST = Fraction(1, 48)  # of a quarter beat: notes of ABC lie on this grid
_SHARP = ("C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B")
_FLAT = ("C", "_D", "D", "_E", "E", "F", "_G", "G", "_A", "A", "_B", "B")


def midi(value: Any) -> bytes:
    """Write a piece as a Standard MIDI File: one track a voice, 480 ticks a quarter note."""
    return bytes(symusic_score(as_piece(value)).dumps_midi())


def symusic_score(piece: Piece, by_voice: bool = False) -> Any:
    """Give a piece as symusic's Score.

    Parameters
    ----------
    piece : Piece
    by_voice : bool
        Whether a track's program is the number of its voice, and not the piece's own.
    """
    from symusic import core

    score = core.ScoreTick(_DIVISION)
    for voice in np.unique(piece.voice).tolist():
        program = piece.programs[voice] if voice < len(piece.programs) else 0
        program = voice if by_voice else program
        track = core.TrackTick(f"voice {voice + 1}", max(program, 0), program < 0)
        part = piece.part(voice)
        for onset, duration, pitch, velocity in zip(part.onset, part.duration, part.pitch, part.velocity):
            ticks = round(float(onset) * _DIVISION), max(1, round(float(duration) * _DIVISION))
            track.notes.append(core.NoteTick(*ticks, int(pitch), int(velocity)))
        score.tracks.append(track)
    for tempo in piece.tempos or (Tempo(0.0, 120.0),):
        score.tempos.append(core.TempoTick(round(tempo.onset * _DIVISION), float(tempo.bpm)))
    for meter in piece.meters:
        score.time_signatures.append(
            core.TimeSignatureTick(round(meter.onset * _DIVISION), meter.beats, meter.unit)
        )
    for key in piece.keys:
        minor = int(key.mode == "minor")
        score.key_signatures.append(core.KeySignatureTick(round(key.onset * _DIVISION), key.fifths, minor))
    return score


def abc(value: Any) -> bytes:
    """Write a tune as ABC, with the fields that programs ask for; see :func:`as_abc`."""
    text = as_abc(value)
    as_piece(text)  # refuses what no program can read
    return (text if text.startswith("X:") else f"X:1\nT:generated\n{text}").rstrip().encode() + b"\n"


def musicxml(value: Any) -> bytes:
    """Write a piece as MusicXML, by music21; each voice is a part."""
    from music21 import key, meter, note, stream, tempo
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    piece = as_piece(value)
    score = stream.Score()
    for number in np.unique(piece.voice).tolist():
        part = stream.Part(id=f"voice {number + 1}")
        for beats in piece.meters:
            part.insert(beats.onset, meter.TimeSignature(str(beats)))
        for sharps in piece.keys:
            part.insert(sharps.onset, key.KeySignature(sharps.fifths))
        for speed in piece.tempos:
            part.insert(speed.onset, tempo.MetronomeMark(number=speed.bpm))
        own = piece.part(number)
        for onset, duration, pitch in zip(own.onset, own.duration, own.pitch):
            part.insert(
                float(onset),
                note.Note(int(pitch), quarterLength=Fraction(float(duration)).limit_denominator(96)),
            )
        score.insert(0, part)
    return bytes(GeneralObjectExporter(score).parse())


def as_abc(value: Any) -> str:
    """Give a tune as plain ABC: text as it is, the notes of one voice written out bar by bar.

    Times are rounded to a 48th of a quarter beat. A meter that the piece does not state is 4/4, a key C
    major.

    Raises
    ------
    DataError
        When two notes sound at once, which one voice of plain ABC does not hold.
    """
    if isinstance(value, str):
        return value
    piece = as_piece(value)
    grid = TICKS * _FINEST
    begin = (np.round(piece.onset / float(_FINEST)) * int(grid)).astype(np.int64)
    length = np.maximum(np.round(piece.duration / float(_FINEST)), 1).astype(np.int64) * int(grid)
    order = np.argsort(begin, kind="stable")
    begin, length, pitch = begin[order], length[order], piece.pitch[order]
    if (begin[1:] == begin[:-1]).any():
        raise DataError("the piece has notes that sound together.", expected="a melody of one voice")
    length[:-1] = np.minimum(length[:-1], begin[1:] - begin[:-1])
    meter, key = piece.meter, piece.key or Key(0.0, 0)
    return f"M:{meter}\nL:1/8\nK:{write_key(key)}\n" + _music(begin, length, pitch, piece, meter, key)


def _music(
    begin: np.ndarray, length: np.ndarray, pitch: np.ndarray, piece: Piece, meter: Meter, key: Key
) -> str:
    lines = [round(line * TICKS) for line in piece.bars()]
    written: list[str] = []
    altered: dict[tuple[str, int], int] = {}
    place, bar = 0, 1  # the line at place 0 is not written

    def until(end: int, name: str | None) -> None:
        """Write a note or a rest up to a time, in as many tied pieces as there are bar lines between."""
        nonlocal place, bar
        while place < end:
            while bar < len(lines) and lines[bar] <= place:
                written.append("|")
                altered.clear()
                bar += 1
            stop = min(end, lines[bar]) if bar < len(lines) else end
            letter = "z" if name is None else _spelled(name, altered, key)
            text = letter + write_length(Fraction(stop - place, TICKS // 2))
            written.append(text + "-" * (name is not None and stop < end))
            place = stop

    for start, size, height in zip(begin.tolist(), length.tolist(), pitch.tolist()):
        until(start, None)
        until(start + size, str(height))
    return "".join(written) + "||"


def _spelled(pitch: str, altered: dict[tuple[str, int], int], key: Key) -> str:
    """Spell a MIDI pitch in a key, with an accidental where the bar so far does not give it."""
    octave, step = divmod(int(pitch), 12)
    held = signature(key)
    names = _FLAT if key.fifths < 0 else _SHARP
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    # A note of the key keeps the key's letter, as the E# of F# major.
    own = next((letter for letter, shift in held.items() if (natural[letter] + shift) % 12 == step), None)
    letter = own or names[step].lstrip("^_")
    shift = held[own] if own else names[step].count("^") - names[step].count("_")
    octave += (step - natural[letter] - shift) // 12 if own else 0
    now = altered.get((letter, octave), held.get(letter, 0))
    sign = "" if now == shift else {1: "^", -1: "_", 0: "="}[shift]
    if sign:
        altered[letter, octave] = shift
    marks = letter.lower() + "'" * (octave - 6) if octave >= 6 else letter + "," * (5 - octave)
    return sign + marks
