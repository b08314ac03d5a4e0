"""HTML built from elements whose text is escaped unless it is known to be markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any


class Markup(str):
    """HTML that goes into the page as it stands; every other string is escaped."""

    __slots__ = ()


_VOID = frozenset({"br", "col", "hr", "img", "meta"})


def text(value: Any) -> Markup:
    """Turn a child of an element into markup.

    Parameters
    ----------
    value : Any
        Markup stays as it is; None and booleans vanish; lists and generators are joined; anything else
        is escaped.

    Returns
    -------
    Markup
    """
    if isinstance(value, Markup):
        return value
    if value is None or isinstance(value, bool):
        return Markup("")
    if isinstance(value, str) or not isinstance(value, Iterable):
        return Markup(html.escape(str(value)))
    return Markup("".join(text(child) for child in value))


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Make an element.

    Parameters
    ----------
    name : str
    *children : Any
        As in :func:`text`.
    **attributes : Any
        ``class_`` is class, ``aria_label`` is aria-label; None and False leave the attribute out, True
        writes it without a value.

    Returns
    -------
    Markup

    Examples
    --------
    >>> tag("td", "a < b", class_="number")
    '<td class="number">a &lt; b</td>'
    """
    written = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        written.append(key if value is True else f'{key}="{html.escape(str(value))}"')
    opening = f"<{' '.join(written)}>"
    return Markup(opening if name in _VOID else f"{opening}{text(children)}</{name}>")
