"""The user's own source code: folders, git checkouts, single files, JSON lines and tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from scizoo.config import instantiate
from scizoo.data.records import Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.table import SUFFIXES as TABLES
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError
from scizoo_code.datasets.base import SourceDataset
from scizoo_code.datasets.columns import find_column, standard_fields
from scizoo_code.datasets.parts import parts_by_name
from scizoo_code.preparation.licences import LicenceFinder
from scizoo_code.preparation.pipeline import Preparation
from scizoo_code.readers.entry import Entry
from scizoo_code.readers.files import FileReader, one_file
from scizoo_code.readers.lines import SUFFIXES as LINES
from scizoo_code.readers.lines import is_lines, read_lines
from scizoo_code.readers.trees import SourceFile, SourceTree

log = logging.getLogger(__name__)


class SourceFiles(SourceDataset):
    """Source files as records: ``Record.input`` is the text, ``Record.group`` the repository.

    Parameters
    ----------
    path : str, optional
        A folder or git checkout (or a folder of many), a source file, JSON lines, a table, a glob, a URL. Of
        a folder without source files its JSON lines and tables are read.
    input : str
        Of JSON lines and tables: the key with the source; other usual names of it are found.
    target : str, optional
        What to predict: a column, such as ``language``, or a key of the table.
    group : str, optional
        A column of what must not be split apart: ``repository`` (the default), ``package`` (the first folder
        within the repository) or one of the table.
    split : str, optional
        A column that says train, validation or test. Files of JSON lines and tables that are all named after
        parts give the split.
    id : str, optional
        A column with ids; by default the path, or file and row.
    languages : sequence of str, optional
        Read only these.
    exclude : sequence of str
        Globs of paths below the folder that are left out.
    max_bytes : int
        Larger files are left out.
    encoding : str, optional
        Of files without a byte-order mark; by default told file by file.
    generated, minified : bool
        Whether generated and minified files are read.
    prepare : Preparation or mapping, optional
        Filters, removal of duplicates and redaction:
        :class:`~scizoo_code.preparation.pipeline.Preparation`.
    limit : int, optional
        Read only so many records.
    max_rejected : float
        The share of files that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "content",
        target: str | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        languages: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        max_bytes: int = 1_000_000,
        encoding: str | None = None,
        generated: bool = False,
        minified: bool = False,
        prepare: Preparation | dict[str, Any] | None = None,
        limit: int | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a folder of source code, a source file, JSON lines or a table",
                remedy="add data.path=FOLDER.",
            )
        if limit is not None and limit < 1:
            raise ConfigError(f"data.limit={limit}", expected="a whole number from 1, or null for all")
        self.path, self.cache, self.limit = path, cache, limit
        self.input, self.target, self.group, self.split, self.id = input, target, group, split, id
        self.exclude = list(exclude)
        self.reader = FileReader(
            None if languages is None else list(languages), max_bytes, encoding, generated, minified
        )
        self.prepare = instantiate(prepare) if isinstance(prepare, dict) else prepare

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def root(self) -> Path | None:
        """The folder that is read as a source tree; None where files are read."""
        if any(mark in str(self.path) for mark in "*?[") and not Path(str(self.path)).expanduser().exists():
            return None
        found = resolve(self.path, self.cache)
        if not found.is_dir():
            return None
        files = list(self._tree(found).files())
        if any(_tabular(file.path) for file in files) and not any(map(self._wanted, files)):
            return None
        return found

    @cached_property
    def files(self) -> list[SourceFile]:
        """The files that are opened, in order."""
        if self.root is not None:
            tree = self._tree(self.root)
            found = list(tree.files())
            for reason, count in tree.skipped.items():
                log.info("%s: not looked into: %d %s.", self.name, count, reason)
            return found
        paths = resolve_files(self.path, self.cache)
        if len(paths) > 1:
            tabular = [path for path in paths if _tabular(path)]
            paths = tabular or paths
        return [one_file(path) for path in paths]

    def _tree(self, root: Path) -> SourceTree:
        return SourceTree(root, self.exclude)

    def _wanted(self, file: SourceFile) -> bool:
        from scizoo_code.languages import language_of

        language = language_of(file.path.name)
        wanted = self.reader.languages
        return language is not None and (wanted is None or language in wanted)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        reader = self.reader
        return {
            "columns": [self.input, self.target, self.group, self.split, self.id],
            "languages": None if reader.languages is None else sorted(reader.languages),
            "reading": [reader.max_bytes, reader.encoding, reader.generated, reader.minified],
            "exclude": self.exclude,
            "limit": self.limit,
            "prepare": None if self.prepare is None else self.prepare.settings(),
        }

    @cached_property
    def _content(self) -> str:
        """Digest of the names and contents of what can be read."""
        small = [file for file in self.files if _size(file.path) <= max(self.reader.max_bytes, 1)]
        tables = [file for file in self.files if _tabular(file.path)]
        chosen = {file.relative: file.path for file in [*small, *tables]}
        names = "\n".join(chosen) if self.root is not None else ""
        return fingerprint_files(chosen.values()) + names

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        return self._digest(self._content)

    def entries(self, rejections: RejectionLog) -> Iterator[Entry]:
        """Yield the source files, prepared where ``prepare`` says so."""
        if self.prepare is None:
            return self._entries(rejections)
        key = self._digest(self._content)
        return self.prepare.run(self._entries, rejections, name=self.name, key=key, before=self.left_out)

    def _entries(self, rejections: RejectionLog) -> Iterator[Entry]:
        self._begin()
        self.reader.begin(self.left_out, self._note)
        finder = LicenceFinder(self.root) if self.root is not None else None
        for file in self.files:
            if self.root is None and _tabular(file.path):
                yield from self._rows(file, rejections)
                continue
            for entry in self.reader.file(file, rejections, named=self.root is None):
                fields = dict(entry.fields)
                fields["licence"] = self._licence(finder, file, entry.text)
                yield Entry(entry.id, entry.text, fields, entry.source)
        self._say()

    def _licence(self, finder: LicenceFinder | None, file: SourceFile, text: str) -> str:
        found = (finder or LicenceFinder(file.path.parent)).of(file.path, text)
        return found or "unknown"

    def _say(self) -> None:
        super()._say()
        other = {
            name: count for name, count in self.reader.encodings.items() if name not in ("utf-8", "ascii")
        }
        if other:
            told = [
                f"{count} in {name}"
                + (f" ({self.reader.guessed[name]} guessed)" if self.reader.guessed[name] else "")
                for name, count in sorted(other.items())
            ]
            log.info("%s: files that are not in UTF-8: %s.", self.name, ", ".join(told))

    def _rows(self, file: SourceFile, rejections: RejectionLog) -> Iterator[Entry]:
        named = {f"data.{key}": name for key, name in self._named().items()}
        if is_lines(file.path):
            rows: Iterator[tuple[int, str, dict[str, Any]]] = read_lines(file.path, rejections, named)
        else:
            reader = TableReader(file.path)
            for key, column in named.items():
                reader.check(column, key)
            rows = ((n, f"{file.path.name}, row {n}", cells) for n, cells in reader.rows(None, rejections))
        content: str | None = None
        for number, source, cells in rows:
            id = (
                str(cells[self.id])
                if self.id and cells.get(self.id) is not None
                else f"{file.path.name}:{number}"
            )
            if content is None:
                content = self._content_column(file.path, cells)
            text = cells.pop(content, None)
            if not isinstance(text, str) or not text.strip():
                rejections.reject(source, id, f"'{content}' is empty")
            elif len(text) > self.reader.max_bytes:
                self.left_out["too large"] += 1
                self._note(f"too large: {len(text) / 1e6:.1f} MB", source)
            else:
                yield Entry(id, text, standard_fields(cells), source)

    def _content_column(self, path: Path, cells: dict[str, Any]) -> str:
        found = find_column(self.input, cells)
        if found is None:
            raise DataError(
                f"{path} has no '{self.input}' (data.input).",
                expected="one of its columns: " + ", ".join(map(str, cells)),
                remedy="add data.input=COLUMN, the one that holds the source.",
            )
        if found != self.input:
            log.info("%s: column '%s' is taken for data.input=%s.", path, found, self.input)
        return found

    def _named(self) -> dict[str, str]:
        """Give the columns that the user named, by config key."""
        keys = ("target", "group", "split", "id")
        return {key: name for key in keys if (name := getattr(self, key)) is not None}

    def records(self) -> Iterator[Record]:
        """Yield the records; what cannot be read is told to ``rejections``."""
        yield from islice(self._records(), self.limit)

    def _records(self) -> Iterator[Record]:
        parts = (
            parts_by_name([file.path for file in self.files]) if self.root is None and not self.split else {}
        )
        for entry in self.entries(self.rejections):
            record = self.record(entry, self.rejections, parts.get(entry.source.partition(", ")[0]))
            if record is not None:
                yield record

    def record(self, entry: Entry, rejections: RejectionLog, part: str | None = None) -> Record | None:
        """Make a record of a file; None where it lacks a column, which is told."""
        fields = dict(entry.fields)
        lacking = next((name for name in self._named().values() if fields.get(name) is None), None)
        if lacking is not None:
            rejections.reject(entry.source, entry.id, f"has no '{lacking}'")
            return None
        group = fields.get(self.group or "repository")
        meta = {key: value for key, value in fields.items() if key not in (self.target, self.split, self.id)}
        if self.split or part:
            meta["split"] = fields[self.split] if self.split else part
        target = fields[self.target] if self.target else None
        return Record(entry.id, entry.text, target, None if group is None else str(group), meta, entry.source)


def _tabular(path: Path) -> bool:
    return path.name.lower().endswith((*LINES, *TABLES))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
