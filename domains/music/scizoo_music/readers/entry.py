"""What every reader of symbolic music gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scizoo.errors import DataError
from scizoo_music.pieces import Piece

#: A piece that lasts longer is refused: it is no piece, but a fault in its times.
LONGEST_HOURS = 3.0
#: Most bytes of a symbolic file.
LARGEST = 50_000_000


@dataclass(frozen=True)
class Entry:
    """One piece as a file has it.

    Parameters
    ----------
    id : str
    input : Piece or str
        Notes, or the ABC text of a tune.
    meta : mapping
        What the file says beside the notes; ``repairs`` tells what was put right.
    source : str
    """

    id: str
    input: Piece | str
    meta: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


def check_length(piece: Piece) -> Piece:
    """Refuse a piece of many hours.

    Raises
    ------
    DataError
        Saying how long it lasts.
    """
    hours = float(piece.seconds(piece.end)) / 3600
    if hours > LONGEST_HOURS:
        raise DataError(
            f"the piece lasts {hours:,.1f} hours.",
            expected=f"at most {LONGEST_HOURS:g} hours",
            remedy="mend its times; a wrong delta time or a tempo near 0 makes a piece endless.",
        )
    return piece


def meta_of(piece: Piece) -> dict[str, Any]:
    """Give what a piece states, as record columns: title, composer, meter, key, tempo, pick-up."""
    return {
        "title": piece.title or None,
        "composer": piece.composer or None,
        "meter": str(piece.meters[0]) if piece.meters else None,
        "key": str(piece.keys[0]) if piece.keys else None,
        "tempo": piece.tempos[0].bpm if piece.tempos else None,
        "pickup": piece.pickup or None,
    }
