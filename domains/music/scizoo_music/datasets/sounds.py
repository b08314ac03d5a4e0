"""The user's own recordings, with their labels in a table or in the names of folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Dataset, Record
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo.files import sha256_json
from scizoo_music.readers.audio import SUFFIXES, read_sound

#: A target or group of this name is the name of the folder that a file lies in.
FOLDER = "folder"


class SoundFiles(Dataset):
    """Records from the user's own sound files.

    Parameters
    ----------
    path : str
        A file, folder, glob, URL or other source; or, with ``input``, a table that lists files.
    input : str, optional
        The column of the table at ``path`` that names a file in each row, relative to the table's folder.
    target : str or sequence of str, optional
        What to predict: a column of the list or of ``labels``, or ``folder``. Of several columns the target
        is a mapping, for tags of 0 and 1.
    group, split : str, optional
        Likewise, what must not be split apart (an artist, a piece), and which part a record belongs to.
    id : str, optional
        Column with ids; by default the file's name.
    labels : str, optional
        A table beside the files, a row a file.
    labels_id : str, optional
        Its column with file names, with or without their ending; by default the first.
    start, seconds : float
        The part of each file that is read; ``seconds`` of None reads all.
    shortest : float
        Seconds below which a sound is rejected.
    silence : bool
        Whether silent files are records.
    max_rejected : float
        The share of files that may be unusable.
    cache : Path, optional
        Where fetched files are kept.
    """

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
        start: float = 0.0,
        seconds: float | None = None,
        shortest: float = 0.05,
        silence: bool = False,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file, folder, glob or URL of sound files",
                remedy="add data.path=FILES, and data.labels=TABLE where the labels lie in another file.",
            )
        if input is not None and labels is not None:
            raise ConfigError(
                "data.input and data.labels are both given.",
                expected="one table: a list of files (data.path with data.input), or labels beside the files",
            )
        if start < 0 or shortest <= 0 or (seconds is not None and seconds < shortest):
            raise ConfigError(
                f"data.start={start}, data.seconds={seconds}, data.shortest={shortest} do not fit.",
                expected="start from 0, shortest above 0, seconds no less than shortest",
            )
        self.path, self.input, self.labels_id = path, input, labels_id
        self.labels = labels
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.group, self.split, self.id = group, split, id
        self.start, self.seconds = float(start), None if seconds is None else float(seconds)
        self.shortest, self.silence, self.cache = float(shortest), bool(silence), cache

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The sound files of the source."""
        files = resolve_files(self.path, self.cache, SUFFIXES)
        if self.labels is not None:
            table = resolve(self.labels, self.cache).resolve()
            files = [file for file in files if file.resolve() != table]
        if not files:
            raise DataError(f"{self.path} holds no sound file.", expected=", ".join(SUFFIXES))
        return files

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        if self.input is not None:
            found = [resolve(self.path, self.cache), *sorted({file for file, _, _ in self._listed()})]
        else:
            found = [*self.files, *([] if self.labels is None else [resolve(self.labels, self.cache)])]
        columns = [self.input, self.target, self.group, self.split, self.id, self.labels_id]
        options = [self.start, self.seconds, self.shortest, self.silence]
        return sha256_json(
            {"class": "SoundFiles", "files": fingerprint_files(found), "of": [columns, options]}
        )

    def records(self) -> Iterator[Record]:
        """Yield the records; files that cannot be used are told to ``rejections``."""
        alone = self.input is None and len(self.files) == 1
        for file, row, source in self._listed() if self.input is not None else self._labelled():
            try:
                sound = read_sound(
                    file, start=self.start, seconds=self.seconds, shortest=self.shortest, silence=self.silence
                )
            except DataError as error:
                if alone:
                    raise
                self.rejections.reject(source, file.name, error.problem)
                continue
            yield from self._record(file, sound, row, source)

    def _labelled(self) -> Iterator[tuple[Path, Mapping[str, Any], str]]:
        table = None if self.labels is None else self._table()
        used: set[str] = set()
        for file in self.files:
            row = {} if table is None else table.get(file.name, table.get(file.stem))
            if row is None:
                self.rejections.reject(file.name, file.name, f"no row of {self.labels} names it")
                continue
            used.update((file.name, file.stem))
            yield file, row, file.name
        for name in table or ():
            if name not in used and Path(name).stem not in used:
                self.rejections.reject(f"{self.labels}", name, "there is no such sound file")

    def _table(self) -> dict[str, dict[str, Any]]:
        assert self.labels is not None
        reader = TableReader(resolve(self.labels, self.cache))
        key = self.labels_id or reader.columns[0]
        reader.check(key, "data.labels_id")
        found: dict[str, dict[str, Any]] = {}
        for _, cells in reader.rows():
            name = Path(str(cells[key])).name
            row = {column: cell for column, cell in cells.items() if column != key}
            if found.setdefault(name, row) != row:
                raise DataError(f"{self.labels}: '{name}' has two rows that differ.", expected="a row a file")
        return found

    def _listed(self) -> Iterator[tuple[Path, Mapping[str, Any], str]]:
        table = resolve(self.path, self.cache)
        reader = TableReader(table)
        assert self.input is not None
        reader.check(self.input, "data.input")
        for number, cells in reader.rows(None, self.rejections):
            source = f"{table.name}, row {number}"
            cell = cells.pop(self.input)
            file = table.parent / str(cell)
            if cell is None or not file.is_file():
                reason = (
                    f"column '{self.input}' is empty" if cell is None else f"its file {cell} does not exist"
                )
                self.rejections.reject(source, f"{table.name}:{number}", reason)
                continue
            yield file, cells, source

    def _record(self, file: Path, sound: Any, row: Mapping[str, Any], source: str) -> Iterator[Record]:
        known = {**row, FOLDER: file.parent.name}
        targets = self.target if isinstance(self.target, list) else [self.target]
        named = [name for name in (*targets, self.group, self.split, self.id) if name]
        lacking = next((name for name in named if name not in known), None)
        if lacking is not None:
            near = did_you_mean(lacking, known)
            raise ConfigError(
                f"{source} has no column '{lacking}'; {near}", remedy="see data.target and data.labels."
            )
        target: Any = known[self.target] if isinstance(self.target, str) else None
        if isinstance(self.target, list):
            target = {name: known[name] for name in self.target}
        group = known[self.group] if self.group else None
        meta = {key: cell for key, cell in row.items() if key not in named}
        meta |= {"seconds": round(sound.seconds, 3), "rate": sound.rate, "channels": sound.channels}
        if self.split:
            meta["split"] = known[self.split]
        yield Record(
            str(known[self.id]) if self.id else self._id(file),
            sound,
            target,
            None if group is None else str(group),
            meta,
            source,
        )

    def _id(self, file: Path) -> str:
        """Name a file by its path below the given folder, so that equal names in two folders differ."""
        root = Path(str(self.path))
        return str(file.relative_to(root)) if root.is_dir() and file.is_relative_to(root) else file.name
