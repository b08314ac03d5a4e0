"""Records to encoded windows, streamed through a cache on disk."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.cache import FORMAT, StoreWriter, TokenStore, cache_key, open_or_build
from scizoo.data.ragged import Ragged
from scizoo.data.records import Record, Rejected, check_unique_ids
from scizoo.data.tokenizer import Tokenizer
from scizoo.data.windows import Context, Window, WindowTable
from scizoo.errors import ConfigError, DataError

__all__ = ["FORMAT", "Context", "EncodedDataset", "Views", "Window", "cache_key", "encode_records"]

#: Gives the views of one input, e.g. a reading in each direction; the first is the input itself.
Views = Callable[[Any], list[Any]]

_CHUNK_RECORDS = 1000
_CHUNK_SIZE = 4_000_000  # elements of input: long records make shorter chunks, so that memory stays flat


class EncodedDataset:
    """Windows over encoded records, with special tokens added as they are read.

    Item ``i`` is a dict of arrays, one a model input, with the window's positions first: integers as
    int64, floats as float32, other types as they were stored. Inputs other than the tokenizer's main
    one hold zeros where a special token stands.

    Parameters
    ----------
    store : TokenStore
        The encoded rows.
    tokenizer : Tokenizer
        The tokenizer that made them; only its ids and main input are kept.
    context : Context

    Raises
    ------
    DataError
        When a record is longer than the context and must not be cut into windows (``context.long_records``
        is "refuse", or the tokenizer's rows are whole), or when a record has no token at all.
    ConfigError
        When the context asks for special tokens that the tokenizer does not have.
    """

    def __init__(self, store: TokenStore, tokenizer: Tokenizer | _Ids, context: Context):
        self.store = store
        self.context = context
        self.main_input: str = tokenizer.main_input
        self._cls_id: int | None = getattr(tokenizer, "cls_id", None)
        self._sep_id: int | None = getattr(tokenizer, "sep_id", None)
        self._pad_id: int = getattr(tokenizer, "pad_id", 0)
        self._whole: bool = getattr(tokenizer, "whole", False)
        for wanted, has, name in (
            (context.add_cls, self._cls_id, "add_cls"),
            (context.add_sep, self._sep_id, "add_sep"),
        ):
            if wanted and has is None:
                raise ConfigError(
                    f"context.{name} is true, but {type(tokenizer).__name__} has no special tokens.",
                    remedy=f"set context.{name}=false.",
                )
        lengths = store.arrays[self.main_input].lengths if store.arrays else np.empty(0, dtype=np.int64)
        self._check_lengths(lengths)
        self._table = WindowTable(lengths, context)

    def _check_lengths(self, lengths: np.ndarray) -> None:
        empty = np.flatnonzero(lengths == 0)
        if len(empty):
            raise DataError(
                f"{self._named(empty[0])} gives no token at all.",
                remedy="remove the record, or choose a tokenizer that can encode it.",
            )
        if self.context.long_records != "refuse" and not self._whole:
            return
        long = np.flatnonzero(lengths > self.context.payload)
        if len(long):
            many = len(np.unique(self.store.row_record[long]))
            others = f", and so do {many - 1} others" if many > 1 else ""
            raise DataError(
                f"{self._named(long[0])} has {lengths[long[0]]} tokens; that exceeds the "
                f"context of {self.context.payload}{others}.",
                expected=f"at most {self.context.payload} tokens besides special ones",
                remedy="raise context.max_length, or leave the record out; it cannot be cut into windows."
                if self._whole
                else "set context.long_records=window, or raise context.max_length.",
            )

    def _named(self, row: int) -> str:
        record = int(self.store.row_record[row])
        source = self.store.records.source(record)
        return f"record '{self.store.records.id(record)}'" + (f" ({source})" if source else "")

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        row, start, length = self._table[number]
        before, after = int(self.context.add_cls), int(self.context.add_sep)
        item: dict[str, np.ndarray] = {}
        for key, ragged in self.store.arrays.items():
            piece = ragged[row][start : start + length]
            values = np.zeros((before + length + after, *piece.shape[1:]), dtype=_item_dtype(piece.dtype))
            values[before : before + length] = piece
            if key == self.main_input:
                if before:
                    values[0] = self._cls_id
                if after:
                    values[-1] = self._sep_id
            item[key] = values
        return item

    @property
    def lengths(self) -> np.ndarray:
        """Length of each window with its special tokens; shape (windows,)."""
        return self._table.lengths

    @cached_property
    def record_index(self) -> np.ndarray:
        """Which record each window belongs to; shape (windows,)."""
        return np.asarray(self.store.row_record)[self._table.rows]

    @cached_property
    def view_index(self) -> np.ndarray:
        """Which view of its record each window shows; shape (windows,)."""
        return np.asarray(self.store.row_view)[self._table.rows]

    @cached_property
    def ends_row(self) -> np.ndarray:
        """Whether each window is the last one of its row; bool of shape (windows,)."""
        rows = np.asarray(self._table.rows)
        return np.append(rows[1:] != rows[:-1], True) if len(rows) else np.empty(0, dtype=bool)

    @property
    def view_count(self) -> int:
        """The most views any record has."""
        return int(self.store.row_view.max()) + 1 if len(self.store.row_view) else 1

    @property
    def record_count(self) -> int:
        """How many records there are."""
        return len(self.store.records)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the model inputs."""
        return tuple(self.store.arrays)

    @property
    def pad_values(self) -> dict[str, int]:
        """What pads each model input."""
        return {key: self._pad_id if key == self.main_input else 0 for key in self.store.arrays}

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Records that could not be read, also when the encoding came from the cache."""
        return self.store.rejected

    def window(self, number: int) -> Window:
        """Return which row, and which part of it, window `number` shows."""
        return self._table[number]

    def record_ids(self) -> list[str]:
        """Every record's id, in order."""
        return list(self.store.records.ids())

    def windows_of(self, records: np.ndarray) -> np.ndarray:
        """Windows of the given records, in order; shape (windows,)."""
        chosen = np.zeros(self.record_count, dtype=bool)
        chosen[records] = True
        return np.flatnonzero(chosen[self.record_index])

    def with_context(self, context: Context) -> EncodedDataset:
        """Cut the same encoding into other windows, without encoding again."""
        return EncodedDataset(self.store, _Ids(self), context)


class _Ids:
    """The part of a tokenizer that an EncodedDataset keeps."""

    def __init__(self, dataset: EncodedDataset):
        self.main_input: str = dataset.main_input
        self.whole = dataset._whole
        self.cls_id, self.sep_id, self.pad_id = dataset._cls_id, dataset._sep_id, dataset._pad_id


def _item_dtype(stored: np.dtype) -> np.dtype:
    if stored == np.uint8:  # pixels: the model's first layer scales them
        return stored
    if np.issubdtype(stored, np.integer):
        return np.dtype(np.int64)
    if np.issubdtype(stored, np.floating):
        return np.dtype(np.float32)
    return stored


def encode_records(
    records: Iterable[Record],
    tokenizer: Tokenizer,
    *,
    context: Context,
    views: Views | None = None,
    cache: Path | None = None,
    key: str = "",
    unique_ids: bool = True,
) -> EncodedDataset:
    """Encode records chunk by chunk into a cache and open it.

    Neither the records nor their tokens are ever held in memory together (unless `cache` is None,
    which keeps the tokens in memory, for inputs that are few).

    Parameters
    ----------
    records : iterable of Record
        Often a :class:`~scizoo.data.records.Dataset`. It is not read when the cache is complete.
    tokenizer : Tokenizer
    context : Context
        How long records are cut into windows when they are read.
    views : callable, optional
        Gives the views of one input; each is encoded.
    cache : Path, optional
        The folder of all caches.
    key : str
        From :func:`~scizoo.data.cache.cache_key`; needed with `cache`.
    unique_ids : bool
        Whether two records with the same id are refused.

    Returns
    -------
    EncodedDataset

    Raises
    ------
    DataError
        When a record cannot be encoded, named by its id and source; when ids are not unique.
    """

    def build(writer: StoreWriter) -> Sequence[Rejected]:
        hashes = bytearray()
        for chunk in _chunks(records):
            _encode_chunk(writer, chunk, tokenizer, views)
            if unique_ids:
                for record in chunk:
                    hashes += hashlib.blake2b(record.id.encode(), digest_size=8).digest()
        if unique_ids:
            _check_hashes(hashes, records)
        return tuple(getattr(getattr(records, "rejections", None), "rejected", ()))

    if cache is None:
        writer = StoreWriter(None)
        store = writer.finish(key, build(writer))
        assert store is not None  # a writer without a folder gives a store
    else:
        if not key:
            raise ValueError("a cache needs a key")
        store = open_or_build(Path(cache), key, build)
    return EncodedDataset(store, tokenizer, context)


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.input) if hasattr(record.input, "__len__") else 1
        if len(chunk) >= _CHUNK_RECORDS or size >= _CHUNK_SIZE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _encode_chunk(
    writer: StoreWriter, chunk: Sequence[Record], tokenizer: Tokenizer, views: Views | None
) -> None:
    inputs: list[Any] = []
    row_record: list[int] = []
    row_view: list[int] = []
    for position, record in enumerate(chunk):
        shown = views(record.input) if views is not None else [record.input]
        inputs.extend(shown)
        row_record.extend([position] * len(shown))
        row_view.extend(range(len(shown)))
    try:
        encoded = tokenizer.encode(inputs)
    except DataError as error:
        _blame(error, chunk, inputs, row_record, tokenizer)
        raise
    encoded = {key: _compact(ragged, key, tokenizer) for key, ragged in encoded.items()}
    writer.add(chunk, encoded, np.array(row_record), np.array(row_view))


def _compact(ragged: Ragged, key: str, tokenizer: Tokenizer) -> Ragged:
    # Ids of a small vocabulary take half the room on disk.
    small = getattr(tokenizer, "vocab_size", 1 << 30) <= 1 << 16
    if key == tokenizer.main_input and small and np.issubdtype(ragged.values.dtype, np.integer):
        return Ragged(ragged.values.astype(np.uint16), ragged.offsets)
    return ragged


def _blame(
    error: DataError,
    chunk: Sequence[Record],
    inputs: Sequence[Any],
    row_record: Sequence[int],
    tokenizer: Tokenizer,
) -> None:
    """Find the record that a failed chunk stumbled over, and raise with its name."""
    for row, one in enumerate(inputs):
        try:
            tokenizer.encode([one])
        except DataError as alone:
            record = chunk[row_record[row]]
            where = f" ({record.source})" if record.source else ""
            raise DataError(
                f"record '{record.id}'{where} cannot be encoded: {alone.problem}",
                expected=alone.expected,
                remedy=alone.remedy,
            ) from error


def _check_hashes(hashes: bytearray, records: Iterable[Record]) -> None:
    """Refuse equal ids; the records are read again only when two hashes agree."""
    values = np.frombuffer(bytes(hashes), dtype=np.uint64)
    order = np.argsort(values, kind="stable")
    again = np.flatnonzero(values[order][1:] == values[order][:-1])
    if not len(again):
        return
    if iter(records) is records:  # a generator cannot be read again, so the records are told by number
        first, second = order[again[0]] + 1, order[again[0] + 1] + 1
        raise DataError(
            f"records {first} and {second} have the same id.",
            expected="an id for each record that no other has",
            remedy="rename one of them, or remove it.",
        )
    suspects = set(values[order][again].tolist())
    check_unique_ids(record for record in records if _hash_id(record.id) in suspects)


def _hash_id(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), sys.byteorder)
