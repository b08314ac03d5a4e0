"""scizoo.load and what it gives, on tiny real models."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import scizoo
from scizoo.api import Model
from scizoo.checkpoints.card import Card
from scizoo.checkpoints.format import save_checkpoint
from scizoo.checkpoints.reference import encode_inputs
from scizoo.checkpoints.safety import write_sums
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.encoding import Context
from scizoo.data.records import Record
from scizoo.data.targets import ClassTarget, MultiLabelTarget, RealTarget, TokenTarget
from scizoo.errors import CheckpointError, DataError
from scizoo.models.heads import ClassificationHead, MultiLabelHead, RegressionHead, TokenHead
from scizoo.models.objectives import CausalLM, MaskedLM
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.training.joint import JointModel

CONTEXT = Context(16, add_cls=True, add_sep=True)
SHORT = ["abc", "defg", "zz"]
LONG = "the quick brown fox jumps over the lazy dog"


def build(folder: Path, kind: str, context: Context = CONTEXT, **more: Any) -> Path:
    torch.manual_seed(0)
    llama = kind == "causal"
    body = TransformersBackbone.from_config(
        "llama" if llama else "bert",
        {
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            **({"num_key_value_heads": 2} if llama else {}),
        },
        vocab_size=261,
        pad_token_id=0,
        max_length=64,
        special_token_ids={"cls": 2, "sep": 3},
    )
    with torch.no_grad():  # initial weights give nearly equal outputs for everything
        for parameter in body.parameters():
            parameter.mul_(3.0)
    heads: dict[str, Any] = {
        "classification": (lambda: ClassificationHead(32, 3), ClassTarget(["ant", "bee", "cat"])),
        "multilabel": (lambda: MultiLabelHead(32, 2), MultiLabelTarget(["wet", "hot"])),
        "regression": (
            lambda: RegressionHead(32, 1, quantiles=[0.1, 0.9]),
            RealTarget(mean=[5.0], std=[2.0]),
        ),
        "tokens": (lambda: TokenHead(32, 2), TokenTarget(["in", "out"])),
        "masked": (lambda: MaskedLM(32, 261).bind(body), None),
        "causal": (lambda: CausalLM(32, 261).bind(body), None),
        "embedding": (lambda: None, None),
    }
    make, target = heads[kind]
    return save_checkpoint(
        folder / kind,
        backbone=body,
        head=make(),
        target=target,
        tokenizer=ByteTokenizer(),
        context=context,
        card=Card("test/tiny", "A tiny test.", "MIT", "u", "l"),
        domain="test",
        reference_inputs=SHORT,
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkpoints")
    for kind in ("classification", "multilabel", "regression", "tokens", "masked", "embedding"):
        build(made, kind)
    build(made, "causal", Context(48, add_cls=True))
    return made


def model(folder: Path, kind: str) -> Model:
    return scizoo.load(folder / kind, device="cpu")


def test_import_is_light_and_the_face_is_complete() -> None:
    code = (
        "import sys, scizoo; scizoo.list_checkpoints; scizoo.ScizooError; "
        "heavy = {'torch', 'transformers', 'lightning', 'pandas', 'sklearn'} & set(sys.modules); "
        "assert not heavy, heavy; assert {'load', 'list_checkpoints'} <= set(dir(scizoo)); "
        "scizoo.load; assert 'torch' in sys.modules; assert 'lightning' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nothing"):
        scizoo.nothing  # noqa: B018


def test_load_refuses_what_it_cannot_find_or_use(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint 'test/none'"):
        scizoo.load("test/none")
    with pytest.raises(scizoo.ScizooError, match="device='gpu9'"):
        scizoo.load(folder / "embedding", device="gpu9")
    assert "language" in repr(model(folder, "masked"))


def test_embed_is_the_mean_state_whatever_the_batch(folder: Path) -> None:
    loaded = model(folder, "masked")
    found = loaded.embed(SHORT)
    assert found.shape == (3, 32) and found.dtype == np.float32
    batch = encode_inputs(ByteTokenizer(), CONTEXT, SHORT)
    with torch.inference_mode():
        hidden = loaded.checkpoint.backbone(batch)
    for row, (states, mask) in enumerate(zip(hidden.states, hidden.mask)):
        np.testing.assert_allclose(found[row], states[mask].mean(dim=0).numpy(), atol=1e-5)
    np.testing.assert_allclose(loaded.embed(SHORT, batch_size=1), found, atol=1e-5)
    np.testing.assert_allclose(loaded.embed(SHORT[::-1])[::-1], found, atol=1e-5)
    np.testing.assert_allclose(loaded.embed([Record("r", "abc")]), found[:1], atol=1e-5)


def test_poolings_differ_and_unknown_ones_are_named(folder: Path) -> None:
    loaded = model(folder, "embedding")
    first = {pool: loaded.embed(SHORT, pool=pool) for pool in ("mean", "cls", "max")}
    assert not np.allclose(first["mean"], first["cls"])
    assert (first["max"] >= first["mean"] - 1e-6).all()
    with pytest.raises(scizoo.ScizooError, match=r"pool='maen'.*did you mean 'mean'"):
        loaded.embed(SHORT, pool="maen")


def test_long_inputs_are_windows_averaged(folder: Path) -> None:
    loaded = model(folder, "embedding")
    payload = CONTEXT.payload
    pieces = [LONG[:payload], LONG[payload : 2 * payload], LONG[2 * payload : 3 * payload], LONG[-payload:]]
    expected = loaded.embed(pieces).mean(axis=0)
    np.testing.assert_allclose(loaded.embed([LONG])[0], expected, atol=1e-5)


def test_long_inputs_are_refused_where_the_checkpoint_says_so(tmp_path: Path) -> None:
    path = build(tmp_path, "embedding", Context(16, long_records="refuse", add_cls=True))
    with pytest.raises(DataError, match="record '1'"):
        scizoo.load(path).embed(["abc", LONG])


def test_bad_inputs_are_named(folder: Path) -> None:
    loaded = model(folder, "classification")
    with pytest.raises(DataError, match="record '1'"):
        loaded.predict(["abc", 7])
    with pytest.raises(DataError, match="single text"):
        loaded.predict("abc")
    with pytest.raises(scizoo.ScizooError, match="batch_size=0"):
        loaded.embed(["abc"], batch_size=0)


def test_classification(folder: Path) -> None:
    loaded = model(folder, "classification")
    found = loaded.predict([*SHORT, LONG])
    assert found.probability is not None and found.probability.shape == (4, 3)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0, rtol=1e-5)
    assert loaded.classes == ["ant", "bee", "cat"]
    assert found.labels == [loaded.classes[i] for i in found.probability.argmax(axis=1)]
    batch = encode_inputs(ByteTokenizer(), CONTEXT, SHORT)
    joint = JointModel(loaded.checkpoint.backbone, loaded.checkpoint.head)
    with torch.inference_mode():
        expected = joint(batch)["logits"].softmax(dim=-1).numpy()
    np.testing.assert_allclose(found.probability[:3], expected, atol=1e-5)


def test_multilabel(folder: Path) -> None:
    found = model(folder, "multilabel").predict(SHORT)
    assert found.probability is not None
    for labels, row in zip(found.labels, found.probability):
        assert labels == [name for name, p in zip(["wet", "hot"], row) if p >= 0.5]


def test_regression_is_in_the_units_of_the_data(folder: Path) -> None:
    loaded = model(folder, "regression")
    found = loaded.predict(SHORT)
    batch = encode_inputs(ByteTokenizer(), CONTEXT, SHORT)
    joint = JointModel(loaded.checkpoint.backbone, loaded.checkpoint.head)
    with torch.inference_mode():
        raw = joint(batch)
    assert found.mean is not None and found.std is not None and found.quantiles is not None
    np.testing.assert_allclose(found.mean, raw["mean"].numpy() * 2.0 + 5.0, rtol=1e-4)
    np.testing.assert_allclose(found.std, (0.5 * raw["log_variance"]).exp().numpy() * 2.0, rtol=1e-4)
    np.testing.assert_allclose(
        found.quantiles, raw["quantiles"].sort(dim=-1).values.numpy() * 2.0 + 5.0, rtol=1e-4
    )
    frame = loaded.predict_df(SHORT)
    assert list(frame.columns) == ["id", "mean", "std", "quantile_0.1", "quantile_0.9"]


def test_tokens_have_a_label_a_position_also_over_windows(folder: Path) -> None:
    found = model(folder, "tokens").predict([LONG, "abc"])
    assert [len(labels) for labels in found.labels] == [len(LONG), 3]
    assert set(found.labels[0]) <= {"in", "out"}
    assert found.positions is not None and found.positions[0].shape == (len(LONG), 2)


def test_predict_df(folder: Path) -> None:
    loaded = model(folder, "classification")
    expected = loaded.predict(SHORT)
    frame = loaded.predict_df(SHORT)
    names = ["probability_ant", "probability_bee", "probability_cat"]
    assert list(frame.columns) == ["id", "prediction", *names]
    assert frame["id"].tolist() == ["0", "1", "2"]
    np.testing.assert_allclose(frame[names].to_numpy(), expected.probability, atol=1e-6)
    table = pd.DataFrame({"id": ["x", "y", "z"], "text": SHORT}, index=[5, 3, 9])
    frame = loaded.predict_df(table, input="text")
    assert frame["id"].tolist() == ["x", "y", "z"]
    assert frame.index.tolist() == [5, 3, 9]
    assert frame["prediction"].tolist() == expected.labels
    assert loaded.predict_df(table[["text"]])["id"].tolist() == ["5", "3", "9"]
    with pytest.raises(DataError, match=r"no column 'txet'[\s\S]*did you mean 'text'"):
        loaded.predict_df(table, input="txet")
    with pytest.raises(DataError, match="Which column"):
        loaded.predict_df(table)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression", "tokens"])
def test_no_input_gives_no_output(folder: Path, kind: str) -> None:
    loaded = model(folder, kind)
    assert len(loaded.predict([])) == 0
    assert len(loaded.predict_df([])) == 0
    assert loaded.embed([]).shape == (0, 32)


def test_what_a_checkpoint_cannot_do_is_said(folder: Path) -> None:
    with pytest.raises(scizoo.ScizooError, match="cannot predict"):
        model(folder, "embedding").predict(SHORT)
    with pytest.raises(scizoo.ScizooError, match="cannot predict"):
        model(folder, "masked").predict(SHORT)
    with pytest.raises(scizoo.ScizooError, match="cannot score: it is no language model"):
        model(folder, "classification").score(SHORT)
    with pytest.raises(scizoo.ScizooError, match="cannot generate"):
        model(folder, "embedding").generate("abc")
    with pytest.raises(scizoo.ScizooError, match="fills in masked tokens"):
        model(folder, "masked").generate("abc")


def test_pseudo_log_likelihood_masks_each_token_once(folder: Path) -> None:
    loaded = model(folder, "masked")
    found = loaded.score(["abc"])
    total = 0.0
    for place in range(1, 4):
        batch = encode_inputs(ByteTokenizer(), CONTEXT, ["abc"])
        true = int(batch["input_ids"][0, place])
        batch["input_ids"][0, place] = ByteTokenizer.mask_id
        with torch.inference_mode():
            logits = loaded.checkpoint.head(loaded.checkpoint.backbone(batch), batch)["logits"]
        total += float(logits[0, place].log_softmax(dim=-1)[true])
    assert found.shape == (1,)
    np.testing.assert_allclose(found[0], total, rtol=1e-4)
    several = loaded.score([LONG, "abc", "zz"])
    np.testing.assert_allclose(several[1], total, rtol=1e-4)
    pieces = [LONG[start : start + CONTEXT.payload] for start in range(0, len(LONG), CONTEXT.payload)]
    np.testing.assert_allclose(several[0], loaded.score(pieces).sum(), rtol=1e-4)


def test_causal_score_is_the_sum_of_next_token_log_likelihoods(folder: Path) -> None:
    loaded = model(folder, "causal")
    ids = torch.tensor([[2, *(byte + 5 for byte in b"abc")]])
    with torch.inference_mode():
        hidden = loaded.checkpoint.backbone({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        logits = loaded.checkpoint.head(hidden, {})["logits"].log_softmax(dim=-1)
    expected = sum(float(logits[0, place, ids[0, place + 1]]) for place in range(3))
    np.testing.assert_allclose(loaded.score(["zz", "abc"])[1], expected, rtol=1e-4)


def test_generate_is_reproducible_and_continues_the_prompt(folder: Path) -> None:
    loaded = model(folder, "causal")
    once = loaded.generate("abc", max_new_tokens=8, seed=1)
    assert once.startswith("abc") and len(once) > 3
    assert loaded.generate("abc", max_new_tokens=8, seed=1) == once
    assert loaded.generate(["zz", "abc"], max_new_tokens=8, seed=1)[1] == once
    assert loaded.generate("abc", max_new_tokens=8, seed=2) != once
    greedy = {loaded.generate("abc", max_new_tokens=8, temperature=0.0, seed=seed) for seed in (1, 2)}
    assert len(greedy) == 1
    narrow = {loaded.generate("abc", max_new_tokens=8, top_p=1e-6, seed=seed) for seed in (1, 2)}
    assert narrow == greedy


def test_views_are_averaged_where_the_checkpoint_has_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packages" / "scizoo_mirror"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "class Mirror:\n"
        "    def __init__(self, predict=True): self.predict = predict\n"
        "    def views(self, input): return [input, input[::-1]]\n"
    )
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr("scizoo.plugins.installed", lambda: {"mirror": "scizoo_mirror"})
    plain = model(folder, "embedding")
    both = {"_target_": "scizoo_mirror.Mirror"}
    loaded = scizoo.load(build(tmp_path, "embedding", augment=both))
    expected = (plain.embed(["abc"]) + plain.embed(["cba"])) / 2
    np.testing.assert_allclose(loaded.embed(["abc"]), expected, atol=1e-5)
    np.testing.assert_allclose(loaded.embed(["abc"]), loaded.embed(["cba"]), atol=1e-5)
    scored = scizoo.load(build(tmp_path, "masked", augment=both)).score(["abc"])
    one_way = model(folder, "masked").score(["abc", "cba"])
    np.testing.assert_allclose(scored, [one_way.mean()], rtol=1e-4)
    only_training = scizoo.load(build(tmp_path / "t", "embedding", augment={**both, "predict": False}))
    np.testing.assert_allclose(only_training.embed(["abc"]), plain.embed(["abc"]), atol=1e-6)


def test_a_pipeline_learns_on_embeddings(folder: Path) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(letters), 10)) for letters in ("ab", "yz") for _ in range(20)]
    labels = ["early"] * 20 + ["late"] * 20
    pipeline = make_pipeline(model(folder, "embedding").as_transformer(), LogisticRegression(max_iter=1000))
    pipeline.fit(texts[::2], labels[::2])
    assert pipeline.score(texts[1::2], labels[1::2]) == 1.0
    again = pickle.loads(pickle.dumps(pipeline))
    assert again.predict(texts).tolist() == pipeline.predict(texts).tolist()


def test_the_transformer_is_cloned_and_pickled_by_reference(folder: Path) -> None:
    transformer = model(folder, "embedding").transformer(pool="max", batch_size=2)
    expected = transformer.transform(SHORT)
    copy = clone(transformer)
    assert copy.get_params() == transformer.get_params()
    assert copy.get_params()["ref"] == str(folder / "embedding")
    np.testing.assert_array_equal(copy.fit(SHORT).transform(SHORT), expected)
    pickled = pickle.dumps(transformer)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled).transform(SHORT), expected)
    assert transformer.get_feature_names_out().tolist() == [f"embedding{n}" for n in range(32)]
    frame = clone(transformer).set_output(transform="pandas").fit_transform(SHORT)
    assert frame.columns.tolist() == transformer.get_feature_names_out().tolist()
    transformer.set_params(pool="mean")
    assert not np.allclose(transformer.transform(SHORT), expected)
    transformer.set_params(ref=str(folder / "masked"))
    assert transformer._loaded().kind == "language"


def test_list_checkpoints_gives_names_to_load(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scizoo.checkpoints.store import install

    monkeypatch.setenv("SCIZOO_DATA_DIR", str(tmp_path))
    install(folder / "embedding", "test/tiny-dna")
    found = scizoo.list_checkpoints("*dna")
    assert found == ["test/tiny-dna"]
    assert scizoo.load(found[0]).embed(["abc"]).shape == (1, 32)


def test_a_checkpoint_without_a_domain_plugin_says_what_is_missing(tmp_path: Path) -> None:
    path = build(tmp_path, "embedding")
    raw = json.loads((path / "scizoo.json").read_text())
    raw["tokenizer"] = {"_target_": "scizoo_rocks.Tokenizer", "settings": {}}
    (path / "scizoo.json").write_text(json.dumps(raw))
    write_sums(path)
    with pytest.raises(CheckpointError, match=r"scizoo_rocks\.Tokenizer[\s\S]*install the plugin"):
        scizoo.load(path)
