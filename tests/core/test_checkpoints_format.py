"""Saving, loading and verifying whole checkpoints, with real tiny models."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from scizoo.checkpoints import store
from scizoo.checkpoints.card import Card, Figure, TrainingData
from scizoo.checkpoints.format import load_checkpoint, save_checkpoint, verify
from scizoo.checkpoints.reference import encode_inputs
from scizoo.checkpoints.safety import write_sums
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.encoding import Context
from scizoo.data.targets import ClassTarget, RealTarget
from scizoo.errors import CheckpointError, MachineError
from scizoo.models.backbones import Backbone
from scizoo.models.heads import ClassificationHead, RegressionHead
from scizoo.models.objectives import CausalLM, MaskedLM
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.models.transformers_backbone import TransformersBackbone

TEXTS = ["abc", "a sentence that is longer than one window", "zz"]
CONTEXT = Context(16, add_cls=True, add_sep=True)
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def backbone(model_type: str = "bert") -> TransformersBackbone:
    torch.manual_seed(0)
    extra = {"num_key_value_heads": 2} if model_type == "llama" else {}
    return TransformersBackbone.from_config(
        model_type,
        {**SIZES, **extra},
        vocab_size=ByteTokenizer().vocab_size,
        pad_token_id=0,
        max_length=32,
        special_token_ids={"cls": 2, "sep": 3},
    )


def parts(kind: str = "classification") -> dict[str, Any]:
    torch.manual_seed(1)
    body = backbone("llama" if kind == "causal" else "bert")
    given: dict[str, Any] = {
        "backbone": body,
        "tokenizer": ByteTokenizer(),
        "context": CONTEXT,
        "card": Card("test/tiny", "A tiny test.", "MIT", "Tests.", "All else.", command="scizoo finetune x"),
        "domain": "test",
        "reference_inputs": TEXTS,
    }
    if kind == "classification":
        given |= {"head": ClassificationHead(32, 3, dropout=0.5), "target": ClassTarget(["a", "b", "c"])}
    if kind == "regression":
        given |= {"head": RegressionHead(32, 1), "target": RealTarget(mean=[5.0], std=[2.0])}
    if kind == "masked":
        given |= {"head": MaskedLM(32, 261).bind(body)}
    if kind == "causal":
        given |= {"head": CausalLM(32, 261).bind(body)}
    return given


def outputs(body: Backbone, head: nn.Module | None) -> dict[str, torch.Tensor]:
    body.eval()
    batch = encode_inputs(ByteTokenizer(), CONTEXT, TEXTS)
    with torch.inference_mode():
        hidden = body(batch)
        found = {"states": hidden.states}
        if head is not None:
            found.update(head.eval()(hidden, batch))
    return found


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "checkpoint", **parts())


@pytest.mark.parametrize("kind", ["classification", "regression", "masked", "causal", "embedding"])
def test_round_trip_is_bit_for_bit(tmp_path: Path, kind: str) -> None:
    given = parts(kind)
    path = save_checkpoint(tmp_path / "c", **given, seeds=[3], data={"fingerprint": "abc"})
    loaded = load_checkpoint(path)
    expected = outputs(given["backbone"], given.get("head"))
    found = outputs(loaded.backbone, loaded.head)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert loaded.kind == {"masked": "language", "causal": "language"}.get(kind, kind)
    assert loaded.context == CONTEXT
    assert loaded.manifest.seeds == [3]
    assert loaded.manifest.data == {"fingerprint": "abc"}
    assert loaded.tokenizer.fingerprint() == ByteTokenizer().fingerprint()
    if "target" in given:
        assert loaded.target is not None
        assert loaded.target.state() == given["target"].state()
    assert not any(p.requires_grad for p in loaded.backbone.parameters())
    assert verify(path).differences == dict.fromkeys(verify(path).differences, 0.0)


def test_the_files_are_those_of_the_contract(saved: Path) -> None:
    names = {path.name for path in saved.iterdir()}
    assert names >= {
        "README.md",
        "config.json",
        "model.safetensors",
        "head.safetensors",
        "scizoo.json",
        "metrics.json",
        "reference.safetensors",
        "SHA256SUMS",
    }
    assert not [name for name in names if "=" in name]
    assert sorted(path.name for path in saved.parent.iterdir()) == ["checkpoint"]
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=saved, capture_output=True)
    assert done.returncode == 0
    assert (saved / "README.md").read_text().startswith("---\nlicense: mit\n")


def test_the_manifest_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    config = {"data": {"path": str(tmp_path / "mine.csv")}, "run_dir": str(tmp_path / "run"), "seed": 7}
    path = save_checkpoint(tmp_path / "c", **parts(), config=config, data={"path": str(tmp_path)})
    text = (path / "scizoo.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["config"] == {"data": {"path": "mine.csv"}, "seed": 7}
    assert json.loads(text)["versions"]["torch"]


def test_figures_are_in_metrics_and_card(tmp_path: Path) -> None:
    figure = Figure("accuracy", 0.75, "test data", "by group", interval=(0.7, 0.8), seeds=(1,), baseline=0.6)
    path = save_checkpoint(tmp_path / "c", **parts(), figures=[figure])
    stored = json.loads((path / "metrics.json").read_text())["figures"]
    assert stored[0]["value"] == 0.75
    assert stored[0]["interval"] == [0.7, 0.8]
    assert "0.75 [0.7, 0.8]" in (path / "README.md").read_text()


def test_half_size_weights_are_float32_in_memory_and_reproduce(tmp_path: Path) -> None:
    given = parts()
    path = save_checkpoint(tmp_path / "c", **given, dtype="bfloat16")
    stored = load_file(path / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    loaded = load_checkpoint(path)
    assert {p.dtype for p in loaded.backbone.parameters()} == {torch.float32}
    assert set(verify(path).differences.values()) == {0.0}
    name, parameter = next(iter(given["backbone"].model.named_parameters()))
    assert torch.equal(loaded.backbone.model.get_parameter(name), parameter.bfloat16().float())


def test_an_existing_folder_is_never_overwritten_unasked(saved: Path) -> None:
    before = (saved / "SHA256SUMS").read_bytes()
    with pytest.raises(CheckpointError, match="never overwrites"):
        save_checkpoint(saved, **parts("regression"))
    assert (saved / "SHA256SUMS").read_bytes() == before
    save_checkpoint(saved, **parts("regression"), overwrite=True)
    assert load_checkpoint(saved).kind == "regression"


def test_a_failed_save_leaves_nothing_and_keeps_the_old(saved: Path) -> None:
    class Full(ByteTokenizer):
        def save_files(self, folder: Path) -> None:
            (folder / "half.json").write_text("{}")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(MachineError, match="disk is full"):
        save_checkpoint(saved, **{**parts(), "tokenizer": Full()}, overwrite=True)
    assert [path.name for path in saved.parent.iterdir()] == ["checkpoint"]
    assert load_checkpoint(saved).kind == "classification"


def test_a_model_that_diverged_is_not_saved(tmp_path: Path) -> None:
    given = parts()
    with torch.no_grad():
        given["head"].project.weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(tmp_path / "c", **given)
    assert not list(tmp_path.iterdir())


def test_a_class_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    class Mine(ByteTokenizer):
        pass

    with pytest.raises(CheckpointError, match="as its tokenizer"):
        save_checkpoint(tmp_path / "c", **{**parts(), "tokenizer": Mine()})


# -- opening without scizoo ---------------------------------------------------------------------------

WITHOUT = """
import importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("scizoo"):
            raise ImportError("scizoo is not here")
sys.meta_path.insert(0, Blocked())
try:
    import scizoo
except ImportError:
    pass
else:
    raise SystemExit("scizoo could be imported")
import torch
from safetensors.torch import load_file, save_file
batch = load_file(sys.argv[2])
if sys.argv[3] == "timm":
    import timm
    model = timm.create_model("local-dir:" + sys.argv[1], pretrained=True).eval()
    with torch.inference_mode():
        states = model.forward_features(batch["pixel_values"])
else:
    from transformers import AutoModel
    model, info = AutoModel.from_pretrained(sys.argv[1], output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    with torch.inference_mode():
        states = model.eval()(**batch).last_hidden_state
save_file({"states": states.contiguous()}, sys.argv[4])
assert not [name for name in sys.modules if name.startswith("scizoo")]
"""


def opened_without_scizoo(
    path: Path, batch: dict[str, torch.Tensor], library: str, tmp_path: Path
) -> torch.Tensor:
    save_file(batch, tmp_path / "batch.safetensors")
    arguments = [str(path), str(tmp_path / "batch.safetensors"), library, str(tmp_path / "out.safetensors")]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return load_file(tmp_path / "out.safetensors")["states"]


@pytest.mark.parametrize("kind", ["masked", "causal"])
def test_auto_model_opens_the_backbone_without_scizoo(tmp_path: Path, kind: str) -> None:
    path = save_checkpoint(tmp_path / "c", **parts(kind))
    batch = encode_inputs(ByteTokenizer(), CONTEXT, TEXTS)
    loaded = load_checkpoint(path)
    with torch.inference_mode():
        ours = loaded.backbone(batch)
    theirs = opened_without_scizoo(path, batch, "transformers", tmp_path)
    assert torch.allclose(ours.states[ours.mask], theirs[ours.mask], atol=1e-5)


def test_timm_opens_the_backbone_without_scizoo(tmp_path: Path) -> None:
    torch.manual_seed(0)
    body = TimmBackbone.from_config("resnet10t", in_chans=1).eval()
    body.save(tmp_path / "c")
    batch = {"pixel_values": torch.rand(2, 1, 32, 32)}
    with torch.inference_mode():
        ours = body(batch).states
    theirs = opened_without_scizoo(tmp_path / "c", batch, "timm", tmp_path)
    assert torch.allclose(ours, theirs.flatten(2).transpose(1, 2), atol=1e-5)


# -- adapters -----------------------------------------------------------------------------------------


def test_unmerged_lora_is_saved_as_peft_files_and_comes_back(tmp_path: Path) -> None:
    from scizoo.training.adapt import apply_adapt

    given = parts()
    plain = outputs(given["backbone"], given["head"])
    apply_adapt(given["backbone"], {"mode": "lora", "rank": 2})
    with torch.no_grad():
        for name, parameter in given["backbone"].named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    expected = outputs(given["backbone"], given["head"])
    assert not torch.allclose(expected["logits"], plain["logits"], atol=1e-4)
    path = save_checkpoint(tmp_path / "c", **given)
    assert (path / "adapter_config.json").is_file()
    assert (path / "adapter_model.safetensors").is_file()
    assert not [name for name in load_file(path / "model.safetensors") if "lora" in name]
    assert str(tmp_path) not in (path / "adapter_config.json").read_text()
    loaded = load_checkpoint(path)
    found = outputs(loaded.backbone, loaded.head)
    assert torch.equal(found["logits"], expected["logits"])
    assert set(verify(path).differences.values()) == {0.0}


def test_peft_opens_the_adapter_on_the_bare_backbone(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoConfig, BertModel

    from scizoo.training.adapt import apply_adapt

    given = parts()
    apply_adapt(given["backbone"], {"mode": "lora", "rank": 2})
    with torch.no_grad():
        for name, parameter in given["backbone"].named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    path = save_checkpoint(tmp_path / "c", **given)
    bare = BertModel(AutoConfig.from_pretrained(path))
    bare.load_state_dict(load_file(path / "model.safetensors"))
    adapted = PeftModel.from_pretrained(bare, str(path)).eval()
    batch = encode_inputs(ByteTokenizer(), CONTEXT, TEXTS)
    real = batch["attention_mask"].bool()
    with torch.inference_mode():
        states = adapted(**batch).last_hidden_state
        expected = given["backbone"].eval()(batch).states
    assert torch.allclose(states[real], expected[real], atol=1e-5)


def test_an_adapter_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    from scizoo.training.adapt import apply_adapt

    given = parts()
    apply_adapt(given["backbone"], {"mode": "lora", "rank": 2})
    path = save_checkpoint(tmp_path / "c", **given)
    tensors = load_file(path / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    reseal(path)
    with pytest.raises(CheckpointError, match=r"does not fit its backbone: missing"):
        load_checkpoint(path)


# -- refusals that need a whole checkpoint -------------------------------------------------------------


def reseal(path: Path, **changes: Any) -> None:
    """Make a changed checkpoint consistent again, as an attacker would."""
    raw = json.loads((path / "scizoo.json").read_text())
    raw.update(changes)
    raw["files"] = {name: (path / name).stat().st_size for name in raw["files"]}
    (path / "scizoo.json").write_text(json.dumps(raw))
    write_sums(path)


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "subprocess.run", "scizoo.files.sha256_file"]
)
@pytest.mark.parametrize("part", ["backbone", "head", "tokenizer", "target", "augment"])
def test_hostile_targets_are_refused_by_name(saved: Path, part: str, target: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    settings = {"command": f"touch {proof}"}
    reseal(saved, **{part: {"_target_": target, "settings": settings, "state": settings}})
    with pytest.raises(CheckpointError, match=re.escape(f"'{target}'")):
        load_checkpoint(saved)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("part", "target"),
    [
        ("backbone", "torch.nn.Linear"),
        ("head", "scizoo.data.bytes_tokenizer.ByteTokenizer"),
        ("tokenizer", "torch.optim.AdamW"),
        ("augment", "torch.nn.Linear"),
        ("augment", "scizoo.data.bytes_tokenizer.ByteTokenizer"),
    ],
)
def test_allowed_classes_of_the_wrong_kind_are_refused(saved: Path, part: str, target: str) -> None:
    reseal(saved, **{part: {"_target_": target, "settings": {}}})
    with pytest.raises(CheckpointError, match=r"It was refused\."):
        load_checkpoint(saved)


def test_a_nested_target_is_plain_data(saved: Path) -> None:
    raw = json.loads((saved / "scizoo.json").read_text())
    raw["head"]["settings"]["pooling"] = {"_target_": "os.system", "command": "true"}
    reseal(saved, head=raw["head"])
    with pytest.raises(CheckpointError, match="cannot be put together"):
        load_checkpoint(saved)


def test_weights_that_do_not_fit_name_every_tensor(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    lost = next(name for name in tensors if name.endswith("query.weight"))
    tensors["stranger.weight"] = tensors.pop(lost).contiguous()
    save_file(tensors, saved / "model.safetensors", metadata={"format": "pt"})
    reseal(saved)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(saved)
    assert lost in str(caught.value)
    assert "stranger.weight" in str(caught.value)


def test_garbage_in_a_safetensors_file(saved: Path) -> None:
    (saved / "head.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!!")
    reseal(saved)
    with pytest.raises(CheckpointError, match=r"cannot be (put together|read)"):
        load_checkpoint(saved)


def test_changed_weights_fail_verification(saved: Path) -> None:
    tensors = load_file(saved / "head.safetensors")
    tensors["project.bias"] = tensors["project.bias"] + 1.0
    save_file(tensors, saved / "head.safetensors", metadata={"format": "pt"})
    reseal(saved)
    load_checkpoint(saved)
    with pytest.raises(CheckpointError, match="does not give its reference outputs: logits differs"):
        verify(saved)


def test_a_tokenizer_that_changed_fails_verification(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = ByteTokenizer.encode
    monkeypatch.setattr(
        ByteTokenizer, "encode", lambda self, inputs: encode(self, [i.upper() for i in inputs])
    )
    with pytest.raises(CheckpointError, match="encodes the reference inputs otherwise"):
        verify(saved)


def test_the_report_of_a_good_checkpoint(saved: Path) -> None:
    report = verify(saved)
    assert report.files == len(list(saved.iterdir())) - 1
    assert set(report.differences) == {"embedding", "logits"}
    assert "verified" in str(report)
    assert "equal bit for bit" in str(report)
    raw = json.loads((saved / "scizoo.json").read_text())
    reseal(saved, versions={**raw["versions"], "torch": "0.0.1"})
    assert verify(saved).changed_versions["torch"][0] == "0.0.1"
    assert json.loads(json.dumps(verify(saved).to_dict()))["tolerance"] == 1e-3


def test_reference_inputs_are_needed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="needs reference inputs"):
        save_checkpoint(tmp_path / "c", **{**parts(), "reference_inputs": []})


def test_a_copy_anywhere_and_a_name_in_the_store_load_alike(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIZOO_DATA_DIR", str(tmp_path / "data"))
    copy = shutil.copytree(saved, tmp_path / "elsewhere")
    store.install(copy, "test/tiny")
    assert load_checkpoint("test/tiny").manifest == load_checkpoint(saved).manifest
    assert verify(copy.as_uri()).path == copy


def test_training_data_is_on_the_card(tmp_path: Path) -> None:
    given = parts()
    given["card"] = Card(
        "a/b", "s", "MIT", "u", "l", training_data=(TrainingData("corpus", "CC0-1.0", "X 2020"),)
    )
    path = save_checkpoint(tmp_path / "c", **given)
    assert "**corpus**. Licence: CC0-1.0." in (path / "README.md").read_text()
