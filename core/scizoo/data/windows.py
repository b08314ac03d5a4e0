"""How records that are longer than a model's context become windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from scizoo.errors import ConfigError, did_you_mean

LONG_RECORDS = ("window", "refuse")
LAST_WINDOW = ("shift", "partial")


@dataclass(frozen=True)
class Context:
    """How much of a record a model sees at once.

    Parameters
    ----------
    max_length : int
        Positions in the model's context, special tokens included.
    long_records : {"window", "refuse"}
        What happens to a record that does not fit. It is never cut in silence.
    stride : int, optional
        Distance between the starts of two windows; by default they do not overlap.
    add_cls, add_sep : bool
        Whether each window begins with the CLS token and ends with the SEP token.
    last_window : {"shift", "partial"}
        Whether the last window of a long record is moved back to its end, so that all its windows
        are full, or holds only what remains (each token is then seen once, as language models want).
    """

    max_length: int
    long_records: str = "window"
    stride: int | None = None
    add_cls: bool = False
    add_sep: bool = False
    last_window: str = "shift"

    def __post_init__(self) -> None:
        for key, choices in (("long_records", LONG_RECORDS), ("last_window", LAST_WINDOW)):
            value = getattr(self, key)
            if value not in choices:
                raise ConfigError(
                    f"context.{key}={value} is not known: {did_you_mean(str(value), choices)}",
                    expected=" or ".join(choices),
                )
        if self.payload < 1:
            raise ConfigError(
                f"context.max_length={self.max_length} leaves no room for the record "
                f"beside {self.specials} special tokens.",
                remedy="raise context.max_length.",
            )
        if self.stride is not None and not 1 <= self.stride <= self.payload:
            raise ConfigError(
                f"context.stride={self.stride} would leave gaps between windows or never advance.",
                expected=f"a number from 1 to {self.payload} (max_length less the special tokens)",
            )

    @property
    def specials(self) -> int:
        """How many special tokens each window gets."""
        return int(self.add_cls) + int(self.add_sep)

    @property
    def payload(self) -> int:
        """How many tokens of the record fit in one window."""
        return self.max_length - self.specials

    def to_dict(self) -> dict[str, Any]:
        """Return the plain settings with which the constructor gives this context again."""
        return asdict(self)


class Window(NamedTuple):
    """One piece of one encoded row: ``row[start : start + length]``, special tokens not counted."""

    row: int
    start: int
    length: int


class WindowTable:
    """The windows of many rows, worked out from the rows' lengths alone.

    Only a running count per row is kept, so that a table over millions of windows stays small.

    Parameters
    ----------
    row_lengths : ndarray of int, shape (rows,)
        Tokens in each row, without special tokens.
    context : Context
        The window's size, stride and special tokens.
    """

    def __init__(self, row_lengths: np.ndarray, context: Context):
        self.row_lengths = row_lengths
        self.context = context
        payload, stride = context.payload, context.stride or context.payload
        self._stride = stride
        beyond = np.maximum(np.asarray(row_lengths, dtype=np.int64) - payload, 0)
        self.counts = -(-beyond // stride) + 1
        self._ends = np.cumsum(self.counts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> Window:
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(number)
        row = int(np.searchsorted(self._ends, number, side="right"))
        step = number - int(self._ends[row] - self.counts[row])
        total, payload = int(self.row_lengths[row]), self.context.payload
        start = step * self._stride
        if self.context.last_window == "shift":
            start = min(start, max(total - payload, 0))
        return Window(row, start, min(payload, total - start))

    @cached_property
    def rows(self) -> np.ndarray:
        """Row of each window; shape (windows,)."""
        return np.repeat(np.arange(len(self.counts), dtype=np.int64), self.counts)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each window with its special tokens; shape (windows,), int32."""
        payload = self.context.payload
        lengths = np.full(len(self), payload, dtype=np.int32)
        last = self._ends - 1
        totals = np.asarray(self.row_lengths, dtype=np.int64)
        if self.context.last_window == "shift":
            lengths[last] = np.minimum(totals, payload)
        else:
            lengths[last] = totals - (self.counts - 1) * self._stride
        return lengths + np.int32(self.context.specials)
