"""Where a statement or a block ends, by the syntax tree: where completion stops, and gaps are made."""

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
_TRIED = 20  # lines that are looked at for each gap
#: What is left out; see :func:`gaps`.
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
    if not written.strip():
        return len(written)
    if level == "block":
        return _end_in_tree(prefix, written, language, level)[0]
    line = prefix.rpartition("\n")[2]
    if not line.strip():  # a statement begins here: nothing before it is needed
        return _end_in_tree("", written, language, level, indent=line)[0]
    end, column = _end_in_tree(prefix, written, language, level)
    if _leaves_block(written[:end], column):  # what stands before was not understood
        return _end_in_tree(line.lstrip(), written, language, level, indent=line)[0]
    return end


def _end_in_tree(prefix: str, written: str, language: str, level: Level, indent: str = "") -> tuple[int, int]:
    """Find the end by parsing, and the column in which the statement begins.

    Lines of what was written are moved left by the white space of `indent`.
    """
    removed = len(indent) - len(indent.lstrip())
    lines = written.splitlines(keepends=True)
    moved = [line[min(removed, len(line) - len(line.lstrip(" \t"))) :] for line in lines[1:]]
    before, after = to_bytes(prefix), to_bytes("".join([*lines[:1], *moved]))
    place = len(before) + len(after) - len(after.lstrip())
    root = parse(before + after, language).root_node
    node = _enclosing_block(root, place) if level == "block" else statement_at(root, place)
    if node is None or node.type == "ERROR" or node.end_byte <= len(before):
        return len(_first_line(written)), 0
    kept = from_bytes(after[: node.end_byte - len(before)])
    # Back from the moved lines to those that were written.
    full, column = kept.count("\n"), node.start_point.column
    if full >= len(lines):
        return len(written), column
    shift = len(lines[full]) - len(moved[full - 1]) if full else 0
    return sum(map(len, lines[:full])) + len(kept.rpartition("\n")[2]) + shift, column


def _leaves_block(kept: str, column: int) -> bool:
    """Whether lines stand further left than the statement to which they are said to belong."""
    lines = [line for line in kept.splitlines()[1:] if line.strip()]
    return any(len(line) - len(line.lstrip()) < column for line in lines)


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
    root = parse(data, language).root_node
    starts = _line_starts(data)
    made: list[tuple[int, int]] = []
    for place in rng.permutation(len(starts))[: _TRIED * count].tolist():
        span = _span(root, starts[place], level, rng)
        if span is None or any(span[0] < end and start < span[1] for start, end in made):
            continue
        left_out = data[span[0] : span[1]]
        if shortest <= len(left_out) <= longest and len(left_out.split()) > 1:
            made.append(span)
            if len(made) == count:
                break
    for start, end in sorted(made):
        yield Gap(from_bytes(data[:start]), from_bytes(data[end:]), from_bytes(data[start:end]))


def _line_starts(data: bytes) -> list[int]:
    """Give the first byte of each line that is not blank, after its indentation."""
    found, place = [], 0
    for line in data.splitlines(keepends=True):
        if line.strip():
            found.append(place + len(line) - len(line.lstrip()))
        place += len(line)
    return found


def _span(root: Node, place: int, level: Level, rng: np.random.Generator) -> tuple[int, int] | None:
    """Give the bytes that are left out where a line begins, None where nothing of the level begins there."""
    node = statement_at(root, place, begins=True)
    if node is None or node.has_error or node.parent is None or node.parent.type not in CONTAINERS:
        return None
    if level == "block":
        block = node.parent
        first = block.named_children[0]
        return _trimmed(block) if first == node and block.parent is not None and not block.has_error else None
    if "comment" in node.type or _is_text(node) or _holds_statements(node):
        return None
    if level == "statement":
        return node.start_byte, node.end_byte
    starts = [leaf.start_byte for leaf in walk(node) if not leaf.child_count and leaf.start_byte > place]
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
