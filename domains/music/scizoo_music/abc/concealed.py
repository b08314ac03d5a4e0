"""Tunes rewritten so that a question's answer is not in their text: without key, meter, bar lines or unit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction

from scizoo.errors import ConfigError, did_you_mean
from scizoo_music.abc.bars import signature
from scizoo_music.abc.tokens import (
    parse_key,
    parse_length,
    parse_meter,
    parse_unit,
    split_tune,
    tokens,
    write_key,
    write_length,
)
from scizoo_music.pieces import Key, Meter

#: What can be concealed of a tune.
CONCEALABLE = ("key", "meter", "bars", "unit")
_UNIT = Fraction(1, 8)
_SIGNS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_WRITTEN = {sign: text for text, sign in _SIGNS.items()}


def concealed(text: str, hide: Collection[str]) -> str:
    """Rewrite a tune in plain ABC; the same notes sound.

    Parameters
    ----------
    text : str
        As :func:`scizoo_music.abc.plain.plain_abc` writes it.
    hide : collection of str
        ``key`` writes every accidental out under ``K:C``, whatever the key. ``meter`` takes the ``M:`` fields
        away. ``bars`` takes bar lines away, with repeats and endings: what lies between
        them tells the meter. ``unit`` writes lengths in eighths: transcribers choose the unit by the meter.

    Returns
    -------
    str
        ABC; without a meter its ``M:`` field is ``none``.

    Raises
    ------
    ConfigError
        When there is no such thing to hide.
    DataError
        When the tune cannot be read.
    """
    for one in hide:
        if one not in CONCEALABLE:
            raise ConfigError(f"'{one}' cannot be concealed: {did_you_mean(one, CONCEALABLE)}")
    tune = split_tune(text)
    meter = parse_meter(tune.fields.get("M", ""))
    unit = parse_unit(tune.fields.get("L") or None, meter)
    key = parse_key(tune.fields["K"])
    shown_key = Key(0.0, 0) if "key" in hide else key
    stated = "none" if "meter" in hide or meter is None else str(meter)
    header = f"M:{stated}\nL:{_UNIT if 'unit' in hide else unit}\nK:{write_key(shown_key)}\n"
    writer = _Writer(key, shown_key, unit, meter, frozenset(hide))
    return header + "".join(
        part
        for letter, line in tune.body
        for part in (writer.field(letter, line) if letter else writer.line(line))
    )


def _is_compound(meter: Meter | None) -> bool:
    return meter is not None and meter.beats % 3 == 0 and meter.beats > 3


class _Writer:
    """Rewrites music sign by sign; its state is what the signs so far have set, as read and as written."""

    def __init__(self, key: Key, shown: Key, unit: Fraction, meter: Meter | None, hide: frozenset[str]):
        self.hide, self.unit, self.meter = hide, unit, meter
        self.key, self.shown = signature(key), signature(shown)
        self.read: dict[str, int] = {}  # accidentals of this bar, by letter and octave
        self.written: dict[str, int] = {}
        self.factor: Fraction | None = None  # of the length that may follow

    def line(self, line: str) -> Iterator[str]:
        """Rewrite a line of music."""
        lost = "meter" in self.hide
        for kind, token in tokens(line):
            if kind == "length":
                length = parse_length(token)
                yield write_length(length if self.factor is None else length * self.factor)
                self.factor = None
                continue
            yield from self._end()
            if kind == "note":
                yield self._note(token)
                self.factor = self._scale()
            elif kind == "rest" and token == "Z" and lost and self.meter is not None:
                yield "z"  # a bar's rest, which lasts as long as the meter says
                self.factor = Fraction(self.meter.beats, self.meter.unit) / self.shown_unit
            elif kind == "rest":
                yield token
                self.factor = self._scale() if token != "Z" else Fraction(1)
            elif kind == "bar":
                self.read.clear()
                if "bars" not in self.hide:
                    self.written.clear()
                    yield token
            elif kind == "field":
                yield from self.field(token[1], token[3:-1])
            elif kind == "tuplet" and lost and token[1:] in ("5", "7", "9") and _is_compound(self.meter):
                yield f"{token}:3"  # without a meter it would be read as of simple time
            else:  # a length behind a chord multiplies those within, which are rewritten
                yield token
        yield from self._end()

    def field(self, letter: str, text: str) -> Iterator[str]:
        if letter == "K":
            key = parse_key(text)
            self.key = signature(key)
            self.read.clear()
            if "key" not in self.hide:
                self.shown = self.key
                self.written.clear()
                yield f"[K:{write_key(key)}]"
        elif letter == "M":
            self.meter = parse_meter(text)
            if "meter" not in self.hide:
                yield f"[M:{text}]"
        elif letter == "L":
            self.unit = parse_unit(text, None)
            if "unit" not in self.hide:
                yield f"[L:{text}]"

    def _note(self, token: str) -> str:
        name = token.lstrip("^_=")
        sign = token[: len(token) - len(name)]
        letter = name[0].upper()
        if sign:
            self.read[name] = _SIGNS[sign]
        sounding = self.read.get(name, self.key.get(letter, 0))
        if self.written.get(name, self.shown.get(letter, 0)) == sounding:
            return name
        self.written[name] = sounding
        return _WRITTEN[sounding] + name

    @property
    def shown_unit(self) -> Fraction:
        """The unit in which lengths are written."""
        return _UNIT if "unit" in self.hide else self.unit

    def _scale(self) -> Fraction:
        return self.unit / self.shown_unit

    def _end(self) -> Iterator[str]:
        """Write the length of a note that states none."""
        if self.factor is not None:
            yield write_length(self.factor)
            self.factor = None
