"""Sound as its samples, a frame a position, for a codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_music.sound.sounds import as_sound


class WaveTokenizer(Tokenizer):
    """Samples at one rate, mono, cut into frames; the last frame is filled up with silence.

    Parameters
    ----------
    rate : int
        Hz to which sounds are resampled.
    hop : int
        Samples of a frame; the product of the codec's ratios.
    """

    main_input: ClassVar[str] = "values"

    def __init__(self, rate: int = 16_000, hop: int = 320):
        if rate < 1 or hop < 1:
            raise ConfigError(f"tokenizer: rate={rate}, hop={hop}", expected="whole numbers from 1")
        self.rate, self.hop = int(rate), int(hop)

    def settings(self) -> dict[str, Any]:
        """Return the plain settings of this tokenizer."""
        return {"rate": self.rate, "hop": self.hop}

    def fingerprint(self) -> str:
        """Digest of the class and its settings."""
        return sha256_json(["WaveTokenizer", 1, self.settings()])

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode sounds into ``values`` [frames, hop], float32.

        Raises
        ------
        DataError
            When an input is no sound; naming its position.
        """
        rows = []
        for place, value in enumerate(inputs):
            try:
                samples = as_sound(value).mono(self.rate)
            except DataError as error:
                raise DataError(f"input {place}: {error.problem}", expected=error.expected) from error
            frames = -(-len(samples) // self.hop)
            rows.append(np.pad(samples, (0, frames * self.hop - len(samples))).reshape(frames, self.hop))
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return {
            "values": Ragged(np.concatenate(rows) if rows else np.empty((0, self.hop), np.float32), offsets)
        }
