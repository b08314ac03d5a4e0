"""Tokenizers of numbers, pixels and graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.placement import Placement
from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import Tokenizer


class WaveTokenizer(Tokenizer):
    """One position a moment."""

    main_input = "values"

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode waves."""
        seen = [np.isfinite(one.values) for one in inputs]
        return {
            "values": Ragged.from_rows([np.nan_to_num(one.values) for one in inputs], np.float32),
            "observed": Ragged.from_rows([mask.astype(np.float32) for mask in seen], np.float32),
            "times": Ragged.from_rows([one.times[:, None] for one in inputs], np.float32),
            "channel": Ragged.from_rows([one.channel for one in inputs], np.int64),
            "weight": Ragged.from_rows([1.0 + mask for mask in seen], np.float32),
        }

    def input_sizes(self) -> dict[str, int]:
        """Two variables, one time, two channels."""
        return {"features": 2, "times": 1, "channels": 2}

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def fingerprint(self) -> str:
        """Its name."""
        return "wave"


class PictureTokenizer(Tokenizer):
    """One position that holds the whole picture."""

    main_input = "pixel_values"

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode pictures."""
        return {"pixel_values": Ragged.from_rows([picture[None] for picture in inputs])}

    def placement(self, picture: np.ndarray) -> Placement:
        """All of it."""
        return Placement.stretched(picture.shape[-2:], (32, 32))

    def input_sizes(self) -> dict[str, int]:
        """One channel, 32 pixels."""
        return {"in_chans": 1, "img_size": 32}

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def fingerprint(self) -> str:
        """Its name."""
        return "picture"


class RingTokenizer(Tokenizer):
    """One position a bead, with the places of its neighbours."""

    main_input = "bead"

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode rings."""
        places = [np.arange(len(one.beads)) for one in inputs]
        return {
            "bead": Ragged.from_rows([np.array(one.beads) for one in inputs], np.int64),
            "neighbours": Ragged.from_rows(
                [np.stack([np.roll(row, 1), np.roll(row, -1)], axis=1) for row in places], np.int64
            ),
        }

    def input_sizes(self) -> dict[str, int]:
        """Three kinds and the padding."""
        return {"kinds": 4}

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def fingerprint(self) -> str:
        """Its name."""
        return "ring"
