"""The contract holds for numbers, images and a plugin's own network as it does for tokens."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import scizoo
from scizoo import plugins
from scizoo.checkpoints.format import load_checkpoint, verify
from scizoo.errors import CheckpointError, ConfigError
from scizoo.jobs.run import run_job
from scizoo.models.backbones import load_backbone

LAB = Path(__file__).parent / "lab" / "scizoo_lab"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the plugin installed in it."""
    folder = tmp_path / "site"
    info = folder / "scizoo_lab-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scizoo-lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[scizoo.domains]\nlab = scizoo_lab:DOMAIN\n")
    shutil.copytree(LAB, folder / "scizoo_lab")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    plugins._scan.cache_clear()
    plugins._faces.cache_clear()
    yield folder
    plugins._scan.cache_clear()
    plugins._faces.cache_clear()
    for module in [name for name in sys.modules if name.startswith("scizoo_lab")]:
        del sys.modules[module]


def test_the_contract_suite_passes(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scizoo.testing", "lab", "-q", "-p", "no:cacheprovider"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert shown.returncode == 0, shown.stdout[-6000:] + shown.stderr[-2000:]
    assert " skipped" not in shown.stdout.splitlines()[-1]
