"""Rows of unequal length as one flat array: what tokenizers give and the cache stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length in one array.

    Row ``i`` is ``values[offsets[i]:offsets[i + 1]]``. ``values`` may have trailing axes (a patch
    of a series, the channels of an image), may be memory-mapped, and is never copied on reading.

    Parameters
    ----------
    values : ndarray, shape (total, ...)
    offsets : ndarray of int64, shape (rows + 1,)
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows: Sequence[np.ndarray], dtype: np.dtype | type | None = None) -> Ragged:
        """Join rows end to end."""
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.concatenate(rows) if rows else np.empty(0, dtype=dtype or np.int32)
        return cls(values.astype(dtype, copy=False) if dtype else values, offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Length of each row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        for row in range(len(self)):
            yield self[row]
