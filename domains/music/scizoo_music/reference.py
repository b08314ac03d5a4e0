"""Made-up music on which a checkpoint's outputs are checked again; nobody's data."""

from __future__ import annotations

from typing import Any

import numpy as np

from scizoo_music.pieces import Key, Meter, Piece

_TUNES = (
    "M:4/4\nL:1/8\nK:G\nG2B2d2g2|f2d2A2F2|G2B2d2g2|f2e2d4|e2g2d2B2|c2A2G4||",
    "M:6/8\nL:1/8\nK:Dm\nA|dcdAFD|EFGA2A|dcdfed|e3d2||",
    "M:3/4\nL:1/4\nK:Bb\nB>cd|fed|c>BA|B3||",
)


def inputs(example: Any) -> list[Any]:
    """Return a few inputs of the kind of the example, the same each time."""
    if isinstance(example, str):
        return list(_TUNES)
    if isinstance(example, Piece):
        return [cadence(0), cadence(3)]
    from scizoo_music.sound.sounds import Sound

    rate = 16_000
    beats = 2 * np.pi * np.arange(rate) / rate  # a second
    return [
        Sound(0.4 * np.sin(220.0 * beats)[:, None], rate),
        Sound(0.2 * np.sin(330.0 * beats)[:, None], rate),
    ]


def cadence(semitones: int) -> Piece:
    """Write a cadence of four voices in quarter beats, so many semitones above C major."""
    chords = ((72, 67, 64, 48), (72, 69, 65, 53), (71, 67, 62, 55), (72, 67, 64, 48))
    pitch = np.array(chords).ravel() + semitones
    onset, voice = np.repeat(np.arange(4.0), 4), np.tile(np.arange(4), 4)
    fifths = Key(0.0, 0).fifths + (7 * semitones + 6) % 12 - 6
    return Piece(onset, np.ones(16), pitch, voice, meters=[Meter(0.0, 4, 4)], keys=[Key(0.0, fifths)])
