"""Where a statement or a block ends, by the syntax tree: what completion stops at, and where gaps are made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from scizoo.errors import ConfigError
from scizoo_code.grammars import parse, walk
from scizoo_code.sources import Gap, from_bytes, to_bytes

if TYPE_CHECKING:
    from tree_sitter import Node

#: Nodes whose children are statements or declarations, in the grammars of tree-sitter.
CONTAINERS = frozenset(
    {
        "block",
        "body_statement",
        "class_body",
        "compilation_unit",
        "compound_statement",
        "declaration_list",
        "enum_body",
        "interface_body",
        "module",
        "program",
        "source_file",
        "statement_block",
        "switch_block",
        "translation_unit",
    }
)
#: Nodes between which a name, a number or a sign stands; a gap within a statement begins at one of them.
Level = Literal["statement", "rest", "block"]
LEVELS: tuple[Level, ...] = ("statement", "rest", "block")


def statement_at(root: Node, place: int, begins: bool = False) -> Node | None:
    """Give the smallest statement around a byte, or None where there is none.

    Parameters
    ----------
    root : Node
        Of a whole text.
    place : int
        Byte.
    begins : bool
        Whether it has to begin there; the largest such statement is given.
    """
    node = root.descendant_for_byte_range(place, place)
    found = None
    while node is not None:
        if node.parent is not None and node.parent.type in (*CONTAINERS, "ERROR") and node.is_named:
            if not begins:
                return node
            if node.start_byte == place:
                found = node
        node = node.parent
    return found


def end_of(prefix: str, written: str, language: str, level: Level = "statement") -> int:
    """Find where what was written completes the statement, or block, that it stands in.

    Everything that was written counts where the statement goes on to its end, or where no tree tells.

    Parameters
    ----------
    prefix : str
        What stands before.
    written : str
    language : str
        A language with a grammar.
    level : {"statement", "rest", "block"}
        ``statement`` and ``rest``: up to the end of the statement in which writing began; ``block``: up to
        the end of the block in which it began.

    Returns
    -------
    int
        Characters of `written` that belong to it.
    """
    before, after = to_bytes(prefix), to_bytes(written)
    skipped = len(after) - len(after.lstrip())
    if not after.strip():
        return len(written)
    root = parse(before + after, language).root_node
    place = len(before) + skipped
    node = _enclosing_block(root, place) if level == "block" else statement_at(root, place)
    if node is None or node.type == "ERROR":
        return len(_first_line(written))
    end = node.end_byte - len(before)
    if end <= 0:
        return len(written)
    return len(from_bytes(after[:end]))


def _enclosing_block(root: Node, place: int) -> Node | None:
    node = root.descendant_for_byte_range(place, place)
    while node is not None and not (node.type in CONTAINERS and node.start_byte <= place):
        node = node.parent
    return node


def _first_line(written: str) -> str:
    lead = len(written) - len(written.lstrip("\n"))
    line, _, _ = written[lead:].partition("\n")
    return written[: lead + len(line)]


def gaps(
    text: str,
    language: str,
    rng: np.random.Generator,
    *,
    level: Level = "statement",
    count: int = 1,
    shortest: int = 10,
    longest: int = 160,
) -> Iterator[Gap]:
    """Make gaps in a text at places that its syntax tree knows, at most one a statement.

    Parameters
    ----------
    text : str
    language : str
        A language with a grammar.
    rng : Generator
    level : {"statement", "rest", "block"}
        ``statement``: a whole statement without the statements in it; ``rest``: a statement from one of its
        tokens on; ``block``: all statements of a block.
    count : int
        Gaps to make, at most.
    shortest, longest : int
        Length of what is left out, in bytes.

    Raises
    ------
    ConfigError
        When there is no such level.
    """
    if level not in LEVELS:
        raise ConfigError(f"data.level={level}", expected=f"one of {', '.join(LEVELS)}")
    data = to_bytes(text)
    found = []
    for node in walk(parse(data, language).root_node):
        span = _span(node, level, rng)
        if span is not None and not node.has_error:
            start, end = span
            if shortest <= end - start <= longest and len(data[start:end].split()) > 1:
                found.append(span)
    if not found:
        return
    chosen = rng.choice(len(found), size=min(count, len(found)), replace=False)
    for start, end in sorted(found[place] for place in chosen.tolist()):
        yield Gap(from_bytes(data[:start]), from_bytes(data[end:]), from_bytes(data[start:end]))


def _span(node: Node, level: Level, rng: np.random.Generator) -> tuple[int, int] | None:
    """Give the bytes that are left out of a node, None where it is not of the level."""
    if level == "block":
        inner = node.type in CONTAINERS and node.parent is not None and node.named_child_count > 0
        return _trimmed(node) if inner else None
    if node.parent is None or node.parent.type not in CONTAINERS or not node.is_named:
        return None
    if node.type in CONTAINERS or "comment" in node.type or _holds_statements(node) or _is_text(node):
        return None
    if level == "statement":
        return node.start_byte, node.end_byte
    starts = [leaf.start_byte for leaf in walk(node) if leaf.child_count == 0][1:]
    starts = [start for start in starts if start > node.start_byte]
    return (int(rng.choice(starts)), node.end_byte) if starts else None


def _trimmed(node: Node) -> tuple[int, int]:
    """Leave out braces, which stand around the statements of a block."""
    named = node.named_children
    return named[0].start_byte, named[-1].end_byte


def _holds_statements(node: Node) -> bool:
    return any(child.type in CONTAINERS for child in walk(node))


def _is_text(node: Node) -> bool:
    """Whether a statement is nothing but a string: documentation."""
    return node.named_child_count == 1 and node.named_children[0].type in ("string", "concatenated_string")
