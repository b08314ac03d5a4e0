"""Splits by patient, site and scanner; copies found by their pixels and by a perceptual hash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scizoo.data.records import Record
from scizoo.data.splits import PARTS
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import audit
from scizoo_radiology.images import RadiologyImage
from scizoo_radiology.resample import resize
from scizoo_radiology.similarity import PictureSimilarity, perceptual_hash
from scizoo_radiology.splitters import PatientSplitter, joined


def records_of(chest, count=60, per_patient=3):
    made = []
    for number in range(count):
        patient = number // per_patient
        pair = patient // 2  # volumes are cut so that some hold two patients, always the same two
        meta = {"site": f"s{pair % 4}", "scanner": f"m{pair % 5}", "series": f"v{number // 2}"}
        made.append(
            Record(f"r{number}", RadiologyImage(chest(number)), "ab"[patient % 2], f"p{patient}", meta)
        )
    return made


def parts_of(split, values):
    return {part: {values[row] for row in getattr(split, part)} for part in PARTS}


@pytest.mark.parametrize("by", ["patient", "site", "scanner"])
def test_nothing_that_belongs_together_is_parted(chest, by):
    records = records_of(chest)
    split = PatientSplitter(by, fractions=(0.5, 0.25, 0.25)).split(records)
    for what in ("series", *([] if by == "patient" else [by])):
        parts = parts_of(split, [record.meta[what] for record in records])
        assert not parts["train"] & parts["test"] and not parts["train"] & parts["validation"]
    patients = parts_of(split, [record.group for record in records])
    assert not patients["train"] & patients["test"]
    assert by in split.method


def test_copies_stay_together_whoever_they_are_said_to_be(chest):
    records = records_of(chest)
    for number in range(0, 30, 3):
        copy = resize(records[number].input.pixels, (48, 48)) * 0.7 + 20
        records.append(Record(f"c{number}", RadiologyImage(copy), records[number].target, f"other{number}"))
    split = PatientSplitter(fractions=(0.5, 0.2, 0.3)).split(records)
    place = {row: part for part in PARTS for row in getattr(split, part)}
    for row, record in enumerate(records):
        if record.id.startswith("c"):
            assert place[row] == place[int(record.id[1:])]
    found = audit(records, split, PictureSimilarity())
    assert not [leak.kind for leak in found.findings if leak.failed]


def test_a_planted_copy_is_found_by_the_audit(chest):
    records = [replace(record, meta={}) for record in records_of(chest, per_patient=1)]
    split = PatientSplitter(fractions=(0.5, 0.2, 0.3)).split(records)
    known, ours = records[split.train[0]], split.test[0]
    bright = np.clip(known.input.values * 0.8 + 30, 0, 255)
    records[ours] = replace(records[ours], input=RadiologyImage(resize(bright, (40, 40))))
    leaks = {leak.kind: leak for leak in audit(records, split, PictureSimilarity()).findings}
    assert leaks["near_duplicates"].count == 1 and leaks["near_duplicates"].failed
    assert leaks["near_duplicates"].examples[0][:2] == (records[ours].id, known.id)
    records[ours] = replace(records[ours], input=RadiologyImage(known.input.pixels, modality="CR"))
    leaks = {leak.kind: leak for leak in audit(records, split, PictureSimilarity()).findings}
    assert leaks["exact_duplicates"].count == 1


def test_the_hash_survives_exposure_size_and_noise_and_tells_pictures_apart(chest):
    draw = np.random.default_rng(0)
    plane = chest(1, 64).astype(np.float32)
    own = perceptual_hash(plane)
    assert own.shape == (255,) and 100 < own.sum() < 155
    for other in (plane * 0.5 + 40, resize(plane, (200, 160)), plane + draw.normal(0, 3, plane.shape)):
        assert (perceptual_hash(other) != own).mean() < 0.06
    assert (perceptual_hash(chest(2, 64).astype(np.float32)) != own).mean() > 0.25


def test_a_corpus_is_remembered_by_pixels(chest):
    records = records_of(chest, 10)
    like = PictureSimilarity()
    sketch = like.sketch(records[:5])
    np.testing.assert_array_equal(like.overlap(sketch, records), [1] * 5 + [0] * 5)
    assert PictureSimilarity(**like.settings()).settings() == like.settings()


def test_stated_parts_are_taken_and_refused_where_they_part_a_volume(chest):
    records = records_of(chest, 30, per_patient=2)
    names = ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    stated = [replace(r, meta={**r.meta, "split": name}) for r, name in zip(records, names)]
    split = PatientSplitter().split(stated)
    assert len(split.train) == 20 and len(split.test) == 6
    names[19], names[25] = names[25], names[19]
    wrong = [replace(r, meta={**r.meta, "split": name}) for r, name in zip(records, names)]
    with pytest.raises(DataError, match="both train and test"):
        PatientSplitter().split(wrong)


def test_without_sites_a_split_by_site_is_refused(chest):
    records = [replace(record, meta={}) for record in records_of(chest, 12)]
    with pytest.raises(DataError, match=r"record 'r0' .* has no site"):
        PatientSplitter("site").split(records)
    with pytest.raises(ConfigError, match=r"split\.by"):
        PatientSplitter("hospital")


def test_chains_are_joined():
    keys = [["a", "b", "c", None, None], [1, 2, 2, 3, 3]]
    assert joined(keys).tolist() == [0, 1, 1, 2, 2]
    assert len(set(joined(keys, [(0, 1)]).tolist())) == 2
