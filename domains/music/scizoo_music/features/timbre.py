"""Statistics of cepstra and spectra (Tzanetakis and Cook 2002, IEEE Trans. Speech Audio 10, 293)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.data.records import Record
from scizoo_music.sound.mel import FLOOR, MelSettings, mfcc, power_spectrogram
from scizoo_music.sound.sounds import Sound, as_sound

_SETTINGS = MelSettings(rate=16_000, bands=64, window=1024, hop=512)
_KEPT: dict[tuple[str, int], np.ndarray] = {}
_MOST = 100_000


def timbre_features(sound: Sound, coefficients: int = 20) -> np.ndarray:
    """Describe a sound.

    Of the MFCCs mean, spread and the spread of their first differences; of centroid, bandwidth, roll-off,
    flatness, zero crossings and level mean and spread; the mean chroma.

    Returns
    -------
    ndarray of float64, shape (3 * coefficients + 24,)
    """
    samples = sound.mono(_SETTINGS.rate)
    cepstra = mfcc(samples, _SETTINGS, coefficients).astype(float)
    delta = np.diff(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    power = power_spectrogram(samples, _SETTINGS.window, _SETTINGS.hop).astype(float) + FLOOR
    frequency = np.linspace(0, _SETTINGS.rate / 2, power.shape[1])
    total = power.sum(axis=1)
    centroid = power @ frequency / total
    width = np.sqrt(np.maximum(0.0, power @ frequency**2 / total - centroid**2))
    rolloff = frequency[
        (np.cumsum(power, axis=1) < 0.85 * total[:, None]).sum(axis=1).clip(max=len(frequency) - 1)
    ]
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    crossings = _crossings(samples, len(power))
    level = np.log(total)
    described = [centroid, width, rolloff, flatness, crossings, level]
    audible = frequency > 55
    classes = np.round(12 * np.log2(frequency[audible] / 440.0)).astype(int) % 12
    chroma = np.bincount(classes, weights=power[:, audible].mean(axis=0), minlength=12)
    return np.concatenate(
        [
            cepstra.mean(axis=0),
            cepstra.std(axis=0),
            delta.std(axis=0),
            *([one.mean(), one.std()] for one in described),
            np.log(chroma / chroma.max() + 1e-6),
        ]
    )


def _crossings(samples: np.ndarray, count: int) -> np.ndarray:
    """Share of samples at which the sign changes, in ``count`` equal parts."""
    changes = np.abs(np.diff(np.signbit(samples).astype(float), prepend=0.0))
    return np.array([part.mean() if len(part) else 0.0 for part in np.array_split(changes, count)])


def sound_features(records: Sequence[Record], coefficients: int = 20) -> np.ndarray:
    """Give the features of each record; computed once a process for each sound.

    Returns
    -------
    ndarray of float64, shape (records, features)

    Raises
    ------
    DataError
        When an input is no sound.
    """
    rows = []
    for record in records:
        sound = as_sound(record.input)
        key = (sound.digest(), coefficients)
        row = _KEPT.get(key)
        if row is None:
            if len(_KEPT) >= _MOST:
                _KEPT.clear()
            row = _KEPT[key] = timbre_features(sound, coefficients)
        rows.append(row)
    return np.stack(rows) if rows else np.empty((0, 0))
