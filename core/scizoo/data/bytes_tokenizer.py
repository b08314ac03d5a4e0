"""Text as its UTF-8 bytes: a tokenizer without vocabulary or training, for tests and for raw text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.data.units import characters_of_bytes
from scizoo.errors import DataError


class ByteTokenizer(TokenTokenizer):
    """One token a byte: id 5 is byte 0, after the special tokens.

    Encoding is a view on the bytes plus one addition, and decoding gives the same text back.
    """

    unit: ClassVar[str | None] = "byte"

    @property
    def vocab(self) -> Sequence[str]:
        """The special tokens, then ``<0x00>`` to ``<0xFF>``."""
        return (*self.SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)))

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode texts.

        Parameters
        ----------
        inputs : sequence of str

        Returns
        -------
        dict
            ``input_ids``, int32, one row a text.

        Raises
        ------
        DataError
            When an input is not text, or is empty.
        """
        rows = []
        for position, text in enumerate(inputs):
            if not isinstance(text, str) or not text:
                raise DataError(
                    f"Input {position} is {text!r}.", expected="a non-empty text", remedy="leave it out."
                )
            rows.append(np.frombuffer(text.encode("utf-8"), dtype=np.uint8))
        joined = Ragged.from_rows(rows, dtype=np.int32)
        return {"input_ids": Ragged(joined.values + len(self.SPECIAL), joined.offsets)}

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text back; bytes that are no UTF-8 become the replacement character."""
        first = len(self.SPECIAL)
        return bytes(int(id) - first for id in ids if id >= first).decode("utf-8", errors="replace")

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray:
        """Add the scores of bytes up to characters."""
        return characters_of_bytes(str(input), scores)

    def size(self, input: Any) -> int:
        """Return the length of a text in bytes."""
        return len(str(input).encode("utf-8"))

    def settings(self) -> dict[str, Any]:
        """Return no settings: there is nothing to choose."""
        return {}

    def fingerprint(self) -> str:
        """Return a constant digest: every ByteTokenizer encodes alike."""
        return hashlib.sha256(b"scizoo ByteTokenizer 1").hexdigest()
