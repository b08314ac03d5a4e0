"""What the field's objects share: equality by content, and nothing in their repr that a file said."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

import numpy as np


class Content:
    """Equality, hash and repr by content, so that equal pictures are found wherever they stand."""

    __slots__ = ()

    def digest(self) -> str:
        """Return 16 hex digits that name the content."""
        digest = hashlib.blake2b(type(self).__name__.encode(), digest_size=8)
        for field in fields(self):  # type: ignore[arg-type]
            if not field.compare:
                continue
            value = getattr(self, field.name)
            digest.update(f"|{field.name}=".encode())
            if isinstance(value, np.ndarray):
                digest.update(f"{value.dtype.str}{value.shape}".encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(repr(value).encode())
        return digest.hexdigest()

    def _size(self) -> str:
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._size()}, content {self.digest()})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.digest() == other.digest()  # type: ignore[union-attr]

    def __hash__(self) -> int:
        return int(self.digest()[:15], 16)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def compact(values: Any) -> np.ndarray:
    """Return numbers in the smallest of uint8, int16 and float32 that holds them exactly (float32: nearly).

    One rule for every reader, so that equal pictures are equal whatever file they came in. Values that are
    not finite stay, in float32.
    """
    array = np.asarray(values)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"pixels are of the type {array.dtype}, not numbers")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    whole = array.dtype.kind in "iu" or bool(np.isfinite(array).all() and (array == np.rint(array)).all())
    if whole and array.size:
        low, high = array.min(), array.max()
        for kind in (np.uint8, np.int16):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return np.ascontiguousarray(array, dtype=kind)
    return np.ascontiguousarray(array, dtype=np.float32)
