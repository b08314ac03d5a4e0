"""Bytes of a source file to text: byte-order mark, declared encoding, UTF-8, else a guess that is told."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from scizoo.data.opening import is_text

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: PEP 263, which editors understand in other languages too.
_CODING = re.compile(rb"^[ \t\f]*(?:#|//|--|/\*|;|%|\").*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:[#\r\n]|//|/\*|--|;|%|\"|$)")
_SAMPLE = 1 << 15  # bytes from which an encoding is guessed
_FEW = 0.3  # share of bytes beyond ASCII in what may still be western text
#: What source files are written in where they are not in UTF-8; a guess among a hundred is a worse one.
_LIKELY = [
    "cp1252",
    "iso8859_2",
    "cp1250",
    "cp1251",
    "koi8_r",
    "cp866",
    "iso8859_7",
    "cp1253",
    "cp1254",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
    "mac_roman",
    "cp437",
]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text and how it was written.

    Parameters
    ----------
    text : str
    encoding : str
        Python's name of the codec.
    guessed : bool
        Whether nothing in the file says so.
    """

    text: str
    encoding: str
    guessed: bool = False


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Decode a source file.

    Parameters
    ----------
    data : bytes
    encoding : str, optional
        Taken for every file without a byte-order mark.

    Raises
    ------
    ValueError
        With the reason: binary, declared in an unknown encoding, or not valid in the one that it has.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return Decoded(_strict(data, name, "has the byte-order mark of"), name)
    if not is_text(data[:_SAMPLE]) or b"\0" in data:
        raise ValueError("is a binary file, not source code")
    named = encoding or declared(data)
    if named is not None:
        return Decoded(_strict(data, named, "is to be read as" if encoding else "declares"), _name(named))
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        return _guess(data, error)


def declared(data: bytes) -> str | None:
    """Give the encoding that one of the first two lines declares (PEP 263)."""
    for line in data[:1000].splitlines()[:2]:
        found = _CODING.match(line)
        if found is not None:
            name = found[1].decode("ascii").lower()
            # Emacs's endings of lines are no part of the name.
            return re.sub(r"-(?:unix|dos|mac)$", "", name)
        if not _BLANK.match(line):
            return None
    return None


def _name(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _strict(data: bytes, encoding: str, how: str) -> str:
    try:
        known = codecs.lookup(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError(f"{how} the encoding '{encoding}', which Python does not know") from error
    if not known._is_text_encoding:  # such as rot13, which gives text for text
        raise ValueError(f"{how} '{encoding}', which is no encoding of text")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{how} {known.name}, but byte {error.start} (0x{data[error.start]:02x}) is not"
        ) from error


def _rank(encoding: str) -> int:
    return _LIKELY.index(encoding) if encoding in _LIKELY else len(_LIKELY)


def _guess(data: bytes, error: UnicodeDecodeError) -> Decoded:
    from charset_normalizer import from_bytes

    strange = [line for line in data.splitlines() if not line.isascii()]
    found = from_bytes(b"\n".join(strange)[:_SAMPLE], cp_isolation=_LIKELY)
    # Of encodings that read equally well the commonest one; few strange bytes in ASCII mostly are in it too.
    order = sorted(
        found,
        key=lambda match: (
            -round(match.percent_coherence),
            round(match.percent_chaos),
            _rank(match.encoding),
        ),
    )
    names = [match.encoding for match in order]
    if sum(byte > 127 for byte in data) <= _FEW * len(data):
        names.append(_LIKELY[0])
    for name in names:
        try:
            return Decoded(data.decode(name), name, guessed=True)
        except UnicodeDecodeError:
            continue
    raise ValueError(
        f"is not valid UTF-8 (byte {error.start} is 0x{data[error.start]:02x}), "
        "and its encoding cannot be told"
    )
