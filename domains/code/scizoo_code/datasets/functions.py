"""Functions as records: alone, with their documentation, or to be named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from scizoo.data.records import Record, RejectionLog
from scizoo.errors import ConfigError
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.functions import FUNCTIONS, Function, functions_of
from scizoo_code.grammars import has_grammar
from scizoo_code.readers.entry import Entry
from scizoo_code.sources import Documented

GIVEN = ("code", "bare", "documented")


class SourceFunctions(SourceFiles):
    """The functions of source files: ``Record.input`` is a function, its columns are those of its file.

    A function of JSON lines or a table whose source holds several gives several records.

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`.
    give : {"code", "bare", "documented"}
        What ``Record.input`` is: the whole function, the function without its docstring, or a
        :class:`~scizoo_code.sources.Documented`.
    documented : bool, optional
        Only functions with documentation; by default where ``give`` is documented.
    min_lines, max_lines : int
        Shorter and longer functions are left out; the docstring does not count.
    min_words : int
        Words that the first paragraph of the documentation must have, where there must be one.
    unique : bool
        Whether the second and later copies of a function (the same tokens) are left out.
    private : bool
        Whether functions are read whose names begin with an underscore.
    **options
        Further options of :class:`~scizoo_code.datasets.files.SourceFiles`.
    """

    def __init__(
        self,
        path: Any = None,
        *,
        give: str = "code",
        documented: bool | None = None,
        min_lines: int = 2,
        max_lines: int = 200,
        min_words: int = 3,
        unique: bool = True,
        private: bool = True,
        **options: Any,
    ):
        super().__init__(path, **options)
        if give not in GIVEN:
            raise ConfigError(f"data.give={give}", expected=", ".join(GIVEN))
        self.give = give
        self.documented = give == "documented" if documented is None else documented
        self.min_lines, self.max_lines, self.min_words = min_lines, max_lines, min_words
        self.unique, self.private = unique, private

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("give", "documented", "min_lines", "max_lines", "min_words", "unique", "private")
        return super().settings() | {name: getattr(self, name) for name in names}

    def functions(self, rejections: RejectionLog) -> Iterator[tuple[Entry, Function]]:
        """Yield the wanted functions with the files that they stand in."""
        from scizoo_code.similarity import token_key

        seen: set[bytes] = set()
        for entry in self.entries(rejections):
            language = str(entry.fields.get("language", "python"))
            if language not in FUNCTIONS or not has_grammar(language):
                self.left_out[f"files in {language}, of which no function can be told"] += 1
                continue
            for found in functions_of(entry.text, language):
                why = self._unwanted(found)
                if why is None and self.unique:
                    key = token_key(found.bare)
                    why = "copies of another function" if key in seen else None
                    seen.add(key)
                if why is not None:
                    self.left_out[why] += 1
                    continue
                yield entry, found

    def _unwanted(self, found: Function) -> str | None:
        lines = found.bare.count("\n")
        if self.documented and len(found.summary.split()) < self.min_words:
            return "functions without documentation"
        if not self.min_lines <= lines <= self.max_lines:
            return "functions that are too short or too long"
        if not self.private and found.name.rpartition(".")[2].startswith("_"):
            return "private functions"
        return None

    def records(self) -> Iterator[Record]:
        """Yield a record a function."""
        yield from islice(self._function_records(), self.limit)
        SourceFiles._say(self)

    def _say(self) -> None:
        """Keep silent at the end of the files; the functions are counted later."""

    def _function_records(self) -> Iterator[Record]:
        taken: dict[str, int] = {}
        for entry, found in self.functions(self.rejections):
            id = f"{entry.id}:{found.name}"
            taken[id] = taken.get(id, 0) + 1
            if taken[id] > 1:  # the same name again, such as the setter of a property
                id = f"{id}#{taken[id]}"
            fields = {**entry.fields, "name": found.name, "line": found.line}
            inner = Entry(id, found.code, fields, f"{entry.source}, line {found.line}")
            record = self.record(inner, self.rejections)
            if record is not None:
                yield self.function_record(record, found)

    def function_record(self, record: Record, found: Function) -> Record:
        """Finish the record of a function; a subclass may give another input or target."""
        given = {
            "code": found.code,
            "bare": found.bare,
            "documented": Documented(found.summary, found.bare),
        }[self.give]
        return Record(record.id, given, record.target, record.group, record.meta, record.source)
