"""The content of reports: choices on validation, comparisons, uncertainty, mistakes, pictures."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from scizoo import plugins
from scizoo.data.records import Dataset, Record
from scizoo.domain import Domain
from scizoo.errors import ConfigError
from scizoo.evaluation.cost import Cost
from scizoo.evaluation.findings import (
    Judged,
    Settings,
    calibration_section,
    chosen,
    comparisons,
    conformal_coverage,
    conformal_section,
    cost_section,
    curves,
    errors_section,
    table_rows,
    worst_mistakes,
)
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.report.render import schema, write_report
from scizoo.jobs import facts
from scizoo.jobs.reporting import Report, check_subgroups

QUICK = Settings(resamples=100)
COST = Cost(seconds=2.0, cpu_seconds=3.0, peak_memory=10, energy=0.5, assumption="assumed", parameters=7)


def classified(skill: float, seed: int, count: int = 120, prefix: str = "t") -> Outputs:
    """Outputs of three classes; `skill` is the share of records that the model gets right."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 3
    right = rng.random(count) < skill
    said = np.where(right, targets, (targets + 1) % 3)
    probability = np.full((count, 3), 0.1)
    probability[np.arange(count), said] = 0.8
    return Outputs(
        ids=np.array([f"{prefix}{i}" for i in range(count)]),
        groups=np.array([f"g{i // 3}" for i in range(count)]),
        targets=targets,
        kind="classification",
        classes=("blue", "green", "red"),
        meta={"site": np.array([f"{prefix}{i % 2}" for i in range(count)])},
        probability=probability,
    )


def measured(noise: float, seed: int, count: int = 120, claimed: float = 1.0) -> Outputs:
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=count)
    return Outputs(
        ids=np.array([f"t{i}" for i in range(count)]),
        groups=np.array([f"g{i // 2}" for i in range(count)]),
        targets=mean + noise * rng.normal(size=count),
        kind="regression",
        classes=("value",),
        mean=mean,
        variance=np.full(count, claimed**2),
    )


def judged(key: str, role: str, test: float, validation: float | None = None, labels: int = 100) -> Judged:
    """A contender whose skill on test and on validation may differ."""
    at = test if validation is None else validation
    return Judged(
        key,
        f"the {key}",
        role,
        labels,
        (0, 1),
        tuple(classified(test, seed) for seed in (1, 2)),
        tuple(classified(at, seed, 60, "v") for seed in (3, 4)),
        (COST, COST),
    )


def test_the_best_is_chosen_on_validation_and_never_on_test():
    lucky = judged("lucky", "pretrained", test=0.9, validation=0.3)
    solid = judged("solid", "pretrained", test=0.5, validation=0.7)
    assert chosen([lucky, solid], "mcc", "pretrained") is solid
    assert chosen([lucky, solid], "log_loss", "pretrained") is solid, "lower is better for a loss"
    assert chosen([lucky], "mcc", "baseline") is None


def test_comparisons_are_paired_and_signed_for_the_pretrained_model():
    few = [judged("net", "pretrained", 0.5, labels=20), judged("words", "baseline", 0.9, labels=20)]
    many = [
        judged("net", "pretrained", 0.95),
        judged("probe", "pretrained", 0.6),
        judged("scratch", "scratch", 0.5),
        judged("words", "baseline", 0.6),
        judged("weak", "baseline", 0.4),
        judged("floor", "floor", 0.33),
    ]
    found = comparisons([*few, *many], "mcc", QUICK)
    keys = [(one.labels, one.first.key, one.second.key, one.headline) for one in found]
    assert keys == [
        (20, "net", "words", True),
        (100, "net", "words", True),
        (100, "net", "scratch", True),
        (100, "probe", "words", False),
        (100, "probe", "scratch", False),
    ]
    assert found[0].paired.high < 0 < found[1].paired.low
    assert all(one.adjusted_p >= one.paired.p_value for one in found)
    assert found[1].paired.groups == 40 and found[1].paired.seeds_first == 2
    loss = comparisons(many, "log_loss", QUICK)
    assert loss[0].paired.difference > 0, "a lower loss is better"


def test_without_a_pretrained_model_the_new_network_is_compared():
    found = comparisons([judged("scratch", "scratch", 0.9), judged("words", "baseline", 0.3)], "mcc", QUICK)
    assert [(one.first.key, one.second.key) for one in found] == [("scratch", "words")]


def test_a_column_that_the_records_lack_is_refused_with_the_nearest(tmp_path):
    records = [Record("a", "x", meta={"phylum": "p"})]
    check_subgroups({"evaluation": {"subgroups": ["phylum"]}}, records)
    with pytest.raises(ConfigError, match="did you mean 'phylum'"):
        check_subgroups({"evaluation": {"subgroups": ["fylum"]}}, records)


def test_without_a_baseline_the_floor_stands_in():
    found = comparisons([judged("net", "pretrained", 0.9), judged("floor", "floor", 0.3)], "mcc", QUICK)
    assert [one.second.key for one in found] == ["floor"]


def test_the_table_has_every_metric_at_the_largest_budget_and_curves_hold_the_main_one():
    rows, metrics = table_rows(
        [judged("net", "pretrained", 0.8), judged("net", "pretrained", 0.6, labels=20)], "macro_f1", QUICK
    )
    assert [row.labels for row in rows] == [20, 100]
    assert set(rows[0].scores) == {"macro_f1"}
    assert len(rows[1].scores) == len(metrics) > 5 and metrics[0].name == "macro_f1"
    curve = curves(
        [judged("net", "pretrained", 0.8), judged("net", "pretrained", 0.6, labels=20)], rows, "macro_f1"
    )
    assert [point["labels"] for point in curve[0]["points"]] == [20, 100]
    assert curve[0]["points"][1]["value"] == rows[1].scores["macro_f1"].value


def test_calibration_is_fitted_on_validation_and_judged_on_test():
    found = calibration_section(judged("net", "pretrained", 0.5), QUICK)
    # It says 0.8 and is right half the time: too sure, so it is cooled and its error falls.
    assert found["temperature"] > 1.3
    assert found["after"]["ece"]["value"] < found["before"]["ece"]["value"] - 0.1
    bare = Judged("net", "net", "pretrained", None, (), (classified(0.5, 1),))
    assert "after" not in calibration_section(bare, QUICK)


def test_calibration_and_intervals_of_regression():
    one = Judged(
        "net",
        "net",
        "pretrained",
        100,
        (0,),
        (measured(2.0, 1, 400),),
        (measured(2.0, 2, 400),),
    )
    found = calibration_section(one, QUICK)
    assert found["variance_factor"][0] == pytest.approx(4, rel=0.3)
    halves = {part: found[part]["coverage"][4]["coverage"] for part in ("before", "after")}
    assert halves["before"] < 0.35 < halves["after"] == pytest.approx(0.5, abs=0.08)
    intervals = conformal_section(one, conformal_coverage(one, QUICK))
    assert intervals["asked"] == 0.9
    assert intervals["measured"].value == pytest.approx(0.9, abs=0.05)
    assert errors_section(one)["kind"] == "regression"
    worst = worst_mistakes(one, {}, 3)
    errors = np.abs(one.test[0].targets - one.test[0].mean).ravel()
    assert [mistake["error"][0] for mistake in worst] == sorted(errors, reverse=True)[:3]


def test_conformal_sets_keep_their_promise_and_need_validation():
    one = judged("net", "pretrained", 0.7)
    assert conformal_coverage(one, QUICK).measured.value >= 0.8
    bare = Judged("a", "a", "pretrained", None, (), (classified(0.5, 1),))
    assert conformal_section(bare, conformal_coverage(bare, QUICK)) is None


def test_confusion_and_worst_mistakes():
    one = judged("net", "pretrained", 0.8)
    errors = errors_section(one)
    assert errors["matrix"].sum() == 120
    assert np.trace(errors["matrix"]) == (one.test[0].predicted == one.test[0].targets).sum()
    records = {f"t{i}": Record(f"t{i}", "x", meta={"site": "here", "long": "x" * 200}) for i in range(120)}
    worst = worst_mistakes(one, records, 4)
    assert len(worst) == 4
    assert all(mistake["true"] != mistake["predicted"] for mistake in worst)
    assert worst[0]["confidence"] == 0.8 and worst[0]["meta"] == {"site": "here"}
    perfect = Judged("p", "p", "pretrained", 1, (0,), (classified(1.0, 1),))
    assert worst_mistakes(perfect, records, 4) == []


def test_costs_are_means_over_seeds():
    line = cost_section([judged("net", "pretrained", 0.8)])[0]
    assert (line["seconds"], line["parameters"], line["energy"]) == (2.0, 7, 0.5)


class Things(Dataset):
    name = "/home/someone/things.csv"
    citation = "Someone (2020)"

    def records(self) -> Any:
        return iter(())

    def fingerprint(self) -> str:
        return "f"


class Draws:
    """Fails on the first record."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, axes: Any, record: Record, prediction: Any) -> None:
        self.seen.append(record.id)
        if len(self.seen) == 1:
            raise RuntimeError("no picture of this one")
        axes.set_title(f"{record.id} {prediction}")


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    domain = Domain("toy", "Toys", "scizoo_toy", picture="scizoo_toy.draw", disclaimer="Not for patients.")
    monkeypatch.setattr(plugins, "domains", lambda: {"toy": domain})
    draws = Draws()
    monkeypatch.setattr(facts, "get_class", lambda dotted, key: draws)
    (tmp_path / "command.txt").write_text("scizoo compare toy/words data.path=/home/someone/x.csv\n")
    return Report(
        cfg={
            "task": {"name": "toy/words", "domain": "toy"},
            "evaluation": {"resamples": 400, "mistakes": 40, "subgroups": ["site"]},
            "data": {"path": "/home/someone/x.csv"},
        },
        verb="compare",
        run_dir=tmp_path,
        judged=[
            judged("net", "pretrained", 0.8),
            judged("net", "pretrained", 0.6, labels=20),
            judged("words", "baseline", 0.6),
            judged("words", "baseline", 0.6, labels=20),
        ],
        records=[Record(f"t{i}", "x") for i in range(120)],
        dataset=Things(),
        metric="mcc",
    )


def test_a_report_is_plain_and_keeps_folders_of_this_machine_to_itself(report):
    content = report.build()
    text = json.dumps(content, allow_nan=False)
    jsonschema.validate(content, schema())
    page = write_report(report.run_dir, content)
    assert json.loads((report.run_dir / "report.json").read_text()) == content
    assert "the net" in page.read_text()
    assert "/home/someone" not in text and "x.csv" in content["reproduce"]["command"]
    assert content["main"]["name"] == "the net" and content["main"]["labels"] == 100
    assert content["verdict"]["sentence"].startswith("With")
    assert "the net beats the words" in content["verdict"]["sentence"]
    rows = content["subgroups"]["columns"][0]["rows"]
    assert [row["records"] for row in rows] == [60, 60] and rows[0]["coverage"]["value"] > 0.5
    assert content["disclaimer"] == "Not for patients."
    assert [len(curve["points"]) for curve in content["curves"]] == [2, 2]


def test_the_domain_draws_mistakes_and_a_failing_picture_loses_nothing(report, caplog):
    mistakes = report.build()["mistakes"]
    assert len(mistakes) > 5
    assert [number for number, mistake in enumerate(mistakes) if "picture" not in mistake] == [0]
    assert mistakes[0]["id"] in caplog.text
    kind, _, data = mistakes[1]["picture"].partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data)[:4] == b"\x89PNG"


def test_values_that_are_not_finite_become_null(report):
    report.judged = [
        Judged("net", "net", "pretrained", 1, (0,), (classified(0.5, 1).take(np.arange(1)),)),
    ]
    row = report.build()["table"]["rows"][0]
    assert row["scores"]["mcc"]["value"] is None and row["scores"]["mcc"]["reason"]
    assert not any(isinstance(value, float) and math.isnan(value) for value in row["scores"]["mcc"].values())


def test_a_picture_is_given_values_as_a_person_says_them():
    from scizoo.jobs.facts import as_said

    assert as_said([-9.492643144175023]) == -9.493
    assert as_said([1.0, 0.123456]) == "1.0, 0.1235"
    assert as_said("Firmicutes") == "Firmicutes"
    assert as_said({"median": [1.23456]}) == {"median": [1.23456]}
