"""The contract holds for numbers, images and a plugin's own network as it does for tokens."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scizoo import plugins
from scizoo.api import load
from scizoo.checkpoints.card import Card
from scizoo.checkpoints.format import load_checkpoint, save_checkpoint, verify
from scizoo.data.targets import RealTarget
from scizoo.data.windows import Context
from scizoo.errors import CheckpointError, ConfigError
from scizoo.models.backbones import build_backbone, load_backbone
from scizoo.models.heads import RegressionHead
from scizoo.training.adapt import apply_adapt, merge_lora

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
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    )
    plugins._scan.cache_clear()
    plugins._faces.cache_clear()
    yield folder
    plugins._scan.cache_clear()
    plugins._faces.cache_clear()
    for module in [name for name in sys.modules if name.startswith("scizoo_lab")]:
        del sys.modules[module]


def test_the_contract_suite_passes(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scizoo.testing", "lab", "-p", "no:cacheprovider"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert shown.returncode == 0, shown.stdout[-6000:] + shown.stderr[-2000:]
    skipped = [line for line in shown.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all("got empty parameter set" in line for line in skipped), skipped


def _rings(count: int = 4) -> list[Any]:
    datasets = importlib.import_module("scizoo_lab.datasets")
    return [record.input for record in islice(datasets.Rings(), count)]


def _network(seed: int = 0) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    tokenizer = importlib.import_module("scizoo_lab.tokenizers").RingTokenizer()
    cfg = {"_target_": "scizoo_lab.networks.MessageNetwork", "kinds": 1, "width": 16}
    return build_backbone(cfg, tokenizer, 64), tokenizer


@pytest.mark.parametrize("mode", ["full", "lora", "probe"])
def test_a_plugins_own_backbone_is_saved_adapted_and_verified(site: Path, tmp_path: Path, mode: str) -> None:
    backbone, tokenizer = _network()
    assert backbone.kinds == 4
    apply_adapt(backbone, mode)
    adapted = [parameter for name, parameter in backbone.named_parameters() if "lora_B" in name]
    assert bool(adapted) == (mode == "lora")
    for parameter in adapted:
        torch.nn.init.normal_(parameter, std=0.1)
    target = RealTarget()
    target.fit([1.0, 2.0, 4.0], ["a", "b", "c"])
    path = save_checkpoint(
        tmp_path / "checkpoint",
        backbone=backbone,
        head=RegressionHead(16, 1),
        target=target,
        tokenizer=tokenizer,
        context=Context(64, long_records="refuse"),
        card=Card("lab/rings", "Rings", "CC0-1.0", intended_use="Tests.", limits="Made up."),
        domain="lab",
        reference_inputs=_rings(2),
        dtype=None,
    )
    assert json.loads((path / "config.json").read_text()) == {
        "backbone": "scizoo_lab.networks.MessageNetwork",
        "settings": {"kinds": 4, "width": 16, "layers": 2},
    }
    assert (path / "adapter_model.safetensors").exists() == (mode == "lora")
    assert "scizoo_lab.networks.MessageNetwork" in (path / "README.md").read_text()
    assert set(verify(path).differences.values()) == {0.0}
    found = load_checkpoint(path)
    assert found.backbone.load_report is not None
    assert found.backbone.load_report.complete
    vectors = load(path, device="cpu").embed(_rings())
    assert len(load(path, device="cpu").predict_df(_rings())) == 4
    if mode == "lora":
        bare = load_backbone(path)
        assert torch.equal(bare.embed.weight, backbone.embed.weight)
        merge_lora(backbone)
        plain = tmp_path / "merged"
        backbone.save(plain)
        assert not np.allclose(_embed(bare, tokenizer), vectors, atol=1e-3)
        np.testing.assert_allclose(_embed(load_backbone(plain), tokenizer), vectors, atol=1e-5)


def _embed(backbone: Any, tokenizer: Any) -> np.ndarray:
    from scizoo.checkpoints.reference import compute, encode_inputs

    batch = encode_inputs(tokenizer, Context(64), _rings())
    return compute(backbone, None, batch)["embedding"].numpy()


def test_a_new_start_of_a_plugins_backbone(site: Path) -> None:
    backbone, _ = _network()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    apply_adapt(backbone, "scratch", seed=3)
    assert not torch.equal(backbone.embed.weight, before["embed.weight"])
    again, _ = _network(1)
    apply_adapt(again, "scratch", seed=3)
    assert torch.equal(again.embed.weight, backbone.embed.weight)


def test_config_json_may_name_no_other_class(site: Path, tmp_path: Path) -> None:
    backbone, _ = _network()
    backbone.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())

    def refused(kind: type[Exception], words: str, **changes: Any) -> None:
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(kind, match=words):
            load_backbone(tmp_path)

    refused(ConfigError, "not something a config may use", backbone="os.path.join")
    refused(ConfigError, "not something a config may use", backbone="subprocess.Popen")
    refused(CheckpointError, "not a PluginBackbone", backbone="scizoo.models.heads.ClassificationHead")
    refused(CheckpointError, "refuses these settings", settings={"depth": 3})
    refused(CheckpointError, "do not fit", settings={"kinds": 4, "width": 16, "layers": 3})
    refused(CheckpointError, "names no backbone class", backbone=7)
