"""Planted names, numbers and dates must not be found again in anything that is written."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scizoo import cli
from scizoo.errors import DataError
from scizoo_radiology.datasets.files import ImageFiles
from scizoo_radiology.inspection import inspect
from scizoo_radiology.privacy import Names, Pseudonyms, age_band, identifying_column, safe_text, sex_of
from scizoo_radiology.readers.entry import Entry
from scizoo_radiology.readers.files import File

#: What the files say of twelve patients; each must not come back. Bytes of four letters or more.
NAME, PHYSICIAN, CLINIC, STATION = "Zyxwvutsen", "Qwertzuiop", "Klinikum Wolkenheim", "STAT77KQ"
BIRTH, STUDY, ACCESSION, UID_ROOT = "19310714", "20170923", "ACC5566778", "1.2.826.0.1.99887766"
COMMENT, TABLE_SECRET = "lives at Ahornweg", "Hollerithstrasse"


def patient(number: int) -> str:
    return f"PATID{7731 + number}"


PLANTED = (
    *(
        NAME,
        PHYSICIAN,
        CLINIC,
        "Wolkenheim",
        STATION,
        BIRTH,
        STUDY,
        ACCESSION,
        UID_ROOT,
        COMMENT,
        TABLE_SECRET,
    ),
    *("Ahornweg", "1931-07-14", "2017-09-23", "PATID77"),
)


@pytest.fixture
def planted(tmp_path, dicom, chest):
    """A folder of 48 radiographs of 12 patients whose names stand in tags, file names and a table."""
    folder = tmp_path / "in"
    for number in range(48):
        who = number // 4
        dicom(
            folder / f"{NAME}_{patient(who)}" / f"{patient(who)}-{STUDY}-{number}.dcm",
            chest(number // 4 * 100 + number % 4 * 2 + who % 2),
            SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
            SOPInstanceUID=f"{UID_ROOT}.1.{number}",
            SeriesInstanceUID=f"{UID_ROOT}.2.{number}",
            StudyInstanceUID=f"{UID_ROOT}.3.{who}",
            Modality="CR",
            PatientName=f"{NAME}^Agathe{who}",
            PatientID=patient(who),
            PatientBirthDate=BIRTH,
            PatientSex="MF"[who % 2],
            StudyDate=STUDY,
            AccessionNumber=ACCESSION,
            ReferringPhysicianName=f"{PHYSICIAN}^Dr",
            InstitutionName=CLINIC if who % 3 else "Spital Hinterwald",
            StationName=STATION,
            Manufacturer="ACME",
            ManufacturerModelName="Röntgen 3",
            PatientComments=COMMENT,
            SpecificCharacterSet="ISO_IR 192",
        )
    rows = ["id,finding,address,birth_date,protocol"]
    rows += [f"{patient(who)},{'ab'[who % 2]},{TABLE_SECRET} {who},{BIRTH},p{who % 2}" for who in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    # One file that cannot be read, whose name gives a patient away.
    (folder / f"{NAME}-broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1\2\3" * 9)
    return folder


def _contents(root: Path):
    """Yield every file below a folder with its bytes, those of archives and gzip files unpacked."""
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        yield str(path.relative_to(root)), path.name.encode()
        content = path.read_bytes()
        yield str(path.relative_to(root)), content
        if content[:2] == b"\x1f\x8b":
            yield f"{path.name} unpacked", gzip.decompress(content)
        if content[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path.name}!{name}", archive.read(name)


def _found(root: Path) -> list[str]:
    words = [word.lower() for word in PLANTED]
    found = []
    for where, content in _contents(root):
        for kind in ("utf-8", "utf-16-le", "utf-16-be"):
            lowered = content.lower()
            found += [f"{word} in {where}" for word in words if word.encode(kind) in lowered]
    return found


def test_the_search_finds_what_is_there(tmp_path):
    (tmp_path / "a.txt").write_text(f"for {NAME}")
    (tmp_path / "b.gz").write_bytes(gzip.compress(BIRTH.encode()))
    (tmp_path / f"{patient(3)}.txt").write_text("x")
    assert len(_found(tmp_path)) == 3


@pytest.mark.parametrize("verb", ["finetune", "compare"])
def test_nothing_planted_is_written_anywhere(planted, tmp_path, monkeypatch, capfd, verb):
    """A real small run on planted files: run folder, checkpoint, caches, log, report and screen are clean."""
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"SCIZOO_{name}_DIR", str(out / name.lower()))
    words = [
        *(verb, "radiology/classification"),
        *("data.path=../in", "data.labels=../labels.csv", "data.target=finding", "data.keep=[protocol]"),
        *("data.max_rejected=0.1", "evaluation.subgroups=[sex,age_band,scanner,site,protocol]"),
        *("evaluation.threshold.rule=youden", "evaluation.metrics=[sensitivity_at_specificity@0.9]"),
        *("tokenizer.size=32", "backbone.architecture=test_convnext", "trainer.max_epochs=1"),
        *("baselines.radiomics-boosting=null", "baselines.radiomics-forest=null", "evaluation.resamples=50"),
        *("split.fractions=[0.5,0.25,0.25]", "baselines.pixel-forest.rounds=5", "trainer.accelerator=cpu"),
    ]
    if verb == "compare":
        words += ["adapts=[scratch]", "labels=[all]", "seeds=[0]", "tuning.trials=1"]
    status = cli.main(words)
    said = "".join(capfd.readouterr())
    assert status == 0, said[-3000:]
    (out / "screen.txt").write_text(said)
    run = next(path for path in out.rglob("rejected.csv")).parent
    assert (run / "report.html").is_file()
    assert _found(out) == []
    table = (run / "rejected.csv").read_text()
    assert "file 1 of 49 in order of name" in table
    if verb == "finetune":
        report = json.loads((run / "report.json").read_text())
        columns = {one["column"]: one for one in report["subgroups"]["columns"]}
        assert {row["name"] for row in columns["sex"]["rows"]} == {"male", "female"}
        assert "not a medical device" in (run / "report.html").read_text()
        (card,) = run.rglob("checkpoint/README.md")
        assert "not a medical device" in card.read_text()


def test_doctor_says_what_is_there_and_no_value_of_it(planted):
    found = inspect({"path": str(planted), "labels": str(planted.parent / "labels.csv"), "target": "finding"})
    said = "\n".join(" ".join(one) if isinstance(one, tuple) else one for one in found)
    for words in (
        *("49 files", "12 patients", "PatientName 48", "PatientID 48", "PatientBirthDate 48", "StudyDate 48"),
        *("InstitutionName 48", "PatientComments 48", "48 files whose names", "address, birth_date"),
        *("48 pictures could be read", "1 file cannot be used"),
    ):
        assert words in said, (words, said)
    assert not [word for word in PLANTED if word.lower() in said.lower()]
    problems = [one for one in found if isinstance(one, tuple)]
    assert len(problems) == 1 and "file 1 of 49" in problems[0][0]


def test_doctor_warns_of_burned_in_words_and_of_a_path_with_a_name(tmp_path, dicom, chest):
    folder = tmp_path / f"from_{NAME}"
    names = {"PatientName": f"{NAME}^A"}
    dicom(folder / "a.dcm", chest(1), Modality="CR", BurnedInAnnotation="YES", **names)
    dicom(folder / "b.dcm", chest(2), Modality="US", **names)
    dicom(folder / "c.dcm", chest(3), Modality="US", BurnedInAnnotation="NO", **names)
    problems = [one for one in inspect({"path": str(folder)}) if isinstance(one, tuple)]
    said = "\n".join(map(" ".join, problems))
    assert "1 file with text burned" in said and "1 file that may have text" in said
    assert "data.path itself" in said and "rename the folder" in said and NAME not in said


def test_records_say_sex_decade_scanner_and_pseudonyms(planted):
    dataset = ImageFiles(planted, labels=planted.parent / "labels.csv", target="finding", max_rejected=0.1)
    records = list(dataset)
    assert len(records) == 48 and len({record.group for record in records}) == 12
    meta = records[0].meta
    assert (meta["sex"], meta["age_band"], meta["scanner"]) == ("male", "80-89", "ACME Röntgen 3")
    assert len({record.meta["site"] for record in records}) == 2 and meta["site"].startswith("site-")
    said = repr([(r.id, r.group, dict(r.meta), r.source, r.input, r.target) for r in records])
    assert not [word for word in PLANTED if word.lower() in said.lower()]
    # The user can lead them back; another data set, or a key of one's own, gives other pseudonyms.
    assert dataset.names()[records[0].id].startswith(f"{NAME}_")
    again = list(
        ImageFiles(planted, labels=planted.parent / "labels.csv", target="finding", max_rejected=0.1)
    )
    assert [record.id for record in again] == [record.id for record in records]


def test_pseudonyms_need_their_key(monkeypatch):
    one, other = Pseudonyms.of("content of one set"), Pseudonyms.of("content of another")
    assert one.name("patient", "123") == one.name("patient", " 123 ") != one.name("site", "123")
    assert one.name("patient", "123") != other.name("patient", "123")
    assert Pseudonyms.of("x", keep=True).name("patient", "123") == "123"
    monkeypatch.setenv("SCIZOO_PSEUDONYM_KEY", "of our own")
    assert Pseudonyms.of("a").name("patient", "1") == Pseudonyms.of("b").name("patient", "1")
    assert "of our own" not in repr(Pseudonyms.of("a")) and "salt" not in repr(one)


def test_a_target_that_names_the_patient_is_refused(planted):
    (planted.parent / "who.csv").write_text(
        "id,finding\n" + "".join(f"{patient(w)},{patient(w)}\n" for w in range(12))
    )
    dataset = ImageFiles(planted, labels=planted.parent / "who.csv", target="finding", max_rejected=1.0)
    with pytest.raises(DataError) as caught:
        list(dataset)
    reasons = [one.reason for one in dataset.rejections.rejected]
    assert sum("names the patient" in reason for reason in reasons) == 48
    assert "PATID" not in str(caught.value) + repr(dataset.rejections.rejected)


def test_what_holds_names_does_not_show_them(tmp_path):
    names = Names("a/Doe.dcm", "ID-99", "1.2", "1.3", "1.4", ("Doe^Jane Alexandra",), ("Clinic North",))
    shown = repr(names) + repr(Entry(np.zeros(1), names, {"site": "Clinic North"}, "file 1", "a/Doe.dcm"))
    shown += repr(File(tmp_path / "Doe.dcm", "", "Doe.dcm", "file 1 of 1"))
    assert not any(word in shown for word in ("Doe", "99", "Clinic", "1.2"))
    assert names.secrets() >= {"jane", "alexandra", "id-99", "clinic north"}
    assert safe_text("Scanner of Alexandra", names) is None
    assert safe_text(" Big   Scanner ", names) == "Big Scanner"


@pytest.mark.parametrize(
    ("value", "band"),
    [
        *(
            ("045Y", "40-49"),
            ("018M", "0-9"),
            ("006W", "0-9"),
            ("003D", "0-9"),
            (89.9, "80-89"),
            ("90", "90+"),
        ),
        *(("120Y", "90+"), ("", None), (None, None), ("old", None), ("999", None), (-1, None)),
    ],
)
def test_ages_become_decades(value, band):
    assert age_band(value) == band


def test_columns_and_sexes_are_told():
    for name in (
        "PatientName",
        "patient_id",
        "MRN",
        "birth_date",
        "E-Mail",
        "Study Date",
        "hospital",
        "name",
    ):
        assert identifying_column(name), name
    for name in ("label", "sex", "age", "protocol", "view", "filename_of_nothing"[8:], "thickness", "kvp"):
        assert not identifying_column(name), name
    assert [sex_of(one) for one in ("M", "female", "O", "", None)] == ["male", "female", "other", None, None]
