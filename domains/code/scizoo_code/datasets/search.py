"""Documented functions to be found by what their documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scizoo.data.records import Record, RejectionLog
from scizoo_code.datasets.functions import SourceFunctions
from scizoo_code.datasets.stdlib import StandardLibraryFiles
from scizoo_code.functions import Function


class SourceSearch(SourceFunctions):
    """Pairs of a query and a function: the first paragraph of a docstring, and the function without it.

    As in CodeSearchNet (Husain et al. 2019, arXiv 1909.09436): documentation stands in for a
    question. ``Record.input`` is the query, ``Record.target`` the function.

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`.
    **options
        Further options of :class:`~scizoo_code.datasets.functions.SourceFunctions`.
    """

    def __init__(self, path: Any = None, **options: Any):
        super().__init__(path, **{"give": "documented", "max_lines": 60, **options})

    def function_record(self, record: Record, found: Function) -> Record:
        """Take the query for the input and the function for the target."""
        meta = {key: value for key, value in record.meta.items() if key != "name"}
        return replace(record, input=found.summary, target=found.bare, meta=meta)

    def documents(self) -> Iterator[Record]:
        """Yield every function, documented or not: what is searched in."""
        documented, self.documented = self.documented, False
        try:
            yield from self._every_function()
        finally:
            self.documented = documented

    def _every_function(self) -> Iterator[Record]:
        for number, (entry, found) in enumerate(self.functions(RejectionLog(1.0)), start=1):
            yield Record(
                f"{entry.id}:{found.name}#{number}", found.bare, source=f"{entry.source}, line {found.line}"
            )


class StandardLibrarySearch(StandardLibraryFiles, SourceSearch):
    """Documented functions of the standard library, grouped by package.

    Parameters
    ----------
    path : str, optional
        Other source code; by default the standard library of the running interpreter.
    **options
        Further options of :class:`SourceSearch`.
    """
