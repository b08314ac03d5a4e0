"""ABC notation as its characters, encoded for a whole batch at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import TokenTokenizer
from scizoo.errors import DataError

_CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))


class AbcTokenizer(TokenTokenizer):
    """One token a character of ABC text: the line end and the 95 printable ASCII characters.

    All texts of a batch are joined and looked up in one table. Texts in plain ABC
    (:func:`scizoo_music.abc.plain.plain_abc`) use about fifty of the characters; the table is larger, so
    that a header with titles can be written too.
    """

    def __init__(self) -> None:
        self._vocab = (*self.SPECIAL, *_CHARACTERS)
        self._table = np.full(256, -1, dtype=np.int32)
        for id, letter in enumerate(_CHARACTERS, start=len(self.SPECIAL)):
            self._table[ord(letter)] = id
        self._letters = np.frombuffer(_CHARACTERS.encode("ascii"), dtype=np.uint8)

    @property
    def vocab(self) -> Sequence[str]:
        """Special tokens, then the characters."""
        return self._vocab

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode texts into ``input_ids``, int32, one row a text.

        Raises
        ------
        DataError
            When an input is no text, is empty, or holds another character; the message names it.
        """
        for place, text in enumerate(inputs):
            if not isinstance(text, str) or not text:
                raise DataError(
                    f"Input {place} is {'empty' if text == '' else f'a {type(text).__name__}'}.",
                    expected="the ABC text of a tune",
                    remedy="of notes from MIDI or MusicXML, take tokenizer=music/remi or another of events.",
                )
        joined = "".join(inputs)
        if not joined.isascii():
            self._refuse(inputs)
        ids = self._table[np.frombuffer(joined.encode("ascii"), dtype=np.uint8)]
        if len(ids) and ids.min() < 0:
            self._refuse(inputs)
        offsets = np.zeros(len(inputs) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, inputs), dtype=np.int64, count=len(inputs)), out=offsets[1:])
        return {"input_ids": Ragged(ids, offsets)}

    def _refuse(self, inputs: Sequence[str]) -> None:
        for place, text in enumerate(inputs):
            for at, letter in enumerate(text):
                if letter not in _CHARACTERS:
                    raise DataError(
                        f"Input {place} holds {letter!r} at character {at + 1}.",
                        expected="ASCII, which ABC's notes are written in",
                        remedy="read the tune with data.plain=true, or take tokenizer=music/bytes.",
                    )

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text back; special tokens are left out."""
        row = np.asarray(ids, dtype=np.int64)
        row = row[row >= len(self.SPECIAL)] - len(self.SPECIAL)
        return self._letters[row].tobytes().decode("ascii")

    def attribute(self, input: Any, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Give a number a character of the ABC text."""
        return {"characters": np.asarray(scores, dtype=np.float64)}

    def settings(self) -> dict[str, Any]:
        """Return no settings: there is nothing to choose."""
        return {}

    def fingerprint(self) -> str:
        """Return a constant digest: every AbcTokenizer encodes alike."""
        return hashlib.sha256(b"scizoo-music AbcTokenizer 1").hexdigest()
