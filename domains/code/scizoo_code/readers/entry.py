"""What every reader gives: one source file as text, with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One source file as text.

    Parameters
    ----------
    id : str
        Its path, or file and row.
    text : str
    fields : mapping
        The columns of :data:`scizoo_code.sources.COLUMNS` that are known, and any column of a table.
    source : str
        Where it was read, for messages.
    """

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
