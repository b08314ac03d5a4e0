"""Forecasting models: futures as targets, quantiles that never cross, next patches, roll-outs, zero-shot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scizoo.data.targets import FutureTarget, RealTarget
from scizoo.data.task import TARGETS, label_budget
from scizoo.errors import ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.continuous import ContinuousBackbone
from scizoo.models.forecast_heads import PatchQuantileHead, RollOutHead
from scizoo.models.forecasting import NextPatchQuantiles
from scizoo.models.heads import ClassificationHead
from scizoo.models.quantiles import (
    DECILES,
    QuantileHead,
    location_scale,
    ordered_quantiles,
    pinball,
    quantile_loss,
)
from scizoo.models.roll_out import extend, roll_out, sample_paths
from scizoo.training.adapt import apply_adapt
from scizoo.training.metrics import loss_weight

WIDTH, PATCH = 16, 4


@pytest.fixture(scope="module")
def backbone() -> ContinuousBackbone:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 16,
    }
    made = ContinuousBackbone.from_config("llama", sizes, features=PATCH, times=1, max_length=12)
    return made.eval()


def batch_of(lengths: tuple[int, ...] = (8, 5, 3), seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    rows, longest = len(lengths), max(lengths)
    mask = (torch.arange(longest)[None] < torch.tensor(lengths)[:, None]).long()
    return {
        "values": torch.randn(rows, longest, PATCH),
        "observed": torch.ones(rows, longest, PATCH),
        "times": torch.arange(longest).float()[None].repeat(rows, 1) * 2.0,
        "loc": mask * torch.tensor([10.0, -3.0, 0.0])[:rows, None],
        "scale": mask * torch.tensor([2.0, 0.5, 100.0])[:rows, None],
        "attention_mask": mask,
        "index": torch.arange(rows),
    }


class Repeats(nn.Module):
    """A backbone whose states are the values themselves, so that forecasts can be worked out by hand."""

    causal, max_length, hidden_size = True, None, PATCH

    def forward(self, batch: dict[str, Tensor]) -> Hidden:
        return Hidden(batch["values"], batch["attention_mask"].bool())


def repeating(step: float = 0.0, levels: tuple[float, ...] = (0.25, 0.5, 0.75)) -> NextPatchQuantiles:
    """An objective that says: the last patch again plus a step, with quantiles at fixed distances."""
    made = NextPatchQuantiles(PATCH, PATCH, quantiles=levels)
    with torch.no_grad():
        made.project.weight.zero_()
        made.project.bias.zero_()
        for value in range(PATCH):
            place = len(levels) * value + len(levels) // 2
            made.project.weight[place, value] = 1.0
            made.project.bias[place] = step
    return made.eval()


# --- targets ---------------------------------------------------------------------------------------------


def test_futures_keep_their_units_and_their_gaps():
    target = TARGETS["forecast"]()
    assert isinstance(target, FutureTarget) and not target.discrete
    target.fit([[1.0, 2.0, 3.0], np.array([1e9, np.nan, 5.0])])
    encoded = target.encode([[1e9 + 1, None, 7]])
    assert encoded.dtype == np.float64 and encoded[0, 0] == 1e9 + 1 and np.isnan(encoded[0, 1])
    assert target.outputs == 3 and FutureTarget.from_state(target.state()).outputs == 3
    assert np.array_equal(target.decode(encoded), encoded, equal_nan=True)


@pytest.mark.parametrize(
    ("future", "words"),
    [
        ([1.0, 2.0], "future of 2 steps"),
        ([np.nan] * 3, "no value of its future is known"),
        ([1.0, np.inf, 2.0], "infinite"),
        (["a", "b", "c"], "no sequence of numbers"),
        (None, "no sequence of numbers"),
    ],
)
def test_a_wrong_future_is_named(future, words):
    target = FutureTarget(3)
    with pytest.raises(DataError, match=words) as caught:
        target.encode([[1.0, 2.0, 3.0], future], ["record 'a'", "record 'b'"])
    assert "record 'b'" in str(caught.value)


def test_a_label_is_a_window_and_series_take_turns():
    groups = np.array(["long"] * 90 + [f"s{i}" for i in range(10)], dtype=object)
    data: Any = SimpleNamespace(
        rows=lambda part: np.arange(100),
        target=FutureTarget(2),
        split=SimpleNamespace(groups=groups),
        targets=np.zeros((100, 2)),
    )
    first = label_budget(data, 11, seed=0)
    assert len(set(groups[first])) == 11, "every series once, however many windows another one has"
    assert len(set(groups[label_budget(data, 30, seed=0)])) == 11
    assert not np.array_equal(label_budget(data, 5, seed=0), label_budget(data, 5, seed=1))


# --- the head --------------------------------------------------------------------------------------------


def test_quantiles_never_cross_whatever_the_states():
    torch.manual_seed(0)
    head = QuantileHead(WIDTH, 5, quantiles=(0.01, 0.1, 0.5, 0.8, 0.99), inner=8).eval()
    for size in (1e-3, 1.0, 1e3):
        states = Hidden(size * torch.randn(20, 6, WIDTH), torch.ones(20, 6, dtype=torch.bool))
        batch = {"loc": torch.full((20, 6), 1e5), "scale": torch.full((20, 6), 1e-2)}
        said = head.predict(head(states, batch))["quantiles"]
        assert said.shape == (20, 5, 5) and (said.diff(dim=-1) >= 0).all()
    assert (ordered_quantiles(1e4 * torch.randn(50, 9), 4).diff(dim=-1) >= 0).all()


def test_quantiles_begin_as_those_of_a_standard_normal():
    head = QuantileHead(WIDTH, 2)
    with torch.no_grad():
        head.project.weight.zero_()
    said = head(Hidden(torch.zeros(1, 1, WIDTH), torch.ones(1, 1, dtype=torch.bool)), {})["quantiles"]
    expected = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(DECILES))
    torch.testing.assert_close(said[0, 0], expected, atol=1e-5, rtol=1e-5)


def test_the_loss_is_least_at_the_true_quantiles():
    torch.manual_seed(0)
    levels = torch.tensor([0.1, 0.5, 0.9])
    truth = torch.randn(100_000)
    right = torch.distributions.Normal(0.0, 1.0).icdf(levels)
    best = pinball(right.expand(len(truth), -1), truth, levels).mean(0)
    for shift in (-0.2, 0.2):
        worse = pinball((right + shift).expand(len(truth), -1), truth, levels).mean(0)
        assert (worse > best).all()
    # By hand: level 0.9, truth 1 above: 2 * 0.9 * 1; 1 below: 2 * 0.1 * 1.
    by_hand = pinball(torch.tensor([[0.0], [0.0]]), torch.tensor([1.0, -1.0]), torch.tensor([0.9]))
    torch.testing.assert_close(by_hand[:, 0], torch.tensor([1.8, 0.2]))


def test_unknown_steps_count_in_neither_loss_nor_gradient():
    torch.manual_seed(0)
    head = QuantileHead(WIDTH, 3)
    states = Hidden(torch.randn(2, 4, WIDTH), torch.ones(2, 4, dtype=torch.bool))
    outputs = head(states, {})
    full = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    gaps = full.clone()
    gaps[0, 1:] = torch.nan
    loss = head.loss(outputs, {"target": gaps})
    known = torch.isfinite(gaps)
    expected = pinball(outputs["quantiles"], full, head.levels).mean(-1)[known].mean()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    assert loss_weight("forecast", outputs, {"target": gaps}) == 4
    nothing = torch.full((2, 3), torch.nan)
    assert quantile_loss(outputs["quantiles"], nothing, head.levels).item() == 0.0
    with pytest.raises(DataError, match=r"\[2, 2\]"):
        head.loss(outputs, {"target": full[:, :2]})


def test_loss_is_in_scaled_and_predictions_are_in_own_units(backbone):
    torch.manual_seed(0)
    head, batch = QuantileHead(WIDTH, 3).eval(), batch_of()
    outputs = head(backbone(batch), batch)
    torch.testing.assert_close(outputs["loc"], torch.tensor([10.0, -3.0, 0.0]))
    torch.testing.assert_close(outputs["scale"], torch.tensor([2.0, 0.5, 100.0]))
    said = head.predict(outputs)["quantiles"]
    torch.testing.assert_close(said[1], outputs["quantiles"][1] * 0.5 - 3.0)
    # A series in other units has the same loss.
    target = said[..., 4].detach() + outputs["scale"][:, None]
    larger = {**outputs, "loc": outputs["loc"] * 1000, "scale": outputs["scale"] * 1000}
    torch.testing.assert_close(
        head.loss(outputs, {"target": target}), head.loss(larger, {"target": target * 1000})
    )


def test_a_special_token_has_no_scale_and_does_not_count():
    states = Hidden(torch.zeros(1, 3, WIDTH), torch.ones(1, 3, dtype=torch.bool))
    batch = {"loc": torch.tensor([[0.0, 5.0, 0.0]]), "scale": torch.tensor([[0.0, 2.0, 0.0]])}
    assert [float(one) for one in location_scale(batch, states)] == [5.0, 2.0]
    batch["scale"].zero_()
    assert [float(one) for one in location_scale(batch, states)] == [0.0, 1.0]


@pytest.mark.parametrize("levels", [(0.1, 0.9), (0.5, 0.5), (0.0, 0.5)])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ConfigError, match=r"head\.quantiles"):
        QuantileHead(WIDTH, 2, quantiles=levels)


def test_settings_give_the_same_head_again():
    head = QuantileHead(WIDTH, 3, quantiles=(0.2, 0.5, 0.8), pooling="mean", inner=4)
    again = QuantileHead(WIDTH, 3, **head.settings())
    again.load_state_dict(head.state_dict())
    assert again.settings() == head.settings()
    objective = NextPatchQuantiles(WIDTH, PATCH, quantiles=(0.2, 0.5, 0.8), ahead=2, inner=4)
    NextPatchQuantiles(WIDTH, PATCH, **objective.settings()).load_state_dict(objective.state_dict())


# --- the objective ---------------------------------------------------------------------------------------


def test_next_patches_stay_within_their_series_and_skip_gaps():
    objective = NextPatchQuantiles(WIDTH, PATCH, ahead=2)
    batch = batch_of((4, 2))
    batch["observed"][0, 2, 1] = 0
    target = objective.prepare(batch)["target"]
    assert target.shape == (2, 4, 2 * PATCH)
    torch.testing.assert_close(target[0, 0, :PATCH], batch["values"][0, 1])
    assert torch.isnan(target[0, 1, 1]) and torch.isnan(target[0, 0, PATCH + 1])
    torch.testing.assert_close(target[0, 1, PATCH:], batch["values"][0, 3])
    assert torch.isnan(target[0, 3]).all() and torch.isnan(target[1, 1]).all(), "nothing follows the last"
    torch.testing.assert_close(target[1, 0, :PATCH], batch["values"][1, 1])
    assert torch.isnan(target[1, 0, PATCH:]).all()
    batch["channel"] = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0]])
    assert torch.isnan(objective.prepare(batch)["target"][0, 1]).all(), "another channel is no future"


def test_packed_series_do_not_flow_into_each_other():
    objective = NextPatchQuantiles(WIDTH, PATCH)
    row = {"values": torch.randn(1, 5, PATCH), "cu_seqlens": torch.tensor([0, 2, 5])}
    known = torch.isfinite(objective.prepare(row)["target"]).all(-1)[0]
    assert known.tolist() == [True, False, True, True, False]


def test_where_scales_differ_each_position_predicts_in_its_own_units():
    objective = NextPatchQuantiles(WIDTH, PATCH)
    batch = batch_of((3,))
    batch["loc"], batch["scale"] = torch.tensor([[0.0, 10.0, 10.0]]), torch.tensor([[1.0, 4.0, 4.0]])
    target = objective.prepare(batch)["target"]
    torch.testing.assert_close(target[0, 0], batch["values"][0, 1] * 4.0 + 10.0)
    torch.testing.assert_close(target[0, 1], batch["values"][0, 2])


def test_the_objective_learns_and_needs_a_causal_backbone(backbone):
    torch.manual_seed(0)
    objective = NextPatchQuantiles(WIDTH, PATCH).bind(backbone)
    batch = objective.prepare(batch_of())
    batch["target"] = torch.where(
        torch.isfinite(batch["target"]), torch.full_like(batch["target"], 3.0), torch.nan
    )
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        outputs = objective(backbone(batch), batch)
        loss = objective.loss(outputs, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert float(outputs["loss_weight"]) == torch.isfinite(batch["target"]).sum()
    with pytest.raises(ConfigError, match="causal"):
        objective.bind(SimpleNamespace(causal=False))
    with pytest.raises(DataError, match="patch length"):
        objective.prepare({"values": torch.zeros(1, 2, PATCH + 1)})


# --- roll-outs -------------------------------------------------------------------------------------------


def test_a_rolled_out_median_is_what_one_works_out_by_hand():
    batch = {"values": torch.arange(8.0).reshape(1, 2, PATCH), "attention_mask": torch.ones(1, 2)}
    found = roll_out(Repeats(), repeating(step=1.0), batch, 10, feed="median")
    median = found["quantiles"][0, :, 1]
    expected = torch.tensor([5.0, 6, 7, 8, 6, 7, 8, 9, 7, 8])
    torch.testing.assert_close(median, expected)


def test_followed_quantiles_widen_and_a_fed_median_does_not():
    batch = {"values": torch.zeros(1, 2, PATCH), "attention_mask": torch.ones(1, 2)}
    widths = {}
    for feed in ("median", "quantiles"):
        said = roll_out(Repeats(), repeating(levels=DECILES), batch, 4 * PATCH, feed=feed)["quantiles"][0]
        assert (said.diff(dim=-1) >= 0).all()
        widths[feed] = (said[:, -1] - said[:, 0])[::PATCH]
    assert torch.allclose(widths["median"], widths["median"][0].expand(4))
    assert widths["quantiles"][1] > widths["quantiles"][0] and widths["quantiles"][3] > widths["quantiles"][1]


def test_padding_and_company_do_not_change_a_roll_out(backbone):
    torch.manual_seed(0)
    objective, batch = NextPatchQuantiles(WIDTH, PATCH, ahead=2).eval(), batch_of()
    for feed in ("median", "quantiles"):
        together = roll_out(backbone, objective, batch, 30, feed=feed)
        for row, length in enumerate((8, 5, 3)):
            alone = {
                key: value[row : row + 1, :length] if value.ndim > 1 else value[row : row + 1]
                for key, value in batch.items()
            }
            one = roll_out(backbone, objective, alone, 30, feed=feed)
            torch.testing.assert_close(one["quantiles"][0], together["quantiles"][row], atol=1e-4, rtol=1e-4)


def test_extending_goes_on_in_time_and_drops_the_oldest():
    batch = batch_of((4, 2))
    batch["masked"] = torch.zeros(2, 4, dtype=torch.bool)
    new = torch.full((2, 2, PATCH), 7.0)
    longer = extend(batch, new)
    assert longer["values"].shape == (2, 6, PATCH)
    torch.testing.assert_close(longer["values"][1, :2], batch["values"][1, :2])
    assert (longer["values"][1, 2:4] == 7).all() and (longer["values"][1, 4:] == 0).all()
    assert longer["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert longer["times"].tolist() == [[0, 2, 4, 6, 8, 10], [0, 2, 4, 6, 0, 0]]
    assert longer["scale"][1].tolist() == [0.5] * 4 + [0, 0]
    assert torch.equal(longer["index"], batch["index"])
    shorter = extend(batch, new, longest=4)
    assert shorter["values"].shape == (2, 4, PATCH)
    torch.testing.assert_close(shorter["values"][0, :2], batch["values"][0, 2:])
    known = extend(batch, new, future={"times": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
    assert known["times"][1].tolist() == [0, 2, 3, 4, 0, 0]


def test_sample_paths_are_seeded_and_have_the_predicted_quantiles(backbone):
    torch.manual_seed(0)
    objective, batch = NextPatchQuantiles(WIDTH, PATCH, ahead=2).eval(), batch_of()
    drawn = [
        sample_paths(backbone, objective, batch, 20, 400, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert drawn[0].shape == (3, 400, 20) and torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    said = objective.predict(roll_out(backbone, objective, batch, 8))["quantiles"]
    share = (drawn[0][..., :8] <= said[:, None, :, 2]).float().mean()
    assert share == pytest.approx(0.3, abs=0.03)


# --- zero-shot -------------------------------------------------------------------------------------------


def test_zero_shot_trains_nothing_and_cuts_or_rolls_out(backbone):
    torch.manual_seed(0)
    objective, batch = NextPatchQuantiles(WIDTH, PATCH, ahead=2).eval(), batch_of()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    head = objective.zero_shot(backbone, FutureTarget(11))
    assert isinstance(head, RollOutHead) and head.outputs == 11 and head.inner is objective
    said = head.predict(head(backbone(batch), batch))["quantiles"]
    assert said.shape == (3, 11, 9) and not said.requires_grad
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())
    assert not any("backbone" in name for name in head.state_dict())
    report = apply_adapt(backbone, "none")
    assert report.trainable == 0 and "nothing is trained" in str(report)
    with pytest.raises(ConfigError, match="cannot predict a regression target"):
        objective.zero_shot(backbone, RealTarget())
    with pytest.raises(ConfigError, match="adapt=none"):
        ClassificationHead(WIDTH, 2).zero_shot(backbone, FutureTarget(3))


def test_a_fitted_head_forecasts_other_horizons_too(backbone):
    torch.manual_seed(0)
    head, batch = QuantileHead(WIDTH, 6).eval(), batch_of()
    assert head.zero_shot(backbone, FutureTarget(6)) is head
    own = head(backbone(batch), batch)["quantiles"]
    for steps in (2, 13):
        other = head.zero_shot(backbone, FutureTarget(steps))
        said = other(backbone(batch), batch)["quantiles"]
        assert said.shape[1] == steps
        torch.testing.assert_close(said[:, : min(4, steps)], own[:, : min(4, steps)])
    with pytest.raises(ConfigError, match="in patches of 4"):
        few = QuantileHead(WIDTH, 3).eval().zero_shot(backbone, FutureTarget(5))
        few(backbone(batch), batch)


def test_a_new_head_begins_as_the_zero_shot_forecast(backbone):
    torch.manual_seed(0)
    objective, batch = NextPatchQuantiles(WIDTH, PATCH, ahead=2, inner=8).eval(), batch_of()
    hidden = backbone(batch)
    head = QuantileHead(WIDTH, 6, inner=8).eval()
    assert head.inherit(objective)
    torch.testing.assert_close(
        head(hidden, batch)["quantiles"], objective.next_quantiles(hidden, batch)[:, :6]
    )
    longer = QuantileHead(WIDTH, 20, inner=8).eval()
    assert longer.inherit(objective)
    said = longer(hidden, batch)["quantiles"]
    torch.testing.assert_close(said[:, 19], said[:, 7])
    for other in (
        QuantileHead(WIDTH, 6),
        QuantileHead(WIDTH, 6, inner=8, pooling="mean"),
        QuantileHead(WIDTH, 6, inner=8, quantiles=(0.1, 0.5, 0.9)),
    ):
        weights = other.project.weight.clone()
        assert not other.inherit(objective) and torch.equal(weights, other.project.weight)


def test_fine_tuning_by_patches_begins_as_zero_shot_and_learns_the_future(backbone):
    torch.manual_seed(0)
    objective, batch = NextPatchQuantiles(WIDTH, PATCH, ahead=2).eval(), batch_of()
    settings = PatchQuantileHead.fitted({}, backbone)
    assert settings == {"patch": PATCH}
    head = PatchQuantileHead(WIDTH, 14, ahead=2, **settings)
    with pytest.raises(ConfigError, match="call bind"):
        head(backbone(batch), batch)
    head.bind(backbone)
    assert head.inherit(objective) and not head.inherit(NextPatchQuantiles(WIDTH, PATCH, ahead=1))
    said = head.eval()(backbone(batch), batch)["quantiles"]
    zero = objective.zero_shot(backbone, FutureTarget(14))(backbone(batch), batch)["quantiles"]
    torch.testing.assert_close(said, zero)
    # In training each known patch of the future is given, and what follows it is wanted.
    target = torch.randn(3, 14) * batch["scale"][:, :1] + batch["loc"][:, :1]
    target[1, 2] = torch.nan
    outputs = head.train()(backbone(batch), {**batch, "target": target})
    assert outputs["quantiles"].shape == (3, 4, 2 * PATCH, 9) and outputs["future"].shape == (3, 4, 2 * PATCH)
    scaled = (target - batch["loc"][:, :1]) / batch["scale"][:, :1]
    torch.testing.assert_close(outputs["future"][0, 0], scaled[0, :8])
    torch.testing.assert_close(outputs["future"][0, 1], scaled[0, 4:12])
    assert torch.isnan(outputs["future"][1, 0, 2]) and torch.isnan(outputs["future"][0, 3, 2:]).all()
    # The first forecast sees the history alone, as when it predicts; the second sees the first patch.
    torch.testing.assert_close(outputs["quantiles"][:, 0], said[:, :8], atol=1e-4, rtol=1e-4)
    longer = extend(batch, scaled[:, :4].nan_to_num(0.0)[:, None])
    longer["observed"][1, 5, 2] = 0
    second = objective.next_quantiles(backbone(longer), longer)
    torch.testing.assert_close(outputs["quantiles"][:, 1], second, atol=1e-4, rtol=1e-4)
    loss = head.loss(outputs, {"target": target})
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in head.parameters())
    again = PatchQuantileHead(WIDTH, 14, **head.settings())
    again.load_state_dict(head.state_dict())
    assert again.settings() == head.settings() and not any("backbone" in key for key in head.state_dict())
    other = head.eval().zero_shot(backbone, FutureTarget(5))
    torch.testing.assert_close(other(backbone(batch), batch)["quantiles"], said[:, :5])
