"""Which files a data set has, and which row of a table belongs to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scizoo.data.records import RejectionLog
from scizoo.data.sources import resolve, resolve_files
from scizoo.data.table import SUFFIXES, TableReader
from scizoo.errors import ConfigError, DataError
from scizoo_radiology.privacy import Names
from scizoo_radiology.readers.files import EXPECTED, File, list_files, short, stem

_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True, repr=False)
class Listed:
    """Files with the row of a table that lists them; without one the row is None."""

    files: list[File]
    row: Mapping[str, Any] | None
    source: str


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def files_of(
    path: str | Path, beside: str | Path | None, cache: Path | None
) -> tuple[list[File], list[Path]]:
    """List the files of a source in order of name, members of zip archives one by one.

    Parameters
    ----------
    path : str
        As :func:`~scizoo.data.sources.resolve_files` takes it.
    beside : str, optional
        A table that is no picture.
    cache : Path, optional

    Returns
    -------
    files : list of File
    paths : list of Path
        The files on disk, for a digest.

    Raises
    ------
    DataError
        When there is nothing, or a table where pictures should be.
    """
    paths = resolve_files(path, cache)
    table = resolve(beside, cache).resolve() if beside is not None else None
    paths = [one for one in paths if one.resolve() != table]
    typed = len(paths) == 1 and not resolve_is_folder(path)
    if typed and is_table(paths[0]):
        raise DataError(
            f"{path} is a table.",
            expected="pictures, or the name of the column that lists their files",
            remedy="add data.input=COLUMN; or data.path=FOLDER of the pictures, and data.labels=this table.",
        )
    folders = [one.parent for one in paths]
    root = Path(path) if Path(str(path)).is_dir() else folders[0] if folders else Path()
    return list(list_files(paths, root, typed)), paths


def resolve_is_folder(path: str | Path) -> bool:
    """Whether a source is a folder on this machine."""
    return Path(str(path)).expanduser().is_dir()


def listed_files(
    path: str | Path, column: str, cache: Path | None, log: RejectionLog | None = None
) -> Iterator[Listed]:
    """Yield the files of each row of a table; a row that names a folder stands for all of its files.

    Parameters
    ----------
    path : str
        The table; what it names is relative to its folder.
    column : str
    cache : Path, optional
    log : RejectionLog, optional
        Told of rows without a file.
    """
    table = resolve(path, cache)
    reader = TableReader(table)
    reader.check(column, "data.input")
    for number, cells in reader.rows(None, log):
        source = f"{table.name}, row {number}"
        row = {name: value for name, value in cells.items() if name != column}
        found = table.parent / str(cells[column])
        if cells[column] is None or not found.exists():
            if log is not None:
                empty = f"column '{column}' is empty"
                log.reject(
                    source, short(source), empty if cells[column] is None else "its file does not exist"
                )
            continue
        paths = resolve_files(found) if found.is_dir() else [found]
        inside = found.is_dir()
        files = []
        for one in list_files(paths, found if inside else found.parent, False):
            name = f"{cells[column]}/{one.name}" if inside else str(cells[column])
            shown = f"{source}, {one.shown}" if inside or one.member else source
            files.append(File(one.path, one.member, name, shown))
        yield Listed(files, row, source)


class Rows:
    """The rows of a table of labels, found by a file's name or by what the header says.

    Parameters
    ----------
    table : Path
    key : str, optional
        The column with file names, patient numbers or UIDs; by default the first.

    Raises
    ------
    DataError
        When one key has rows that differ.
    """

    def __init__(self, table: Path, key: str | None):
        reader = TableReader(table)
        self.table = table
        self.key = key or reader.columns[0]
        reader.check(self.key, "data.labels_id")
        self._rows: dict[str, dict[str, Any]] = {}
        for number, cells in reader.rows():
            row = {name: value for name, value in cells.items() if name != self.key}
            word = str(cells[self.key]).strip()
            if self._rows.setdefault(word, row) != row:
                raise DataError(
                    f"{table}, row {number}: an earlier row has the same '{self.key}' and differs.",
                    expected="a row a file, series or patient",
                )
        for word, row in list(self._rows.items()):
            self._rows.setdefault(stem(word), row)

    def find(self, names: Names) -> dict[str, Any] | None:
        """Return the row of a file's name, UID or patient, in this order; None where there is none."""
        base = PurePosixPath(names.file).name
        patient = names.patient.partition("|")[0]
        for word in (names.file, base, stem(base), names.instance, names.series, names.study, patient):
            if word and word in self._rows:
                return self._rows[word]
        return None


def folder_of(name: str) -> str | None:
    """Return the name of the folder that a file lies in."""
    return PurePosixPath(name).parent.name or None


def part_of(name: str) -> str | None:
    """Return the part (train, validation, test) that a folder of the file's path is named after."""
    found = [_PARTS[one.lower()] for one in PurePosixPath(name).parent.parts if one.lower() in _PARTS]
    return found[0] if found else None


def sort_by_kind(
    files: list[File], log: RejectionLog, left_out: Counter[str], whole: str
) -> tuple[list[File], list[File]]:
    """Part files into DICOM and others that can be read; the rest is rejected, or left out as foreign.

    Raises
    ------
    DataError
        When the only file is of no format that is read here.
    """
    dicom, others = [], []
    for file in files:
        try:
            kind, wrong = file.kind(), file.mismatch()
        except DataError as error:
            log.reject(file.shown, short(file.shown), error.problem)
            continue
        if wrong is not None:
            log.reject(file.shown, short(file.shown), wrong)
        elif kind == "dicom":
            dicom.append(file)
        elif kind in ("nifti", "png", "jpeg"):
            others.append(file)
        elif len(files) == 1:
            raise DataError(f"{whole} is of no format that is read here.", expected=EXPECTED)
        else:
            left_out["files of other formats"] += 1
    return dicom, others


def check_given(path: Any) -> None:
    """Refuse a data set without a path.

    Raises
    ------
    ConfigError
    """
    if path is None:
        raise ConfigError(
            "data.path is not given.",
            expected="a file, folder, glob, zip archive or URL",
            remedy="add data.path=FILES, and data.labels=TABLE where the labels lie in another file.",
        )
