"""Calibration, conformal sets and intervals, strange records: each against data whose truth is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import special

from scizoo.evaluation.calibration import (
    TemperatureScaling,
    VarianceScaling,
    adaptive_bins,
    calibration_error,
    interval_coverage,
    probability_integral,
    reliability,
)
from scizoo.evaluation.conformal import (
    ConformalClassifier,
    ConformalRegressor,
    conformal_quantile,
    measure_intervals,
    measure_sets,
    uniform_of,
)
from scizoo.evaluation.metrics import score
from scizoo.evaluation.ood import MahalanobisDetector, detection_auroc, ood_section
from scizoo.evaluation.outputs import Outputs


def classified(count: int, seed: int, classes: int = 5, sharpen: float = 1.0) -> Outputs:
    """Targets drawn from the very probabilities; ``sharpen`` then makes the model too sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, classes))
    truth = special.softmax(logits, axis=1)
    targets = (truth.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    ids = [f"{seed}-{i}" for i in range(count)]
    names = [f"c{i}" for i in range(classes)]
    return Outputs(ids, ids, targets, "classification", names, special.softmax(sharpen * logits, axis=1))


def regressed(count: int, seed: int, confidence: float = 1.0) -> Outputs:
    """The spread depends on the record; the variance told is the true one over ``confidence``."""
    rng = np.random.default_rng(seed)
    deviation = rng.uniform(0.2, 3.0, (count, 1))
    mean = rng.normal(size=(count, 1))
    ids = [f"{seed}-{i}" for i in range(count)]
    targets = mean + deviation * rng.normal(size=(count, 1))
    return Outputs(ids, ids, targets, "regression", mean=mean, variance=deviation**2 / confidence)


@pytest.mark.parametrize("classes", [2, 5])
def test_calibration_error_tells_honest_from_overconfident(classes):
    honest = calibration_error(classified(4000, 0, classes))
    boastful = calibration_error(classified(4000, 0, classes, sharpen=3.0))
    assert honest.value < 0.03 < 0.08 < boastful.low


def test_calibration_error_by_hand():
    p = np.repeat([0.9, 0.6], 20)
    targets = np.concatenate([np.arange(20) < 14, np.arange(20) < 12]).astype(int)
    ids = np.arange(40)
    outputs = Outputs(ids, ids, targets, "classification", ("n", "y"), np.stack([1 - p, p], 1))
    assert calibration_error(outputs).value == pytest.approx((0.2 + 0.0) / 2)
    diagram = reliability(outputs)
    np.testing.assert_allclose(diagram.frequency, [0.6, 0.7])
    assert (diagram.low < diagram.frequency).all() and (diagram.frequency < diagram.high).all()
    assert diagram.ece == pytest.approx(0.1)
    assert diagram.to_dict()["bins"][1]["count"] == 20


def test_bins_hold_equal_mass_and_never_part_equal_claims():
    rng = np.random.default_rng(0)
    assert np.ptp(np.bincount(adaptive_bins(rng.random(1500)))) <= 1
    ties = np.repeat([0.5, 0.7, 1.0], 100)
    member = adaptive_bins(ties)
    assert all(len(np.unique(member[ties == value])) == 1 for value in (0.5, 0.7, 1.0))
    assert adaptive_bins(rng.random(25)).max() == 1


@pytest.mark.parametrize("classes", [2, 5])
def test_temperature_undoes_the_sharpening_and_keeps_the_prediction(classes):
    validation, test = (classified(3000, seed, classes, sharpen=2.5) for seed in (0, 1))
    scaling = TemperatureScaling.fit(validation)
    assert scaling.temperature == pytest.approx(2.5, rel=0.12)
    scaled = scaling.apply(test)
    assert score("log_loss", scaled).value < score("log_loss", test).value - 0.05
    np.testing.assert_array_equal(scaled.predicted, test.predicted)
    np.testing.assert_allclose(scaled.probability.sum(axis=1), 1)
    state = json.loads(json.dumps(scaling.state()))
    assert TemperatureScaling.from_state(state) == scaling


def test_temperature_for_labels_with_gaps():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (3000, 3))
    targets = (rng.random((3000, 3)) < special.expit(logits)).astype(float)
    targets[rng.random((3000, 3)) < 0.3] = np.nan
    ids = np.arange(3000)
    outputs = Outputs(ids, ids, targets, "multilabel", tuple("abc"), special.expit(3 * logits))
    scaling = TemperatureScaling.fit(outputs)
    assert scaling.temperature == pytest.approx(3, rel=0.1)
    assert calibration_error(outputs, resamples=50).value > 0.08
    assert calibration_error(scaling.apply(outputs), resamples=50).value < 0.03


def test_temperature_stays_finite_without_errors_on_validation():
    sure = classified(200, 0)
    p = np.full((200, 5), 0.01)
    p[np.arange(200), sure.targets] = 0.96
    assert 0.04 < TemperatureScaling.fit(sure.with_probability(p)).temperature < 1


def test_variance_scaling_restores_coverage():
    validation, test = regressed(3000, 0, confidence=4.0), regressed(3000, 1, confidence=4.0)
    scaling = VarianceScaling.fit(validation)
    assert scaling.factor[0] == pytest.approx(4, rel=0.1)
    before = {row["level"]: row["coverage"] for row in interval_coverage(test)}
    after = {row["level"]: row["coverage"] for row in interval_coverage(scaling.apply(test))}
    assert before[0.9] < 0.65 and after[0.9] == pytest.approx(0.9, abs=0.02)
    place = probability_integral(scaling.apply(test))
    assert np.histogram(place, 10, (0, 1))[0] == pytest.approx(300, rel=0.25)
    back = VarianceScaling.from_state(json.loads(json.dumps(scaling.state())))
    np.testing.assert_array_equal(back.factor, scaling.factor)


def test_the_quantile_is_the_finite_sample_one():
    scores = np.arange(1.0, 10)
    assert conformal_quantile(scores, 0.9) == 9
    assert conformal_quantile(scores, 0.8) == 8
    assert conformal_quantile(scores[:8], 0.9) == math.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        conformal_quantile(scores, 1.0)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
@pytest.mark.parametrize("empty", [False, True])
def test_sets_cover_as_often_as_asked_over_25_splits(method, coverage, empty):
    pool = classified(3000, 0, classes=8, sharpen=2.0)  # a miscalibrated model: conformal must not mind
    rng = np.random.default_rng(1)
    measured = []
    for _ in range(25):
        rows = rng.permutation(3000)
        made = ConformalClassifier(method, coverage, allow_empty=empty)
        validation, test = pool.take(rows[:1000]), pool.take(rows[1000:])
        made.fit(validation.probability, validation.targets, validation.ids)
        sets = made.sets(test.probability, test.ids)
        measured.append(sets[np.arange(len(test)), test.targets].mean())
    # A split of 1,000 varies by about 0.012; the mean of 25 by a fifth of it.
    assert np.mean(measured) == pytest.approx(coverage, abs=0.008)
    assert np.abs(np.array(measured) - coverage).max() < 0.05


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("method", ["absolute", "scaled", "cqr"])
def test_intervals_cover_as_often_as_asked_over_25_splits(method, coverage):
    pool = regressed(3000, 0, confidence=5.0)
    rng = np.random.default_rng(1)
    measured = []
    for _ in range(25):
        rows = rng.permutation(3000)
        made = ConformalRegressor(method, coverage).fit(pool.take(rows[:1000]))
        measured.append(measure_intervals(made, pool.take(rows[1000:]), resamples=2).measured.value)
    assert np.mean(measured) == pytest.approx(coverage, abs=0.008)
    assert np.abs(np.array(measured) - coverage).max() < 0.05


def test_adaptive_methods_are_wider_where_it_is_harder():
    validation, test = regressed(2000, 0), regressed(2000, 1)
    easy = np.sqrt(test.variance[:, 0]) < 1
    for method in ("absolute", "scaled", "cqr"):
        covered = measure_intervals(ConformalRegressor(method).fit(validation), test, resamples=2).covered
        gap = covered[easy].mean() - covered[~easy].mean()
        assert gap > 0.1 if method == "absolute" else abs(gap) < 0.05
    outputs = classified(4000, 0, classes=8)
    sizes = (
        ConformalClassifier("aps")
        .fit(outputs.probability, outputs.targets, outputs.ids)
        .sets(outputs.probability, outputs.ids)
        .sum(axis=1)
    )
    sure = outputs.probability.max(axis=1)
    assert sizes[sure < 0.4].mean() > 2 * sizes[sure > 0.8].mean()


def test_quantiles_predicted_directly_are_conformalised():
    data = regressed(2000, 0)
    low, high = data.mean - 0.1, data.mean + 0.1
    made = ConformalRegressor("cqr", 0.8).fit_quantiles(data.targets, low, high)
    lower, upper = made.from_quantiles(low, high)
    assert np.mean((data.targets >= lower) & (data.targets <= upper)) == pytest.approx(0.8, abs=0.01)
    wide = ConformalRegressor("cqr", 0.8).fit_quantiles(data.targets, data.mean - 50, data.mean + 50)
    lower, upper = wide.from_quantiles(data.mean - 1, data.mean + 1)
    assert (lower <= upper).all()


def test_sets_are_never_empty_unless_allowed_and_do_not_depend_on_company():
    outputs = classified(500, 0, sharpen=4)
    made = ConformalClassifier("lac", 0.5).fit(outputs.probability, outputs.targets, outputs.ids)
    sets = made.sets(outputs.probability, outputs.ids)
    assert (sets.sum(axis=1) >= 1).all()
    made.allow_empty = True
    assert (made.sets(outputs.probability, outputs.ids).sum(axis=1) == 0).any()
    adaptive = ConformalClassifier("aps").fit(outputs.probability, outputs.targets, outputs.ids)
    whole, alone = (adaptive.sets(outputs.probability[s], outputs.ids[s]) for s in (slice(None), slice(7, 8)))
    np.testing.assert_array_equal(whole[7:8], alone)
    assert uniform_of(["a", "b"], 0).tolist() != uniform_of(["a", "b"], 1).tolist()


def test_a_model_that_is_right_more_often_than_asked_names_one_class():
    outputs = classified(2000, 0, sharpen=4)
    right = np.mean(outputs.probability.argmax(axis=1) == outputs.targets)
    made = ConformalClassifier("aps", float(right) - 0.1).fit(
        outputs.probability, outputs.targets, outputs.ids
    )
    sets = made.sets(outputs.probability, outputs.ids)
    assert (sets.sum(axis=1) == 1).all()
    assert sets[np.arange(2000), outputs.targets].mean() == pytest.approx(right)


def test_measured_coverage_names_the_groups_it_fails():
    outputs = regressed(600, 0)
    made = ConformalRegressor("scaled", 0.9).fit(outputs)
    groups = np.repeat([f"g{i}" for i in range(20)], 30)
    shifted = outputs.targets.copy()
    shifted[groups == "g7"] += 50  # a group unlike the others
    strange = Outputs(
        outputs.ids, groups, shifted, "regression", mean=outputs.mean, variance=outputs.variance
    )
    result = measure_intervals(made, strange)
    assert result.worst_groups[0] == {"group": "g7", "records": 30, "coverage": 0.0}
    assert result.measured.low < result.measured.value < 0.9
    assert "covered" not in result.to_dict()


def test_too_few_validation_records_promise_nothing_finite():
    few = regressed(5, 0)
    made = ConformalRegressor("absolute", 0.9).fit(few)
    low, high = made.intervals(few.mean)
    assert np.isinf(low).all() and np.isinf(high).all()
    assert "too few validation records" in measure_intervals(made, few).size.reason


@pytest.mark.parametrize(
    "made", [ConformalClassifier("raps", 0.8, 0.02, 2, True, 5), ConformalRegressor("cqr", 0.8)]
)
def test_states_are_plain_arrays_and_give_the_same(made, tmp_path):
    classes, values = classified(100, 0), regressed(100, 0)
    if isinstance(made, ConformalClassifier):
        made.fit(classes.probability, classes.targets, classes.ids)
    else:
        made.fit(values)
    np.savez(tmp_path / "state.npz", **made.state())
    back = type(made).from_state(np.load(tmp_path / "state.npz", allow_pickle=False))
    if isinstance(made, ConformalClassifier):
        np.testing.assert_array_equal(
            back.sets(classes.probability, classes.ids), made.sets(classes.probability, classes.ids)
        )
        assert measure_sets(back, classes, resamples=5).asked == 0.8
    else:
        np.testing.assert_array_equal(
            back.intervals(values.mean, values.variance), made.intervals(values.mean, values.variance)
        )


@pytest.mark.parametrize("relative", [False, True])
def test_strange_records_are_found(relative, tmp_path):
    rng = np.random.default_rng(0)
    scale = np.linspace(0.1, 5, 20)
    centres = rng.normal(0, 10, (3, 20))

    def familiar(count):
        return rng.normal(size=(count, 20)) * scale + centres[rng.integers(0, 3, count)]

    labels = rng.integers(0, 3, 300)
    train = rng.normal(size=(300, 20)) * scale + centres[labels]
    detector = (
        MahalanobisDetector(relative=relative, quantile=0.9).fit(train, labels).calibrate(familiar(500))
    )
    inside = familiar(500)
    outside = inside.copy()
    outside[:, 0] += 1.0  # ten standard deviations along a quiet direction; tiny by Euclid
    result = detection_auroc(detector.score(inside), detector.score(outside))
    assert result.value > 0.95 and result.low > 0.9
    assert detector.flag(inside).mean() == pytest.approx(0.1, abs=0.05)
    assert detector.flag(outside).mean() > 0.8
    np.savez(tmp_path / "ood.npz", **detector.state())
    back = MahalanobisDetector.from_state(np.load(tmp_path / "ood.npz", allow_pickle=False))
    np.testing.assert_allclose(back.score(outside), detector.score(outside), rtol=1e-3, atol=1e-2)
    assert ood_section(back, back.score(inside), result, "shifted records")["records"] == 500


def test_detector_with_fewer_records_than_dimensions_and_dead_dimensions():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(30, 64))
    train[:, 5] = 0
    detector = MahalanobisDetector().fit(train).calibrate(train)
    assert np.isfinite(detector.score(train)).all()
    assert detector.flag(train + 10).all()
    chance = detection_auroc(rng.normal(size=200), rng.normal(size=200))
    assert chance.low < 0.5 < chance.high
