"""Sound as log-mel patches: a sequence of numbers for an encoder, or a picture for architectures of timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_music.sound.mel import MelSettings, log_mel
from scizoo_music.sound.sounds import Sound, as_sound


class _Mel(Tokenizer):
    """What both have in common: the spectrogram and its scale."""

    version: ClassVar[int] = 1

    def __init__(
        self,
        rate: int,
        bands: int,
        window: int,
        hop: int,
        low: float,
        high: float | None,
        mean: float,
        std: float,
    ):
        if not std > 0:
            raise ConfigError(f"tokenizer.std={std} cannot be used.", expected="a number above 0")
        self.spectrum = MelSettings(int(rate), int(bands), int(window), int(hop), float(low), high)
        self.mean, self.std = float(mean), float(std)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        names = ("rate", "bands", "window", "hop", "low", "high")
        return {name: getattr(self.spectrum, name) for name in names} | {"mean": self.mean, "std": self.std}

    def fingerprint(self) -> str:
        """Digest of the class, its version and its settings."""
        return sha256_json([type(self).__qualname__, self.version, self.settings()])

    def _scaled(self, sound: Sound) -> np.ndarray:
        """Log-mel power (windows, bands) less the sound's own loudness, in units of ``std``."""
        samples = sound.mono(self.spectrum.rate)
        level = float(np.sqrt(np.mean(samples.astype(float) ** 2)))
        if level > 0:
            samples = samples * (0.1 / level)  # -20 dB: a recording's level says nothing of its music
        return ((log_mel(samples, self.spectrum) - self.mean) / self.std).astype(np.float32)

    def _over_time(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Name the borders of stretches of time beside their scores, (n,)."""
        step = self.spectrum.hop / self.spectrum.rate
        return {"seconds": step * np.arange(len(scores) + 1), "stretches": scores}


def _sounds(inputs: Sequence[Any]) -> list[Sound]:
    found = []
    for place, value in enumerate(inputs):
        try:
            found.append(as_sound(value))
        except DataError as error:
            raise DataError(
                f"input {place}: {error.problem}", expected=error.expected, remedy=error.remedy
            ) from error
    return found


class MelTokenizer(_Mel):
    """Stretches of a log-mel spectrogram as positions, for ``continuous-tiny`` and its kin.

    Parameters
    ----------
    rate : int
        Frames a second to which sounds are resampled.
    bands, window, hop, low, high
        See :class:`~scizoo_music.sound.mel.MelSettings`.
    patch : int
        Windows of a position; with 16 kHz, a hop of 256 and 4 a position is 64 ms.
    mean, std : float
        Of log-mel power at -20 dB, by which values are scaled.
    """

    main_input: ClassVar[str] = "values"

    def __init__(
        self,
        rate: int = 16_000,
        bands: int = 64,
        window: int = 1024,
        hop: int = 256,
        patch: int = 4,
        low: float = 30.0,
        high: float | None = None,
        mean: float = -5.0,
        std: float = 4.0,
    ):
        super().__init__(rate, bands, window, hop, low, high, mean, std)
        if patch < 1:
            raise ConfigError(f"tokenizer.patch={patch} cannot be used.", expected="a whole number from 1")
        self.patch = int(patch)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        return super().settings() | {"patch": self.patch}

    def input_sizes(self) -> dict[str, int]:
        """Return the sizes of a backbone for these inputs."""
        return {"features": self.spectrum.bands * self.patch, "times": 1, "channels": 0}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sounds.

        Parameters
        ----------
        inputs : sequence of Sound
            Or what :func:`scizoo_music.sound.sounds.as_sound` takes.

        Returns
        -------
        dict
            ``values`` [T, patch * bands] and ``times`` [T, 1] in seconds, float32.

        Raises
        ------
        DataError
            When an input is no sound; naming its position.
        """
        rows, times = [], []
        step = self.patch * self.spectrum.hop / self.spectrum.rate
        for sound in _sounds(inputs):
            found = self._scaled(sound)
            count = max(1, len(found) // self.patch)  # a last stretch that is not full is left out
            found = np.pad(found, ((0, max(0, self.patch - len(found))), (0, 0)), mode="edge")
            rows.append(found[: count * self.patch].reshape(count, -1))
            times.append((step * np.arange(count, dtype=np.float32))[:, None])
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        width = self.spectrum.bands * self.patch
        empty = np.empty((0, width), np.float32), np.empty((0, 1), np.float32)
        return {
            "values": Ragged(np.concatenate(rows) if rows else empty[0], offsets),
            "times": Ragged(np.concatenate(times) if times else empty[1], offsets),
        }

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number a window of the spectrogram, bands added up.

        Returns
        -------
        dict
            ``seconds`` (n + 1,), the borders of the windows, and ``stretches`` (n,).
        """
        return self._over_time(scores.reshape(len(scores), self.patch, -1).sum(axis=2).ravel())


class MelImageTokenizer(_Mel):
    """The log-mel spectrogram of the first seconds as a picture of one channel, for architectures of timm.

    Parameters
    ----------
    frames : int
        Width of the picture in windows. A longer sound is cut, a shorter one continued by silence.
    rate, bands, window, hop, low, high, mean, std
        As of :class:`MelTokenizer`.
    """

    main_input: ClassVar[str] = "pixel_values"

    def __init__(
        self,
        frames: int = 256,
        rate: int = 16_000,
        bands: int = 64,
        window: int = 1024,
        hop: int = 256,
        low: float = 30.0,
        high: float | None = None,
        mean: float = -5.0,
        std: float = 4.0,
    ):
        super().__init__(rate, bands, window, hop, low, high, mean, std)
        if frames < 1:
            raise ConfigError(f"tokenizer.frames={frames} cannot be used.", expected="a whole number from 1")
        self.frames = int(frames)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        return super().settings() | {"frames": self.frames}

    def input_sizes(self) -> dict[str, int]:
        """Return the channels; architectures built for one size take ``img_size`` from their config."""
        return {"in_chans": 1}

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sounds.

        Returns
        -------
        dict
            ``pixel_values``, float32, one position a sound: [1, bands, frames], low bands first.

        Raises
        ------
        DataError
            When an input is no sound; naming its position.
        """
        sounds = _sounds(inputs)
        silence = (np.log(1e-10) - self.mean) / self.std
        shape = (len(sounds), 1, self.spectrum.bands, self.frames)
        pictures = np.full(shape, max(silence, -3.0), dtype=np.float32)
        for place, sound in enumerate(sounds):
            found = np.maximum(self._scaled(sound)[: self.frames], -3.0)
            pictures[place, 0, :, : len(found)] = found.T
        return {"pixel_values": Ragged(pictures, np.arange(len(sounds) + 1, dtype=np.int64))}

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number a window of the spectrogram, bands added up; the silence after the sound is left out.

        Returns
        -------
        dict
            ``seconds`` (n + 1,), the borders of the windows, and ``stretches`` (n,).
        """
        (sound,) = _sounds([input])
        windows = min(self.frames, len(self._scaled(sound)))
        return self._over_time(scores[0].sum(axis=(0, 1))[:windows])
