"""Retrieval through every job: letters that mean each other, found by one network and by two."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch

import scizoo
from scizoo.checkpoints.format import load_checkpoint
from scizoo.cli import main
from scizoo.config import compose, to_plain
from scizoo.errors import CheckpointError, ConfigError, ScizooError
from scizoo.evaluation.cells import cell_key
from scizoo.evaluation.contenders import network
from scizoo.evaluation.outputs import Outputs
from scizoo.evaluation.report.render import schema
from scizoo.models.backbones import load_backbone
from scizoo.training.build import build_parts

PAIRS = '''
import itertools

import numpy as np

from scizoo.data.records import Dataset, Record

LETTERS = "abcdefghijkl"


class Letters(Dataset):
    """Three small letters; their document has the same as capitals, in another order."""

    name = "letters"

    def __init__(self, count=150, path=None, target="document"):
        super().__init__()
        self.count, self.path, self.target = count, path, target

    def fingerprint(self):
        return f"letters-{self.count}-{self.path}"

    def records(self):
        every = list(itertools.combinations(LETTERS, 3))
        rng = np.random.default_rng(0)
        for number in rng.permutation(len(every))[: self.count]:
            one = "".join(every[number])
            document = "".join(rng.permutation(list(one.upper())))
            yield Record(one, one, document if self.target else None, meta={"first": one[0]})


def pairs():
    return [("abc", "CAB"), ("dkl", "LKD")]


def inputs():
    return ["abc", "dkl"]
'''
TASK = """# @package _global_
task: {name: toy/search, summary: Letters to capitals, domain: toy, kind: retrieval, metric: mrr}
data: {_target_: scizoo_toy.pairs.Letters, path: null}
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.6, 0.2, 0.2], seed: 0}
checkpoint: null
context: {max_length: 8}
head: {_target_: scizoo.models.retrieval.RetrievalHead, width: 32}
baselines:
  tf-idf: {_target_: scizoo.evaluation.rankers.TfidfRanking, pattern: "[a-z]"}
optimizer: {lr: 0.01}
batching: {batch_size: 45}
precision: "32"
logger: null
callbacks: {early_stopping: null}
trainer: {max_epochs: 25, accelerator: cpu}
evaluation: {resamples: 50, subgroups: [first]}
"""
TWO = (
    TASK.replace("toy/search", "toy/two").replace(
        "# @package _global_",
        """# @package _global_
defaults:
  - override /tokenizer@document.tokenizer: toy/bytes
  - override /backbone@document.backbone: toy/smaller
  - _self_""",
    )
    + "document: {context: {max_length: 6}}\n"
)
NEW = ["tokenizer=toy/bytes", "backbone=toy/small"]
BACKBONE = """# @package backbone
_target_: scizoo.models.transformers_backbone.TransformersBackbone.from_config
model_type: bert
config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
"""
COMPARE = """
adapts: [none, probe, full]
labels: [all]
seeds: [0]
tuning: {trials: 1}
fit: {min_steps: 2, validations: 1}
"""
FACE = """from scizoo.domain import Domain

DOMAIN = Domain(
    name="toy",
    summary="About toys",
    package="scizoo_toy",
    reference="scizoo_toy.pairs.inputs",
    reference_pairs="scizoo_toy.pairs.pairs",
)
"""


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_plugin(
        "toy",
        face=FACE,
        files={
            "pairs.py": PAIRS,
            "conf/task/toy/search.yaml": TASK,
            "conf/task/toy/contest.yaml": TASK.replace("max_epochs: 25", "max_epochs: 2") + COMPARE,
            "conf/task/toy/two.yaml": TWO,
            "conf/task/toy/more.yaml": TASK.replace("toy/search", "toy/more"),
            "conf/backbone/toy/small.yaml": BACKBONE,
            "conf/backbone/toy/smaller.yaml": BACKBONE.replace("32", "16").replace("bert", "modernbert"),
            "conf/tokenizer/toy/bytes.yaml": (
                "# @package tokenizer\n_target_: scizoo.data.bytes_tokenizer.ByteTokenizer\n"
            ),
        },
    )
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def metrics_of(run: Path) -> dict[tuple[str, str], float]:
    found = json.loads((run / "metrics.json").read_text())
    return {(row["contender"], row["metric"]): row["value"] for row in found["metrics"]}


def test_one_network_learns_to_search_and_goes_through_every_job(toy: Path, capsys):
    assert main(["finetune", "toy/search", *NEW, "versus=[baselines]", "run_dir=one"]) == 0
    values = metrics_of(toy / "one")
    chance = sum(1 / rank for rank in range(1, 31)) / 30
    assert values["scratch", "mrr"] > 3 * chance and values["scratch", "mrr_back"] > 3 * chance
    assert values["tf-idf", "mrr"] > 0.9, "single letters are words, and capitals count as small ones"
    report = json.loads((toy / "one/report.json").read_text())
    jsonschema.validate(report, schema())
    assert report["errors"]["counts"] and report["calibration"] is None and report["conformal"] is None
    page = (toy / "one/report.html").read_text()
    assert "Ranks" in page and "queries for documents" in page

    # the checkpoint: one network, one tokenizer, and what documents need
    folder = toy / "one/checkpoint"
    assert main(["verify", str(folder)]) == 0
    assert not (folder / "document").exists()
    manifest = json.loads((folder / "scizoo.json").read_text())
    assert manifest["kind"] == "retrieval" and manifest["document"]["backbone"] is None
    model = scizoo.load(folder, device="cpu")
    assert model.kind == "retrieval" and model.dimension == 32
    queries, documents = ["abc", "bcd", "gkl"], ["DCB", "LKG", "CBA", "AKL"]
    found = model.search(queries, documents, k=4)
    vectors = model.embed(queries, side="query"), model.embed(documents, side="document")
    np.testing.assert_allclose(np.linalg.norm(vectors[0], axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.scores[0], np.sort(vectors[0][0] @ vectors[1].T)[::-1], rtol=1e-5)
    assert model.embed(queries, pool="mean").shape == (3, 32)
    assert model.embed([], side="document").shape == (0, 32)
    with pytest.raises(ScizooError, match="finds documents"):
        model.predict(queries)
    with pytest.raises(ScizooError, match="side='documnet'"):
        model.embed(queries, side="documnet")

    # evaluate gives the figures of the fine-tuning again
    assert main(["evaluate", "toy/search", f"checkpoint={folder}", "run_dir=judged"]) == 0
    judged = json.loads((toy / "judged/metrics.json").read_text())["metrics"]
    assert judged["mrr"]["value"] == pytest.approx(values["scratch", "mrr"], abs=1e-6)
    jsonschema.validate(json.loads((toy / "judged/report.json").read_text()), schema())
    assert main(["evaluate", "toy/search", f"checkpoint={folder}", "evaluation.pool=5", "run_dir=few"]) == 0
    few = json.loads((toy / "few/metrics.json").read_text())["metrics"]
    assert few["mrr"]["value"] >= judged["mrr"]["value"], "among fewer candidates"
    outputs = Outputs.load(toy / "few/outputs/test.parquet")
    assert (outputs.candidates == 5).all()

    # predict and embed
    assert main(["predict", "toy/search", f"checkpoint={folder}", "top=2", "run_dir=found"]) == 0
    table = pd.read_csv(toy / "found/predictions.csv")
    assert list(table.columns) == ["id", "rank", "document", "score"] and len(table) == 300
    words = ["pool=elsewhere", "top=1", "run_dir=pool"]
    assert main(["predict", "toy/search", f"checkpoint={folder}", *words]) == 0
    assert len(pd.read_csv(toy / "pool/predictions.csv")) == 150
    words = [f"checkpoint={folder}", "side=document", "run_dir=vectors"]
    assert main(["embed", "toy/search", *words]) == 0
    assert len(pd.read_parquet(toy / "vectors/embeddings.parquet")) == 150

    # it is a starting point like any other, here for the same task
    words = [f"checkpoint={folder}"]
    again = ["adapt=none", "versus=[]", *words, "run_dir=zero"]
    assert main(["finetune", "toy/search", *again]) == 0
    assert metrics_of(toy / "zero")["none", "mrr"] == pytest.approx(values["scratch", "mrr"], abs=1e-6)
    assert main(["finetune", "toy/search", *words, "batching.batch_size=1", "run_dir=no"]) == 2
    assert "batch_size=1" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"document\.backbone is given"):
        build_parts(to_plain(compose("finetune", "toy/two", words)))


def test_two_networks_come_back_bit_for_bit_each_opened_by_its_library(toy: Path):
    words = [*NEW, "trainer.max_epochs=1", "versus=[]"]
    assert main(["finetune", "toy/two", *words, "run_dir=two"]) == 0
    report = json.loads((toy / "two/report.json").read_text())
    jsonschema.validate(report, schema())
    worst = report["mistakes"][0]
    assert worst["query"] and worst["rank"] > 1 and len(worst["answers"]) == 3
    assert "Worst searches" in (toy / "two/report.html").read_text()
    folder = toy / "two/checkpoint"
    found = load_checkpoint(folder)
    assert found.document is not None and found.document.context.max_length == 6
    assert found.context.max_length == 8
    assert (found.backbone.hidden_size, found.document.backbone.hidden_size) == (32, 16)
    from transformers import AutoModel

    opened = AutoModel.from_pretrained(folder / "document")
    assert opened.config.model_type == "modernbert"
    alone = load_backbone(folder / "document").state_dict()
    mine = found.document.backbone.state_dict()
    assert mine.keys() == alone.keys() and all(torch.equal(mine[name], alone[name]) for name in mine)
    sums = (folder / "SHA256SUMS").read_text()
    assert "document/model.safetensors" in sums and "document/tokenizer_settings.json" in sums
    assert main(["verify", str(folder)]) == 0

    # every way of adaptation, for both networks
    start = ["trainer.max_epochs=1", "versus=[]", f"checkpoint={folder}"]
    before = {name: value.clone() for name, value in found.joint.state_dict().items()}
    for way in ("probe", "lora", "full"):
        assert main(["finetune", "toy/more", *start, f"adapt={way}", f"run_dir={way}"]) == 0
        after = load_checkpoint(toy / way / "checkpoint").joint.state_dict()
        changed = {
            name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])
        }
        assert changed == (set() if way == "probe" else {"query", "second"}), way
    kept = [*start, "adapt=lora", "adapt.merge=false", "run_dir=kept"]
    assert main(["finetune", "toy/more", *kept]) == 0
    assert (toy / "kept/checkpoint/document/adapter_model.safetensors").is_file()
    assert main(["verify", str(toy / "kept/checkpoint")]) == 0

    # a damaged or foreign second side is refused
    path = folder / "document" / "config.json"
    path.write_text(path.read_text().replace("modernbert", "modernbear"))
    with pytest.raises(CheckpointError, match="checksum"):
        load_checkpoint(folder)


def test_compare_judges_retrieval_by_pairs(toy: Path):
    words = [*NEW, "versus=[]", "trainer.max_epochs=6", "run_dir=base"]
    assert main(["finetune", "toy/search", *words]) == 0
    words = [f"checkpoint={toy / 'base/checkpoint'}", "jobs=1"]
    assert main(["compare", "toy/contest", *words, "run_dir=contest"]) == 0
    report = json.loads((toy / "contest/report.json").read_text())
    jsonschema.validate(report, schema())
    rows = {row["name"]: row for row in report["table"]["rows"]}
    assert "random order" in rows and rows["random order"]["role"] == "floor"
    assert {row["role"] for row in rows.values()} == {"pretrained", "scratch", "baseline", "floor"}
    assert "pair" in report["verdict"]["sentence"] or "MRR" in report["verdict"]["sentence"]
    names = [check["name"] for check in report["leakage"]["checks"]]
    assert "exact_documents" in names and "near_documents" in names
    cfg = to_plain(compose("compare", "toy/contest", words))
    one = network(cfg, {"mode": "full"})
    key = cell_key(cfg, "data", one, labels=4, seed=0)
    fewer = {**cfg, "evaluation": {**cfg["evaluation"], "pool": 10}}
    assert cell_key(fewer, "data", one, labels=4, seed=0) != key
    assert cell_key({**fewer, "seed": 1}, "data", one, labels=4, seed=0) not in (
        key,
        cell_key(fewer, "data", one, labels=4, seed=0),
    )


def test_config_groups_name_the_second_side(toy: Path):
    words = ["tokenizer@document.tokenizer=toy/bytes", "backbone@document.backbone=bert-tiny"]
    cfg = to_plain(compose("finetune", "toy/search", [*NEW, *words]))
    parts = build_parts(cfg)
    assert parts.document is not None and parts.document.backbone.hidden_size == 128
    assert parts.backbone.hidden_size == 32
