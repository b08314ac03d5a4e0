"""Function naming: the name is masked in the function, and the verb that it begins with is to be told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_code.baselines import words_of
from scizoo_code.datasets.functions import SourceFunctions
from scizoo_code.datasets.stdlib import StandardLibraryFiles
from scizoo_code.functions import Function
from scizoo_code.similarity import token_key

#: What stands in the place of the name.
MASK = "NAME"


def mask_name(code: str, name: str) -> str:
    """Put :data:`MASK` in the place of a name wherever it stands as a whole word."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", MASK, code)


def first_word(name: str) -> str | None:
    """Return the first word of a name: of ``_get_line`` and ``getLine`` it is get; None for ``__init__``."""
    if name.startswith("__") and name.endswith("__"):
        return None
    words = [word for word in words_of(name) if word.isalpha()]
    return words[0] if words else None


class SourceNames(SourceFunctions):
    """Functions without name and documentation; the target is the first word of the name.

    After method naming (Allamanis, Peng and Sutton 2016, arXiv 1602.03001), with the frequent first words as
    classes: what a function does rather than to what. Functions with other first words are left out and
    counted.

    Parameters
    ----------
    path : str, optional
        As of :class:`~scizoo_code.datasets.files.SourceFiles`.
    words : int
        First words that are classes: those of most groups, then of most functions.
    min_groups : int
        Groups (packages, repositories) in which a word must occur.
    **options
        Further options of :class:`~scizoo_code.datasets.functions.SourceFunctions`.
    """

    def __init__(self, path: Any = None, *, words: int = 20, min_groups: int = 5, **options: Any):
        super().__init__(path, give="bare", documented=False, **options)
        if words < 2 or min_groups < 1:
            raise ConfigError(
                f"data.words={words}, data.min_groups={min_groups}", expected="at least 2 words and 1 group"
            )
        self.words, self.min_groups = words, min_groups

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return super().settings() | {"words": self.words, "min_groups": self.min_groups}

    def records(self) -> Iterator[Record]:
        """Yield a record a function with a frequent first word."""
        found = list(self._function_records())
        groups = Counter(word for word, _ in {(str(one.target), one.group) for one in found if one.target})
        sizes = Counter(str(one.target) for one in found if one.target)
        frequent = [word for word, count in groups.items() if count >= self.min_groups]
        frequent.sort(key=lambda word: (-groups[word], -sizes[word], word))
        chosen = set(frequent[: self.words])
        self.left_out["functions with a rarer first word"] += sum(one.target not in chosen for one in found)
        yield from islice(self._told_apart([one for one in found if one.target in chosen]), self.limit)

    def _told_apart(self, found: list[Record]) -> Iterator[Record]:
        """Leave out bodies that occur under several names, and copies: a name may be all that differs."""
        keys = [token_key(one.input) for one in found]
        words: dict[bytes, set[Any]] = {}
        for key, one in zip(keys, found, strict=True):
            words.setdefault(key, set()).add(one.target)
        seen: set[bytes] = set()
        for key, one in zip(keys, found, strict=True):
            if len(words[key]) > 1:
                self.left_out["functions whose body has several names"] += 1
            elif key in seen:
                self.left_out["functions that are equal but for their names"] += 1
            else:
                seen.add(key)
                yield one

    def function_record(self, record: Record, found: Function) -> Record:
        """Mask the name and take its first word as the target."""
        name = found.name.rpartition(".")[2]
        meta = {key: value for key, value in record.meta.items() if key != "name"}  # it would tell
        return replace(record, input=mask_name(found.bare, name), target=first_word(name), meta=meta)


class StandardLibraryNames(StandardLibraryFiles, SourceNames):
    """Functions of the standard library to be named, grouped by package.

    Parameters
    ----------
    path : str, optional
        Other source code; by default the standard library of the running interpreter.
    **options
        Further options of :class:`SourceNames`.
    """
