"""The figures of generated molecules against their definitions, and a small run from file to report."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, rdBase
from rdkit.Chem import AllChem, DataStructs, Descriptors
from rdkit.Chem.Scaffolds import MurckoScaffold
from scipy.linalg import sqrtm

from scizoo import cli
from scizoo.errors import ConfigError
from scizoo.evaluation.generation import Generated, TokenView
from scizoo.evaluation.sample_figures import estimate_figure
from scizoo_chemistry.generation.molecules import DESCRIPTORS
from scizoo_chemistry.generation.scorer import MoleculeScorer

CORES = ("c1ccccc1", "c1ccncc1", "C1CCNCC1", "c1ccc2ccccc2c1", "c1ccc2[nH]ccc2c1", "C1CCOCC1")
TAILS = (
    "C",
    "CC",
    "O",
    "N",
    "F",
    "Cl",
    "C(=O)O",
    "C(=O)N",
    "OC",
    "C#N",
    "CCO",
    "S(=O)(=O)N",
    "CCC",
    "C(F)(F)F",
)
LINKS = ("", "C", "O", "CC", "NC(=O)")


def molecules() -> list[str]:
    """Some hundred small molecules, canonical."""
    made = [f"{tail}{link}{core}" for core in CORES for link in LINKS for tail in TAILS]
    with rdBase.BlockLogs():  # some of these do not exist
        found = [Chem.MolFromSmiles(one) for one in made]
    return sorted({Chem.MolToSmiles(mol) for mol in found if mol is not None})


def rows_of(smiles: list[str]) -> list[np.ndarray]:
    return [np.frombuffer(one.encode(), dtype=np.uint8).astype(np.int64) for one in smiles]


@pytest.fixture(scope="module")
def parts() -> dict[str, list[str]]:
    every = np.array(molecules(), dtype=object)
    order = np.random.default_rng(0).permutation(len(every))
    return {
        "training": every[order[:150]].tolist(),
        "heldout": every[order[150:250]].tolist(),
        "written": every[order[250:330]].tolist(),
    }


@pytest.fixture(scope="module")
def scorer(parts) -> MoleculeScorer:
    view = TokenView(rows_of(parts["training"]), rows_of(parts["heldout"]))
    return MoleculeScorer().fit(parts["training"], parts["heldout"], view)


def scored(scorer: MoleculeScorer, smiles: list[str]):
    figures = scorer.score(Generated(list(smiles), rows_of(smiles)))
    return {
        name: estimate_figure(figure, len(smiles), resamples=200, level=0.95)
        for name, figure in figures.items()
    }


def prints(smiles: list[str]):
    return [AllChem.GetMorganFingerprintAsBitVect(Chem.MolFromSmiles(one), 2, 1024) for one in smiles]


def frechet(ours: np.ndarray, theirs: np.ndarray) -> float:
    ours, theirs = ((one - theirs.mean(axis=0)) / theirs.std(axis=0) for one in (ours, theirs))
    first, second = (np.cov(one, rowvar=False, bias=True) for one in (ours, theirs))
    gap = ((ours.mean(axis=0) - theirs.mean(axis=0)) ** 2).sum()
    return float(gap + np.trace(first + second - 2 * sqrtm(first @ second).real))


def test_the_figures_are_those_of_the_definitions(scorer, parts):
    found = scored(scorer, parts["written"])
    ours, theirs = prints(parts["written"]), prints(parts["heldout"])
    table = np.array([DataStructs.BulkTanimotoSimilarity(one, ours) for one in ours])
    assert found["internal_diversity"].value == pytest.approx(1 - table.mean())
    nearest = [max(DataStructs.BulkTanimotoSimilarity(one, theirs)) for one in ours]
    assert found["nearest_heldout"].value == pytest.approx(np.mean(nearest))
    counts = []
    for smiles in (parts["written"], parts["heldout"]):
        cores = [MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(one)) for one in smiles]
        counts.append(Counter(Chem.MolToSmiles(c) for c in cores if c.GetRingInfo().NumRings() >= 2))
    names = sorted({*counts[0], *counts[1]})
    one, other = (np.array([count[name] for name in names]) for count in counts)
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert len(names) > 1 and found["scaffold_similarity"].value == pytest.approx(expected)
    columns = [
        np.array(
            [[getattr(Descriptors, name)(Chem.MolFromSmiles(one)) for name in DESCRIPTORS] for one in part]
        )
        for part in (parts["written"], parts["heldout"])
    ]
    assert found["descriptor_distance"].value == pytest.approx(frechet(*columns), abs=1e-6)
    for name, one in found.items():
        assert one.low <= one.value + 1e-12 and one.value <= one.high + 1e-12, name


def test_the_held_out_molecules_themselves_are_at_no_distance(scorer, parts):
    found = scored(scorer, parts["heldout"])
    assert found["descriptor_distance"].value == pytest.approx(0, abs=1e-8)
    assert found["scaffold_similarity"].value == pytest.approx(1)
    assert found["nearest_heldout"].value == pytest.approx(1)
    odd = scored(scorer, ["CCCCCCCCCCCCCCCCCCCC", "CCCCCCCCCCCCCCCCCC", "OCCCCCCCCCCCCCCCCC"] * 10)
    assert odd["descriptor_distance"].low > 5
    assert odd["scaffold_similarity"].reason == "no scaffold of two rings or more"
    assert odd["nearest_heldout"].value < 0.5


def test_copies_are_told_however_they_are_spelled(scorer, parts):
    respelled = [
        Chem.MolToSmiles(Chem.MolFromSmiles(one), canonical=False, rootedAtAtom=0)
        for one in parts["training"][:40]
    ]
    mixed = [Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(one), 1, 7)[0] for one in respelled]
    assert not set(mixed) <= set(parts["training"])
    found = scored(scorer, mixed + parts["written"][:40])
    assert found["novelty"].value == pytest.approx(0.5)
    assert scored(scorer, parts["written"])["novelty"].value == 1.0


def test_what_rdkit_refuses_is_not_valid_and_a_salt_is_not_in_one_piece(scorer):
    found = scored(scorer, ["OCC", "CCO", "c1ccccc", "C(C)(C)(C)(C)C", "CC.O", ""])
    assert found["validity"].value == pytest.approx(3 / 6)
    assert found["uniqueness"].value == pytest.approx(2 / 3), "OCC and CCO are one molecule"
    assert found["one_fragment"].value == pytest.approx(2 / 3)
    nothing = scored(scorer, ["c1ccccc", "((", "not a molecule"])
    assert nothing["validity"].value == 0.0
    assert {one.reason for name, one in nothing.items() if np.isnan(one.value)} == {"no sample is valid"}


def test_one_molecule_over_and_over_has_no_diversity(scorer):
    found = scored(scorer, ["c1ccccc1CCO"] * 50)
    assert found["internal_diversity"].value == pytest.approx(0)
    assert found["uniqueness"].value == pytest.approx(1 / 50)


def test_unique_at_k_looks_at_the_first_valid_ones(parts):
    view = TokenView(rows_of(parts["training"]), rows_of(parts["heldout"]))
    made = MoleculeScorer(unique_at=4).fit(parts["training"], parts["heldout"], view)
    written = ["CCO", "broken((", "CCO", "CCN", "CCC", "CCCC", "CCCC"]
    assert scored(made, written)["unique_at_4"].value == pytest.approx(3 / 4)
    assert "only 2" in scored(made, ["CCO", "CCN"])["unique_at_4"].reason
    trusting = MoleculeScorer(recanonicalise=False).fit(parts["training"], parts["heldout"], view)
    assert scored(trusting, parts["training"][:9])["novelty"].value == 0.0


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"scorer\.reference=1"):
        MoleculeScorer(reference=1)


def test_a_decoder_learns_to_write_molecules_and_is_judged(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with Path("mine.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["smiles"], *([one] for one in molecules())])
    words = [
        "data.path=mine.csv",
        "checkpoint=null",
        "tokenizer=chemistry/smiles",
        "backbone=llama-tiny",
        "backbone.config.hidden_size=32",
        "backbone.config.num_hidden_layers=1",
        "backbone.config.intermediate_size=64",
        "context.max_length=48",
        "split._target_=scizoo.data.splits.GroupSplitter",
        "samples.count=60",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=4",
        "optimizer.lr=0.01",
        "precision=32",
        "evaluation.resamples=50",
        "run_dir=run",
    ]
    assert cli.main(["finetune", "chemistry/generate", *words]) == 0, capsys.readouterr().err
    report = json.loads(Path("run/report.json").read_text())
    metrics = [metric["name"] for metric in report["table"]["metrics"]]
    assert metrics[:2] == ["nll_per_token", "descriptor_distance"]
    roles = {row["role"]: row["scores"] for row in report["table"]["rows"]}
    assert set(roles) == {"scratch", "baseline", "ceiling"}
    assert roles["ceiling"]["validity"]["value"] == 1.0
    assert roles["baseline"]["validity"]["value"] > 0.1
    assert roles["scratch"]["nll_per_token"]["value"] < 3.0
    with Path("run/samples.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 120
    for row in rows:
        assert (Chem.MolFromSmiles(row["text"]) is not None and row["text"] != "") == (row["validity"] == "1")
    capsys.readouterr()
    written = ["generate", "chemistry/generate", "checkpoint=run/checkpoint", "trainer.accelerator=cpu"]
    assert cli.main([*written, "samples.count=3", "prompt=c1ccc(", "run_dir=more"]) == 0
    with Path("more/samples.csv").open(newline="") as stream:
        assert all(row["text"].startswith("c1ccc(") for row in csv.DictReader(stream))
