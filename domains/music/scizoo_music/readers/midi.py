"""Standard MIDI files, by symusic; what is broken in them is put right and said, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import open_bytes, reading
from scizoo.errors import DataError
from scizoo_music.pieces import Key, Meter, Piece, Tempo
from scizoo_music.readers.entry import LARGEST, Entry, check_length, meta_of

_SLOWEST, _FASTEST = 4.0, 1_000.0  # quarter beats a minute that are a tempo
_LENGTHS = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}


def read_midi(path: Path) -> Entry:
    """Read a MIDI file as one piece.

    Each track and channel that has notes is a voice, in the order of the file. Notes that never end or have
    no duration are left out; tempos that are none (0, or beyond 4 to 1,000 a minute) and meters without beats
    are left out too; ``meta["repairs"]`` says so.

    Raises
    ------
    DataError
        When it is no MIDI file, is damaged, has no note, or lasts for hours.
    """
    with reading(path), open_bytes(path, "a MIDI file") as handle:
        data = handle.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST:,} bytes.", expected="a MIDI file of a piece")
    try:
        piece, repairs = parse_midi(data, path.name)
    except DataError as error:
        raise DataError(f"{path}: {error.problem}", expected=error.expected, remedy=error.remedy) from error
    return Entry(path.stem, piece, meta_of(piece) | {"repairs": "; ".join(repairs) or None}, path.name)


def parse_midi(data: bytes, name: str = "") -> tuple[Piece, list[str]]:
    """Give the notes of a MIDI file's content, and what was put right.

    Raises
    ------
    DataError
        As :func:`read_midi` does, without the file's name.
    """
    from symusic.core import ScoreTick

    if not data.startswith(b"MThd"):
        raise DataError(
            "it does not begin as a MIDI file (MThd).",
            expected="a Standard MIDI File",
            remedy="check the file; a RIFF MIDI (.rmi) must be unpacked first.",
        )
    try:
        score = ScoreTick.from_midi(data)
    except (RuntimeError, ValueError) as error:
        reason = str(error).removeprefix("MiniMidi: ").rstrip("!. ").replace("\n", " ")
        raise DataError(
            f"its MIDI events cannot be read: {reason}.",
            expected="a whole Standard MIDI File with ticks a quarter note",
            remedy="copy the file again, or open it in a notation program and save it anew.",
        ) from error
    division = score.ticks_per_quarter
    if division <= 0:
        raise DataError("it states 0 ticks a quarter note.", expected="a division above 0")
    repairs: list[str] = []
    columns: dict[str, list[np.ndarray]] = {
        key: [] for key in ("time", "duration", "pitch", "velocity", "voice")
    }
    programs: list[int] = []
    for track in score.tracks:
        notes = track.notes.numpy()
        if not len(notes["time"]):
            continue
        for key in ("time", "duration", "pitch", "velocity"):
            columns[key].append(np.asarray(notes[key], dtype=np.int64))
        columns["voice"].append(np.full(len(notes["time"]), len(programs), dtype=np.int64))
        programs.append(-1 if track.is_drum else int(track.program))
    if not programs:
        raise DataError("it holds no note.", expected="at least one note", remedy="leave the file out.")
    table = {key: np.concatenate(value) for key, value in columns.items()}
    lost = _note_ons(data) - len(table["time"])
    if lost > 0:
        repairs.append(f"{lost} stuck or doubled note{'s' * (lost > 1)} left out")
    good = (table["duration"] > 0) & (table["time"] >= 0)
    if not good.all():
        repairs.append(f"{int((~good).sum())} notes without duration left out")
        table = {key: value[good] for key, value in table.items()}
        if not good.any():
            raise DataError("none of its notes has a duration.", expected="at least one note")
    table["velocity"] = np.clip(table["velocity"], 1, 127)
    beat = float(division)
    piece = Piece(
        table["time"] / beat,
        table["duration"] / beat,
        table["pitch"],
        table["voice"],
        table["velocity"],
        meters=_meters(score, beat, repairs),
        keys=[
            Key(one.time / beat, int(one.key), "minor" if one.tonality else "major")
            for one in score.key_signatures
            if -7 <= one.key <= 7
        ],
        tempos=_tempos(score, beat, repairs),
        programs=tuple(programs),
        title=str(score.tracks[0].name or "") if len(score.tracks) == 1 else "",
        source=name,
    )
    return check_length(piece), repairs


def _meters(score: Any, beat: float, repairs: list[str]) -> list[Meter]:
    found = [Meter(one.time / beat, one.numerator, one.denominator) for one in score.time_signatures]
    good = [one for one in found if one.beats > 0 and one.unit > 0]
    if len(good) < len(found):
        repairs.append(f"{len(found) - len(good)} meter(s) without beats left out")
    return good


def _tempos(score: Any, beat: float, repairs: list[str]) -> list[Tempo]:
    found = [(one.time / beat, one.mspq) for one in score.tempos]
    rated = [Tempo(onset, 60e6 / micro) for onset, micro in found if micro > 0]
    good = [one for one in rated if _SLOWEST <= one.bpm <= _FASTEST]
    if len(good) < len(found):
        repairs.append(f"{len(found) - len(good)} impossible tempo(s) left out")
    if good and good[0].onset > 0:
        good.insert(0, Tempo(0.0, 120.0))  # what holds until the first one, by the standard
    return good


def _note_ons(data: bytes) -> int:
    """Count the note-on events of a file, running status included; symusic passes over those never ended."""
    count, place = 0, 8 + int.from_bytes(data[4:8], "big")
    while place + 8 <= len(data):
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "big")
        if data[place : place + 4] == b"MTrk":
            count += _track_note_ons(data[place + 8 : min(end, len(data))])
        place = end
    return count


def _track_note_ons(track: bytes) -> int:
    count, place, status, size = 0, 0, 0, len(track)

    def number(at: int) -> tuple[int, int]:
        value = 0
        while at < size:
            value = (value << 7) | (track[at] & 0x7F)
            at += 1
            if not track[at - 1] & 0x80:
                break
        return value, at

    while place < size:
        _, place = number(place)
        if place >= size:
            break
        if track[place] & 0x80:
            status = track[place]
            place += 1
        if status == 0xFF:
            length, place = number(place + 1)
            place += length
        elif status in (0xF0, 0xF7):
            length, place = number(place)
            place += length
        else:
            kind = status & 0xF0
            if kind == 0x90 and place + 1 < size and track[place + 1] > 0:
                count += 1
            place += _LENGTHS.get(kind, 1)
    return count
