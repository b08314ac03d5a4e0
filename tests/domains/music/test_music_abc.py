"""ABC notation: parsing against music21, plain writing, transposition."""

from __future__ import annotations

import numpy as np
import pytest

from scizoo.errors import DataError
from scizoo_music.abc.plain import plain_abc, transpose_abc
from scizoo_music.abc.tunes import read_tune
from scizoo_music.augment import Transpose
from scizoo_music.datasets.tunes import FolkTunes, corpus_folder, tunes_of
from scizoo_music.pieces import Piece
from scizoo_music.readers.scores import parse_score
from scizoo_music.tokenizers.abc import AbcTokenizer

RAW = """X: 7
T: A test
R:jig
M:6/8
L:1/8
Z: nobody
K:G % the key
|: D | "Am"G>AB (3cde f | {ga}b3 ~=f2 ^f :|1 !trill!g3- g2 z :|2 [GBd]6 ||
[K:Dm] A/B/c d2 [M:3/4] | e//f// F4 z |]
"""


@pytest.fixture(scope="module")
def tunes() -> list[str]:
    return [record.input for record in FolkTunes(limit=120, variants=None)]


def test_plain_abc_keeps_music_and_leaves_ornaments_out() -> None:
    assert plain_abc(RAW) == (
        "M:6/8\nL:1/8\nK:G\n|:D|G>AB(3cdef|b3=f2^f:|1g3-g2z:|2[GBd]6||[K:Dm]A/2B/2cd2[M:3/4]|e/4f/4F4z||"
    )


def test_notes_of_every_sign() -> None:
    found = read_tune(RAW)
    piece = found.piece
    assert found.grace_notes == 2
    assert piece.pickup == 0.5
    assert [str(key) for key in piece.keys] == ["G major", "D minor"]
    assert [str(meter) for meter in piece.meters] == ["6/8", "3/4"]
    np.testing.assert_array_equal(piece.pitch[:8], [62, 67, 69, 71, 72, 74, 76, 78])  # f is sharp in G
    np.testing.assert_allclose(piece.duration[:7], [0.5, 0.75, 0.25, 0.5, 1 / 3, 1 / 3, 1 / 3])
    assert {77, 78} <= set(piece.pitch[8:11].tolist())  # =f, then ^f
    tied = piece.pitch.tolist().index(79)
    assert piece.duration[tied] == 2.5  # g3-g2
    assert (piece.pitch[-2:] == [77, 65]).all()  # f is natural in D minor


def test_the_same_notes_as_music21_reads(tunes: list[str]) -> None:
    # music21 joins two notes of different pitch where a tie stands between them (here both stay), and ends an
    # accidental before its bar does behind a broken rhythm, which the standard does not. Of a tune whose
    # repeats begin behind a pick-up it loses a part.
    plain = [tune for tune in tunes if not set("-^_=") & set(tune) and "|:" not in tune and "::" not in tune]
    assert len(plain) > 20
    for tune in plain[::3]:
        mine = read_tune("X:1\n" + tune).piece
        theirs, _ = parse_score("X:1\n" + tune, "abc")
        assert len(mine) == len(theirs), tune
        np.testing.assert_array_equal(mine.pitch, theirs.pitch)
        np.testing.assert_allclose(mine.onset, theirs.onset, atol=1e-6)
        np.testing.assert_allclose(mine.duration, theirs.duration, atol=1e-6)


def test_plain_abc_is_written_in_one_way(tunes: list[str]) -> None:
    for tune in tunes:
        assert plain_abc("X:1\n" + tune) == tune


def test_transposition_moves_every_note_and_key(tunes: list[str]) -> None:
    for tune in tunes[::6]:
        piece = read_tune(tune).piece
        for step in range(-5, 7):
            moved = read_tune(transpose_abc(tune, step)).piece
            np.testing.assert_array_equal(moved.pitch, piece.pitch + step)
            np.testing.assert_array_equal(moved.onset, piece.onset)
            assert [key[1:] for key in moved.keys] == [key[1:] for key in piece.transposed(step).keys]


def test_transposition_writes_accidentals_of_the_new_key() -> None:
    tune = "M:4/4\nL:1/8\nK:F\nB=BcC ^C_E[K:A]=G|"
    assert transpose_abc(tune, 2) == "M:4/4\nL:1/8\nK:G\nc^cdD ^D=F[K:B]=A|"
    assert transpose_abc("K:C\nB,b|", 1) == "K:Db\nC c'|".replace(" ", "")
    with pytest.raises(DataError, match="3 sharps"):
        transpose_abc("K:E\n^^B|", 2)


def test_views_are_all_keys_and_the_first_is_the_tune(tunes: list[str]) -> None:
    views = Transpose().views(tunes[0])
    assert views[0] == tunes[0]
    assert len(set(views)) == 12


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("M:4/4\nL:1/8\nABc|", "no K:"),
        ("X:1\nM:4/4\nK:G\n", "no line of music"),
        ("X:1\nM:4/4\nK:G\n|z4|\n", "no note"),
        ("X:1\nM:4/4\nK:G\nAB;c\n", "';' means nothing"),
        ("X:1\nM:4/4\nK:Q\nABc\n", "K:Q"),
        ("X:1\nM:0/4\nK:G\nABc\n", "M:0/4"),
        ("X:1\nM:4/4\nK:G\n[ABc\n", "not closed"),
        ("X:1\nM:4/4\nK:G\n| /A\n", "behind no note"),
        ("X:1\nM:4/4\nK:G\nA0\n", "length"),
        ("X:1\nM:4/4\nK:G\nc''''''''\n", "beyond"),
    ],
)
def test_what_is_no_tune_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_tune(text)


def test_bars_that_do_not_add_up_are_found() -> None:
    good = read_tune("M:3/4\nL:1/4\nK:C\nG|CDE|FGA|GF:|:B|AGF|E2||")
    assert all(bar.adds_up for bar in good.bars)
    assert good.piece.pickup == 1.0
    wrong = read_tune("M:3/4\nL:1/4\nK:C\nCDE|FGAB|GF|EDC||").bars
    assert [bar.adds_up for bar in wrong] == [True, False, False, True]


def test_characters_come_back_and_others_are_refused() -> None:
    tokenizer = AbcTokenizer()
    rows = tokenizer.encode([RAW, "K:G\nA"])["input_ids"]
    assert [tokenizer.decode(row) for row in rows] == [RAW, "K:G\nA"]
    assert len(rows[0]) == len(RAW)
    with pytest.raises(DataError, match=r"Input 1 holds 'é' at character 3"):
        tokenizer.encode(["A", "Até"])
    with pytest.raises(DataError, match="Piece"):
        tokenizer.encode([Piece([0], [1], [60])])


def test_every_tune_of_the_corpus_is_read_or_named() -> None:
    data = FolkTunes(limit=500, variants=None)
    records = list(data)
    assert len(records) > 485
    assert all(rejected.reason for rejected in data.rejections.rejected)
    assert data.licence.commercial
    assert not FolkTunes(["essen"]).licence.commercial
    file = sorted((corpus_folder() / "airdsAirs").glob("*.abc"))[0]
    assert len(tunes_of(file.read_text(errors="replace"))) > 100
