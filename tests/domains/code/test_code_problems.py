"""Tasks of programming problems from the command line: answers are run, judged and reported, or refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from scizoo import cli
from scizoo_code.contract import EXAMPLES
from scizoo_code.sandbox import run as running
from scizoo_code.sandbox.run import Sandbox, SandboxError

TINY = ["trainer.accelerator=cpu", "versus=[]", "samples.count=2", "samples.max_tokens=12", "audit=null"]


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path / "cache"))
    return [*EXAMPLES.own_data["code/problems"](tmp_path), f"run_dir={tmp_path / 'run'}", *TINY]


def test_problems_are_answered_run_and_reported(words, tmp_path):
    try:
        Sandbox().check()
    except SandboxError as error:
        pytest.skip(f"the sandbox refuses to work here: {error.problem}")
    assert cli.main(["finetune", "code/problems", *words, "scorer.k=[1,2]"]) == 0
    with (tmp_path / "run" / "samples.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["metrics"]
    found = {(one["contender"], one["metric"]): one for one in metrics}
    real = found["heldout", "pass_at_1"]
    assert real["value"] == 1.0 and real["records"] == 7
    mine = found["none", "pass_at_2"]
    assert mine["groups"] == 7 and mine["records"] == len(rows) == 14
    assert {row["passed"] for row in rows} <= {"0", "1"}
    assert all(row["text"].startswith("def ") for row in rows)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert "2 answers to each of 7 held-out prompts" in report["table"]["caption"]


def test_without_walls_nothing_is_run_and_nothing_trained(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(running, "_try_out", lambda: "the sandbox cannot be closed: no user namespaces.")
    monkeypatch.setattr(running, "_run", lambda *_: pytest.fail("a program was run"))
    assert cli.main(["finetune", "code/problems", *words]) == 1
    said = capsys.readouterr().err
    assert (
        "scizoo: the sandbox cannot be closed" in said and "What to do:" in said and "Traceback" not in said
    )
    assert not (tmp_path / "run" / "training").exists()
