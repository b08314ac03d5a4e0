"""Tiny files of the sets that this domain knows, for the contract suite and for tests; of nobody."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_ORGAN_IDS = {
    "liver": 5,
    "lung_left": 10,
    "heart": 51,
    "atrial_appendage_left": 61,
    "aorta": 52,
    "rib_left_1": 92,
    "spleen": 1,
}
_SITES = ("NORTH", "SOUTH", "EAST", "WEST", "MIDDLE")
_MEASURES = ("cjv", "cnr", "efc", "snr_total", "fwhm_avg")


def write_ct(folder: Path, slices: int = 90, side: int = 24) -> list[str]:
    """Write a CT of 90 small slices with its mask: lungs above, liver below, a heart and an aorta.

    Returns
    -------
    list of str
        The overrides that name it and its few organs.
    """
    import nibabel

    draw = np.random.default_rng(0)
    x, y, z = np.indices((side, side, slices))
    mask = np.zeros((side, side, slices), dtype=np.uint8)
    across = np.hypot(x - side / 2, y - side / 2) / side
    wave = z % 18  # organs come and go, so that every part of the split has each of them and lacks it
    mask[(across < 0.4) & (wave >= 9)] = _ORGAN_IDS["lung_left"]
    mask[(across < 0.3) & (wave < 7)] = _ORGAN_IDS["liver"]
    mask[(across < 0.18) & (wave >= 4) & (wave < 13)] = _ORGAN_IDS["heart"]
    values = np.full(mask.shape, -1000.0)
    values[across < 0.48] = 40.0
    for name, value in (("lung_left", -800.0), ("liver", 110.0), ("heart", 300.0)):
        values[mask == _ORGAN_IDS[name]] = value
    # Each slice has a mark of its own, as bodies do, so that no two are near copies.
    values += 200.0 * np.repeat(np.repeat(draw.normal(size=(6, 6, slices)), 4, 0), 4, 1)
    values += draw.normal(0, 15, mask.shape)
    affine = np.diag([-2.0, -2.0, 2.5, 1.0])
    for name, voxels in (("cxr", values.astype(np.int16)), ("mask", mask)):
        image = nibabel.Nifti1Image(voxels, affine)
        (folder / f"{name}.nii").write_bytes(image.to_bytes())
        # An archive without a time stamp: the same bytes each time.
        _gzip(folder / f"{name}.nii.gz", image.to_bytes())
        (folder / f"{name}.nii").unlink()
    rows = [
        "group,original_idx,structure,id",
        *(f"organs,{id},{name},{id}" for name, id in _ORGAN_IDS.items()),
    ]
    (folder / "structures.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    organs = "{lungs:[lung_*],liver:[liver],heart:[heart]}"
    return [f"data.path={folder}", "data.spacing=null", f"data.organs={organs}"]


def _gzip(path: Path, content: bytes) -> None:
    import gzip

    path.write_bytes(gzip.compress(content, mtime=0))


def write_reports(folder: Path, count: int = 60) -> list[str]:
    """Write an archive of reports: some normal, some with an effusion or a nodule, no two alike."""
    sides, sizes, places = (
        ("left", "right"),
        ("small", "moderate", "large"),
        ("upper", "middle", "lower", "apical"),
    )
    with tarfile.open(folder / "reports.tgz", "w:gz") as archive:
        for number in range(count):
            side, size, place = sides[number % 2], sizes[number % 3], places[number % 4]
            heading = ("normal", "Pleural Effusion", "Nodule")[number % 3]
            found = {
                "normal": f"Lungs are clear in the {place} zone. Comparison {number}. Normal chest.",
                "Pleural Effusion": f"A {size} {side} pleural effusion, {number} mm deep, blunts the angle.",
                "Nodule": f"A {size} nodule of {number} mm lies in the {side} {place} lobe.",
            }[heading]
            text = (
                f'<eCitation><AbstractText Label="FINDINGS">{found}</AbstractText>'
                f'<AbstractText Label="IMPRESSION">Study {number}.</AbstractText>'
                f"<MeSH><major>{heading}/{side}</major></MeSH></eCitation>"
            ).encode()
            member = tarfile.TarInfo(f"ecgen-radiology/{number}.xml")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return [f"data.path={folder / 'reports.tgz'}"]


def write_quality(folder: Path, count: int = 60) -> list[str]:
    """Write tables of ratings: noisy scans are excluded."""
    draw = np.random.default_rng(0)
    for study, rater, sites in (("abide", "rater_3", _SITES), ("ds030", "rater_1", ("OTHER", "THIRD"))):
        rows = ["\t".join(["subject_id", "site", rater, *_MEASURES, "size_x"])]
        for number in range(count if study == "abide" else count // 3):
            bad = number % 3 == 0
            values = draw.normal(5.0 if bad else 1.0, 0.5, len(_MEASURES))
            cells = [f"{value:.5f}" for value in values]
            rating = "-1" if bad else ("1.0", "0")[number % 2]
            rows.append("\t".join([str(number), sites[number // 3 % len(sites)], rating, *cells, "256"]))
        (folder / f"{study}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [f"data.path={folder}"]


def write_brain(folder: Path, pictures: Sequence[np.ndarray]) -> list[str]:
    """Write pictures in the form of the brain-tumour MR set, every fourth one for the test."""
    kinds = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")
    images = np.stack(pictures)
    count = len(images)
    split = np.array(["Testing" if number % 4 == 3 else "Training" for number in range(count)])
    labels = np.array([kinds[number % 2] for number in range(count)])
    files = np.array([f"{part}/{kind}/{n}.jpg" for n, (part, kind) in enumerate(zip(split, labels))])
    np.savez(folder / "brain.npz", images=images, labels=labels, split=split, files=files)
    return [f"data.path={folder}"]


def write_masks(folder: Path, count: int = 40, side: int = 32) -> list[str]:
    """Write PNG pictures of bright discs with their masks, and the table that lists both."""
    from PIL import Image

    draw = np.random.default_rng(0)
    rows, columns = np.indices((side, side))
    lines = ["image,mask,patient"]
    for number in range(count):
        row, column = draw.uniform(side * 0.35, side * 0.65, 2)
        inside = np.hypot(rows - row, columns - column) < side * 0.22
        ground = 90 + 25 * draw.normal(size=(4, 4)).repeat(side // 4, 0).repeat(side // 4, 1)
        shown = np.where(inside, 220, ground) + draw.normal(0, 4, (side, side))
        Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(inside.astype(np.uint8)).save(folder / f"{number}-mask.png")
        lines.append(f"{number}.png,{number}-mask.png,p{number // 2}")
    (folder / "masks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"data.path={folder / 'masks.csv'}", "data.group=patient", "data.classes={1:disc}"]


def write_pairs(folder: Path, count: int = 40, side: int = 32) -> list[str]:
    """Write PNG pictures with a disc somewhere, and reports that say where and how large."""
    from PIL import Image

    draw = np.random.default_rng(0)
    rows, columns = np.indices((side, side))
    heights, sides, sizes = ("upper", "lower"), ("left", "right"), ("small", "moderate", "large")
    lines = ["image,report,patient"]
    for number in range(count):
        height, wide, size = number % 2, number // 2 % 2, number % 3
        row, column = side * (0.3 + 0.4 * height), side * (0.3 + 0.4 * wide)
        inside = np.hypot(rows - row, columns - column) < side * (0.1 + 0.05 * size)
        ground = 90 + 25 * draw.normal(size=(4, 4)).repeat(side // 4, 0).repeat(side // 4, 1)
        Image.fromarray(np.where(inside, 230, ground).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number}.png"
        )
        text = f"A {sizes[size]} nodule in the {sides[wide]} {heights[height]} zone; case {number}."
        lines.append(f"{number}.png,{text},p{number}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"data.path={folder / 'pairs.csv'}", "data.group=patient"]
