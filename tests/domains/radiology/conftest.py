from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

CT, MR, CR, US = (
    f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("2", "4", "1", "6.1")
)  # SOP classes of CT, MR, CR and US image storage
AXIAL = [1, 0, 0, 0, 1, 0]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """What is fetched or computed once goes to a folder of the test's own."""
    monkeypatch.setenv("SCIZOO_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("SCIZOO_PSEUDONYM_KEY", raising=False)


def write_dicom(path: Path, pixels: np.ndarray | None, syntax: str | None = None, **tags: Any) -> Path:
    """Write a DICOM file of one or several frames; tags by keyword, None leaves one out."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": CT,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(path)]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=[str(path.parent)]),
        "Modality": "CT",
        "PatientID": "P1",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
    }
    if pixels is not None:
        signed = pixels.dtype.kind == "i"
        values |= {
            "Rows": pixels.shape[-2],
            "Columns": pixels.shape[-1],
            "BitsAllocated": 8 * pixels.itemsize,
            "BitsStored": 8 * pixels.itemsize,
            "HighBit": 8 * pixels.itemsize - 1,
            "PixelRepresentation": int(signed),
        }
    values |= tags
    found = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, value in values.items():
        if value is not None:
            setattr(found, keyword, value)
    meta.MediaStorageSOPClassUID = found.SOPClassUID
    meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    if pixels is not None:
        found.PixelData = pixels.tobytes()
        found["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, found, enforce_file_format=True)
    return path


@pytest.fixture
def dicom():
    return write_dicom


def chest(number: int, side: int = 32) -> np.ndarray:
    """Return a picture with a bright disc (odd numbers) or without; no two are alike."""
    draw = np.random.default_rng(number)
    rows, columns = np.indices((side, side))
    shown = 100 + 30 * draw.normal(size=(4, 4)).repeat(side // 4, 0).repeat(side // 4, 1)
    if number % 2:
        shown = np.where((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 4) ** 2, 235, shown)
    return np.clip(shown + draw.normal(0, 4, (side, side)), 0, 255).astype(np.uint8)


@pytest.fixture(name="chest")
def chest_fixture():
    return chest


@pytest.fixture
def stack(tmp_path):
    """Write a CT series of slices 2.5 mm apart whose values name the voxel, in a given order of files."""

    def write(folder: str = "series", count: int = 6, reverse: bool = False, **tags: Any) -> Path:
        k, j, i = np.indices((count, 4, 5))
        voxels = (100 * k + 10 * j + i).astype(np.int16)
        for number in range(count):
            place = count - 1 - number if reverse else number
            write_dicom(
                tmp_path / folder / f"{number:03d}.dcm",
                voxels[place],
                **{
                    "ImageOrientationPatient": AXIAL,
                    "ImagePositionPatient": [-10.0, -20.0, 50.0 + 2.5 * place],
                    "PixelSpacing": [0.7, 0.8],
                    "RescaleSlope": 1,
                    "RescaleIntercept": -1000,
                    "InstanceNumber": number + 1,
                    **tags,
                },
            )
        return tmp_path / folder

    return write
