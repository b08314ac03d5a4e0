"""The n-gram floor: its probabilities must sum to one and follow the counts."""

import numpy as np
import pytest

from scizoo.evaluation.ngram import NGramModel


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_of_every_context_sum_to_one(order):
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 5, size=n) for n in (30, 1, 0, 50)]
    model = NGramModel(order, vocab_size=5).fit(rows)
    for context in ([0, 1], [4, 4], [2], []):
        last = [model.log_likelihood([[*context, token]])[-1] for token in range(5)]
        assert np.exp(last).sum() == pytest.approx(1.0)


def test_bigram_learns_an_alternation_that_a_unigram_cannot():
    rows = [np.array([0, 1] * 50)]
    assert NGramModel(1, 2).fit(rows).bits_per_token(rows) == pytest.approx(1.0, abs=0.01)
    assert NGramModel(2, 2).fit(rows).bits_per_token(rows) < 0.1


def test_counts_do_not_cross_rows():
    # 1 follows 0 only across the border of the rows, so the bigram must not have seen "0 1".
    apart = NGramModel(2, 2).fit([[0, 0, 0], [1, 1, 1]]).log_likelihood([[0, 1]])[1]
    joined = NGramModel(2, 2).fit([[0, 0, 0, 1, 1, 1]]).log_likelihood([[0, 1]])[1]
    assert apart < joined


def test_witten_bell_by_hand():
    model = NGramModel(2, vocab_size=2).fit([[0, 0, 1]])
    unigram_1 = (1 + 2 * 0.5) / (3 + 2)
    expected = (1 + 2 * unigram_1) / (2 + 2)
    assert np.exp(model.log_likelihood([[0, 1]])[1]) == pytest.approx(expected)
