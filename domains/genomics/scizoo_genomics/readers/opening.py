"""Opening files: compression by its first bytes and not by the name, one message for each mishap."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scizoo.errors import DataError, did_you_mean

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
#: First bytes of files that are surely something else, with what to do about them.
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive", "unpack it first."),
    b"BZh": ("compressed with bzip2", "unpack it with bunzip2, or compress it with gzip or bgzip."),
    b"\xfd7zXZ": ("compressed with xz", "unpack it with unxz, or compress it with gzip or bgzip."),
    b"\x28\xb5\x2f\xfd": (
        "compressed with zstd",
        "unpack it with unzstd, or compress it with gzip or bgzip.",
    ),
    b"BAM\x01": ("a BAM alignment", "turn it into FASTQ: samtools fastq FILE.bam > FILE.fastq"),
    b"BCF\x02": ("a BCF file", "turn it into VCF: bcftools view FILE.bcf > FILE.vcf"),
    b"CRAM": ("a CRAM alignment", "turn it into FASTQ: samtools fastq FILE.cram > FILE.fastq"),
    b"\x89PNG": ("a picture", "give a file of sequences."),
    b"%PDF": ("a PDF", "give a file of sequences."),
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong while reading ``path`` into one message."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"{path} is damaged: its gzip data cannot be unpacked ({error}).",
            expected="a complete gzip or bgzip file",
            remedy="copy or download the file again.",
        ) from error
    except PermissionError as error:
        raise DataError(
            f"{path} cannot be read: permission denied.", remedy="give yourself read access (chmod u+r)."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


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
            raise DataError(f"{path} is empty.", expected="at least one record")


def open_bytes(path: Path) -> BinaryIO:
    """Open a plain, gzip or bgzip file for reading bytes; which one is seen by its first two bytes."""
    check_file(path)
    with reading(path):
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP
        if compressed:
            return io.BufferedReader(gzip.open(path, "rb"), _BLOCK)  # type: ignore[arg-type]
        return path.open("rb", buffering=_BLOCK)


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first bytes of the unpacked file.

    Raises
    ------
    DataError
        When the file is missing, empty, damaged, or binary of a kind that holds no readable sequences.
    """
    with reading(path), open_bytes(path) as handle:
        start = handle.read(size)
    if not start:
        raise DataError(f"{path} is empty.", expected="at least one record")
    for magic, (what, remedy) in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(
                f"{path} is {what}.", expected="FASTA, FASTQ, GenBank, CSV or Parquet", remedy=remedy
            )
    return start


def check_text(path: Path, start: bytes, expected: str) -> None:
    """Refuse a binary file: text holds no zero byte and few control characters."""
    control = len(start) - len(start.translate(None, bytes(range(9)) + bytes(range(14, 32)) + b"\x7f"))
    if b"\0" in start or control > len(start) * 0.05:
        raise DataError(f"{path} is a binary file.", expected=expected)


def blocks(path: Path, expected: str) -> Iterator[bytes]:
    """Yield the unpacked text in blocks of about 1 MB, with every line ended by a newline.

    Windows line ends pass through (readers strip the carriage return); a byte-order mark is
    removed, and lone carriage returns (old Macintosh files) become newlines.
    """
    start = head(path)
    check_text(path, start, expected)
    lone_returns = b"\r" in start and b"\n" not in start
    with reading(path), open_bytes(path) as handle:
        block = handle.read(_BLOCK).removeprefix(b"\xef\xbb\xbf")
        while block:
            yield block.replace(b"\r", b"\n") if lone_returns else block
            block = handle.read(_BLOCK)


def lines(path: Path, expected: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a text file, without their line ends."""
    number, rest = 0, b""
    for block in blocks(path, expected):
        *complete, rest = (rest + block).split(b"\n")
        for line in complete:
            number += 1
            yield number, line.rstrip(b"\r").decode("utf-8", errors="replace")
    if rest:
        yield number + 1, rest.rstrip(b"\r").decode("utf-8", errors="replace")
