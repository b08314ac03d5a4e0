"""The tokenised cache: flat files that are written once, memory-mapped, and checked when opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

from scizoo.data.ragged import Ragged
from scizoo.data.records import Record, Rejected
from scizoo.errors import DataError
from scizoo.files import atomic_dir, machine_faults, sha256_json

FORMAT = 1
MANIFEST = "manifest.json"
_SIDECAR = "records.arrow"
_SCHEMA = pa.schema(
    [("id", pa.string()), ("group", pa.string()), ("source", pa.string()), ("meta", pa.string())]
)
_ROW_ARRAYS: dict[str, np.dtype[Any]] = {
    "offsets": np.dtype(np.int64),
    "row_record": np.dtype(np.int64),
    "row_view": np.dtype(np.int16),
}


def cache_key(dataset: str, tokenizer: str, views: str = "") -> str:
    """Name an encoding by what it depends on.

    The context is no part of it: windows are worked out when the cache is read, so that one cache
    serves every context length.

    Parameters
    ----------
    dataset, tokenizer : str
        Their fingerprints.
    views : str
        A fingerprint of the views taken of each record.
    """
    return sha256_json({"format": FORMAT, "dataset": dataset, "tokenizer": tokenizer, "views": views})


class RecordTable:
    """What is known of each record beside its tokens: id, group, source and other columns."""

    def __init__(self, table: pa.Table):
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def id(self, record: int) -> str:
        """Id of one record."""
        return self._table["id"][int(record)].as_py()

    def source(self, record: int) -> str:
        """Where one record was read."""
        return self._table["source"][int(record)].as_py()

    def group(self, record: int) -> str | None:
        """Group of one record."""
        return self._table["group"][int(record)].as_py()

    def meta(self, record: int) -> dict[str, Any]:
        """Return the other columns of one record."""
        return json.loads(self._table["meta"][int(record)].as_py())

    def ids(self) -> Iterator[str]:
        """Every id, in order, read piece by piece."""
        return self._column("id")

    def groups(self) -> Iterator[str | None]:
        """Every group, in order, read piece by piece."""
        return self._column("group")

    def _column(self, name: str) -> Iterator[Any]:
        for piece in self._table[name].chunks:
            yield from piece.to_pylist()


@dataclass(frozen=True)
class TokenStore:
    """Encoded rows and the records they come from.

    Parameters
    ----------
    arrays : dict of str to Ragged
        Model inputs, one row a record and view; all share one set of offsets.
    row_record, row_view : ndarray, shape (rows,)
        Which record and which of its views a row encodes.
    records : RecordTable
    rejected : tuple of Rejected
        Records that could not be read when the cache was built.
    folder : Path or None
        Where it lies; None when it is held in memory.
    """

    arrays: dict[str, Ragged]
    row_record: np.ndarray
    row_view: np.ndarray
    records: RecordTable
    rejected: tuple[Rejected, ...] = ()
    folder: Path | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A memory map pickles as a full copy; a worker process opens the files again instead.
        if self.folder is not None:
            return open_store, (self.folder,)
        return TokenStore, (self.arrays, self.row_record, self.row_view, self.records, self.rejected, None)


class StoreWriter:
    """Appends encoded rows to files in a folder, or to lists in memory.

    Parameters
    ----------
    folder : Path or None
        An empty folder to fill; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._pieces: dict[str, list[np.ndarray]] = {}
        self._batches: list[pa.RecordBatch] = []
        self._layout: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._records = self._rows = self._total = 0
        self._sink = pa.OSFile(str(folder / _SIDECAR), "wb") if folder else None
        self._sidecar = pa.ipc.new_file(self._sink, _SCHEMA) if folder else None
        self._append("offsets", np.zeros(1, dtype=np.int64))

    def _append(self, name: str, values: np.ndarray) -> None:
        if self.folder is None:
            self._pieces.setdefault(name, []).append(values)
            return
        if name not in self._files:
            self._files[name] = (self.folder / f"{name}.bin").open("wb")
        self._files[name].write(np.ascontiguousarray(values).tobytes())

    def add(
        self,
        records: Sequence[Record],
        encoded: Mapping[str, Ragged],
        row_record: np.ndarray,
        row_view: np.ndarray,
    ) -> None:
        """Append some records and the rows they were encoded into.

        Parameters
        ----------
        records : sequence of Record
        encoded : mapping of str to Ragged
            One row a record and view.
        row_record : ndarray of int, shape (rows,)
            Position in `records` of the record of each row.
        row_view : ndarray of int, shape (rows,)
            The view each row encodes.
        """
        if not self._layout:
            self._layout = {k: (r.values.dtype, r.values.shape[1:]) for k, r in encoded.items()}
        if set(encoded) != set(self._layout):
            raise ValueError(f"the tokenizer gave {sorted(encoded)} after {sorted(self._layout)}")
        lengths = next(iter(encoded.values())).lengths
        for key, ragged in encoded.items():
            dtype, trailing = self._layout[key]
            if len(ragged) != len(row_record) or not np.array_equal(ragged.lengths, lengths):
                raise ValueError(f"the tokenizer's '{key}' has rows of other lengths than its other outputs")
            values = ragged.values[ragged.offsets[0] : ragged.offsets[-1]]
            if len(values) and values.shape[1:] != trailing:
                raise ValueError(f"the tokenizer's '{key}' has shape {values.shape[1:]} after {trailing}")
            self._append(f"values.{key}", values.reshape(-1, *trailing).astype(dtype, casting="same_kind"))
        self._append("offsets", self._total + np.cumsum(lengths, dtype=np.int64))
        self._append("row_record", (self._records + np.asarray(row_record)).astype(np.int64))
        self._append("row_view", np.asarray(row_view).astype(np.int16))
        columns = [
            [record.id for record in records],
            [record.group for record in records],
            [record.source for record in records],
            [json.dumps(dict(record.meta), default=str) for record in records],
        ]
        batch = pa.record_batch([pa.array(c, pa.string()) for c in columns], schema=_SCHEMA)
        if self._sidecar is not None:
            self._sidecar.write_batch(batch)
        else:
            self._batches.append(batch)
        self._records += len(records)
        self._rows += len(row_record)
        self._total += int(lengths.sum())

    def finish(self, key: str, rejected: Sequence[Rejected] = ()) -> TokenStore | None:
        """Close the files and write the manifest; in memory, return the store."""
        if self.folder is None:
            return self._in_memory(rejected)
        self.close()
        if rejected:
            lines = [json.dumps([r.source, r.id, r.reason]) + "\n" for r in rejected]
            (self.folder / "rejected.jsonl").write_text("".join(lines), encoding="utf-8")
        manifest = {
            "format": FORMAT,
            "key": key,
            "records": self._records,
            "rows": self._rows,
            "arrays": {k: {"dtype": d.str, "trailing": list(t)} for k, (d, t) in self._layout.items()},
            "sizes": {p.name: p.stat().st_size for p in sorted(self.folder.iterdir())},
        }
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        return None

    def close(self) -> None:
        """Close whatever is still open; the folder is the caller's to remove."""
        for stream in self._files.values():
            stream.close()
        sidecar, self._sidecar = self._sidecar, None  # closing it twice would write its footer twice
        if sidecar is not None and self._sink is not None:
            sidecar.close()
            self._sink.close()

    def _in_memory(self, rejected: Sequence[Rejected]) -> TokenStore:
        def joined(name: str, dtype: np.dtype) -> np.ndarray:
            return np.concatenate(self._pieces.get(name, [np.empty(0, dtype)]))

        rows = {name: joined(name, dtype) for name, dtype in _ROW_ARRAYS.items()}
        arrays = {k: Ragged(joined(f"values.{k}", d), rows["offsets"]) for k, (d, _) in self._layout.items()}
        table = RecordTable(pa.Table.from_batches(self._batches, _SCHEMA))
        return TokenStore(arrays, rows["row_record"], rows["row_view"], table, tuple(rejected))


def _mapped(path: Path, dtype: np.dtype, trailing: tuple[int, ...] = ()) -> np.ndarray:
    if not path.exists() or path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty((0, *trailing), dtype)
    return np.memmap(path, dtype=dtype, mode="r").reshape(-1, *trailing)


def open_store(folder: Path) -> TokenStore:
    """Open a cache that :class:`StoreWriter` wrote, memory-mapped.

    Raises
    ------
    DataError
        When a file is missing or does not have the size that the manifest states.
    """
    damaged = f"the cache {folder} is damaged"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(f"{damaged}: format {manifest['format']}, expected {FORMAT}.")
        for name, size in manifest["sizes"].items():
            found = (folder / name).stat().st_size
            if found != size:
                raise DataError(f"{damaged}: {name} has {found} bytes, expected {size}.")
        rows = {name: _mapped(folder / f"{name}.bin", dtype) for name, dtype in _ROW_ARRAYS.items()}
        arrays = {
            key: Ragged(
                _mapped(folder / f"values.{key}.bin", np.dtype(made["dtype"]), tuple(made["trailing"])),
                rows["offsets"],
            )
            for key, made in manifest["arrays"].items()
        }
        with pa.memory_map(str(folder / _SIDECAR)) as source:
            records = RecordTable(pa.ipc.open_file(source).read_all())
        rejected: list[Rejected] = []
        if "rejected.jsonl" in manifest["sizes"]:
            lines = (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
            rejected = [Rejected(*json.loads(line)) for line in lines]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{damaged}: {error}") from error
    if len(rows["row_record"]) != manifest["rows"] or len(records) != manifest["records"]:
        raise DataError(f"{damaged}: it holds other rows than its manifest says.")
    return TokenStore(arrays, rows["row_record"], rows["row_view"], records, tuple(rejected), folder)


def open_or_build(cache: Path, key: str, build: Callable[[StoreWriter], Sequence[Rejected]]) -> TokenStore:
    """Open the cache named `key`, building it first where it is missing or damaged.

    Safe under concurrent runs: one builds while the others wait. A build that is killed leaves
    nothing under the cache's name, and the next one removes what it had begun.

    Parameters
    ----------
    cache : Path
        The folder that holds all caches.
    key : str
        See :func:`cache_key`.
    build : callable
        Fills the writer and returns the rejected records.
    """
    name = key if key.isalnum() else hashlib.sha256(key.encode()).hexdigest()
    folder = cache / name
    store = _open_if_good(folder)
    if store is not None:
        return store
    with machine_faults(folder):
        cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{name}.lock"):
        store = _open_if_good(folder)  # another run may have built it while this one waited
        if store is not None:
            return store
        # This run holds the lock, so whatever temporary is here belongs to a build that was killed.
        for leftover in cache.glob(f".{name}.*.tmp"):
            _remove_tree(leftover)
        with atomic_dir(folder) as temporary:
            writer = StoreWriter(temporary)
            try:
                writer.finish(key, build(writer))
            finally:
                writer.close()
    return open_store(folder)


def _open_if_good(folder: Path) -> TokenStore | None:
    if not folder.exists():
        return None
    try:
        return open_store(folder)
    except DataError:
        return None


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
