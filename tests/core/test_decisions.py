"""Thresholds chosen on validation, measures of decisions, DeLong's intervals, uncertain labels."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk

import scizoo
from scizoo.cli import main
from scizoo.data.targets import ClassTarget, MultiLabelTarget
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.contenders import check_decisions
from scizoo.evaluation.decisions import AT_THRESHOLD
from scizoo.evaluation.intervals import estimate
from scizoo.evaluation.metrics import get_metric, replicate, score, wanted_metrics
from scizoo.evaluation.operating import ThresholdRule, operating_points, with_thresholds
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.report.render import schema
from scizoo.models.heads import MultiLabelHead
from scizoo.training.metrics import ValidationMetrics


def binary(count: int = 200, seed: int = 0, limits: tuple[float, ...] = ()) -> Outputs:
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.3
    value = 1 / (1 + np.exp(-(rng.normal(size=count) + 1.5 * truth - 2)))
    value = np.round(value, 2)  # ties
    return Outputs(
        ids=np.arange(count).astype(str),
        groups=np.arange(count).astype(str),
        targets=truth.astype(int),
        kind="classification",
        classes=("well", "ill"),
        probability=np.stack([1 - value, value], axis=1),
        thresholds=limits,
    )


def labels(count: int = 200, limits: tuple[float, ...] = ()) -> Outputs:
    first, second = binary(count, 1), binary(count, 2)
    targets = np.stack([first.targets, second.targets], axis=1).astype(float)
    targets[::7, 0] = np.nan
    return Outputs(
        ids=first.ids,
        groups=first.groups,
        targets=targets,
        kind="multilabel",
        classes=("cough", "fever"),
        probability=np.stack([first.probability[:, 1], second.probability[:, 1]], axis=1),
        thresholds=limits,
    )


# Measures


def test_measures_agree_with_scikit_learn():
    outputs = binary(limits=(0.2,))
    said = outputs.probability[:, 1] >= 0.2
    assert (outputs.predicted == said).all()
    expected = {
        "sensitivity": sk.recall_score(outputs.targets, said),
        "specificity": sk.recall_score(outputs.targets, said, pos_label=0),
        "ppv": sk.precision_score(outputs.targets, said),
        "npv": sk.precision_score(outputs.targets, said, pos_label=0),
        "f1": sk.f1_score(outputs.targets, said),
    }
    for name, value in expected.items():
        assert score(name, outputs).value == pytest.approx(value)
    assert score("mcc", outputs).value == pytest.approx(sk.matthews_corrcoef(outputs.targets, said))
    half = replace(outputs, thresholds=())
    assert score("f1", half).value == pytest.approx(sk.f1_score(half.targets, half.probability[:, 1] >= 0.5))


def test_measures_by_hand():
    p = np.array([0.9, 0.6, 0.3, 0.7, 0.2, 0.1])
    outputs = Outputs(
        ids=np.arange(6).astype(str),
        groups=np.arange(6).astype(str),
        targets=np.array([1, 1, 1, 0, 0, 0]),
        kind="classification",
        classes=("no", "yes"),
        probability=np.stack([1 - p, p], axis=1),
    )
    # from the top: yes 0.9, no 0.7, yes 0.6, yes 0.3, no 0.2, no 0.1
    found = {name: score(name, outputs).value for name in AT_THRESHOLD}
    assert found == pytest.approx(
        {"sensitivity": 2 / 3, "specificity": 2 / 3, "ppv": 2 / 3, "npv": 2 / 3, "f1": 2 / 3}
    )
    assert score("sensitivity_at_specificity", outputs).value == pytest.approx(1 / 3)
    assert score("sensitivity_at_specificity@0.6", outputs).value == pytest.approx(1.0)
    assert score("specificity_at_sensitivity@0.9", outputs).value == pytest.approx(2 / 3)
    assert score("specificity_at_sensitivity@0.3", outputs).value == pytest.approx(1.0)
    metric = get_metric("sensitivity_at_specificity@0.6", "classification")
    assert metric.title == "sensitivity at 0.6 specificity" and metric.bounds == (0.0, 1.0)
    with pytest.raises(ConfigError, match="no share"):
        get_metric("sensitivity_at_specificity@90")
    with pytest.raises(ConfigError, match="does not apply"):
        get_metric("f1", "regression")


@pytest.mark.parametrize("outputs", [binary(60, limits=(0.15,)), labels(60, limits=(0.1, 0.2))])
def test_many_weightings_equal_repeated_records(outputs: Outputs):
    weights = np.random.default_rng(0).integers(0, 3, (5, 60)).astype(float)
    for name in (*AT_THRESHOLD, "sensitivity_at_specificity@0.8", "specificity_at_sensitivity@0.8"):
        for row, value in zip(weights, replicate(name, outputs, weights), strict=True):
            repeated = outputs.take(np.repeat(np.arange(60), row.astype(int)))
            assert score(name, repeated).value == pytest.approx(value), name


def test_labels_are_averaged_and_unknown_ones_left_out():
    outputs = labels(limits=(0.1, 0.3))
    known = ~np.isnan(outputs.targets[:, 0])
    first = sk.recall_score(outputs.targets[known, 0], outputs.probability[known, 0] >= 0.1)
    second = sk.recall_score(outputs.targets[:, 1], outputs.probability[:, 1] >= 0.3)
    assert score("sensitivity", outputs).value == pytest.approx((first + second) / 2)


def test_more_than_two_classes_have_no_sensitivity():
    outputs = Outputs(
        ids=np.array(["a", "b", "c"]),
        groups=np.array(["a", "b", "c"]),
        targets=np.array([0, 1, 2]),
        kind="classification",
        probability=np.eye(3),
    )
    assert math.isnan(score("f1", outputs).value)
    assert "f1" not in [metric.name for metric in wanted_metrics("mcc", outputs, ["f1"])]
    two = binary(20, limits=(0.3,))
    assert {"f1", "ppv"} <= {metric.name for metric in wanted_metrics("mcc", two)}
    assert "f1" not in {metric.name for metric in wanted_metrics("mcc", replace(two, thresholds=()))}
    with pytest.raises(ValueError, match="thresholds"):
        replace(outputs, thresholds=(0.5,))


def test_a_task_of_three_classes_takes_no_metric_of_two():
    three, two = ClassTarget(["a", "b", "c"]), ClassTarget(["a", "b"])
    rule = {"evaluation": {"threshold": {"rule": "youden"}}}
    check_decisions(rule, "f1", two)
    check_decisions({}, "mcc", three)
    with pytest.raises(ConfigError, match="'f1' is for two classes; this task has 3"):
        check_decisions({}, "f1", three)
    with pytest.raises(ConfigError, match=r"evaluation\.threshold is for two classes"):
        check_decisions(rule, "mcc", three)


# Thresholds


def test_a_threshold_is_where_the_rule_says():
    truth = np.array([1, 0, 1, 1, 0, 0.0])
    value = np.array([0.9, 0.7, 0.6, 0.3, 0.2, 0.1])
    assert ThresholdRule("youden").choose(truth, value) == pytest.approx(0.25)
    assert ThresholdRule("f1").choose(truth, value) == pytest.approx(0.25)
    assert ThresholdRule("sensitivity", 0.6).choose(truth, value) == pytest.approx(0.45)
    assert ThresholdRule("specificity", 0.9).choose(truth, value) == pytest.approx(0.8)
    assert ThresholdRule("specificity", 0.6).choose(truth, value) == pytest.approx(0.25)
    # nothing is specific enough: nothing is called positive
    wrong = ThresholdRule("specificity", 0.9).choose(np.array([0, 1.0]), np.array([0.9, 0.1]))
    assert wrong is not None and wrong > 0.9
    assert ThresholdRule("youden").choose(np.ones(3), value[:3]) is None
    gap = ThresholdRule("youden").choose(np.array([1, np.nan, 0]), np.array([0.8, 0.5, 0.4]))
    assert gap == pytest.approx(0.6)


@pytest.mark.parametrize("rule", ["sensitivity", "specificity"])
def test_the_share_is_reached_on_validation(rule: str):
    validation = binary(400, 3)
    (found,) = with_thresholds(ThresholdRule(rule, 0.9), validation, validation=validation)
    assert score(rule, found).value >= 0.9
    # the best of the other side among all that reach it
    best = score(f"{'specificity' if rule == 'sensitivity' else 'sensitivity'}_at_{rule}@0.9", validation)
    other = "specificity" if rule == "sensitivity" else "sensitivity"
    assert score(other, found).value == pytest.approx(best.value)


def test_thresholds_come_from_validation_alone():
    validation, test = binary(100, 4), binary(100, 5)
    _, judged = with_thresholds(ThresholdRule("youden"), validation, test, validation=validation)
    other = replace(test, targets=1 - test.targets)
    _, again = with_thresholds(ThresholdRule("youden"), validation, other, validation=validation)
    assert judged.thresholds == again.thresholds != ()
    assert with_thresholds(None, test, validation=validation)[0].thresholds == ()
    assert len(ThresholdRule("youden").fit(labels())) == 2


def test_the_config_of_a_rule():
    def of(**threshold: object) -> ThresholdRule | None:
        return ThresholdRule.from_config({"evaluation": {"threshold": threshold}})

    assert of(rule=None, value=None) is None and ThresholdRule.from_config({}) is None
    assert of(rule="sensitivity", value=0.9) == ThresholdRule("sensitivity", 0.9)
    for wrong, words in (
        ({"rule": "sensitivty", "value": 0.9}, "did you mean 'sensitivity'"),
        ({"rule": "specificity"}, "needs the share"),
        ({"rule": "specificity", "value": 90}, "needs the share"),
        ({"rule": None, "value": 0.9}, "without a rule"),
        ({"rules": "youden"}, "threshold"),
    ):
        with pytest.raises(ConfigError, match=words):
            of(**wrong)


def test_targets_decide_by_their_thresholds():
    target = ClassTarget(["well", "ill"], thresholds=[0.2])
    assert target.decode(np.array([[0.7, 0.3], [0.9, 0.1]])) == ["ill", "well"]
    assert ClassTarget.from_state(target.state()).thresholds == [0.2]
    assert "thresholds" not in ClassTarget(["well", "ill"]).state()
    several = MultiLabelTarget(["a", "b"], thresholds=[0.2, 0.9])
    assert several.decode(np.array([[0.3, 0.8], [0.1, 0.95]])) == [["a"], ["b"]]
    assert MultiLabelTarget.from_state(several.state()).thresholds == [0.2, 0.9]


# DeLong


def test_points_have_delongs_interval_worked_out_by_hand():
    """Hanley and McNeil's components of 3 positives and 2 negatives, by counting pairs."""
    truth, value = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.4, 0.6, 0.5, 0.1])
    outputs = Outputs(
        ids=np.arange(5).astype(str),
        groups=np.arange(5).astype(str),
        targets=truth,
        kind="classification",
        classes=("no", "yes"),
        probability=np.stack([1 - value, value], axis=1),
    )
    # of 6 pairs only (0.4, 0.5) is wrong; components: positives 1, 1/2, 1; negatives 2/3, 1
    variance = np.var([1, 0.5, 1], ddof=1) / 3 + np.var([2 / 3, 1], ddof=1) / 2
    area = 5 / 6
    half = 1.959964 * math.sqrt(variance) / (area * (1 - area))
    edges = [1 / (1 + math.exp(-(math.log(area / (1 - area)) + sign * half))) for sign in (-1, 1)]
    (point,) = operating_points(outputs, resamples=20)["points"]
    assert point["auroc"]["method"] == "delong" and point["label"] == "yes"
    assert point["auroc"]["value"] == pytest.approx(area)
    assert [point["auroc"]["low"], point["auroc"]["high"]] == pytest.approx(edges, abs=1e-5)


def test_a_measure_that_is_undefined_is_null_in_json():
    """Where nothing is called positive there is no predictive value; metrics.json must still be written."""
    value = np.array([0.1, 0.2, 0.3, 0.2])
    outputs = Outputs(
        ids=np.arange(4).astype(str),
        groups=np.arange(4).astype(str),
        targets=np.array([0, 1, 1, 0]),
        kind="classification",
        classes=("no", "yes"),
        probability=np.stack([1 - value, value], axis=1),
    )
    found = operating_points(outputs, resamples=20)
    assert found["points"][0]["ppv"]["value"] is None
    json.dumps(found, allow_nan=False)


def test_points_of_labels_agree_with_the_bootstrap():
    outputs = labels(300, limits=(0.1, 0.2))
    found = operating_points(outputs, resamples=300)
    assert [point["label"] for point in found["points"]] == ["cough", "fever"] and found["chosen"]
    for place, point in enumerate(found["points"]):
        known = ~np.isnan(outputs.targets[:, place])
        p = outputs.probability[known, place]
        alone = Outputs(
            ids=outputs.ids[known],
            groups=outputs.groups[known],
            targets=outputs.targets[known, place].astype(int),
            kind="classification",
            probability=np.stack([1 - p, p], axis=1),
        )
        boot = estimate("auroc", alone, resamples=2000)
        for end in ("value", "low", "high"):
            assert point["auroc"][end] == pytest.approx(getattr(boot, end), abs=0.015)
        assert point["positives"] + point["negatives"] == known.sum()
        assert point["sensitivity"]["low"] < point["sensitivity"]["value"] < point["sensitivity"]["high"]


# Uncertain labels


def test_policies_of_uncertain_labels():
    rows = [{"a": 1, "b": -1}, {"a": 0, "b": 1.0}, {"a": "-1.0", "b": 0}, {"a": None, "b": "uncertain"}]
    taken = {"ignore": np.nan, "positive": 1.0, "negative": 0.0, "soft": 0.7}
    for policy, value in taken.items():
        target = MultiLabelTarget(uncertain=policy, soft=0.7)
        target.fit(rows)
        expected = np.array([[1, value], [0, 1], [value, 0], [np.nan, value]], dtype=np.float32)
        np.testing.assert_array_equal(target.encode(rows), expected)
        judged = np.array([[1, np.nan], [0, 1], [np.nan, 0], [np.nan, np.nan]], dtype=np.float32)
        np.testing.assert_array_equal(target.truth(rows), judged)
        again = MultiLabelTarget.from_state(json.loads(json.dumps(target.state())))
        np.testing.assert_array_equal(again.encode(rows), expected)
    with pytest.raises(DataError, match="'b' is -1") as caught:
        MultiLabelTarget().fit(rows)
    assert "target.uncertain" in str(caught.value)
    own = MultiLabelTarget(uncertain="positive", uncertain_values=["maybe"])
    own.fit([{"a": "maybe"}, {"a": 0}])
    assert own.encode([{"a": "maybe"}]).tolist() == [[1.0]]
    with pytest.raises(DataError, match="-1"):
        own.encode([{"a": -1}])
    for wrong in ({"uncertain": "ones"}, {"uncertain": "soft", "soft": 1.5}):
        with pytest.raises(ConfigError, match="target"):
            MultiLabelTarget(**wrong)
    with pytest.raises(ConfigError, match="certain"):
        MultiLabelTarget(uncertain="ignore", uncertain_values=[1])


def test_soft_labels_train_and_are_not_judged():
    head = MultiLabelHead(2, 1)
    logit = torch.tensor([[0.3]])
    loss = head.loss({"logits": logit}, {"target": torch.tensor([[0.7]])})
    p = 1 / (1 + math.exp(-0.3))
    assert loss.item() == pytest.approx(-(0.7 * math.log(p) + 0.3 * math.log(1 - p)))
    metrics = ValidationMetrics("multilabel", 1, ["accuracy"])
    logits = torch.tensor([[2.0], [-2.0], [2.0]])
    metrics.update({"logits": logits}, {"target": torch.tensor([[1.0], [0.0], [0.2]])})
    assert metrics.compute(0.0)["accuracy"] == 1.0


# Through the jobs

POINTS = '''
import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.records import Dataset, Record
from scizoo.data.tokenizer import Tokenizer


class Points(Dataset):
    """Two numbers; ill where their sum is large, cough and fever by each of them."""

    def __init__(self, several=False, path=None):
        super().__init__()
        self.several = several

    name = "points"

    def fingerprint(self):
        return str(self.several)

    def records(self):
        rng = np.random.default_rng(0)
        for number in range(160):
            x = rng.normal(size=2)
            noisy = x + 0.7 * rng.normal(size=2)
            target = "ill" if noisy.sum() > 1 else "healthy"
            if self.several:
                cough = -1 if abs(noisy[0]) < 0.2 else int(noisy[0] > 0)
                target = {"cough": cough, "fever": int(noisy[1] > 0.5)}
            yield Record(f"p{number}", x, target)


class Numbers(Tokenizer):
    main_input = "values"

    def settings(self):
        return {}

    def fingerprint(self):
        return "numbers"

    def input_sizes(self):
        return {"features": 2}

    def encode(self, inputs):
        return {"values": Ragged.from_rows([np.asarray(one)[None] for one in inputs], np.float32)}


def inputs():
    return [np.zeros(2), np.ones(2)]
'''
COMMON = """
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.5, 0.25, 0.25], seed: 0}
tokenizer: {_target_: scizoo_toy.points.Numbers}
backbone:
  _target_: scizoo.models.continuous.ContinuousBackbone.from_config
  model_type: llama
  config: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2,
    intermediate_size: 16}
optimizer: {lr: 0.01}
trainer: {max_epochs: 3, accelerator: cpu}
context: {max_length: 4}
evaluation:
  resamples: 50
  threshold: {rule: sensitivity, value: 0.9}
  metrics: [sensitivity_at_specificity@0.8]
precision: "32"
logger: null
"""
ILL = f"""# @package _global_
task: {{name: toy/ill, summary: Ill, domain: toy, kind: classification, metric: f1}}
data: {{_target_: scizoo_toy.points.Points, path: null}}
head: {{_target_: scizoo.models.heads.ClassificationHead}}
{COMMON}"""
SIGNS = f"""# @package _global_
task: {{name: toy/signs, summary: Signs, domain: toy, kind: multilabel, metric: mean_auroc}}
data: {{_target_: scizoo_toy.points.Points, several: true, path: null}}
head: {{_target_: scizoo.models.heads.MultiLabelHead}}
target: {{uncertain: soft, soft: 0.7}}
{COMMON}"""
FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    name="toy", summary="About toys", package="scizoo_toy", reference="scizoo_toy.points.inputs"
)
"""


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    files = {"points.py": POINTS, "conf/task/toy/ill.yaml": ILL, "conf/task/toy/signs.yaml": SIGNS}
    make_plugin("toy", face=FACE, files=files)
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_a_threshold_is_kept_with_the_checkpoint(toy, tmp_path: Path):
    assert main(["finetune", "toy/ill", "versus=[]", "run_dir=fine"]) == 0
    metrics = json.loads((tmp_path / "fine/metrics.json").read_text())
    names = {row["metric"]: row["value"] for row in metrics["metrics"]}
    assert {"f1", "sensitivity", "specificity", "ppv", "npv", "sensitivity_at_specificity@0.8"} <= set(names)
    (point,) = metrics["operating"]["points"]
    assert point["label"] == "ill" and point["auroc"]["method"] == "delong"
    assert point["sensitivity"]["value"] == pytest.approx(names["sensitivity"])
    validation = Outputs.load(tmp_path / "fine/outputs/scratch-validation.parquet")
    assert validation.thresholds == (pytest.approx(point["threshold"]),)
    assert score("sensitivity", validation).value >= 0.9
    report = json.loads((tmp_path / "fine/report.json").read_text())
    jsonschema.validate(report, schema())
    page = (tmp_path / "fine/report.html").read_text()
    assert "Operating points" in page and "a sensitivity of 90% or more" in page

    model = scizoo.load(tmp_path / "fine/checkpoint")
    assert model.checkpoint.target.thresholds == [pytest.approx(point["threshold"])]
    prediction = model.predict(list(np.random.default_rng(1).normal(size=(50, 2))))
    said = np.where(prediction.probability[:, 1] >= point["threshold"], "ill", "healthy")
    assert prediction.classes == ["healthy", "ill"] and prediction.labels == said.tolist()
    ref = f"checkpoint={tmp_path / 'fine/checkpoint'}"
    assert main(["predict", "toy/ill", ref, "run_dir=said"]) == 0
    table = pd.read_csv(tmp_path / "said/predictions.csv")
    assert len(table) == 160 and set(table["prediction"]) == {"ill", "healthy"}
    assert main(["evaluate", "toy/ill", ref, "run_dir=judged"]) == 0
    judged = json.loads((tmp_path / "judged/metrics.json").read_text())
    assert judged["metrics"]["sensitivity"]["value"] == pytest.approx(names["sensitivity"])
    assert judged["operating"]["points"][0]["auroc"]["value"] == pytest.approx(point["auroc"]["value"])


def test_uncertain_labels_train_and_are_never_judged(toy, tmp_path: Path):
    assert main(["finetune", "toy/signs", "versus=[]", "run_dir=fine"]) == 0
    outputs = Outputs.load(tmp_path / "fine/outputs/scratch-test.parquet")
    values = outputs.targets[:, 0]
    assert np.isnan(values).any() and set(values[~np.isnan(values)]) == {0.0, 1.0}
    assert len(outputs.thresholds) == 2
    report = json.loads((tmp_path / "fine/report.json").read_text())
    jsonschema.validate(report, schema())
    first = report["operating"]["points"][0]
    assert first["label"] == "cough" and first["positives"] + first["negatives"] == (~np.isnan(values)).sum()
    target = scizoo.load(tmp_path / "fine/checkpoint").checkpoint.target
    assert target.uncertain == "soft" and target.soft == 0.7 and len(target.thresholds) == 2
    assert main(["finetune", "toy/signs", "target.uncertain=null", "versus=[]", "run_dir=bad"]) == 2
