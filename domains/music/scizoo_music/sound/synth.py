"""An additive synthesiser: notes to sound, in plain numpy, and a soundfont's sound where there is one.

It is meant for listening to what a model wrote, and for making sounds whose notes are known. Each note is a
sum of partials under an envelope of attack, decay, sustain and release; nothing more is claimed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.errors import ConfigError, did_you_mean
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.sound.sounds import Sound

#: Names the file of a soundfont (.sf2 or .sf3) that plays in the place of this synthesiser.
SOUNDFONT = "SCIZOO_SOUNDFONT"
RATE = 22_050
_LONGEST = 600.0  # seconds that are rendered of one piece


@dataclass(frozen=True)
class Timbre:
    """How an instrument sounds.

    Parameters
    ----------
    partials : tuple of float
        Amplitudes of the harmonics, the fundamental first.
    attack, decay, release : float
        Seconds.
    sustain : float
        Level after the decay, as a share of the peak; the decay of a struck string goes to 0 with
        ``damping``.
    damping : float
        A struck or plucked string dies away by ``exp(-damping * seconds * harmonic)``; 0 sounds on.
    vibrato : float
        Depth in semitones, at 5.5 Hz.
    noise : float
        Level of breath or hammer noise in the attack.
    inharmonicity : float
        B of a stiff string, whose partials lie at ``n * sqrt(1 + B * n**2)`` (Fletcher 1964).
    """

    partials: tuple[float, ...]
    attack: float = 0.02
    decay: float = 0.05
    sustain: float = 0.8
    release: float = 0.06
    damping: float = 0.0
    vibrato: float = 0.0
    noise: float = 0.0
    inharmonicity: float = 0.0


TIMBRES = {
    "piano": Timbre((1, 0.5, 0.33, 0.2, 0.13, 0.09, 0.06, 0.04), 0.004, 0.1, 0.7, 0.12, 0.9, 0, 0.01, 4e-4),
    "plucked": Timbre((1, 0.7, 0.55, 0.35, 0.3, 0.2, 0.15, 0.1), 0.003, 0.05, 0.8, 0.05, 1.6, 0, 0.02),
    "organ": Timbre((1, 0.8, 0.1, 0.6, 0.02, 0.1, 0.02, 0.4), 0.015, 0.01, 1.0, 0.05),
    "flute": Timbre((1, 0.35, 0.12, 0.04, 0.02), 0.06, 0.05, 0.85, 0.08, 0, 0.12, 0.02),
    "clarinet": Timbre((1, 0.04, 0.6, 0.03, 0.35, 0.03, 0.18, 0.02, 0.08), 0.04, 0.03, 0.9, 0.06),
    "strings": Timbre((1, 0.6, 0.45, 0.35, 0.28, 0.22, 0.15, 0.12, 0.1), 0.09, 0.05, 0.9, 0.15, 0, 0.2),
    "brass": Timbre((0.7, 0.9, 1, 0.8, 0.6, 0.4, 0.3, 0.2, 0.12), 0.05, 0.08, 0.8, 0.07, 0, 0.05, 0.01),
}
#: General MIDI families of eight programs (piano, chromatic percussion, organ, guitar, ...) to timbres.
_FAMILIES = (
    "piano", "plucked", "organ", "plucked", "plucked", "strings", "strings", "brass",
    "clarinet", "flute", "organ", "strings", "strings", "plucked", "plucked", "flute",
)  # fmt: skip


def timbre_of(program: int) -> str:
    """Name the timbre that stands for a General MIDI program (0 to 127)."""
    return _FAMILIES[program // 8] if 0 <= program < 128 else "piano"


def note(pitch: float, seconds: float, timbre: Timbre, rate: int, seed: int = 0) -> np.ndarray:
    """Render one note.

    Parameters
    ----------
    pitch : float
        MIDI number; 69 is 440 Hz.
    seconds : float
        From its onset to its release, which comes on top.
    timbre : Timbre
    rate : int
        Frames a second.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of float64, shape (frames,)
        With a peak near 1.
    """
    frames = max(2, round((seconds + timbre.release) * rate))
    time = np.arange(frames) / rate
    frequency = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    phase = 2 * np.pi * frequency * time
    if timbre.vibrato:
        depth = timbre.vibrato * np.log(2) / 12.0 * np.minimum(1.0, time / 0.3)  # it sets in late
        phase = phase + frequency * depth / 5.5 * np.sin(2 * np.pi * 5.5 * time)
    made = np.zeros(frames)
    for number, level in enumerate(timbre.partials, start=1):
        factor = number * np.sqrt(1.0 + timbre.inharmonicity * number**2)
        if frequency * factor >= 0.45 * rate:  # what lies above would fold back
            break
        partial = level * np.sin(factor * phase)
        made += partial * np.exp(-timbre.damping * number**0.7 * time) if timbre.damping else partial
    if timbre.noise:
        hiss = np.random.default_rng([seed, round(pitch * 100)]).normal(0.0, timbre.noise, frames)
        made += hiss * np.exp(-time / 0.05)
    return made * envelope(time, seconds, timbre) / sum(timbre.partials)


def envelope(time: np.ndarray, seconds: float, timbre: Timbre) -> np.ndarray:
    """Attack, decay, sustain and release of a note over times in seconds; 0 to 1."""
    attack = min(timbre.attack, 0.5 * seconds) or 1e-4
    rising = np.minimum(1.0, time / attack)
    falling = np.clip((time - attack) / max(timbre.decay, 1e-4), 0.0, 1.0)
    held = rising * (1.0 - (1.0 - timbre.sustain) * falling)
    gone = np.clip((time - seconds) / max(timbre.release, 1e-4), 0.0, 1.0)
    return held * 0.5 * (1.0 + np.cos(np.pi * gone))


def synthesise(
    value: Any,
    rate: int = RATE,
    timbre: str | None = None,
    seconds: float | None = None,
    tempo: float | None = None,
) -> Sound:
    """Render a piece as a mono sound.

    Parameters
    ----------
    value : Piece or str
        Or the ABC text of a tune.
    rate : int
        Frames a second.
    timbre : str, optional
        One of :data:`TIMBRES` for every voice; by default what each voice's program stands for.
    seconds : float, optional
        Where the sound ends at the latest; ten minutes by default.
    tempo : float, optional
        Quarter beats a minute; by default the piece's own, 120 where it states none.

    Returns
    -------
    Sound
        With a peak of 0.9.

    Raises
    ------
    ConfigError
        When there is no such timbre.
    """
    if timbre is not None and timbre not in TIMBRES:
        raise ConfigError(f"timbre={timbre} is unknown: {did_you_mean(timbre, TIMBRES)}")
    piece = as_piece(value)
    longest = min(_LONGEST, seconds or _LONGEST)
    if tempo is None:
        starts = piece.seconds(piece.onset)
        ends = piece.seconds(piece.onset + piece.duration)
    else:
        starts, ends = piece.onset * 60.0 / tempo, (piece.onset + piece.duration) * 60.0 / tempo
    total = min(longest, float(ends.max()) + 0.3)
    made = np.zeros(round(total * rate) + 1)
    voices = {int(one): _timbre(piece, place, timbre) for place, one in enumerate(np.unique(piece.voice))}
    kept: dict[tuple[int, int, int], np.ndarray] = {}
    for start, end, pitch, velocity, voice in zip(
        starts, ends, piece.pitch, piece.velocity, piece.voice, strict=True
    ):
        if start >= total:
            continue
        frames = max(1, round(min(end - start, longest) * rate))
        key = (int(voice), int(pitch), frames)
        if key not in kept:
            kept[key] = note(float(pitch), frames / rate, voices[int(voice)], rate)
        first = round(start * rate)
        sound = kept[key][: len(made) - first]
        # Loudness grows with the square of the velocity (Dannenberg 2006); low notes are given more room.
        made[first : first + len(sound)] += sound * (float(velocity) / 127.0) ** 2
    peak = float(np.abs(made).max())
    samples = (made * (0.9 / peak) if peak > 0 else made).astype(np.float32)
    return Sound(samples, rate, title=piece.title)


def _timbre(piece: Piece, place: int, named: str | None) -> Timbre:
    if named is not None:
        return TIMBRES[named]
    program = piece.programs[place] if place < len(piece.programs) else 0
    return TIMBRES[timbre_of(program)]


def soundfont() -> Path | None:
    """Give the soundfont that the environment names, if it does.

    Raises
    ------
    ConfigError
        When there is no such file.
    """
    named = os.environ.get(SOUNDFONT)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"{SOUNDFONT}={named} does not exist.",
            expected="a file .sf2 or .sf3",
            remedy=f"name another one, or unset {SOUNDFONT} to hear the built-in synthesiser.",
        )
    return path


def rendered(value: Any, rate: int = RATE, seconds: float | None = None) -> Sound:
    """Render a piece by the soundfont that ``SCIZOO_SOUNDFONT`` names, else by :func:`synthesise`."""
    path = soundfont()
    if path is None:
        return synthesise(value, rate, seconds=seconds)
    return by_soundfont(as_piece(value), path, rate, seconds)


def by_soundfont(piece: Piece, path: Path, rate: int = RATE, seconds: float | None = None) -> Sound:
    """Render a piece by a soundfont, through symusic's synthesiser.

    Raises
    ------
    ConfigError
        When symusic cannot use the file.
    """
    import symusic
    from symusic import core

    score = core.ScoreTick(960)
    starts, ends = piece.seconds(piece.onset), piece.seconds(piece.onset + piece.duration)
    score.tempos.append(core.TempoTick(0, 120.0))  # 1,920 ticks a second, so that any tempo is kept
    for place, voice in enumerate(np.unique(piece.voice)):
        program = piece.programs[place] if place < len(piece.programs) else 0
        track = core.TrackTick(str(voice), max(0, program), program < 0)
        for row in np.flatnonzero(piece.voice == voice):
            at, length = round(starts[row] * 1920), max(1, round((ends[row] - starts[row]) * 1920))
            track.notes.append(core.NoteTick(at, length, int(piece.pitch[row]), int(piece.velocity[row])))
        score.tracks.append(track)
    try:
        player = symusic.Synthesizer(sf_path=str(path), sample_rate=rate)
        samples = np.asarray(player.render(score, stereo=False), dtype=np.float32)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path.name} cannot be played: {error}", expected="a soundfont (.sf2, .sf3)"
        ) from error
    samples = samples.reshape(-1, 1) if samples.ndim == 1 else samples.T
    return Sound(samples[: round((seconds or _LONGEST) * rate)], rate, title=piece.title)


def wav(value: Any) -> bytes:
    """Write a generated piece, or a sound, as the content of a WAV file (see ``Domain.writes``)."""
    from scizoo_music.sound.sounds import encoded

    if hasattr(value, "sound"):  # codes of a codec
        value = value.sound()
    return encoded(value if isinstance(value, Sound) else rendered(value))
