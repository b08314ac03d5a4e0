"""Texts that stand side by side, line by line in two files: translations, and descriptions with commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scizoo.data.opening import lines
from scizoo.data.records import Dataset, Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError
from scizoo.files import sha256_json
from scizoo_code.fim import Arranged
from scizoo_code.sources import Gap

_NAMES = {
    "train": ("train", "training"),
    "validation": ("valid", "validation", "val", "dev"),
    "test": ("test", "testing"),
}
_PARTS = {name: part for part, names in _NAMES.items() for name in names}


class AlignedLines(Dataset):
    """Pairs of lines of two files: what is given, and what is to be written.

    ``Record.input`` is a gap of which the prefix is the given line and the middle the other one, shown from
    left to right; or, for search, the given line, with the other one as target. Files of the parts of a split
    are told by their names (``train``, ``valid``, ``test``); without parts, equal given lines are one group.

    Parameters
    ----------
    path : str, optional
        A folder with the files; gzip is read as it is.
    given, written : str
        How the names of the files end, without ``.gz``.
    shape : {"fill", "search"}
        Whether the other line is to be written, or to be found.
    between : str
        What stands between the two in a prompt.
    longest : int
        Characters of a pair; longer ones are left out and counted.
    unique : bool
        Whether pairs that occur again are left out; they are counted.
    limit : int, optional
        Read only so many pairs.
    max_rejected : float
        The share of pairs that may be unusable.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        given: str = ".nl",
        written: str = ".cm",
        shape: str = "fill",
        between: str = "\n",
        longest: int = 1200,
        unique: bool = True,
        limit: int | None = None,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected=f"a folder with files that end in {given} and {written}",
                remedy="add data.path=FOLDER.",
            )
        if shape not in ("fill", "search"):
            raise ConfigError(f"data.shape={shape}", expected="fill or search")
        self.path, self.given, self.written, self.shape = path, given, written, shape
        self.between, self.longest, self.unique, self.limit = between, longest, unique, limit
        self.left_out: dict[str, int] = {}

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    def files(self) -> list[tuple[Path, Path, str | None]]:
        """Find the pairs of files, and the part that each is of.

        Raises
        ------
        DataError
            When there are none, or a file has no other.
        """
        folder = resolve(self.path, None)
        if not folder.is_dir():
            raise DataError(
                f"{folder} is no folder.",
                expected=f"a folder with files that end in {self.given} and {self.written}",
                remedy="name the folder that holds both files.",
            )
        by_name = {one.name.removesuffix(".gz"): one for one in sorted(folder.iterdir()) if one.is_file()}
        found = []
        for name, path in by_name.items():
            if not name.endswith(self.given):
                continue
            other = by_name.get(name.removesuffix(self.given) + self.written)
            if other is None:
                raise DataError(
                    f"{path} has no file beside it that ends in {self.written}.",
                    expected=name.removesuffix(self.given) + self.written,
                    remedy="copy the folder again, or name the endings: data.given, data.written.",
                )
            part = next((_PARTS[word] for word in re.split(r"[._-]", name) if word in _PARTS), None)
            found.append((path, other, part))
        if not found:
            raise DataError(
                f"{folder} holds no file that ends in {self.given}.",
                expected=f"files that end in {self.given} and {self.written}",
                remedy="name the endings: data.given, data.written.",
            )
        return found

    def records(self) -> Iterator[Record]:
        """Yield a record a pair; empty lines are rejected."""
        self.left_out = {"longer than data.longest": 0, "a pair that was there before": 0}
        seen: set[tuple[str, str]] = set()
        count = 0
        for first, second, part in self.files():
            for number, given, written in _aligned(first, second):
                source = f"{first.name}, line {number}"
                id = f"{first.name.removesuffix('.gz')}:{number}"
                if not given.strip() or not written.strip():
                    self.rejections.reject(source, id, "a line of the pair is empty")
                    continue
                if len(given) + len(written) > self.longest:
                    self.left_out["longer than data.longest"] += 1
                    continue
                if self.unique and (given, written) in seen:
                    self.left_out["a pair that was there before"] += 1
                    continue
                seen.add((given, written))
                yield self._record(id, given, written, part, source)
                count += 1
                if count == self.limit:
                    return

    def _record(self, id: str, given: str, written: str, part: str | None, source: str) -> Record:
        meta = {} if part is None else {"split": part}
        # Parts that are given are those of a benchmark; else equal lines must not be split apart.
        group = None if part is not None else " ".join(given.lower().split())
        if self.shape == "search":
            return Record(id, given, written, group, meta, source)
        gap = Arranged(Gap(given + self.between, "", written), "left")
        return Record(id, gap, None, group, meta, source)

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        files = [path for first, second, _ in self.files() for path in (first, second)]
        options = [self.given, self.written, self.shape, self.between, self.longest, self.unique, self.limit]
        return sha256_json({"class": "AlignedLines 1", "files": fingerprint_files(files), "options": options})


def _aligned(first: Path, second: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the lines of two files together.

    Raises
    ------
    DataError
        When one is longer than the other.
    """
    ours, theirs = _lines(first), _lines(second)
    if len(ours) != len(theirs):
        raise DataError(
            f"{first} has {len(ours):,} lines and {second.name} {len(theirs):,}.",
            expected="as many lines in both: line by line they belong together",
            remedy="copy both files again.",
        )
    for number, (given, written) in enumerate(zip(ours, theirs, strict=True), start=1):
        yield number, given, written


def _lines(path: Path) -> Sequence[str]:
    return [line for _, line in lines(path, "a pair a line")]


class Nl2Bash(AlignedLines):
    """NL2Bash: one-line commands of bash with what they do in English (Lin et al. 2018, arXiv 1802.08979).

    Parameters
    ----------
    path : str, optional
        The folder of ``all.nl`` and ``all.cm``.
    **options
        Further options of :class:`AlignedLines`.
    """

    licence = Licence("MIT")
    citation = "Lin et al. 2018, NL2Bash, LREC, arXiv 1802.08979"

    def __init__(self, path: Any = None, **options: Any):
        super().__init__(path, **{"given": ".nl", "written": ".cm", **options})


class JavaToCSharp(AlignedLines):
    """Java methods with the same in C#, of CodeXGLUE (Lu et al. 2021, arXiv 2102.04664).

    Parameters
    ----------
    path : str, optional
        The folder of the six files.
    **options
        Further options of :class:`AlignedLines`.
    """

    licence = Licence("C-UDA-1.0")
    citation = "Lu et al. 2021, CodeXGLUE, arXiv 2102.04664"

    def __init__(self, path: Any = None, **options: Any):
        super().__init__(path, **{"given": ".java", "written": ".cs", **options})
