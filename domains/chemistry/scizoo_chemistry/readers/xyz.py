"""Extended XYZ through ase: atoms, coordinates and what the comment line says; a frame a record."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import RejectionLog
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.opening import lines

_SCALAR = (str, bool, int, float, np.bool_, np.integer, np.floating)


def frames(path: Path) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield number, stated atoms, comment and atom lines of each frame.

    A frame begins with a line that is a whole number alone; lines of atoms have more words, so that a
    frame with a wrong number of atoms ends where the next one begins.
    """
    number, stated = 0, -1
    comment: str | None = None
    atoms: list[str] = []
    for _, line in lines(path):
        words = line.split()
        if stated >= 0 and comment is None:
            comment = line
        elif len(words) == 1 and words[0].isdigit():
            if stated >= 0:
                yield number, stated, comment or "", atoms
            number, stated, comment, atoms = number + 1, int(words[0]), None, []
        elif words:
            atoms.append(line)
    if stated >= 0:
        yield number, stated, comment or "", atoms


def read_xyz(path: Path, log: RejectionLog) -> Iterator[Entry]:
    """Read an XYZ or extended XYZ file (plain or gzip) lazily.

    Single values of the comment line (``energy=-9391.4 config_type=md``) become fields; values per atom,
    such as forces, are not read.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Where frames that cannot be read are told.
    """
    import ase.io  # some 100 modules: only for those who read XYZ

    for number, stated, comment, atoms in frames(path):
        source, name = f"{path.name}, frame {number}", f"{path.name}:{number}"
        if len(atoms) != stated:
            log.reject(source, name, f"says {stated} atoms but holds {len(atoms)}")
            continue
        if not stated:
            log.reject(source, name, "has no atom")
            continue
        text = "\n".join([str(stated), comment, *atoms]) + "\n"
        try:
            read = ase.io.read(io.StringIO(text), format="extxyz")
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            log.reject(source, name, f"cannot be read: {str(error).strip() or type(error).__name__}")
            continue
        assert isinstance(read, ase.Atoms)  # without an index one frame is read
        positions = np.asarray(read.get_positions(), dtype=np.float64)
        if not np.isfinite(positions).all():
            log.reject(source, name, "has a coordinate that is no number")
            continue
        fields = _fields(read)
        title = fields.get("name") or fields.get("id")
        yield Entry(
            str(title) if title is not None else name,
            None,
            "",
            fields,
            source,
            numbers=np.asarray(read.get_atomic_numbers(), dtype=np.uint8),
            positions=positions,
            cell=np.asarray(read.cell.array, dtype=np.float64) if read.pbc.any() else None,
        )


def _fields(atoms: Any) -> dict[str, Any]:
    """Return the single values of a frame; ase moves energies from the comment to its calculator."""
    values = dict(atoms.info)
    if atoms.calc is not None:
        values |= atoms.calc.results
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in values.items()
        if isinstance(value, _SCALAR)
    }
