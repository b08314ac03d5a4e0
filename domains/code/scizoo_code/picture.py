"""Source drawn for a report, the tokens of its syntax tree in colour and what was filled in marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scizoo.data.records import Record
from scizoo.evaluation.colouring import explained, first_line, layout_cells, mark_cells, note, page_columns
from scizoo_code.grammars import has_grammar, parse, walk
from scizoo_code.sources import Gap, from_bytes, printable, text_of, to_bytes

#: Colours that colour-blind readers can tell apart (Okabe and Ito 2008), on white.
_COLOURS = {
    "comment": "#6b6b6b",
    "string": "#b35900",
    "number": "#b35900",
    "keyword": "#0072b2",
    "name": "#8b3a75",
    "other": "#1a1a1a",
}
_MARK = "#fff0a8"
_MOST_LINES, _FONT_SIZE = 24, 6
_LINES_ABOVE_NOTE = 21  # the words below take room
_NO_BREAK = 10**9  # lines are not broken


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a source with coloured tokens; what stands in a gap has a yellow ground.

    Where it is known what a network used, the grounds of characters say so, and the lines are shown that it
    used most of.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        ``input`` as :mod:`scizoo_code.sources` names it.
    prediction : Any, optional
        What was predicted, for the title; or with what the network used of the characters, see
        :func:`scizoo.evaluation.colouring.explained`.
    """
    prediction, used, output = explained(prediction)
    axes.set_axis_off()
    axes.set_title(_title(record, prediction), fontsize=8)
    lines = _MOST_LINES if used is None else _LINES_ABOVE_NOTE
    text = text_of(record.input)
    gap = getattr(record.input, "gap", record.input)
    start, end = 0, 0
    if isinstance(gap, Gap):
        start, end = len(gap.prefix), len(gap.prefix) + len(gap.middle)
    first = max(0, text.count("\n", 0, start) - lines // 2)
    columns = page_columns(axes, _FONT_SIZE)
    if used is not None:
        cells = layout_cells(text, _NO_BREAK)
        first = first_line(cells[:, 0], used, lines)
        mark_cells(axes, cells - [first, 0], used, columns, lines)
        note(axes, output)
    language = str(record.meta.get("language") or "python")
    row, column = 0, 0
    for piece, kind, place in tokens(text, language):
        marked = isinstance(gap, Gap) and start <= place < end
        for number, part in enumerate(piece.split("\n")):
            if number:
                row, column = row + 1, 0
            shown = row - first
            if part and 0 <= shown < lines and column < int(columns):
                axes.text(
                    column / columns,
                    1 - (shown + 0.5) / lines,
                    _plain(part[: int(columns) - column]),
                    color=_COLOURS[kind],
                    family="monospace",
                    fontsize=_FONT_SIZE,
                    va="center",
                    transform=axes.transAxes,
                    bbox={"facecolor": _MARK, "edgecolor": "none", "pad": 0.6} if marked else None,
                )
            column += len(part.expandtabs(4))
    hidden = row - first - lines
    if hidden > 0 or first:
        words = f"... {first + max(hidden, 0):,} lines are not shown"
        axes.text(0, -0.02, words, fontsize=6, va="top", transform=axes.transAxes)


def tokens(text: str, language: str) -> Iterator[tuple[str, str, int]]:
    """Cut a text into the leaves of its syntax tree and what stands between: text, kind, first character."""
    if not has_grammar(language):
        yield text, "other", 0
        return
    data, at, place = to_bytes(text), 0, 0
    for node in walk(parse(data, language).root_node):
        kind = _kind(node)
        if node.start_byte < at or node.start_byte == node.end_byte or (node.child_count and kind == "other"):
            continue
        for begin, end, what in ((at, node.start_byte, "other"), (node.start_byte, node.end_byte, kind)):
            piece = from_bytes(data[begin:end])
            if piece:
                yield piece, what, place
            place += len(piece)
        at = node.end_byte
    if at < len(data):
        yield from_bytes(data[at:]), "other", place


def _kind(node: Any) -> str:
    """Say what a node of any grammar is, by how grammars name such nodes."""
    kind = node.type
    if "comment" in kind:
        return "comment"
    if kind in ("string", "string_literal", "char_literal", "interpreted_string_literal", "template_string"):
        return "string"
    if node.child_count:
        return "other"
    if "integer" in kind or "float" in kind or "number" in kind:
        return "number"
    if not node.is_named and kind.isalpha():
        return "keyword"
    parent = node.parent
    named = "identifier" in kind and parent is not None and parent.child_by_field_name("name") == node
    return "name" if named else "other"


def _plain(text: str) -> str:
    # A dollar sign begins mathematics in matplotlib.
    return printable(text.expandtabs(4)).replace("$", r"\$")


def _title(record: Record, prediction: Any) -> str:
    said = []
    if isinstance(record.target, str | int | float):
        said.append(f"true: {record.target}")
    if prediction is not None:
        said.append(f"predicted: {prediction}")
    return "\n".join([_plain(record.id), _plain("   ".join(said))]) if said else _plain(record.id)
