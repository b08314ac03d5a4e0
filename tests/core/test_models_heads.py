"""Heads, poolings and the account of loaded tensors."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.models.backbones import Hidden
from scizoo.models.heads import ClassificationHead, MultiLabelHead, RegressionHead, TokenHead
from scizoo.models.initialise import load_into, read_weights
from scizoo.models.pooling import POOLINGS, build_pool

WIDTH = 16


def hidden(rows: int = 4, length: int = 6, seed: int = 0) -> Hidden:
    torch.manual_seed(seed)
    mask = torch.arange(length)[None] < torch.tensor([length, 3, 1, 5])[:rows, None]
    return Hidden(torch.randn(rows, length, WIDTH), mask)


def scrambled(seen: Hidden) -> Hidden:
    """The same states at real positions, rubbish in the padding."""
    rubbish = torch.full_like(seen.states, 1e4)
    rubbish[1] = torch.nan
    return Hidden(torch.where(seen.mask[..., None], seen.states, rubbish), seen.mask)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_ignores_padding(name):
    torch.manual_seed(0)
    pool, seen = build_pool(name, WIDTH), hidden()
    if name == "attention":
        torch.nn.init.normal_(pool.score[2].weight)
    pooled = pool(seen)
    torch.testing.assert_close(pool(scrambled(seen)), pooled)
    for row in range(4):
        real = Hidden(
            seen.states[row : row + 1, seen.mask[row]],
            torch.ones(1, int(seen.mask[row].sum()), dtype=torch.bool),
        )
        torch.testing.assert_close(pool(real)[0], pooled[row])
    # Padding on the left counts as little, and an empty row gives zeros.
    flipped = Hidden(
        torch.cat([torch.full_like(seen.states, 7.0), seen.states], 1),
        torch.cat([torch.zeros_like(seen.mask), seen.mask], 1),
    )
    torch.testing.assert_close(pool(flipped), pooled)
    empty = pool(Hidden(seen.states, torch.zeros_like(seen.mask)))
    assert not empty.any()


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_a_packed_row_gives_one_vector_a_sequence(name):
    pool, seen = build_pool(name, WIDTH), hidden()
    borders = torch.cat([torch.zeros(1, dtype=torch.long), seen.mask.sum(1).cumsum(0)]).int()
    row = seen.states[seen.mask][None]
    together = Hidden(row, torch.ones(1, row.shape[1], dtype=torch.bool), borders)
    torch.testing.assert_close(pool(together), pool(seen))


def test_attention_pool_starts_as_the_mean():
    seen = hidden()
    torch.testing.assert_close(build_pool("attention", WIDTH)(seen), build_pool("mean", WIDTH)(seen))


def test_unknown_pooling_is_named():
    with pytest.raises(ConfigError, match="'mean'"):
        build_pool("meen", WIDTH)


HEADS = [
    (
        ClassificationHead,
        3,
        {
            "pooling": "max",
            "dropout": 0.1,
            "inner": 5,
            "class_weights": [1.0, 2.0, 0.5],
            "label_smoothing": 0.1,
        },
    ),
    (MultiLabelHead, 3, {"pooling": "attention", "positive_weights": [1.0, 2.0, 3.0]}),
    (RegressionHead, 2, {"quantiles": [0.9, 0.1, 0.5], "beta": 0.5, "inner": 4}),
    (TokenHead, 3, {"dropout": 0.2, "class_weights": [1.0, 2.0, 0.5]}),
]


@pytest.mark.parametrize(("head_class", "outputs", "given"), HEADS)
def test_settings_give_the_same_head_again(head_class, outputs, given):
    head = head_class(WIDTH, outputs, **given).eval()
    again = head_class(hidden_size=WIDTH, outputs=outputs, **head.settings()).eval()
    again.load_state_dict(head.state_dict())
    seen = hidden()
    for name, value in head(seen, {}).items():
        torch.testing.assert_close(again(seen, {})[name], value)
    assert again.settings() == head.settings()


@pytest.mark.parametrize(("head_class", "outputs", "given"), HEADS)
def test_every_head_learns(head_class, outputs, given):
    torch.manual_seed(0)
    head, seen = head_class(WIDTH, outputs, **{**given, "dropout": 0.0}), hidden()
    target = {
        "classification": torch.tensor([0, 1, 2, 1]),
        "multilabel": torch.tensor([[0, 1, math.nan], [1, 0, 0], [1, 1, 1], [0, 0, 1]]),
        "regression": torch.tensor([[0.1, -1.0], [1.0, math.nan], [0.0, 2.0], [-2.0, 0.3]]),
        "tokens": torch.where(seen.mask, torch.arange(6)[None] % 3, -100),
    }[head.kind]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        losses.append(head.loss(head(seen, {}), {"target": target}))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.3 and losses[-1].isfinite()


def test_classification_loss_is_torchs_and_skips_what_has_no_label():
    head, seen = ClassificationHead(WIDTH, 3, class_weights=[1.0, 2.0, 0.5], label_smoothing=0.2), hidden()
    target = torch.tensor([0, 2, -100, 1])
    out = head(seen, {})
    expected = torch.nn.functional.cross_entropy(
        out["logits"], target, weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.2
    )
    torch.testing.assert_close(head.loss(out, {"target": target}), expected)
    assert head.loss(out, {"target": torch.full((4,), -100)}).item() == 0.0
    torch.testing.assert_close(head.predict(out)["probability"].sum(1), torch.ones(4))


def test_unknown_labels_do_not_count():
    head, seen = MultiLabelHead(WIDTH, 2), hidden()
    out = head(seen, {})
    known = torch.tensor([[0.0, 1.0], [1.0, math.nan], [math.nan, math.nan], [0.0, 0.0]])
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        out["logits"], known.nan_to_num(), reduction="none"
    )
    torch.testing.assert_close(head.loss(out, {"target": known}), each[~known.isnan()].mean())
    loss = head.loss(out, {"target": torch.full((4, 2), math.nan)})
    loss.backward()
    assert loss.item() == 0.0 and head.project.weight.grad.isfinite().all()


def test_regression_loss_is_the_gaussian_likelihood():
    head, seen = RegressionHead(WIDTH, 2), hidden()
    out = head(seen, {})
    target = torch.tensor([[0.0, 1.0], [math.nan, 3.0], [1.0, 1.0], [2.0, -1.0]])
    spread = torch.distributions.Normal(out["mean"], (0.5 * out["log_variance"]).exp())
    expected = -spread.log_prob(target.nan_to_num())[~target.isnan()].mean()
    torch.testing.assert_close(head.loss(out, {"target": target}), expected)
    torch.testing.assert_close(head.predict(out)["variance"], spread.variance)


def test_predicted_variance_stays_within_its_limits():
    head, seen = RegressionHead(WIDTH, 1), hidden()
    with torch.no_grad():
        head.project.weight.mul_(1e6)
    out = head(seen, {})
    assert float(out["log_variance"].min()) >= -10.0 and float(out["log_variance"].max()) <= 6.0
    assert head.loss(out, {"target": torch.zeros(4)}).isfinite()


def test_quantiles_come_out_in_order_and_are_learned():
    torch.manual_seed(0)
    head = RegressionHead(WIDTH, 1, quantiles=[0.1, 0.5, 0.9])
    states = Hidden(torch.zeros(512, 1, WIDTH), torch.ones(512, 1, dtype=torch.bool))
    target = torch.randn(512)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        head.loss(head(states, {}), {"target": target}).backward()
        optimizer.step()
    found = head.predict(head(states, {}))["quantiles"][0, 0]
    torch.testing.assert_close(found, target.quantile(torch.tensor([0.1, 0.5, 0.9])), atol=0.15, rtol=0)
    crossed = head.predict(
        {"mean": target, "log_variance": target, "quantiles": torch.tensor([[[3.0, 1.0, 2.0]]])}
    )
    assert crossed["quantiles"].tolist() == [[[1.0, 2.0, 3.0]]]


def test_positions_without_a_label_do_not_count():
    head, seen = TokenHead(WIDTH, 3), hidden()
    out = head(seen, {})
    target = torch.where(seen.mask, 1, -100)
    expected = -out["logits"].log_softmax(-1)[..., 1][seen.mask].mean()
    torch.testing.assert_close(head.loss(out, {"target": target}), expected)
    with pytest.raises(DataError, match="one label a position"):
        head.loss(out, {"target": target[:, :3]})


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClassificationHead(WIDTH, 3, class_weights=[1.0]),
        lambda: MultiLabelHead(WIDTH, 3, positive_weights=[1.0]),
        lambda: RegressionHead(WIDTH, 1, quantiles=[1.0]),
        lambda: TokenHead(WIDTH, 0),
    ],
)
def test_wrong_settings_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_missing_target_is_named():
    head = ClassificationHead(WIDTH, 2)
    with pytest.raises(DataError, match="target"):
        head.loss(head(hidden(), {}), {})


def two_layers() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


def test_load_into_reports_and_refuses_in_full():
    module = two_layers()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    tensors = {
        "0.weight": torch.ones(4, 3),
        "1.weight": torch.ones(5, 4),
        "1.bias": torch.ones(2),
        "2.bias": torch.ones(1),
    }
    with pytest.raises(CheckpointError) as caught:
        load_into(module, tensors)
    for part in ("0.bias", "2.bias", "1.weight: [5, 4] there, [2, 4] here"):
        assert part in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    with pytest.raises(CheckpointError, match=r"2\.bias"):
        load_into(module, tensors, allow_missing=["0.*"], allow_reshaped=["1.*"])
    report = load_into(
        module, tensors, allow_missing=["0.*"], allow_reshaped=["1.*"], allow_unexpected=["2.*"]
    )
    assert report.loaded == ["0.weight", "1.bias"] and report.missing == ["0.bias"] and not report.complete
    assert report.reshaped == {"1.weight": ((5, 4), (2, 4))} and sorted(report.allowed) == [
        "0.bias",
        "1.weight",
        "2.bias",
    ]
    assert torch.equal(module[0].weight, torch.ones(4, 3)) and torch.equal(
        module[1].weight, before["1.weight"]
    )
    assert str(report).startswith("2 of 4 tensors loaded")


def test_weights_are_read_whole_or_in_shards(tmp_path):
    module = two_layers()
    state = module.state_dict()
    names = list(state)
    save_file({name: state[name] for name in names[:2]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: state[name] for name in names[2:]}, tmp_path / "model-00002-of-00002.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    parts = ", ".join(f'"{n}": "model-0000{1 + (i > 1)}-of-00002.safetensors"' for i, n in enumerate(names))
    index.write_text('{"weight_map": {' + parts + "}}")
    assert load_into(two_layers(), tmp_path).complete
    index.write_text('{"weight_map": {"a": "../model.safetensors"}}')
    with pytest.raises(CheckpointError, match="outside"):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path)
    with pytest.raises(CheckpointError, match="holds no"):
        read_weights(tmp_path / "nowhere")


class NamedClasses(ClassificationHead):
    """A head that knows its classes by name."""

    def __init__(self, hidden_size: int, outputs: int, *, classes: list[str]):
        super().__init__(hidden_size, outputs)
        self.classes = classes


def test_a_head_that_takes_classes_gets_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from scizoo.data.targets import ClassTarget
    from scizoo.models import heads
    from scizoo.models.transformers_backbone import TransformersBackbone
    from scizoo.training.build import build_head

    monkeypatch.setattr(NamedClasses, "__module__", heads.__name__)
    monkeypatch.setattr(heads, "NamedClasses", NamedClasses, raising=False)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    backbone = TransformersBackbone.from_config("bert", sizes, vocab_size=8)
    target = ClassTarget(["late", "early"])
    head = build_head({"head": {"_target_": "scizoo.models.heads.NamedClasses"}}, backbone, target)
    assert head.classes == ["late", "early"]
    plain = build_head({"head": {"_target_": "scizoo.models.heads.ClassificationHead"}}, backbone, target)
    assert plain.outputs == 2
