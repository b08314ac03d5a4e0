"""What the contract suite (``python -m scizoo.testing music``) needs to know of this domain."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.testing import BadFile, Examples
from scizoo_music.pieces import Meter, Piece

_GENERATE = "music/generate"


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

_MELODIES = (
    Piece([0, 0.5, 1, 1.25, 2 + 1 / 3, 6], [0.5, 0.5, 0.25, 0.25, 1.5, 2], [60, 62, 64, 65, 67, 72]),
    Piece([0, 1, 1, 3], [1, 2, 2, 0.5], [70, 55, 59, 62], [0, 0, 1, 1]),
)
_FRAMES = (
    Piece([0, 1, 0, 3], [1, 2, 2, 1], [60, 62, 48, 67]),
    Piece([1, 1, 2], [1, 3, 1], [43, 96, 50]),
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
    },
    own_data={
        _GENERATE: _abc,
        "music/continuation": _abc,
        "music/harmonise": _chorales,
        "music/jsb": _rolls,
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
        BadFile("music/jsb", "rolls.mat", b"MATLAB 5.0", ("no piano-rolls",)),
    ),
    model=("tokenizer=music/abc", "backbone=llama-tiny"),
    settings={
        "music/folk": ("data.limit=300",),
        "music/tune-tiny": ("data.limit=60",),
    },
)
