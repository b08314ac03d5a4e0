"""Judging forecasts: metrics against references, intervals, verdicts, coverage, sections of the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from scipy import stats

from scizoo.data.records import Record
from scizoo.errors import ConfigError, TrainingError
from scizoo.evaluation.baseline import Baseline, Labelled, baseline_outputs, tune
from scizoo.evaluation.conformal_forecasts import ConformalForecaster, measure_forecasts
from scizoo.evaluation.cost import Cost
from scizoo.evaluation.findings import (
    Judged,
    Settings,
    calibration_section,
    comparisons,
    conformal_coverage,
    conformal_section,
    errors_section,
    subgroups_section,
    table_rows,
    worst_mistakes,
)
from scizoo.evaluation.floor import Floor, FloorForecast, forecast_levels
from scizoo.evaluation.intervals import estimate, group_weights, paired_difference
from scizoo.evaluation.metrics import applicable, default_metrics, get_metric, replicate, score
from scizoo.evaluation.outputs import Outputs, interpolate_levels
from scizoo.evaluation.plain import plain
from scizoo.evaluation.report.render import render, schema
from scizoo.evaluation.report.sections import parts
from scizoo.evaluation.tuning import merit
from scizoo.evaluation.verdict import headlines, verdict

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
QUICK = Settings(resamples=100)
COST = Cost(seconds=2.0, cpu_seconds=3.0, peak_memory=10, energy=0.5, assumption="assumed", parameters=7)


def forecasts(
    bias: float = 0.0,
    claimed: float = 1.0,
    *,
    seed: int = 0,
    count: int = 60,
    steps: int = 6,
    gaps: bool = True,
    prefix: str = "t",
) -> Outputs:
    """Forecasts of noise around a level, in series of very different size; two windows a series."""
    rng = np.random.default_rng(1000 if prefix == "t" else 2000)
    size = np.repeat(10.0 ** rng.integers(-2, 4, count // 2), 2)[:, None]
    truth = 20 * size + size * rng.normal(size=(count, steps))
    naive = 20 * size + size * rng.normal(size=(count, steps))
    if gaps:
        truth[3, 2] = truth[7, 0] = np.nan
    noise = 0.05 * np.random.default_rng(seed).normal(size=(count, steps))
    middle = 20 * size + size * (bias + noise)
    said = middle[..., None] + claimed * size[..., None] * stats.norm.ppf(LEVELS)
    return Outputs(
        ids=[f"{prefix}{i}" for i in range(count)],
        groups=[f"s{i // 2}" for i in range(count)],
        targets=truth,
        kind="forecast",
        quantiles=said,
        levels=LEVELS,
        scale=size[:, 0] * 1.1,
        naive=naive,
        meta={"site": np.array([f"p{i % 2}" for i in range(count)])},
    )


def judged(key: str, role: str, bias: float, labels: int = 100, seeds: tuple[int, ...] = (0, 1)) -> Judged:
    return Judged(
        key,
        f"the {key}",
        role,
        labels,
        seeds,
        tuple(forecasts(bias, seed=seed) for seed in seeds),
        tuple(forecasts(bias, seed=seed, prefix="v") for seed in seeds),
        (COST,) * len(seeds),
    )


# --- outputs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["outputs.npz", "outputs.parquet"])
def test_outputs_come_back_exactly(tmp_path: Path, name: str):
    one = forecasts()
    one.save(tmp_path / name)
    again = Outputs.load(tmp_path / name)
    assert again.levels == LEVELS and again.kind == "forecast"
    for field in ("ids", "groups", "targets", "quantiles", "scale", "naive"):
        assert np.array_equal(getattr(again, field), getattr(one, field), equal_nan=field == "targets"), field
    assert np.array_equal(one.take(np.arange(3)).quantiles, one.quantiles[:3])


def test_outputs_refuse_what_cannot_be():
    one = forecasts(count=4, steps=2, gaps=False)
    facts: dict[str, Any] = {name: getattr(one, name) for name in ("ids", "groups", "targets", "kind")}
    with pytest.raises(ValueError, match="quantiles cross"):
        Outputs(**facts, quantiles=one.quantiles[..., ::-1], levels=LEVELS)
    with pytest.raises(ValueError, match="shape"):
        Outputs(**facts, quantiles=one.quantiles, levels=LEVELS[:3])
    with pytest.raises(ValueError, match="naive"):
        Outputs(**facts, quantiles=one.quantiles, levels=LEVELS, naive=one.targets[:, :1])


def test_quantiles_are_read_between_levels_and_never_beyond():
    said = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert interpolate_levels(said, LEVELS, [0.1, 0.2, 0.5, 0.8, 0.9]) == pytest.approx([1, 1.5, 4, 12, 16])
    one = forecasts()
    assert np.array_equal(one.point, one.quantiles[..., 2])
    with pytest.raises(ConfigError, match=r"0\.05 lies beyond"):
        one.at_levels([0.05])


# --- metrics ---------------------------------------------------------------------------------------------


def test_metrics_equal_what_one_works_out_by_hand():
    truth = np.array([[1.0, 2.0], [10.0, np.nan], [0.0, -4.0]])
    said = np.array([[2.0, 2.0], [7.0, 0.0], [0.0, -2.0]])
    quantiles = said[..., None] + np.array([-1.0, 0.0, 3.0])
    one = Outputs(
        ids=list("abc"),
        groups=list("xyz"),
        targets=truth,
        kind="forecast",
        quantiles=quantiles,
        levels=(0.25, 0.5, 0.75),
        scale=[0.5, 2.0, 0.0],
        naive=[[3.0, 4.0], [8.5, 1.0], [0.0, -4.0]],
    )

    def pinball(level: float, place: int) -> float:
        gap = (truth - quantiles[..., place])[~np.isnan(truth)]
        return float(2 * np.maximum(level * gap, (level - 1) * gap).sum())

    both = sum(pinball(level, place) for place, level in enumerate(one.levels)) / 3
    expected = {
        "mase": (1.0 + 1.5) / 2,  # the third never changes and has no scale
        "mae": (1 + 0 + 3 + 0 + 2) / 5,
        "mse": (1 + 0 + 9 + 0 + 4) / 5,
        "smape": 100 * (2 * 1 / 3 / 2 + 2 * 3 / 17 + 2 * 2 / 6 / 2) / 3,
        "wql": both / (1 + 2 + 10 + 0 + 4),
        "crps": both / 5,
        # Errors 1, 3, 2 against 4, 1.5, 0 of the floor; the last ratio is cut at 100.
        "relative": (1 / 4 * 3 / 1.5 * 100) ** (1 / 3),
        # -4 alone lies outside of its interval, [-3, 1]; 10 lies at the end of [6, 10].
        "coverage_error": abs(4 / 5 - 0.5),
    }
    for name, wanted in expected.items():
        assert score(name, one).value == pytest.approx(wanted), name
    assert get_metric("relative_crps").direction == "lower"
    bare = Outputs(one.ids, one.groups, truth, "forecast", quantiles=quantiles, levels=one.levels)
    assert "no scale" in score("mase", bare).reason
    names = [metric.name for metric in applicable(default_metrics("forecast"), bare)]
    assert names == ["wql", "smape", "mae", "mse", "crps", "coverage_error"]
    nothing = bare.take(np.array([0]))
    nothing = Outputs(["a"], ["a"], [[np.nan]], "forecast", quantiles=[[[0, 0, 0]]], levels=one.levels)
    assert "no value of any future" in score("wql", nothing).reason


def test_metrics_equal_those_of_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    import pandas as pd

    rng = np.random.default_rng(0)
    series, history, steps, season = 8, 40, 5, 4
    past = rng.normal(size=(series, history)).cumsum(axis=1) + 30
    truth = rng.normal(size=(series, steps)) + 30
    said = np.sort(rng.normal(size=(series, steps, 5)) + 30, axis=-1)
    scale = np.abs(past[:, season:] - past[:, :-season]).mean(axis=1)
    names = [f"s{i}" for i in range(series)]
    one = Outputs(names, names, truth, "forecast", quantiles=said, levels=LEVELS, scale=scale)
    table = pd.DataFrame(
        {"unique_id": np.repeat(names, steps), "ds": np.tile(np.arange(steps), series), "y": truth.ravel()}
        | {f"q{place}": said[..., place].ravel() for place in range(5)}
    )
    train = pd.DataFrame(
        {
            "unique_id": np.repeat(names, history),
            "ds": np.tile(np.arange(-history, 0), series),
            "y": past.ravel(),
        }
    )
    columns = {"q": [f"q{place}" for place in range(5)]}
    mqloss = losses.mqloss(table, columns, np.array(LEVELS))["q"].mean()
    found = {
        "mase": losses.mase(table, ["q2"], season, train)["q2"].mean(),
        "smape": 200 * losses.smape(table, ["q2"])["q2"].mean(),
        "mae": losses.mae(table, ["q2"])["q2"].mean(),
        "mse": losses.mse(table, ["q2"])["q2"].mean(),
        "crps": 2 * mqloss,
        "wql": 2 * mqloss * truth.size / np.abs(truth).sum(),
    }
    for name, wanted in found.items():
        assert score(name, one).value == pytest.approx(float(wanted), rel=1e-6), name


def test_values_with_weights_are_those_of_repeated_records():
    one = forecasts(0.3)
    weights = group_weights(one.groups, 5, np.random.default_rng(0))
    for metric in applicable(default_metrics("forecast"), one):
        fast = replicate(metric, one, weights)
        for row, value in zip(weights, fast, strict=True):
            assert score(metric, one, row).value == pytest.approx(value, rel=1e-5), metric.name
            rows = np.repeat(np.arange(len(one)), row.astype(int))
            many = one.take(rows)
            if not metric.name.startswith("relative"):
                assert score(metric, many).value == pytest.approx(value, rel=1e-5), metric.name
    whole = estimate("relative", one, resamples=100)
    assert 0.01 < whole.low < whole.value < whole.high < 1.5 and whole.groups == 30


def test_the_floor_is_one_in_units_of_itself_and_a_series_counts_once():
    one = forecasts(gaps=False)
    same = Outputs(
        one.ids,
        one.groups,
        one.targets,
        "forecast",
        quantiles=np.repeat(one.naive[..., None], 5, axis=-1),
        levels=LEVELS,
        scale=one.scale,
        naive=one.naive,
    )
    assert score("relative", same).value == pytest.approx(1.0)
    assert score("relative_crps", same).value == pytest.approx(1.0)
    # A third window of one series, however bad, changes only that series' ratio.
    ratio = [score("relative", one.take(one.groups == name)).value for name in np.unique(one.groups)]
    assert score("relative", one).value == pytest.approx(float(np.exp(np.log(ratio).mean())))


def test_the_true_quantiles_score_best():
    right, wide, biased = forecasts(), forecasts(claimed=3.0), forecasts(bias=0.7)
    for name in ("wql", "crps", "relative_crps", "coverage_error"):
        assert score(name, right).value < min(score(name, wide).value, score(name, biased).value), name
    difference = paired_difference("mase", right, biased, resamples=200)
    assert difference.difference > 0 and difference.low > 0, "lower is better, positive: the first is better"


def test_tuning_falls_back_where_the_metric_is_undefined():
    one = forecasts()
    bare = Outputs(one.ids, one.groups, one.targets, "forecast", quantiles=one.quantiles, levels=LEVELS)
    defined, value, shown = merit("mase", bare)
    assert not defined and value == -score("mae", bare).value and math.isnan(shown)


# --- baselines and the floor -----------------------------------------------------------------------------


class LastValue(Baseline):
    """Says the last value; its spread may be tuned."""

    title = "the last value"

    def __init__(self, spread: float = 5.0, wrong: bool = False):
        self.spread = spread
        self.wrong = wrong

    def fit(self, records, targets, groups=None):
        self.horizon_ = targets.shape[1]
        return self

    def predict_quantiles(self, records, levels):
        last = np.array([record.input[-1] for record in records])
        steps = np.tile(last[:, None, None], (1, self.horizon_, 1))
        return steps + self.spread * stats.norm.ppf(levels)[:: -1 if self.wrong else 1]

    def error_scale(self, records):
        return np.array([np.abs(np.diff(record.input)).mean() for record in records])

    def search_space(self, trial):
        return {"spread": trial.suggest_float("spread", 0.5, 2.0)}


def labelled(count: int = 40) -> Labelled:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(count, 15))
    records = [Record(f"r{i}", values[i, :12]) for i in range(count)]
    floor = LastValue().fit(records, values[:, 12:])
    naive = FloorForecast(floor.error_scale(records), floor.predict_quantiles(records, (0.5,))[..., 0])
    return Labelled(records, values[:, 12:], np.array([f"s{i}" for i in range(count)]), naive)


def test_baselines_forecast_are_tuned_and_never_cross():
    data = labelled()
    found = tune(LastValue(), data, data, kind="forecast", levels=LEVELS, metric="relative_crps", n_trials=4)
    assert found.settings["spread"] < 5.0 and found.value < found.trials[0]["value"]
    crossed = LastValue(wrong=True).fit(data.records, data.targets)
    outputs = baseline_outputs(
        crossed, data.records, data.targets, data.groups, kind="forecast", levels=LEVELS
    )
    assert outputs.quantiles.shape == (40, 3, 5) and (np.diff(outputs.quantiles, axis=2) >= 0).all()
    crossed.horizon_ = 2
    with pytest.raises(TrainingError, match=r"shape \(40, 2, 5\)"):
        baseline_outputs(crossed, data.records, data.targets, data.groups, kind="forecast", levels=LEVELS)


def test_the_floor_comes_from_the_config():
    data = labelled()
    with pytest.raises(ConfigError, match="floor is not given"):
        Floor({}, data.records, data.targets)
    with pytest.raises(ConfigError, match="error_scale"):
        Floor({"floor": {"_target_": "scizoo.evaluation.baseline.MeanBaseline"}}, data.records, data.targets)
    assert forecast_levels({"head": {"quantiles": [0.9, 0.5, 0.1]}}) == (0.1, 0.5, 0.9)
    assert len(forecast_levels({})) == 9


# --- uncertainty -----------------------------------------------------------------------------------------


def test_conformal_intervals_mend_what_is_too_narrow():
    settings = Settings(resamples=50, coverage=0.8)
    one = Judged(
        "n", "n", "pretrained", 9, (0,), (forecasts(claimed=0.3),), (forecasts(claimed=0.3, prefix="v"),)
    )
    before = {
        point["level"]: point["coverage"]
        for point in calibration_section(one, settings)["before"]["coverage"]
    }
    assert before[0.8] < 0.45
    found = conformal_section(one, conformal_coverage(one, settings))
    assert found["measured"].value == pytest.approx(0.8, abs=0.08) and "cqr" in found["method"]
    validation, test = one.validation[0], one.test[0]
    made = ConformalForecaster(0.8).fit(validation)
    assert made.margin.shape == (6,) and made.base == 0.8
    low, high = made.intervals(test)
    assert (low <= high).all()
    # A series in other units has its interval in those units.
    scaled = Outputs(
        test.ids,
        test.groups,
        test.targets * 7,
        "forecast",
        quantiles=test.quantiles * 7,
        levels=LEVELS,
        scale=test.scale * 7,
    )
    np.testing.assert_allclose(made.intervals(scaled)[0], low * 7)
    assert measure_forecasts(made, scaled).size.value == pytest.approx(
        measure_forecasts(made, test).size.value
    )


def test_without_a_central_interval_there_is_nothing_to_calibrate():
    one = forecasts()
    lone = Outputs(
        one.ids, one.groups, one.targets, "forecast", quantiles=one.quantiles[..., 2:3], levels=(0.5,)
    )
    model = Judged("n", "n", "pretrained", None, (), (lone,), (lone,))
    assert calibration_section(model, QUICK) is None and conformal_coverage(model, QUICK) is None


# --- the report ------------------------------------------------------------------------------------------


def test_the_verdict_says_lower_and_counts_training_windows():
    many = [
        judged("zero-shot", "pretrained", 0.0),
        judged("net", "scratch", 0.8),
        judged("words", "baseline", 0.6),
        judged("floor", "floor", 2.0),
    ]
    few = [judged("zero-shot", "pretrained", 0.0, labels=20), judged("words", "baseline", 0.0, labels=20)]
    found = verdict(headlines(comparisons([*many, *few], "mase", QUICK), "mase"), total=100)
    assert found.sentence.startswith(
        "With all 100 training windows, the zero-shot beats the words (lower MASE by 0."
    )
    assert "with 20 training windows there is no evidence" in found.sentence
    assert "Pre-training helps: with all 100 training windows" in found.versus_scratch
    assert found.outcome == "mixed"
    lost = verdict(headlines(comparisons([judged("net", "pretrained", 0.8), many[2]], "mase", QUICK), "mase"))
    assert "the words beats the net" in lost.sentence and lost.outcome == "baseline"


def test_a_naive_method_that_beats_the_baselines_is_the_rival():
    models = [judged("net", "pretrained", 0.0), judged("words", "baseline", 0.6)]
    for bias, rival in ((0.2, "naive"), (2.0, "words")):
        found = comparisons([*models, judged("naive", "floor", bias)], "mase", QUICK)
        assert [one.second.key for one in found] == [rival]


def test_worst_mistakes_are_the_largest_in_scaled_units():
    one = forecasts()
    said = one.quantiles.copy()
    said[10] += 50 * one.scale[10]
    off = Outputs(
        one.ids, one.groups, one.targets, "forecast", quantiles=said, levels=LEVELS, scale=one.scale
    )
    found = worst_mistakes(Judged("n", "n", "pretrained", None, (), (off,)), {}, 2)
    assert found[0]["id"] == "t10" and found[0]["scaled_error"] == pytest.approx(50, rel=0.1)
    predicted = found[0]["predicted"]
    assert predicted["levels"] == list(LEVELS) and np.array(predicted["quantiles"]).shape == (6, 5)
    assert predicted["median"] == [step[2] for step in predicted["quantiles"]]


def test_the_page_shows_forecasts_and_the_content_keeps_the_schema():
    models = [judged("net", "pretrained", 0.1), judged("words", "baseline", 0.4)]
    less = [judged("net", "pretrained", 0.3, labels=20), judged("words", "baseline", 0.4, labels=20)]
    everyone = [*models, *less]
    rows, metrics = table_rows(everyone, "mase", QUICK)
    assert [metric.name for metric in metrics][:3] == ["mase", "wql", "relative"]
    from scizoo.evaluation.findings import curves
    from scizoo.evaluation.table import table_section

    compared = comparisons(everyone, "mase", QUICK)
    content = plain(
        {
            "format_version": 1,
            "verb": "compare",
            "task": {
                "name": "toy/ahead",
                "kind": "forecast",
                "metric": {"name": "mase", "title": "MASE", "direction": "lower"},
            },
            "verdict": verdict(headlines(compared, "mase")),
            "table": table_section(rows, metrics),
            "curves": curves(everyone, rows, "mase"),
            "comparisons": compared,
            "calibration": calibration_section(models[0], QUICK),
            "conformal": conformal_section(models[0], conformal_coverage(models[0], QUICK)),
            "errors": errors_section(models[0]),
            "subgroups": subgroups_section(models[0], ["site"], "mase", None, QUICK),
            "mistakes": worst_mistakes(models[0], {}, 2),
        }
    )
    jsonschema.validate(content, schema())
    keys = [part.key for part in parts(content)]
    assert {"results", "curves", "calibration", "errors", "conformal", "mistakes"} <= set(keys)
    page = render(content)
    for words in (
        "Errors by step",
        "figure-coveragesteps",
        "figure-steps",
        "training window",
        "scaled error",
    ):
        assert words in page, words
    assert content["calibration"]["before"]["steps"][0] == {
        "first": 1,
        "last": 1,
        "coverage": content["calibration"]["before"]["steps"][0]["coverage"],
    }
    assert len(content["errors"]["error"]) == len(content["errors"]["naive"]) == 6
