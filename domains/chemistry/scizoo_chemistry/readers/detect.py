"""Which format a file has, by its content; the name decides only between tables and lines of SMILES."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.opening import check_text
from scizoo.data.records import RejectionLog
from scizoo.data.table import SUFFIXES as TABLES
from scizoo.errors import DataError
from scizoo_chemistry.molecules import parse_text
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.opening import EXPECTED, head
from scizoo_chemistry.readers.sdf import read_sdf
from scizoo_chemistry.readers.smi import is_header, read_lines
from scizoo_chemistry.readers.xyz import read_xyz

#: Endings of the files that count when a folder is read.
SUFFIXES = (
    *TABLES,
    *(
        ending + packed
        for ending in (".smi", ".smiles", ".sdf", ".sd", ".mol", ".inchi", ".xyz", ".extxyz", ".txt")
        for packed in ("", ".gz")
    ),
)
_TABLE_NAME = re.compile(r"\.(csv|tsv|tab)(\.gz)?$", re.IGNORECASE)
_MOL_NAME = re.compile(r"\.(sdf|sd|mol)(\.gz)?$", re.IGNORECASE)
_MOL = re.compile(r"^M  END|^\$\$\$\$|^.*V[23]000\s*$", re.MULTILINE)


def molecule_format(path: Path) -> str:
    """Return ``table``, ``sdf``, ``xyz`` or ``lines`` (SMILES or InChI).

    Raises
    ------
    DataError
        When the file is missing, empty, binary, or of another format; the message says which.
    """
    start = head(path)
    if start.startswith(b"PAR1"):
        return "table"
    check_text(path, start, EXPECTED)
    text = start.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    rows = text.split("\n")
    if _MOL.search(text) and not _TABLE_NAME.search(path.name):
        return "sdf"
    if rows[0].strip().isdigit() and len(rows) > 1:
        return "xyz"
    if _TABLE_NAME.search(path.name):
        return "table"
    if _MOL_NAME.search(path.name):
        return "sdf"  # its reader says what is amiss
    first = next(row for row in rows if row.strip())
    if any(mark in first for mark in "\t,;") and not path.name.lower().endswith((".smi", ".smi.gz")):
        words = [word.strip().strip('"').lower() for word in re.split("[\t,;]", first)]
        if "smiles" in words or "inchi" in words:
            return "table"
    candidates = [row for row in rows[:20] if row.strip() and not row.startswith("#")]
    if is_header(first) or any(parse_text(row.split()[0])[0] is not None for row in candidates):
        return "lines"
    raise DataError(
        f"{path} is no file of molecules that is known here: it starts with {first.strip()[:40]!r}.",
        expected=EXPECTED,
        remedy="name another file, or give it the ending of its format.",
    )


def read_molecules(
    path: Path, log: RejectionLog, keep_hydrogens: bool = False, max_length: int | None = None
) -> Iterator[Entry]:
    """Read a file of molecules that is no table, told apart by content.

    Parameters
    ----------
    path : Path
    log : RejectionLog
    keep_hydrogens : bool
        Of SDF and MOL: whether explicit hydrogens stay.
    max_length : int, optional
        Longer SMILES are rejected unread.
    """
    kind = molecule_format(path)
    if kind == "sdf":
        return read_sdf(path, log, keep_hydrogens)
    if kind == "xyz":
        return read_xyz(path, log)
    if kind == "lines":
        return read_lines(path, log, max_length)
    raise DataError(f"{path} is a table.", expected="SMILES lines, SDF, MOL, InChI or XYZ")
