"""Opening files: the format by its content and not by its name, one message for each mishap."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scizoo.data.sources import unreadable
from scizoo.errors import DataError, did_you_mean

EXPECTED = "FITS, VOTable, ECSV, CSV, Parquet, NPZ, or a tar archive of light curves"
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_FOREIGN = {
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"RIFF": "a sound or video file",
    b"#ASDF": "an ASDF file",
    b"\x80\x04": "a Python pickle, which is never opened",
    b"\x7fELF": "a program",
}


@contextmanager
def reading(name: str | Path) -> Iterator[None]:
    """Turn what can go wrong while reading a file into one message."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{name} is damaged: its compressed data end early or cannot be unpacked ({error}).",
            expected="a complete file",
            remedy="copy or download the file again.",
        ) from error
    except OSError as error:
        raise unreadable(Path(name), error) from error


def check_file(path: Path) -> None:
    """Refuse a path that is missing, a folder or empty.

    Raises
    ------
    DataError
        Naming the path, and the nearest names in its folder when it is missing.
    """
    if not path.exists():
        folder = path.parent
        near = did_you_mean(path.name, [item.name for item in folder.iterdir()]) if folder.is_dir() else None
        raise DataError(f"{path} does not exist.", expected="a file", remedy=near)
    if path.is_dir():
        raise DataError(f"{path} is a folder.", expected="a file")
    with reading(path):
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty.", expected=EXPECTED)


def unpacked(path: Path) -> IO[bytes]:
    """Open a plain, gzip or bzip2 file for reading bytes; which one is seen by its first bytes."""
    check_file(path)
    with reading(path):
        with path.open("rb") as raw:
            start = raw.read(3)
        if start[:2] == _GZIP:
            return io.BufferedReader(gzip.open(path, "rb"))  # type: ignore[arg-type]
        if start == _BZIP2:
            return io.BufferedReader(bz2.open(path, "rb"))  # type: ignore[arg-type]
        return path.open("rb")


def head(path: Path, size: int = 2048) -> bytes:
    """Return the first bytes of the unpacked file."""
    with reading(path), unpacked(path) as stream:
        start = stream.read(size)
    if not start:
        raise DataError(f"{path} is empty.", expected=EXPECTED)
    return start


def file_format(path: Path) -> str:
    """Return ``fits``, ``votable``, ``ecsv``, ``parquet``, ``npz``, ``tar``, ``picture`` or ``text``.

    Raises
    ------
    DataError
        When the file is missing, empty, or surely something else; the message says what.
    """
    start = head(path)
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
    control = len(start) - len(start.translate(None, bytes(range(9)) + bytes(range(14, 32)) + b"\x7f"))
    if b"\0" in start or control > len(start) * 0.05:
        return None
    return "text"
