"""What the contract suite (``python -m scizoo.testing radiology``) needs to know of this domain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.testing import BadFile, Examples
from scizoo_radiology.examples import (
    write_brain,
    write_ct,
    write_masks,
    write_pairs,
    write_quality,
    write_reports,
)
from scizoo_radiology.images import RadiologyImage
from scizoo_radiology.reference import REPORTS, pictures

_COUNT = 40


def _chest(number: int, side: int = 32) -> np.ndarray:
    """Return a picture with a bright disc (odd numbers) or without; no two are alike."""
    draw = np.random.default_rng(number)
    rows, columns = np.indices((side, side))
    shown = 100 + 30 * draw.normal(size=(4, 4)).repeat(side // 4, 0).repeat(side // 4, 1)
    if number % 2:
        shown = np.where((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 4) ** 2, 235, shown)
    return np.clip(shown + draw.normal(0, 4, (side, side)), 0, 255).astype(np.uint8)


def _png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def _classes(folder: Path) -> Sequence[str]:
    """PNG files and a table of labels that lists them, two pictures a patient."""
    rows = ["file,label,patient,sex,age,site"]
    for number in range(_COUNT):
        _png(folder / f"{number}.png", _chest(number))
        label, sex = ("nodule" if number % 2 else "clear"), "MF"[number % 3 == 0]
        rows.append(f"{number}.png,{label},p{number // 4 * 2 + number % 2},{sex},{40 + number},s{number % 2}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={folder / 'labels.csv'}", "data.input=file", "data.group=patient"]


def _findings(folder: Path) -> Sequence[str]:
    """PNG files with a table beside them; every sixth cell is empty."""
    rows = ["file,nodule,bright"]
    for number in range(_COUNT):
        pixels = _chest(number)
        _png(folder / f"{number}.png", pixels)
        bright = "" if number % 6 == 0 else str(int(pixels[:8, :8].mean() > 100))
        rows.append(f"{number},{number % 2},{bright}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={folder}", f"data.labels={folder / 'labels.csv'}", "data.target=[nodule,bright]"]


def _medmnist(folder: Path) -> Sequence[str]:
    """A file of MedMNIST in little."""
    arrays: dict[str, Any] = {}
    for short, numbers in (("train", range(24)), ("val", range(24, 30)), ("test", range(30, _COUNT))):
        arrays[f"{short}_images"] = np.stack([_chest(number, 28) for number in numbers])
        arrays[f"{short}_labels"] = np.array([[number % 2] for number in numbers])
    np.savez(folder / "pneumoniamnist.npz", **arrays)
    return [f"data.path={folder}"]


def _brain(folder: Path) -> Sequence[str]:
    return write_brain(folder, [_chest(number) for number in range(_COUNT)])


def _presence(folder: Path) -> Sequence[str]:
    return write_ct(folder)


def _reports(folder: Path) -> Sequence[str]:
    return [*write_reports(folder), "data.findings=[normal,Pleural Effusion,Nodule]"]


_CLASSES = "radiology/classification"
_TINY = ("backbone.architecture=test_convnext", "tokenizer.size=32")
_TRUNCATED = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x20\x08\0\0\0\0"

EXAMPLES = Examples(
    inputs={
        "radiology/image": [*pictures(2), RadiologyImage(_chest(1).astype(np.float32) - 1024.0, unit="HU")],
        "radiology/report": [*REPORTS, "[MASK] 5 µm"],
        "radiology/measures": [{"snr": 1.0 + number, "cjv": number**2} for number in range(5)],
    },
    own_data={
        _CLASSES: _classes,
        "radiology/multilabel": _findings,
        "radiology/xray-tiny": _medmnist,
        "radiology/pneumonia": _medmnist,
        "radiology/brain-tumour": _brain,
        "radiology/organs": _presence,
        "radiology/retrieval": write_pairs,
        "radiology/organ-segmentation": _presence,
        "radiology/segmentation": write_masks,
        "radiology/reports": _reports,
        "radiology/report-tiny": write_reports,
        "radiology/mr-quality": write_quality,
    },
    bad_files=(
        BadFile(_CLASSES, "empty.dcm", b"", ("not DICOM",)),
        BadFile(_CLASSES, "text.dcm", b"once upon a time\n" * 40, ("not DICOM",)),
        BadFile(_CLASSES, "picture.dcm", _TRUNCATED, ("is a PNG", "rename")),
        BadFile(_CLASSES, "half.png", _TRUNCATED, ("damaged picture",)),
        BadFile(_CLASSES, "unknown.bin", bytes(range(256)), ("DICOM", "NIfTI")),
        BadFile(_CLASSES, "table.csv", b"file,label\na.png,x\n", ("data.input",)),
        BadFile(
            _CLASSES, "list.csv", b"file,label\na.png,x\n", ("row 1", "does not exist"), ("data.input=file",)
        ),
    ),
    model=("tokenizer=radiology/image", "tokenizer.size=32", "backbone=timm", *_TINY[:1]),
    settings={
        _CLASSES: _TINY,
        "radiology/multilabel": _TINY,
        "radiology/brain-tumour": _TINY,
        "radiology/organs": _TINY,
        "radiology/retrieval": (*_TINY, "document.tokenizer.min_frequency=1"),
        "radiology/organ-segmentation": (*_TINY, "head.width=16"),
        "radiology/segmentation": (*_TINY, "head.width=16"),
        "radiology/report-tiny": ("tokenizer.min_frequency=1",),
        "radiology/xray-tiny": (*_TINY, "head.crop=1", "head.noise=0.02", "head.temperature=0.5"),
    },
)
