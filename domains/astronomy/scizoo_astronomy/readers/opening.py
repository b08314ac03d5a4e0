"""Formats of the files that hold images, tables, spectra and light curves, told by their content."""

from __future__ import annotations

from pathlib import Path

from scizoo.data.opening import head, is_text
from scizoo.errors import DataError

EXPECTED = "FITS, VOTable, ECSV, CSV, Parquet, NPZ, or a tar archive of light curves"
_FOREIGN = {
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"RIFF": "a sound or video file",
    b"#ASDF": "an ASDF file",
    b"\x80\x04": "a Python pickle, which is never opened",
    b"\x7fELF": "a program",
}


def file_format(path: Path) -> str:
    """Return ``fits``, ``votable``, ``ecsv``, ``parquet``, ``npz``, ``tar``, ``picture`` or ``text``.

    Raises
    ------
    DataError
        When the file is missing, empty, or surely something else; the message says what.
    """
    start = head(path, EXPECTED, size=2048, foreign={})
    found = format_of(start)
    if found is None:
        what = next((what for magic, what in _FOREIGN.items() if start.startswith(magic)), "a binary file")
        raise DataError(f"{path} is {what}.", expected=EXPECTED)
    if found != "fits" and path.name.lower().removesuffix(".gz").endswith((".fits", ".fit", ".fts")):
        line = start[:30].split(b"\n")[0].decode("latin-1")
        raise DataError(
            f"{path} is not FITS, whatever its name says: it starts with {line!r}.",
            expected="'SIMPLE  =' at the start",
            remedy="check what was downloaded (a web page?), or rename the file.",
        )
    return found


def format_of(start: bytes) -> str | None:
    """Tell the format by the first bytes; None when it is none that is read here."""
    if start.startswith(b"SIMPLE  ="):
        return "fits"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK\x03\x04"):
        return "npz"
    if start.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "picture"
    if start[257:262] == b"ustar":
        return "tar"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"# %ECSV"):
        return "ecsv"
    if text.startswith(b"<") and b"<VOTABLE" in text.upper():
        return "votable"
    return "text" if is_text(start) else None
