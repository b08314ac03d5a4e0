"""The user's own table, from ``scizoo finetune`` to predictions, through the command itself."""

from __future__ import annotations

import csv
import json
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import COLUMNS, TINY, Ran, run_command, sequences, write_fasta, write_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(finetuned: tuple[Path, Ran]) -> Path:
    folder, ran = finetuned
    return folder / ran.folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_run_leaves_what_it_promises(run_dir: Path, finetuned: tuple[Path, Ran]) -> None:
    command = shlex.split((run_dir / "command.txt").read_text())
    assert command == ["scizoo", "finetune", "genomics/classification", *COLUMNS, *TINY]
    config = (run_dir / "config.yaml").read_text()
    assert "path: tiny.csv" in config
    assert "hidden_size: 32" in config
    assert "60 clusters" in (run_dir / "run.log").read_text()
    metrics: Any = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["split"]["parts"]["train"]["records"] == 48
    roles = {contender["role"] for contender in metrics["contenders"]}
    assert roles == {"scratch", "baseline"}  # no checkpoint was given, so nothing was pre-trained
    rows = read_csv(run_dir / "metrics.csv")
    assert {row["metric"] for row in rows} >= {"mcc", "balanced_accuracy"}
    for row in rows:
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def test_it_prints_one_table_and_the_path_last(finetuned: tuple[Path, Ran], run_dir: Path) -> None:
    _, ran = finetuned
    assert ran.out.count("genomics/classification: test part") == 1
    assert ran.out.count("k-mer") == 2
    assert ran.out.splitlines()[-1] == str(ran.folder)
    assert str(ran.folder).startswith("runs/finetune/genomics/classification/")
    assert "Traceback" not in ran.err
    assert "Warning" not in ran.err, ran.err


def test_the_checkpoint_verifies_and_others_may_read_it(run_dir: Path) -> None:
    ran = run_command("verify", str(run_dir / "checkpoint"), folder=run_dir)
    assert "verified" in ran.out
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (run_dir / "checkpoint").iterdir()}
    assert len(modes) == 1


def test_no_record_of_the_user_travels_with_the_checkpoint(run_dir: Path) -> None:
    written = b"".join(path.read_bytes() for path in (run_dir / "checkpoint").iterdir())
    assert not [sequence for sequence, _ in sequences() if sequence.encode() in written]


def test_nothing_temporary_is_left(finetuned: tuple[Path, Ran]) -> None:
    folder, _ = finetuned
    assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_predict_embed_and_evaluate_with_the_checkpoint(
    command: Callable[..., Ran], inside: Path, run_dir: Path
) -> None:
    new = sequences(12, seed=1)
    write_fasta(inside / "new.fasta", new, prefix="n")
    write_table(inside / "new.csv", new)
    checkpoint = f"checkpoint={run_dir / 'checkpoint'}"
    task = "genomics/classification"

    predicted = command("predict", task, checkpoint, "data.path=new.fasta", "data.target=null")
    assert predicted.status == 0, predicted.err
    table = read_csv(predicted.folder / "predictions.csv")
    assert [row["id"] for row in table] == [f"n{number}" for number in range(12)]
    assert {row["prediction"] for row in table} <= {"rich", "poor"}
    again = command("predict", task, checkpoint, "data.path=new.csv", "data.input=seq", "data.target=null")
    probability = next(name for name in table[0] if "rich" in name)
    others = read_csv(again.folder / "predictions.csv")
    for one, other in zip(table, others, strict=True):
        assert float(one[probability]) == pytest.approx(float(other[probability]), abs=1e-5)

    embedded = command("embed", task, checkpoint, "data.path=new.fasta", "data.target=null")
    assert embedded.status == 0, embedded.err
    import pyarrow.parquet

    vectors = pyarrow.parquet.read_table(embedded.folder / "embeddings.parquet")
    assert vectors.column("id").to_pylist() == [f"n{number}" for number in range(12)]
    assert {len(row) for row in vectors.column("embedding").to_pylist()} == {32}

    judged = command("evaluate", task, checkpoint, "data.path=new.fasta", "data.target=label")
    assert judged.status == 0, judged.err
    metrics = json.loads((judged.folder / "metrics.json").read_text())
    assert metrics["records"] == 12
    right = [row["prediction"] == label for row, (_, label) in zip(table, new, strict=True)]
    assert metrics["metrics"]["accuracy"]["value"] == pytest.approx(sum(right) / 12)


def test_evaluate_finds_the_records_that_the_checkpoint_was_trained_on(
    command: Callable[..., Ran], inside: Path, run_dir: Path
) -> None:
    write_table(inside / "mixed.csv", [*sequences(), *sequences(20, seed=1)])
    judged = command(
        "evaluate",
        "genomics/classification",
        f"checkpoint={run_dir / 'checkpoint'}",
        *("data.path=mixed.csv", "data.input=seq", "data.target=label", "audit.sketch_scale=1"),
    )
    assert judged.status == 0, judged.err
    report = json.loads((judged.folder / "report.json").read_text())
    overlap = next(check for check in report["leakage"]["checks"] if check["name"] == "corpus_overlap")
    trained_on = json.loads((run_dir / "report.json").read_text())["data"]["parts"]["train"]["records"]
    assert (overlap["count"], overlap["of"]) == (trained_on, 80)


def test_evaluate_names_a_label_that_the_checkpoint_does_not_know(
    command: Callable[..., Ran], inside: Path, run_dir: Path
) -> None:
    write_table(inside / "new.csv", [*sequences(6), ("ACGTTGCAACGT", "rihc")])
    ran = command(
        "evaluate",
        "genomics/classification",
        f"checkpoint={run_dir / 'checkpoint'}",
        *("data.path=new.csv", "data.input=seq", "data.target=label"),
    )
    assert ran.status == 2
    assert "'rihc'" in ran.err
    assert "row 7" in ran.err
    assert "did you mean 'rich'" in ran.err


def test_a_sweep_over_two_seeds(command: Callable[..., Ran], inside: Path) -> None:
    write_table(inside / "tiny.csv", sequences())
    ran = command(
        "finetune",
        "genomics/classification",
        *COLUMNS,
        *TINY,
        "versus=[]",
        "trainer.max_epochs=1",
        "seed=0,1",
        "-m",
    )
    assert ran.status == 0, ran.err
    rows = read_csv(ran.folder / "sweep.csv")
    assert len(rows) == 2
    assert [("seed=0" in row["command"], "seed=1" in row["command"]) for row in rows] == [
        (True, False),
        (False, True),
    ]
    for row in rows:
        job = ran.folder / row["job"]
        assert (job / "checkpoint" / "SHA256SUMS").exists()
        seeds = json.loads((job / "checkpoint" / "scizoo.json").read_text())["seeds"]
        assert seeds == [int(row["job"])]
        assert float(row["objective"]) == float(row["objective"])  # not NaN
