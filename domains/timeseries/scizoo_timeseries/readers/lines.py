"""Lines of the field's text formats, plain or gzipped, with faults told by file and line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.sources import unreadable
from scizoo.errors import DataError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number (from 1) and text of every line that is neither empty nor a comment.

    Raises
    ------
    DataError
        When the file is missing, empty, damaged or no text.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(4096)
        if not start:
            raise DataError(f"{path} is empty.", expected="a header and at least one series")
        packed = start[:2] == b"\x1f\x8b"
        if not packed and b"\0" in start:
            raise DataError(f"{path} is a binary file.", expected="a text file of series")
        opener = gzip.open if packed else open
        with opener(path, "rt", encoding="utf-8", errors="strict") as stream:
            for number, line in enumerate(stream, 1):
                text = line.strip()
                if text and not text.startswith("#"):
                    yield number, text
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8.", remedy="save it as UTF-8.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged gzip file: {error}.", remedy="copy or download the file again."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def truth(value: str) -> bool:
    """Read a header's true or false."""
    return value.strip().lower() in ("true", "yes", "1")


def parse_values(text: str, where: str) -> list[float]:
    """Parse comma-separated numbers; ``?`` and ``NaN`` are missing.

    Raises
    ------
    ValueError
        Naming the place of what is no number.
    """
    values = []
    for place, word in enumerate(text.split(","), 1):
        cell = word.strip()
        if cell in ("?", "", "NaN", "nan", "NA"):
            values.append(float("nan"))
            continue
        try:
            values.append(float(cell))
        except ValueError as error:
            raise ValueError(f"{where}value {place}, '{cell}', is no number") from error
    return values
