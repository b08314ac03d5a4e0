"""A study on a small task of its own: cells, resuming, parallelism, label budgets, failures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from scizoo.cli import main
from scizoo.config import compose, to_plain
from scizoo.data.splits import hash_split
from scizoo.data.task import read_task
from scizoo.errors import ConfigError
from scizoo.evaluation.cells import CellStore, cell_key, data_digest
from scizoo.evaluation.contenders import Contender
from scizoo.evaluation.report.render import schema
from scizoo.evaluation.study import Runner, entrants, label_budgets, run_study
from scizoo.evaluation.tuning import enough_steps, filled_in, search_network
from scizoo.evaluation.workers import Lanes, Outcome, Workers, plan

WORDS = {"red": "aab", "green": "bbc", "blue": "cca"}

TASK = """# @package _global_
task: {name: toy/words, summary: Colours of words, domain: toy, kind: classification, metric: mcc}
data:
  _target_: scizoo.data.table.TableRecords
  path: ???
  input: text
  target: colour
  group: site
split: {_target_: scizoo.data.splits.GroupSplitter, fractions: [0.5, 0.2, 0.3], seed: 0}
tokenizer: {_target_: scizoo.data.bytes_tokenizer.ByteTokenizer}
backbone:
  _target_: scizoo.models.transformers_backbone.TransformersBackbone.from_config
  model_type: bert
  config: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}
head: {_target_: scizoo.models.heads.ClassificationHead, pooling: mean}
context: {max_length: 32}
baselines:
  letters: {_target_: scizoo_toy.letters.Letters}
optimizer: {lr: 0.003}
trainer: {max_epochs: 1, accelerator: cpu}
precision: "32"
labels: [6, all]
seeds: [0, 1]
tuning: {trials: 2}
fit: {min_steps: 6, validations: 2}
evaluation: {resamples: 50}
"""

START = "  _target_: scizoo.models.transformers_backbone"
TUNED = "".join(
    line
    for line in TASK.replace("toy/words", "toy/tuned").splitlines(keepends=True)
    if not line.startswith(("backbone", "tokenizer", "  model_type", "  config", START))
)

LETTERS = '''
import numpy as np
from sklearn.linear_model import LogisticRegression

from scizoo.evaluation.baseline import Baseline


class Letters(Baseline):
    """Counts letters."""

    title = "the letter counts"

    def __init__(self, C=1.0, fail_below=0):
        self.C = C
        self.fail_below = fail_below

    def _counts(self, records):
        return np.array([[record.input.count(letter) for letter in "abc"] for record in records])

    def fit(self, records, targets, groups=None):
        if len(records) < self.fail_below:
            raise RuntimeError("too few for me")
        self.model_ = LogisticRegression(C=self.C).fit(self._counts(records), targets)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, records):
        return self.model_.predict_proba(self._counts(records))

    def search_space(self, trial):
        return {"C": trial.suggest_float("C", 0.01, 100, log=True)}
'''


def write_words(path: Path, count: int = 120, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "colour", "site"])
        for number in range(count):
            colour = list(WORDS)[number % 3]
            likely = rng.choice(list(WORDS[colour]), 12)
            noise = rng.choice(list("abc"), 12)
            text = "".join(np.where(rng.random(12) < 0.7, likely, noise))
            writer.writerow([f"{text}{number:03d}", colour, f"s{number // 3}"])
    return path


@pytest.fixture
def toy(make_plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tasks = {"conf/task/toy/words.yaml": TASK, "conf/task/toy/tuned.yaml": TUNED}
    make_plugin("toy", files={**tasks, "letters.py": LETTERS})
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    return write_words(tmp_path / "words.csv")


def config(path: Path, *words: str) -> dict[str, Any]:
    return to_plain(compose("compare", "toy/words", [f"data.path={path}", *words]))


def study(cfg: dict[str, Any], tmp_path: Path, jobs: int = 1, store: str = "cells"):
    run_dir = tmp_path / f"run-{len(list(tmp_path.glob('run-*')))}"
    run_dir.mkdir()
    return run_study(
        cfg,
        read_task(cfg),
        run_dir=run_dir,
        cache=tmp_path / "tokens",
        store=CellStore(tmp_path / store),
        lanes=Lanes(jobs, 1),
    )


def outcomes(found) -> dict[tuple[str, int, int], list[Any]]:
    return {
        (entry.contender.key, entry.labels, result.seed): [
            result.test.require("probability").tolist(),
            result.test.ids.tolist(),
            result.settings.get("tuned") or result.settings.get("settings"),
        ]
        for entry in found.entries
        for result in entry.results
    }


def test_resuming_computes_nothing_again_and_an_interrupted_study_goes_on(toy, tmp_path, monkeypatch):
    cfg = config(toy)
    real, ran = Runner._cell, []

    def interrupted(self, key, unit, *rest):
        if not self.compute or self.store.facts(key) is not None:
            return real(self, key, unit, *rest)
        if len(ran) == 4:
            raise KeyboardInterrupt
        ran.append(key)
        return real(self, key, unit, *rest)

    monkeypatch.setattr(Runner, "_cell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study(cfg, tmp_path)
    assert len(list((tmp_path / "cells").glob("*/*/cell.json"))) == 4
    monkeypatch.setattr(Runner, "_cell", real)
    first = study(cfg, tmp_path)
    # Two label budgets: the network 2 trials and a further seed, baseline and floor 2 seeds each.
    assert first.computed == 2 * (3 + 2 + 2) - 4
    again = study(cfg, tmp_path)
    assert (again.computed, again.reused) == (0, 12)
    assert outcomes(again) == outcomes(first)
    fresh = study(cfg, tmp_path, store="other")
    assert fresh.computed == 14
    assert outcomes(fresh) == outcomes(first)
    more = study(config(toy, "seeds=[0,1,2]"), tmp_path)
    assert more.computed == 6, "a further seed is one cell for each contender and budget"


def test_results_do_not_depend_on_the_number_of_processes(toy, tmp_path):
    cfg = config(toy, "labels=[all]")
    one, two = study(cfg, tmp_path, 1), study(cfg, tmp_path, 2, store="parallel")
    assert two.computed == one.computed == 7
    assert outcomes(one) == outcomes(two)
    assert not two.failed
    assert list((tmp_path / "run-1").rglob("*.ckpt")) == []


def test_few_labels_lack_classes_and_all_outputs_are_there(toy, tmp_path):
    found = study(config(toy, "labels=[2]", "seeds=[0]", "tuning.trials=1"), tmp_path)
    for entry in found.entries:
        assert entry.results[0].labels == 2
        assert entry.results[0].test.require("probability").shape[1] == 3
    letters = next(entry for entry in found.entries if entry.contender.key == "letters").results[0]
    assert (letters.test.require("probability") == 0).all(axis=0).sum() == 1


def test_a_failing_contender_is_named_and_does_not_lose_the_others(toy, tmp_path):
    cfg = config(toy, "+baselines.letters.fail_below=20", "seeds=[0]", "tuning.trials=1")
    found = study(cfg, tmp_path)
    assert [failed.name for failed in found.failed] == ["the letter counts, 6 labels, seed 0"]
    assert "too few for me" in found.failed[0].problem
    assert {entry.contender.key for entry in found.at(6)} == {"scratch", "floor"}
    assert {entry.contender.key for entry in found.at(found.budgets[-1])} == {"scratch", "letters", "floor"}


def _crash(task: int) -> int:
    import os

    if task == 1:
        os.kill(os.getpid(), 9)
    return task * 10


def _crashing() -> Any:
    return _crash


def test_a_process_that_dies_loses_only_its_own_task(tmp_path):
    with Workers(Lanes(2, 1), _crashing, ()) as workers:
        for task in range(4):
            workers.submit(task)
        found: list[Outcome] = list(workers.outcomes())
    assert {outcome.task: outcome.value for outcome in found} == {0: 0, 1: None, 2: 20, 3: 30}
    assert "signal 9" in next(outcome.error for outcome in found if outcome.task == 1)


def test_a_cell_is_named_by_what_changes_it(toy):
    cfg = config(toy)
    digest = data_digest(read_task(cfg))
    model = Contender("scratch", "new", "scratch", {"mode": "scratch"})

    def key(cfg=cfg, digest=digest, contender=model, labels=6, seed=0) -> str:
        return cell_key(cfg, digest, contender, labels=labels, seed=seed)

    same = {
        **cfg,
        "seeds": [5],
        "jobs": 7,
        "evaluation": {},
        "run_dir": "x",
        "callbacks": {**cfg["callbacks"], "progress": None},
    }
    assert key(same) == key()
    assert key(contender=replace(model, title="other words")) == key()
    others = [
        key(filled_in(cfg, {"lr": 0.5})),
        key(filled_in(cfg, {"epochs": 9})),
        key({**cfg, "context": {"max_length": 31}}),
        key(labels=7),
        key(seed=1),
        key(digest="other"),
        key(contender=replace(model, adapt={"mode": "full"})),
    ]
    assert len({key(), *others}) == 8


def test_the_digest_of_the_data_sees_labels_and_split(toy, tmp_path):
    digests = {data_digest(read_task(config(toy)))}
    digests.add(data_digest(read_task(config(toy, "split.seed=1"))))
    digests.add(data_digest(read_task(config(write_words(tmp_path / "b.csv", seed=1)))))
    assert len(digests) == 3


def test_a_damaged_cell_is_computed_again(toy, tmp_path):
    cfg = config(toy, "labels=[all]", "seeds=[0]", "tuning.trials=1")
    first = study(cfg, tmp_path)
    for name in ("cell.json", "test.npz"):
        victim = next((tmp_path / "cells").glob(f"*/*/{name}"))
        if name == "cell.json":
            victim.write_text("{")
        else:
            victim.unlink()
        assert study(cfg, tmp_path).computed == 1
    assert outcomes(study(cfg, tmp_path)) == outcomes(first)


def test_label_budgets():
    assert label_budgets([100, "all", 20, 5000], 320) == [20, 100, 320]
    for wrong in ([0], [True], ["most"], []):
        with pytest.raises(ConfigError, match="labels"):
            label_budgets(wrong, 320)


def test_entrants(toy):
    cfg = {**config(toy), "backbone": None, "tokenizer": None}
    two = entrants({**cfg, "checkpoints": ["a/one", "b/two"], "adapts": ["probe", "lora"]})
    assert [one.key for one in two] == [
        *("one-probe", "one-lora", "one-scratch", "two-probe", "two-lora", "two-scratch", "letters", "floor")
    ]
    assert two[1].adapt["rank"] == 8
    assert [one.role for one in two[-3:]] == ["scratch", "baseline", "floor"]
    tuned = entrants({**cfg, "checkpoint": "a/one", "adapts": ["lora"], "adapt": {"mode": "lora", "rank": 2}})
    assert tuned[0].adapt == {"mode": "lora", "rank": 2}
    with pytest.raises(ConfigError, match="did you mean 'probe'"):
        entrants({**cfg, "checkpoint": "a/one", "adapts": ["prob"]})
    letters = dict(cfg["baselines"]["letters"])
    same = entrants({**cfg, "baselines": {"letters": letters, "again": letters}})
    titles = [one.title for one in same if one.role == "baseline"]
    assert len(set(titles)) == 2 and titles[1].endswith(": again"), "people must be able to tell them apart"


def test_few_records_get_enough_steps_and_not_too_many_validations():
    cfg = {
        "fit": {"min_steps": 100, "validations": 10},
        "batching": {"batch_size": 32},
        "trainer": {"max_epochs": 10, "check_val_every_n_epoch": 1},
    }
    few = enough_steps(cfg, 20)["trainer"]
    assert (few["max_epochs"], few["check_val_every_n_epoch"]) == (100, 10)
    many = enough_steps(cfg, 3200)["trainer"]
    assert (many["max_epochs"], many["check_val_every_n_epoch"]) == (10, 1)
    by_steps = {**cfg, "trainer": {"max_epochs": -1, "max_steps": 50}}
    assert enough_steps(by_steps, 20) == by_steps


def test_the_search_begins_with_the_own_settings_and_keeps_the_best():
    cfg = {
        "optimizer": {"lr": 0.01},
        "tuning": {"search": {"lr": {"low": 0.1, "high": 10, "log": True, "relative": True}}},
    }
    tried: list[dict[str, float]] = []

    def attempt(settings):
        tried.append(settings)
        lr = settings.get("lr", 0.01)
        return str(len(tried)), {"merit": [True, -abs(np.log(lr / 0.05)), lr], "settings": {}}

    found = search_network(attempt, cfg, trials=9, seed=0)
    assert tried[0] == {}
    assert len(tried) == len(found.trials) == found.budget == 9
    assert all(0.001 <= settings["lr"] <= 0.1 for settings in tried[1:])
    best = min(tried, key=lambda settings: abs(np.log(settings.get("lr", 0.01) / 0.05)))
    assert found.settings == best and found.key == str(tried.index(best) + 1)
    again: list[dict[str, float]] = list(tried)
    tried.clear()
    search_network(attempt, cfg, trials=9, seed=0)
    assert tried == again


@pytest.mark.parametrize(("name", "space"), [("lrr", {"low": 1, "high": 2}), ("lr", {"low": 1})])
def test_a_wrong_search_space_is_refused_by_its_key(toy, tmp_path, name, space):
    cfg = config(toy)
    cfg["tuning"]["search"][name] = space
    with pytest.raises(ConfigError, match=f"tuning.search.{name} "):
        study(cfg, tmp_path)


def test_threads_do_not_depend_on_jobs():
    assert len({plan(jobs, "auto", "cpu").threads for jobs in (1, 8, "auto")}) == 1
    assert plan(3, 2, "cpu") == Lanes(3, 2)


def read_report(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "report.json").read_text())
    jsonschema.validate(found, schema())
    assert "<html" in (folder / "report.html").read_text()
    return found


def test_the_commands_write_reports(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = f"data.path={toy}"
    assert main(["finetune", "toy/words", data, "run_dir=tuned", "versus=[baselines]"]) == 0
    tuned = read_report(tmp_path / "tuned")
    assert [row["role"] for row in tuned["table"]["rows"]] == ["scratch", "baseline"]
    assert "the letter counts" in tuned["verdict"]["sentence"]

    small = ["labels=[6,all]", "seeds=[0]", "tuning.trials=1", "adapts=[probe,full]", "jobs=1", data]
    words = ["compare", "toy/tuned", "checkpoint=tuned/checkpoint", "evaluation.ood.leave_out=[red]", *small]
    assert main([*words, "run_dir=one"]) == 0
    one = read_report(tmp_path / "one")
    roles = [row["role"] for row in one["table"]["rows"]]
    assert roles == ["pretrained", "pretrained", "scratch", "baseline", "floor"] * 2
    assert "labels" in one["verdict"]["sentence"] and one["verdict"]["sentence"] in capsys.readouterr().err
    assert one["tuning"]["trials"] == 1
    assert 0 <= one["ood"]["auroc"]["value"] <= 1
    assert json.loads((tmp_path / "one" / "result.json").read_text())["computed"] == 10
    with (tmp_path / "one" / "cells.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 10
    assert main([*words, "run_dir=two"]) == 0
    assert json.loads((tmp_path / "two" / "result.json").read_text())["computed"] == 0
    two = read_report(tmp_path / "two")
    assert [two[key] for key in ("table", "verdict", "ood")] == [
        one[key] for key in ("table", "verdict", "ood")
    ]

    assert main(["evaluate", "toy/tuned", data, "checkpoint=tuned/checkpoint", "run_dir=judged"]) == 0
    judged = read_report(tmp_path / "judged")
    assert judged["verdict"] is None and len(judged["table"]["rows"]) == 1


def test_what_is_wrong_shows_before_anything_is_trained(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (["toy/tuned", "checkpoint=nowhere/at-all"], "nowhere/at-all"),
        (["toy/words", "evaluation.subgroups=[sit]"], "no column 'sit'"),
        (["toy/words", "evaluation.ood.leave_out=[purple]"], "no class 'purple'"),
        (["toy/words", "versus=[scrach]"], "scrach"),
        (["toy/words", "jobs=0"], "jobs=0"),
    ):
        assert main(["compare", *words, f"data.path={toy}", "run_dir=wrong"]) == 2
        assert said in capsys.readouterr().err
        assert not (tmp_path / "wrong").exists()


def plant(toy: Path, tmp_path: Path) -> Path:
    """Copy forty records into sites of their own, so that the same texts stand in several parts."""
    lines = toy.read_text().splitlines()
    path = tmp_path / "leaky.csv"
    path.write_text("\n".join([*lines, *(f"{line}x" for line in lines[1:41])]) + "\n")
    return path


def test_a_planted_leak_stops_compare_unless_it_is_allowed_by_name(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["compare", "toy/words", f"data.path={plant(toy, tmp_path)}", "labels=[all]", "seeds=[0]"]
    words += ["tuning.trials=1", "jobs=1"]
    assert main([*words, "run_dir=refused"]) == 2
    said = capsys.readouterr().err
    assert "exact_duplicates" in said and "audit.allow=[exact_duplicates]" in said and "leaky.csv:" in said
    assert not (tmp_path / "cache" / "cells").exists(), "nothing may be trained"
    assert main([*words, "run_dir=wrong", "audit.allow=[exact_duplicate]"]) == 2
    assert "did you mean 'exact_duplicates'" in capsys.readouterr().err
    assert main([*words, "run_dir=allowed", "audit.allow=[exact_duplicates]"]) == 0
    leakage = read_report(tmp_path / "allowed")["leakage"]
    check = next(check for check in leakage["checks"] if check["name"] == "exact_duplicates")
    assert not leakage["passed"] and check["allowed"] and check["count"] > 0
    assert main(["finetune", *words[1:3], "versus=[]", "run_dir=tuned"]) == 0, "finetune warns only"
    assert "exact_duplicates" in capsys.readouterr().err


def test_test_records_of_the_pretraining_corpus_are_found(toy, tmp_path, monkeypatch):
    from scizoo.evaluation.corpora import corpus_sketches
    from scizoo.evaluation.similarity import MinHashTextSimilarity
    from scizoo.files import write_json

    cfg = config(toy)
    data = read_task(cfg)
    manifest = {
        "format_version": 1,
        **dict.fromkeys(("domain", "kind", "summary", "licence"), "toy"),
        "backbone": {},
        "context": {},
    }
    similarity = MinHashTextSimilarity(shingle=5, scale=1)
    for name, fingerprint, known in (
        ("seen", data.dataset.fingerprint(), True),
        ("changed", "0" * 64, False),
    ):
        whole = {"data": cfg["data"], "split": {"fractions": [1.0, 0.0, 0.0]}}
        about = {"config": whole, "data": {"fingerprint": fingerprint}}
        write_json(tmp_path / name / "scizoo.json", {**manifest, **about, "name": f"toy/{name}"})
        sketches = corpus_sketches([str(tmp_path / name)], similarity, tmp_path / "sketches")
        assert list(sketches) == ([f"toy/{name}"] if known else [])
    sketch = corpus_sketches([str(tmp_path / "seen")], similarity, tmp_path / "sketches")["toy/seen"]
    assert similarity.overlap(sketch, data.part("test")).min() == 1.0
    # Of a corpus that was trained on in part, only that part counts.
    halved = {"config": {"data": cfg["data"], "split": {"fractions": [0.5, 0.5, 0.0]}}}
    about = {**halved, "data": {"fingerprint": data.dataset.fingerprint()}}
    write_json(tmp_path / "half" / "scizoo.json", {**manifest, **about, "name": "toy/half"})
    half = corpus_sketches([str(tmp_path / "half")], similarity, tmp_path / "sketches")["toy/half"]
    split = hash_split([one.group for one in data.dataset], [one.id for one in data.dataset], (0.5, 0.5, 0.0))
    trained = set(split.train.tolist())
    shares = similarity.overlap(half, list(data.dataset))
    assert all(share == 1.0 for place, share in enumerate(shares) if place in trained)
    assert min(share for place, share in enumerate(shares) if place not in trained) < 1.0
    monkeypatch.setattr(similarity, "sketch", None)  # a kept sketch is not made again
    assert len(corpus_sketches([str(tmp_path / "seen")], similarity, tmp_path / "sketches")["toy/seen"])
