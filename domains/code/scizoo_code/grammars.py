"""Syntax trees by tree-sitter: the grammar of Python comes along, others are packages of their own."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from scizoo.errors import ConfigError

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query, Tree

#: Functions that give a grammar where the package has several.
_ENTRIES = {"typescript": "language_typescript", "php": "language_php", "ocaml": "language_ocaml"}
_MODULES = {"c_sharp": "tree_sitter_c_sharp"}


def has_grammar(language: str) -> bool:
    """Whether a grammar of the language is installed; nothing is imported."""
    return importlib.util.find_spec(_module(language)) is not None


def _module(language: str) -> str:
    return _MODULES.get(language, f"tree_sitter_{language}")


@cache
def grammar(language: str) -> Language:
    """Load the grammar of a language.

    Raises
    ------
    ConfigError
        When its package is not installed.
    """
    from tree_sitter import Language

    if not has_grammar(language):
        package = _module(language).replace("_", "-")
        raise ConfigError(
            f"no grammar of {language} is installed.",
            expected=f"the package {package}",
            remedy=f"pip install {package} (pip install 'scizoo-code[languages]' for eleven languages).",
        )
    module = importlib.import_module(_module(language))
    return Language(getattr(module, _ENTRIES.get(language, "language"))())


@cache
def _parser(language: str) -> Parser:
    from tree_sitter import Parser

    return Parser(grammar(language))


def parse(text: str | bytes, language: str) -> Tree:
    """Parse source code; what is no syntax of the language becomes nodes of errors.

    Parameters
    ----------
    text : str or bytes
        Positions in the tree count bytes of UTF-8.
    language : str

    Raises
    ------
    ConfigError
        When no grammar is installed.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return _parser(language).parse(data)


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the source, without recursion."""
    cursor = node.walk()
    while True:
        current = cursor.node
        assert current is not None
        yield current
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent() or cursor.node == node:
                return


@cache
def _query(language: str, kinds: frozenset[str]) -> Query:
    from tree_sitter import Query

    return Query(grammar(language), "".join(f"({kind}) @found\n" for kind in sorted(kinds)))


def find(node: Node, language: str, kinds: frozenset[str]) -> list[Node]:
    """Find the nodes of some kinds below a node, in the order of the source."""
    from tree_sitter import QueryCursor

    found = QueryCursor(_query(language, kinds)).captures(node).get("found", [])
    return sorted(found, key=lambda one: (one.start_byte, -one.end_byte))


def has_errors(text: str | bytes, language: str) -> bool:
    """Whether a text does not parse cleanly."""
    return parse(text, language).root_node.has_error
