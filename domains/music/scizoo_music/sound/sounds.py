"""The object of sound: samples with their rate, and what of it every method needs."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scizoo.errors import DataError

#: Rates that are taken as they stand; anything else is no sound of music.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000


@dataclass(frozen=True, eq=False, repr=False)
class Sound:
    """A recording.

    Parameters
    ----------
    samples : ndarray of float32, shape (frames,) or (frames, channels)
        Full scale is -1 to 1.
    rate : int
        Frames a second.
    title, source : str
        For people; two sounds are equal whatever they are called.

    Raises
    ------
    ValueError
        When there is no sample, one is not finite, or the rate is out of range.
    """

    samples: np.ndarray
    rate: int
    title: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(self.samples, dtype=np.float32)
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or not samples.size:
            raise ValueError(f"samples of the shape {np.shape(self.samples)} are no sound")
        if not np.isfinite(samples).all():
            raise ValueError(f"{int((~np.isfinite(samples)).sum())} samples are not finite")
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise ValueError(f"a rate of {self.rate} Hz is not within {LOWEST_RATE} to {HIGHEST_RATE}")
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        name = f"'{self.title}', " if self.title else ""
        return f"Sound({name}{self.seconds:.3g} s, {self.rate} Hz, {self.channels} channels)"

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    @property
    def peak(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.samples).max())

    def digest(self) -> str:
        """Name the sound by its content."""
        found = hashlib.blake2b(str((self.samples.shape, self.rate)).encode(), digest_size=16)
        found.update(self.samples.tobytes())
        return found.hexdigest()

    def mono(self, rate: int | None = None) -> np.ndarray:
        """Give the mean of the channels, at another rate where one is named; float32 (frames,)."""
        mixed = self.samples.mean(axis=1, dtype=np.float32)
        return mixed if rate is None else resampled(mixed, self.rate, rate)

    def part(self, start: float, seconds: float) -> Sound:
        """Give some seconds of it.

        Raises
        ------
        ValueError
            When nothing of it lies there.
        """
        first = round(start * self.rate)
        return replace(self, samples=self.samples[first : first + max(1, round(seconds * self.rate))])


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Give samples at another rate, by the band-limited interpolation of libsoxr.

    Parameters
    ----------
    samples : ndarray of float32, shape (frames,) or (frames, channels)
    rate, wanted : int
        Frames a second, as they are and as they shall be.

    Returns
    -------
    ndarray of float32
        At least one frame.
    """
    if rate == wanted:
        return samples
    import soxr

    found = soxr.resample(samples, rate, wanted, quality="HQ").astype(np.float32, copy=False)
    return found if len(found) else samples[:1]


def as_sound(value: Any) -> Sound:
    """Give the sound that an input is.

    Parameters
    ----------
    value : Sound, path, or tuple of samples and rate
        What a user has at hand.

    Raises
    ------
    DataError
        When it is none, or its file cannot be read.
    """
    from pathlib import Path

    if isinstance(value, Sound):
        return value
    if isinstance(value, str | Path) and "\n" not in str(value):
        from scizoo_music.readers.audio import read_sound

        return read_sound(Path(value))
    if isinstance(value, tuple) and len(value) == 2:
        try:
            return Sound(np.asarray(value[0]), int(value[1]))
        except (TypeError, ValueError) as error:
            raise DataError(f"samples with a rate cannot be used: {error}.") from error
    raise DataError(
        f"an input is a {type(value).__name__}, no sound.",
        expected="a scizoo_music.sound.sounds.Sound, the path of a sound file, or (samples, rate)",
    )


def encoded(sound: Sound, kind: str = "WAV") -> bytes:
    """Write a sound as the content of a file: ``WAV`` (16 bits), ``FLAC`` or ``MP3``."""
    import soundfile

    stream = io.BytesIO()
    subtype = None if kind == "MP3" else "PCM_16"
    soundfile.write(stream, np.clip(sound.samples, -1, 1), sound.rate, format=kind, subtype=subtype)
    return stream.getvalue()
