"""The user's own files: NIfTI, PNG and JPEG, tables, windows and spacing."""

from __future__ import annotations

import io
import zipfile
import zlib

import nibabel
import numpy as np
import pytest
from PIL import Image

from scizoo.errors import ConfigError, DataError
from scizoo_radiology.datasets.files import ImageFiles
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.resample import resample, resample_volume, resize, shrink
from scizoo_radiology.windows import CT_PRESETS, apply_window, limits


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def nifti(path, voxels, affine, code=1, **header):
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_sform(affine, code=code)
    image.header.set_qform(affine, code=code)
    for key, value in header.items():
        image.header[key] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


VOXELS = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)  # i, j, k


def one(path, **options):
    (record,) = list(ImageFiles(path, plane="volume", max_rejected=0.0, **options))
    return record.input


# --- NIfTI ---------------------------------------------------------------------------------------------


def test_nifti_is_turned_to_lps_whatever_its_axes(tmp_path):
    """RAS, LAS and a file with axes swapped show the same patient: equal volumes, equal places."""
    spacing = (0.8, 0.7, 2.5)
    ras = np.diag([*spacing, 1.0])
    ras[:3, 3] = [10, 20, 30]
    first = one(nifti(tmp_path / "ras.nii.gz", VOXELS, ras))
    assert first.pixels.shape == (3, 4, 5) and first.spacing == pytest.approx((2.5, 0.7, 0.8))
    # RAS index (i, j, k) lies at (10 + .8 i, 20 + .7 j, 30 + 2.5 k); LPS turns the first two over.
    np.testing.assert_allclose(first.affine @ [0, 0, 0, 1], [-10 - 0.8 * 4, -20 - 0.7 * 3, 30, 1], atol=1e-5)
    assert first.pixels[0, 0, 0] == VOXELS[4, 3, 0] and first.pixels[2, 3, 4] == VOXELS[0, 0, 2]
    las = ras @ np.array([[-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    flipped = one(nifti(tmp_path / "las.nii", VOXELS[::-1], las))
    np.testing.assert_array_equal(flipped.pixels, first.pixels)
    np.testing.assert_allclose(flipped.affine, first.affine, atol=1e-5)
    swapped = one(nifti(tmp_path / "swap.nii", VOXELS.transpose(2, 0, 1), ras[:, [2, 0, 1, 3]]))
    np.testing.assert_array_equal(swapped.pixels, first.pixels)
    assert swapped.acquired == "coronal"


def test_nifti_scaling_units_and_missing_orientation(tmp_path):
    path = nifti(tmp_path / "a.nii", VOXELS, np.eye(4), scl_slope=2.0, scl_inter=-5.0)
    # nibabel writes its own scaling; set it in the file.
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([2.0, -5.0], "<f4").tobytes()
    path.write_bytes(bytes(content))
    assert one(path).pixels.max() == VOXELS.max() * 2 - 5
    metres = nifti(tmp_path / "m.nii", VOXELS, np.diag([0.001, 0.001, 0.002, 1]), xyzt_units=1)
    assert one(metres).spacing == pytest.approx((2.0, 1.0, 1.0))
    lost = nifti(tmp_path / "n.nii", VOXELS, np.diag([1, 1, 3, 1.0]))
    content = lost.read_bytes()
    lost.write_bytes(content[:252] + bytes(4) + content[256:])  # neither qform nor sform
    nowhere = one(lost)
    assert not nowhere.oriented and nowhere.spacing == (3.0, 1.0, 1.0) and nowhere.affine is None
    assert one(path, modality="CT").unit == "HU"


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda c: c[:-20], "truncated"),
        (lambda c: c[:344] + b"n+9\0" + c[348:], "not NIfTI"),
        (lambda c: c[:40] + np.array([3, 9000, 9000, 9000], "<i2").tobytes() + c[48:], "max_pixels"),
        (lambda c: c[:280] + bytes(48) + c[328:], "cannot be inverted"),
        (lambda c: c[:280] + np.array([-1, 0, 0, 0], "<f4").tobytes() + c[296:], "sform says"),
        (lambda c: c[:40] + np.array([4, 5, 4, 1, 3], "<i2").tobytes() + c[50:], "data.frame"),
    ],
)
def test_bad_nifti_is_one_reason(tmp_path, break_it, says):
    path = nifti(tmp_path / "a.nii", VOXELS, np.eye(4))
    path.write_bytes(break_it(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        one(path)
    assert says in str(caught.value) and "a.nii" in str(caught.value)


def test_slices_of_a_volume_are_one_group_and_blank_ones_are_left_out(tmp_path):
    voxels = np.zeros((8, 8, 6), np.int16)
    voxels[2:6, 2:6, 1:5] = np.random.default_rng(0).integers(0, 99, (4, 4, 4))
    nifti(tmp_path / "in" / "a.nii.gz", voxels, np.diag([1, 1, 4, 1.0]))
    dataset = ImageFiles(tmp_path / "in")
    records = list(dataset)
    assert len(records) == 4 and dataset.left_out.total() == 2
    (group,) = {record.group for record in records}
    assert group.startswith("series-") and records[0].input.slice_spacing == 4.0
    assert len({record.id for record in records}) == 4
    (middle,) = list(ImageFiles(tmp_path / "in", slices="middle"))
    assert middle.input.place == pytest.approx(3 / 5)


# --- pictures and tables -------------------------------------------------------------------------------


def test_a_table_lists_files_and_folders(tmp_path, chest, stack):
    png(tmp_path / "x" / "one.png", chest(1))
    stack("ct", 3)
    rows = "where,label,mrn,sex,Age,note\nx/one.png,a,77,F,93,n\nct,b,78,M,8,n\ngone.png,a,79,M,8,n\n"
    (tmp_path / "list.csv").write_text(rows)
    dataset = ImageFiles(tmp_path / "list.csv", input="where", target="label", group="mrn", max_rejected=0.5)
    records = list(dataset)
    assert [record.target for record in records] == ["a", "b", "b", "b"]
    assert [record.meta["age_band"] for record in records] == ["90+", "0-9", "0-9", "0-9"]
    assert (
        records[0].meta["sex"] == "female" and "note" not in records[0].meta and "mrn" not in records[0].meta
    )
    assert records[1].group == records[2].group != records[0].group and records[0].group.startswith(
        "patient-"
    )
    (gone,) = dataset.rejections.rejected
    assert "row 3" in gone.source and "does not exist" in gone.reason
    back = dataset.names()
    assert [back[record.id] for record in records][:2] == ["x/one.png", "ct/000.dcm"]


def test_labels_beside_the_files_are_found_by_name_or_patient(tmp_path, chest, dicom):
    folder = tmp_path / "in"
    for number, patient in enumerate(("A1", "A1", "B2")):
        dicom(folder / f"{number}.dcm", chest(number), PatientID=patient, Modality="CR")
    png(folder / "three.png", chest(3))
    png(folder / "four.png", chest(4))
    (tmp_path / "labels.csv").write_text("who,finding\nA1,yes\nB2,no\nthree,maybe\n")
    dataset = ImageFiles(folder, labels=tmp_path / "labels.csv", target="finding", max_rejected=0.3)
    records = list(dataset)
    assert sorted(record.target for record in records) == ["maybe", "no", "yes", "yes"]
    (lost,) = dataset.rejections.rejected
    assert "no row of the labels" in lost.reason and "four" not in lost.source


def test_folders_give_classes_and_parts(tmp_path, chest):
    for number in range(6):
        part, label = ("train", "val", "test")[number % 3], ("ill", "well")[number // 3]
        png(tmp_path / "in" / part / label / f"{number}.png", chest(number))
    records = list(ImageFiles(tmp_path / "in", target="folder", split="folder"))
    assert {(record.meta["split"], record.target) for record in records} == {
        (part, label) for part in ("train", "validation", "test") for label in ("ill", "well")
    }


def test_pictures_of_all_depths_are_read(tmp_path):
    deep = np.array([[0, 1000], [40000, 65535]], np.uint16)
    grey = np.array([[0, 10], [200, 255]], np.uint8)
    for name, array in (("deep.png", deep), ("grey.png", grey), ("colour.png", np.stack([grey] * 3, 2))):
        path = png(tmp_path / name, array)
        (record,) = list(ImageFiles(path))
        np.testing.assert_array_equal(record.input.values, deep if name == "deep.png" else grey)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.dcm", "png", "is a PNG"),
        ("a.nii", "png", "is a PNG"),
        ("a.png", "half", "damaged picture"),
        ("a.png", "bomb", "bomb"),
        ("a.png", "flat", "same value"),
        ("a.png", b"", "not a PNG"),
    ],
)
def test_bad_pictures_are_one_reason_and_the_rest_goes_on(tmp_path, chest, name, content, says):
    buffer = io.BytesIO()
    Image.fromarray(np.full((9, 9), 7, np.uint8) if content == "flat" else chest(1)).save(buffer, "PNG")
    made = buffer.getvalue()
    if content == "half":
        made = made[: len(made) // 2]
    if content == "bomb":  # a header that declares 60,000 x 60,000 pixels, with its checksum
        head = b"IHDR" + (60000).to_bytes(4, "big") * 2 + made[24:29]
        made = made[:12] + head + zlib.crc32(head).to_bytes(4, "big") + made[33:]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content if isinstance(content, bytes) else made)
    png(tmp_path / "in" / "good.png", chest(2))
    dataset = ImageFiles(tmp_path / "in", max_rejected=0.5)
    assert len(list(dataset)) == 1
    (rejected,) = dataset.rejections.rejected
    assert says in rejected.reason and rejected.source == "file 1 of 2 in order of name"


def test_an_archive_of_pictures_is_read(tmp_path, chest):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number in range(3):
            archive.write(png(tmp_path / f"{number}.png", chest(number)), f"deep/{number}.png")
    records = list(ImageFiles(tmp_path / "all.zip", target="folder"))
    assert len(records) == 3 and records[0].target == "deep"


def test_wrong_options_are_refused_by_name(tmp_path):
    for options, says in (
        ({"plane": "axal"}, "axial"),
        ({"slices": 0}, "data.slices"),
        ({"spacing": [1]}, "data.spacing"),
        ({"keep": ["PatientName"]}, "PatientName"),
        ({"keep": ["birth_date"]}, "birth_date"),
        ({"labels": "a.csv", "input": "file"}, "one table"),
        ({"burned_in": "maybe"}, "data.burned_in"),
    ):
        with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
            ImageFiles(tmp_path, **options)
    with pytest.raises(ConfigError, match=r"data\.path"):
        ImageFiles()


def test_fingerprints_change_with_the_files_and_the_options(tmp_path, chest):
    path = png(tmp_path / "a.png", chest(1))
    before = ImageFiles(path).fingerprint()
    assert ImageFiles(path).fingerprint() == before
    assert ImageFiles(path, max_side=16).fingerprint() != before
    png(path, chest(2))
    assert ImageFiles(path).fingerprint() != before


# --- windows and spacing -------------------------------------------------------------------------------


def test_windows_show_what_they_say():
    image = RadiologyImage(np.array([[-1350.0, -600.0, 150.0, 3000.0]]), unit="HU", window=(100.0, 200.0))
    np.testing.assert_allclose(apply_window(image, "lung"), [[0, 0.5, 1, 1]])
    np.testing.assert_allclose(apply_window(image, "file"), [[0, 0, 0.75, 1]])
    np.testing.assert_allclose(apply_window(image, [150, 10]), [[0, 0, 0.5, 1]])
    assert limits(image, "bone") == (-500.0, 1300.0)
    grey = RadiologyImage(np.arange(101, dtype=np.uint8)[None])
    assert limits(grey, "lung") == limits(grey, "auto") == pytest.approx((0.5, 99.5))
    assert not apply_window(RadiologyImage(np.full((2, 2), 9)), "auto").any()
    with pytest.raises(ConfigError, match="'lung'"):
        apply_window(image, "lungs")
    assert all(width > 0 for _, width in CT_PRESETS.values())


def test_resampling_keeps_extent_mean_and_labels():
    ramp = np.outer(np.arange(64.0), np.ones(48)).astype(np.float32)
    image = RadiologyImage(ramp, spacing=(0.5, 1.0))
    coarse = resample(image, (2.0, 2.0))
    assert coarse.shape == (16, 24) and coarse.spacing == (2.0, 2.0)
    assert coarse.values.mean() == pytest.approx(ramp.mean(), abs=0.5)
    small = shrink(image, 16)
    assert small.shape == (16, 12) and small.spacing == (2.0, 4.0)
    classes = np.array([[0, 7], [7, 0]])
    assert set(resize(classes, (7, 9), labels=True).ravel()) == {0, 7}
    volume = Volume(np.stack([ramp] * 8), spacing=(3, 0.5, 1), affine=np.diag([1, 0.5, 3, 1.0]))
    same = resample_volume(volume, (1.5, 1.0, 1.0))
    assert same.pixels.shape == (16, 32, 48) and same.spacing == (1.5, 1.0, 1.0)
    # The corner of the first voxel stays where it was.
    np.testing.assert_allclose(same.affine @ [-0.5, -0.5, -0.5, 1], volume.affine @ [-0.5, -0.5, -0.5, 1])
    with pytest.raises(ValueError, match="assume_spacing"):
        resample(RadiologyImage(ramp), (1, 1))


def test_pictures_are_kept_small_and_equal_by_content():
    grey = np.arange(12).reshape(3, 4)
    for kind in (np.uint8, np.int64, np.float64):
        assert RadiologyImage(grey.astype(kind)).pixels.dtype == np.uint8
    assert RadiologyImage(grey - 1000).pixels.dtype == np.int16
    assert RadiologyImage(grey + 0.5).pixels.dtype == np.float32
    assert RadiologyImage(grey) == RadiologyImage(grey.astype(float)) != RadiologyImage(grey + 1)
    assert "3x4" in repr(RadiologyImage(grey, modality="CR"))
    for wrong in (np.zeros((2, 2, 2)), np.zeros((0, 3)), np.full((2, 2), np.nan), np.array([["a"]])):
        with pytest.raises(ValueError):
            RadiologyImage(wrong)
