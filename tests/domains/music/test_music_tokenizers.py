"""Frames, chorales and events: exact round trips on made-up pieces, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.targets import input_key
from scizoo.data.tokenizer import TokenTokenizer, load_tokenizer, save_tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo_music.datasets.chorales import Chorales, excerpt_of, gridded
from scizoo_music.datasets.polyphony import piece_of
from scizoo_music.pieces import Meter, Piece
from scizoo_music.reference import cadence
from scizoo_music.tokenizers.chorale import ChoraleTokenizer
from scizoo_music.tokenizers.events import SCHEMES, EventTokenizer
from scizoo_music.tokenizers.frames import FrameTokenizer


def voices(seed: int, count: int = 4, per: int = 2) -> Piece:
    """Make a piece of single voices with rests, on a grid of so many steps a quarter beat."""
    rng = np.random.default_rng(seed)
    rows = []
    for voice in range(count):
        place = int(rng.integers(0, 3))
        while place < 40:
            length = int(rng.integers(1, 6))
            if rng.random() < 0.8:
                rows.append((place / per, length / per, int(rng.integers(40, 80)), voice))
            place += length
    return Piece(*(list(column) for column in zip(*rows)))


def trip(tokenizer: TokenTokenizer, piece: Any) -> None:
    row = tokenizer.encode([piece])["input_ids"][0]
    assert input_key(tokenizer.decode(row)) == input_key(piece)


@pytest.mark.parametrize("order", ["interleaved", "soprano_first"])
def test_chorales_come_back(order: str) -> None:
    tokenizer = ChoraleTokenizer(order=order, step=0.5)
    for seed in range(20):
        trip(tokenizer, voices(seed))


def test_a_chorale_is_written_as_it_is_documented() -> None:
    tokenizer = ChoraleTokenizer(step=1.0)
    row = tokenizer.encode([cadence(0)])["input_ids"][0]
    assert [tokenizer.vocab[id] for id in row[:5]] == ["C5", "G4", "E4", "C3", "C5"]
    first = ChoraleTokenizer(step=1.0, order="soprano_first")
    names = [first.vocab[id] for id in first.encode([cadence(0)])["input_ids"][0]]
    assert names[:8] == ["C5", "C5", "B4", "C5", "|", "G4", "E4", "C3"]
    alone = [first.vocab[id] for id in first.encode([cadence(0).part(0)])["input_ids"][0]]
    assert alone == names[:5]  # a soprano that waits for its harmony


def test_an_excerpt_that_ends_in_silence_is_left_out_so_that_all_prompts_are_as_long() -> None:
    beats = [beat for beat in range(24) if beat not in (14, 15)]
    rows = [(beat, 1, 72 - 7 * voice, voice) for voice in range(4) for beat in beats]
    chorale = Record("b", Piece(*(list(column) for column in zip(*rows))), meta={})
    found = list(Chorales(excerpt=8, step=1.0)._cut(chorale, "b"))
    assert [one.id for one in found] == ["b-1", "b-3"]
    tokens = ChoraleTokenizer(step=1.0, order="soprano_first").encode([one.input for one in found])
    assert {len(row) for row in tokens["input_ids"]} == {4 * 8 + 1}


def test_what_does_not_fit_a_chorale_is_refused() -> None:
    tokenizer = ChoraleTokenizer(step=0.5)
    for piece, words in (
        (Piece([0.3], [1], [60]), "off the grid"),
        (Piece([0, 0], [1, 2], [60, 64]), "two notes at once in voice 1"),
        (Piece([0], [1], [60], [4]), "voice 5"),
        (Piece([0], [1], [10]), "pitches 10"),
    ):
        with pytest.raises(DataError, match=words):
            tokenizer.encode([piece])
    hold, rest = tokenizer.sign("-"), tokenizer.sign("_")
    with pytest.raises(DataError, match="hold follows no note"):
        tokenizer.decode([hold, rest, rest, rest])
    with pytest.raises(DataError, match="no note"):
        tokenizer.decode([rest] * 8)
    with pytest.raises(ConfigError, match="order"):
        ChoraleTokenizer(order="alto_first")


def test_frames_come_back_and_are_counted() -> None:
    tokenizer = FrameTokenizer()
    rng = np.random.default_rng(0)
    for _ in range(20):
        roll = np.zeros((30, 128), dtype=bool)
        roll[:, 21:109] = rng.random((30, 88)) < 0.05
        roll[-1, 60] = True
        piece = piece_of(roll, 1.0)
        row = tokenizer.encode([piece])["input_ids"][0]
        assert tokenizer.size(piece) == 30
        assert input_key(tokenizer.decode(row)) == input_key(piece)
        assert len(row) == roll.sum() + 30
    with pytest.raises(DataError, match="ascend"):
        tokenizer.decode([tokenizer.base + 64, tokenizer.base + 60, tokenizer.sign("/")])
    whole = tokenizer.decode([tokenizer.base + 60, tokenizer.sign("/"), tokenizer.base + 64])
    assert whole.pitch.tolist() == [60]  # the second frame has no end


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_events_come_back(scheme: str, tmp_path: Path) -> None:
    tokenizer = EventTokenizer(scheme)
    for seed in range(6):
        piece = voices(seed, per=3 if seed % 2 else 4)
        meters = [] if scheme == "structured" else [Meter(0.0, 5, 8)]
        trip(tokenizer, piece.replaced(meters=meters))
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path).fingerprint() == tokenizer.fingerprint()
    (tmp_path / "vocabulary.json").write_text('["other"]')
    with pytest.raises(CheckpointError, match="other tokens"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_any_row_of_events_is_a_piece_or_refused_in_words(scheme: str) -> None:
    tokenizer = EventTokenizer(scheme)
    rng = np.random.default_rng(1)
    for _ in range(20):
        row = rng.integers(0, tokenizer.vocab_size, 40)
        try:
            assert len(tokenizer.decode(row)) > 0
        except DataError as error:
            assert "tokens" in str(error)


def test_strange_meters_and_pitches_are_refused() -> None:
    piece = Piece([0], [1], [60], meters=[Meter(0, 13, 8)])
    with pytest.raises(DataError, match="13/8"):
        EventTokenizer("remi").encode([piece])
    assert len(EventTokenizer("structured").encode([piece])["input_ids"][0])
    with pytest.raises(DataError, match="pitches 3"):
        EventTokenizer("remi").encode([Piece([0], [1], [3])])


def test_a_grid_takes_what_sounds_and_an_excerpt_begins_anew() -> None:
    piece = Piece([0, 0.5, 0.75, 1, 3], [0.5, 0.25, 0.25, 1, 1], [60, 62, 64, 65, 67])
    there = gridded(piece, 0.5)
    np.testing.assert_array_equal(there.pitch, [60, 62, 65, 67])
    np.testing.assert_array_equal(there.duration, [0.5, 0.5, 1, 1])
    part = excerpt_of(there, 1.5, 2.0)
    assert part is not None
    np.testing.assert_array_equal(part.onset, [0, 1.5])
    np.testing.assert_array_equal(part.duration, [0.5, 0.5])
