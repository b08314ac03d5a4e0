"""Files of lines: SMILES or InChI, then a title or further columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo_chemistry.molecules import parse_text
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.opening import lines

#: First words of a header line, in lower case.
_HEADERS = frozenset(
    ["smiles", "smi", "canonical_smiles", "isomeric_smiles", "structure", "molecule", "inchi", "#smiles"]
)


def is_header(line: str) -> bool:
    """Whether a line names columns rather than holding a molecule."""
    words = line.replace(",", " ").split()
    return bool(words) and words[0].lower() in _HEADERS


def read_lines(path: Path, log: RejectionLog, max_length: int | None = None) -> Iterator[Entry]:
    """Read a ``.smi`` or ``.inchi`` file (plain or gzip): a molecule a line.

    The first word is the molecule, the rest its title. A header (``SMILES name pIC50``) names further
    columns, which are then told apart by tabs, or by blanks where the file has no tab; without one, further
    columns after a tab are named ``column3`` and so on. Empty lines and comments (``#``) are passed over.

    Parameters
    ----------
    path : Path
    log : RejectionLog
        Where lines that hold no molecule are told.
    max_length : int, optional
        Longer ones are rejected unread.
    """
    columns: list[str] | None = None
    for number, line in lines(path):
        if not line.strip():
            continue
        if columns is None:
            header = is_header(line)
            columns = line.split("\t" if "\t" in line else None) if header else []
            if header:
                continue
        if line.startswith("#"):
            continue
        source = f"{path.name}, line {number}"
        text, fields = _cells(line, columns)
        title = str(fields.get("title") or "").strip() or f"{path.name}:{number}"
        if max_length is not None and len(text) > max_length:
            log.reject(source, title, too_long(text, max_length))
            continue
        mol, reason = parse_text(text)
        if mol is None:
            log.reject(source, title, f"'{_short(text)}' {reason}")
            continue
        yield Entry(title, mol, text, fields, source)


def too_long(text: str, limit: int) -> str:
    """Say that a SMILES is longer than allowed."""
    return f"has {len(text):,} characters; data.max_length allows {limit:,}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _cells(line: str, columns: list[str]) -> tuple[str, dict[str, object]]:
    if columns:
        cells = line.split("\t") if "\t" in line else line.split(None, len(columns) - 1)
        named = dict(zip((name.strip() for name in columns[1:]), (cell.strip() for cell in cells[1:])))
        title = next((named[key] for key in named if key.lower() in ("id", "name", "title")), None)
        title = title if title is not None or len(columns) != 2 else next(iter(named.values()), None)
        return cells[0].strip(), {**{key: value or None for key, value in named.items()}, "title": title}
    if "\t" in line:
        cells = [cell.strip() for cell in line.split("\t")]
        further = {f"column{place}": cell or None for place, cell in enumerate(cells[2:], start=3)}
        return cells[0], {"title": cells[1], **further}
    text, _, title = line.strip().partition(" ")
    return text, {"title": title.strip() or None}
