"""``python -m scizoo.testing``, as the author of a plugin types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scizoo.testing", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_domain_is_refused_with_a_hint(tmp_path: Path) -> None:
    done = run(tmp_path, "genomix")
    assert done.returncode == 2
    assert done.stderr == "scizoo: no domain 'genomix' is installed; did you mean 'genomics'?\n"


@pytest.mark.slow
def test_it_runs_on_one_domain_and_hands_options_on(tmp_path: Path) -> None:
    done = run(tmp_path, "genomics", "-k", "cheap or found", "-v")
    assert done.returncode == 0, done.stdout
    assert "test_importing_the_plugin_is_cheap[genomics] PASSED" in done.stdout
    assert "2 passed" in done.stdout
