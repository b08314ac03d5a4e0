"""Sets in the form of MedMNIST: small pictures in one NPZ file, with the authors' split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset, find_file, open_arrays
from scizoo_radiology.images import RadiologyImage

PARTS = {"train": "train", "val": "validation", "test": "test"}


class PneumoniaMNIST(CountingDataset):
    """Chest radiographs of children, normal or with pneumonia, at 28 x 28 pixels (5,856; MedMNIST v2).

    Made by its authors from the radiographs of Kermany et al. (2018): the centre of each, resized. The test
    part is Kermany's; validation is a tenth of his training part, by image. The files name no patient, so
    nobody can rule out that some patients are in both training and validation; 8 validation images equal
    training ones.

    Parameters
    ----------
    path : str
        ``pneumoniamnist.npz``, or its folder.
    part : {"all", "train", "validation", "test"}
        Which part is read; a recipe reads ``train`` alone.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("CC-BY-4.0")
    citation = (
        "Yang et al. (2023) MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image "
        "classification. Scientific Data 10, 41; Kermany et al. (2018) Identifying Medical Diagnoses and "
        "Treatable Diseases by Image-Based Deep Learning. Cell 172, 1122-1131"
    )
    classes = ("normal", "pneumonia")
    modality = "CR"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        part: str = "all",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        choices = ("all", *PARTS.values())
        if part not in choices:
            raise ConfigError(f"data.part={part} is no part: {did_you_mean(str(part), choices)}")
        self.path, self.part, self.cache = path, part, cache

    @property
    def name(self) -> str:
        """What is read."""
        return f"PneumoniaMNIST{'' if self.part == 'all' else f', {self.part}'} ({self.path})"

    def _file(self) -> Path:
        return find_file(self.path, ".npz", "pneumoniamnist.npz of MedMNIST", self.cache)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"part": self.part}

    def fingerprint(self) -> str:
        """Digest of the file and the part."""
        return self._digest(fingerprint_files([self._file()]))

    def records(self) -> Iterator[Record]:
        """Yield the pictures, part by part in the file's order."""
        file = self._file()
        wanted = [short for short, part in PARTS.items() if self.part in ("all", part)]
        shapes = {f"{short}_images": 3 for short in wanted} | {f"{short}_labels": 2 for short in wanted}
        arrays = open_arrays(file, shapes, "an NPZ file of MedMNIST: train_images, train_labels, ...")
        for short in wanted:
            images, labels = arrays[f"{short}_images"], arrays[f"{short}_labels"]
            if len(images) != len(labels):
                raise DataError(
                    f"{file}: {len(images)} pictures and {len(labels)} labels in '{short}'.",
                    expected="a label a picture",
                )
            yield from self._part(file, short, images, labels[:, 0])

    def _part(self, file: Path, short: str, images: np.ndarray, labels: np.ndarray) -> Iterator[Record]:
        for number, (pixels, label) in enumerate(zip(images, labels)):
            id, source = f"{short}-{number}", f"{file.name}, {short}_images, picture {number}"
            if label not in range(len(self.classes)):
                expected = ", ".join(f"{n} ({name})" for n, name in enumerate(self.classes))
                self.rejections.reject(source, id, f"its label is {label}, not one of {expected}")
                continue
            try:
                picture = RadiologyImage(pixels, modality=self.modality)
            except ValueError as error:
                self.rejections.reject(source, id, str(error))
                continue
            meta = {"split": PARTS[short]}
            yield Record(id, picture, self.classes[int(label)], None, meta, source)
