"""Pictures with masks and with reports: that both lie on each other, and what is taken out of reports."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scizoo.errors import ConfigError
from scizoo_radiology.datasets.masks import MaskedFiles
from scizoo_radiology.datasets.pairs import ReportPairs, scrubbed
from scizoo_radiology.examples import write_pairs
from scizoo_radiology.pair_ranking import RadiomicsToWords


def _volume(path, voxels, affine):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


def test_a_mask_lies_on_its_volume_however_both_were_stored(tmp_path):
    draw = np.random.default_rng(0)
    mask = np.zeros((20, 16, 6), dtype=np.uint8)
    mask[3:9, 10:14, 1:5] = 2
    values = (draw.normal(0, 10, mask.shape) + 500 * (mask > 0)).astype(np.int16)
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    _volume(tmp_path / "ct.nii.gz", values, affine)
    # The mask with its first axis stored the other way round.
    turned = affine.copy()
    turned[0] = [-1.0, 0, 0, 19.0]
    _volume(tmp_path / "mask.nii.gz", mask[::-1].copy(), turned)
    (tmp_path / "list.csv").write_text("image,mask,patient\nct.nii.gz,mask.nii.gz,a\n")
    for plane, count in (("axial", 6), ("coronal", 16), ("sagittal", 20)):
        data = MaskedFiles(
            tmp_path / "list.csv", modality="CT", plane=plane, classes={2: "lesion"}, group="patient"
        )
        records = list(data)
        assert len(records) == count
        for record in records:
            assert record.target.shape == record.input.shape
            np.testing.assert_array_equal(record.target == 2, record.input.values > 250)
        assert sum((record.target == 2).sum() for record in records) == (mask == 2).sum()
        assert len({record.group for record in records}) == 1
    assert data.classes == {2: "lesion"}


def _picture(path, pixels, mode=None):
    Image.fromarray(pixels, mode).save(path)


def test_masks_of_png_and_their_faults(tmp_path):
    shown = np.random.default_rng(0).integers(0, 255, (12, 10)).astype(np.uint8)
    labels = (shown > 128).astype(np.uint8)
    for number in range(5):
        _picture(tmp_path / f"{number}.png", np.roll(shown, number, 0))
    _picture(tmp_path / "m0.png", labels)
    indexed = Image.fromarray(labels, "P")
    indexed.putpalette([0, 0, 0, 255, 0, 0])
    indexed.save(tmp_path / "m1.png")
    _picture(tmp_path / "m2.png", labels[:5])
    _picture(tmp_path / "m3.png", np.stack([shown] * 3, axis=-1))
    rows = [*(f"{n}.png,m{n}.png" for n in range(4)), "4.png,gone.png"]
    (tmp_path / "list.csv").write_text("\n".join(["image,mask", *rows]) + "\n")
    data = MaskedFiles(tmp_path / "list.csv", max_rejected=0.9)
    records = list(data)
    assert len(records) == 2
    for record in records:
        np.testing.assert_array_equal(record.target, labels)
    reasons = " ".join(one.reason for one in data.rejections.rejected)
    for words in ("5x10 pixels, the picture 12x10", "colours", "does not exist"):
        assert words in reasons
    with pytest.raises(ConfigError, match="no column 'masks'"):
        list(MaskedFiles(tmp_path / "list.csv", mask="masks"))
    small = next(iter(MaskedFiles(tmp_path / "list.csv", max_side=6, max_rejected=0.9)))
    assert small.target.shape == small.input.shape == (6, 5)
    assert set(np.unique(small.target)) <= {0, 1}


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Compared to 03.04.2021 and March 3, 2021.", ("2021", "March")),
        ("Discussed with Dr. Jane Quackenbush at 14:35.", ("Jane", "Quackenbush", "14:35")),
        ("MRN AB1234567, call 0711 555 0199 or jane@hospital.org.", ("1234567", "0199", "jane")),
        ("Patient Smith returned.", ("Smith",)),
    ],
)
def test_what_may_name_somebody_is_taken_out(text, gone):
    found = scrubbed(text, {"smith"})
    assert "XXXX" in found
    for word in gone:
        assert word not in found


def test_findings_are_left_as_they_are():
    text = "A 12 mm nodule, L5/S1 disc, T2-weighted; grade 3/4. Effusion, 1.5 x 2.0 cm."
    assert scrubbed(text) == text


def test_pairs_are_read_with_scrubbed_reports(tmp_path):
    draw = np.random.default_rng(0)
    lines = ["image,report,patient"]
    for number in range(3):
        _picture(tmp_path / f"{number}.png", draw.integers(0, 255, (12, 10)).astype(np.uint8))
    lines += ["0.png,No effusion on 01/02/2020.,a", "1.png,A nodule.,b", "2.png,,c"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    data = ReportPairs(tmp_path / "pairs.csv", group="patient", max_rejected=0.5)
    records = list(data)
    assert [record.target for record in records] == ["No effusion on XXXX.", "A nodule."]
    assert "report is empty" in data.rejections.rejected[0].reason
    assert len({record.group for record in records}) == 2
    plain = ReportPairs(tmp_path / "pairs.csv", pseudonyms=False, max_rejected=0.5)
    assert next(iter(plain)).target == "No effusion on 01/02/2020."
    with pytest.raises(ConfigError, match="no column 'text'"):
        list(ReportPairs(tmp_path / "pairs.csv", report="text"))


def test_features_find_the_report_of_a_picture_above_chance(tmp_path):
    write_pairs(tmp_path, count=60)
    records = list(ReportPairs(tmp_path / "pairs.csv"))
    fitted = RadiomicsToWords(topics=10, alpha=1.0).fit(records[:40], np.arange(40))
    queries = [record.input for record in records[40:]]
    documents = [record.target for record in records[40:]]
    found = fitted.scores(queries, documents)
    assert found.shape == (20, 20)
    own = np.diag(found)
    ranks = (found > own[:, None]).sum(axis=1) + 1
    assert np.median(ranks) <= 5  # of 20; by chance 10.5
    np.testing.assert_allclose(fitted.scores(queries[3:4], documents), found[3:4])
