"""Source files one by one: size, encoding, language and kind, each mishap in one message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from scizoo.data.opening import open_bytes, reading
from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_code.languages import LANGUAGES, language_of
from scizoo_code.readers.decoding import decode
from scizoo_code.readers.entry import Entry
from scizoo_code.readers.kinds import kind_of
from scizoo_code.readers.trees import SourceFile, SourceTree

_FIRST_LINE = 200


class FileReader:
    """Reads source files that are wanted.

    Parameters
    ----------
    languages : sequence of str, optional
        Only files in these; by default in every language that is known.
    max_bytes : int
        Larger files are left out.
    encoding : str, optional
        Of files without a byte-order mark; by default told file by file.
    generated, minified : bool
        Whether such files are read.
    """

    def __init__(
        self,
        languages: list[str] | None = None,
        max_bytes: int = 1_000_000,
        encoding: str | None = None,
        generated: bool = False,
        minified: bool = False,
    ):
        for language in languages or ():
            if language not in LANGUAGES:
                raise ConfigError(
                    f"data.languages: '{language}' is unknown; {did_you_mean(language, LANGUAGES)}"
                )
        if max_bytes < 1:
            raise ConfigError(f"data.max_bytes={max_bytes}", expected="a number of bytes from 1")
        self.languages = None if languages is None else frozenset(languages)
        self.max_bytes, self.encoding = max_bytes, encoding
        self.generated, self.minified = generated, minified
        self.begin(Counter())

    def begin(self, left_out: Counter[str], note: Callable[[str, str], None] | None = None) -> None:
        """Start anew; what is left out is counted in ``left_out`` and told file by file to ``note``."""
        self.left_out, self._note = left_out, note
        #: Files by encoding, and how many of these were guessed.
        self.encodings: Counter[str] = Counter()
        self.guessed: Counter[str] = Counter()

    def _leave(self, why: str, path: str, detail: str = "") -> None:
        self.left_out[why] += 1
        if self._note is not None:
            self._note(f"{why}{detail}", path)

    def tree(self, tree: SourceTree, rejections: RejectionLog) -> Iterator[Entry]:
        """Read the wanted files of a folder."""
        for file in tree.files():
            yield from self.file(file, rejections)

    def file(self, file: SourceFile, rejections: RejectionLog, *, named: bool = False) -> Iterator[Entry]:
        """Read a file; gives one entry or none.

        Parameters
        ----------
        file : SourceFile
        rejections : RejectionLog
            Where a file is told that cannot be read as text.
        named : bool
            Whether the user named this very file, which then counts whatever its ending.
        """
        try:
            language = self._language(file)
            if language is None and not named:
                self._leave("in no known language", file.relative)
                return
            if self.languages is not None and language not in self.languages:
                self._leave("in another language", file.relative)
                return
            size = file.path.stat().st_size
            if size > self.max_bytes:
                detail = f": {size / 1e6:.1f} MB, data.max_bytes allows {self.max_bytes / 1e6:g} MB"
                self._leave("too large", file.relative, detail)
                return
            if size == 0:
                self._leave("empty", file.relative)
                return
            with reading(file.path):
                data = file.path.read_bytes()
        except (DataError, OSError) as error:
            rejections.reject(file.relative, file.relative, str(error).partition("\n")[0])
            return
        try:
            found = decode(data, self.encoding)
        except ValueError as error:
            rejections.reject(file.relative, file.relative, str(error))
            return
        if not found.text.strip():
            self._leave("empty", file.relative)
            return
        kind = kind_of(file.path.name, found.text)
        if (kind == "generated" and not self.generated) or (kind == "minified" and not self.minified):
            self._leave(kind, file.relative)
            return
        self.encodings[found.encoding] += 1
        if found.guessed:
            self.guessed[found.encoding] += 1
        fields = {
            "path": file.inside,
            "repository": file.repository,
            "package": _package(file.inside),
            "language": language or "unknown",
            "encoding": found.encoding,
            "kind": kind,
        }
        yield Entry(file.relative, found.text, fields, file.relative)

    def _language(self, file: SourceFile) -> str | None:
        language = language_of(file.path.name)
        if language is not None or "." in file.path.name.lstrip("."):
            return language
        with reading(file.path), file.path.open("rb") as stream:
            return language_of(file.path.name, stream.read(_FIRST_LINE))


def one_file(path: Path) -> SourceFile:
    """Describe a file that was named by itself."""
    return SourceFile(path, path.name, path.resolve().parent.name or "/", path.name)


def unpacked_head(path: Path, size: int = 4096) -> bytes:
    """Give the first bytes of a file that may be compressed."""
    with reading(path), open_bytes(path) as stream:
        return stream.read(size)


def _package(inside: str) -> str:
    """Give the first folder of a path within its repository, or the module's name at the top."""
    first, slash, _ = inside.partition("/")
    return first if slash else first.partition(".")[0] or first
