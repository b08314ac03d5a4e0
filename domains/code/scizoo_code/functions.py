"""Functions of a source file with their names and documentation, by the syntax tree of any language."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scizoo_code.grammars import find, parse

if TYPE_CHECKING:
    from tree_sitter import Node

#: Nodes that are functions, by language.
FUNCTIONS: dict[str, frozenset[str]] = {
    "bash": frozenset({"function_definition"}),
    "c": frozenset({"function_definition"}),
    "c_sharp": frozenset({"method_declaration", "local_function_statement", "constructor_declaration"}),
    "cpp": frozenset({"function_definition"}),
    "go": frozenset({"function_declaration", "method_declaration"}),
    "java": frozenset({"method_declaration", "constructor_declaration"}),
    "javascript": frozenset({"function_declaration", "generator_function_declaration", "method_definition"}),
    "php": frozenset({"function_definition", "method_declaration"}),
    "python": frozenset({"function_definition"}),
    "ruby": frozenset({"method", "singleton_method"}),
    "rust": frozenset({"function_item"}),
    "typescript": frozenset({"function_declaration", "generator_function_declaration", "method_definition"}),
}
_SCOPES = re.compile(r"class|module|impl_item|interface|trait|struct|namespace|function|method")
_MARKS = re.compile(r"^[ \t]*(?:/\*\*?|\*/|\*|///?!?|#+'?|--)?[ \t]?", re.MULTILINE)
_END = re.compile(r"[ \t]*\*/[ \t]*$")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a file.

    Parameters
    ----------
    name : str
        With the classes and functions around it: ``Path.open``.
    code : str
        The whole function with decorators, the indentation of its first line removed everywhere.
    bare : str
        The same without its docstring; equal to ``code`` where documentation stands outside.
    docstring : str
        Cleaned as :func:`inspect.cleandoc` does; empty where there is none.
    line : int
        Where it starts, from 1.
    """

    name: str
    code: str
    bare: str
    docstring: str
    line: int

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation, on one line."""
        return " ".join(self.docstring.partition("\n\n")[0].split())


def functions_of(text: str, language: str = "python") -> Iterator[Function]:
    """Yield the functions of a file in order, nested ones and methods too.

    Parameters
    ----------
    text : str
    language : str
        One of :data:`FUNCTIONS`.

    Raises
    ------
    ConfigError
        When no grammar of the language is installed.
    """
    kinds = FUNCTIONS.get(language)
    if kinds is None:
        return
    data = text.encode("utf-8", "surrogateescape")
    for node in find(parse(data, language).root_node, language, kinds):
        if not node.has_error:
            found = _function(node, data, language)
            if found is not None:
                yield found


def _function(node: Node, data: bytes, language: str) -> Function | None:
    name = _name(node)
    if not name:
        return None
    above = [one for one in (_name(parent) for parent in _scopes(node)) if one]
    outer = node.parent if node.parent is not None and node.parent.type == "decorated_definition" else node
    start = data.rfind(b"\n", 0, outer.start_byte) + 1
    if data[start : outer.start_byte].strip():  # something else stands on its line
        start = outer.start_byte
    string = _docstring_node(node) if language == "python" else None
    if string is not None:
        docstring = _literal(_text(string))
        statement = string.parent
        assert statement is not None
        bare = _without(data, start, outer.end_byte, statement)
    else:
        docstring = "" if language == "python" else _comment_above(outer, data)
        bare = data[start : outer.end_byte]
    return Function(
        ".".join([*reversed(above), name]),
        _dedented(data[start : outer.end_byte]),
        _dedented(bare),
        docstring,
        outer.start_point[0] + 1,
    )


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "surrogateescape")


def _name(node: Node) -> str:
    """Give the name of a function or class; of C and C++ it lies below the declarators."""
    found = node.child_by_field_name("name")
    if found is None and node.type == "impl_item":
        found = node.child_by_field_name("type")
    inner = node.child_by_field_name("declarator")
    while found is None and inner is not None:
        below = inner.child_by_field_name("declarator")
        if below is None:
            found = inner
        inner = below
    return " ".join(_text(found).split()) if found is not None else ""


def _scopes(node: Node) -> Iterator[Node]:
    parent = node.parent
    while parent is not None:
        if _SCOPES.search(parent.type) and parent.type != "module":
            yield parent
        parent = parent.parent


def _docstring_node(node: Node) -> Node | None:
    """Give the string that is the first statement of a Python function."""
    body = node.child_by_field_name("body")
    first = next((one for one in body.named_children if one.type != "comment"), None) if body else None
    if first is None or first.type != "expression_statement" or first.named_child_count != 1:
        return None
    string = first.named_children[0]
    plain = string.type == "string" and not _text(string)[:2].lower().startswith(("f", "b", "rb", "br", "t"))
    return string if plain else None


def _literal(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return ""
    return inspect.cleandoc(value) if isinstance(value, str) else ""


def _without(data: bytes, start: int, end: int, statement: Node) -> bytes:
    """Cut a docstring out with its line; ``pass`` stands in where nothing else is left."""
    body = statement.parent
    alone = body is not None and body.named_child_count == 1
    first = data.rfind(b"\n", 0, statement.start_byte) + 1
    after = data.find(b"\n", statement.end_byte)
    after = end if after < 0 or after + 1 > end else after + 1
    whole = not data[first : statement.start_byte].strip() and not data[statement.end_byte : after].strip()
    if alone:
        return data[start : statement.start_byte] + b"pass" + data[statement.end_byte : end]
    if whole:
        return data[start:first] + data[after:end]
    rest = data[statement.end_byte : end].lstrip(b" \t;")
    return data[start : statement.start_byte] + rest


def _comment_above(node: Node, data: bytes) -> str:
    """Give the comments that stand directly above a function, without their marks."""
    lines: list[str] = []
    place, below = node.prev_sibling, node.start_point[0]
    while place is not None and "comment" in place.type and below - place.end_point[0] <= 1:
        lines.insert(0, _text(place))
        below, place = place.start_point[0], place.prev_sibling
    marked = [_END.sub("", _MARKS.sub("", line)) for text in lines for line in text.splitlines()]
    return inspect.cleandoc("\n".join(marked)) if any(line.strip() for line in marked) else ""


def _dedented(data: bytes) -> str:
    return textwrap.dedent(data.decode("utf-8", "surrogateescape")).strip("\n") + "\n"
