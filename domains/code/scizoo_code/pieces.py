"""Long sources cut into pieces that fit a model's context, at the places where a reader would cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def pieces(text: str, characters: int) -> list[str]:
    """Cut a text into pieces of at most so many characters; joined they are the text.

    A piece ends before the line that is least indented, of those after a blank line if there are any, in the
    last half of what fits: before a function or class rather than inside of one. A line that is too long by
    itself is cut anywhere.

    Parameters
    ----------
    text : str
    characters : int
        At least 1.

    Returns
    -------
    list of str
        None of them empty; none for an empty text.
    """
    lines = [part for line in _LINE.findall(text) for part in _parts(line, characters)]
    made: list[str] = []
    start = 0
    while start < len(lines):
        size, end = 0, start
        while end < len(lines) and size + len(lines[end]) <= characters:
            size += len(lines[end])
            end += 1
        if end < len(lines):
            end = _best_end(lines, start, end, size)
        made.append("".join(lines[start:end]))
        start = end
    return made


def _parts(line: str, characters: int) -> Iterator[str]:
    for start in range(0, len(line), characters):
        yield line[start : start + characters]


def _best_end(lines: list[str], start: int, end: int, size: int) -> int:
    """Choose the line before which to cut, among the last half of what fits."""
    best, kept = (2, 0, 0), size
    for place in range(end, start, -1):
        if kept < size / 2:
            break
        if place < len(lines) and lines[place].strip():
            line = lines[place]
            follows_blank = not lines[place - 1].strip()
            # After a blank line first, then by indentation, then as late as possible.
            rank = (0 if follows_blank else 1, len(line) - len(line.lstrip()), -place)
            if rank < best or best == (2, 0, 0):
                best = rank
        kept -= len(lines[place - 1])
    return -best[2] if best != (2, 0, 0) else end
