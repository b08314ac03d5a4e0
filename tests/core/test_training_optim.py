"""Decay groups, learning rates by depth, schedules."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from scizoo.errors import ConfigError, TrainingError
from scizoo.models.backbones import Backbone
from scizoo.models.heads import ClassificationHead
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.training.optim import build_optimizer, parameter_groups, repeated_blocks
from scizoo.training.schedule import Schedule

TINY = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
SETTINGS = {"lr": 1e-3, "weight_decay": 0.1}


@pytest.fixture(scope="module")
def bert() -> Backbone:
    return TransformersBackbone.from_config("bert", TINY, vocab_size=20, pad_token_id=0, max_length=32)


def _decayed_names(model: nn.Module, groups: list[dict]) -> set[str]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)] for group in groups if group["weight_decay"] for p in group["params"] if id(p) in names
    }


def test_only_matrices_that_are_no_embeddings_are_decayed(bert: Backbone) -> None:
    head = ClassificationHead(16, 3)
    groups = parameter_groups(bert, head, SETTINGS)
    decayed = _decayed_names(bert, groups)
    for name, parameter in bert.named_parameters():
        expected = parameter.ndim == 2 and "embeddings" not in name
        assert (name in decayed) == expected, name
    assert _decayed_names(head, groups) == {"project.weight"}
    given = sum(p.numel() for group in groups for p in group["params"])
    assert given == sum(p.numel() for m in (bert, head) for p in m.parameters())


def test_embeddings_are_decayed_when_asked_for(bert: Backbone) -> None:
    groups = parameter_groups(bert, ClassificationHead(16, 3), {**SETTINGS, "decay_embeddings": True})
    assert any("word_embeddings" in name for name in _decayed_names(bert, groups))


def test_class_token_and_positions_of_timm_are_not_decayed() -> None:
    vit = TimmBackbone.from_config("vit_tiny_patch16_224", img_size=32, embed_dim=24, depth=2, num_heads=2)
    decayed = _decayed_names(vit, parameter_groups(vit, ClassificationHead(24, 2), SETTINGS))
    assert "model.blocks.0.attn.qkv.weight" in decayed
    assert not {"model.cls_token", "model.pos_embed", "model.norm.weight"} & decayed


def test_blocks_are_found_in_transformers_and_in_nested_stages_of_timm(bert: Backbone) -> None:
    assert [name for name, _ in repeated_blocks(bert)] == [f"model.encoder.layer.{i}" for i in range(3)]
    convnext = TimmBackbone.from_config("convnext_atto", depths=[1, 2, 1, 1], dims=[8, 8, 8, 8])
    names = [name for name, _ in repeated_blocks(convnext)]
    assert "model.stages.1.blocks.1" in names


def test_tied_weights_are_optimised_once_and_as_the_backbones(bert: Backbone) -> None:
    head = nn.Linear(16, 20)
    head.weight = bert.input_embeddings().weight
    groups = parameter_groups(bert, head, {**SETTINGS, "head_lr_multiplier": 10})
    where = [group for group in groups for p in group["params"] if p is head.weight]
    assert len(where) == 1
    assert where[0]["name"].startswith("backbone")


def test_head_multiplier_and_layer_decay_set_learning_rates(bert: Backbone) -> None:
    head = ClassificationHead(16, 3)
    settings = {**SETTINGS, "head_lr_multiplier": 10, "layer_decay": 0.5}
    rates = {id(p): g["lr"] for g in parameter_groups(bert, head, settings) for p in g["params"]}
    named = dict(bert.named_parameters())
    layer = "model.encoder.layer.{}.attention.self.query.weight"
    assert rates[id(head.project.weight)] == pytest.approx(1e-2)
    assert rates[id(named[layer.format(2)])] == pytest.approx(0.5e-3)
    assert rates[id(named[layer.format(0)])] == pytest.approx(0.125e-3)
    assert rates[id(named["model.embeddings.word_embeddings.weight"])] == pytest.approx(0.0625e-3)


def test_nothing_trainable_is_told() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(TrainingError, match="trainable"):
        parameter_groups(frozen, nn.Identity(), SETTINGS)


def test_optimizer_takes_betas_and_is_fused_unless_gradients_are_scaled() -> None:
    body, head = nn.Linear(2, 2), nn.Linear(2, 2)
    settings = {**SETTINGS, "betas": [0.8, 0.9], "fused": "auto"}
    optimizer = build_optimizer(body, head, settings)
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    assert optimizer.defaults["fused"] is True
    assert build_optimizer(body, head, settings, scaled=True).defaults["fused"] is False


def test_wrong_options_of_an_optimizer_name_the_class() -> None:
    with pytest.raises(ConfigError, match=r"torch\.optim\.SGD refuses"):
        build_optimizer(
            nn.Linear(2, 2), nn.Identity(), {"_target_": "torch.optim.SGD", "lr": 1, "betas": [0, 1]}
        )
    with pytest.raises(ConfigError, match="lr"):
        build_optimizer(nn.Linear(2, 2), nn.Identity(), {"lr": 0})


def test_cosine_warms_up_peaks_and_ends_at_final() -> None:
    schedule = Schedule("cosine", warmup=10, final=0.1, total_steps=110)
    values = [schedule(step) for step in range(111)]
    assert values[0] == pytest.approx(1 / 11)
    assert values[10] == 1.0
    assert values[60] == pytest.approx(0.1 + 0.9 * 0.5)
    assert values[110] == pytest.approx(0.1)
    assert all(a < b for a, b in pairwise(values[:11]))
    assert all(a > b for a, b in pairwise(values[10:]))


def test_wsd_is_flat_and_then_falls_by_a_root() -> None:
    schedule = Schedule("wsd", warmup=0.1, decay=0.2, total_steps=100)
    assert [schedule(step) for step in (10, 50, 80)] == [1.0, 1.0, 1.0]
    assert schedule(90) == pytest.approx(1 - math.sqrt(0.5))
    assert schedule(100) == 0.0


def test_linear_and_constant() -> None:
    assert Schedule("linear", warmup=0, total_steps=10)(5) == pytest.approx(0.5)
    constant = Schedule("constant", warmup=4)
    assert [constant(step) for step in (0, 3, 4, 1000)] == pytest.approx([0.2, 0.8, 1.0, 1.0])
    assert not constant.needs_total


@pytest.mark.parametrize("settings", [{"name": "cosin"}, {"warm_up": 3}, {"warmup": -1}, {"final": 2}])
def test_wrong_schedules_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match="schedule"):
        Schedule.from_config(settings)


def test_schedule_state_is_plain_numbers() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)
    state = torch.optim.lr_scheduler.LambdaLR(optimizer, Schedule(total_steps=5)).state_dict()
    assert state["lr_lambdas"] == [
        {"name": "cosine", "warmup": 0.05, "decay": 0.2, "final": 0.0, "total_steps": 5}
    ]
