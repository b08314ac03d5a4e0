"""Finding the tokens of many SMILES or SELFIES at once, on their joined bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scizoo.errors import DataError
from scizoo_chemistry.molecules import smiles_of

_OPEN, _CLOSE, _PERCENT, _L, _R, _B, _C, _PAREN = (ord(letter) for letter in "[]%lrBC(")
#: Letters and signs of SMILES outside brackets (aromatic and aliphatic organic subset, bonds, rings).
OUTSIDE = "BCNOPSFIbcnops0123456789()[].=#-+\\/:~@?>*$%"
#: Translates a byte into 1 where it stands outside of brackets only as the second letter of Cl or Br.
_SECOND = bytes(chr(byte) not in OUTSIDE for byte in range(256))
_DIGIT = np.zeros(256, dtype=bool)
_DIGIT[ord("0") : ord("9") + 1] = True
_KEY_BYTES = 8  # bytes of a bracket's inside that fit its key


class Scan:
    """The tokens of a batch of strings, as places in its joined bytes.

    Attributes
    ----------
    codes : ndarray of uint8, shape (bytes,)
        The joined strings.
    offsets : ndarray of int64, shape (strings + 1,)
    opens, closes : ndarray of int64, shape (brackets,)
        Places of ``[`` and ``]``.
    inside : ndarray of bool, shape (bytes,)
        Bytes after a ``[`` up to its ``]``.
    keys : ndarray of uint64, shape (brackets,)
        What stands inside of each bracket, its bytes in a number; 0 where it is longer than 8.
    halogens : ndarray of int64
        Places of the second letters of Cl and Br.
    rings : ndarray of int64
        Places of ``%`` before two digits.
    """

    def __init__(self, inputs: Sequence[Any]):
        texts = [smiles_of(input) for input in inputs] if not _all_text(inputs) else inputs
        self.texts = texts
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self.offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(lengths, out=self.offsets[1:])
        joined = "".join(texts)
        if not joined.isascii():
            self._refuse(next(place for place, letter in enumerate(joined) if not letter.isascii()), joined)
        if len(texts) and not lengths.all():
            empty = int(np.argmin(lengths > 0))
            raise DataError(f"Input {empty} is empty.", expected="a SMILES string", remedy="leave it out.")
        self._bytes = joined.encode("ascii")
        self.codes = np.frombuffer(self._bytes, dtype=np.uint8)
        self._find_brackets(joined)
        self._find_pairs(joined)

    def _find_brackets(self, joined: str) -> None:
        codes = self.codes
        self.opens, self.closes = np.flatnonzero(codes == _OPEN), np.flatnonzero(codes == _CLOSE)
        opens, closes, size = self.opens, self.closes, len(codes)
        good = len(opens) == len(closes)
        if good and len(opens):
            rows = np.searchsorted(self.offsets, opens, side="right")
            good = bool(
                (closes - opens > 1).all()
                and (opens[1:] > closes[:-1]).all()
                and (closes < self.offsets[rows]).all()
            )
        if not good:
            self._refuse_brackets()
        width = closes - opens - 1
        # Places from behind a '[' up to its ']', for all brackets in a row.
        ends = np.cumsum(width + 1)
        within = np.arange(ends[-1] if len(ends) else 0)
        within += np.repeat(opens + 1 - (ends - width - 1), width + 1)
        self.inside = np.zeros(size, dtype=bool)
        self.inside[within] = True
        places = opens[:, None] + np.arange(1, _KEY_BYTES + 1)
        held = codes[np.minimum(places, size - 1)] if size else np.empty((0, _KEY_BYTES), dtype=np.uint8)
        held[places >= closes[:, None]] = 0
        self.keys = held.view("<u8").ravel()
        self.keys[width > _KEY_BYTES] = 0

    def _find_pairs(self, joined: str) -> None:
        codes, inside = self.codes, self.inside
        suspects = np.frombuffer(self._bytes.translate(_SECOND), dtype=np.uint8)
        seconds = np.flatnonzero(suspects > inside)
        if len(seconds):
            letter, before = codes[seconds], codes[seconds - 1]
            paired = ((letter == _L) & (before == _C)) | ((letter == _R) & (before == _B))
            paired &= ~inside[seconds - 1]
            row = np.searchsorted(self.offsets, seconds, side="right") - 1
            paired &= self.offsets[row] < seconds
            if not paired.all():
                self._refuse(int(seconds[np.argmin(paired)]), joined)
        self.halogens = seconds
        percents = np.flatnonzero(codes == _PERCENT)
        percents = percents[~inside[percents]]
        ends = self.offsets[np.searchsorted(self.offsets, percents, side="right")]
        last = max(len(codes) - 1, 0)
        one, two = codes[np.minimum(percents + 1, last)], codes[np.minimum(percents + 2, last)]
        pairs = _DIGIT[one] & _DIGIT[two] & (percents + 2 < ends)
        wide = (one == _PAREN) & (percents + 1 < ends)  # %(100): its signs become tokens one by one
        if not (pairs | wide).all():
            self._refuse(int(percents[np.argmin(pairs | wide)]), joined)
        self.rings = percents[pairs]

    def inside_of(self, bracket: int) -> str:
        """Return what stands inside of a bracket."""
        return self.codes[self.opens[bracket] + 1 : self.closes[bracket]].tobytes().decode("ascii")

    def _refuse(self, place: int, joined: str) -> None:
        row = int(np.searchsorted(self.offsets, place, side="right")) - 1
        raise DataError(
            f"Input {row} holds {joined[place]!r} at character {place - int(self.offsets[row]) + 1}: "
            f"'{self.texts[row][:60]}' is no SMILES.",
            expected="a SMILES string",
            remedy="mend or leave out this molecule; turn names and other formats into SMILES first.",
        )

    def _refuse_brackets(self) -> None:
        for row, text in enumerate(self.texts):
            depth = 0
            for place, letter in enumerate(text):
                depth += (letter == "[") - (letter == "]")
                if not 0 <= depth <= 1 or text[place : place + 2] == "[]":
                    break
            if depth != 0 or "[]" in text:
                raise DataError(
                    f"Input {row} has a bracket that is empty or has no partner: '{text[:60]}'.",
                    expected="a SMILES string",
                    remedy="mend or leave out this molecule.",
                )


def key_of(inside: str) -> int:
    """Return the key of what stands inside of a bracket; 0 where it is too long to have one."""
    return int.from_bytes(inside.encode("ascii"), "little") if len(inside) <= _KEY_BYTES else 0


def _all_text(inputs: Sequence[Any]) -> bool:
    return set(map(type, inputs)) <= {str}
