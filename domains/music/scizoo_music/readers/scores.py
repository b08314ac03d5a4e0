"""MusicXML (plain and compressed) and Humdrum **kern, by music21."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from scizoo.data.opening import open_bytes, reading
from scizoo.errors import DataError
from scizoo_music.pieces import Key, Meter, Piece, Tempo
from scizoo_music.readers.entry import LARGEST, Entry, check_length, meta_of


def read_score(path: Path) -> Entry:
    """Read a score as one piece; each part is a voice, the first part's number is 0.

    Tied notes are one note. Grace notes have no duration of their own and are left out, and counted in
    ``meta["grace_notes"]``. Repeats are not written out.

    Raises
    ------
    DataError
        When it cannot be read, has no note, or lasts for hours.
    """
    with reading(path), open_bytes(path, "a score") as handle:
        data = handle.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST:,} bytes.", expected="the score of a piece")
    try:
        content = _uncompressed(data) if data.startswith(b"PK\x03\x04") else data
        notation = "humdrum" if b"**kern" in content[:100_000] else "musicxml"
        piece, graces = parse_score(content.decode("utf-8", errors="replace"), notation)
    except DataError as error:
        raise DataError(f"{path}: {error.problem}", expected=error.expected, remedy=error.remedy) from error
    meta = meta_of(piece) | {"grace_notes": graces or None}
    return Entry(path.name.split(".")[0] if path.suffix != ".mxl" else path.stem, piece, meta, path.name)


def _uncompressed(data: bytes) -> bytes:
    """Give the score inside of a compressed MusicXML file (.mxl), a zip archive with a list of contents."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            score = next(
                (name for name in names if name.endswith((".xml", ".musicxml")) and "META-INF" not in name),
                None,
            )
            if "META-INF/container.xml" in names:
                tree = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
                root = next(iter(tree.iter("rootfile")), None)
                score = score if root is None else root.get("full-path", score)
            if score is None or score not in names:
                raise DataError("it is a zip archive without a score.", expected="compressed MusicXML (.mxl)")
            return _member(archive, score)
    except (zipfile.BadZipFile, ElementTree.ParseError, EOFError, NotImplementedError) as error:
        raise DataError(f"it is a damaged .mxl file: {error}.", remedy="copy the file again.") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # The size that the archive states may be a lie: what is read is bounded.
    with archive.open(name) as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f"'{name}' unpacks to more than {LARGEST:,} bytes.", expected="the score of a piece")
    return content


def parse_score(text: str, notation: str) -> tuple[Piece, int]:
    """Give the notes of a score's text, and how many grace notes were left out.

    Parameters
    ----------
    text : str
    notation : {"musicxml", "humdrum", "abc"}
        As music21 names them.

    Raises
    ------
    DataError
        As :func:`read_score` does, without the file's name.
    """
    from music21 import converter, exceptions21

    try:
        score = converter.parseData(text, format=notation)
        return _piece(score)
    except DataError:
        raise
    except (exceptions21.Music21Exception, ElementTree.ParseError, ValueError, KeyError, IndexError) as error:
        raise _unreadable(notation, error) from error
    except (AttributeError, TypeError, ArithmeticError, AssertionError, LookupError) as error:
        # What music21 runs into on files that are none of its formats.
        raise _unreadable(notation, error) from error


def _unreadable(notation: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
    return DataError(
        f"it cannot be read as {notation}: {reason}.",
        expected="MusicXML (.xml, .musicxml, .mxl) or Humdrum **kern (.krn)",
        remedy="open it in a notation program and save it anew.",
    )


def _piece(score: Any) -> tuple[Piece, int]:
    rows: list[tuple[float, float, int, int]] = []
    graces = 0
    parts = list(score.parts) or [score]
    for voice, part in enumerate(parts):
        for element in part.stripTies().flatten().notes:
            if element.duration.isGrace or element.quarterLength <= 0:
                graces += len(element.pitches)
                continue
            rows.extend(
                (float(element.offset), float(element.quarterLength), p.midi, voice) for p in element.pitches
            )
    if not rows:
        raise DataError("it holds no note.", expected="at least one note", remedy="leave the file out.")
    onset, duration, pitch, voices = zip(*rows)
    first = parts[0].flatten()
    about = score.metadata
    return check_length(
        Piece(
            np.array(onset),
            np.array(duration),
            np.array(pitch, np.int16),
            np.array(voices, np.int16),
            meters=[
                Meter(float(one.offset), int(one.numerator), int(one.denominator))
                for one in _changes(first.getElementsByClass("TimeSignature"), lambda one: one.ratioString)
            ],
            keys=[
                Key(float(one.offset), int(one.sharps), _mode(one))
                for one in _changes(
                    first.getElementsByClass("KeySignature"), lambda one: (one.sharps, _mode(one))
                )
                if -7 <= one.sharps <= 7
            ],
            tempos=_tempos(score),
            pickup=_pickup(parts[0]),
            title=str((about and about.title) or ""),
            composer=str((about and about.composer) or ""),
        )
    ), graces


def _changes(found: Any, key: Any) -> list[Any]:
    """Keep those that differ from the one before."""
    kept: list[Any] = []
    for one in found:
        if not kept or key(one) != key(kept[-1]):
            kept.append(one)
    return kept


def _mode(signature: Any) -> str:
    mode = getattr(signature, "mode", None) or "major"
    return (
        mode
        if mode in ("major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "locrian")
        else "major"
    )


def _tempos(score: Any) -> list[Tempo]:
    marks = score.flatten().getElementsByClass("MetronomeMark")
    rated = [(float(mark.offset), mark.getQuarterBPM()) for mark in marks]
    return [Tempo(onset, float(bpm)) for onset, bpm in rated if bpm and 4 <= bpm <= 1000]


def _pickup(part: Any) -> float:
    """Quarter beats before the first full bar."""
    measures = list(part.getElementsByClass("Measure"))
    if len(measures) < 2:
        return 0.0
    first, full = float(measures[0].duration.quarterLength), float(measures[0].barDuration.quarterLength)
    stated = full - float(measures[0].paddingLeft)
    length = min(first, stated) if measures[0].paddingLeft else first
    return length if 0 < length < full else 0.0
