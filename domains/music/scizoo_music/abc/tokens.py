"""The signs of ABC notation (standard 2.1): fields and the music code, cut into tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from scizoo.errors import DataError
from scizoo_music.pieces import MODES, Key, Meter

_TOKEN = re.compile(
    r"""(?P<note>(?:\^\^?|__?|=)?[A-Ga-g][,']*)
    |(?P<length>\d+/*\d*|/+\d*)
    |(?P<bar>(?:\[\|[\]:]*|:*\|[|\]:]*|::+)(?:\s*\[?[1-9](?:[,-][1-9])*(?![\d/:]))?|\[[1-9](?:[,-][1-9])*(?![\d/:]))
    |(?P<space>[\s`\\y]+|!(?![^!\n]{1,40}!))
    |(?P<rest>[zxZX])
    |(?P<broken>>+|<+)
    |(?P<tie>-)
    |(?P<tuplet>\(\d(?::\d?){0,2})
    |(?P<slur>[()])
    |(?P<field>\[[A-Za-z]:[^\]\n]*\])
    |(?P<text>"[^"\n]*")
    |(?P<mark>![^!\n]{1,40}!|\+[^+\n]{1,40}\+|[.~H-WhijklmnopqrstuvwJ*])
    |(?P<grace>\{[^}\n]*\})
    |(?P<open>\[)|(?P<close>\])""",
    re.VERBOSE,
)
_FIELD = re.compile(r"^([A-Za-z+]):[ \t]*(.*?)\s*$")
_KEY = re.compile(r"^([A-G])([#b]?)\s*([A-Za-z]*)$")
_MODE_NAMES = {
    "": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor",
    "mix": "mixolydian", "dor": "dorian", "phr": "phrygian", "lyd": "lydian", "loc": "locrian",
}  # fmt: skip
#: How a mode is written behind the tonic.
SUFFIXES = {
    "major": "", "minor": "m", "mixolydian": "mix", "dorian": "dor", "phrygian": "phr", "lydian": "lyd",
    "locrian": "loc",
}  # fmt: skip
_FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
#: Numbers of notes that a tuplet of ABC takes the time of, in simple meter.
TUPLET_TIME = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}


class Tune(NamedTuple):
    """One tune's text: its fields (each letter's first), and its lines of music with the fields between."""

    fields: dict[str, str]
    body: list[tuple[str, str]]


def split_tune(text: str) -> Tune:
    """Part the header from the music.

    Returns
    -------
    Tune
        ``body`` holds pairs of a field's letter and its text; music has the letter ``""``.

    Raises
    ------
    DataError
        When there is no ``K:`` field, or no line of music.
    """
    fields: dict[str, str] = {}
    body: list[tuple[str, str]] = []
    begun = False
    for line in text.splitlines():
        bare = line.split("%", 1)[0] if "%" in line else line
        if not bare.strip():
            continue
        field = _FIELD.match(bare)
        if not begun:
            if field is None:
                continue  # text between the header's fields means nothing in ABC
            fields.setdefault(field[1], field[2])
            begun = field[1] == "K"
        elif field is not None:
            body.append((field[1], field[2]))
        else:
            body.append(("", bare))
    if not begun:
        raise DataError("the tune has no K: field.", expected="a header that ends in K:, such as K:G")
    if not any(letter == "" for letter, _ in body):
        raise DataError("the tune has no line of music.", expected="notes after the K: field")
    return Tune(fields, body)


def tokens(line: str) -> Iterator[tuple[str, str]]:
    """Cut a line of music into (kind, text); kinds are the names of the groups of the pattern.

    Raises
    ------
    DataError
        Naming a character that means nothing there.
    """
    place = 0
    for found in _TOKEN.finditer(line):
        if found.start() != place:
            break
        yield str(found.lastgroup), found[0]
        place = found.end()
    if place != len(line):
        near = line[max(0, place - 8) : place + 8]
        raise DataError(f"{line[place]!r} means nothing in ABC at '{near}'.")


def parse_key(text: str) -> Key:
    """Read a ``K:`` field.

    Raises
    ------
    DataError
        When it is none, or states accidentals of its own.
    """
    word = re.split(r"\s+(?:clef|octave|middle|transpose|stafflines|staff)\S*", text.strip())[0].strip()
    if word == "Hp":  # Highland pipes: two sharps
        return Key(0.0, 2)
    found = _KEY.match(word)
    mode = None if found is None else _MODE_NAMES.get("m" if found[3] == "m" else found[3].lower()[:3])
    if found is not None and found[3] == "M":
        mode = "major"
    if found is None or mode is None:
        raise DataError(f"K:{text} is no key.", expected="a tonic and a mode, such as G, Am, D mixolydian")
    fifths = _FIFTHS[found[1]] + {"": 0, "#": 7, "b": -7}[found[2]] - MODES[mode]
    if not -7 <= fifths <= 7:
        raise DataError(f"K:{text} has more than seven sharps or flats.")
    return Key(0.0, fifths, mode)


def write_key(key: Key) -> str:
    """Write a key as ABC does: ``F#m``."""
    return key.tonic + SUFFIXES[key.mode]


def parse_meter(text: str) -> Meter | None:
    """Read an ``M:`` field; None for free meter.

    Raises
    ------
    DataError
        When it is none.
    """
    word = text.strip()
    if word in ("C", "C|"):
        return Meter(0.0, 4, 4) if word == "C" else Meter(0.0, 2, 2)
    if word in ("none", ""):
        return None
    found = re.match(r"^\(?(\d{1,2}(?:\+\d{1,2})*)\)?/(1|2|4|8|16|32)$", word)
    if found is None or not 0 < sum(map(int, found[1].split("+"))) < 100:
        raise DataError(f"M:{text} is no meter.", expected="two numbers such as 6/8, C, C| or none")
    return Meter(0.0, sum(map(int, found[1].split("+"))), int(found[2]))


def parse_unit(text: str | None, meter: Meter | None) -> Fraction:
    """Read an ``L:`` field as a share of a whole note; by default 1/16 below a meter of 3/4, else 1/8.

    Raises
    ------
    DataError
        When it is none.
    """
    if text is None:
        small = meter is not None and meter.beats / meter.unit < 0.75
        return Fraction(1, 16 if small else 8)
    found = re.match(r"^1/(1|2|4|8|16|32|64)$|^1$", text.strip())
    if found is None:
        raise DataError(f"L:{text} is no unit of length.", expected="1/8, 1/16 and the like")
    return Fraction(1, int(found[1] or 1))


@lru_cache(maxsize=10_000)
def parse_length(text: str) -> Fraction:
    """Read the number behind a note: ``3``, ``3/2``, ``/``, ``//``.

    Raises
    ------
    DataError
        When it is zero.
    """
    if text.isdigit():
        found = Fraction(int(text))
    else:
        above, _, below = text.partition("/")
        slashes = len(below) - len(below.lstrip("/")) + 1
        digits = below.lstrip("/")
        bottom = int(digits) if digits else 2**slashes
        if not 0 < bottom <= 1024:
            raise DataError(f"a note has the length '{text}'.")
        found = Fraction(int(above) if above else 1, bottom)
    if not 0 < found <= 64:
        raise DataError(f"a note has the length '{text}'.", expected="a length above 0, at most 64 units")
    return found


@lru_cache(maxsize=10_000)
def write_length(length: Fraction) -> str:
    """Write a length in the shortest way that :func:`parse_length` reads."""
    above = "" if length.numerator == 1 else str(length.numerator)
    return above if length.denominator == 1 else f"{above}/{length.denominator}"


@lru_cache(maxsize=10_000)
def plain_bar(text: str) -> str:
    """Write a bar line as ``|``, ``||``, ``|:``, ``:|`` or ``::``, with the number of an ending."""
    sign = re.sub(r"[\s\[\]]*[1-9][1-9,-]*$", "", text.strip()).replace(" ", "")
    ending = re.search(r"[1-9]", text)
    number = ending[0] if ending else ""
    if not sign.strip("[]"):
        return f"[{number}" if number else "||"
    back, forth = sign.startswith(":"), sign.endswith(":")
    if back or forth:
        bar = "::" if back and forth else ":|" if back else "|:"
    else:
        bar = "||" if "||" in sign or "]" in sign or "[" in sign else "|"
    return bar + number
