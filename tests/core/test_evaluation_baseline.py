"""Baselines: floors, tuning by a budget, missing classes; the table; the cost."""

from __future__ import annotations

import io
import math
import time

import numpy as np
import pytest
from rich.console import Console

from scizoo.data.records import Record
from scizoo.errors import TrainingError
from scizoo.evaluation.baseline import (
    Baseline,
    Labelled,
    MajorityBaseline,
    MeanBaseline,
    baseline_outputs,
    choose,
    tune,
)
from scizoo.evaluation.cost import CostMeter, count_parameters, duration, estimate_energy
from scizoo.evaluation.intervals import Estimate
from scizoo.evaluation.metrics import score
from scizoo.evaluation.table import Row, markdown_table, number, rich_table, table_section


def part(count: int, seed: int) -> Labelled:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    records = [Record(f"{seed}-{i}", float(v), meta={"site": "x"}) for i, v in enumerate(x)]
    return Labelled(records, (x > 0.5).astype(int), np.array([r.id for r in records]))


class Threshold(Baseline):
    """Says class 1 above a cut; the best cut is 0.5."""

    title = "the cut"
    fitted = 0

    def __init__(self, cut: float = -1.0, random_state: int | None = None):
        self.cut = cut
        self.random_state = random_state

    def fit(self, records, targets, groups=None):
        Threshold.fitted += 1
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, records):
        p = 1 / (1 + np.exp(-8 * (np.array([r.input for r in records]) - self.cut)))
        return np.stack([1 - p, p], axis=1)

    def search_space(self, trial):
        return {"cut": trial.suggest_float("cut", -2, 2)}


def run(baseline, n_trials=15, **changes):
    settings = {"kind": "classification", "classes": ("low", "high"), "metric": "mcc", "seed": 1} | changes
    return tune(baseline, part(80, 0), part(80, 1), n_trials=n_trials, **settings)


def test_tuning_finds_the_best_settings_within_its_budget():
    Threshold.fitted = 0
    prototype = Threshold()
    tuned = run(prototype)
    assert Threshold.fitted == tuned.budget == len(tuned.trials) == 15
    assert abs(tuned.settings["cut"] - 0.5) < 0.35
    assert tuned.value == max(t["value"] for t in tuned.trials) > tuned.trials[0]["value"]
    assert tuned.baseline.random_state == 1 and prototype.cut == -1.0 and prototype.random_state is None
    assert tuned.trials[0]["settings"] == {}
    assert tuned.to_dict()["name"] == "Threshold" and "baseline" not in tuned.to_dict()


def test_tuning_is_the_same_for_the_same_seed():
    values = [[t["value"] for t in run(Threshold(), 6, seed=s).trials] for s in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_without_budget_or_settings_it_says_so():
    assert "no budget" in run(Threshold(), 0).note
    tuned = run(MajorityBaseline())
    assert "no settings" in tuned.note and len(tuned.trials) == 1


def test_a_metric_undefined_on_validation_falls_back_on_the_log_loss():
    train, all_high = part(60, 0), part(200, 1)
    all_high = all_high.take(np.flatnonzero(all_high.targets == 1))
    tuned = tune(
        Threshold(),
        train,
        all_high,
        kind="classification",
        classes=("low", "high"),
        metric="auroc",
        n_trials=5,
    )
    assert math.isnan(tuned.value) and "one class (high)" in tuned.trials[0]["reason"]
    assert tuned.baseline.cut < 0.5  # the log loss on high values alone wants a low cut


def test_classes_absent_from_few_labels_get_no_probability():
    data = part(40, 0)
    fitted = MajorityBaseline().fit(data.records, np.where(data.targets == 1, 3, 1))
    outputs = baseline_outputs(
        fitted, data.records, data.targets, data.groups, kind="classification", classes=tuple("abcd")
    )
    share = (data.targets == 1).mean()
    np.testing.assert_allclose(outputs.probability[0], [0, 1 - share, 0, share])
    assert outputs.meta["site"][0] == "x"
    assert score("log_loss", outputs).value > 1  # finite: unseen classes are clipped, not infinite


def test_floors_for_labels_and_values():
    data = part(40, 0)
    labels = np.stack([data.targets, np.where(np.arange(40) < 20, np.nan, 1.0)], axis=1)
    out = baseline_outputs(
        MajorityBaseline().fit(data.records, labels),
        data.records,
        labels,
        data.groups,
        kind="multilabel",
        classes="ab",
    )
    assert out.probability[0, 1] == pytest.approx(20.5 / 21)
    values = np.arange(40.0)
    floor = MeanBaseline().fit(data.records, values)
    out = baseline_outputs(floor, data.records, values, data.groups, kind="regression")
    assert score("r2", out).value == pytest.approx(0)
    assert out.variance[0, 0] == pytest.approx(values.var())


def test_wrong_shapes_name_the_baseline():
    data = part(10, 0)
    with pytest.raises(TrainingError, match="Threshold gave probability of the shape"):
        baseline_outputs(
            Threshold().fit([], []),
            data.records,
            data.targets,
            data.groups,
            kind="classification",
            classes="abc"[:1],
        )


def test_choice_is_by_validation_and_direction():
    assert choose({"a": 0.5, "b": math.nan, "c": 0.7}, "mcc") == "c"
    assert choose({"a": 0.5, "b": math.nan, "c": 0.7}, "rmse") == "a"


ROWS = [
    Row(
        "dna-tiny | LoRA",
        {"mcc": Estimate(0.8123, 0.79, 0.8334, records=900, groups=30, seeds=3)},
        labels=1500,
    ),
    Row(
        "[red]k-mer", {"mcc": Estimate(math.nan, reason="all records are of one class (a)")}, 1500, "baseline"
    ),
]


def test_markdown_table_holds_values_and_intervals():
    text = markdown_table(ROWS, ["mcc", "log_loss"])
    assert "| model | labels | MCC ↑ | log loss ↓ |" in text
    assert "| dna-tiny \\| LoRA | 1,500 | 0.812 [0.790, 0.833] | – |" in text
    assert "95% interval" in text and "over groups and seeds; 900 test records in 30 groups, 3 seeds" in text
    assert "–: all records are of one class (a)." in text


def test_terminal_table_shows_brackets_as_they_are():
    stream = io.StringIO()
    Console(file=stream, width=100).print(rich_table(ROWS, ["mcc"]))
    assert "0.812 [0.790, 0.833]" in stream.getvalue() and "[red]k-mer" in stream.getvalue()


def test_table_section_is_plain():
    section = table_section(ROWS, ["mcc"])
    assert section["metrics"] == [{"name": "mcc", "title": "MCC", "direction": "higher"}]
    assert section["rows"][0]["scores"]["mcc"]["low"] == 0.79


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.5, "−0.500"),
        (12345.6, "12,346"),
        (123.45, "123.5"),
        (2e-5, "2.0e−05"),
        (0, "0.000"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_cost_counts_work_and_not_waiting():
    with CostMeter(core_watts=20) as meter:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            sum(range(1000))
        time.sleep(0.05)
    cost = meter.cost
    assert 0.04 <= cost.cpu_seconds < cost.seconds
    assert cost.peak_memory > 10_000_000 and "20 W" in cost.assumption
    assert cost.energy > 0.04 * 20 / 3600


def test_energy_by_hand():
    assert estimate_energy(cpu_seconds=3600, seconds=3600, memory=8 * 10**9, core_watts=12) == pytest.approx(
        14.98
    )
    assert estimate_energy(
        cpu_seconds=0, seconds=0, memory=0, device_seconds=36, device_watts=100
    ) == pytest.approx(1)


def test_durations_and_parameters():
    assert [duration(s) for s in (0.31, 42, 250, 3600, 7380)] == [
        "0.3 s",
        "42 s",
        "4 min 10 s",
        "1 h",
        "2 h 3 min",
    ]
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == (8, 6)
