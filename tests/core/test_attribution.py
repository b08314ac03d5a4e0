"""Attributions: they add up, find what was planted, and reach the pictures of reports."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn

from scizoo.cli import main
from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.encoding import encode_records
from scizoo.data.records import Record
from scizoo.data.units import add_up, characters_of_bytes, deal_out
from scizoo.data.windows import Context
from scizoo.evaluation.attribution import attribute_worst, record_scores, shown_in_study
from scizoo.evaluation.colouring import (
    break_at_spaces,
    explained,
    first_line,
    layout_cells,
    signed_colours,
)
from scizoo.evaluation.outputs import Attribution, Outputs
from scizoo.evaluation.report.render import schema
from scizoo.evaluation.worst import worst_rows
from scizoo.models.attribution import explains, integrated_gradients
from scizoo.models.continuous import ContinuousBackbone
from scizoo.models.heads import ClassificationHead, MultiLabelHead, RegressionHead
from scizoo.models.timm_backbone import TimmBackbone
from scizoo.models.transformers_backbone import TransformersBackbone
from scizoo.training.adapt import add_lora

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}

SIDE = 32


def tokens(model_type: str = "bert") -> TransformersBackbone:
    torch.manual_seed(1)
    return TransformersBackbone.from_config(model_type, SMALL, 40, 0, 64, {"cls": 2, "sep": 3})


def numbers() -> ContinuousBackbone:
    torch.manual_seed(2)
    return ContinuousBackbone.from_config("modernbert", SMALL, features=3, times=1, channels=2, max_length=64)


def pixels(architecture: str) -> TimmBackbone:
    torch.manual_seed(3)
    if architecture.startswith("vit"):
        sizes = {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    else:
        sizes = {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]}
    return TimmBackbone.from_config(architecture, in_chans=2, **sizes)


def loud(head: nn.Module) -> nn.Module:
    """Let a new head say something, for a change that is nearly 0 tests nothing."""
    with torch.no_grad():
        head.project.weight.normal_(0.0, 2.0)
    return head


def batch_for(backbone) -> dict[str, torch.Tensor]:
    drawn = torch.Generator().manual_seed(5)
    if backbone.input_key == "input_ids":
        ids = torch.randint(5, 40, (1, 12), generator=drawn)
        ids[0, 0], ids[0, -1] = 2, 3
        return {"input_ids": ids, "attention_mask": torch.ones(1, 12, dtype=torch.long)}
    if backbone.input_key == "pixel_values":
        return {
            "pixel_values": torch.rand(1, 1, 2, SIDE, SIDE, generator=drawn),
            "attention_mask": torch.ones(1, 1, dtype=torch.long),
        }
    return {
        "values": torch.randn(1, 9, 3, generator=drawn),
        "observed": (torch.rand(1, 9, 3, generator=drawn) > 0.2).float(),
        "times": torch.rand(1, 9, 1, generator=drawn),
        "channel": torch.zeros(1, 9, dtype=torch.long),
        "attention_mask": torch.ones(1, 9, dtype=torch.long),
    }


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: tokens("bert"), (12,)),
        (lambda: tokens("modernbert"), (12,)),
        (lambda: tokens("llama"), (12,)),
        (numbers, (9, 3)),
        (lambda: pixels("vit_tiny_patch16_224"), (1, 2, SIDE, SIDE)),
        (lambda: pixels("convnext_atto"), (1, 2, SIDE, SIDE)),
    ],
    ids=["bert", "modernbert", "llama", "numbers", "vit", "convnext"],
)
@pytest.mark.parametrize("kind", [ClassificationHead, MultiLabelHead, RegressionHead])
def test_scores_add_up_to_the_change_of_the_output(make, shape, kind):
    backbone = make().train()
    torch.manual_seed(4)
    head = loud(kind(backbone.hidden_size, 3, dropout=0.5)).train()
    batch = batch_for(backbone)
    found = integrated_gradients(backbone, head, batch, 1, mask_id=4, kept=(1, 1))
    assert found.scores.shape == shape
    assert abs(found.change) > 0.02
    assert found.scores.sum() == pytest.approx(found.change, abs=0.02 * np.abs(found.scores).sum())
    # the network is left as it was found
    assert backbone.training and head.training
    assert all(one.requires_grad and one.grad is None for one in backbone.parameters())
    if shape == (12,):
        assert found.scores[0] == found.scores[-1] == 0  # special tokens stay as they are


def test_the_change_is_that_of_the_network_itself():
    backbone, batch = tokens().eval(), batch_for(tokens())
    head = loud(ClassificationHead(32, 3)).eval()
    found = integrated_gradients(backbone, head, batch, 2, mask_id=4, kept=(1, 1))
    masked = {**batch, "input_ids": batch["input_ids"].clone()}
    masked["input_ids"][0, 1:-1] = 4
    with torch.no_grad():
        ends = [float(head(backbone(one), one)["logits"][0, 2]) for one in (batch, masked)]
    assert found.change == pytest.approx(ends[0] - ends[1], abs=1e-5)


def test_what_was_not_measured_adds_nothing_and_adapters_are_passed_through():
    backbone, batch = numbers(), batch_for(numbers())
    head = loud(ClassificationHead(32, 2))
    found = integrated_gradients(backbone, head, batch, 0)
    assert (found.scores[batch["observed"][0].numpy() == 0] == 0).all()
    adapted = tokens().requires_grad_(False)
    add_lora(adapted, {"rank": 2}, seed=0)
    found = integrated_gradients(adapted, loud(ClassificationHead(32, 2)), batch_for(adapted), 0, mask_id=4)
    assert found.gap < 0.05 and np.abs(found.scores).sum() > 0


class Reads(nn.Module):
    """Trained on records of which one place decides."""

    def __init__(self, backbone, outputs: int = 2):
        super().__init__()
        self.backbone, self.head = backbone, ClassificationHead(backbone.hidden_size, outputs, pooling="mean")

    def learn(self, batch: dict[str, torch.Tensor], target: torch.Tensor, steps: int, rate: float = 3e-3):
        optimizer = torch.optim.Adam(self.parameters(), rate)
        for _ in range(steps):
            optimizer.zero_grad()
            outputs = self.head(self.backbone(batch), batch)
            loss = self.head.loss(outputs, {"target": target})
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2
        return self.eval()


def test_the_token_that_decides_has_the_largest_score():
    drawn = np.random.default_rng(0)
    texts = ["".join(drawn.choice(list("bcdefgh"), 10)) for _ in range(64)]
    places = drawn.integers(0, 10, 64)
    texts = [text[:p] + "ax"[n % 2] + text[p + 1 :] for n, (text, p) in enumerate(zip(texts, places))]
    tokenizer = ByteTokenizer()
    torch.manual_seed(0)
    backbone = TransformersBackbone.from_config(
        "bert", SMALL, tokenizer.vocab_size, 0, 64, {"cls": 2, "sep": 3}
    )
    ids = torch.from_numpy(tokenizer.encode(texts)["input_ids"].values.reshape(64, 10).astype(np.int64))
    ids = torch.nn.functional.pad(ids, (1, 0), value=2)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    model = Reads(backbone).learn(batch, torch.arange(64) % 2, 60)
    records = [Record(f"r{n}", text) for n, text in enumerate(texts[:6])]
    encoded = encode_records(records, tokenizer, context=Context(16, add_cls=True))
    outputs = Outputs(  # all of them said to be wrong, so that all are explained
        ids=[one.id for one in records],
        groups=[one.id for one in records],
        targets=np.array([1, 0] * 3),
        kind="classification",
        classes=("has a", "has x"),
        probability=np.array([[0.9, 0.1], [0.1, 0.9]] * 3),
    )
    parts = (model.backbone, model.head, tokenizer)
    found = attribute_worst(outputs, *parts, encoded, np.arange(6), records, 6)
    assert set(found) == {one.id for one in records}
    for number in range(6):
        one = found[f"r{number}"]
        assert one.output == ("has a", "has x")[number % 2] and one.units.shape == (10,)
        assert int(one.units.argmax()) == places[number] and one.units.max() > 0


def test_the_pixel_that_decides_has_the_largest_score():
    torch.manual_seed(0)
    pictures = 0.1 * torch.rand(32, 1, 1, 16, 16)
    pictures[::2, :, :, 5, 11] = 3.0
    backbone = TimmBackbone.from_config(
        "vit_tiny_patch16_224",
        in_chans=1,
        img_size=16,
        patch_size=4,
        embed_dim=32,
        depth=1,
        num_heads=2,
    )
    batch = {"pixel_values": pictures}
    model = Reads(backbone).learn(batch, torch.arange(32) % 2, 60)
    found = integrated_gradients(model.backbone, model.head, {"pixel_values": pictures[:1]}, 0)
    assert np.unravel_index(found.scores[0, 0].argmax(), (16, 16)) == (5, 11)
    assert found.scores.max() > 5 * np.median(np.abs(found.scores))


def test_the_number_that_decides_has_the_largest_score():
    torch.manual_seed(0)
    values = 0.3 * torch.randn(32, 8, 2)
    values[::2, 3, 1] = 4.0
    backbone = ContinuousBackbone.from_config("bert", SMALL, features=2, max_length=16)
    model = Reads(backbone).learn({"values": values}, torch.arange(32) % 2, 60)
    found = integrated_gradients(model.backbone, model.head, {"values": values[:1]}, 0)
    assert np.unravel_index(found.scores.argmax(), (8, 2)) == (3, 1)


def test_windows_are_joined_and_their_overlap_is_added_up():
    tokenizer = ByteTokenizer()
    torch.manual_seed(0)
    backbone = TransformersBackbone.from_config("bert", SMALL, tokenizer.vocab_size, 0, 16, {})
    head = loud(ClassificationHead(32, 2))
    records = [Record("a", "abcdefghijklmnopqrstuvw"), Record("b", "xyz" * 40)]
    encoded = encode_records(records, tokenizer, context=Context(12, add_cls=True, add_sep=True))
    scores = record_scores(backbone, head, tokenizer, encoded, 0, 1)
    assert scores.shape == (23,) and np.isfinite(scores).all()
    changes = []
    for number in encoded.windows_of(np.array([0])):
        batch = {key: torch.from_numpy(value)[None] for key, value in encoded[int(number)].items()}
        changes.append(integrated_gradients(backbone, head, batch, 1, mask_id=4, kept=(1, 1)).change)
    assert len(changes) == 3
    assert scores.sum() == pytest.approx(np.mean(changes), abs=0.05 * np.abs(scores).sum())
    # a long record is looked at from its beginning; the rest is not said to be nought
    long = record_scores(backbone, head, tokenizer, encoded, 1, 1)
    assert np.isfinite(long[:80]).all() and np.isnan(long[80:]).all() and len(long) == 120


def test_views_are_left_aside():
    tokenizer, head = ByteTokenizer(), loud(ClassificationHead(32, 2))
    torch.manual_seed(0)
    backbone = TransformersBackbone.from_config("bert", SMALL, tokenizer.vocab_size, 0, 16, {})
    records, context = [Record("a", "abcdef")], Context(12)
    plain = encode_records(records, tokenizer, context=context)
    both = encode_records(records, tokenizer, context=context, views=lambda text: [text, text[::-1] + "z"])
    found = [record_scores(backbone, head, tokenizer, one, 0, 1) for one in (plain, both)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


class Strange(nn.Module):
    """No backbone of the core's."""


def test_who_cannot_be_explained_is_left_out(caplog):
    head = ClassificationHead(32, 2)
    assert (
        explains(tokens(), head) and not explains(Strange(), head) and not explains(tokens(), nn.Identity())
    )
    with pytest.raises(ValueError, match="no attributions"):
        integrated_gradients(Strange(), head, {}, 0)  # type: ignore[arg-type]

    class Broken(ByteTokenizer):
        def attribute(self, input, scores):
            raise KeyError("atoms")

    records = [Record("a", "abc"), Record("b", "bcd")]
    outputs = Outputs(
        ids=["a", "b"],
        groups=["a", "b"],
        targets=[0, 1],
        kind="classification",
        probability=[[0.2, 0.8], [0.7, 0.3]],
    )
    backbone = TransformersBackbone.from_config("bert", SMALL, 261, 0, 16, {})
    encoded = encode_records(records, Broken(), context=Context(12))
    with caplog.at_level(logging.WARNING):
        arguments = (backbone, head, Broken(), encoded, np.arange(2), records, 2)
        assert attribute_worst(outputs, *arguments) == {}
    assert caplog.text.count("no attributions") == 2 and "atoms" in caplog.text


def test_units_are_shared_out_and_added_up():
    np.testing.assert_allclose(deal_out(np.array([4.0, 1.0, np.nan]), [2, 0, 1]), [2, 2, np.nan])
    np.testing.assert_allclose(add_up([0, 2, 2, 1], [1.0, 2.0, 3.0, np.nan], 4), [1, np.nan, 5, np.nan])
    found = characters_of_bytes("aé\udcffz", np.arange(1.0, 5.0))
    np.testing.assert_allclose(found, [1, 5, 4, np.nan])


def test_the_worst_are_the_same_that_a_report_shows():
    outputs = Outputs(
        ids=["a", "b", "c"],
        groups=["a", "b", "c"],
        targets=[[1.0, np.nan], [0.0, 1.0], [1.0, 1.0]],
        kind="multilabel",
        probability=[[0.3, 0.99], [0.1, 0.05], [0.8, 0.9]],
    )
    rows, columns = worst_rows(outputs, 3)
    assert rows.tolist() == [1, 0] and columns.tolist() == [1, 0]
    study = {"seeds": [3, 4], "labels": [20, "all"]}
    assert shown_in_study(study, 3, 100, 100) and shown_in_study({}, 0, 100, 100)
    assert not shown_in_study(study, 4, 100, 100) and not shown_in_study(study, 3, 20, 100)
    assert shown_in_study({"labels": [20, 500]}, 0, 100, 100)


def test_attributions_are_kept_with_the_outputs(tmp_path: Path):
    one = Attribution("a/b", {"": np.array([1.0, np.nan], dtype=np.float32)})
    two = Attribution("b", {"map": np.ones((2, 3)), "slice": np.array(4)})
    outputs = Outputs(
        ids=["r/1", "2"],
        groups=["1", "2"],
        targets=[0, 1],
        kind="classification",
        probability=np.eye(2),
        attributions={"r/1": one, "2": two},
    )
    outputs.save(tmp_path / "o.npz")
    again = Outputs.load(tmp_path / "o.npz").attributions
    assert list(again) == ["r/1", "2"] and again["r/1"].output == "a/b"
    np.testing.assert_array_equal(again["r/1"].units, one.units)
    assert set(again["2"].units) == {"map", "slice"} and int(again["2"].units["slice"]) == 4
    outputs.save(tmp_path / "o.parquet")
    assert Outputs.load(tmp_path / "o.parquet").attributions == {}


def test_prose_is_broken_between_words_and_no_letter_moves():
    text = "No focal consolidation is seen.\nMild hypoinflation, pneumonoultramicroscopic XXXX."
    broken = break_at_spaces(text, 18)
    assert broken.split("\n") == [
        "No focal",
        "consolidation is",
        "seen.",
        "Mild",
        "hypoinflation,",
        "pneumonoultramicroscopic",
        "XXXX.",
    ]
    assert broken.replace("\n", " ") == text.replace("\n", " ")
    assert break_at_spaces("ab cd ef", 5) == "ab cd\nef"


def test_colours_tell_the_sign_and_what_was_not_read():
    colours = signed_colours([2.0, -1.0, 0.0, np.nan])
    assert colours[0, 0] > colours[0, 2] and colours[1, 2] > colours[1, 0]
    assert colours[:, 3].tolist() == [1.0, 0.5, 0.0, 1.0]
    assert explained("x") == ("x", None, None)
    given = {"value": 2.0, "attributions": [1], "output": "y"}
    assert explained(given) == (2.0, [1], "y")
    cells = layout_cells("ab\n\tc" + "d" * 9, 8)
    assert cells[:6].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 4], [1, 5]] and cells[-1, 0] == 2
    assert first_line(np.arange(50), np.arange(50) == 30, 10) in range(21, 31)


WORDS = '''
import json
import os

import numpy as np

from scizoo.data.bytes_tokenizer import ByteTokenizer
from scizoo.data.records import Dataset, Record
from scizoo.evaluation.colouring import explained, note


class Words(Dataset):
    """Words with an a or an x; the labels of some are wrong."""

    name = "words"

    def __init__(self, path=None, count=300):
        super().__init__()
        self.count = count

    def fingerprint(self):
        return str(self.count)

    def records(self):
        drawn = np.random.default_rng(0)
        for number in range(self.count):
            letters = list(drawn.choice(list("bcdefgh"), 8))
            letters[number % 8] = "ax"[number % 2]
            target = "AX"[(number + (number % 10 == 0)) % 2]
            yield Record(f"w{number}", "".join(letters), target, group=f"g{number}")


class Torn(ByteTokenizer):
    def attribute(self, input, scores):
        raise RuntimeError("torn")


def draw(axes, record, prediction):
    said, scores, output = explained(prediction)
    entry = {
        "id": record.id,
        "said": said,
        "output": output,
        "scores": None if scores is None else np.asarray(scores).tolist(),
        "word": record.input,
    }
    with open(os.environ["DRAWN"], "a") as stream:
        stream.write(json.dumps(entry) + "\\n")
    if scores is not None:
        note(axes, output)
'''
TASK = """# @package _global_
task: {name: toy/words, summary: Words, domain: toy, kind: classification, metric: mcc}
data: {_target_: scizoo_toy.words.Words, path: null, count: 300}
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.6, 0.2, 0.2], seed: 0}
head: {_target_: scizoo.models.heads.ClassificationHead}
tokenizer: {_target_: scizoo.data.bytes_tokenizer.ByteTokenizer}
backbone:
  _target_: scizoo.models.transformers_backbone.TransformersBackbone.from_config
  model_type: bert
  config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
context: {max_length: 16, add_cls: true, add_sep: false}
optimizer: {lr: 0.005}
batching: {batch_size: 8}
trainer: {max_epochs: 6, accelerator: cpu}
evaluation: {resamples: 20}
audit: {allow: [exact_duplicates, contradictions, near_duplicates]}
precision: "32"
logger: null
"""
STUDY = """
labels: [8, all]
seeds: [0, 1]
versus: []
tuning: {trials: 1}
fit: {min_steps: 2, validations: 1}
"""
FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    name="toy", summary="About toys", package="scizoo_toy", picture="scizoo_toy.words.draw",
)
"""


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_plugin(
        "toy",
        face=FACE,
        files={
            "words.py": WORDS,
            "conf/task/toy/words.yaml": TASK,
            "conf/task/toy/study.yaml": TASK.replace("toy/words", "toy/study").replace(
                "max_epochs: 6", "max_epochs: 2"
            )
            + STUDY,
        },
    )
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DRAWN", str(tmp_path / "drawn"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "drawn"


def drawn(path: Path) -> list[dict]:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    return entries


def found_in(entries: list[dict], report: dict) -> None:
    assert entries and all(one["scores"] is not None for one in entries)
    for one, mistake in zip(entries, report["mistakes"], strict=True):
        assert one["id"] == mistake["id"] and one["said"] == one["output"] == mistake["explained"]
        assert len(one["scores"]) == len(one["word"])
        assert mistake["picture"].startswith("data:image/png")


def test_reports_are_given_attributions_and_a_failure_loses_nothing(toy: Path, tmp_path: Path, caplog):
    assert main(["finetune", "toy/words", "versus=[]", "run_dir=fine"]) == 0
    report = json.loads((tmp_path / "fine/report.json").read_text())
    jsonschema.validate(report, schema())
    entries = drawn(toy)
    found_in(entries, report)
    # wrong labels are what it got wrong, and it says why
    assert np.mean([one["word"][int(np.argmax(one["scores"]))] in "ax" for one in entries]) > 0.5
    assert "not what is true of the world" in (tmp_path / "fine/report.html").read_text()

    ref = f"checkpoint={tmp_path / 'fine/checkpoint'}"
    assert main(["evaluate", "toy/words", ref, "part=test", "run_dir=judged"]) == 0
    again = drawn(toy)
    assert [one["id"] for one in again] == [one["id"] for one in entries]
    np.testing.assert_allclose(again[0]["scores"], entries[0]["scores"], rtol=1e-3, atol=1e-4)

    # switched off, and torn
    words = ["finetune", "toy/words", "versus=[]", "trainer.max_epochs=1", "data.count=60"]
    assert main([*words, "evaluation.attributions=false", "run_dir=off"]) == 0
    assert all(one["scores"] is None and isinstance(one["said"], str) for one in drawn(toy))
    assert "integrated gradients" not in (tmp_path / "off/report.html").read_text()
    assert main([*words, "tokenizer._target_=scizoo_toy.words.Torn", "run_dir=torn"]) == 0
    assert all(one["scores"] is None for one in drawn(toy))
    assert "RuntimeError: torn" in caplog.text


def test_cells_keep_attributions_for_compare(toy: Path, tmp_path: Path):
    words = ["compare", "toy/study", "jobs=1"]
    assert main([*words, "run_dir=duel"]) == 0
    report = json.loads((tmp_path / "duel/report.json").read_text())
    jsonschema.validate(report, schema())
    entries = drawn(toy)
    found_in(entries, report)
    # found again on the disk, where no network is left; cells that are not shown hold none
    assert main([*words, "run_dir=again"]) == 0
    assert drawn(toy) == entries
    kept = [Outputs.load(path).attributions for path in (tmp_path / "cache/cells").rglob("test.npz")]
    assert sum(bool(one) for one in kept) == 1 and len(kept) >= 4
    # the switch is no part of what a cell depends on
    assert main([*words, "evaluation.attributions=false", "run_dir=third"]) == 0
    assert json.loads((tmp_path / "third/report.json").read_text())["mistakes"] == report["mistakes"]
