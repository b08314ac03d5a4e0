"""The user's own pictures with a mask beside each: the class of every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.opening import reading
from scizoo.data.records import Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError
from scizoo_radiology.datasets.files import ImageFiles
from scizoo_radiology.images import PLANES, RadiologyImage, Volume
from scizoo_radiology.privacy import quiet
from scizoo_radiology.readers.entry import Entry
from scizoo_radiology.readers.files import File, list_files
from scizoo_radiology.readers.nifti import nifti_volume
from scizoo_radiology.resample import resize

_MOST = 32000  # a mask's largest value


class MaskedFiles(ImageFiles):
    """Records of pictures whose target is a map: the class of every pixel, 0 where none is.

    A table lists a picture (or volume, or a series' folder) and its mask in each row. Masks are NIfTI
    volumes, or PNG files whose grey values or palette's numbers are the classes. A volume and its mask are
    turned to the same directions and sliced alike; where they do not lie on the same voxels the record is
    rejected.

    Parameters
    ----------
    path : str
        The table.
    input, mask : str
        Its columns that name the picture and the mask, relative to the table's folder.
    classes : mapping of int to str, or sequence of str, optional
        Names of the values of the masks; by default the numbers.
    **options
        As of :class:`~scizoo_radiology.datasets.files.ImageFiles`, but ``target``; ``plane`` must give
        slices.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "image",
        mask: str = "mask",
        classes: Any = None,
        **options: Any,
    ):
        if options.get("target") is not None or options.get("labels") is not None:
            raise ConfigError(
                "data.target and data.labels are not for masks.", expected="data.mask, the column with masks"
            )
        if options.get("plane") == "volume":
            raise ConfigError("data.plane=volume has no maps.", expected=f"acquired, {', '.join(PLANES)}")
        super().__init__(path, input=input, **{**options, "target": None})
        self.mask, self._classes = mask, classes
        self._opened: tuple[Path, Volume | np.ndarray] | None = None

    @property
    def classes(self) -> Any:
        """Names of the classes by their value."""
        return self._classes

    def fingerprint(self) -> str:
        """Digest of the files, their masks and the reading options."""
        table = resolve(self.path, self.cache)
        named = {str(cells[self.mask]) for _, cells in TableReader(table).rows() if cells.get(self.mask)}
        masks = [table.parent / name for name in sorted(named) if (table.parent / name).is_file()]
        return self._digest([self._content, fingerprint_files(masks)])

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "mask": self.mask, "masks": "map"}

    def _record(self, entry: Entry, row: Mapping[str, Any]) -> Record:
        if self.mask not in row:
            raise ConfigError(f"{self.path} has no column '{self.mask}' (data.mask).")
        if not isinstance(entry.value, RadiologyImage):
            raise ValueError("it is a volume, not a slice")
        cell = row[self.mask]
        path = resolve(self.path, self.cache).parent / str(cell)
        if cell is None or not path.is_file():
            raise ValueError("it has no mask, or its mask's file does not exist")
        labels = self._slice(self._open(path), entry.value)
        record = super()._record(entry, {name: value for name, value in row.items() if name != self.mask})
        shown = record.input.shape
        if labels.shape != shown:
            labels = resize(labels, shown, labels=True)
        return Record(record.id, record.input, labels, record.group, record.meta, record.source)

    def _open(self, path: Path) -> Volume | np.ndarray:
        if self._opened is None or self._opened[0] != path:  # slices of one volume come one after another
            file = next(iter(list_files([path], path.parent, False)))
            if file.kind() == "nifti":
                found: Volume | np.ndarray = nifti_volume(file, self.options)
            elif file.kind() == "png":
                found = _numbers(file)
            else:
                raise ValueError("its mask is neither NIfTI nor PNG")
            self._opened = (path, found)
        return self._opened[1]

    @staticmethod
    def _slice(mask: Volume | np.ndarray, picture: RadiologyImage) -> np.ndarray:
        """Return the map that lies on a picture, int16."""
        if isinstance(mask, Volume):
            stack = mask.stack(picture.plane or "axial")
            labels = stack[round((picture.place or 0.0) * (len(stack) - 1))]
        else:
            labels = mask
        if labels.shape != picture.shape:
            theirs, mine = ("x".join(map(str, shape)) for shape in (labels.shape, picture.shape))
            raise ValueError(f"its mask has {theirs} pixels, the picture {mine}")
        whole = labels.astype(np.int32)
        if not (labels == whole).all() or abs(whole).max() > _MOST:
            raise ValueError("its mask holds values that are no class numbers; threshold it first")
        return whole.astype(np.int16)


def _numbers(file: File) -> np.ndarray:
    """Return the numbers of a PNG: grey values, or places in its palette."""
    from PIL import Image, UnidentifiedImageError

    with reading(file.shown), file.path.open("rb") as stream, quiet():
        try:
            with Image.open(stream) as picture:
                if picture.mode in ("P", "L", "1", "I", "I;16", "I;16B"):
                    return np.asarray(picture)
                raise ValueError(f"its mask has colours ({picture.mode}), not class numbers")
        except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
            raise ValueError("its mask is a damaged picture") from error
