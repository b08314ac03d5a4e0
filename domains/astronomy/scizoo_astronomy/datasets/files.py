"""The user's own files: what light curves, spectra and images have in common."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.readers.entry import Entry, stem

_PART_NAME = re.compile(
    r"^(?:.*[._-])?(train|training|valid|validation|val|dev|test)(?:[._-].*)?$", re.IGNORECASE
)
_PARTS = {"train": "train", "training": "train", "test": "test"}
_RA, _DEC = ("ra", "raj2000", "ra_deg"), ("dec", "decl", "dej2000", "dec_deg")


class ObjectFiles(AstronomyDataset):
    """Records from the user's own files of one kind. Subclasses say how a file is read.

    Parameters
    ----------
    path : str
        A file, folder, glob, URL or other source; or, with ``input``, a table that lists files. In a folder
        whose files are all named after parts (train, dev or validation, test), the names give the split.
    input : str, optional
        The column of the table at ``path`` that names a file in each row, relative to the table's folder.
    target : str or sequence of str, optional
        What to predict: a column of the list or of ``labels``, a column of the file that is the same for the
        whole object, or a FITS header card. Of several the target is a mapping.
    group, split : str, optional
        Likewise, what must not be split apart, and which part a record belongs to.
    id : str, optional
        Likewise, the id; by default what the file calls the object, or the file's name without its ending.
    labels : str, optional
        A table beside the files, a row an object.
    labels_id : str, optional
        Its column with the objects' ids or file names; by default the first.
    given : mapping of str to str
        Properties of the object that models may look at (``period``, ``redshift``, ``ra``, ``dec``) to the
        columns or cards that hold them. Columns called ra and dec are taken by themselves.
    max_rejected : float
        The share of objects that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    suffixes: tuple[str, ...] = ()

    def __init__(
        self,
        path: str | Path | None,
        *,
        input: str | None = None,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        labels: str | Path | None = None,
        labels_id: str | None = None,
        given: Mapping[str, str | None] | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file, folder, glob or URL",
                remedy="add data.path=FILES, and data.labels=TABLE where the classes lie in another file.",
            )
        if input is not None and labels is not None:
            raise ConfigError(
                "data.input and data.labels are both given.",
                expected="one table: a list of files (data.path with data.input), or labels beside the files",
            )
        self.path, self.cache, self.input = path, cache, input
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.group, self.split, self.id = group, split, id
        self.labels, self.labels_id = labels, labels_id
        self.given = {key: column for key, column in (given or {}).items() if column is not None}

    @abstractmethod
    def entries(self, file: Path, log: RejectionLog) -> Iterator[Entry[Any]]:
        """Yield the objects of a file; those that cannot be used are told to ``log``."""

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that are read: of the source, or those that the list names."""
        if self.input is not None:
            return sorted({file for file, _, _ in self._listed()})
        files = resolve_files(self.path, self.cache, self.suffixes)
        if self.labels is not None:
            labels = resolve(self.labels, self.cache).resolve()
            files = [file for file in files if file.resolve() != labels]
        if not files:
            raise DataError(f"{self.path} holds no file but the labels.", expected="files to read")
        return files

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        columns = [self.input, self.target, self.group, self.split, self.id, self.labels_id]
        return {"columns": columns, "given": self.given}

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        tables = [self.labels] if self.labels is not None else [self.path] if self.input is not None else []
        beside = [resolve(source, self.cache) for source in tables]
        return self._digest(fingerprint_files([*self.files, *beside]))

    def records(self) -> Iterator[Record]:
        """Yield the records; objects that cannot be used are told to ``rejections``."""
        self.left_out.clear()
        log = self.rejections
        if self.input is not None:
            for file, cells, source in self._listed(log):
                for entry in self._guarded(file, log, alone=False):
                    yield from self._record(replace(entry, source=source), cells, log)
        else:
            labels, parts = self._labels(), self._parts_by_name()
            for file in self.files:
                for entry in self._guarded(file, log, alone=len(self.files) == 1):
                    row = {} if labels is None else labels.get(entry.id) or labels.get(stem(file.name))
                    if row is None:
                        log.reject(entry.source, entry.id, f"no row of {self.labels} has its id")
                        continue
                    row = {**row, "split": parts[file]} if file in parts else row
                    yield from self._record(entry, row, log)
        self._say_left_out()

    def _guarded(self, file: Path, log: RejectionLog, alone: bool) -> Iterator[Entry[Any]]:
        """Yield a file's entries; of many files one that is damaged is one rejection."""
        try:
            yield from self.entries(file, log)
        except DataError as error:
            if alone:
                raise
            remedy = f" {error.remedy}" if error.remedy else ""
            log.reject(file.name, stem(file.name), error.problem + remedy)

    def _listed(self, log: RejectionLog | None = None) -> Iterator[tuple[Path, dict[str, Any], str]]:
        """Yield file, columns and source of each row of the list."""
        table = resolve(self.path, self.cache)
        reader = TableReader(table)
        assert self.input is not None
        reader.check(self.input, "data.input")
        for key, name in (("group", self.group), ("split", self.split), ("id", self.id)):
            if name:
                reader.check(name, f"data.{key}")
        for number, cells in reader.rows(None, log):
            source = f"{table.name}, row {number}"
            cell = cells.pop(self.input)
            file = table.parent / str(cell)
            if cell is None or not file.is_file():
                reason = (
                    f"column '{self.input}' is empty" if cell is None else f"its file {file} does not exist"
                )
                if log is not None:
                    log.reject(source, f"{table.name}:{number}", reason)
                continue
            yield file, cells, f"{source}: {cell}"

    def _labels(self) -> dict[str, dict[str, Any]] | None:
        if self.labels is None:
            return None
        reader = TableReader(resolve(self.labels, self.cache))
        key = self.labels_id or reader.columns[0]
        reader.check(key, "data.labels_id")
        found: dict[str, dict[str, Any]] = {}
        for _, cells in reader.rows():
            row = {name: value for name, value in cells.items() if name != key}
            id = str(cells[key])
            if found.setdefault(id, row) != row:
                raise DataError(
                    f"{self.labels}: '{id}' has two rows that differ.", expected="a row an object"
                )
            found.setdefault(stem(id), row)
        return found

    def _parts_by_name(self) -> dict[Path, str]:
        """Return the part of each file when all of several are named after parts."""
        if self.split or len(self.files) < 2:
            return {}
        found = {file: _PART_NAME.match(stem(file.name)) for file in self.files}
        if not all(found.values()):
            return {}
        return {f: _PARTS.get(match[1].lower(), "validation") for f, match in found.items() if match}

    def _record(self, entry: Entry[Any], row: Mapping[str, Any], log: RejectionLog) -> Iterator[Record]:
        known = {**entry.header, **entry.fields, "file": stem(entry.source.split(",")[0]), **row}
        targets = self.target if isinstance(self.target, list) else [self.target]
        named = [name for name in (*targets, self.group, self.split, self.id, *self.given.values()) if name]
        lacking = next((name for name in named if name not in known), None)
        if lacking is not None:
            reason = f"has no '{lacking}', or it changes within the object: {did_you_mean(lacking, known)}"
            log.reject(entry.source, entry.id, reason)
            return
        try:
            value = self._with_given(entry.value, known)
        except ValueError as error:
            log.reject(entry.source, entry.id, str(error))
            return
        target: Any = known[self.target] if isinstance(self.target, str) else None
        if isinstance(self.target, list):
            target = {name: known[name] for name in self.target}
        group = known[self.group] if self.group else None
        meta = {key: cell for key, cell in {**entry.fields, **row}.items() if key not in named}
        if self.split:
            meta["split"] = known[self.split]
        id = str(known[self.id]) if self.id else entry.id
        yield Record(id, value, target, None if group is None else str(group), meta, entry.source)

    def _with_given(self, value: Any, known: Mapping[str, Any]) -> Any:
        """Give the object its place on the sky and what else models may look at."""
        lowered = {name.lower(): name for name in known}
        has = {one.name for one in dataclass_fields(value)}
        new: dict[str, float] = {}
        for key, names in (("ra", _RA), ("dec", _DEC)):
            column = next((lowered[name] for name in names if name in lowered), None)
            if column is not None and key in has and getattr(value, key) is None:
                new |= _number(known[column], key, column)
        for key, column in self.given.items():
            if key not in has:
                kind = type(value).__name__
                raise ConfigError(
                    f"data.given.{key}: a {kind} has no such property: {did_you_mean(key, has)}"
                )
            new |= _number(known[column], key, column)
        return replace(value, **new) if new else value


def _number(cell: Any, key: str, column: str) -> dict[str, float]:
    if cell is None or cell == "":
        return {}
    try:
        number = float(cell)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column '{column}' holds {cell!r}, which is no number for its {key}") from error
    return {key: number} if np.isfinite(number) else {}
