"""Tasks and recipes: what is held out stays out, and what models and objectives are given."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scizoo import plugins
from scizoo.config import compose, instantiate, to_plain
from scizoo.data.encoding import encode_records
from scizoo.data.module import DataModule
from scizoo.data.task import read_task
from scizoo.data.windows import Context
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.study import check_networks, entrants
from scizoo.models.backbones import build_backbone
from scizoo.models.objectives import build_objective
from scizoo.training.build import build_head, build_parts
from scizoo_astronomy.contract import EXAMPLES
from scizoo_astronomy.datasets.binaries import SimulatedBinaries, two_gaussians
from scizoo_astronomy.datasets.catalog import CatalogFiles
from scizoo_astronomy.datasets.heldout import is_held_out
from scizoo_astronomy.datasets.joined import Joined
from scizoo_astronomy.datasets.ogle import TREE
from scizoo_astronomy.heads import HierarchicalHead, MixtureDensityHead

TASKS = [name for name in plugins.options("task") if name.startswith("astronomy/")]


def composed(name: str, *words: str, verb: str = "finetune") -> dict[str, Any]:
    return to_plain(compose(verb, name, list(words)))


def test_every_task_names_baselines_a_metric_and_an_audit() -> None:
    assert {"astronomy/variables", "astronomy/asas", "astronomy/fr-deep", "astronomy/htru2"} <= set(TASKS)
    for name in TASKS:
        cfg = composed(name)
        assert cfg["baselines"], name
        assert cfg["task"]["metric"], name
        assert cfg["audit"]["_target_"].endswith("SkySimilarity"), name


def test_the_tree_of_the_task_is_that_of_the_catalogue() -> None:
    tree = composed("astronomy/variables")["head"]["tree"]
    for node, subtypes in tree.items():
        assert set(subtypes) <= set(TREE[node.removesuffix("-all")]), node


def catalogue(path: Path) -> Path:
    """A catalogue like OGLE-III's of 120 stars of two types."""
    modes = [f"{name}_{k}" for k in (1, 2, 3) for name in ("P", "T0", "A", "R21", "phi21", "R31", "phi31")]
    columns = ["ID", "Field", "Type", "Subtype", "RA", "DECL", "I", "V", *modes]
    lines = ["# Columns:", "# " + "\t".join(columns)]
    for number in range(120):
        kind, subtype, period = (("RRLyr", "RRab", "0.55"), ("LPV", "Mira", "120.0"))[number % 2]
        cells = dict.fromkeys(columns, "-99.99") | {"ID": f"OGLE-{number}", "Field": "LMC100.1"}
        cells |= {"Type": kind, "Subtype": subtype, "RA": f"{number / 10}", "DECL": "-69.5", "I": "17.0"}
        lines.append("\t".join((cells | {"P_1": period, "A_1": "0.8"}).values()))
    path.write_bytes(bz2.compress("\n".join([*lines, ""]).encode()))
    return path


def test_tasks_test_on_stars_that_the_corpus_leaves_out(tmp_path: Path) -> None:
    path = catalogue(tmp_path / "ogle3.txt.bz2")
    words = [f"+data.path={path}", "data.max_per_class=40", "data.points=[10,12]"]
    data = read_task(composed("astronomy/variables", *words))
    tested = {record.id for record in data.part("test")}
    assert tested
    assert all(is_held_out(id, 0.2, 0) for id in tested)
    others = [record for part in ("train", "validation") for record in data.part(part)]
    assert not any(is_held_out(record.id, 0.2, 0) for record in others)
    words = [f"+data.parts.stars.path={path}", "data.parts.binaries=null"]
    corpus = instantiate(composed("astronomy/lightcurve-tiny", *words, verb="pretrain")["data"])
    records = {record.id.removeprefix("stars-"): record for record in corpus}
    assert not set(records) & tested
    assert {record.id for record in others} <= set(records)
    assert len(records) + len([n for n in range(120) if is_held_out(f"OGLE-{n}", 0.2, 0)]) == 120
    assert all(record.target is None for record in records.values())
    # Other nights and other noise than in the task, also for the stars that both have.
    assert all(records[record.id].input.digest() != record.input.digest() for record in others)


def test_about_a_fifth_is_held_out_whatever_the_order() -> None:
    held = [is_held_out(f"OGLE-LMC-RRLYR-{number:05d}", 0.2, 0) for number in range(4000)]
    assert 0.17 < np.mean(held) < 0.23
    assert held != [is_held_out(f"OGLE-LMC-RRLYR-{number:05d}", 0.2, 1) for number in range(4000)]


def test_simulated_binaries_are_the_same_each_time_and_eclipse() -> None:
    first, again = (list(SimulatedBinaries(5, points=(20, 30))) for _ in range(2))
    assert [record.input.digest() for record in first] == [record.input.digest() for record in again]
    assert all(20 <= len(record.input) <= 30 for record in first)
    phase = np.array([0.0, 0.25, 0.5, 0.75])
    light = two_gaussians(phase, (0.8, 0.3), (0.02, 0.02), 0.5, 0.1)
    np.testing.assert_allclose(light, [0.85, -0.05, 0.35, -0.05], atol=1e-6)


def test_joined_datasets_keep_their_names_and_their_rejections(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n,\n3,4\n")
    joined = Joined(
        {"rows": CatalogFiles(path), "none": None, "drawn": SimulatedBinaries(2)}, max_rejected=0.5
    )
    ids = [record.id for record in joined]
    assert ids == ["rows-rows.csv:1", "rows-rows.csv:3", "drawn-binary-0", "drawn-binary-1"]
    assert len(joined.rejections.rejected) == 1
    assert joined.fingerprint() != Joined({"drawn": SimulatedBinaries(2)}).fingerprint()
    with pytest.raises(ConfigError, match=r"data\.parts"):
        Joined({})


def test_masked_light_curves_are_asked_for_brightness_alone() -> None:
    cfg = composed("astronomy/lightcurve-tiny", verb="pretrain")
    tokenizer = instantiate(cfg["tokenizer"])
    records = list(SimulatedBinaries(4, points=(40, 60)))
    encoded = encode_records(records, tokenizer, context=Context(max_length=160))
    backbone = build_backbone(cfg["backbone"], tokenizer, 160)
    assert sum(p.numel() for p in backbone.parameters()) < 2_200_000
    objective = build_objective(cfg["head"], backbone, tokenizer)
    batch = next(iter(DataModule(encoded, batch_size=4).train_dataloader()))
    hidden = objective.prepare(batch, torch.Generator().manual_seed(0))
    asked = ~hidden["target"].isnan()
    assert asked[..., 0].sum(dim=1).float() == pytest.approx(
        (0.5 * batch["attention_mask"].sum(dim=1)), abs=1
    )
    assert not asked[..., 1:].any()
    assert not hidden["values"][hidden["masked"]].any()
    loss = objective.loss(objective(backbone(hidden), hidden), hidden)
    assert torch.isfinite(loss)
    # Errors weigh the loss: a hidden point of no weight does not count.
    hidden["weight"] = torch.zeros_like(hidden["weight"])
    assert float(objective.loss(objective(backbone(hidden), hidden), hidden)) == 0.0


def test_own_heads_fit_the_own_data_tasks(tmp_path: Path) -> None:
    """The switches that the tasks' comments name."""
    words = EXAMPLES.own_data["astronomy/lightcurve-classification"](tmp_path)
    head = [
        "head._target_=scizoo_astronomy.heads.HierarchicalHead",
        "+head.tree={periodic:[pulsating,eclipsing]}",
    ]
    model = ["checkpoint=null", *EXAMPLES.model]
    cfg = composed("astronomy/lightcurve-classification", *words, *head, *model)
    data = read_task(cfg)
    parts = build_parts(cfg)
    made = build_head(cfg, parts.backbone, data.target)
    assert isinstance(made, HierarchicalHead)
    assert made.tree.classes == data.target.classes == ["eclipsing", "pulsating"]
    folder = tmp_path / "spectra"
    folder.mkdir()
    words = EXAMPLES.own_data["astronomy/spectrum-regression"](folder)
    head = ["head._target_=scizoo_astronomy.heads.MixtureDensityHead", "+head.components=3"]
    cfg = composed("astronomy/spectrum-regression", *words, *head)
    parts = build_parts(cfg)
    assert isinstance(build_head(cfg, parts.backbone, read_task(cfg).target), MixtureDensityHead)


def test_a_table_with_other_columns_is_refused_by_name(tmp_path: Path) -> None:
    words = EXAMPLES.own_data["astronomy/htru2"](tmp_path)
    cfg = composed("astronomy/htru2", *words)
    data = read_task(cfg)
    parts = build_parts(cfg, lambda: (record.input for record in data.part("train")))
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"lacks M1.*has a, b besides"):
        parts.tokenizer.encode([record.input for record in CatalogFiles(other)])


def test_compare_checks_a_network_whose_tokenizer_learns_from_the_table(tmp_path: Path) -> None:
    """Without a checkpoint the table's columns, and so the network's inputs, are known from training."""
    cfg = composed("astronomy/htru2", *EXAMPLES.own_data["astronomy/htru2"](tmp_path), verb="compare")
    data = read_task(cfg)
    everyone = entrants(cfg)
    assert [one.key for one in everyone if one.baseline is None] == ["scratch"]
    check_networks(cfg, data, everyone)
