"""Tables with a column of SMILES or InChI: CSV, TSV and Parquet."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.data.table import TableReader
from scizoo.errors import DataError
from scizoo_chemistry.molecules import parse_smiles, parse_text
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.smi import too_long

log = logging.getLogger(__name__)


def input_column(reader: TableReader, named: str) -> str:
    """Return the column with the molecules: the named one, or the only one of that name in another case.

    Raises
    ------
    DataError
        When there is none, with the nearest names, or with the columns that hold SMILES.
    """
    if named in reader.columns:
        return named
    alike = [name for name in reader.columns if name.casefold() == named.casefold()]
    if len(alike) == 1:
        log.info("%s: column '%s' is taken for data.input=%s.", reader.path, alike[0], named)
        return alike[0]
    if reader.columns and parse_smiles(reader.columns[0])[0] is not None and len(reader.columns[0]) > 3:
        raise DataError(
            f"{reader.path} has no header: its first line begins with the molecule '{reader.columns[0]}'.",
            expected="names of the columns in the first line",
            remedy=f"put a line such as '{named},...' before it, or name the file .smi.",
        )
    held = _molecular(reader)
    if held:
        raise DataError(
            f"{reader.path} has no column '{named}' (data.input): did you mean '{held[0]}'? "
            "It holds molecules.",
            expected="one of its columns: " + ", ".join(reader.columns),
            remedy=f"add data.input={held[0]}",
        )
    reader.check(named, "data.input")
    return named


def _molecular(reader: TableReader) -> list[str]:
    """Name the columns whose first cells all read as molecules of several atoms."""
    first: dict[str, list[str]] = {name: [] for name in reader.columns}
    for number, cells in reader.rows(None, RejectionLog()):
        for name, value in cells.items():
            if isinstance(value, str):
                first[name].append(value)
        if number == 5:
            break
    found = []
    for name, values in first.items():
        mols = [parse_text(value)[0] for value in values]
        if mols and all(mol is not None and mol.GetNumAtoms() > 1 for mol in mols):
            found.append(name)
    return found


def read_table_molecules(
    path: Path,
    rejections: RejectionLog,
    input: str = "smiles",
    id: str | None = None,
    checks: Mapping[str, str] | None = None,
    max_length: int | None = None,
) -> Iterator[Entry]:
    """Read a table lazily; every other column becomes a field.

    Parameters
    ----------
    path : Path
    rejections : RejectionLog
        Where rows without a molecule are told.
    input : str
        The column with SMILES or InChI, told apart by how they begin.
    id : str, optional
        The column with ids.
    checks : mapping, optional
        Config key to column: columns that must be there.
    max_length : int, optional
        Longer ones are rejected unread.
    """
    reader = TableReader(path)
    column = input_column(reader, input)
    for key, name in {**({"data.id": id} if id else {}), **(checks or {})}.items():
        reader.check(name, key)
    for number, cells in reader.rows(None, rejections):
        source = f"{path.name}, row {number}"
        name = str(cells[id]) if id and cells[id] is not None else f"{path.name}:{number}"
        raw = cells.pop(column)
        if raw is None:
            rejections.reject(source, name, f"column '{column}' is empty")
            continue
        text = str(raw).strip()
        if max_length is not None and len(text) > max_length:
            rejections.reject(source, name, too_long(text, max_length))
            continue
        mol, reason = parse_text(text)
        if mol is None:
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            rejections.reject(source, name, f"'{shown}' {reason}")
            continue
        yield Entry(name, mol, text, cells, source)
