"""Tiny data, tiny settings, the real command, and one run that all tests of a session share."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

#: A new model of a few thousand weights and short training; nothing is downloaded.
TINY = (
    "checkpoint=null",
    "tokenizer=genomics/kmer3",
    "backbone=modernbert-tiny",
    "backbone.config.hidden_size=32",
    "backbone.config.num_hidden_layers=2",
    "backbone.config.num_attention_heads=2",
    "backbone.config.intermediate_size=64",
    "context.max_length=64",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "precision=32",
    "evaluation.resamples=50",
    "audit.sketch_scale=1",
)
COLUMNS = ("data.path=tiny.csv", "data.input=seq", "data.target=label")


def sequences(count: int = 60, length: int = 80, seed: int = 0) -> list[tuple[str, str]]:
    """Random sequences with the label ``rich`` or ``poor`` in G and C, by turns."""
    draw = random.Random(seed)
    weights = {"rich": (1, 4, 4, 1), "poor": (4, 1, 1, 4)}
    labels = [("rich", "poor")[number % 2] for number in range(count)]
    return [("".join(draw.choices("ACGT", weights[label], k=length)), label) for label in labels]


def write_table(path: Path, rows: Sequence[tuple[str, ...]], header: str = "seq,label") -> Path:
    """Write rows as CSV."""
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def write_fasta(path: Path, rows: Sequence[tuple[str, str]], prefix: str = "r") -> Path:
    """Write sequences as FASTA with their label in the header, in lines of 60 bases."""
    text = ""
    for number, (sequence, label) in enumerate(rows):
        lines = [sequence[start : start + 60] for start in range(0, len(sequence), 60)]
        text += f">{prefix}{number} label={label}\n" + "\n".join(lines) + "\n"
    path.write_text(text, encoding="ascii")
    return path


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def folder(self) -> Path:
        """The path that it printed last."""
        return Path(self.out.splitlines()[-1])


def run_command(*words: str, folder: Path, status: int = 0, seconds: int = 240) -> Ran:
    """Run ``scizoo`` as a user does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "scizoo", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finetuned(shared_folder: Path) -> tuple[Path, Ran]:
    """The folder in which ``scizoo finetune`` was run on a table of its own, and how that ended."""
    folder = shared_folder / "finetuned"
    with FileLock(shared_folder / "finetuned.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_table(folder / "tiny.csv", sequences())
            ran = run_command("finetune", "genomics/classification", *COLUMNS, *TINY, folder=folder)
            (folder / "out").write_text(ran.out)
            (folder / "err").write_text(ran.err)
            (folder / "done").touch()
    return folder, Ran(0, (folder / "out").read_text(), (folder / "err").read_text())


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of the test's own, the command's current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(inside: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process: ``command("finetune", ...)``."""
    from scizoo.cli import main

    def run(*words: str) -> Ran:
        capfd.readouterr()
        before = os.environ.get("SCIZOO_RUN_DIR")
        try:
            status = main(list(words))
        finally:
            os.environ.pop("SCIZOO_RUN_DIR", None)
            if before is not None:
                os.environ["SCIZOO_RUN_DIR"] = before
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return run
