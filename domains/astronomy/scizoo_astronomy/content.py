"""What the field's objects share: equality by content, and checked arrays."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

import numpy as np


class Content:
    """Equality, hash and repr by content, so that equal observations are found wherever they stand."""

    __slots__ = ()

    def digest(self) -> str:
        """Return 16 hex digits that name the content."""
        digest = hashlib.blake2b(type(self).__name__.encode(), digest_size=8)
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            digest.update(f"|{field.name}=".encode())
            if isinstance(value, np.ndarray):
                digest.update(f"{value.dtype.kind}{value.shape}".encode())
                text = value.dtype.kind == "U"  # the width of its cells is no content
                digest.update("\n".join(value).encode() if text else np.ascontiguousarray(value).tobytes())
            elif isinstance(value, Content):
                digest.update(value.digest().encode())
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


def vector(values: Any, dtype: Any, length: int | None, what: str) -> np.ndarray:
    """Return ``values`` as an array of one dimension; a single value is repeated ``length`` times."""
    array = np.asarray(values, dtype=dtype, order="C")
    if array.ndim == 0 and length is not None:
        array = np.full(length, array[()])
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "one dimension" if length is None else f"{length} values"
        raise ValueError(f"{what} has the shape {array.shape}, not {wanted}")
    return array


def check_place(ra: float | None, dec: float | None) -> None:
    """Refuse a place that is not on the sky, in degrees."""
    for name, value, low, high in (("ra", ra, 0.0, 360.0), ("dec", dec, -90.0, 90.0)):
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, not from {low:g} to {high:g} degrees")
