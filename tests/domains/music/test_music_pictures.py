"""Piano-roll, score, spectrogram, and what the report lets one hear."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_music import media, picture
from scizoo_music.drawing.engraving import is_melody, measures, spell, written
from scizoo_music.drawing.roll import draw_roll, pitch_name
from scizoo_music.drawing.score import draw_score
from scizoo_music.pieces import Key, Meter, Piece, as_piece
from scizoo_music.sound.sounds import Sound

TUNE = "X:1\nT:A jig\nM:6/8\nL:1/8\nK:D\nA|def gfe|dBA AFA|(3ABc d2 =cB|d3- d2A|d/e/f/g/ a4|d3 z2:|\n"


def chorale() -> Piece:
    onset, voice = np.tile(np.arange(8.0), 4), np.repeat(np.arange(4), 8)
    pitch = np.concatenate([base + np.arange(8) % 3 for base in (72, 67, 60, 48)])
    return Piece(onset, np.ones(32), pitch, voice, meters=[Meter(0, 4, 4)], keys=[Key(0, 0)], title="Choral")


def test_pitches_are_spelled_as_the_key_does():
    assert spell(66, 2) == (31, 1) and spell(66, -5) == (32, -1)  # F# in D, Gb in Db
    assert spell(60, 0) == (28, 0) and spell(59, -7) == (28, -1)  # C; Cb in Cb major is written on C's line
    assert all(
        (spell(pitch, fifths)[0] * 12 // 7 - pitch) < 3 for pitch in range(20, 100) for fifths in range(-7, 8)
    )


@pytest.mark.parametrize(
    ("length", "found"),
    [
        ("1", [(1, 0, False)]),
        ("3/2", [(1, 1, False)]),
        ("7/4", [(1, 2, False)]),
        ("1/3", [(Fraction(1, 2), 0, True)]),
        ("5/2", [(2, 0, False), (Fraction(1, 2), 0, False)]),
    ],
)
def test_lengths_become_note_values(length, found):
    assert written(Fraction(length)) == found


def test_bars_are_full_and_accidentals_hold_for_a_bar():
    piece = as_piece(TUNE)
    assert is_melody(piece) and not is_melody(chorale())
    bars = measures(piece)
    assert [sum(sign.length for sign in bar.signs) for bar in bars[:5]] == [Fraction(1, 2), 3, 3, 3, 3]
    marks = [sign.accidental for bar in bars for sign in bar.signs if sign.accidental]
    assert marks == ["♮"]  # F# and C# are the key's
    sharp = measures(as_piece("M:4/4\nL:1/4\nK:C\n^F F =F F|F ^F4 F3|"))
    assert [sign.accidental for sign in sharp[0].signs] == ["♯", "", "♮", ""]
    assert sharp[1].signs[1].tied and sharp[2].signs[0].step == sharp[1].signs[1].step
    assert [len(group) for group in bars[1].beams] == [3, 3]


def test_every_record_is_drawn_and_titled():
    recording = Sound(np.sin(np.arange(30_000) / 20)[:, None] * 0.3, 16_000, title="Take 1")
    for value, words in (
        (TUNE, "A jig"),
        (chorale(), "Choral"),
        (recording, "Take 1"),
        (3, "int"),
        ("no tune", "str"),
    ):
        figure = Figure(figsize=(5, 2.4), layout="constrained")
        axes = figure.subplots()
        picture.draw(axes, Record("r1", value, "yes"), "no")
        figure.canvas.draw()
        title = axes.get_title(loc="left")
        assert "r1" in title and words in title and "true: yes" in title and "predicted: no" in title


def test_the_roll_shows_each_note_at_its_pitch_and_time():
    axes = Figure().subplots()
    about = draw_roll(axes, chorale())
    assert about.startswith("32 notes, C major, 4/4, 2 bars")
    boxes = [path.get_extents() for one in axes.collections for path in one.get_paths()]
    found = sorted((round(box.x0), round((box.y0 + box.y1) / 2)) for box in boxes)
    assert found == sorted(zip(chorale().onset.astype(int).tolist(), chorale().pitch.tolist(), strict=True))
    assert pitch_name(60) == "C4" and pitch_name(69) == "A4"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["soprano", "alto", "tenor", "bass"]


def test_long_high_odd_and_free_pieces_are_drawn():
    for text in (
        "M:none\nL:1/8\nK:C\nCDEFGABc",
        "M:7/8\nL:1/8\nK:F#\n" + "ABcdefg|" * 40,
        "M:4/4\nL:1/4\nK:C\nc'''d'''e'''f'''|",
        "M:4/4\nL:1/64\nK:C\nC3DE5F|",
    ):
        piece = as_piece(text)
        axes = Figure().subplots()
        draw_roll(axes, piece)
        draw_score(Figure().subplots(), piece, 3)
    with pytest.raises(ValueError, match="melody"):
        draw_score(Figure().subplots(), chorale())


def test_a_report_lets_one_hear_a_tune_and_read_it():
    found = media.of(Record("r", TUNE))
    assert [kind for _, kind, _ in found] == ["audio/mpeg", "image/png"] and found[0][0] == "synthesised"
    samples, rate = soundfile.read(io.BytesIO(found[0][2]))
    assert (
        rate == media.RATE
        and len(samples) / rate == pytest.approx(8.5, abs=1.0)
        and np.abs(samples).max() > 0.5
    )
    assert found[1][2].startswith(b"\x89PNG") and max(len(one) for _, _, one in found) < 500_000
    assert [kind for _, kind, _ in media.of(Record("r", chorale()))] == ["audio/mpeg"]
    long = Sound(np.random.default_rng(0).normal(0, 0.1, (96_000, 2)), 1_600)
    assert "the first 30 s" in media.of(Record("r", long))[0][0]
    assert media.of(Record("r", 3)) == []
