"""Places in source files that are to be filled in: completion and infilling."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_code.datasets.files import SourceFiles
from scizoo_code.datasets.stdlib import StandardLibraryFiles
from scizoo_code.fim import FORMS, Arranged, Form
from scizoo_code.grammars import has_grammar
from scizoo_code.sources import Gap
from scizoo_code.syntax import LEVELS, Level, end_of, gaps


class SourceGaps(SourceFiles):
    """Gaps in source files: ``Record.input`` is a gap and the order in which its surroundings are shown.

    Gaps lie where the syntax tree says that a statement or a block begins and ends. They follow from the file
    and the seed, so that every model is asked for the same ones.

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`.
    form : {"psm", "spm", "left"}
        How a gap is shown: prefix and suffix, suffix and prefix, or the prefix alone, as completion has it.
    level : {"statement", "rest", "block"}
        What is left out: a statement, a statement from one of its tokens on, or all statements of a block.
    a_file : int
        Gaps of each file, at most.
    before, after : int
        Characters that are shown before and after a gap, at most: whole lines.
    shortest, longest : int
        Length of what is left out, in bytes.
    seed : int
        Of the gaps.
    **options
        Further options of :class:`~scizoo_code.datasets.files.SourceFiles`.
    """

    def __init__(
        self,
        path: Any = None,
        *,
        form: Form = "psm",
        level: Level = "statement",
        a_file: int = 4,
        before: int = 800,
        after: int = 300,
        shortest: int = 10,
        longest: int = 120,
        seed: int = 0,
        **options: Any,
    ):
        super().__init__(path, **options)
        for name, value, known in (("form", form, FORMS), ("level", level, LEVELS)):
            if value not in known:
                raise ConfigError(f"data.{name}={value}", expected=f"one of {', '.join(known)}")
        for name, number in (("a_file", a_file), ("before", before), ("shortest", shortest)):
            if number < 1:
                raise ConfigError(f"data.{name}={number}", expected="a whole number from 1")
        if after < 0 or longest < shortest:
            raise ConfigError(
                f"data.after={after}, data.shortest={shortest}, data.longest={longest} do not fit.",
                expected="after >= 0, shortest <= longest",
            )
        self.form, self.level, self.seed = form, level, seed
        self.a_file, self.before, self.after = a_file, before, after
        self.shortest, self.longest = shortest, longest

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("form", "level", "a_file", "before", "after", "shortest", "longest", "seed")
        return super().settings() | {name: getattr(self, name) for name in names}

    def records(self) -> Iterator[Record]:
        """Yield a record a gap; files without a place for one are counted."""
        yield from islice(self._gaps(), self.limit)

    def _gaps(self) -> Iterator[Record]:
        for record in self._records():
            language = str(record.meta.get("language", "python"))
            if not has_grammar(language):
                self.left_out[f"files in {language}, of which there is no grammar"] += 1
                continue
            digest = hashlib.blake2b(f"{self.seed}:{record.id}".encode(), digest_size=8).digest()
            rng = np.random.default_rng(int.from_bytes(digest, "big"))
            number = 0
            for gap in gaps(
                record.input,
                language,
                rng,
                level=self.level,
                count=self.a_file,
                shortest=self.shortest,
                longest=self.longest,
            ):
                shown = Gap(
                    last_lines(gap.prefix, self.before), first_lines(gap.suffix, self.after), gap.middle
                )
                if not self._ends_there(shown, language):
                    self.left_out["gaps of which what is shown does not tell the end"] += 1
                    continue
                number += 1
                meta = {**record.meta, "line": gap.prefix.count("\n") + 1}
                yield Record(
                    f"{record.id}#{number}",
                    Arranged(shown, self.form),
                    None,
                    record.group,
                    meta,
                    f"{record.source}, line {meta['line']}",
                )
            if not number:
                self.left_out["files without a place for a gap"] += 1

    def _ends_there(self, gap: Gap, language: str) -> bool:
        """Whether the true text would be cut where it ends: a perfect model must get full marks."""
        whole = gap.middle + gap.suffix
        return whole[: end_of(gap.prefix, whole, language, self.level)].rstrip() == gap.middle.rstrip()


class StandardLibraryGaps(StandardLibraryFiles, SourceGaps):
    """Gaps in the standard library's modules, grouped by package.

    Parameters
    ----------
    path : str, optional
        Other source code; by default the standard library of the running interpreter.
    **options
        Further options of :class:`SourceGaps`.
    """


def last_lines(text: str, characters: int) -> str:
    """Give the end of a text, whole lines of at most so many characters, or the end of a longer last line."""
    if len(text) <= characters:
        return text
    tail = text[-characters:]
    if text[-characters - 1] == "\n":
        return tail
    _, _, whole = tail.partition("\n")
    return whole or tail


def first_lines(text: str, characters: int) -> str:
    """Give the beginning of a text, whole lines of at most so many characters, or of a longer first line."""
    if len(text) <= characters:
        return text
    head = text[:characters]
    end = head.rfind("\n")
    return head[: end + 1] if end >= 0 else head
