"""From tokens to notes, characters and time; and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from scizoo.data.records import Record
from scizoo_music.picture import draw
from scizoo_music.pieces import Key, Meter, Piece
from scizoo_music.sound.sounds import Sound
from scizoo_music.tokenizers.abc import AbcTokenizer
from scizoo_music.tokenizers.chorale import ChoraleTokenizer
from scizoo_music.tokenizers.events import EventTokenizer
from scizoo_music.tokenizers.frames import FrameTokenizer
from scizoo_music.tokenizers.mel import MelImageTokenizer, MelTokenizer

TUNE = "X:1\nT:A jig\nM:6/8\nL:1/8\nK:D\nA|def gfe|dBA AFA|ABc d2 =cB|d3- d2A|def a4|d3 z2:|\n"


def chorale() -> Piece:
    onset, voice = np.tile(np.arange(8.0), 4), np.repeat(np.arange(4), 8)
    pitch = np.concatenate([base + np.arange(8) % 3 for base in (72, 67, 60, 48)])
    return Piece(onset, np.ones(32), pitch, voice, meters=[Meter(0, 4, 4)], keys=[Key(0, 0)], title="Choral")


@pytest.mark.parametrize(
    "tokenizer",
    [
        EventTokenizer("remi"),
        EventTokenizer("structured"),
        EventTokenizer("cpword"),
        ChoraleTokenizer(step=0.5),
        ChoraleTokenizer(step=1.0, order="soprano_first"),
        FrameTokenizer(step=0.5),
    ],
    ids=["remi", "structured", "cpword", "chorale", "soprano", "frames"],
)
def test_every_pitch_finds_its_note(tokenizer):
    piece = chorale()
    ids = tokenizer.encode([piece])["input_ids"].values
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(piece, scores)["notes"]
    assert found.shape == (32,) and np.isfinite(found).all()
    lines = np.array([tokenizer.vocab[id] == "|" for id in ids])  # what no note sounds at
    assert found.sum() == pytest.approx(scores[~lines].sum())
    # a token that names a pitch marks notes of that pitch alone
    for place, id in enumerate(ids):
        name = tokenizer.vocab[id].rpartition(":")[2]
        if isinstance(tokenizer, EventTokenizer):
            pitch = int(name[6:]) if name.startswith("Pitch_") else None
        else:
            pitch = id - tokenizer.base if id >= tokenizer.base + tokenizer.lowest else None
        if pitch is not None:
            alone = np.zeros(len(ids))
            alone[place] = 1.0
            notes = np.flatnonzero(np.nan_to_num(tokenizer.attribute(piece, alone)["notes"]))
            assert len(notes) == 1 and piece.pitch[notes[0]] == pitch


def test_events_of_a_note_stay_together():
    piece = Piece([0, 1, 2], [1, 1, 1], [60, 62, 60])
    tokenizer = EventTokenizer("remi")
    names = [tokenizer.vocab[id] for id in tokenizer.encode([piece])["input_ids"].values]
    scores = np.array([float(name.startswith("Duration")) for name in names])
    assert tokenizer.attribute(piece, scores)["notes"].tolist() == [1, 1, 1]
    second = [n for n, name in enumerate(names) if name == "Pitch_60"][1]
    scores = np.where(np.arange(len(names)) < second, 0.0, np.nan)
    scores[second] = 1.0
    assert tokenizer.attribute(piece, scores)["notes"].tolist() == [0, 0, 1]


def test_stretches_of_sound_lie_in_time():
    rate = 16_000
    samples = np.zeros(2 * rate, dtype=np.float32)
    samples[rate : rate + rate // 4] = 0.5 * np.sin(np.arange(rate // 4))
    sound = Sound(samples, rate)
    for tokenizer in (MelTokenizer(), MelImageTokenizer(frames=200)):
        key = tokenizer.main_input
        seen = tokenizer.encode([sound])[key].values.astype(float)
        found = tokenizer.attribute(sound, seen - seen.min())
        seconds, used = found["seconds"], found["stretches"]
        assert len(seconds) == len(used) + 1 and abs(seconds[-1] - 2.0) < 0.1
        middle = 0.5 * (seconds[1:] + seconds[:-1])
        assert np.average(middle, weights=used**4) == pytest.approx(1.125, abs=0.05)
        drawn(sound, found)


def drawn(value, used) -> tuple[Figure, object]:
    figure = Figure(figsize=(5, 2.4), layout="constrained")
    axes = figure.subplots()
    draw(axes, Record("r", value, "jig"), {"value": "reel", "attributions": used, "output": "reel"})
    figure.canvas.draw()
    assert "red raised, blue lowered the prediction of “reel”" in figure.get_supxlabel()
    return figure, axes


def test_tunes_and_pieces_are_coloured():
    used = AbcTokenizer().attribute(TUNE, np.linspace(-1, 1, len(TUNE)))
    _, axes = drawn(TUNE, used)
    lower = axes.child_axes[1]
    assert lower.patches and "defgfe" in "".join(text.get_text() for text in lower.texts)
    drawn(TUNE, np.linspace(-1, 1, len(TUNE)))
    piece = chorale()
    events = EventTokenizer()
    found = events.attribute(piece, np.ones(len(events.encode([piece])["input_ids"].values)))
    _, axes = drawn(piece, found)
    assert axes.get_legend() is None
    melody = Piece([0, 1, 2], [1, 1, 1], [60, 62, 60])
    drawn(melody, {"notes": np.array([1.0, 0.0, -1.0])})
