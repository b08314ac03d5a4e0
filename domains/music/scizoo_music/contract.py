"""What the contract suite (``python -m scizoo.testing music``) needs to know of this domain."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.testing import BadFile, Examples
from scizoo_music.codec.codes import CodedSound
from scizoo_music.pieces import Meter, Piece
from scizoo_music.sound.sounds import Sound, encoded

_GENERATE, _TAGGING = "music/generate", "music/tagging"
_QUESTIONS = ("music/key", "music/meter", "music/dance", "music/collection")


def _tunes(count: int = 40) -> list[str]:
    """Make tunes of two meters and several keys, each with a melody of its own."""
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        three = number % 2
        bars = []
        for _ in range(6):
            steps = rng.integers(0, 10, 6 if three else 8)
            bars.append("".join("DEFGABcdef"[step] for step in steps))
        key = ("G", "D", "Am", "C")[number % 4]
        bars[-1] = "G3G3" if three else "G4G4"
        made.append(f"M:{'6/8' if three else '4/4'}\nL:1/8\nK:{key}\n" + "|".join(bars) + "||\n")
    return made


def _abc(folder: Path) -> Sequence[str]:
    text = "\n".join(f"X:{number}\nT:tune {number}\n{tune}" for number, tune in enumerate(_tunes(), start=1))
    (folder / "tunes.abc").write_text(text, encoding="utf-8")
    return [f"data.path={folder / 'tunes.abc'}"]


def _labelled(folder: Path) -> Sequence[str]:
    return [*_abc(folder), "data.target=meter"]


def _sound(number: int, seconds: float = 0.6) -> Sound:
    """Make a low tone with overtones (even numbers) or a high pure one, with noise."""
    rng = np.random.default_rng(number)
    time = np.arange(round(16_000 * seconds)) / 16_000
    low = number % 2 == 0
    hertz = rng.uniform(150, 300) if low else rng.uniform(900, 1800)
    tone = np.sin(2 * np.pi * hertz * time) + (0.6 * np.sin(6 * np.pi * hertz * time) if low else 0.0)
    beat = 1.0 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 6) * time + rng.uniform(0, 6))
    return Sound((0.2 * beat * tone + rng.normal(0, 0.01, len(time))).astype(np.float32), 16_000)


def _recordings(folder: Path) -> Sequence[str]:
    rows = ["file,tags"]
    for number in range(40):
        (folder / f"take{number:02d}.wav").write_bytes(encoded(_sound(number)))
        rows.append(f"take{number:02d},{'low;rich' if number % 2 == 0 else 'high'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={folder}", f"data.labels={folder / 'labels.csv'}"]


def _codes(number: int) -> CodedSound:
    return CodedSound(np.random.default_rng(number).integers(0, 256, (5 + number, 4)))


def _chorale(number: int) -> Piece:
    """Write four voices of 16 quarter beats, a melody over chords."""
    rng = np.random.default_rng(number)
    soprano = 67 + np.cumsum(rng.integers(-2, 3, 16)).clip(-5, 9)
    pitch = np.stack([soprano, soprano - 4, soprano - 9, soprano - 16], axis=1).ravel()
    onset, voice = np.repeat(np.arange(16.0), 4), np.tile(np.arange(4), 16)
    return Piece(onset, np.ones(64), pitch, voice, meters=[Meter(0.0, 4, 4)])


def _chorales(folder: Path) -> Sequence[str]:
    from scizoo_music.writing import midi

    for number in range(40):
        (folder / f"chorale{number:02d}.mid").write_bytes(midi(_chorale(number)))
    return [f"data.path={folder}"]


def _rolls(folder: Path) -> Sequence[str]:
    parts: dict[str, Any] = {}
    for part, numbers in (("train", range(24)), ("valid", range(24, 30)), ("test", range(30, 36))):
        parts[part] = [_chorale(number).pitch.reshape(16, 4).tolist() for number in numbers]
    (folder / "rolls.json").write_text(json.dumps(parts), encoding="utf-8")
    return [f"data.path={folder / 'rolls.json'}"]


def _midi(*events: bytes, division: int = 480) -> bytes:
    track = b"".join(events) + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, division) + b"MTrk" + struct.pack(">I", len(track)) + track


_NO_NOTES = _midi(b"\x00\xff\x51\x03\x07\xa1\x20")
_LONG = _midi(b"\x00\x90\x3c\x40", b"\xff\xff\xff\x7f\x80\x3c\x00")


def _piece(
    onset: Sequence[float],
    duration: Sequence[float],
    pitch: Sequence[int],
    voice: Sequence[int] | None = None,
) -> Piece:
    voices = np.zeros(len(pitch)) if voice is None else np.array(voice)
    return Piece(np.array(onset), np.array(duration), np.array(pitch), voices)


_MELODIES = (
    _piece([0, 0.5, 1, 1.25, 2 + 1 / 3, 6], [0.5, 0.5, 0.25, 0.25, 1.5, 2], [60, 62, 64, 65, 67, 72]),
    _piece([0, 1, 1, 3], [1, 2, 2, 0.5], [70, 55, 59, 62], [0, 0, 1, 1]),
)
_FRAMES = (
    _piece([0, 1, 0, 3], [1, 2, 2, 1], [60, 62, 48, 67]),
    _piece([1, 1, 2], [1, 3, 1], [43, 96, 50]),
)
_VOICES = (_chorale(1).replaced(meters=()), _chorale(2).replaced(meters=()))


def _with_meter(piece: Piece) -> Piece:
    return piece.replaced(meters=[Meter(0.0, 3, 4)])


EXAMPLES = Examples(
    inputs={
        "music/abc": _tunes(4),
        "music/bytes": [*_tunes(2), "X:1\nT:Füchse\nK:G\nG2|\n"],
        "music/remi": [_with_meter(one) for one in _MELODIES],
        "music/structured": list(_MELODIES),
        "music/cpword": [_with_meter(one) for one in _MELODIES],
        "music/chorale": list(_VOICES),
        "music/harmony": list(_VOICES),
        "music/frames": list(_FRAMES),
        "music/mel": [_sound(number) for number in range(3)],
        "music/mel-image": [_sound(number) for number in range(3)],
        "music/wave": [_sound(number, 0.1) for number in range(3)],
        "music/codec": [_codes(number) for number in range(3)],
    },
    own_data={
        _GENERATE: _abc,
        "music/continuation": _abc,
        "music/harmonise": _chorales,
        "music/jsb": _rolls,
        "music/classification": _labelled,
        _TAGGING: _recordings,
    },
    bad_files=(
        BadFile(_GENERATE, "empty.mid", b"", ("is empty",)),
        BadFile(_GENERATE, "notes.mid", _NO_NOTES, ("no note",)),
        BadFile(_GENERATE, "endless.mid", _LONG, ("hours",)),
        BadFile(_GENERATE, "half.mid", _midi(b"\x00\x90\x3c\x40")[:-6], ("MIDI", "half")),
        BadFile(_GENERATE, "noise.mid", bytes(range(256)) * 8, ("binary",)),
        BadFile(_GENERATE, "sound.mid", b"RIFF\x24\0\0\0WAVEfmt ", ("sound",)),
        BadFile(_GENERATE, "words.abc", b"Once upon a time\n", ("no file of notes", "ABC")),
        BadFile(_GENERATE, "broken.musicxml", b"<score-partwise><part>", ("cannot be read", "musicxml")),
        BadFile(_GENERATE, "zip.mxl", b"PK\x03\x04" + bytes(100), ("damaged .mxl",)),
        BadFile(
            _GENERATE,
            "one.abc",
            "\n".join(f"X:{n}\n{tune}" for n, tune in enumerate(_tunes(), start=1)).encode()
            + b"\nX:99\nM:4/4\nK:Zz\nABc|\n",
            ("tune 41", "K:Zz", "rejected.csv"),
        ),
        BadFile("music/jsb", "rolls.json", b'{"train": [[[60]]]}', ("no validation part",)),
        BadFile(_TAGGING, "one.wav", encoded(Sound(np.full(1, 0.5), 44_100)), ("1 sample",)),
        BadFile(_TAGGING, "silent.wav", encoded(Sound(np.zeros(8000), 16_000)), ("silent", "data.silence")),
        BadFile(_TAGGING, "half.wav", encoded(_sound(0))[:9000], ("ends early",)),
        BadFile(_TAGGING, "half.flac", encoded(_sound(0), "FLAC")[:2000], ("cannot be read as sound",)),
        BadFile(_TAGGING, "words.wav", b"Once upon a time\n" * 9, ("cannot be read as sound", "WAV")),
        BadFile(_TAGGING, "nothing.ogg", b"", ("is empty",)),
        BadFile("music/jsb", "rolls.mat", b"MATLAB 5.0", ("no piano-rolls",)),
    ),
    model={
        **dict.fromkeys(
            (_GENERATE, "music/folk", "music/continuation", "music/classification", *_QUESTIONS),
            ("tokenizer=music/abc", "backbone=llama-tiny"),
        ),
        **dict.fromkeys((_TAGGING, "music/instruments"), ("tokenizer=music/mel", "backbone=continuous-tiny")),
    },
    settings={
        "music/folk": ("data.limit=300",),
        "music/tune-tiny": ("data.limit=60", "augment.semitones=[2]"),
        "music/tune-mlm": ("data.limit=60", "augment.semitones=[2]", "context.max_length=24"),
        **dict.fromkeys(_QUESTIONS, ("data.limit=400", "data.fewest=25", "data.max_rejected=0.05")),
        "music/dance": ("data.limit=900", "data.fewest=40", "data.max_rejected=0.05"),
        "music/instruments": ("data.count=80", "data.seconds=1.0", "data.limit=200"),
        "music/mel-tiny": ("data.count=20", "data.seconds=1.0", "data.limit=60"),
        "music/codec-tiny": (
            "data.count=20",
            "data.seconds=0.4",
            "data.limit=60",
            "backbone.filters=4",
            "backbone.dimension=16",
            "backbone.size=16",
        ),
    },
)
