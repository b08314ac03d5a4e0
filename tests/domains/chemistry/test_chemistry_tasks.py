from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen

from scizoo import cli, plugins
from scizoo.api import load
from scizoo.checkpoints.format import verify
from scizoo.config import compose, to_plain
from scizoo.data.records import Record
from scizoo.data.task import read_task
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import audit_task
from scizoo_chemistry.contract import _molecules
from scizoo_chemistry.similarity import MoleculeSimilarity

GRAPH = ["checkpoint=null", "tokenizer=chemistry/graph", "backbone=chemistry/dmpnn", "backbone.width=32"]
QUICK = ["trainer.accelerator=cpu", "callbacks.progress=null", "batching.batch_size=4"]


def table(path: Path, columns: dict[str, list]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def smiles() -> list[str]:
    return [one for one, _ in _molecules()]


def run(words: list[str], capsys) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIZOO_RUN_DIR", "")
        patch.delenv("SCIZOO_RUN_DIR")
        status = cli.main(words)
    shown = capsys.readouterr()
    assert status == 0, shown.out + shown.err
    return Path(shown.out.strip().splitlines()[-1])


def test_a_graph_network_goes_from_a_table_to_predictions(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    values = [round(Crippen.MolLogP(Chem.MolFromSmiles(one)), 3) for one in smiles()]
    file = table(tmp_path / "mine.csv", {"smiles": smiles(), "logP": values})
    words = ["finetune", "chemistry/regression", f"data.path={file}", "data.target=logP", *GRAPH, *QUICK]
    folder = run([*words, "trainer.max_epochs=5", "callbacks.early_stopping=null"], capsys)
    checkpoint = folder / "checkpoint"
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["backbone"] == "scizoo_chemistry.models.dmpnn.DMPNN"
    assert config["settings"]["width"] == 32
    assert set(verify(checkpoint).differences.values()) == {0.0}
    model = load(checkpoint, device="cpu")
    assert model.embed(["CCO", "c1ccccc1"]).shape == (2, 32)
    frame = model.predict_df(smiles())
    assert np.isfinite(frame["mean"]).all()
    assert frame["mean"].nunique() > 30
    # However the molecule is written, the answer is the same.
    np.testing.assert_allclose(
        model.predict_df(["OC(=O)c1ccccc1"]).select_dtypes("number"),
        model.predict_df(["c1ccc(cc1)C(O)=O"]).select_dtypes("number"),
        rtol=1e-4,
    )
    with pytest.raises(DataError, match="C1CC"):
        model.predict_df(["C1CC"])


def test_missing_labels_are_trained_on_and_judged(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    oxygen = [str(int("O" in one.upper())) for one in smiles()]
    nitrogen = [str(int("N" in one.upper())) for one in smiles()]
    for column in (oxygen, nitrogen):
        for row in draw.choice(len(column), 8, replace=False):
            column[row] = ""
    columns = {"smiles": smiles(), "oxygen": oxygen, "nitrogen": nitrogen}
    file = table(tmp_path / "mine.csv", columns)
    words = ["finetune", "chemistry/multilabel", f"data.path={file}", "data.target=[oxygen,nitrogen]"]
    words += [*GRAPH, *QUICK, "trainer.max_epochs=10", "split.fractions=[0.5,0.2,0.3]"]
    folder = run(words, capsys)
    metrics = json.loads((folder / "metrics.json").read_text())
    told = json.dumps(metrics)
    assert "mean_auroc" in told
    assert "NaN" not in told
    frame = load(folder / "checkpoint", device="cpu").predict_df(smiles())
    assert np.isfinite(frame.select_dtypes("number").to_numpy()).all()


def test_named_tasks_read_what_packages_ship_and_do_not_leak():
    cfg = to_plain(compose("finetune", "chemistry/sulfonamides"))
    data = read_task(cfg)
    assert len(data.records) == 1017
    audit_task(data, cfg).check()
    assert sum(count["records"] for count in data.counts().values()) == 1017


def test_a_planted_leak_fails_the_audit(tmp_path):
    parts = ["train"] * 24 + ["validation"] * 8 + ["test"] * 8
    values = list(range(40))
    molecules = smiles()
    molecules[39] = "OC(C)=O" if molecules[0] == "CC(=O)O" else "O(CC)" + molecules[0].removeprefix("CCO")
    columns = {"smiles": molecules, "value": values, "part": parts}
    words = [f"data.path={table(tmp_path / 'clean.csv', columns)}", "data.split=part"]
    cfg = to_plain(compose("finetune", "chemistry/regression", words))
    assert any(
        finding.kind == "exact_duplicates" and finding.failed
        for finding in audit_task(read_task(cfg), cfg).findings
    )


@pytest.mark.parametrize("name", ["esol", "lipophilicity", "bbbp", "tox21"])
def test_benchmarks_without_their_folder_say_what_they_need(name):
    cfg = to_plain(compose("finetune", f"chemistry/{name}"))
    with pytest.raises(ConfigError, match=r"data\.path"):
        read_task(cfg)


def test_every_labelled_task_names_the_fields_baselines():
    names = [name for name in plugins.options("task") if name.startswith("chemistry/")]
    assert {"chemistry/classification", "chemistry/regression", "chemistry/multilabel"} <= set(names)
    for name in names:
        cfg = to_plain(compose("compare", name))
        if cfg["task"]["kind"] not in ("classification", "multilabel", "regression"):
            continue
        targets = {node["_target_"].rpartition(".")[2] for node in cfg["baselines"].values()}
        real = cfg["task"]["kind"] == "regression"
        end = "Regressor" if real else ""
        expected = {f"FingerprintForest{end}", f"FingerprintBoosting{end}"}
        assert targets == {*expected, "DescriptorRidge" if real else "DescriptorLogistic"}
        assert cfg["audit"]["_target_"].endswith("MoleculeSimilarity")


def test_a_thinned_sketch_tells_of_the_corpus_what_it_kept():
    records = [Record(f"m{number}", one) for number, one in enumerate(smiles())]
    whole, thin = MoleculeSimilarity(), MoleculeSimilarity(sketch_scale=4)
    kept = thin.sketch(records[:20])
    assert set(kept.tolist()) < set(whole.sketch(records[:20]).tolist())
    found, truth = thin.overlap(kept, records), whole.overlap(whole.sketch(records[:20]), records)
    known = ~np.isnan(found)
    assert 0 < known.sum() < len(records)
    np.testing.assert_array_equal(found[known], truth[known])
    assert 0 < truth.mean() < 1
    with pytest.raises(ConfigError, match="sketch_scale"):
        MoleculeSimilarity(sketch_scale=0)
