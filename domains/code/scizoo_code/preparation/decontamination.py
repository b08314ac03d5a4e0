"""Texts that hold a piece of a benchmark, by n-grams of words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.data.sources import resolve_files
from scizoo.data.table import SUFFIXES as TABLES
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError
from scizoo_code.readers.lines import SUFFIXES as LINES
from scizoo_code.readers.lines import is_lines, read_lines
from scizoo_code.similarity import shingles

_WORD = re.compile(r"\w+")
_LEAST = 8  # words of a benchmark's text that can be recognised at all


class Benchmarks:
    """The n-grams of benchmark files; a text that holds one of them may have been copied from there.

    N-grams of lower-case words, as in GPT-3's check (Brown et al. 2020, arXiv 2005.14165, appendix C). Of
    tables and JSON lines all texts count that have eight words or more: prompts, solutions and tests alike.

    Parameters
    ----------
    paths : sequence of str
        Files, folders, globs or other sources.
    ngram : int
        Words of an n-gram.
    """

    def __init__(self, paths: Sequence[str | Path], ngram: int = 13):
        if ngram < _LEAST:
            raise ConfigError(f"data.prepare.ngram={ngram}", expected=f"a whole number from {_LEAST}")
        self.paths, self.ngram = [str(path) for path in paths], ngram
        self.files = [file for path in paths for file in resolve_files(path)]
        texts = [text for file in self.files for text in benchmark_texts(file)]
        grams = [self.grams(text, True) for text in texts]
        self._known = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *grams]))
        self.texts = len(texts)

    def grams(self, text: str, whole: bool = False) -> np.ndarray:
        """Hash the n-grams of a text; with ``whole`` a shorter one of eight words is one n-gram."""
        words = _WORD.findall(text.lower())
        if len(words) < (_LEAST if whole else self.ngram):
            return np.empty(0, dtype=np.uint64)
        return shingles(words, self.ngram)

    def holds(self, text: str) -> bool:
        """Whether a text shares an n-gram with a benchmark."""
        mine = self.grams(text)
        place = np.searchsorted(self._known, mine)
        inside = place < len(self._known)
        return bool((self._known[place[inside]] == mine[inside]).any())


def benchmark_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a benchmark file: the texts of its rows, or the whole of a source file."""
    if is_lines(path):
        for _, _, value in read_lines(path, RejectionLog()):
            yield from _texts(value)
    elif path.name.lower().endswith(TABLES):
        for _, cells in TableReader(path).rows(None, RejectionLog()):
            yield from _texts(cells)
    elif not path.name.lower().endswith((*LINES, ".md")):
        with reading(path), open_bytes(path) as stream:
            yield stream.read().decode("utf-8", "replace")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
