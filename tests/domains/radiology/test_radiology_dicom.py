from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from scizoo.data.records import RejectionLog
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.readers.entry import ReadingOptions
from scizoo_radiology.readers.files import Limits, kind_of, list_files
from scizoo_radiology.readers.series import read_dicom

AXIAL = [1, 0, 0, 0, 1, 0]


def read(path: Path | str, **options):
    """Read a file or folder; returns entries, reasons of rejections, and what was left out."""
    path = Path(path)
    paths = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    log, left_out = RejectionLog(), Counter()
    files = list(list_files(paths, path if path.is_dir() else path.parent, not path.is_dir()))
    entries = list(read_dicom(files, ReadingOptions(**options), log, left_out))
    return entries, [one.reason for one in log.rejected], left_out


def own(name: str, **options) -> RadiologyImage:
    entries, reasons, _ = read(get_testdata_file(name), **options)
    assert not reasons, reasons
    return entries[0].value


def test_a_ct_slice_comes_in_hounsfield_units_with_its_spacing():
    import pydicom

    image = own("CT_small.dcm")
    raw = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    expected = raw.pixel_array * float(raw.RescaleSlope) + float(raw.RescaleIntercept)
    np.testing.assert_array_equal(image.values, expected)
    assert (image.unit, image.modality, image.plane, image.orientation) == ("HU", "CT", "axial", "LP")
    assert image.spacing == pytest.approx((0.661468, 0.661468)) and image.spacing_at == "patient"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ],
)
def test_transfer_syntaxes_give_the_same_pixels(name):
    assert own(name) == own("MR_small.dcm")


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_small_odd.dcm"])
def test_colours_give_their_luminance(name):
    import pydicom

    colours = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype(float)
    expected = np.rint(colours @ [0.299, 0.587, 0.114])
    np.testing.assert_array_equal(own(name).values, expected)


def test_jpeg_and_palettes_are_decoded():
    for name in ("SC_rgb_jpeg_dcmtk.dcm", "examples_palette.dcm", "JPEG2000.dcm", "693_J2KI.dcm"):
        assert own(name).pixels.size > 1000


def test_frames_of_a_cine_are_pictures_of_their_own():
    entries, reasons, _ = read(get_testdata_file("examples_ybr_color.dcm"))
    assert len(entries) == 30 and not reasons
    assert len({entry.key for entry in entries}) == 30


def test_monochrome1_is_turned_over_and_its_window_with_it(tmp_path, dicom):
    stored = np.array([[0, 100], [4000, 4095]], dtype=np.uint16)
    about = {"Modality": "CR", "BitsStored": 12, "HighBit": 11, "WindowCenter": 1000, "WindowWidth": 500}
    path = dicom(tmp_path / "a.dcm", stored, PhotometricInterpretation="MONOCHROME1", **about)
    image = read(path)[0][0].value
    np.testing.assert_array_equal(image.values, 4095 - stored.astype(float))
    assert image.window == (3095.0, 500.0)


def test_padding_takes_the_lowest_value_of_the_rest(tmp_path, dicom):
    stored = np.array([[-2000, 0], [500, 1000]], dtype=np.int16)
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "PixelPaddingValue": -2000}
    image = read(dicom(tmp_path / "a.dcm", stored, **tags))[0][0].value
    np.testing.assert_array_equal(image.values, [[-1024, -1024], [-524, -24]])


def test_a_modality_lut_and_a_voi_lut_are_applied(tmp_path, dicom):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = [10, 20, 40, 80]
    table.ModalityLUTType = "OD"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    stored = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    path = dicom(tmp_path / "a.dcm", stored, Modality="CR", ModalityLUTSequence=Sequence([table]))
    image = read(path)[0][0].value
    np.testing.assert_array_equal(image.values, [[10, 20], [40, 80]])
    assert image.unit == "OD"
    path = dicom(tmp_path / "b.dcm", stored, Modality="CR", WindowCenter=2, WindowWidth=2)
    shown = read(path, voi=True)[0][0].value.values
    np.testing.assert_allclose(shown, [[0, 0], [255, 255]])  # DICOM's LINEAR function, 8 bits out


def test_a_series_becomes_a_volume_whatever_the_order_of_its_files(stack):
    expected = None
    for folder, reverse in (("up", False), ("down", True)):
        entries, reasons, _ = read(stack(folder, reverse=reverse), plane="volume")
        assert not reasons
        volume = entries[0].value
        assert isinstance(volume, Volume) and volume.pixels.shape == (6, 4, 5)
        assert volume.spacing == pytest.approx((2.5, 0.7, 0.8)) and volume.acquired == "axial"
        np.testing.assert_allclose(volume.affine @ [0, 0, 0, 1], [-10, -20, 50, 1])
        np.testing.assert_allclose(volume.affine @ [1, 2, 3, 1], [-9.2, -18.6, 57.5, 1])
        assert volume.values[2, 3, 4] == 234 - 1000
        expected = expected or volume
        assert volume == expected


def test_slices_lie_in_the_usual_display_whatever_the_patient_did(stack):
    """Prone and feet first, and a coronal acquisition, give the same display as the usual one."""
    usual = [entry.value for entry in read(stack("usual"))[0]]
    assert [image.place for image in usual] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert usual[0].slice_spacing == pytest.approx(2.5)
    prone = [entry.value for entry in read(stack("prone", ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]))[0]]
    for one, other in zip(usual, prone, strict=True):
        np.testing.assert_array_equal(one.values, other.values[::-1, ::-1])
        assert one.orientation == other.orientation == "LP"


def test_coronal_and_sagittal_slices_stand_head_up(stack):
    entries, _, _ = read(stack(), plane="coronal")
    assert len(entries) == 4
    image = entries[1].value
    assert image.orientation == "LI" and image.spacing == pytest.approx((2.5, 0.8))
    np.testing.assert_array_equal(image.values[0] + 1000, 500 + 10 + np.arange(5))  # the highest slice on top
    image = read(stack(), plane="sagittal")[0][2].value
    assert image.orientation == "PI" and image.shape == (6, 4)
    np.testing.assert_array_equal(image.values[-1] + 1000, 10 * np.arange(4) + 2)


def test_two_phases_at_the_same_places_are_two_stacks(stack, tmp_path):
    folder = stack("dynamic", 4)
    for path in sorted(folder.iterdir()):
        import pydicom

        again = pydicom.dcmread(path)
        again.InstanceNumber += 4
        again.SOPInstanceUID += ".9"
        again.save_as(folder / f"late-{path.name}")
    entries, reasons, _ = read(folder, plane="volume")
    assert not reasons and [entry.value.pixels.shape for entry in entries] == [(4, 4, 5)] * 2


def test_an_enhanced_file_says_place_and_rescale_frame_by_frame(tmp_path, dicom):
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    frames = []
    for number in range(3):
        place, rescale, group = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, 5.0 * number]
        rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = number, 1, "HU"
        group.PlanePositionSequence = Sequence([place])
        group.PixelValueTransformationSequence = Sequence([rescale])
        frames.append(group)
    shared, turned, measures = Dataset(), Dataset(), Dataset()
    turned.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [2, 3]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([turned]), Sequence([measures])
    path = dicom(
        tmp_path / "a.dcm",
        np.zeros((3, 4, 4), np.int16) + np.arange(16, dtype=np.int16).reshape(4, 4),
        NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )
    volume = read(path, plane="volume")[0][0].value
    assert volume.spacing == (5.0, 2.0, 3.0) and volume.unit == "HU"
    assert volume.values[:, 0, 0].tolist() == [0, 1, 2]


# --- what cannot be used: one reason each, the rest goes on --------------------------------------------


def test_bad_files_are_one_reason_each_and_the_rest_goes_on(tmp_path, dicom, stack):
    """Every reason says what to do; the good slice beside them is read."""
    good = np.arange(16, dtype=np.int16).reshape(4, 4)
    hu = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    folder = tmp_path / "mixed"
    cut = folder / "truncated.dcm"
    cases = {
        "no-pixels.dcm": (None, {"Rows": 4, "Columns": 4}, "no pixel data"),
        "no-rows.dcm": (None, {}, "no rows and columns"),
        "unsigned.dcm": (np.full((4, 4), 65000, np.uint16), hu, "CT has: they are tagged as unsigned"),
        "signed.dcm": (np.full((4, 4), -30000, np.int16), hu, "CT has: they are tagged as signed"),
        "radiograph.dcm": (np.full((4, 4), -5, np.int16), {"Modality": "DX"}, "no radiograph has"),
        "turned.dcm": (
            good,
            {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
            "data.broken_orientation=ignore",
        ),
        "huge.dcm": (None, {"Rows": 60000, "Columns": 60000}, "data.max_pixels"),
        "written.dcm": (good, {"BurnedInAnnotation": "YES"}, "data.burned_in=allow"),
        "slope.dcm": (good, {**hu, "RescaleSlope": 0}, "rescale slope"),
    }
    for name, (pixels, tags, _) in cases.items():
        dicom(folder / name, pixels, SeriesInstanceUID=f"1.2.{len(name)}", **tags)
    dicom(cut, good)
    cut.write_bytes(cut.read_bytes()[:-9])
    dicom(folder / "contours.dcm", None, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3", Modality="RTSTRUCT")
    dicom(folder / "scout.dcm", good, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    dicom(folder / "good.dcm", good, **hu)
    entries, reasons, left_out = read(folder)
    assert [entry.names.file for entry in entries] == ["good.dcm"]
    assert left_out == {"RT Structure Set Storage": 1, "localizer of a scan": 1}
    for words in [*(case[2] for case in cases.values()), "truncated"]:
        (reason,) = [one for one in reasons if words in one]
        assert ";" in reason or "data." in reason or "correct" in reason, reason
    assert len(reasons) == len(cases) + 1


def test_a_wrong_type_or_orientation_is_read_where_the_user_says_how(tmp_path, dicom):
    values = np.array([[-1000, 0], [40, 1000]], dtype=np.int16)
    hu = {"RescaleSlope": 1, "RescaleIntercept": 0}
    path = dicom(tmp_path / "a.dcm", values.view(np.uint16), **hu)
    assert "data.signed=true" in read(path)[1][0]
    np.testing.assert_array_equal(read(path, signed=True)[0][0].value.values, values)
    path = dicom(tmp_path / "b.dcm", values, ImageOrientationPatient=[1, 0, 0, 1, 0, 0], **hu)
    image = read(path, broken_orientation="ignore")[0][0].value
    assert image.orientation == "" and image.plane == ""


def test_a_series_bomb_is_refused_before_a_pixel_is_read(stack):
    entries, reasons, _ = read(stack(), limits=Limits(pixels=100))
    assert not entries and len(reasons) == 1 and "data.max_pixels" in reasons[0]


def test_a_deflated_bomb_is_not_inflated(tmp_path, dicom):
    path = dicom(tmp_path / "a.dcm", np.zeros((64, 64), np.int16))
    content = path.read_bytes()
    length = struct.unpack("<I", content[140:144])[0]
    start = 144 + length
    meta = content[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta[:140] + struct.pack("<I", length + 2) + meta[144:]
    place = meta.index(b"1.2.840.10008.1.2.1.99")
    meta = meta[: place - 2] + struct.pack("<H", 22) + meta[place:]

    def pack(body: bytes) -> None:
        worker = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        path.write_bytes(meta + worker.compress(body) + worker.flush())

    pack(content[start:])
    assert read(path)[0][0].value.shape == (64, 64)
    pack(content[start:-8192] + bytes(60_000_000))
    entries, reasons, _ = read(path)
    assert not entries and "zip bomb" in reasons[0]
    assert own("image_dfl.dcm").shape == (512, 512)


def test_a_zip_archive_is_read_and_a_zip_bomb_refused(tmp_path, dicom):
    path = dicom(tmp_path / "a.dcm", np.arange(16, dtype=np.int16).reshape(4, 4))
    archive = tmp_path / "series.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.write(path, "study/a.dcm")
        opened.writestr("study/b.dcm", path.read_bytes() + bytes(50_000_000))
    entries, reasons, _ = read(archive)
    assert len(entries) == 1 and "zip bomb" in reasons[0]


def test_missing_spacing_is_none_or_what_the_user_states(stack):
    folder = stack(PixelSpacing=None)
    assert read(folder)[0][0].value.spacing is None
    image = read(folder, assume_spacing=(1.0, 1.5))[0][0].value
    assert image.spacing == (1.0, 1.5)
    assert read(folder, plane="volume")[0][0].value.spacing is None


def test_slices_at_uneven_distances_are_no_volume(stack):
    folder = stack(count=6)
    (folder / "002.dcm").unlink()
    entries, reasons, _ = read(folder, plane="coronal")
    assert not entries and "5.00 mm" in reasons[0] and "data.plane=acquired" in reasons[0]
    assert len(read(folder)[0]) == 5


def test_kinds_are_told_by_first_bytes(tmp_path, dicom):
    assert kind_of(dicom(tmp_path / "x", np.zeros((2, 2), np.uint8)).read_bytes()[:352]) == "dicom"
    assert kind_of(b"\x89PNG\r\n\x1a\n" + bytes(40)) == "png"
    assert kind_of(b"PK\x03\x04" + bytes(40)) == "zip"
    assert kind_of(b"Dear colleague, " * 30) == ""
    assert kind_of(b"\x1f\x8b" + bytes(40)) == ""


def test_a_damaged_header_is_one_reason_and_its_values_are_not_said(tmp_path, dicom, recwarn):
    """Libraries convert elements when they are looked at, and repeat what is wrong with them."""
    good = np.arange(16, dtype=np.int16).reshape(4, 4)
    tags = {"ImageOrientationPatient": AXIAL, "PatientName": "Zyxwvut^A", "PixelSpacing": [1, 1]}
    content = dicom(tmp_path / "a.dcm", good, **tags).read_bytes()
    place = content.index(b"\x20\x00\x37\x00DS")
    (tmp_path / "vr.dcm").write_bytes(content[: place + 4] + b"Dz" + content[place + 6 :])
    place = content.index(b"\x28\x00\x30\x00DS")
    (tmp_path / "number.dcm").write_bytes(content[: place + 8] + b"Zyx" + content[place + 11 :])
    uid = content.index(b"\x20\x00\x0e\x00UI")
    (tmp_path / "uid.dcm").write_bytes(content[: uid + 8] + b"Zyx" + content[uid + 11 :])
    recwarn.clear()
    for name in ("vr", "number", "uid"):
        entries, reasons, _ = read(tmp_path / f"{name}.dcm")
        assert len(entries) + len(reasons) == 1, name
        assert "Zyx" not in str(reasons)
    assert not [str(one.message) for one in recwarn]
