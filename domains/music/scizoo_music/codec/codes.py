"""Sound as the codes of a codec, and how well each number of codebooks gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scizoo.errors import DataError
from scizoo_music.sound.mel import MelSettings, log_mel
from scizoo_music.sound.sounds import Sound


@dataclass(frozen=True, eq=False, repr=False)
class CodedSound:
    """Codes of a sound.

    Parameters
    ----------
    codes : ndarray of int64, shape (frames, books)
    codec : EncodecBackbone, optional
        What made them; :meth:`sound` needs it. Two coded sounds of the same codes are equal.
    """

    codes: np.ndarray
    codec: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        codes = np.ascontiguousarray(self.codes, dtype=np.int64)
        if codes.ndim != 2 or not codes.size or codes.min() < 0:
            raise ValueError(f"codes of the shape {codes.shape} are no sound")
        codes.flags.writeable = False
        object.__setattr__(self, "codes", codes)

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"CodedSound({self.codes.shape[0]} frames, {self.codes.shape[1]} books)"

    def sound(self) -> Sound:
        """Decode.

        Raises
        ------
        DataError
            When it is not known which codec made the codes.
        """
        if self.codec is None:
            raise DataError(
                "these codes do not say which codec made them.", remedy="give CodedSound its codec."
            )
        return Sound(self.codec.sound(self.codes), self.codec.rate)


@dataclass(frozen=True)
class Fidelity:
    """How well a number of codebooks gives sounds back.

    Parameters
    ----------
    books : int
    kbps : float
        Kilobits a second.
    si_sdr : float
        Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019), mean over sounds.
    log_mel : float
        Mean absolute difference of log-mel power in dB.
    """

    books: int
    kbps: float
    si_sdr: float
    log_mel: float


def measure(codec: Any, sounds: Sequence[Sound]) -> list[Fidelity]:
    """Code sounds and decode them from the first 1, 2, ... codebooks.

    Parameters
    ----------
    codec : EncodecBackbone
        In evaluation mode.
    sounds : sequence of Sound

    Returns
    -------
    list of Fidelity
        One a number of codebooks, ascending.
    """
    settings = MelSettings(rate=codec.rate)
    ratios = np.zeros((len(sounds), codec.books))
    distances = np.zeros((len(sounds), codec.books))
    for row, sound in enumerate(sounds):
        samples = sound.mono(codec.rate)
        codes = codec.code(samples)
        there = log_mel(samples, settings)
        audible = there > there.max() - 80 * np.log(10) / 10
        for books in range(1, codec.books + 1):
            made = codec.sound(codes[:, :books])[: len(samples)]
            ratios[row, books - 1] = si_sdr(samples, made)
            here = log_mel(made, settings)
            distances[row, books - 1] = 10 / np.log(10) * float(np.abs(here - there)[audible].mean())
    rate = codec.rate / codec.hop * np.log2(codec.size) / 1000
    return [
        Fidelity(
            books, books * rate, float(ratios[:, books - 1].mean()), float(distances[:, books - 1].mean())
        )
        for books in range(1, codec.books + 1)
    ]


def si_sdr(samples: np.ndarray, made: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, arXiv 1811.02508)."""
    there, here = samples.astype(float) - samples.mean(), made.astype(float) - made.mean()
    power = float(there @ there)
    scaled = there * (float(here @ there) / power) if power > 0 else there
    noise = here - scaled
    return float(10 * np.log10((scaled @ scaled + 1e-12) / (noise @ noise + 1e-12)))
