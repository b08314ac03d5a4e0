from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from scizoo.config import compose, instantiate, to_plain
from scizoo.data.records import Record
from scizoo.data.splits import PARTS, GivenSplitter
from scizoo.data.targets import MultiLabelTarget, RealTarget
from scizoo.errors import ConfigError, DataError
from scizoo_chemistry.datasets import moses
from scizoo_chemistry.datasets.embedded import ChemblActivity, FreeSolv, PainsAlerts, pains_alerts
from scizoo_chemistry.datasets.files import MoleculeFiles
from scizoo_chemistry.datasets.moleculenet import MoleculeNet
from scizoo_chemistry.datasets.moses import MosesCorpus
from scizoo_chemistry.splitters import ScaffoldSplitter

TABLE = """name,smiles,logS,active,year
ethanol,OCC,0.8,1,2001
phenol,Oc1ccccc1,-0.1,0,2002
propane,CCC,-2.0,,2003
"""


# --- own files --------------------------------------------------------------------------------------


def test_columns_become_records(put):
    data = MoleculeFiles(put("t.csv", TABLE), target="logS", id="name")
    records = list(data)
    assert records[0] == Record("ethanol", "CCO", "0.8", None, records[0].meta, "t.csv, row 1")
    assert records[0].meta == {"active": "1", "year": "2001"}
    assert len(list(data)) == 3  # again, from the start
    assert data.licence.name.startswith("unknown")


def test_missing_labels_stay_missing(put):
    records = list(MoleculeFiles(put("t.csv", TABLE), target=["logS", "active"]))
    assert records[2].target == {"logS": "-2.0", "active": None}
    encoder = MultiLabelTarget()
    targets = [{"a": r.target["active"], "b": "1" if n == 0 else "0"} for n, r in enumerate(records)]
    names = [record.id for record in records]
    encoder.fit(targets, names)
    encoded = encoder.encode(targets, names)
    assert encoded[:2, 0].tolist() == [1.0, 0.0]
    assert encoded[2, 0] != encoded[2, 0]


def test_labels_beside_the_molecules(put):
    path = put("m.smi", "CCO a\nCCN b\nCCC c\n")
    labels = put("y.csv", "id,pIC50\nb,5.5\na,6.5\n")
    data = MoleculeFiles(path, labels=labels, target="pIC50", max_rejected=0.5)
    assert [(r.id, r.target) for r in data] == [("a", "6.5"), ("b", "5.5")]
    assert "no row of" in data.rejections.rejected[0].reason
    twice = put("z.csv", "id,pIC50\nb,5.5\nb,6.5\n")
    with pytest.raises(DataError, match="second row has the id 'b'"):
        list(MoleculeFiles(path, labels=twice, target="pIC50"))


def test_files_named_after_parts_give_the_split(put, tmp_path):
    for part, text in (("train", "CCO a\nCCN b\n"), ("valid", "CCC a\n"), ("test", "CCCl a\n")):
        put(f"parts/{part}.smi", text)
    records = list(MoleculeFiles(tmp_path / "parts"))
    assert {(r.id, r.meta["split"]) for r in records} == {
        ("test:a", "test"),
        ("train:a", "train"),
        ("train:b", "train"),
        ("valid:a", "validation"),
    }


def test_contradictions(put):
    path = put("t.csv", "smiles,y\nOCC,1\nCCO,0\nCCN,1\nCCN,1\n")
    assert len(list(MoleculeFiles(path, target="y"))) == 4
    data = MoleculeFiles(path, target="y", contradictions="leave_out")
    assert [record.input for record in data] == ["CCN", "CCN"]
    assert data.left_out == {"whose molecule stands under different targets": 2}
    with pytest.raises(ConfigError, match="contradictions"):
        MoleculeFiles(path, contradictions="shrug")


def test_what_cannot_be_asked_for():
    with pytest.raises(ConfigError, match=r"data\.path"):
        MoleculeFiles()
    with pytest.raises(ConfigError, match="geometry"):
        MoleculeFiles("x.sdf", geometry=True, salts=True)


def test_fingerprints_follow_contents_and_options(put):
    path = put("t.csv", TABLE)
    first = MoleculeFiles(path, target="logS").fingerprint()
    assert first == MoleculeFiles(path, target="logS").fingerprint()
    assert first != MoleculeFiles(path, target="active").fingerprint()
    assert first != MoleculeFiles(path, target="logS", stereo=False).fingerprint()
    put("t.csv", TABLE + "butane,CCCC,-3,1,2004\n")
    assert first != MoleculeFiles(path, target="logS").fingerprint()


# --- data that packages ship ------------------------------------------------------------------------


def test_chembl_activities():
    data = ChemblActivity()
    records = list(data)
    assert len(records) == 1017
    assert not data.rejections.rejected
    values = [float(record.target) for record in records]
    assert (min(values), max(values)) == (4.27, 9.22)
    assert round(sum(values) / 1017, 2) == 6.55
    assert len({record.id for record in records}) == 1017
    assert records[0].id == "1520012"
    assert data.licence.name == "CC-BY-SA-3.0"
    assert "ChEMBL" in data.citation
    encoder = RealTarget()
    encoder.fit(values, [record.id for record in records])


def test_pains_alerts_are_kept_by_release(tmp_path, monkeypatch):
    data = PainsAlerts(limit=150)
    records = list(data)
    assert len(records) == 150
    assert {record.target for record in records} == {"PAINS", "clean"}
    flagged = [record for record in records if record.target == "PAINS"]
    assert all(record.meta["alert"] != "none" for record in flagged)
    assert 5 <= len(flagged) <= 30

    def never(smiles):
        raise AssertionError("the filters were run again")

    monkeypatch.setattr("scizoo_chemistry.datasets.embedded.pains_alerts", never)
    assert [record.target for record in PainsAlerts(limit=150)] == [record.target for record in records]


def test_pains_filters_know_a_quinone():
    assert pains_alerts(["O=C1C=CC(=O)C=C1", "CCO", "no molecule"])[0].startswith("quinone")
    assert pains_alerts(["O=C1C=CC(=O)C=C1", "CCO", "no molecule"])[1:] == ["", ""]


def test_freesolv_from_a_copy(put):
    path = put("freesolv.csv", "iupac,smiles,expt,calc\nmethane,C,2.0,2.45\nwater,O,-6.3,-6.9\n")
    data = FreeSolv(str(path))
    assert [(r.input, r.target, r.meta["calc"]) for r in data] == [
        ("C", "2.0", "2.45"),
        ("O", "-6.3", "-6.9"),
    ]
    assert FreeSolv(str(path), target="calc").fingerprint() != data.fingerprint()
    assert "#sha256=" in str(FreeSolv().path)


# --- MoleculeNet ------------------------------------------------------------------------------------


@pytest.fixture
def tox(tmp_path):
    """A folder in MoleculeNet's layout with twelve molecules, one of them no molecule."""
    folder = tmp_path / "sets" / "Tox21"
    folder.mkdir(parents=True)
    smiles = ["C" * n + "O" for n in range(1, 12)] + ["CN(C)(C)(C)C"]
    rows = [f"{n % 2},{'' if n % 3 == 0 else 1},T{n},{text}" for n, text in enumerate(smiles)]
    table = "\n".join(["NR-AR,SR-p53,mol_id,smiles", *rows]) + "\n"
    (folder / "tox21.csv.gz").write_bytes(gzip.compress(table.encode()))
    split = {"kind": "by hand", "train": list(range(8)), "valid": [8, 9], "test": [10]}
    (folder / "scaffold_split_80_10_10.json").write_text(json.dumps(split))
    return folder


def test_a_folder_of_moleculenet(tox):
    data = MoleculeNet(tox, max_rejected=0.1)
    records = list(data)
    assert data.name == "MoleculeNet Tox21"
    assert data.target == ["NR-AR", "SR-p53"]
    assert records[0].id == "Tox21-0"
    assert records[3].target == {"NR-AR": "1", "SR-p53": None}
    assert records[0].meta == {"mol_id": "T0", "split": "train"}
    assert [item.id for item in data.rejections.rejected] == ["Tox21-11"]
    split = GivenSplitter().split(records)
    assert [getattr(split, part).tolist() for part in PARTS] == [list(range(8)), [8, 9], [10]]
    assert "government" in data.licence.name
    same = MoleculeNet(tox.parent, subset="Tox21", max_rejected=0.1)
    assert [r.input for r in same] == [r.input for r in records]
    one = MoleculeNet(tox, target="NR-AR", max_rejected=0.1)
    assert next(iter(one)).target == "0"


def test_rows_that_the_split_does_not_name_are_counted(tox):
    path = tox / "scaffold_split_80_10_10.json"
    path.write_text(json.dumps({"train": [0, 1], "valid": [2], "test": [3]}))
    data = MoleculeNet(tox, max_rejected=0.5)
    assert len(list(data)) == 4
    assert data.left_out["that the split does not name"] == 7


def test_contradicting_classes_are_left_out(tmp_path):
    folder = tmp_path / "BBBP"
    folder.mkdir()
    (folder / "BBBP.csv").write_text("num,name,p_np,smiles\n1,a,1,CCO\n2,b,0,OCC\n3,c,1,CCN\n4,d,0,CCC\n")
    (folder / "scaffold_split_80_10_10.json").write_text('{"train": [0, 1], "valid": [2], "test": [3]}')
    data = MoleculeNet(folder)
    assert [record.input for record in data] == ["CCN", "CCC"]
    assert data.left_out == {"whose molecule stands under different classes": 2}
    assert len(list(MoleculeNet(folder, contradictions="refuse"))) == 4


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ('{"train": [0, 1], "valid": [2], "test": [99]}', "names row 99"),
        ('{"train": [0, 1], "valid": [1], "test": [2]}', "two parts"),
        ('{"parts": [0]}', "names no rows"),
        ("[0, 1", "no JSON"),
        (None, "cannot be read"),
    ],
)
def test_splits_that_do_not_fit(tox, split, words):
    path = tox / "scaffold_split_80_10_10.json"
    path.unlink()
    if split is not None:
        path.write_text(split)
    with pytest.raises(DataError, match=words):
        list(MoleculeNet(tox, max_rejected=0.1))


def test_folders_that_hold_no_set(tox):
    with pytest.raises(DataError, match=r"holds 0 tables.*\n.*\n.*Tox21"):
        MoleculeNet(tox.parent)
    with pytest.raises(DataError, match=r"did you mean 'Tox21'"):
        MoleculeNet(tox.parent, subset="tox21")
    with pytest.raises(ConfigError, match=r"data\.path"):
        MoleculeNet()
    with pytest.raises(DataError, match="no column 'NR-XX'"):
        list(MoleculeNet(tox, target="NR-XX", max_rejected=0.1))


# --- MOSES ------------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "moses").mkdir()
    for part, count in (("train", 50), ("test", 10), ("test_scaffolds", 5)):
        text = "SMILES\n" + "".join(f"{'C' * n}O\n" for n in range(1, count + 1))
        (tmp_path / "moses" / f"{part}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path / "moses"


def test_moses_is_a_stream(corpus, monkeypatch):
    data = MosesCorpus(corpus)
    stream = iter(data)
    first = next(stream)
    assert (first.id, first.input, first.target) == ("train-1", "CO", None)
    assert len(list(data)) == 50
    assert [r.id for r in MosesCorpus(corpus, every=20)] == ["train-1", "train-21", "train-41"]
    assert len(list(MosesCorpus(corpus, limit=7))) == 7
    assert len(list(MosesCorpus(corpus, part="all"))) == 65
    assert len({record.id for record in MosesCorpus(corpus, part="all")}) == 65
    assert [r.input for r in MosesCorpus(corpus / "test.csv.gz", part="test")][-1] == "C" * 10 + "O"
    assert MosesCorpus(corpus).fingerprint() != MosesCorpus(corpus, every=2).fingerprint()
    assert data.licence.name == "MIT"


def test_moses_can_be_spelled_anew(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("SMILES,SPLIT\nOCC,train\nC(C)N,train\nCN(C)(C)(C)C,train\n")
    assert [r.input for r in MosesCorpus(path)] == ["OCC", "C(C)N", "CN(C)(C)(C)C"]
    data = MosesCorpus(path, canonical=True, max_rejected=0.5)
    assert [r.input for r in data] == ["CCO", "CCN"]
    assert "valence" in data.rejections.rejected[0].reason


def test_moses_that_is_none(tmp_path, corpus):
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        MosesCorpus(part="trian")
    with pytest.raises(ConfigError, match="every"):
        MosesCorpus(every=0)
    (corpus / "test.csv.gz").unlink()
    with pytest.raises(DataError, match=r"holds no test\.csv\.gz"):
        list(MosesCorpus(corpus, part="test"))
    path = tmp_path / "own.csv"
    path.write_text("id,smiles\n1,CCO\n")
    with pytest.raises(DataError, match="begins with 'id,smiles'"):
        list(MosesCorpus(path))


def test_moses_is_fetched_by_name_version_and_digest(monkeypatch, corpus):
    asked = []

    def fetch(source):
        asked.append(source)
        return corpus / "train.csv.gz"

    monkeypatch.setattr(moses, "resolve", fetch)
    assert len(list(MosesCorpus())) == 50
    name, _, digest = asked[0].partition("#sha256=")
    assert name == "pypi:molsets==0.3.1!moses/dataset/data/train.csv.gz"
    assert len(bytes.fromhex(digest)) == hashlib.sha256().digest_size


# --- configs ----------------------------------------------------------------------------------------


def test_the_augment_config_is_made():
    config = to_plain(compose("finetune", None, ["augment=chemistry/random-smiles"]))
    assert len(instantiate(config["augment"]).views("CC(=O)Nc1ccc(O)cc1")) == 4


def test_own_data_end_to_end(put):
    """A table with salts and bad rows becomes a split that leaks nothing."""
    from scizoo.evaluation.leakage import audit
    from scizoo_chemistry.similarity import MoleculeSimilarity

    series = list(ChemblActivity())[::8]
    rows = [f"{record.input}{'.Cl' if n % 9 == 0 else ''},{record.target}" for n, record in enumerate(series)]
    data = MoleculeFiles(
        put("t.csv", "\n".join(["smiles,y", *rows, "broken(,1"]) + "\n"), target="y", salts=True
    )
    records = list(data)
    assert len(records) == len(series)
    split = ScaffoldSplitter(near=0.9).split(records)
    found = audit(records, split, MoleculeSimilarity(), kind="regression")
    assert [leak.kind for leak in found.failed()] == []
