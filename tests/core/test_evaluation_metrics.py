"""Metrics: the library's values, the vectorised form that equals them, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.metrics import METRICS, applicable, default_metrics, get_metric, replicate, score
from scizoo.evaluation.outputs import Outputs, meta_columns


def outputs_of(kind: str, count: int = 60, seed: int = 0, **changes) -> Outputs:
    rng = np.random.default_rng(seed)
    fields = {
        "ids": [f"r{i}" for i in range(count)],
        "groups": [f"g{i // 3}" for i in range(count)],
        "kind": kind,
    }
    if kind in ("classification", "tokens"):
        targets = rng.integers(0, 4, count)
        # Rounded, so that there are ties.
        raw = np.round(rng.random((count, 4)) + 0.6 * np.eye(4)[targets], 1) + 0.05
        fields |= {
            "targets": targets,
            "probability": raw / raw.sum(1, keepdims=True),
            "classes": tuple("abcd"),
        }
    elif kind == "multilabel":
        targets = (rng.random((count, 3)) < 0.4).astype(float)
        targets[rng.random((count, 3)) < 0.2] = np.nan
        fields |= {
            "targets": targets,
            "probability": np.round(rng.random((count, 3)), 1),
            "classes": tuple("abc"),
        }
    elif kind == "regression":
        targets = np.round(rng.normal(size=(count, 2)), 1)
        fields["mean"] = np.round(targets + rng.normal(size=(count, 2)), 1)
        targets[rng.random((count, 2)) < 0.1] = np.nan
        fields |= {"targets": targets, "variance": rng.random((count, 2)) + 0.5}
    elif kind == "forecast":
        targets = np.round(rng.normal(size=(count, 4)), 1) + 3
        middle = targets + rng.normal(size=(count, 4))
        targets[rng.random((count, 4)) < 0.1] = np.nan
        fields |= {
            "targets": targets,
            "quantiles": middle[..., None] + np.array([-1.0, -0.4, 0.0, 0.4, 1.0]),
            "levels": (0.1, 0.3, 0.5, 0.7, 0.9),
            "scale": rng.random(count) + 0.5,
            "naive": rng.normal(size=(count, 4)) + 3,
        }
    elif kind == "segmentation":
        true = rng.integers(0, 3, (count, 2)) * 10.0
        said = rng.integers(0, 3, (count, 2)) * 10.0
        distance = np.where(true + said > 0, rng.random((count, 2)), np.nan)
        fields |= {
            "targets": true,
            "predicted_size": said,
            "intersection": np.round(np.minimum(true, said) * rng.random((count, 2))),
            "hd95": 2 * distance,
            "assd": distance,
            "classes": ("a", "b"),
        }
    elif kind == "retrieval":
        ranks = rng.integers(2, 40, (count, 2)) / 2  # halves are ties
        fields |= {"targets": np.arange(count), "ranks": ranks, "candidates": np.full((count, 2), 20)}
    else:
        tokens = rng.integers(5, 30, count)
        fields |= {
            "targets": np.zeros(count),
            "tokens": tokens,
            "log_likelihood": -tokens * rng.random(count),
        }
    return Outputs(**(fields | changes))


def binary(targets, second) -> Outputs:
    second = np.asarray(second, dtype=float)
    names = [str(i) for i in range(len(second))]
    return Outputs(names, names, targets, "classification", ("no", "yes"), np.stack([1 - second, second], 1))


def outputs_for(name: str, kind: str) -> Outputs:
    """Give outputs that a metric applies to: some are for two classes alone."""
    if not (METRICS[name].binary and kind == "classification"):
        return outputs_of(kind)
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 60)
    return binary(targets, np.round(np.clip(0.3 * targets + 0.7 * rng.random(60), 0, 1), 1))


CASES = [(name, kind) for name, metric in METRICS.items() for kind in metric.kinds]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_vectorised_form_equals_the_library_value_with_counts(name, kind):
    outputs = outputs_for(name, kind)
    weights = np.random.default_rng(1).poisson(1.0, (25, len(outputs))).astype(float)
    expected = [score(name, outputs, row).value for row in weights]
    np.testing.assert_allclose(replicate(name, outputs, weights), expected, rtol=1e-9, atol=1e-12)
    whole = replicate(name, outputs, np.ones((1, len(outputs))))[0]
    assert whole == pytest.approx(score(name, outputs).value, rel=1e-9)


# Of the relative errors a series counts once, however many records it has.
@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if not case[0].startswith("relative")])
def test_counting_a_record_twice_is_like_having_it_twice(name, kind):
    outputs = outputs_for(name, kind)
    weights = np.ones(len(outputs))
    weights[:20] = 2
    rows = np.repeat(np.arange(len(outputs)), weights.astype(int))
    assert score(name, outputs, weights).value == pytest.approx(score(name, outputs.take(rows)).value)


def test_small_blocks_give_the_same():
    outputs = outputs_of("classification")
    weights = np.random.default_rng(1).poisson(1.0, (10, len(outputs)))
    np.testing.assert_array_equal(
        replicate("auroc", outputs, weights), replicate("auroc", outputs, weights, block=1)
    )


def test_values_against_scikit_learn_by_hand():
    outputs = binary([0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.8, 0.9])
    assert score("accuracy", outputs).value == pytest.approx(3 / 5)
    assert score("auroc", outputs).value == pytest.approx(5 / 6)
    assert score("brier", outputs).value == pytest.approx(np.mean([0.01, 0.36, 0.36, 0.04, 0.01]))
    assert score("mcc", outputs).value == pytest.approx(
        sk.matthews_corrcoef([0, 0, 1, 1, 1], [0, 1, 0, 1, 1])
    )


def test_language_metrics():
    outputs = Outputs(
        ["a", "b"], ["a", "b"], [0, 0], "language", log_likelihood=[-8 * math.log(2), 0], tokens=[2, 2]
    )
    assert score("bits_per_token", outputs).value == pytest.approx(2.0)
    assert score("perplexity", outputs).value == pytest.approx(4.0)


@pytest.mark.parametrize("name", ["mcc", "auroc", "auprc", "balanced_accuracy", "macro_f1"])
def test_one_class_is_undefined_with_its_name(name):
    result = score(name, binary([1, 1, 1], [0.2, 0.7, 0.8]))
    assert math.isnan(result.value)
    assert "one class (yes)" in result.reason
    assert score("accuracy", binary([1, 1, 1], [0.2, 0.7, 0.8])).value == pytest.approx(2 / 3)


def test_labels_without_both_classes_are_left_out():
    outputs = outputs_of("multilabel")
    targets = outputs.targets.copy()
    targets[:, 0] = np.where(np.isnan(targets[:, 0]), np.nan, 1.0)
    left = Outputs(outputs.ids, outputs.groups, targets, "multilabel", outputs.classes, outputs.probability)
    columns = []
    for label in (1, 2):
        known = ~np.isnan(targets[:, label])
        columns.append(sk.roc_auc_score(targets[known, label], outputs.probability[known, label]))
    assert score("mean_auroc", left).value == pytest.approx(np.mean(columns))
    none = Outputs(outputs.ids, outputs.groups, np.ones((60, 3)), "multilabel", (), outputs.probability)
    assert "no label has both" in score("mean_auroc", none).reason


def test_constant_targets_and_predictions():
    ids = ["a", "b", "c"]
    constant = Outputs(ids, ids, [1.0, 1, 1], "regression", mean=[1.0, 2, 3])
    assert "same target" in score("r2", constant).reason
    flat = Outputs(ids, ids, [1.0, 2, 3], "regression", mean=[1.0, 1, 1])
    assert "constant" in score("spearman", flat).reason
    assert "no variance" in score("nll", flat).reason
    assert [m.name for m in applicable(default_metrics("regression"), flat)][-1] == "pearson"
    assert "no records" in score("rmse", flat.take(np.array([], dtype=int))).reason


def test_unknown_and_unfit_metrics_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'auroc'"):
        get_metric("aurok", "classification")
    with pytest.raises(ConfigError, match="does not apply to a regression task"):
        get_metric("auroc", "regression")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression", "language"])
def test_outputs_round_trip_without_pickle(tmp_path, kind, suffix):
    meta = meta_columns([{"site": "x", "age": 3, "sure": True}, {"site": None, "age": None}] * 30)
    outputs = outputs_of(kind, meta=meta)
    path = tmp_path / f"outputs{suffix}"
    outputs.save(path)
    back = Outputs.load(path)
    for name in ("ids", "groups", "targets", "probability", "mean", "variance", "tokens", "log_likelihood"):
        np.testing.assert_array_equal(getattr(back, name), getattr(outputs, name))
    assert (back.kind, back.classes) == (outputs.kind, outputs.classes)
    assert list(back.meta) == ["site", "age", "sure"]
    for name, column in meta.items():
        np.testing.assert_array_equal(back.meta[name], column)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_damaged_outputs_are_named(tmp_path):
    for name in ("bad.npz", "bad.parquet"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(DataError, match=name):
            Outputs.load(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        Outputs.load(tmp_path / "none.npz")


def test_outputs_refuse_what_cannot_be_judged():
    with pytest.raises(DataError, match=r"record 'b'.*mean is not a finite"):
        Outputs(["a", "b"], ["a", "b"], [0.0, 1.0], "regression", mean=[0.0, np.nan])
    with pytest.raises(ValueError, match="2 rows"):
        Outputs(["a"], ["a"], [0, 1], "classification")
    with pytest.raises(ValueError, match="kind"):
        Outputs(["a"], ["a"], [0], "ranking")
