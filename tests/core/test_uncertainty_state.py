"""What a fitted checkpoint keeps about its uncertainty: coverage as asked, strange records flagged."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import scizoo
from scizoo.checkpoints.card import Card
from scizoo.checkpoints.format import load_checkpoint, save_checkpoint, verify
from scizoo.checkpoints.uncertainty import FILE, UncertaintyState
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.encoding import Context
from scizoo.data.targets import ClassTarget, MultiLabelTarget, RealTarget
from scizoo.errors import CheckpointError, ConfigError, ScizooError
from scizoo.evaluation.conformal import ConformalClassifier, ConformalRegressor
from scizoo.evaluation.intervals import estimate
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.uncertainty import (
    apply_uncertainty,
    fit_uncertainty,
    highest_coverage,
    join_labels,
)
from scizoo.jobs import predict
from scizoo.models.heads import ClassificationHead, MultiLabelHead, RegressionHead
from scizoo.models.transformers_backbone import TransformersBackbone

SPLITS = 20
LEVELS = (0.8, 0.9, 0.95)


def drawn(kind: str, count: int, seed: int) -> Outputs:
    """Exchangeable records of a model that is too sure of itself: its logits are three times too large."""
    rng = np.random.default_rng(seed)
    facts: dict[str, Any] = {"ids": [f"{seed}-{i}" for i in range(count)], "groups": np.arange(count)}
    if kind == "regression":
        spread = np.exp(rng.normal(size=(count, 2)) / 2)
        mean = rng.normal(size=(count, 2))
        targets = mean + 2 * spread * rng.normal(size=(count, 2))
        targets[::7, 1] = np.nan
        return Outputs(targets=targets, kind=kind, mean=mean, variance=spread**2, **facts)
    logits = 2 * rng.normal(size=(count, 5))
    if kind == "multilabel":
        targets = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
        targets[::9, 2] = np.nan
        return Outputs(targets=targets, kind=kind, probability=1 / (1 + np.exp(-3 * logits)), **facts)
    targets = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    wrong = np.exp(3 * logits)
    return Outputs(targets=targets, kind=kind, probability=wrong / wrong.sum(axis=1, keepdims=True), **facts)


def applied(
    state: UncertaintyState, outputs: Outputs, coverage: float | None = None
) -> dict[str, np.ndarray]:
    return apply_uncertainty(
        state,
        ids=outputs.ids,
        probability=outputs.probability,
        mean=outputs.mean,
        variance=outputs.variance,
        coverage=coverage,
    )


def held(outputs: Outputs, found: dict[str, np.ndarray]) -> np.ndarray:
    """Whether each set held its record's truth: the class, all known labels, or each known value."""
    if outputs.kind == "regression":
        known = ~np.isnan(outputs.targets)
        inside = (outputs.targets >= found["lower"]) & (outputs.targets <= found["upper"])
        return inside[known]
    if outputs.kind == "multilabel":
        return (found["members"] | (outputs.targets != 1)).all(axis=1)
    return found["members"][np.arange(len(outputs)), outputs.targets]


@pytest.mark.parametrize("coverage", LEVELS)
@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_new_records_are_covered_as_often_as_asked(kind: str, coverage: float) -> None:
    measured = []
    for split in range(SPLITS):
        state = fit_uncertainty(drawn(kind, 250, split))  # fitted once, for whatever is asked later
        assert state is not None
        test = drawn(kind, 400, 1000 + split)
        measured.append(held(test, applied(state, test, coverage)).mean())
    assert np.mean(measured) == pytest.approx(coverage, abs=0.015)


def test_the_kept_scores_give_what_fitting_at_a_coverage_gives() -> None:
    classes, values = drawn("classification", 100, 0), drawn("regression", 100, 0)
    new, more = drawn("classification", 50, 1), drawn("regression", 50, 1)
    for coverage in LEVELS:
        state = fit_uncertainty(classes)
        assert state is not None
        fitted = ConformalClassifier("aps", coverage).fit(
            classes.require("probability"), classes.targets, classes.ids
        )
        np.testing.assert_array_equal(
            applied(state, new, coverage)["members"], fitted.sets(new.require("probability"), new.ids)
        )
        state = fit_uncertainty(values)
        assert state is not None
        low, high = (
            ConformalRegressor("cqr", coverage).fit(values).intervals(more.require("mean"), more.variance)
        )
        found = applied(state, more, coverage)
        np.testing.assert_allclose(found["lower"], low)
        np.testing.assert_allclose(found["upper"], high)


def test_the_default_coverage_is_the_one_of_the_fit() -> None:
    state = fit_uncertainty(drawn("classification", 100, 0), coverage=0.8)
    test = drawn("classification", 50, 1)
    assert state is not None
    np.testing.assert_array_equal(
        applied(state, test)["members"], applied(state, test, coverage=0.8)["members"]
    )
    assert applied(state, test, 0.99)["members"].sum() > applied(state, test)["members"].sum()


def test_calibration_finds_how_much_too_sure_the_model_was() -> None:
    for kind in ("classification", "multilabel"):
        state = fit_uncertainty(drawn(kind, 2000, 0))
        assert state is not None
        assert state.arrays["temperature"][0] == pytest.approx(3, rel=0.1)
        test = drawn(kind, 50, 1)
        calibrated = applied(state, test)["probability"]
        np.testing.assert_array_equal(calibrated.argmax(axis=1), test.require("probability").argmax(axis=1))
    state = fit_uncertainty(drawn("regression", 2000, 0))
    assert state is not None
    np.testing.assert_allclose(state.arrays["variance_factor"], 4, rtol=0.15)


def test_a_few_records_without_an_error_do_not_make_a_model_sure() -> None:
    targets = np.arange(24) % 3
    probability = np.full((24, 3), 0.05)
    probability[np.arange(24), targets] = 0.9
    ids = np.arange(24).astype(str)
    outputs = Outputs(ids, ids, targets, "classification", probability=probability)
    state = fit_uncertainty(outputs)
    assert state is not None
    assert applied(state, outputs)["probability"].max() == pytest.approx(25 / 26, abs=0.001)


def test_a_planted_outlier_is_flagged_and_familiar_records_are_not() -> None:
    flagged = []
    for split in range(10):
        rng = np.random.default_rng(split)
        outputs = drawn("classification", 60, split)
        centres = 4 * rng.normal(size=(5, 24))

        def embedded(targets: np.ndarray, centres: np.ndarray = centres, rng: Any = rng) -> np.ndarray:
            return centres[targets] + rng.normal(size=(len(targets), 24))

        state = fit_uncertainty(outputs, embedded(outputs.targets))
        assert state is not None
        new = drawn("classification", 200, 100 + split)
        vectors = embedded(new.targets)
        vectors[0] += 12
        found = apply_uncertainty(state, ids=new.ids, probability=new.probability, embeddings=vectors)
        assert found["ood"][0]
        assert found["ood_score"].argmax() == 0
        flagged.append(found["ood"][1:].mean())
    # With 60 records of 24 dimensions a threshold on their own distances would flag most of what is new.
    assert np.mean(flagged) < 0.12


def test_groups_that_are_whole_or_too_large_both_fit() -> None:
    outputs = drawn("classification", 40, 0)
    vectors = np.random.default_rng(0).normal(size=(40, 4))
    for groups in (np.zeros(40), np.arange(40) // 20, np.arange(40) // 4):
        one = Outputs(outputs.ids, groups, outputs.targets, outputs.kind, probability=outputs.probability)
        state = fit_uncertainty(one, vectors)
        assert state is not None
        assert np.isfinite(state.arrays["ood.settings"]).all()


def test_too_few_records_fit_nothing_or_promise_nothing() -> None:
    assert fit_uncertainty(drawn("classification", 19, 0)) is None
    few = fit_uncertainty(drawn("classification", 20, 0))
    assert few is not None
    assert highest_coverage(few) == pytest.approx(20 / 21)
    test = drawn("classification", 30, 1)
    assert applied(few, test, 0.99)["members"].all()
    values = fit_uncertainty(drawn("regression", 24, 0))
    assert values is not None
    assert highest_coverage(values) == pytest.approx(20 / 21)  # of the second value four are missing
    found = applied(values, drawn("regression", 5, 1), 0.99)
    assert np.isneginf(found["lower"]).all()
    assert np.isposinf(found["upper"]).all()


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, "90%", True, float("nan")])
def test_a_coverage_that_is_none_is_refused(coverage: Any) -> None:
    state = fit_uncertainty(drawn("classification", 30, 0))
    assert state is not None
    with pytest.raises(ConfigError, match="coverage="):
        applied(state, drawn("classification", 5, 1), coverage)


def test_a_label_with_the_separator_in_it_is_quoted() -> None:
    text = join_labels(["a;b", "c", 'say "d"'])
    assert next(csv.reader([text], delimiter=";")) == ["a;b", "c", 'say "d"']
    assert join_labels(["a", "c"]) == "a;c"
    assert join_labels([]) == ""


def test_no_interval_passes_the_range_of_its_metric() -> None:
    runs = []
    for wrong in (0, 0, 3):
        targets = np.arange(60) % 2
        said = targets.copy()
        said[:wrong] = 1 - said[:wrong]
        runs.append(
            Outputs(
                ids=np.arange(60).astype(str),
                groups=np.arange(60).astype(str),
                targets=targets,
                kind="classification",
                probability=np.eye(2)[said] * 0.8 + 0.1,
            )
        )
    for metric in ("mcc", "accuracy", "auroc"):
        found = estimate(metric, runs, resamples=200)
        assert found.high == 1.0, metric
        assert found.low < found.value


# ---- in a checkpoint

TEXTS = ["abc", "defg", "zz", "the quick brown fox jumps"]
NAMES = {"classification": ["ant", "b;ee", "cat"], "multilabel": ["wet", "hot", "dry"]}


def tiny(folder: Path, kind: str, state: UncertaintyState | None) -> Path:
    torch.manual_seed(0)
    body = TransformersBackbone.from_config(
        "bert",
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
        vocab_size=261,
        pad_token_id=0,
        max_length=64,
        special_token_ids={"cls": 2, "sep": 3},
    )
    heads: dict[str, Any] = {
        "classification": (ClassificationHead(32, 3), ClassTarget(["ant", "b;ee", "cat"])),
        "multilabel": (MultiLabelHead(32, 3), MultiLabelTarget(["wet", "hot", "dry"])),
        "regression": (RegressionHead(32, 1), RealTarget(mean=[5.0], std=[2.0])),
    }
    head, target = heads[kind]
    return save_checkpoint(
        folder / f"{kind}-{state is not None}",
        backbone=body,
        head=head,
        target=target,
        tokenizer=ByteTokenizer(),
        context=Context(16, add_cls=True, add_sep=True),
        card=Card("test/tiny", "A tiny test.", "MIT", "u", "l"),
        domain="test",
        reference_inputs=TEXTS,
        uncertainty=state,
    )


def made(folder: Path, kind: str) -> tuple[Path, UncertaintyState]:
    """A checkpoint whose state was fitted to its own outputs on 40 texts."""
    plain = scizoo.load(tiny(folder, kind, None), device="cpu")
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh"), size=12)) for _ in range(40)]
    said = plain.predict(texts)
    targets: dict[str, np.ndarray] = {
        "classification": np.arange(40) % 3,
        "multilabel": (rng.random((40, 3)) < 0.5).astype(float),
        "regression": 5 + 2 * rng.normal(size=(40, 1)),
    }
    outputs = Outputs(
        ids=np.array(said.ids),
        groups=np.array(said.ids),
        targets=targets[kind],
        kind=kind,
        probability=said.probability,
        mean=said.mean,
        variance=None if said.std is None else said.std**2,
    )
    state = fit_uncertainty(outputs, plain.embed(texts))
    assert state is not None
    return tiny(folder, kind, state), state


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_a_checkpoint_carries_it_and_predicts_with_it(tmp_path: Path, kind: str) -> None:
    path, state = made(tmp_path, kind)
    kept = load_checkpoint(path).uncertainty
    assert kept is not None
    assert kept.settings == state.settings
    assert kept.arrays.keys() == state.arrays.keys()
    for name, array in state.arrays.items():
        np.testing.assert_array_equal(kept.arrays[name], array)
    assert FILE in (path / "SHA256SUMS").read_text()
    assert (path / FILE).stat().st_mode == (path / "scizoo.json").stat().st_mode
    verify(path)

    model = scizoo.load(path, device="cpu")
    plain = model.predict_df(TEXTS)
    frame = model.predict_df(TEXTS, coverage=0.9)
    assert list(frame.columns[-2:]) == ["ood_score", "ood"]
    new = set(frame.columns) - set(plain.columns)
    sets = {"set", "set_size"} if kind in NAMES else {"lower", "upper"}
    assert new == {"ood_score", "ood"} | sets
    raw = model.predict(TEXTS)
    expected = apply_uncertainty(
        state,
        ids=raw.ids,
        probability=raw.probability,
        mean=raw.mean,
        variance=None if raw.std is None else raw.std**2,
        embeddings=model.embed(TEXTS),  # the head pools by the mean, as embed does
        coverage=0.9,
    )
    np.testing.assert_allclose(frame["ood_score"], expected["ood_score"], rtol=1e-4)
    if kind in NAMES:
        for text, row, size in zip(frame["set"], expected["members"], frame["set_size"], strict=True):
            labels = next(csv.reader([text], delimiter=";"), [])
            assert set(labels) == {name for name, member in zip(NAMES[kind], row, strict=True) if member}
            assert len(labels) == size
        assert not np.allclose(frame[f"probability_{NAMES[kind][0]}"], plain[f"probability_{NAMES[kind][0]}"])
        assert frame["prediction"].tolist() == plain["prediction"].tolist()
    else:
        np.testing.assert_allclose(frame["lower"], expected["lower"][:, 0])
        assert (frame["lower"] < frame["mean"]).all()
        assert (frame["mean"] < frame["upper"]).all()
        wider = model.predict_df(TEXTS, coverage=0.95)
        assert (wider["upper"] - wider["lower"] >= frame["upper"] - frame["lower"]).all()
    assert list(model.predict_df([], coverage=0.9).columns) == list(frame.columns)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    path, _ = made(tmp_path, "classification")
    whole = (path / FILE).read_bytes()
    (path / FILE).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load_checkpoint(path)
    (path / FILE).unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(path)


def run_predict(folder: Path, checkpoint: Path, **keys: Any) -> list[dict[str, str]]:
    table = folder / "new.csv"
    table.write_text("id,text\n" + "".join(f"n{i},{text}\n" for i, text in enumerate(TEXTS)))
    cfg = OmegaConf.create(
        {
            "checkpoint": str(checkpoint),
            "data": {
                "_target_": "scizoo.data.table.TableRecords",
                "path": str(table),
                "input": "text",
                "id": "id",
            },
            "batching": {"eval_batch_size": 2},
            "predictor": None,
            **keys,
        }
    )
    with Path(predict.run(cfg, folder)["predictions"]).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_job_writes_sets_and_flags_beside_each_prediction(tmp_path: Path) -> None:
    path, _ = made(tmp_path, "classification")
    rows = run_predict(tmp_path, path, coverage=0.9)
    assert [row["id"] for row in rows] == ["n0", "n1", "n2", "n3"]
    for row in rows:
        labels = next(csv.reader([row["set"]], delimiter=";"))
        assert len(labels) == int(row["set_size"]) >= 1
        assert row["prediction"] == labels[0]  # likeliest first
        assert float(row["ood_score"]) > 0
        assert row["ood"] in ("true", "false")
    assert "set" not in run_predict(tmp_path, path, coverage=None)[0]


def test_the_job_says_when_a_coverage_cannot_be_promised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, _ = made(tmp_path, "regression")
    with caplog.at_level(logging.WARNING):
        rows = run_predict(tmp_path, path, coverage=0.99)
    assert "cannot be promised by 40 validation records" in caplog.text
    assert {row["upper"] for row in rows} == {"inf"}


def test_the_job_refuses_a_coverage_before_it_loads_anything(tmp_path: Path) -> None:
    for wrong in (0, 1.0, 90, "most"):
        with pytest.raises(ConfigError, match=f"coverage={wrong}"):
            run_predict(tmp_path, tmp_path / "nowhere", coverage=wrong)


def test_an_older_checkpoint_predicts_as_before_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tiny(tmp_path, "classification", None)
    assert not (old / FILE).exists()
    assert "uncertainty" not in json.loads((old / "scizoo.json").read_text())
    assert load_checkpoint(old).uncertainty is None
    with caplog.at_level(logging.WARNING):
        rows = run_predict(tmp_path, old, coverage=0.9)
    assert caplog.text.count("keeps no calibration") == 1
    assert list(rows[0]) == ["id", "prediction", "probability_ant", "probability_b;ee", "probability_cat"]
    with pytest.raises(ScizooError, match="keeps nothing"):
        scizoo.load(old, device="cpu").predict_df(TEXTS, coverage=0.9)
