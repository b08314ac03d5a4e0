"""The brain-tumour MR set of Bhuvaji et al.: a popular set with a broken split, read so that it is mended."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_radiology.datasets.base import CountingDataset, find_file, open_arrays
from scizoo_radiology.images import RadiologyImage

_ARRAYS = {"images": 3, "labels": 1, "split": 1, "files": 1}
_KINDS = {
    "glioma_tumor": "glioma",
    "meningioma_tumor": "meningioma",
    "no_tumor": "none",
    "pituitary_tumor": "pituitary",
}
REPEATS = ("drop-train", "drop-test", "keep")


class BrainTumour(CountingDataset):
    """3,264 MR slices of the head: glioma, meningioma, pituitary tumour, or none (Bhuvaji et al. 2020).

    Its split is broken. 88 of the 105 test files without a tumour are byte for byte among the training files
    (marked in ``test_file_also_in_train``); reduced to 96 x 96 pixels, 251 of the 394 test slices equal a
    training slice. Nothing names patients, slices of one patient stand in both parts, and slices without a
    tumour come from elsewhere: figures on it say that a pipeline works, not that a tumour would be found.

    Parameters
    ----------
    path : str
        An NPZ file with ``images`` (n, rows, columns), ``labels``, ``split`` (Training, Testing) and
        ``files``, or its folder.
    repeats : {"drop-train", "drop-test", "keep"}
        What becomes of slices of equal pixels in both parts: their copies in training are left out, so that
        the test part stays whole and comparable; or those in test; or none, as published.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("none stated (Kaggle)", commercial=False, redistribution=False)
    citation = (
        "Bhuvaji, Kadam, Bhumkar, Dedge, Kanchan (2020) Brain Tumor Classification (MRI). Kaggle, "
        "doi:10.34740/kaggle/dsv/1183165"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        repeats: str = "drop-train",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if repeats not in REPEATS:
            raise ConfigError(f"data.repeats={repeats} is unknown: {did_you_mean(str(repeats), REPEATS)}")
        self.path, self.repeats, self.cache = path, repeats, cache

    @property
    def name(self) -> str:
        """What is read."""
        return f"brain-tumour MR ({self.path})"

    def _file(self) -> Path:
        return find_file(self.path, ".npz", "an NPZ file of the brain-tumour MR set", self.cache)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {"repeats": self.repeats}

    def fingerprint(self) -> str:
        """Digest of the file and the options."""
        return self._digest(fingerprint_files([self._file()]))

    def records(self) -> Iterator[Record]:
        """Yield the slices in the file's order; equal pixels are one group."""
        self.left_out.clear()
        file = self._file()
        arrays = open_arrays(file, _ARRAYS, "an NPZ file of the brain-tumour MR set")
        count = len(arrays["images"])
        short = next((name for name in _ARRAYS if len(arrays[name]) != count), None)
        if short is not None:
            raise DataError(f"{file}: '{short}' has {len(arrays[short])} entries for {count} pictures.")
        pixels = [
            hashlib.blake2b(np.ascontiguousarray(one).tobytes(), digest_size=8).hexdigest()
            for one in arrays["images"]
        ]
        in_test = arrays["split"] == "Testing"
        tested = {key for key, test in zip(pixels, in_test) if test}
        trained = {key for key, test in zip(pixels, in_test) if not test}
        for number in range(count):
            label, key = str(arrays["labels"][number]), pixels[number]
            both = key in tested and key in trained
            drop = {"drop-train": not in_test[number], "drop-test": in_test[number], "keep": False}
            if both and drop[self.repeats]:
                part = "test" if in_test[number] else "training"
                self.left_out[f"slices of {part} whose pixels are in the other part as well"] += 1
                continue
            id, source = str(arrays["files"][number]), f"{file.name}, picture {number}"
            if label not in _KINDS:
                self.rejections.reject(source, id, f"its label is '{label}', not one of {', '.join(_KINDS)}")
                continue
            meta = {"split": "test" if in_test[number] else "train"}
            group = None if self.repeats == "keep" else f"pixels {key}"
            try:
                picture = RadiologyImage(arrays["images"][number], modality="MR")
            except ValueError as error:
                self.rejections.reject(source, id, str(error))
                continue
            yield Record(id, picture, _KINDS[label], group, meta, source)
        self._say_left_out()
