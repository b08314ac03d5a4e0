"""Bars, key signatures and tempos of ABC tunes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from scizoo_music.pieces import Key, Tempo

_SHARPS = "FCGDAEB"
_TEMPO = re.compile(r"(?:(\d+)/(\d+))?\s*=?\s*(\d{1,3})(?:\s|$|\")")
#: Times are whole numbers, so many a quarter beat: ten halvings, and triplets to septuplets within them.
TICKS = 2**10 * 3**2 * 5 * 7


@dataclass(frozen=True)
class Bar:
    """One bar as it is written.

    Parameters
    ----------
    length : int
        In ticks.
    expected : int
        What the meter wants; 0 in free meter.
    left, right : str
        The bar lines at its sides; empty at the beginning or end of the tune.
    """

    length: int
    expected: int
    left: str
    right: str

    @property
    def adds_up(self) -> bool:
        """Whether it is full, or a shorter one where one may stand: at a repeat, an end, or as pick-up."""
        if not self.expected or self.length == self.expected:
            return True
        return self.length < self.expected and any(bar != "|" for bar in (self.left, self.right))


def signature(key: Key) -> dict[str, int]:
    """Give the letters that a key signature alters, and by how much."""
    if key.fifths >= 0:
        return dict.fromkeys(_SHARPS[: key.fifths], 1)
    return dict.fromkeys(_SHARPS[key.fifths :], -1)


def read_tempo(text: str) -> list[Tempo]:
    """Read a ``Q:`` field; words alone say nothing."""
    found = _TEMPO.search(text)
    if found is None or not int(found[3]):
        return []
    beat = Fraction(int(found[1]), int(found[2])) if found[1] and int(found[2]) else Fraction(1, 4)
    return [Tempo(0.0, float(int(found[3]) * beat * 4))] if beat else []
