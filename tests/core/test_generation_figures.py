"""Figures of generated records against plain counting, and the n-gram model that writes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.windows import Context
from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Generated, Scorer, TextScorer, TokenView, main_figure
from scizoo.evaluation.generators import NGramGenerator
from scizoo.evaluation.likelihood import Likelihood, difference_of_likelihood
from scizoo.evaluation.memorised import CopyIndex
from scizoo.evaluation.ngram import NGramModel
from scizoo.evaluation.sample_figures import (
    SampleFigure,
    difference_of_figures,
    estimate_figure,
    length_distance,
    linearised,
    recentred,
)
from scizoo.models.generation import draw_tokens
from scizoo.models.sampling import Sampling, uniforms

QUICK = {"resamples": 300, "level": 0.95}
CONTEXT = Context(32, add_cls=True, add_sep=True)


class Even(Scorer):
    """Texts of even length are valid."""

    def key(self, value):
        return value.lower() if len(value) % 2 == 0 else None


def rows_of(texts):
    return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) for text in texts]


def fitted(training, heldout=("abcd",), scorer=None):
    view = TokenView(rows_of(training), rows_of(heldout))
    return (scorer or Even()).fit(list(training), list(heldout), view)


def scored(scorer, texts):
    made = Generated(list(texts), rows_of(text or "" for text in texts))
    figures = scorer.score(made)
    return {name: estimate_figure(one, len(made), **QUICK) for name, one in figures.items()}


def longest_by_hand(row, training):
    runs = [row[i:j] for i, j in itertools.combinations(range(len(row) + 1), 2)]
    texts = [",".join(map(str, one)) + "," for one in training]
    return max(
        (len(run) for run in runs if any(("," + ",".join(map(str, run)) + ",") in "," + t for t in texts)),
        default=0,
    )


def test_the_longest_copy_is_that_of_a_search_by_hand():
    rng = np.random.default_rng(0)
    training = [rng.integers(0, 4, rng.integers(1, 30)) for _ in range(40)]
    rows = [rng.integers(0, 5, rng.integers(0, 25)) for _ in range(60)]
    rows[3] = training[5][2:9].copy()
    rows[4] = np.concatenate([training[0], training[1]])  # a run never crosses the border of two records
    found = CopyIndex(training).longest(rows)
    assert found.tolist() == [longest_by_hand(row.tolist(), [t.tolist() for t in training]) for row in rows]
    assert found[3] == len(rows[3])


def test_chunks_of_training_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    training, rows = ([rng.integers(0, 3, 20) for _ in range(30)] for _ in range(2))
    whole = CopyIndex(training).longest(rows)
    monkeypatch.setattr("scizoo.evaluation.memorised._CHUNK", 50)
    index = CopyIndex(training)
    assert len(index._chunks) > 5
    assert index.longest(rows).tolist() == whole.tolist()
    assert CopyIndex([]).longest(rows).tolist() == [0] * len(rows)


def test_identity_figures_count_as_the_definitions_say():
    scorer = fitted(["aa", "bbbb", "cc"])
    found = scored(scorer, ["AA", "aa", "dd", "ee", "odd", None, "dd", "dd"])
    assert found["validity"].value == pytest.approx(6 / 8)
    assert found["uniqueness"].value == pytest.approx(3 / 6), "aa, dd and ee among six valid ones"
    assert found["novelty"].value == pytest.approx(2 / 3), "of aa, dd and ee, aa is in training"
    for one in found.values():
        assert one.low <= one.value <= one.high or one.reason


def test_planted_copies_are_caught():
    rng = np.random.default_rng(2)

    def texts(count):
        return ["".join(rng.choice(list("abcdefgh"), 20)) for _ in range(count)]

    training, heldout = texts(200), texts(100)
    scorer = fitted(training, heldout)
    honest, copied = scored(scorer, texts(100)), scored(scorer, training[:60] + texts(40))
    assert honest["novelty"].value == 1.0 and honest["copied_share"].high < 0.4
    assert copied["novelty"].high < 0.55
    assert copied["copied_share"].low > honest["copied_share"].high
    assert copied["longest_copy"].value > 13
    # Copies that lost their first and last letter are new to a look-up, but not to the audit.
    trimmed = scored(scorer, [text[1:-1] for text in training[:100]])
    assert trimmed["novelty"].value == 1.0 and trimmed["copied_share"].value == 1.0


def test_a_model_that_repeats_itself_is_not_unique_and_its_interval_knows():
    scorer = fitted(["zz"])
    found = scored(scorer, ["aa"] * 200)
    assert found["uniqueness"].value == pytest.approx(1 / 200)
    different = scored(scorer, [f"{number:04d}" for number in range(200)])
    assert different["uniqueness"].value == 1.0
    assert different["uniqueness"].low == 1.0, "resampling must not take a record drawn twice for a copy"


def test_nothing_valid_gives_reasons_and_no_numbers():
    found = scored(fitted(["aa"]), ["odd", None, "x"])
    assert found["validity"].value == 0.0
    assert np.isnan(found["novelty"].value) and "no sample is valid" in found["novelty"].reason


def test_the_length_distance_is_wassersteins():
    rng = np.random.default_rng(3)
    lengths, reference = rng.integers(3, 12, 80), rng.integers(5, 20, 150)
    value = length_distance(lengths, reference)(np.ones((1, 80)))[0]
    assert value == pytest.approx(wasserstein_distance(lengths, reference))
    weights = rng.integers(0, 3, (1, 80))
    expected = wasserstein_distance(lengths, reference, u_weights=weights[0])
    assert length_distance(lengths, reference)(weights)[0] == pytest.approx(expected)


def test_linearised_and_recentred_replicates_spread_about_the_value():
    rng = np.random.default_rng(4)
    weights = rng.multinomial(50, np.full(50, 1 / 50), 2000).astype(float)
    values = rng.normal(size=50)
    mean = linearised(values.mean(), values)(weights)
    assert mean == pytest.approx(weights @ values / 50), "a mean is its own linearisation"
    distance = recentred(lambda w: np.abs(w @ values / w.sum(axis=1)) + 5)(weights)
    assert distance.mean() == pytest.approx(abs(values.mean()) + 5)


def test_differences_are_signed_for_the_better():
    good = SampleFigure("f", "lower", np.full(50, 1.0) + np.linspace(0, 0.1, 50))
    bad = SampleFigure("f", "lower", np.full(70, 2.0) + np.linspace(0, 0.1, 70))
    found = difference_of_figures((good, 50), (bad, 70), **QUICK)
    assert found.low > 0.9 and found.p_value < 0.05
    assert difference_of_figures((bad, 70), (good, 50), **QUICK).high < 0
    groups = np.array([f"g{number // 2}" for number in range(60)])
    tokens = np.full(60, 10)
    rng = np.random.default_rng(5)
    sums = -rng.uniform(10, 20, 60)
    likelier = difference_of_likelihood(
        Likelihood(sums + 1, tokens, groups), Likelihood(sums, tokens, groups), **QUICK
    )
    assert likelier.difference == pytest.approx(0.1) and likelier.low == pytest.approx(0.1)
    assert likelier.groups == 30


def test_a_figure_that_is_not_measured_is_refused_with_the_nearest():
    scorer = fitted(["aa"])
    figures = scorer.score(Generated(["aa"], rows_of(["aa"])))
    assert main_figure(scorer, None, figures) == "validity"
    assert main_figure(TextScorer(), None, figures) == "novelty"
    with pytest.raises(ConfigError, match="did you mean 'novelty'"):
        main_figure(scorer, "novlty", figures)


def test_next_token_is_the_distribution_whose_likelihood_is_measured():
    rng = np.random.default_rng(6)
    rows = [rng.integers(0, 6, 15) for _ in range(20)]
    model = NGramModel(4, 7).fit(rows)
    probe = rng.integers(0, 7, 9)
    steps = np.log([model.next_token(probe[None, :at])[0, probe[at]] for at in range(len(probe))])
    assert steps == pytest.approx(model.log_likelihood([probe]))
    assert model.next_token(rng.integers(0, 7, (5, 6))).sum(axis=1) == pytest.approx(np.ones(5))
    lower = model.truncated(2).log_likelihood([probe])
    assert lower == pytest.approx(NGramModel(2, 7).fit(rows).log_likelihood([probe]))


def test_the_ngram_model_writes_what_it_has_counted():
    tokenizer = ByteTokenizer()
    texts = ["abab", "abababab", "ababab"] * 30
    encoded = tokenizer.encode(texts)["input_ids"]
    rows = [np.concatenate([[tokenizer.cls_id], row, [tokenizer.sep_id]]) for row in encoded]
    model = NGramGenerator(orders=[1, 2, 3]).fit(rows, rows[:10], tokenizer)
    assert model.order > 1 and str(model.order) in model.title
    sampling = Sampling(count=200)
    starts = np.full((200, 1), tokenizer.cls_id)
    drawn = model.draw(starts, sampling, tokenizer, CONTEXT, most=20, seed=1)
    written = [tokenizer.decode(row.tolist()) for row in drawn.rows]
    assert np.mean([text.startswith("ab") for text in written]) > 0.9
    again = model.draw(starts, sampling, tokenizer, CONTEXT, most=20, seed=1)
    other = model.draw(starts, sampling, tokenizer, CONTEXT, most=20, seed=2)
    assert [row.tolist() for row in again.rows] == [row.tolist() for row in drawn.rows]
    assert [row.tolist() for row in other.rows] != [row.tolist() for row in drawn.rows]
    # What it says of its own records is what it says of the same records given back.
    ended = np.flatnonzero(drawn.finished)[:20]
    whole = [np.concatenate([[tokenizer.cls_id], drawn.rows[n], [tokenizer.sep_id]]) for n in ended]
    assert model.log_likelihood(whole) == pytest.approx(drawn.log_likelihood[ended])
    assert drawn.tokens[ended].tolist() == [len(row) - 1 for row in whole]


def test_numbers_decide_a_draw_as_the_distribution_says():
    logits = torch.log(torch.tensor([[0.2, 0.0, 0.5, 0.3]])).expand(10_000, 4)
    numbers = torch.from_numpy(uniforms(0, range(10_000), 1))[:, 0]
    chosen = draw_tokens(logits, numbers=numbers).numpy()
    shares = np.bincount(chosen, minlength=4) / len(chosen)
    assert shares == pytest.approx([0.2, 0.0, 0.5, 0.3], abs=0.02)
    assert draw_tokens(logits, numbers=torch.zeros(10_000)).unique().tolist() == [0]
    assert draw_tokens(logits, numbers=torch.full((10_000,), 1 - 1e-12)).unique().tolist() == [3]
    assert set(draw_tokens(logits, top_k=1, numbers=numbers).tolist()) == {2}


@pytest.mark.parametrize(
    ("key", "value"),
    [("count", 0), ("temperature", -1), ("top_p", 0.0), ("top_k", 1.5), ("max_tokens", True), ("cuont", 3)],
)
def test_samples_out_of_range_are_refused_by_key(key, value):
    with pytest.raises(ConfigError, match=f"samples.{key}"):
        Sampling.from_config({key: value})
