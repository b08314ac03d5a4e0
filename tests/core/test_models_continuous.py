"""Backbones for numbers: what they see, what they must not see, and how they are saved."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from scizoo.checkpoints.adapters import load_adapters, save_adapters
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.models.backbones import Backbone, build_backbone, load_backbone
from scizoo.models.continuous import ContinuousBackbone
from scizoo.models.continuous_inputs import TimeEncoding
from scizoo.models.objectives import build_objective
from scizoo.models.reconstruction import MaskedValues, visible_statistics
from scizoo.training.adapt import apply_adapt
from scizoo.training.module import ScizooModule

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
KINDS = ("modernbert", "bert", "llama", "gpt_neox")


class Sizes(Tokenizer):
    """Only says how wide its inputs are."""

    main_input = "values"

    def encode(self, inputs):
        return {}

    def settings(self):
        return {}

    def fingerprint(self):
        return "sizes"

    def input_sizes(self):
        return {"features": 3, "times": 1, "channels": 4, "in_chans": 7}


def backbone(kind: str = "modernbert", **inputs) -> ContinuousBackbone:
    torch.manual_seed(0)
    found = ContinuousBackbone.from_config(
        kind, SMALL, max_length=32, **{"features": 3, "times": 1, "channels": 4, **inputs}
    )
    return found.eval()


def batch(rows: int = 3, length: int = 10, seed: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[0, length // 2 :] = 0
    return {
        "values": torch.randn(rows, length, 3, generator=draw),
        "observed": (torch.rand(rows, length, 3, generator=draw) < 0.8).float(),
        "times": torch.rand(rows, length, 1, generator=draw) * 100,
        "channel": torch.randint(0, 4, (rows, length), generator=draw),
        "attention_mask": mask,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_states_see_values_times_and_channels_and_no_padding(kind: str) -> None:
    model, given = backbone(kind), batch()
    hidden = model(given)
    assert hidden.states.shape == (3, 10, 32)
    assert torch.equal(hidden.mask, given["attention_mask"].bool())
    assert model.causal == (kind in ("llama", "gpt_neox"))
    assert not model.supports_packing
    padded = {**given, "values": given["values"].clone()}
    padded["values"][0, 5:] = 1e3
    torch.testing.assert_close(model(padded).states[hidden.mask], hidden.states[hidden.mask])
    for key, other in (("values", 5.0), ("times", 50.0)):
        changed = {**given, key: given[key] + other}
        assert not torch.allclose(model(changed).states[1], hidden.states[1])
    changed = {**given, "channel": (given["channel"] + 1) % 4}
    assert not torch.allclose(model(changed).states[1], hidden.states[1])


@pytest.mark.parametrize("kind", ["modernbert", "llama"])
def test_unmeasured_and_masked_values_do_not_enter(kind: str) -> None:
    model, given = backbone(kind), batch()
    seen = given["observed"] > 0
    other = {**given, "values": torch.where(seen, given["values"], torch.tensor(float("nan")))}
    assert torch.equal(model(other).states, model(given).states)
    masked = torch.zeros(3, 10, dtype=torch.bool)
    masked[:, 3] = True
    one = {**given, "masked": masked}
    two = {**one, "values": given["values"] + 7.0 * masked[..., None]}
    assert torch.equal(model(one).states, model(two).states)
    assert not torch.allclose(model(one).states[1], model(given).states[1])


def test_a_decoder_does_not_look_ahead() -> None:
    model, given = backbone("llama"), batch()
    later = {**given, "values": given["values"].clone()}
    later["values"][:, 6:] += 3.0
    torch.testing.assert_close(model(later).states[:, :6], model(given).states[:, :6])


def test_wrong_batches_are_refused_by_name() -> None:
    model, given = backbone(), batch()
    for key in ("values", "times", "channel"):
        with pytest.raises(DataError, match=f"'{key}'"):
            model({name: value for name, value in given.items() if name != key})
    with pytest.raises(DataError, match=r"'values' of shape"):
        model({**given, "values": given["values"][..., :2]})
    with pytest.raises(DataError, match="exceeds the context"):
        model(batch(length=40))
    with pytest.raises(ConfigError, match="embedded inputs"):
        ContinuousBackbone.from_config("vit", {"hidden_size": 32, "num_attention_heads": 4})
    with pytest.raises(ConfigError, match="shortest_period"):
        backbone(shortest_period=10.0, longest_period=1.0)


def test_time_encoding_is_periodic_and_its_periods_can_be_learned() -> None:
    torch.manual_seed(0)
    fixed = TimeEncoding(8, 1, 5, 2.0, 32.0, False)
    assert torch.allclose(fixed.log_period.exp(), torch.tensor([[2.0, 4.0, 8.0, 16.0, 32.0]]))
    times = torch.rand(2, 6, 1) * 10
    torch.testing.assert_close(fixed(times + 32.0), fixed(times), atol=1e-4, rtol=1e-4)
    assert fixed(times.bfloat16()).dtype == torch.float32
    assert "log_period" in dict(TimeEncoding(8, 1, 5, 2.0, 32.0, True).named_parameters())


def test_the_tokenizer_gives_the_sizes() -> None:
    target = "scizoo.models.continuous.ContinuousBackbone.from_config"
    cfg = {"_target_": target, "model_type": "bert", "features": 1, "times": 0, "config": SMALL}
    built = build_backbone(cfg, Sizes(), max_length=20)
    assert isinstance(built, ContinuousBackbone)
    assert (built.inputs.features, built.inputs.times, built.inputs.channels) == (3, 1, 4)
    assert built.max_length == 20
    assert build_objective({"_target_": "scizoo.models.reconstruction.MaskedValues"}, built).outputs == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_it_comes_back_from_disk_and_the_library_opens_its_part(kind: str, dtype, tmp_path) -> None:
    model, given = backbone(kind, learn_periods=True), batch()
    model.save(tmp_path, dtype=dtype)
    again = load_backbone(tmp_path).eval()
    assert isinstance(again, ContinuousBackbone)
    assert again.inputs.settings() == model.inputs.settings()
    assert again.load_report is not None
    assert again.load_report.complete or kind == "bert"
    assert any(name.startswith("inputs.embed") for name in again.load_report.loaded)
    if dtype is None:
        assert torch.equal(again(given).states, model(given).states)
    theirs = AutoModel.from_pretrained(tmp_path).eval()
    embedded = again.inputs(given)
    mask = given["attention_mask"]
    states = theirs(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(states[mask.bool()], again(given).states[mask.bool()], atol=2e-5, rtol=1e-4)


def test_damaged_input_layers_are_refused(tmp_path) -> None:
    backbone().save(tmp_path)
    tensors = load_file(tmp_path / "inputs.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "masked"}, tmp_path / "inputs.safetensors")
    with pytest.raises(CheckpointError, match="masked"):
        load_backbone(tmp_path)
    settings = json.loads((tmp_path / "inputs.json").read_text())
    (tmp_path / "inputs.json").write_text(json.dumps(settings | {"depth": 3}))
    with pytest.raises(CheckpointError, match=r"inputs\.json"):
        load_backbone(tmp_path)


def test_adaptation(tmp_path) -> None:
    given = batch()
    model = backbone()
    before = model(given).states
    report = apply_adapt(model, {"mode": "lora", "rank": 2})
    assert 0 < report.trainable < report.total
    torch.testing.assert_close(model(given).states, before)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    model.save(tmp_path, adapters="leave_out")
    save_adapters(model, tmp_path)
    again = load_backbone(tmp_path).eval()
    torch.testing.assert_close(again(given).states, before)
    load_adapters(again, tmp_path)
    torch.testing.assert_close(again(given).states, model(given).states)
    other = backbone()
    apply_adapt(other, "scratch", seed=5)
    assert not torch.equal(other.inputs.masked, backbone().inputs.masked)
    assert not torch.allclose(other(given).states, before)
    apply_adapt(other, "probe")
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_every_parameter_gets_a_gradient() -> None:
    for given in (batch(), {**batch(), "masked": torch.ones(3, 10, dtype=torch.bool)}):
        model = backbone(learn_periods=True).train()
        model(given).states.square().sum().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


def objective(**settings) -> tuple[Backbone, MaskedValues]:
    model = backbone()
    torch.manual_seed(1)
    return model, MaskedValues(32, 3, **settings).bind(model).eval()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_masked_values_hide_an_exact_share_and_leak_nothing() -> None:
    model, head = objective(fraction=0.4)
    given = batch(4, 20)
    made = head.prepare(given, seeded())
    eligible = (given["observed"] > 0).any(-1) & given["attention_mask"].bool()
    for row in range(4):
        assert int(made["masked"][row].sum()) == int(0.4 * int(eligible[row].sum()) + 0.5)
    assert not (made["masked"] & ~eligible).any()
    hidden = made["masked"][..., None].expand(given["values"].shape)
    assert made["values"][hidden].abs().max() == 0
    assert made["observed"][hidden].abs().max() == 0
    assert torch.equal(made["target"].isnan(), ~(hidden & (given["observed"] > 0)))
    changed = {**given, "values": torch.where(hidden, given["values"] + 9, given["values"])}
    again = head.prepare(changed, seeded())
    assert torch.equal(model(again).states, model(made).states)
    outputs = head(model(made), made)
    assert torch.equal(outputs["target"], given["values"][~made["target"].isnan()])
    assert outputs["prediction"].shape == outputs["reference"].shape == outputs["target"].shape


def test_masked_spans_and_columns() -> None:
    _, head = objective(fraction=0.5, mean_length=4.0, shortest=3, longest=6, columns=[0])
    given = {**batch(8, 30), "observed": torch.ones(8, 30, 3), "attention_mask": torch.ones(8, 30)}
    made = head.prepare(given, seeded())
    runs = "".join("x" if one else " " for row in made["masked"].tolist() for one in [*row, False]).split()
    assert min(map(len, runs)) >= 3
    assert 0.4 < made["masked"].float().mean() <= 0.5
    assert made["target"][..., 1:].isnan().all()
    assert not made["target"][..., 0].isnan().all()
    assert head.settings()["columns"] == [0]
    with pytest.raises(ConfigError, match="columns"):
        objective(columns=[3])


def test_the_reference_is_the_mean_of_what_is_visible() -> None:
    values = torch.tensor([[[1.0], [3.0], [10.0], [99.0], [20.0]]])
    observed = torch.tensor([[[1.0], [1.0], [1.0], [0.0], [1.0]]])
    given = {
        "values": values,
        "observed": observed,
        "channel": torch.tensor([[0, 0, 1, 1, 1]]),
        "weight": torch.tensor([[1.0, 3.0, 1.0, float("nan"), 1.0]]),
    }
    center, _ = visible_statistics(given)
    torch.testing.assert_close(center[0, :, 0], torch.tensor([2.5, 2.5, 15.0, 15.0, 15.0]))
    lonely = {**given, "channel": torch.tensor([[0, 0, 1, 2, 1]])}
    assert visible_statistics(lonely)[0][0, 3, 0] == pytest.approx((1 + 9 + 10 + 20) / 6)


@pytest.mark.parametrize("loss", ["squared", "huber", "gaussian"])
def test_weights_weigh_and_losses_are_finite(loss: str) -> None:
    model, head = objective(loss=loss, fraction=0.5)
    weight = torch.ones(3, 10, 3)
    weight[..., 1:] = 0.0
    given = {**batch(), "weight": weight}
    made = head.prepare(given, seeded())
    hidden = model(made)
    outputs = head(hidden, made)
    value = head.loss(outputs, made)
    assert torch.isfinite(value)
    only = outputs["entry_weight"] > 0
    torch.testing.assert_close(value, outputs["entry_loss"][only].mean())
    assert float(outputs["loss_weight"]) == int(only.sum())
    free = head(model(batch()), batch())
    assert free["values"].shape == (3, 10, 3)
    assert all(torch.isfinite(value).all() for value in head.predict(free).values())


@torch.no_grad()
def test_validation_figures_are_weighted_and_exact() -> None:
    model, head = objective(fraction=0.5)
    module = ScizooModule(model, head, optimizer={"lr": 1e-3}, schedule={"name": "constant", "warmup": 0})
    squares = references = total = 0.0
    for seed in range(2):
        made = head.prepare(batch(3 + seed, 10, seed), seeded(seed))
        outputs = head(model(made), made)
        module.validation_metrics.update(outputs, made)
        squares += float(((outputs["prediction"] - outputs["target"]) ** 2).sum())
        references += float(((outputs["reference"] - outputs["target"]) ** 2).sum())
        total += len(outputs["target"])
    found = module.validation_metrics.compute(1.0)
    assert found["rmse"] == pytest.approx((squares / total) ** 0.5, rel=1e-4)
    assert found["reference_rmse"] == pytest.approx((references / total) ** 0.5, rel=1e-4)
    assert found["skill"] == pytest.approx(1 - squares / references, abs=1e-4)
