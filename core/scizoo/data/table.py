"""Tables as records: CSV, TSV and Parquet, read lazily, with columns named by the user."""

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet

from scizoo.data.records import Dataset, Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve_files, unreadable
from scizoo.errors import DataError, did_you_mean
from scizoo.files import sha256_json

SUFFIXES = (".csv", ".tsv", ".tab", ".csv.gz", ".tsv.gz", ".tab.gz", ".parquet", ".pq")
_NULLS = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "None"])
_BATCH = 1000  # rows of a Parquet table that are held together


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row as the user named its columns; cells are None where empty.

    Parameters
    ----------
    id : str
    input : Any
    target : Any
        A mapping where several target columns were named.
    group, split : str or None
    meta : dict
        Every other column.
    source : str
        ``"mine.csv, row 12"``; rows count from 1 below the header.
    """

    id: str
    input: Any
    target: Any = None
    group: str | None = None
    split: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    source: str = ""


class TableReader:
    """One table, read lazily.

    Cells of a text table are texts, whatever they look like: what is a number depends on the task.

    Parameters
    ----------
    path : Path
        CSV, TSV (also gzipped) or Parquet.

    Raises
    ------
    DataError
        When it is missing, unreadable, empty, binary, or not of the format its name says.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.is_parquet = self.path.name.lower().endswith((".parquet", ".pq"))
        try:
            with self.path.open("rb") as stream:
                start = stream.read(4096)
        except OSError as error:
            raise unreadable(self.path, error) from error
        if not start:
            raise DataError(f"{self.path} is empty.", expected="a table with a header and at least one row")
        self._gzipped = start[:2] == b"\x1f\x8b"
        parquet = start[:4] == b"PAR1"
        if self.is_parquet != parquet:
            what = "a Parquet table" if parquet else "not a Parquet table"
            raise DataError(f"{self.path} is {what}.", expected="a file of the format its name says")
        if not (parquet or self._gzipped) and b"\0" in start:
            raise DataError(f"{self.path} is a binary file.", expected="a text table or a .parquet file")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path} is not text in UTF-8 (byte {error.object[error.start]:#x}).",
                remedy="save it as UTF-8; if it is not a table at all, name another file.",
            ) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"{self.path} is a damaged gzip file: {error}.", remedy="copy or download the file again."
            ) from error
        except csv.Error as error:
            raise DataError(f"{self.path} is not a text table: {error}.") from error
        except pa.ArrowException as error:
            raise DataError(
                f"{self.path} is a damaged Parquet table: {str(error).rstrip('.')}.",
                remedy="copy or download the file again.",
            ) from error
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _open(self) -> TextIO:
        # utf-8-sig: spreadsheets write a byte order mark.
        if self._gzipped:
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
        return self.path.open(encoding="utf-8-sig", newline="")

    @cached_property
    def _delimiter(self) -> str:
        with self._open() as stream:
            head = stream.readline()
        # Of the usual ones the most frequent in the header; a single column has none.
        usual = "\t,;" if self.path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")) else ",;\t"
        return max(usual, key=head.count)

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        with self._readable():
            if self.is_parquet:
                names = list(pyarrow.parquet.read_schema(self.path).names)
            else:
                with self._open() as stream:
                    names = [name.strip() for name in next(csv.reader(stream, delimiter=self._delimiter), [])]
        if any("\0" in name for name in names):
            raise DataError(f"{self.path} is a binary file.", expected="a text table or a .parquet file")
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise DataError(f"{self.path} has two columns '{twice[0]}'.", expected="unique column names")
        return names

    def check(self, column: str, key: str) -> None:
        """Refuse a column that the table lacks.

        Parameters
        ----------
        column : str
        key : str
            The config key that named it, for the message.
        """
        if column not in self.columns:
            raise DataError(
                f"{self.path} has no column '{column}' ({key}): {did_you_mean(column, self.columns)}",
                expected="one of its columns: " + ", ".join(self.columns),
            )

    def rows(
        self, columns: Sequence[str] | None = None, rejections: RejectionLog | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield each row's number (from 1) and its cells; empty cells are None.

        Parameters
        ----------
        columns : sequence of str, optional
            What to read; all by default. Of a Parquet table nothing else is read from disk.
        rejections : RejectionLog, optional
            Told of rows with more or fewer cells than the header; without it such a row fails.
        """
        names = list(columns) if columns is not None else self.columns
        for name in names:
            self.check(name, "columns")
        return self._parquet_rows(names) if self.is_parquet else self._text_rows(names, rejections)

    def _parquet_rows(self, names: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        with self._readable(), pyarrow.parquet.ParquetFile(self.path) as opened:
            number = 0
            for batch in opened.iter_batches(batch_size=_BATCH, columns=names):
                for cells in batch.to_pylist():
                    number += 1
                    yield number, {name: None if _empty(value) else value for name, value in cells.items()}

    def _text_rows(
        self, names: list[str], rejections: RejectionLog | None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        csv.field_size_limit(min(sys.maxsize, (1 << 31) - 1))  # a cell may be very long
        places = [(name, self.columns.index(name)) for name in names]
        width = len(self.columns)
        with self._readable(), self._open() as stream:
            reader = csv.reader(stream, delimiter=self._delimiter)
            next(reader)
            number = 0
            for cells in reader:
                if not cells:  # an empty line
                    continue
                number += 1
                if len(cells) != width:
                    reason = f"has {len(cells)} cells, the header has {width}"
                    source = f"{self.path.name}, row {number}"
                    if rejections is None:
                        raise DataError(
                            f"{source} {reason}.", remedy="mend the row; quote cells with commas."
                        )
                    rejections.reject(source, f"{self.path.name}:{number}", reason)
                    continue
                yield number, {name: None if _empty(cells[place]) else cells[place] for name, place in places}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in _NULLS)


def read_table(
    path: Path, columns: Sequence[str] | None = None, rejections: RejectionLog | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read one table; see :meth:`TableReader.rows`."""
    return TableReader(path).rows(columns, rejections)


class TableRecords(Dataset):
    """Records from the rows of one or more tables. A domain overrides :meth:`parse`.

    Parameters
    ----------
    path : str
        A file, folder, glob, URL or other source; see :func:`~scizoo.data.sources.resolve_files`.
    input : str
        The column with the inputs.
    target : str or sequence of str, optional
        The column or columns to predict; of several the target is a mapping.
    group : str, optional
        The column with the groups.
    split : str, optional
        The column that names the parts; it is kept as ``meta["split"]``.
    id : str, optional
        The column with the ids; by default file and row.
    max_rejected : float
        The share of rows that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        input: str,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        self.path, self.cache = path, cache
        self.input, self.group, self.split, self.id = input, group, split, id
        self.target = target if target is None or isinstance(target, str) else list(target)

    @cached_property
    def files(self) -> list[Path]:
        """The tables that are read."""
        return resolve_files(self.path, self.cache, SUFFIXES)

    @property
    def name(self) -> str:
        """The file, folder, glob or URL that is read."""
        return str(self.path)

    def settings(self) -> dict[str, Any]:
        """Return what changes the records beside the files; a domain adds its own options."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "columns": [self.input, self.target, self.group, self.split, self.id],
        }

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return sha256_json({"files": fingerprint_files(self.files), "settings": self.settings()})

    def parse(self, value: Any, row: TableRow) -> Any:
        """Turn a cell into the field's object.

        Raises
        ------
        ValueError
            When it cannot be read; the row is rejected with this reason.
        """
        return value

    def parse_target(self, value: Any, row: TableRow) -> Any:
        """Turn the target of a row into the field's object, such as the document of a task of retrieval.

        Raises
        ------
        ValueError
            When it cannot be read; the row is rejected with this reason.
        """
        return value

    def documents(self) -> Iterator[Record]:
        """Yield the documents of the column `target`; a table of documents needs no column `input`.

        Raises
        ------
        DataError
            When no column, or more than one, is named for them, or too many rows have none.
        """
        if not isinstance(self.target, str):
            raise DataError(
                f"{self.name}: data.target={self.target} names no column of documents.",
                expected="data.target=COLUMN",
            )
        self.rejections = RejectionLog(self.max_rejected)
        for row in self.rows(documents=True):
            try:
                value = self.parse_target(row.target, row)
            except ValueError as error:
                self.rejections.reject(row.source, row.id, str(error))
                continue
            self.rejections.accept()
            yield Record(row.id, value, None, row.group, row.meta, row.source)
        self.rejections.check(self.name)

    def rows(self, documents: bool = False) -> Iterator[TableRow]:
        """Yield the rows by the user's columns; rows without an input are rejected.

        With ``documents`` the targets alone are read: rows without one are rejected, and nothing else need
        be there.
        """
        targets = [self.target] if isinstance(self.target, str) else self.target or []
        named: list[tuple[str, str | None]] = [] if documents else [("data.input", self.input)]
        named += [("data.target", name) for name in targets]
        if not documents:
            named += [("data.group", self.group), ("data.split", self.split)]
        named += [("data.id", self.id)]
        used = {column for _, column in named if column}
        for file in self.files:
            reader = TableReader(file)
            for key, column in named:
                if column:
                    reader.check(column, key)
            for number, cells in reader.rows(None, self.rejections):
                source = f"{file.name}, row {number}"
                id = cells[self.id] if self.id else f"{file.name}:{number}"
                needed = str(self.target) if documents else self.input
                if cells[needed] is None:
                    self.rejections.reject(source, str(id), f"column '{needed}' is empty")
                    continue
                if id is None:
                    self.rejections.reject(source, "", f"column '{self.id}' is empty")
                    continue
                yield TableRow(
                    id=str(id),
                    input=None if documents else cells[self.input],
                    target=cells[self.target]
                    if isinstance(self.target, str)
                    else {name: cells[name] for name in targets} or None,
                    group=_text(cells[self.group]) if self.group and not documents else None,
                    split=_text(cells[self.split]) if self.split and not documents else None,
                    meta={name: value for name, value in cells.items() if name not in used},
                    source=source,
                )

    def records(self) -> Iterator[Record]:
        """Yield the records; rows that :meth:`parse` refuses are rejected."""
        for row in self.rows():
            try:
                value = self.parse(row.input, row)
                target = row.target if row.target is None else self.parse_target(row.target, row)
            except ValueError as error:
                self.rejections.reject(row.source, row.id, str(error))
                continue
            meta = {**row.meta, "split": row.split} if self.split else row.meta
            yield Record(row.id, value, target, row.group, meta, row.source)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
