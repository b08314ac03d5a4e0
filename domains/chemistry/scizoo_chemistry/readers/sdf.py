"""SDF and MOL files: each record is cut out by itself, so that a bad one does not spoil those after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_chemistry.rdkit_log import listening, reason_of
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.opening import lines

EXPECTED = (
    "SDF or MOL: three header lines, a line of counts that ends in V2000 or V3000, atoms, bonds, M  END"
)
_PROPERTY = re.compile(r"^>.*?<([^>]*)>")
_COUNTS = re.compile(r"^\s*\d+\s+\d+.*V[23]000\s*$|^[ \d]{6}[ \d]*$")


def blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number (from 1) and the lines of each record, cut at ``$$$$``."""
    record: list[str] = []
    number = 0
    for _, line in lines(path):
        if line.startswith("$$$$"):
            number += 1
            yield number, record
            record = []
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield number + 1, record


def read_sdf(path: Path, log: RejectionLog, keep_hydrogens: bool = False) -> Iterator[Entry]:
    """Read an SDF or MOL file (plain or gzip) lazily; properties (``> <name>``) become fields.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Where records that RDKit refuses are told, with its reason.
    keep_hydrogens : bool
        Whether to keep explicit hydrogens, which have coordinates of their own.

    Raises
    ------
    DataError
        When the file is a header without any atom, that is, its first record has no line of counts.
    """
    from rdkit import Chem

    for number, record in blocks(path):
        source = f"{path.name}, record {number}"
        name = f"{path.name}:{number}"
        title = record[0].strip() if record else ""
        end = next((place for place, line in enumerate(record) if line.startswith("M  END")), None)
        counts = record[3] if len(record) > 3 else ""
        if not _COUNTS.match(counts):
            if number == 1 and end is None:
                raise DataError(
                    f"{path} begins like an SDF file but holds no atoms: "
                    + (f"its line 4 is {counts[:40]!r}." if len(record) > 3 else "it ends in the header."),
                    expected=EXPECTED,
                    remedy="check that the file is complete; copy or export it again.",
                )
            log.reject(source, title or name, "has no line of counts (number of atoms and bonds)")
            continue
        if end is None:
            log.reject(source, title or name, "is cut off: there is no 'M  END'")
            continue
        with listening() as messages:
            mol = Chem.MolFromMolBlock("\n".join(record[: end + 1]), removeHs=not keep_hydrogens)
        if mol is None:
            log.reject(
                source, title or name, f"is refused by RDKit: {reason_of(messages) or 'no reason given'}"
            )
            continue
        if not mol.GetNumAtoms():
            log.reject(source, title or name, "has no atom")
            continue
        fields = {"title": title or None, **_properties(record[end + 1 :])}
        yield Entry(title or name, mol, "", fields, source)


def _properties(record: list[str]) -> dict[str, str | None]:
    """Return the data items after a molecule: a line ``> <name>``, its value, a blank line."""
    found: dict[str, str | None] = {}
    name: str | None = None
    value: list[str] = []
    for line in [*record, "> <>"]:
        match = _PROPERTY.match(line)
        if match is None:
            value.append(line)
            continue
        if name:
            found[name] = "\n".join(value).strip() or None
        name, value = match[1].strip(), []
    return found
