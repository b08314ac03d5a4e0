"""Intervals: they cover the truth, widen with groups and seeds, and tell no difference from some."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scizoo.errors import DataError
from scizoo.evaluation.delong import auroc_interval, delong, delong_difference
from scizoo.evaluation.intervals import (
    estimate,
    estimate_function,
    group_weights,
    holm,
    paired_difference,
    weighted_mean,
)
from scizoo.evaluation.outputs import Outputs


def classifier(right: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> Outputs:
    """Two classes; record i is classified rightly where ``right[i]``."""
    count = len(right)
    targets = np.arange(count) % 2
    said = np.where(right, targets, 1 - targets)
    ids = np.array([f"r{i:05d}" for i in range(count)])
    p = np.where(said == 1, 0.8, 0.2)
    return Outputs(
        ids, ids if groups is None else groups, targets, "classification", ("a", "b"), np.stack([1 - p, p], 1)
    )


def ranked(rng, count=200, strength=1.0, noise=None):
    targets = rng.integers(0, 2, count)
    value = strength * targets + rng.normal(size=count)
    p = stats.norm.cdf(value - strength / 2)
    ids = [f"r{i}" for i in range(count)]
    return Outputs(ids, ids, targets, "classification", ("a", "b"), np.stack([1 - p, p], 1))


def test_weights_draw_whole_groups():
    groups = np.array(["a", "b", "a", "c", "c"])
    weights = group_weights(groups, 50, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_covers_the_truth_as_often_as_it_says(method):
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(150):
        result = estimate(
            "accuracy", classifier(rng.random(150) < 0.8), resamples=300, method=method, seed=trial
        )
        assert result.method == method
        hits += result.low <= 0.8 <= result.high
    assert 0.88 <= hits / 150 <= 0.99


def test_grouped_records_widen_the_interval_as_they_should():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(40)], 10)
    right = np.repeat(rng.random(40) < 0.7, 10)  # all records of a group share their fate
    clustered = estimate("accuracy", classifier(right, groups))
    naive = estimate("accuracy", classifier(right))
    assert clustered.groups == 40
    assert (clustered.high - clustered.low) / (naive.high - naive.low) == pytest.approx(
        math.sqrt(10), rel=0.2
    )


def test_bca_follows_skewness():
    rng = np.random.default_rng(0)
    outputs = classifier(rng.random(60) < 0.95)
    plain, corrected = (
        estimate("accuracy", outputs, method=m, resamples=4000) for m in ("percentile", "bca")
    )
    assert corrected.low < plain.low


def test_same_seed_same_interval():
    outputs = classifier(np.random.default_rng(0).random(100) < 0.7)
    assert estimate("mcc", outputs, seed=3) == estimate("mcc", outputs, seed=3)
    assert estimate("mcc", outputs, seed=3) != estimate("mcc", outputs, seed=4)


def test_no_interval_says_why():
    one = estimate("accuracy", classifier(np.ones(5, dtype=bool), np.array(["g"] * 5)))
    assert one.value == 1.0 and math.isnan(one.low) and "one group" in one.reason
    only = classifier(np.ones(6, dtype=bool)).take(np.array([0, 2, 4]))
    assert math.isnan(estimate("auroc", only).value)
    assert "one class (a)" in estimate("auroc", only).reason


def test_seeds_widen_the_interval():
    rng = np.random.default_rng(1)
    steady = [classifier(rng.random(400) < 0.8) for _ in range(1)] * 5
    varied = [classifier(rng.random(400) < share) for share in (0.6, 0.7, 0.8, 0.9, 0.95)]
    calm, wild = estimate("accuracy", steady), estimate("accuracy", varied)
    assert calm.seeds == wild.seeds == 5
    assert wild.high - wild.low > 2 * (calm.high - calm.low)
    # Against theory: the standard error of the mean of five seeds, test records' share added.
    values = [np.mean(run.predicted == run.targets) for run in varied]
    expected = math.hypot(np.std(values, ddof=1) / math.sqrt(5), 0.02)
    assert (wild.high - wild.low) / (2 * 1.96) == pytest.approx(expected, rel=0.25)


def test_paired_difference_finds_what_unpaired_intervals_hide():
    rng = np.random.default_rng(0)
    right = rng.random(500) < 0.7
    better = right | (rng.random(500) < 0.1)
    result = paired_difference("accuracy", classifier(better), classifier(right))
    assert result.excludes_zero and result.low > 0 and result.p_value < 0.01
    assert result.difference == pytest.approx(better.mean() - right.mean())
    swapped = paired_difference("accuracy", classifier(right), classifier(better))
    assert swapped.difference == pytest.approx(-result.difference) and swapped.high < 0


def test_positive_means_better_where_lower_is_better():
    ids = [f"r{i}" for i in range(50)]
    truth = np.random.default_rng(0).normal(size=50)
    good = Outputs(ids, ids, truth, "regression", mean=truth + 0.1)
    bad = Outputs(ids, ids, truth, "regression", mean=truth + 1.0)
    assert paired_difference("rmse", good, bad).difference == pytest.approx(0.9)


def test_identical_models_give_no_evidence():
    outputs = classifier(np.random.default_rng(0).random(200) < 0.7)
    result = paired_difference("mcc", outputs, outputs)
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)
    assert not result.excludes_zero


def test_false_alarms_are_as_rare_as_promised():
    rng = np.random.default_rng(5)
    alarms = 0
    for trial in range(150):
        pair = [classifier(rng.random(120) < 0.75) for _ in range(2)]
        alarms += paired_difference("accuracy", *pair, resamples=300, seed=trial).excludes_zero
    assert alarms / 150 <= 0.11


def test_seeds_are_part_of_the_doubt():
    rng = np.random.default_rng(0)
    base = classifier(rng.random(2000) < 0.75)
    lucky = [classifier(rng.random(2000) < share) for share in (0.70, 0.84, 0.79)]
    single = paired_difference("accuracy", lucky[1], base)
    several = paired_difference("accuracy", lucky, base)
    assert single.excludes_zero and not several.excludes_zero
    assert (several.seeds_first, several.seeds_second) == (3, 1)


def test_seeds_drawn_together_cancel_what_they_share():
    rng = np.random.default_rng(0)
    first, second = [], []
    for share in (0.6, 0.7, 0.8, 0.9):  # a label budget drawn well or badly helps both alike
        right = rng.random(1000) < share
        second.append(classifier(right))
        first.append(classifier(right | (rng.random(1000) < 0.1)))
    together = paired_difference("accuracy", first, second)
    apart = paired_difference("accuracy", first, second, paired_seeds=False)
    assert together.excludes_zero and not apart.excludes_zero


def test_records_are_matched_by_id_and_strangers_refused():
    rng = np.random.default_rng(0)
    first, second = classifier(rng.random(90) < 0.8), classifier(rng.random(90) < 0.6)
    mixed = second.take(rng.permutation(90))
    assert paired_difference("mcc", first, mixed) == paired_difference("mcc", first, second)
    with pytest.raises(DataError, match="different records"):
        paired_difference("mcc", first, second.take(np.arange(89)))
    wrong = Outputs(second.ids, second.groups, 1 - second.targets, "classification", (), second.probability)
    with pytest.raises(DataError, match="different targets"):
        paired_difference("mcc", first, wrong)


def test_delong_against_the_published_example_of_two_by_two():
    # Variance by hand: components of positives (0.5, 1) and negatives (1, 0.5).
    result = auroc_interval(np.array([True, True, False, False]), np.array([0.5, 0.9, 0.1, 0.7]))
    assert result.value == pytest.approx(0.75)
    deviation = math.sqrt(0.125 / 2 + 0.125 / 2)
    half = 1.959964 * deviation / (0.75 * 0.25)
    assert result.low == pytest.approx(1 / (1 + math.exp(-(math.log(3) - half))), rel=1e-5)


def test_delong_agrees_with_the_bootstrap():
    outputs = ranked(np.random.default_rng(0), 400)
    exact, boot = delong(outputs), estimate("auroc", outputs, resamples=3000)
    assert exact.value == pytest.approx(boot.value)
    assert (exact.low, exact.high) == pytest.approx((boot.low, boot.high), abs=0.012)


def test_delong_over_groups_agrees_with_the_cluster_bootstrap():
    outputs = ranked(np.random.default_rng(0), 60)
    rows = np.repeat(np.arange(60), 6)
    ids = [f"c{i}" for i in range(360)]
    copies = Outputs(
        ids, outputs.groups[rows], outputs.targets[rows], "classification", (), outputs.probability[rows]
    )
    once, grouped = delong(outputs), delong(copies)
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert grouped.groups == 60 and grouped.records == 360


def test_delong_difference_agrees_with_the_paired_bootstrap():
    rng = np.random.default_rng(2)
    first = ranked(rng, 300, 2.0)
    blurred = np.clip(first.probability[:, 1] + rng.normal(0, 0.25, 300), 0.001, 0.999)
    second = first.with_probability(np.stack([1 - blurred, blurred], 1))
    exact, boot = delong_difference(first, second), paired_difference("auroc", first, second)
    assert exact.difference == pytest.approx(boot.difference)
    assert (exact.low, exact.high) == pytest.approx((boot.low, boot.high), abs=0.01)
    assert delong_difference(first, first).p_value == 1.0


def test_any_statistic_gets_an_interval():
    values = np.random.default_rng(0).normal(3, 1, 200)
    result = estimate_function(weighted_mean(values), np.arange(200))
    assert result.value == pytest.approx(values.mean())
    assert result.high - result.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(200), rel=0.1)


def test_holm_corrects_as_published():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.03, math.nan, 0.02]), [0.04, math.nan, 0.04])
