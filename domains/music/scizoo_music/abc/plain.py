"""Plain ABC: notation without ornament, written in one way, for language models; and its transposition."""

from __future__ import annotations

import re
from functools import lru_cache

from scizoo.errors import DataError
from scizoo_music.abc.bars import signature
from scizoo_music.abc.tokens import (
    parse_key,
    parse_length,
    parse_meter,
    parse_unit,
    plain_bar,
    split_tune,
    tokens,
    write_key,
    write_length,
)
from scizoo_music.pieces import Key, transposed_fifths

_LETTERS = "CDEFGAB"
# Fields first, so that their letters are not taken for notes.
_MUSIC = re.compile(
    r"^[A-JL-Za-z]:[^\n]*\n|\[[A-JL-Za-z]:[^\]\n]*\]"
    r"|(\^\^?|__?|=)?([A-Ga-g])([,']*)|\[K:([^\]\n]*)\]|^K:([^\n]*)(?:\n|\Z)",
    re.MULTILINE,
)
_WRITTEN = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_SIGNS = {sign: number for number, sign in _WRITTEN.items()}


def plain_abc(text: str) -> str:
    """Write a tune in plain ABC.

    The header is ``M:``, ``L:`` and ``K:``; the music follows on one line without spaces. Kept are notes,
    rests, chords, ties, tuplets, broken rhythms, bar lines, endings, and changes of key, meter and unit. Left
    out are titles and other texts, ornaments, grace notes, slurs, words, annotations and beams.

    Raises
    ------
    DataError
        When the tune cannot be read, has several voices, or no meter.
    """
    tune = split_tune(text)
    meter = parse_meter(tune.fields.get("M", ""))
    if meter is None:
        raise DataError("the tune has no meter.", expected="an M: field, such as M:6/8")
    unit = parse_unit(tune.fields.get("L") or None, meter)
    written = [f"M:{meter}\nL:{unit}\nK:{write_key(parse_key(tune.fields['K']))}\n"]
    for letter, line in tune.body:
        if letter == "V":
            raise DataError("the tune has several voices.", expected="one voice")
        if letter in ("K", "M", "L"):
            written.append(_plain_field(letter, line))
        elif not letter:
            written.extend(_plain(kind, token) for kind, token in tokens(line))
    merged: list[str] = []
    for sign in filter(None, written[1:]):
        if merged and sign[0] in "|:[" and merged[-1] in _BARS and _BAR.match(sign):
            merged[-1] = joined_bars(merged[-1], sign)  # one line's end, and the next one's beginning
        else:
            merged.append(sign)
    music = "".join(merged)
    if not music:
        raise DataError("the tune has no music.", expected="notes after the K: field")
    return written[0] + music


_BARS = ("|", "||", "|:", ":|", "::")
_BAR = re.compile(r"^(?:(?:\|\|?|\|:|:\||::)[1-9]?|\[[1-9])$")


def joined_bars(one: str, other: str) -> str:
    """Write two bar lines with nothing between them as one."""
    back, forth = (
        (any(bar.startswith(":") for bar in (one, other))),
        (one.endswith(":") or other.rstrip("123456789").endswith(":")),
    )
    double = one == "||" or other.startswith("||")
    sign = "::" if back and forth else ":|" if back else "|:" if forth else "||" if double else "|"
    return sign + other.lstrip("[|:")


@lru_cache(maxsize=10_000)
def _plain(kind: str, token: str) -> str:
    if kind == "length":
        return write_length(parse_length(token))
    if kind == "bar":
        return plain_bar(token)
    if kind == "rest":
        return {"x": "z", "X": "Z"}.get(token, token)
    if kind == "field":
        return _plain_field(token[1], token[3:-1])
    return token if kind in ("note", "broken", "tie", "tuplet", "open", "close") else ""


def _plain_field(letter: str, text: str) -> str:
    if letter == "K":
        return f"[K:{write_key(parse_key(text))}]"
    if letter == "M":
        meter = parse_meter(text)
        return "" if meter is None else f"[M:{meter}]"
    if letter == "L":
        return f"[L:{parse_unit(text, None)}]"
    if letter == "V":
        raise DataError("the tune has several voices.", expected="one voice")
    return ""


def transpose_abc(text: str, semitones: int) -> str:
    """Transpose a tune in plain ABC: key signatures, notes and accidentals, diatonic step by step.

    Each letter moves by the same number of steps, so that accidentals hold as long as before. The new key has
    at most six sharps or flats.

    Raises
    ------
    DataError
        When a note would need three sharps or flats.
    """
    if semitones == 0:
        return text
    if not re.search(r"^K:", text, flags=re.MULTILINE):
        raise DataError("the tune has no K: field.", expected="a header that ends in K:, such as K:G")
    old = new = steps = 0

    def moved(found: re.Match[str]) -> str:
        nonlocal old, new, steps
        sign, letter, octave, inner, line = found.groups()
        if found.lastindex is None:
            return found[0]  # another field
        if letter is not None:
            return _moved(sign or "", letter, octave, old, new, steps)
        key = parse_key(inner if line is None else line)
        there = key._replace(fifths=transposed_fifths(key.fifths, semitones))
        old, new = key.fifths, there.fifths
        steps = _steps(old, new, semitones)
        return f"[K:{write_key(there)}]" if line is None else f"K:{write_key(there)}\n"

    return _MUSIC.sub(moved, text)


def _steps(old: int, new: int, semitones: int) -> int:
    """Diatonic steps between two key signatures: a fifth is four steps; the octave is the nearest one."""
    wanted = semitones * 7 / 12
    step = (4 * (new - old)) % 7
    return min((step + 7 * octave for octave in range(-12, 12)), key=lambda number: abs(number - wanted))


@lru_cache(maxsize=100_000)
def _moved(sign: str, letter: str, octave: str, old: int, new: int, steps: int) -> str:
    """Write one note in another key."""
    height = octave.count("'") - octave.count(",") + letter.islower()
    place = _LETTERS.index(letter.upper()) + 7 * height + steps
    height, number = divmod(place, 7)
    name = _LETTERS[number]
    written = ""
    if sign:
        shift = _SIGNS[sign] - _signature(old).get(letter.upper(), 0) + _signature(new).get(name, 0)
        if shift not in _WRITTEN:
            raise DataError(f"'{sign}{letter}' would need {abs(shift)} sharps or flats in the new key.")
        written = _WRITTEN[shift]
    if height >= 1:
        return written + name.lower() + "'" * (height - 1)
    return written + name + "," * -height


@lru_cache
def _signature(fifths: int) -> dict[str, int]:
    return signature(Key(0.0, fifths))
