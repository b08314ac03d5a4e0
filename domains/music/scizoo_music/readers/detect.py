"""Which format a file has, by its first bytes; a name decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from scizoo.data.opening import FOREIGN, head, is_text, lines
from scizoo.data.records import RejectionLog
from scizoo.data.table import SUFFIXES as TABLES
from scizoo.errors import DataError
from scizoo_music.abc.tunes import read_tune
from scizoo_music.readers.entry import Entry
from scizoo_music.readers.midi import read_midi
from scizoo_music.readers.scores import read_score

EXPECTED = "MIDI, MusicXML, ABC, Humdrum **kern, or a CSV, TSV or Parquet table with a column of ABC texts"
#: Ends of the names of files that count when a folder is read.
SUFFIXES = (*TABLES, ".mid", ".midi", ".smf", ".xml", ".musicxml", ".mxl", ".abc", ".abc.gz", ".krn", ".kern")
_FOREIGN = {magic: said for magic, said in FOREIGN.items() if magic != b"PK\x03\x04"} | {
    b"RIFF": ("a sound file", "take a task on sound, such as music/tagging, or give the notes."),
    b"fLaC": ("a FLAC sound file", "take a task on sound, such as music/tagging, or give the notes."),
    b"OggS": ("an Ogg sound file", "take a task on sound, such as music/tagging, or give the notes."),
    b"ID3": ("an MP3 sound file", "give the notes, as MIDI or a score."),
}


def music_format(path: Path) -> str:
    """Return ``midi``, ``score`` (MusicXML or **kern), ``abc`` or ``table``.

    Raises
    ------
    DataError
        When the file is missing, empty, or of another format; the message says which.
    """
    start = head(path, EXPECTED, size=1 << 16, foreign=_FOREIGN)
    if start.startswith(b"MThd"):
        return "midi"
    if start.startswith(b"PAR1"):
        return "table"
    if start.startswith(b"PK\x03\x04") or b"<score-partwise" in start or b"<score-timewise" in start:
        return "score"
    if not is_text(start):
        raise DataError(f"{path} is a binary file.", expected=EXPECTED, remedy="name another file.")
    if re.search(rb"(?m)^\*\*kern", start):
        return "score"
    if re.search(rb"(?m)^X:\s*\d*", start) or re.search(rb"(?m)^K:", start):
        return "abc"
    if path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".tab")):
        return "table"
    word = start.lstrip()[:40].decode("utf-8", errors="replace").split("\n")[0]
    raise DataError(
        f"{path} is no file of notes that is known here: it begins with {word!r}.",
        expected=EXPECTED,
        remedy="name another file, or export the piece as MIDI or MusicXML.",
    )


def read_pieces(path: Path, rejections: RejectionLog) -> Iterator[Entry]:
    """Read the pieces of a file that is no table; what cannot be read is told to ``rejections``."""
    kind = music_format(path)
    if kind == "abc":
        yield from read_abc(path, rejections)
        return
    try:
        yield read_midi(path) if kind == "midi" else read_score(path)
    except DataError as error:
        reason = error.problem.removeprefix(f"{path}: ")
        rejections.reject(path.name, path.stem, reason)


def read_abc(path: Path, rejections: RejectionLog) -> Iterator[Entry]:
    """Yield the tunes of an ABC file as they stand there."""
    from scizoo_music.datasets.tunes import split_fields, tunes_of

    text = "\n".join(line for _, line in lines(path, EXPECTED))
    tunes = tunes_of(text) or [text + "\n"]  # one tune may go without an X: field
    for number, tune in enumerate(tunes, start=1):
        id, source = f"{path.name.split('.')[0]}-{number}", f"{path.name}, tune {number}"
        try:
            found = read_tune(tune)
        except DataError as error:
            rejections.reject(source, id, error.problem)
            continue
        yield Entry(id, tune, split_fields(tune) | {"grace_notes": found.grace_notes or None}, source)
