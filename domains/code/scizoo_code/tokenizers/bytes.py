"""Source code as its raw bytes: no vocabulary, no training, nothing is ever unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo_code.sources import to_bytes
from scizoo_code.tokenizers.base import SourceTokenizer


class SourceBytesTokenizer(SourceTokenizer):
    """One token a byte, after the special tokens."""

    @property
    def vocab(self) -> Sequence[str]:
        """The special tokens, then ``<0x00>`` to ``<0xFF>``."""
        return (*self.SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)))

    def _encode_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        first = len(self.SPECIAL)
        return [np.frombuffer(to_bytes(text), dtype=np.uint8).astype(np.int32) + first for text in texts]

    def _decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(id - len(self.SPECIAL) for id in ids)

    def settings(self) -> dict[str, Any]:
        """Return no settings: there is nothing to choose."""
        return {}

    def fingerprint(self) -> str:
        """Return a digest of the special tokens; there is nothing else to tell two apart."""
        return hashlib.sha256(f"SourceBytesTokenizer 1 {self.SPECIAL}".encode()).hexdigest()
