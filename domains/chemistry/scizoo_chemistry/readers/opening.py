"""Opening files: compression by the first bytes and not by the name, one message for each mishap."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from scizoo.errors import DataError, did_you_mean

_GZIP = b"\x1f\x8b"
EXPECTED = "SMILES, SDF, MOL, InChI or extended XYZ (plain or gzip), or a CSV, TSV or Parquet table"
#: First bytes of files that are surely something else, with what to do about them.
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV."),
    b"\xd0\xcf\x11\xe0": ("an old Office document", "save the sheet as CSV."),
    b"BZh": ("compressed with bzip2", "unpack it with bunzip2, or compress it with gzip."),
    b"\xfd7zXZ": ("compressed with xz", "unpack it with unxz, or compress it with gzip."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with unzstd, or compress it with gzip."),
    b"\x89PNG": ("a PNG picture", "give the file of the structures that were drawn."),
    b"\xff\xd8\xff": ("a JPEG picture", "give the file of the structures that were drawn."),
    b"%PDF": ("a PDF", "give the file of the structures that it shows."),
    b"VjCD0100": ("a ChemDraw CDX file", "save it as SDF or SMILES in ChemDraw."),
    b"<?xml": ("an XML file", "convert it to SDF or SMILES, for instance with Open Babel."),
    b"data_": ("a CIF file", "convert it to extended XYZ, for instance with ase convert."),
    b"HEADER ": ("a PDB file", "convert it to SDF, which states the bonds."),
    b"@<TRIPOS>": ("a MOL2 file", "convert it to SDF, for instance with Open Babel."),
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong while reading ``path`` into one message."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{path} is damaged: its gzip data cannot be unpacked ({error}).",
            expected="a complete gzip file",
            remedy="copy or download the file again.",
        ) from error
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: permission denied.", remedy="give yourself read access (chmod u+r)."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", remedy="check the disk, or copy it again."
        ) from error


def open_bytes(path: Path) -> BinaryIO:
    """Open a plain or gzip file for reading bytes.

    Raises
    ------
    DataError
        When it is missing, a folder, empty or not readable; near names are suggested for a missing one.
    """
    if not path.exists():
        folder = path.parent
        near = did_you_mean(path.name, [item.name for item in folder.iterdir()]) if folder.is_dir() else None
        raise DataError(f"{path} does not exist.", expected="a file", remedy=near)
    if path.is_dir():
        raise DataError(f"{path} is a folder.", expected="a file")
    with reading(path):
        if path.stat().st_size == 0:
            raise _empty(path)
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def _empty(path: Path) -> DataError:
    return DataError(
        f"{path} is empty.", expected="at least one molecule", remedy="check how it was written."
    )


def head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of the unpacked file, without a byte-order mark.

    Raises
    ------
    DataError
        When the file is missing, empty, damaged, or of a kind that holds no molecules.
    """
    with reading(path), open_bytes(path) as handle:
        start = handle.read(size).removeprefix(b"\xef\xbb\xbf")
    if not start.strip():
        raise _empty(path)
    for magic, (what, remedy) in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {what}.", expected=EXPECTED, remedy=remedy)
    if not start.startswith(b"PAR1") and b"\0" in start:
        raise DataError(f"{path} is a binary file.", expected=EXPECTED, remedy="name another file.")
    return start


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text file without their line ends (of Unix, Windows or old Macs)."""
    number, rest = 0, b""
    with reading(path), open_bytes(path) as handle:
        block = handle.read(1 << 20).removeprefix(b"\xef\xbb\xbf")
        alone = b"\r" in block and b"\n" not in block
        while block:
            *complete, rest = (rest + (block.replace(b"\r", b"\n") if alone else block)).split(b"\n")
            for line in complete:
                number += 1
                yield number, line.rstrip(b"\r").decode("utf-8", errors="replace")
            block = handle.read(1 << 20)
    if rest:
        yield number + 1, rest.rstrip(b"\r").decode("utf-8", errors="replace")
