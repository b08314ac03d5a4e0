"""The user's own music: MIDI, MusicXML, ABC, Humdrum, or a table with ABC texts or names of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Dataset, Record
from scizoo.data.sources import fingerprint_files, resolve_files
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.abc.plain import plain_abc
from scizoo_music.abc.tunes import read_tune
from scizoo_music.pieces import Piece, as_piece
from scizoo_music.readers.detect import SUFFIXES, music_format, read_pieces
from scizoo_music.readers.entry import Entry
from scizoo_music.writing import as_abc

_FORMS = ("as_is", "abc", "notes")


class MusicFiles(Dataset):
    """Records from the user's own files of notes.

    Parameters
    ----------
    path : str, optional
        A file, folder, glob, URL or other source. A table has a row a piece: its ABC text, or the name of a
        file beside the table.
    input : str
        Of a table: the column with the text or name.
    target : str, optional
        What to predict: a column of the table, or what files state: ``key``, ``meter``, ``composer``,
        ``rhythm``, ``folder`` (the name of the file's folder).
    group, split, id : str, optional
        Likewise, what must not be split apart, which part a record belongs to, and the ids.
    form : {"as_is", "abc", "notes"}
        What ``Record.input`` is. ``abc``: plain ABC text, into which melodies from MIDI and scores are
        written; what has several voices is rejected. ``notes``: a Piece. ``as_is``: text where a file has
        ABC, else a Piece.
    voice : int, optional
        Read this voice alone, counted from 0.
    max_rejected : float
        The share of records that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "abc",
        target: str | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        form: str = "as_is",
        voice: int | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.", expected="a file or folder of music", remedy="add data.path=FILE."
            )
        if form not in _FORMS:
            raise ConfigError(f"data.form={form}: {did_you_mean(form, _FORMS)}")
        self.path, self.cache = path, cache
        self.input, self.target, self.group, self.split, self.id = input, target, group, split, id
        self.form, self.voice = form, voice

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the records."""
        return resolve_files(self.path, self.cache, SUFFIXES)

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        named = [self.input, self.target, self.group, self.split, self.id, self.form, self.voice, 1]
        return sha256_json({"files": fingerprint_files(self.files), "options": named})

    def records(self) -> Iterator[Record]:
        """Yield the records; what cannot be read is told to ``rejections``."""
        several = len(self.files) > 1
        seen: dict[str, int] = {}
        for file in self.files:
            for entry in self._entries(file):
                try:
                    record = self._record(entry, file)
                except (DataError, ValueError) as error:
                    reason = error.problem if isinstance(error, DataError) else str(error)
                    self.rejections.reject(entry.source, entry.id, reason)
                    continue
                if several and not self.id:  # two folders may hold files of one name
                    seen[record.id] = seen.get(record.id, 0) + 1
                    if seen[record.id] > 1:
                        record = _renamed(record, f"{file.parent.name}/{record.id}")
                yield record

    def _entries(self, file: Path) -> Iterator[Entry]:
        if music_format(file) != "table":
            yield from read_pieces(file, self.rejections)
            return
        reader = TableReader(file)
        for key, name in (("input", self.input), ("target", self.target), ("group", self.group)):
            if name:
                reader.check(name, f"data.{key}")
        for key, name in (("split", self.split), ("id", self.id)):
            if name:
                reader.check(name, f"data.{key}")
        for number, cells in reader.rows(rejections=self.rejections):
            source = f"{file.name}, row {number}"
            id = str(cells[self.id]) if self.id and cells[self.id] is not None else f"{_stem(file)}-{number}"
            text = cells[self.input]
            if not text:
                self.rejections.reject(source, id, f"'{self.input}' is empty")
                continue
            yield from self._cell(str(text), id, source, file, cells)

    def _cell(
        self, text: str, id: str, source: str, table: Path, cells: Mapping[str, Any]
    ) -> Iterator[Entry]:
        """Read one cell: a file's name, or ABC text, whose line ends may be a backslash and n."""
        rest = {key: value for key, value in cells.items() if key != self.input}
        text = text.replace("\\n", "\n")
        if "K:" in text:
            try:
                read_tune(text)
            except DataError as error:
                self.rejections.reject(source, id, error.problem)
                return
            yield Entry(id, text, rest, source)
            return
        beside = table.parent / text
        if not beside.is_file():
            self.rejections.reject(
                source, id, f"'{text[:60]}' is neither ABC text nor a file beside the table"
            )
            return
        yield from (
            Entry(id, one.input, {**one.meta, **rest}, source) for one in read_pieces(beside, self.rejections)
        )

    def _record(self, entry: Entry, file: Path) -> Record:
        meta = {**entry.meta, "folder": file.parent.name}
        for key in (self.target, self.group, self.split):
            if key and meta.get(key) is None:
                known = [name for name, value in meta.items() if value is not None]
                raise DataError(f"it states no '{key}': {did_you_mean(key, known)}")
        target, group = (meta.pop(key) if key else None for key in (self.target, self.group))
        if self.split:
            meta["split"] = meta.pop(self.split)
        return Record(
            entry.id,
            self._formed(entry.input),
            target,
            None if group is None else str(group),
            meta,
            entry.source,
        )

    def _formed(self, value: Piece | str) -> Piece | str:
        if self.voice is not None:
            piece = as_piece(value)
            try:
                value = piece.part(self.voice)
            except ValueError as error:
                raise DataError(f"it has no voice {self.voice}, only {piece.voices}.") from error
        if self.form == "notes":
            return as_piece(value)
        if self.form == "abc":
            return plain_abc(value) if isinstance(value, str) else as_abc(value)
        return value


def _renamed(record: Record, id: str) -> Record:
    return Record(id, record.input, record.target, record.group, record.meta, record.source)


def _stem(file: Path) -> str:
    return file.name.split(".", 1)[0]
