"""What judges, constrains and writes pieces without a network: numbers by hand, planted copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from scizoo.data.windows import Context
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.generation import Generated, TokenView
from scizoo.models.sampling import Sampling
from scizoo_music.abc.plain import transpose_abc
from scizoo_music.datasets.tunes import FolkTunes
from scizoo_music.generation.bernoulli import FrameBernoulli
from scizoo_music.generation.chords import ChordTable
from scizoo_music.generation.constraints import Ascending, KeyAndMeter
from scizoo_music.generation.harmony import HarmonyScorer, fault_rate, sounding
from scizoo_music.generation.scorer import PieceScorer
from scizoo_music.generation.statistics import jensen_shannon
from scizoo_music.pieces import Piece
from scizoo_music.reference import cadence
from scizoo_music.tokenizers.abc import AbcTokenizer
from scizoo_music.tokenizers.chorale import ChoraleTokenizer
from scizoo_music.tokenizers.frames import FrameTokenizer


@pytest.fixture(scope="module")
def tunes() -> list[str]:
    return [record.input for record in FolkTunes(limit=60, variants=None)]


def judged(scorer: PieceScorer, training: list, heldout: list, written: list) -> dict[str, float]:
    tokens = TokenView([np.arange(3)], [np.arange(3)])
    scorer.fit(training, heldout, tokens)
    rows = [np.arange(3) for _ in written]
    figures = scorer.score(Generated(written, rows))
    ones = np.ones((1, len(written)))
    return {
        name: float(figure.function()(ones)[0]) for name, figure in figures.items() if figure.reason is None
    }


def test_divergence_is_scipys() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.dirichlet(np.ones(6), 2)
    assert jensen_shannon(one, other) == pytest.approx(jensenshannon(one, other, base=2) ** 2)
    assert jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1.0)


def test_real_tunes_are_valid_new_and_alike(tunes: list[str]) -> None:
    found = judged(PieceScorer(), tunes[:20], tunes[20:40], tunes[20:40])
    assert found["validity"] == found["novelty"] == 1.0
    assert found["uniqueness"] >= 0.9  # two of them are one tune in two collections
    for name in ("pitch_distance", "interval_distance", "rhythm_distance", "duration_distance"):
        assert found[name] == pytest.approx(0.0, abs=1e-9)
    assert found["bars_right"] > 0.95


def test_a_copy_in_another_key_is_found(tunes: list[str]) -> None:
    copied = [transpose_abc(tunes[3], 4)]
    found = judged(PieceScorer(), tunes[:20], tunes[20:40], copied)
    assert found["novelty"] == 0.0
    assert found["copied_interval_share"] == 1.0
    fresh = judged(PieceScorer(), tunes[:20], tunes[20:40], [tunes[45]])
    assert fresh["novelty"] == 1.0
    assert fresh["copied_interval_share"] < 0.6


def test_what_cannot_be_read_is_not_valid(tunes: list[str]) -> None:
    found = judged(PieceScorer(), tunes[:5], tunes[5:10], [tunes[11], "M:4/4\nK:G\n)ABc;", "K:G\nA", None])
    assert found["validity"] == 0.25
    nothing = judged(PieceScorer(), tunes[:5], tunes[5:10], ["?"])
    assert "interval_distance" not in nothing


def test_prompts_are_read_as_they_are_typed() -> None:
    scorer = PieceScorer()
    assert scorer.read("M:4/4\\nL:1/8\\nK:G\\nGA") == "M:4/4\nL:1/8\nK:G\nGA"
    piece = scorer.read(scorer.text(cadence(0)))
    np.testing.assert_array_equal(piece.pitch, cadence(0).pitch)
    with pytest.raises(DataError, match="list of notes"):
        scorer.read("0:0:60")


def test_faults_of_voice_leading_by_hand() -> None:
    parallel = np.array([[72, 67, 64, 48], [74, 69, 66, 50]])  # all voices a tone higher
    # Octaves of soprano and bass, fifths of alto and bass... by hand: (0,3), (1,3) and nothing else.
    assert fault_rate(parallel) == 200.0
    crossing = np.array([[72, 67, 64, 48], [72, 64, 67, 48]])
    assert fault_rate(crossing) == 100.0
    wide = np.array([[72, 67, 64, 48], [72, 67, 52, 48]])
    assert fault_rate(wide) == 100.0
    assert fault_rate(np.array([[72, 67, 64, 48], [72, 69, 65, 53]])) == 0.0
    assert np.isnan(fault_rate(np.array([[72, 67, 64, 48]] * 3)))


def test_agreement_with_the_composer() -> None:
    real = cadence(0)
    pitch = real.pitch.copy()
    pitch[(real.voice == 3) & (real.onset == 2)] -= 12  # one bass note of four is another
    scorer = HarmonyScorer(step=1.0)
    scorer.fit([real], [real, cadence(2)], TokenView([np.arange(2)], [np.arange(2)]))
    figures = scorer.score(Generated([real.replaced(pitch=pitch)], [np.arange(2)], [real]))
    assert figures["bass_accuracy"].values.tolist() == [0.75]
    assert figures["alto_accuracy"].values.tolist() == [1.0]
    assert figures["chord_accuracy"].values.tolist() == [0.75]
    assert sounding(real, 1.0).shape == (4, 4)


def test_independent_notes_are_a_distribution() -> None:
    tokenizer = FrameTokenizer(lowest=60, highest=62)
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(30):
        row = []
        for _ in range(12):
            row += [tokenizer.base + 60 + note for note in range(3) if rng.random() < (0.8, 0.3, 0.5)[note]]
            row.append(tokenizer.sign("/"))
        rows.append(np.array([tokenizer.cls_id, *row]))
    model = FrameBernoulli(penalties=[1.0]).fit(rows[:20], rows[20:25], tokenizer)
    # One frame after the beginning: the chances of its eight sets add up to one.
    sets = [[note for note in range(3) if number >> note & 1] for number in range(8)]
    ids = [np.array([2, *(tokenizer.base + 60 + n for n in one), tokenizer.sign("/")]) for one in sets]
    assert np.exp(model.log_likelihood(ids)).sum() == pytest.approx(1.0)
    per_frame = -model.log_likelihood(rows[25:]).sum() / (5 * 12)
    best = -sum(p * np.log(p) + (1 - p) * np.log(1 - p) for p in (0.8, 0.3, 0.5))
    assert best - 0.2 < per_frame < best + 0.3
    drawn = model.draw(
        np.full((4, 1), 2), Sampling(count=4), tokenizer, Context(64, add_cls=True), most=20, seed=0
    )
    assert all(len(row) == 20 for row in drawn.rows)
    with pytest.raises(ConfigError, match="frames"):
        FrameBernoulli().fit(rows, rows, AbcTokenizer())


def test_the_chord_table_learns_what_stands_below_a_note() -> None:
    tokenizer = ChoraleTokenizer(order="soprano_first", step=1.0)
    pieces = [cadence(0), cadence(0), cadence(2)]
    rows = [np.array([2, *row]) for row in tokenizer.encode(pieces)["input_ids"]]
    model = ChordTable().fit(rows, [], tokenizer)
    seen, floor = model._probabilities([(), (0, 0)])
    assert sum(seen.values()) + floor == pytest.approx(1.0)
    likely, strange = model.log_likelihood(
        [rows[0], np.array([2, *tokenizer.encode([cadence(5)])["input_ids"][0]])]
    )
    assert likely > strange + 10
    start = np.array([2, *tokenizer.encode([cadence(0).part(0)])["input_ids"][0]])[None]
    drawn = model.draw(
        start, Sampling(count=1, temperature=0.0), tokenizer, Context(64, add_cls=True), most=12, seed=0
    )
    written = tokenizer.decode(drawn.rows[0])
    np.testing.assert_array_equal(written.pitch, cadence(0).pitch)
    model.check(start, tokenizer)
    with pytest.raises(ConfigError, match=r"(?s)whole sopranos.*samples\.prompt_tokens"):
        model.check([start[0], start[0][:-1]], tokenizer)
    with pytest.raises(ConfigError, match="closing mark"):
        model.draw(start[:, :-1], Sampling(count=1), tokenizer, Context(64, add_cls=True), most=12, seed=0)
    with pytest.raises(ConfigError, match="music/harmony"):
        ChordTable().check(start, AbcTokenizer())


def test_constraints_force_the_header_and_the_key(tunes: list[str]) -> None:
    tokenizer = AbcTokenizer()
    held = KeyAndMeter(key="D", meter="6/8")
    process = held.processor(tokenizer)
    assert process is not None
    ids = torch.full((1, 1), tokenizer.cls_id)
    for letter in "M:6/8\nL:1/8\nK:D\n":
        chosen = process(ids, torch.zeros(1, tokenizer.vocab_size)).argmax(dim=1)
        assert tokenizer.vocab[int(chosen)] == letter
        ids = torch.cat([ids, chosen[:, None]], dim=1)
    after = process(ids, torch.zeros(1, tokenizer.vocab_size))
    assert torch.isinf(after[0, tokenizer.vocab.index("^")])
    assert not torch.isinf(after[0, tokenizer.vocab.index("f")])
    assert held.accepts("M:6/8\nL:1/8\nK:D\nd3f3|d6||")
    assert not held.accepts("M:6/8\nL:1/8\nK:D\nd3f3|d5|d6||")
    assert not held.accepts("M:6/8\nL:1/8\nK:G\nd3f3|d6||")
    with pytest.raises(ConfigError, match="meter"):
        KeyAndMeter(key="D").processor(tokenizer)


def test_constraints_on_grids() -> None:
    chorale = ChoraleTokenizer()
    process = KeyAndMeter(key="G").processor(chorale)
    assert process is not None
    scores = process(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, chorale.vocab_size))
    names = {chorale.vocab[id] for id in torch.isinf(scores[0]).nonzero().ravel().tolist()}
    assert {"F4", "C#4", "A#3"} <= names
    assert not {"F#4", "G4", "C4"} & names
    frames = FrameTokenizer()
    ascending = Ascending().processor(frames)
    assert ascending is not None
    last = torch.tensor([[frames.base + 60], [frames.sign("/")]])
    scores = ascending(last, torch.zeros(2, frames.vocab_size))
    assert torch.isinf(scores[0, frames.base + 60])
    assert not torch.isinf(scores[0, frames.base + 61])
    assert not torch.isinf(scores[1]).any()
    assert not torch.isinf(scores[0, frames.sign("/")])


def test_a_piece_needs_notes() -> None:
    assert PieceScorer().key(Piece([0], [1], [60])) is None
    with pytest.raises(ConfigError, match="least"):
        PieceScorer(least=0)
