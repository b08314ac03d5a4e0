"""A disk that fills up ends a run with one message, status 1, and no file that looks whole and is not."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .conftest import COLUMNS, TINY, sequences, write_table

pytestmark = pytest.mark.slow

WORDS = ("finetune", "genomics/classification", *COLUMNS, *TINY, "trainer.max_epochs=1", "versus=[]")


def check_what_is_left(run: Path) -> None:
    """Check that every result in a broken run is whole."""
    assert not [path for path in run.rglob("*") if path.name.endswith(".tmp")]
    for path in run.rglob("*.ckpt"):
        torch.load(path, weights_only=True)
    for path in run.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    checkpoint = run / "checkpoint"
    if checkpoint.exists():
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=checkpoint, check=True)


def check_message(err: str, *said: str) -> None:
    assert err.count("scizoo: ") == 1, err
    assert "Traceback" not in err, err
    assert "--- Logging error ---" not in err, err
    for words in said:
        assert words in err, err


def test_a_file_may_not_grow(tmp_path: Path) -> None:
    """The system's limit on the size of a file strikes whatever library is writing: here last.ckpt."""
    limit = 200_000
    write_table(tmp_path / "tiny.csv", sequences())
    done = subprocess.run(
        [sys.executable, "-m", "scizoo", *WORDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    check_message(done.stderr, "could not be written", "ulimit -f", "What to do: ")
    (run,) = (tmp_path / "runs" / "finetune" / "genomics" / "classification").iterdir()
    assert not (run / "checkpoint").exists()
    check_what_is_left(run)


def can_mount() -> bool:
    """Whether this machine lets us have a small disk of our own."""
    if shutil.which("unshare") is None:
        return False
    words = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no mount namespaces on this machine")
@pytest.mark.parametrize(
    "size", ["8k", "100k", "520k"], ids=["in the log", "in best.ckpt", "in the checkpoint"]
)
def test_a_full_disk(tmp_path: Path, size: str) -> None:
    """On a disk of a few kilobytes the run ends wherever it is."""
    write_table(tmp_path / "tiny.csv", sequences())
    (tmp_path / "disk").mkdir()
    script = (
        'mount -t tmpfs -o size="$1" tmpfs disk && shift && '
        '"$@" run_dir=disk/run; status=$?; cp -r disk/. left; exit $status'
    )
    done = subprocess.run(
        ["unshare", "-Urm", "bash", "-c", script, "bash", size, sys.executable, "-m", "scizoo", *WORDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    check_message(done.stderr, "could not be written: the disk is full", "free some space")
    assert "disk/run" in done.stderr
    check_what_is_left(tmp_path / "left" / "run")
