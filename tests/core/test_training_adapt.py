"""Full, LoRA, probe and scratch on backbones of transformers and timm."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scizoo.checkpoints.adapters import has_adapters, load_adapters, save_adapters
from scizoo.errors import CheckpointError, ConfigError
from scizoo.models.backbones import Backbone
from scizoo.models.heads import ClassificationHead, TokenHead
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.training.adapt import apply_adapt, merge_lora
from scizoo.training.features import FeatureBackbone, cached_features, can_cache

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def build(kind: str) -> tuple[Backbone, dict[str, Tensor]]:
    torch.manual_seed(0)
    if kind == "vit":
        vit = TimmBackbone.from_config(
            "vit_tiny_patch16_224", img_size=32, embed_dim=24, depth=2, num_heads=2
        )
        return vit.eval(), {"pixel_values": torch.randn(2, 3, 32, 32)}
    if kind == "resnet":
        net = TimmBackbone.from_config("resnet10t")
        return net.eval(), {"pixel_values": torch.randn(2, 3, 32, 32)}
    config = {**TINY, "num_key_value_heads": 2} if kind == "llama" else TINY
    if kind == "gpt2":
        config = {"n_embd": 16, "n_layer": 2, "n_head": 2}
    backbone = TransformersBackbone.from_config(kind, config, vocab_size=20, pad_token_id=0, max_length=32)
    ids = torch.randint(5, 20, (2, 7))
    return backbone.eval(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def train_a_little(backbone: Backbone, batch: dict[str, Tensor]) -> None:
    trained = [p for p in backbone.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.02, weight_decay=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        (backbone(batch).states.float() ** 3).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["bert", "modernbert", "llama", "gpt2", "vit", "resnet"])
def test_lora_starts_equal_trains_only_itself_and_merges_equal(kind: str) -> None:
    backbone, batch = build(kind)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        original = backbone(batch).states
    report = apply_adapt(backbone, {"mode": "lora", "rank": 2, "alpha": 8, "merge": True})
    assert report.targets
    assert 0 < report.trainable < report.total
    with torch.no_grad():
        torch.testing.assert_close(backbone(batch).states, original, rtol=0, atol=0)

    train_a_little(backbone, batch)
    for name, value in backbone.state_dict().items():
        if "lora_" not in name:
            assert torch.equal(value, before[name.replace(".base_layer", "")]), name
    with torch.no_grad():
        adapted = backbone(batch).states
        assert (adapted - original).abs().max() > 1e-3
        assert merge_lora(backbone) == len(report.targets)
        torch.testing.assert_close(backbone(batch).states, adapted, rtol=0, atol=1e-5)
    assert not has_adapters(backbone)
    assert list(backbone.state_dict()) == list(before)


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_adapter_files_load_back(kind: str, tmp_path: Path) -> None:
    backbone, batch = build(kind)
    bare = copy.deepcopy(backbone)
    apply_adapt(backbone, {"mode": "lora", "rank": 2})
    train_a_little(backbone, batch)
    save_adapters(backbone, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    load_adapters(bare, tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(bare(batch).states, backbone(batch).states, rtol=0, atol=0)


def test_adapter_files_are_pefts_own(tmp_path: Path) -> None:
    from peft import PeftModel

    backbone, batch = build("bert")
    plain = copy.deepcopy(backbone)
    apply_adapt(backbone, {"mode": "lora", "rank": 2})
    train_a_little(backbone, batch)
    save_adapters(backbone, tmp_path)
    opened = PeftModel.from_pretrained(plain.model, str(tmp_path)).eval()
    with torch.no_grad():
        theirs = opened(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        torch.testing.assert_close(theirs, backbone(batch).states, rtol=0, atol=1e-6)


def test_adapter_of_another_architecture_is_refused(tmp_path: Path) -> None:
    small, _ = build("bert")
    apply_adapt(small, {"mode": "lora", "rank": 2})
    save_adapters(small, tmp_path)
    wide = TransformersBackbone.from_config(
        "bert", {**TINY, "hidden_size": 32}, vocab_size=20, pad_token_id=0, max_length=32
    )
    with pytest.raises(CheckpointError, match="adapter in"):
        load_adapters(wide, tmp_path)
    other, _ = build("vit")
    with pytest.raises((CheckpointError, ConfigError)):
        load_adapters(other, tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"})[:-3])
    with pytest.raises(CheckpointError, match="cannot be put"):
        load_adapters(small, tmp_path)


def test_given_target_modules_are_used_and_wrong_ones_refused() -> None:
    backbone, _ = build("bert")
    report = apply_adapt(backbone, {"mode": "lora", "target_modules": ["query"]})
    assert len(report.targets) == 2
    assert all(name.endswith("query") for name in report.targets)
    fresh, _ = build("bert")
    with pytest.raises(ConfigError, match="target_modules"):
        apply_adapt(fresh, {"mode": "lora", "target_modules": ["nothing"]})
    with pytest.raises(ConfigError, match="already"):
        apply_adapt(backbone, {"mode": "lora"})


def test_modes_and_keys_are_checked() -> None:
    backbone, _ = build("bert")
    with pytest.raises(ConfigError, match="did you mean 'lora'"):
        apply_adapt(backbone, "lorra")
    with pytest.raises(ConfigError, match=r"adapt\.rnk"):
        apply_adapt(backbone, {"mode": "lora", "rnk": 4})


def test_probe_freezes_everything() -> None:
    backbone, _ = build("bert")
    assert apply_adapt(backbone, "probe").trainable == 0
    assert apply_adapt(backbone, "full").trainable == sum(p.numel() for p in backbone.parameters())


@pytest.mark.parametrize("kind", ["bert", "llama", "vit"])
def test_scratch_draws_new_weights_by_seed(kind: str) -> None:
    backbone, batch = build(kind)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    state = torch.get_rng_state()
    report = apply_adapt(backbone, {"mode": "scratch", "seed": None}, seed=3)
    assert report.seed == 3
    assert torch.equal(torch.get_rng_state(), state), "the global random state must not move"
    first = {name: value.clone() for name, value in backbone.state_dict().items()}
    changed = [name for name in before if not torch.equal(before[name], first[name])]
    assert any("weight" in name for name in changed)
    apply_adapt(backbone, {"mode": "scratch", "seed": 3})
    assert all(torch.equal(value, first[name]) for name, value in backbone.state_dict().items())
    apply_adapt(backbone, {"mode": "scratch", "seed": 4})
    assert not torch.equal(backbone.state_dict()[changed[0]], first[changed[0]])
    with torch.no_grad():
        assert torch.isfinite(backbone(batch).states).all()


class Windows:
    """The face of an EncodedDataset over random tokens."""

    main_input = "input_ids"

    def __init__(self, count: int):
        self.pad_values = {"input_ids": 0}
        draw = np.random.default_rng(0)
        self.rows = [draw.integers(5, 20, draw.integers(2, 9)) for _ in range(count)]
        self.lengths = np.array([len(row) for row in self.rows])
        self.record_index = np.arange(count) // 2

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        return {"input_ids": self.rows[number]}


def test_features_are_computed_once_and_are_what_the_head_pools(tmp_path: Path) -> None:
    backbone, _ = build("bert")
    apply_adapt(backbone, "probe")
    backbone.train()
    head = ClassificationHead(16, 3)
    windows = Windows(11)
    calls: list[int] = []
    handle = backbone.register_forward_hook(lambda *_: calls.append(1))
    features = cached_features(backbone, head, windows, folder=tmp_path, key="k", batch_size=4)
    assert len(calls) == 3
    assert backbone.training
    again = cached_features(backbone, head, windows, folder=tmp_path, key="k", batch_size=4)
    assert len(calls) == 3, "features that are on disk must not be computed again"
    assert isinstance(features.features, np.memmap)
    np.testing.assert_array_equal(features.features, again.features)
    np.testing.assert_array_equal(features.record_index, windows.record_index)

    ids = torch.from_numpy(windows.rows[5])[None]
    backbone.eval()
    with torch.no_grad():
        hidden = backbone({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        direct = head(hidden, {})["logits"]
        rows = torch.from_numpy(features[5]["features"])[None]
        cached = head(FeatureBackbone(16)({"features": rows}), {})["logits"]
    torch.testing.assert_close(cached, direct, rtol=1e-4, atol=1e-5)

    handle.remove()
    with torch.no_grad():
        next(iter(backbone.parameters())).add_(1.0)
    other = cached_features(backbone, head, windows, folder=tmp_path, key="k")
    assert not np.allclose(other.features, features.features), "other weights need other features"


def test_trained_pooling_and_token_heads_cannot_be_cached(tmp_path: Path) -> None:
    assert can_cache(ClassificationHead(16, 2, pooling="max"))
    assert not can_cache(TokenHead(16, 2))
    backbone, _ = build("bert")
    with pytest.raises(ConfigError, match="pooling"):
        cached_features(backbone, ClassificationHead(16, 2, pooling="attention"), Windows(2), folder=tmp_path)


def test_scratch_refuses_what_it_cannot_initialise() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ConfigError, match="reinitialise"):
        apply_adapt(Odd(), "scratch")
