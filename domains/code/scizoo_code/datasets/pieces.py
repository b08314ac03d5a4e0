"""Source files cut into pieces that fit a model's context: what a language model is pre-trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.datasets.stdlib import StandardLibraryFiles
from scizoo_code.pieces import pieces


class SourcePieces(SourceFiles):
    """Pieces of source files: ``Record.input`` is the text, ``Record.group`` that of the file.

    A gap for filling in the middle is made in a record as it is; only of a record that fits the context does
    the model see prefix, middle and suffix together (Bavarian et al. 2022, arXiv 2207.14255, section 4.4).

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`.
    characters : int
        The longest piece; three or four stand for one token of a byte-pair tokenizer.
    **options
        Further options of :class:`~scizoo_code.datasets.files.SourceFiles`.
    """

    def __init__(self, path: Any = None, *, characters: int = 1200, **options: Any):
        super().__init__(path, **options)
        if characters < 1:
            raise ConfigError(f"data.characters={characters}", expected="a whole number from 1")
        self.characters = characters

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return super().settings() | {"characters": self.characters}

    def records(self) -> Iterator[Record]:
        """Yield a record a piece; one of white space alone is left out and counted."""
        yield from islice(self._pieces(), self.limit)

    def _pieces(self) -> Iterator[Record]:
        for record in self._records():
            for number, text in enumerate(pieces(record.input, self.characters), start=1):
                if not text.strip():
                    self.left_out["pieces of white space"] += 1
                    continue
                source = f"{record.source}, piece {number}"
                yield replace(record, id=f"{record.id}#{number}", input=text, source=source)


class StandardLibraryPieces(StandardLibraryFiles, SourcePieces):
    """Pieces of the standard library's modules without its tests, grouped by package.

    Parameters
    ----------
    path : str, optional
        Other source code; by default the standard library of the running interpreter.
    **options
        Further options of :class:`SourcePieces`.
    """
