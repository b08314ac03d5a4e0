"""The sets that this domain knows: PneumoniaMNIST, brain tumours, reports, MR quality, the chest CT."""

from __future__ import annotations

import io
import tarfile
from collections import Counter

import numpy as np
import pytest

from scizoo.config import compose, to_plain
from scizoo.data.splits import hash_split, pretraining_split
from scizoo.data.task import open_dataset
from scizoo.errors import ConfigError, DataError
from scizoo_radiology.datasets.brain import BrainTumour
from scizoo_radiology.datasets.ct import ChestCT
from scizoo_radiology.datasets.indiana import IndianaReports
from scizoo_radiology.datasets.medmnist import PneumoniaMNIST
from scizoo_radiology.datasets.quality import MriQuality
from scizoo_radiology.examples import write_brain, write_ct, write_quality, write_reports


def _mnist(folder, labels=(0, 1, 1, 0)):
    draw = np.random.default_rng(0)
    arrays = {}
    for short in ("train", "val", "test"):
        arrays[f"{short}_images"] = draw.integers(0, 255, (len(labels), 28, 28)).astype(np.uint8)
        arrays[f"{short}_labels"] = np.array(labels)[:, None]
    np.savez(folder / "pneumoniamnist.npz", **arrays)
    return folder


def test_medmnist_is_read_part_by_part(tmp_path):
    data = PneumoniaMNIST(_mnist(tmp_path))
    records = list(data)
    assert Counter(r.meta["split"] for r in records) == {"train": 4, "validation": 4, "test": 4}
    assert [r.target for r in records[:4]] == ["normal", "pneumonia", "pneumonia", "normal"]
    part = PneumoniaMNIST(tmp_path, part="train")
    assert [r.id for r in part] == [f"train-{n}" for n in range(4)]
    assert part.fingerprint() != data.fingerprint()
    with pytest.raises(ConfigError, match="trian"):
        PneumoniaMNIST(tmp_path, part="trian")
    with pytest.raises(ConfigError, match=r"data\.path is not given"):
        list(PneumoniaMNIST())


def test_damaged_or_other_npz_files_are_refused_by_name(tmp_path):
    path = tmp_path / "pneumoniamnist.npz"
    for content, words in (
        (b"", "empty"),
        (b"no zip at all", "cannot be read"),
        (b"PK\x03\x04half", "cannot be"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=words):
            list(PneumoniaMNIST(tmp_path))
    np.savez(path, train_images=np.zeros((2, 28, 28)))
    with pytest.raises(DataError, match="no array 'val_images'"):
        list(PneumoniaMNIST(tmp_path))
    np.savez(path, train_images=np.array([{}], dtype=object), train_labels=np.zeros((1, 1)))
    with pytest.raises(DataError, match=r"pneumoniamnist\.npz"):
        list(PneumoniaMNIST(tmp_path, part="train"))


def test_a_label_that_is_no_class_is_rejected(tmp_path):
    data = PneumoniaMNIST(_mnist(tmp_path, (0, 1, 7, 0)), max_rejected=0.5)
    assert len(list(data)) == 9
    assert "its label is 7" in data.rejections.rejected[0].reason


def _slices():
    draw = np.random.default_rng(0)
    pictures = list(draw.integers(0, 255, (16, 12, 12)).astype(np.uint8))
    pictures[3] = pictures[1]  # a test slice that is in training as well
    pictures[6] = pictures[4]  # twice in training
    return pictures


@pytest.mark.parametrize(("repeats", "train", "test"), [("drop-train", 11, 4), ("drop-test", 12, 3)])
def test_slices_in_both_parts_are_taken_out_of_one(tmp_path, repeats, train, test):
    write_brain(tmp_path, _slices())
    data = BrainTumour(tmp_path, repeats=repeats)
    records = list(data)
    assert Counter(r.meta["split"] for r in records) == {"train": train, "test": test}
    assert sum(data.left_out.values()) == 1
    groups = Counter(r.group for r in records)
    assert sorted(groups.values())[-1] == 2  # equal pixels stay together
    parts = {}
    for record in records:
        assert parts.setdefault(record.group, record.meta["split"]) == record.meta["split"]


def test_the_published_split_can_be_had(tmp_path):
    write_brain(tmp_path, _slices())
    assert len(list(BrainTumour(tmp_path, repeats="keep"))) == 16


def test_reports_are_parted_by_their_text(tmp_path):
    write_reports(tmp_path)
    path = tmp_path / "reports.tgz"
    data = IndianaReports(path)
    records = list(data)
    assert len(records) == 60
    assert set(records[0].target.values()) == {0, 1}
    assert records[0].target["normal"] == 1
    train = {r.id for r in IndianaReports(path, part="train")}
    assert train == {r.id for r in records if r.meta["split"] == "train"}
    assert {r.target for r in IndianaReports(path, target="normal")} == {"normal", "abnormal"}
    assert not data.licence.commercial
    assert not data.licence.redistribution


def test_the_training_part_of_reports_can_be_divided_again(tmp_path):
    write_reports(tmp_path, count=300)
    recipe = compose("pretrain", "radiology/report-tiny", [f"data.path={tmp_path / 'reports.tgz'}"])
    records = list(open_dataset(to_plain(recipe)))
    split = hash_split([r.group for r in records], [r.id for r in records], *pretraining_split(recipe.split))
    assert 0.02 < len(split.validation) / len(records) < 0.1


def _archive(path, texts):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"x/{name}.xml")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))


_REPORT = '<e><AbstractText Label="FINDINGS">{}</AbstractText><MeSH><major>{}</major></MeSH></e>'


def test_equal_texts_stay_together_and_contradictions_are_left_out(tmp_path):
    path = tmp_path / "r.tgz"
    same = {
        str(n): _REPORT.format(f"The lungs are clear{'.' * (n % 3)}", "normal").encode() for n in range(5)
    }
    _archive(
        path,
        {
            **same,
            "8": _REPORT.format("A nodule.", "Nodule").encode(),
            "9": _REPORT.format("A nodule.", "normal").encode(),
            "10": _REPORT.format("", "normal").encode(),
            "11": _REPORT.format("Text.", "No Indexing").encode(),
        },
    )
    data = IndianaReports(path)
    records = list(data)
    assert len(records) == 5
    assert len({r.group for r in records}) == len({r.meta["split"] for r in records}) == 1
    assert sorted(data.left_out.values()) == [1, 1, 2]


def test_a_report_with_entities_or_no_xml_is_rejected(tmp_path):
    path = tmp_path / "r.tgz"
    bomb = b'<!DOCTYPE e [<!ENTITY a "aaaa">]><e>&a;</e>'
    _archive(path, {"1": bomb, "2": b"<e>", "3": _REPORT.format("Clear.", "normal").encode()})
    data = IndianaReports(path, max_rejected=0.9)
    assert [r.id for r in data] == ["report-3"]
    assert [one.id for one in data.rejections.rejected] == ["1", "2"]
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"r\.tgz"):
        list(IndianaReports(path))


def test_quality_ratings_keep_sites_together_and_forget_who_was_scanned(tmp_path):
    write_quality(tmp_path)
    records = list(MriQuality(tmp_path))
    assert Counter(r.meta["split"] for r in records) == {"train": 60, "test": 20}
    assert set(records[0].input) == {"cjv", "cnr", "efc", "snr_total", "fwhm_avg"}
    assert {r.group.split()[0] for r in records} == {"abide", "ds030"}
    assert Counter(r.target for r in records) == {"accept": 53, "exclude": 27}
    assert all("subject" not in key for r in records for key in r.meta)
    (tmp_path / "ds030.tsv").write_text("subject_id\tsite\n1\tX\n")
    with pytest.raises(DataError, match="rater_1"):
        list(MriQuality(tmp_path))


def test_slices_of_a_ct_keep_a_distance_between_parts(tmp_path):
    write_ct(tmp_path)
    organs = {"lungs": ["lung_*"], "liver": ["liver"], "heart": ["heart"]}
    data = ChestCT(tmp_path, organs=organs, spacing=None)
    records = list(data)
    assert len(records) == 60
    assert data.left_out == {"slices between blocks": 30}
    places = [int(r.id.rpartition("-")[2]) for r in records]
    for one, other, here, there in zip(records, records[1:], places, places[1:]):
        assert (one.group == other.group) == (there - here == 1)
        if one.meta["split"] != other.meta["split"]:
            assert there - here > 2
    assert {name for r in records for name in r.target} == set(organs)
    for part in ("train", "validation", "test"):
        shown = [r.target for r in records if r.meta["split"] == part]
        assert all({one[name] for one in shown} == {0, 1} for name in organs)


def test_the_map_of_a_slice_lies_on_its_pixels(tmp_path):
    write_ct(tmp_path)
    organs = {"liver": ["liver"], "heart": ["heart"]}
    data = ChestCT(tmp_path, target="map", organs=organs, spacing=1.0, plane="coronal")
    assert data.classes == ["background", "liver", "heart"]
    found = {0: [], 1: [], 2: []}
    for record in data:
        assert record.target.shape == record.input.shape
        for value, kept in found.items():
            kept += record.input.values[record.target == value].tolist()
    # The heart is brighter than the liver in every unit of the picture: the map was not turned otherwise.
    assert np.median(found[2]) > np.median(found[1]) + 100 > np.median(found[0]) + 100


def test_organs_that_are_not_there_are_told(tmp_path):
    write_ct(tmp_path)
    with pytest.raises(ConfigError, match="livver"):
        list(ChestCT(tmp_path, organs={"liver": ["livver"]}))
    with pytest.raises(ConfigError, match="mep"):
        ChestCT(tmp_path, target="mep")
    (tmp_path / "cxr.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"cxr\.nii\.gz is empty"):
        list(ChestCT(tmp_path, organs={"liver": ["liver"]}))


@pytest.mark.parametrize("task", ["brain-tumour", "organs", "classification", "segmentation"])
def test_a_checkpoint_takes_the_place_of_a_tasks_own_network(task):
    words = ["checkpoint=radiology/xray-tiny", "backbone=null", "tokenizer=null"]
    found = compose("finetune", f"radiology/{task}", words)
    assert found.backbone is None and found.tokenizer is None
    assert compose("finetune", f"radiology/{task}").backbone is not None
