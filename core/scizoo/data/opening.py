"""Opening files: compression by the first bytes and not by the name, one message for each mishap."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from scizoo.data.sources import unreadable
from scizoo.errors import DataError, did_you_mean

_BLOCK = 1 << 20
_UNPACK: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
#: First bytes of files: what such a file is, and what to do about it.
Foreign = Mapping[bytes, tuple[str, str | None]]
#: Files that hold no records in any field's text formats; a plugin adds its own.
FOREIGN: Foreign = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV."),
    b"\xd0\xcf\x11\xe0": ("an old Office document", "save the sheet as CSV."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with unzstd, or compress it with gzip."),
    b"\x89PNG": ("a PNG picture", None),
    b"\xff\xd8\xff": ("a JPEG picture", None),
    b"%PDF": ("a PDF", None),
    b"\x89HDF": ("an HDF5 file", None),
    b"RIFF": ("a sound or video file", None),
    b"\x80\x04": ("a Python pickle, which is never opened", None),
    b"\x7fELF": ("a program", None),
}


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what can go wrong while reading ``path`` into one message.

    Raises
    ------
    DataError
        When compressed data are damaged or end early, or the file cannot be read.
    """
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise _damaged(path, error) from error
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: permission denied.", remedy="give yourself read access (chmod u+r)."
        ) from error
    except OSError as error:
        if error.errno is None:  # bz2 says "Invalid data stream" so
            raise _damaged(path, error) from error
        raise unreadable(Path(path), error) from error


def _damaged(path: str | Path, error: BaseException) -> DataError:
    return DataError(
        f"{path} is damaged: its compressed data end early or cannot be unpacked ({error}).",
        expected="a complete file",
        remedy="copy or download the file again.",
    )


def check_file(path: Path, expected: str = "at least one record") -> None:
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
            raise DataError(f"{path} is empty.", expected=expected)


def open_bytes(path: Path, expected: str = "at least one record") -> BinaryIO:
    """Open a plain, gzip (bgzip), bzip2 or xz file for reading bytes; its first bytes say which.

    Raises
    ------
    DataError
        As `check_file` and `reading` do.
    """
    check_file(path, expected)
    with reading(path):
        with path.open("rb") as raw:
            start = raw.read(8)
        for magic, unpack in _UNPACK.items():
            if start.startswith(magic):
                return io.BufferedReader(unpack(path), _BLOCK)
        return path.open("rb", buffering=_BLOCK)


def head(
    path: Path,
    expected: str,
    size: int = 4096,
    foreign: Foreign = FOREIGN,
) -> bytes:
    """Return the first bytes of the unpacked file, without a byte-order mark.

    Parameters
    ----------
    path : Path
        The file.
    expected : str
        The formats that would do, for the message.
    size : int, default 4096
        How many bytes at most.
    foreign : mapping of bytes to (str, str or None), optional
        First bytes of files that are surely something else: what they are, and the remedy.

    Raises
    ------
    DataError
        When the file is missing, empty, damaged, or begins as something foreign.
    """
    with reading(path), open_bytes(path, expected) as handle:
        start = handle.read(size).removeprefix(b"\xef\xbb\xbf")
    if not start.strip():
        raise DataError(f"{path} is empty.", expected=expected, remedy="check how it was written.")
    for magic, (what, remedy) in foreign.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {what}.", expected=expected, remedy=remedy)
    return start


def is_text(start: bytes) -> bool:
    """Whether bytes look like text: no zero byte and few control characters."""
    control = len(start) - len(start.translate(None, bytes(range(9)) + bytes(range(14, 32)) + b"\x7f"))
    return b"\0" not in start and control <= len(start) * 0.05


def check_text(path: Path, start: bytes, expected: str) -> None:
    """Refuse a binary file.

    Raises
    ------
    DataError
        When ``start``, the file's first bytes, are no text.
    """
    if not is_text(start):
        raise DataError(f"{path} is a binary file.", expected=expected)


def blocks(path: Path, expected: str, foreign: Foreign = FOREIGN) -> Iterator[bytes]:
    """Yield the unpacked text in blocks of about 1 MB.

    A byte-order mark is removed, and lone carriage returns (old Macintosh files) become newlines;
    Windows line ends pass through.

    Raises
    ------
    DataError
        When the file is missing, empty, damaged, binary, or begins as something foreign.
    """
    start = head(path, expected, foreign=foreign)
    check_text(path, start, expected)
    lone_returns = b"\r" in start and b"\n" not in start
    with reading(path), open_bytes(path, expected) as handle:
        block = handle.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
        while block:
            yield block.replace(b"\r", b"\n") if lone_returns else block
            block = handle.read(_BLOCK)


def lines(path: Path, expected: str, foreign: Foreign = FOREIGN) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text file without their line ends (of Unix, Windows or old Macs).

    Raises
    ------
    DataError
        As `blocks` does.
    """
    number, rest = 0, b""
    for block in blocks(path, expected, foreign):
        *complete, rest = (rest + block).split(b"\n")
        for line in complete:
            number += 1
            yield number, line.rstrip(b"\r").decode("utf-8", errors="replace")
    if rest:
        yield number + 1, rest.rstrip(b"\r").decode("utf-8", errors="replace")
