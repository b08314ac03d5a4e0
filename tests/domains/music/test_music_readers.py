"""MIDI, MusicXML, Humdrum and tables: what is read, put right, refused."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError
from scizoo_music.abc.tunes import read_tune
from scizoo_music.datasets.files import MusicFiles
from scizoo_music.pieces import Key, Meter, Piece, Tempo, as_piece
from scizoo_music.readers.detect import music_format, read_pieces
from scizoo_music.readers.midi import parse_midi
from scizoo_music.readers.scores import read_score
from scizoo_music.reference import cadence
from scizoo_music.writing import as_abc, midi, musicxml

END = b"\x00\xff\x2f\x00"
NOTE = b"\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"  # middle C, a quarter note of 480 ticks
TUNE = "M:6/8\nL:1/8\nK:Em\nB|e2f gfe|BcB A2z|^d3-d2||"


def smf(*events: bytes, division: int = 480) -> bytes:
    track = b"".join(events) + END
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, division)
    return head + b"MTrk" + struct.pack(">I", len(track)) + track


def test_running_status_is_understood() -> None:
    piece, repairs = parse_midi(smf(b"\x00\x90\x3c\x40\x83\x60\x3c\x00\x00\x3e\x40\x83\x60\x3e\x00"))
    np.testing.assert_array_equal(piece.pitch, [60, 62])
    np.testing.assert_array_equal(piece.onset, [0, 1])
    assert repairs == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (smf(b"\x00\x90\x40\x40", NOTE), "1 stuck or doubled note left out"),
        (smf(b"\x00\xff\x51\x03\x00\x00\x00", NOTE), "impossible tempo"),
        (smf(b"\x00\xff\x58\x04\x00\x02\x18\x08", NOTE), "meter(s) without beats"),
        (smf(b"\x00\x90\x40\x40\x00\x80\x40\x00", NOTE), "without duration"),
    ],
)
def test_what_is_broken_is_put_right_and_said(content: bytes, said: str) -> None:
    piece, repairs = parse_midi(content)
    assert piece.pitch.tolist() == [60]
    assert said in "; ".join(repairs)
    assert piece.tempos == ()  # none is stated: none is made up
    assert piece.seconds(1.0) == 0.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MThd", "cannot be read"),
        (smf(), "no note"),
        (smf(NOTE)[:-9], "cannot be read"),
        (smf(NOTE, division=0), "0 ticks"),
        (smf(NOTE, division=0xE728), "ticks"),
        (smf(b"\x00\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x00"), "hours"),
        (b"nothing", "MThd"),
    ],
)
def test_what_is_no_piece_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        parse_midi(content)


def test_odd_meters_keys_and_tempos_are_kept() -> None:
    meter, key = b"\x00\xff\x58\x04\x07\x03\x18\x08", b"\x00\xff\x59\x02\xfd\x01"
    piece, _ = parse_midi(smf(meter, key, b"\x00\xff\x51\x03\x09\x27\xc0", NOTE))
    assert str(piece.meter) == "7/8"
    assert str(piece.key) == "C minor"
    assert piece.tempos == (Tempo(0.0, 100.0),)
    assert piece.seconds(1.0) == pytest.approx(0.6)


def test_midi_comes_back_as_it_was_written() -> None:
    piece = cadence(2).replaced(tempos=[Tempo(0.0, 90.0)], programs=(52, 52, 52, 52))
    again, _ = parse_midi(midi(piece))
    for column in ("onset", "duration", "pitch", "voice"):
        np.testing.assert_array_equal(getattr(again, column), getattr(piece, column))
    assert again.meters == piece.meters
    assert again.programs == piece.programs
    assert again.tempos[0].bpm == pytest.approx(90.0, rel=1e-4)


def test_scores_come_back_as_they_were_written(tmp_path: Path) -> None:
    piece = as_piece(TUNE)
    plain, packed = tmp_path / "a.musicxml", tmp_path / "a.mxl"
    plain.write_bytes(musicxml(piece))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(plain, "score.xml")
    for path in (plain, packed):
        entry = read_score(path)
        np.testing.assert_array_equal(as_piece(entry.input).pitch, piece.pitch)
        np.testing.assert_allclose(as_piece(entry.input).onset, piece.onset, atol=1e-6)
        assert entry.meta["meter"] == "6/8"


KERN = """**kern\t**kern
*M3/4\t*M3/4
*k[b-]\t*k[b-]
=0\t=0
4C\t4f
=1\t=1
2F\t4a
.\t4b-
4C\t8cc
.\t8qdd
.\t8a
=\t=
*-\t*-
"""


def test_humdrum_with_a_pickup_and_a_grace_note(tmp_path: Path) -> None:
    path = tmp_path / "tune.krn"
    path.write_text(KERN)
    assert music_format(path) == "score"
    entry = read_score(path)
    piece = as_piece(entry.input)
    assert piece.voices == 2
    assert piece.pickup == 1.0
    assert entry.meta["grace_notes"] == 1
    assert piece.keys[0].fifths == -1


def test_abc_of_notes_reads_as_the_same_notes() -> None:
    piece, _ = parse_midi(midi(TUNE))
    written = as_abc(piece)
    again = read_tune(written).piece
    np.testing.assert_array_equal(again.pitch, as_piece(TUNE).pitch)
    np.testing.assert_allclose(again.onset, as_piece(TUNE).onset, atol=1e-6)
    assert "K:Em" in written
    with pytest.raises(DataError, match="together"):
        as_abc(cadence(0))


def test_own_files_of_all_kinds_and_one_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.abc").write_text(f"X:1\nT:one\nC:Smith\n{TUNE}\n\nX:2\nT:two\nC:Smith\n{TUNE}\n")
    (tmp_path / "b.mid").write_bytes(midi(TUNE))
    (tmp_path / "bad.mid").write_bytes(smf())
    data = MusicFiles(tmp_path, form="abc", max_rejected=0.3)
    records = list(data)
    assert [record.id for record in records] == ["a-1", "a-2", "b"]
    assert all(record.input.startswith("M:6/8\nL:1/8\nK:Em\n") for record in records)
    assert [one.id for one in data.rejections.rejected] == ["bad"]
    assert "no note" in data.rejections.rejected[0].reason
    named = list(MusicFiles(tmp_path / "a.abc", group="composer", target="meter"))
    assert {record.group for record in named} == {"Smith"}
    assert {record.target for record in named} == {"6/8"}
    with pytest.raises(DataError, match="max_rejected"):
        list(MusicFiles(tmp_path))
    with pytest.raises(ConfigError, match=r"data\.path"):
        MusicFiles()


def test_a_table_holds_texts_or_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "b.mid").write_bytes(midi(TUNE))
    text = TUNE.replace("\n", "\\n")
    (tmp_path / "t.csv").write_text(f"abc,dance\n{text},jig\nb.mid,reel\nnone.mid,reel\n")
    data = MusicFiles(tmp_path / "t.csv", target="dance", form="notes", max_rejected=0.5)
    records = list(data)
    assert [record.target for record in records] == ["jig", "reel"]
    np.testing.assert_array_equal(records[0].input.pitch, records[1].input.pitch)
    assert "none.mid" in data.rejections.rejected[0].reason


def test_formats_are_told_by_content(tmp_path: Path) -> None:
    for name, content, kind in (
        ("a.txt", midi(TUNE), "midi"),
        ("b.mid", TUNE.encode(), "abc"),
        ("c.dat", musicxml(TUNE), "score"),
    ):
        (tmp_path / name).write_bytes(content)
        assert music_format(tmp_path / name) == kind
        assert len(list(read_pieces(tmp_path / name, RejectionLog()))) == 1
    (tmp_path / "d.wav").write_bytes(b"RIFF0000WAVE")
    with pytest.raises(DataError, match="sound file"):
        music_format(tmp_path / "d.wav")


def test_a_piece_knows_bars_seconds_and_keys() -> None:
    piece = Piece([0, 1, 4, 7], [1, 3, 3, 3], [60, 62, 64, 65], meters=[Meter(0, 3, 4)], pickup=1.0)
    np.testing.assert_array_equal(piece.bars(), [0, 1, 4, 7, 10])
    twice = piece.replaced(tempos=[Tempo(0, 60), Tempo(4, 120)])
    np.testing.assert_allclose(twice.seconds([0, 4, 6]), [0, 4, 5])
    assert str(Key(0, -3, "minor")) == "C minor"
    assert piece.replaced(keys=[Key(0, 1)]).transposed(1).keys[0] == Key(0, -4)
    with pytest.raises(ValueError, match="pitch"):
        piece.transposed(70)
    with pytest.raises(ValueError, match="no note"):
        Piece([], [], [])
    with pytest.raises(ValueError, match="duration"):
        Piece([0], [0], [60])
