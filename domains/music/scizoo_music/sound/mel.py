"""Spectra of sound in plain numpy: short-time Fourier transform, mel bands, mel-frequency cepstrum.

Mel bands are Slaney's (1998, Auditory Toolbox), triangles of equal area, as librosa makes them by default;
the tests compare both. No framework is needed to read a sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from scizoo.errors import ConfigError

#: Power below which everything is silence, so that the logarithm stays finite: -100 dB of full scale.
FLOOR = 1e-10


@dataclass(frozen=True)
class MelSettings:
    """How a spectrogram is made.

    Parameters
    ----------
    rate : int
        Frames a second of the samples.
    bands : int
        Mel bands.
    window, hop : int
        Samples of a window (Hann) and from one to the next.
    low, high : float
        Ends of the bands in Hz; ``high`` of None is half the rate.

    Raises
    ------
    ConfigError
        When a number has no meaning.
    """

    rate: int = 16_000
    bands: int = 64
    window: int = 1024
    hop: int = 256
    low: float = 30.0
    high: float | None = None

    def __post_init__(self) -> None:
        top = 0.5 * self.rate if self.high is None else self.high
        if (
            min(self.rate, self.bands, self.window, self.hop) < 1
            or not 0 <= self.low < top <= 0.5 * self.rate
        ):
            raise ConfigError(
                f"rate={self.rate}, bands={self.bands}, window={self.window}, hop={self.hop}, "
                f"low={self.low}, high={self.high} make no spectrogram.",
                expected="numbers above 0, and 0 <= low < high <= rate / 2",
            )

    @property
    def top(self) -> float:
        """The upper end of the bands in Hz."""
        return 0.5 * self.rate if self.high is None else float(self.high)

    def band_of(self, hertz: float) -> float:
        """Where a frequency lies among the bands: 0 is the lower edge of the picture, ``bands`` the upper."""
        low, top = hertz_to_mel(self.low), hertz_to_mel(self.top)
        return float((hertz_to_mel(hertz) - low) / (top - low) * (self.bands + 1) - 0.5)


def hertz_to_mel(hertz: Any) -> np.ndarray:
    """Mel of a frequency by Slaney: linear up to 1 kHz, logarithmic above."""
    value = np.asarray(hertz, dtype=float)
    return np.where(
        value < 1000.0,
        value * 3.0 / 200.0,
        15.0 + np.log(np.maximum(value, 1e-9) / 1000.0) * 27.0 / np.log(6.4),
    )


def mel_to_hertz(mel: Any) -> np.ndarray:
    """Frequency of a mel by Slaney; see :func:`hertz_to_mel`."""
    value = np.asarray(mel, dtype=float)
    return np.where(value < 15.0, value * 200.0 / 3.0, 1000.0 * np.exp((value - 15.0) * np.log(6.4) / 27.0))


@lru_cache(maxsize=16)
def mel_filters(settings: MelSettings) -> np.ndarray:
    """Weights of the bands over the frequencies of a transform; float32 (bands, window // 2 + 1)."""
    frequencies = np.linspace(0.0, 0.5 * settings.rate, settings.window // 2 + 1)
    ends = np.linspace(hertz_to_mel(settings.low), hertz_to_mel(settings.top), settings.bands + 2)
    points = mel_to_hertz(ends)
    rising = (frequencies - points[:-2, None]) / np.diff(points)[:-1, None]
    falling = (points[2:, None] - frequencies) / np.diff(points)[1:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return (weights * (2.0 / (points[2:] - points[:-2]))[:, None]).astype(np.float32)


@lru_cache(maxsize=16)
def _window(size: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def power_spectrogram(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Power of the short-time Fourier transform.

    Windows are centred on multiples of ``hop``; beyond the ends there is silence.

    Parameters
    ----------
    samples : ndarray of float32, shape (frames,)
    window, hop : int

    Returns
    -------
    ndarray of float32, shape (1 + frames // hop, window // 2 + 1)
    """
    padded = np.pad(np.asarray(samples, dtype=np.float32), window // 2)
    if len(padded) < window:
        padded = np.pad(padded, (0, window - len(padded)))
    views = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    spectrum = np.fft.rfft(views * _window(window), axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32)


def mel_power(samples: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Power in mel bands; float32 (windows, bands)."""
    power = power_spectrogram(samples, settings.window, settings.hop)
    return power @ mel_filters(settings).T


def log_mel(samples: np.ndarray, settings: MelSettings) -> np.ndarray:
    """Natural logarithm of the power in mel bands; float32 (windows, bands)."""
    return np.log(np.maximum(mel_power(samples, settings), FLOOR))


def mfcc(samples: np.ndarray, settings: MelSettings, count: int = 20) -> np.ndarray:
    """Mel-frequency cepstral coefficients (Davis and Mermelstein 1980), in decibels as librosa has them.

    Returns
    -------
    ndarray of float32, shape (windows, count)
    """
    from scipy.fft import dct

    decibels = 10.0 / np.log(10.0) * log_mel(samples, settings)
    decibels = np.maximum(decibels, decibels.max() - 80.0)
    return dct(decibels, type=2, axis=1, norm="ortho")[:, :count].astype(np.float32)
