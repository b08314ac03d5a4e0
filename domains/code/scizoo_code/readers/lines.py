"""JSON lines: one source file, function or problem a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.opening import lines
from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean

SUFFIXES = tuple(
    f"{ending}{packed}" for ending in (".jsonl", ".ndjson") for packed in ("", ".gz", ".xz", ".bz2")
)
EXPECTED = "JSON lines, one object a line"


def is_lines(path: Path) -> bool:
    """Whether a file's name says JSON lines."""
    return path.name.lower().endswith(SUFFIXES)


def read_lines(
    path: Path, rejections: RejectionLog, needed: dict[str, str] | None = None
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines.

    Parameters
    ----------
    path : Path
        Plain or compressed.
    rejections : RejectionLog
        Where a line that is no object is told.
    needed : dict of str to str, optional
        Config key to key of the objects: what the first object must have.

    Yields
    ------
    tuple of (int, str, dict)
        Number of the line, its source for messages, and the object.

    Raises
    ------
    DataError
        When the file is missing, damaged or binary, or its first object lacks a key.
    """
    first = True
    for number, line in lines(path, EXPECTED):
        if not line.strip():
            continue
        source = f"{path.name}, line {number}"
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            why = f"is no JSON: {error}"
            rejections.reject(source, f"{path.name}:{number}", why)
            continue
        if not isinstance(value, dict):
            rejections.reject(source, f"{path.name}:{number}", f"is a {type(value).__name__}, not an object")
            continue
        if first:
            _check(path, value, needed or {})
            first = False
        yield number, source, value


def _check(path: Path, value: dict[str, Any], needed: dict[str, str]) -> None:
    for key, name in needed.items():
        if name not in value:
            raise DataError(
                f"{path} has no '{name}' ({key}): {did_you_mean(name, value)}",
                expected="one of its keys: " + ", ".join(map(str, value)),
                remedy=f"add {key}=KEY.",
            )
