"""What every reader gives: one sequence with its name and whatever the file says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One sequence as a file has it, cleaned.

    Parameters
    ----------
    id : str
        The first word of the header, or a feature's name.
    sequence : str
        Upper-case DNA with IUPAC ambiguity codes.
    description : str
        The rest of the header.
    fields : mapping
        Other columns, qualifiers and attributes: what ``data.target`` and ``data.group`` can name.
    source : str
        Where it was read: ``"reads.fasta, record 12"``.
    """

    id: str
    sequence: str
    description: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
