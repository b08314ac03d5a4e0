"""What ``Record.input`` is in this domain: text, or one of three small frozen classes.

- A source file or a function is plain ``str``, as it stands in the file. What is known of it stands in the
  columns (``Record.meta``): see :data:`COLUMNS`. ``Record.group`` is the repository or package.
- A function with its documentation is a :class:`Documented` (search, naming).
- A place in a file that is to be filled is a :class:`Gap` (infilling).
- A programming problem that is judged by running tests is a :class:`Problem` (pass@k).

Bytes that are no text in the file's encoding are kept as Python's surrogate escapes, so that
:func:`to_bytes` gives exactly the bytes that :func:`from_bytes` was given.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Columns that datasets of this domain fill in, where known; any of them can be audited as a subgroup.
COLUMNS = {
    "path": "path below the repository or folder, with forward slashes",
    "repository": "repository, package or folder that the file belongs to; also Record.group",
    "language": "language by extension, name or first line, in lower case: python, c, java, ...",
    "licence": "SPDX identifier, or 'unknown'",
    "encoding": "encoding in which the file was written",
    "kind": "source, generated or minified",
    "name": "qualified name of a function, such as Path.open",
    "line": "first line of a function in its file, from 1",
}


@dataclass(frozen=True, slots=True)
class Documented:
    """A function and what its documentation says.

    Parameters
    ----------
    query : str
        First paragraph of the docstring, on one line.
    code : str
        The function without its docstring, indentation of its first line removed.
    """

    query: str
    code: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A piece of source with a part to fill in.

    Parameters
    ----------
    prefix, suffix : str
        What stands before and after.
    middle : str
        What stood there; empty where it is not known. ``prefix + middle + suffix`` is the source.
    """

    prefix: str
    suffix: str
    middle: str = ""

    @property
    def source(self) -> str:
        """The whole text."""
        return self.prefix + self.middle + self.suffix


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming problem: a prompt to be completed, and tests that say whether the completion is right.

    Parameters
    ----------
    prompt : str
        What the model is given: signature and docstring, ending in a newline.
    solution : str
        A completion that passes; empty where none is known.
    test : str
        Source that is run after the completed program and raises when it is wrong.
    entry_point : str
        Name of the function under test.
    """

    prompt: str
    solution: str = ""
    test: str = ""
    entry_point: str = ""

    @property
    def source(self) -> str:
        """The prompt with its known solution."""
        return self.prompt + self.solution


#: Everything that ``Record.input`` can be.
Source = str | Documented | Gap | Problem


def text_of(value: Source) -> str:
    """Give an input as one text: a gap filled, a problem solved, a query above its code."""
    if isinstance(value, str):
        return value
    if isinstance(value, Documented):
        return f"{value.query}\n{value.code}"
    return value.source


def to_bytes(text: str) -> bytes:
    """Encode as UTF-8; surrogate escapes become the bytes that they stand for."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Decode UTF-8; bytes that are none become surrogate escapes, so that nothing is lost."""
    return data.decode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Show a text that may hold surrogate escapes, so that it can be written anywhere."""
    return to_bytes(text).decode("utf-8", "replace")
