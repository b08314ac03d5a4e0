"""FR-DEEP: radio galaxies of Fanaroff-Riley classes I and II."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.datasets.base import AstronomyDataset
from scizoo_astronomy.readers.images import read_npz

CLASSES = ("FRI", "FRII")


class FrDeep(AstronomyDataset):
    """FR-DEEP, its FIRST images at 1.4 GHz: 600 cut-outs of 150 x 150 pixels (264 FRI, 336 FRII).

    Pixels are 0 to 255, clipped at three times the local noise by its authors; 1.8 arcseconds each, as in
    FIRST.

    Parameters
    ----------
    path : str
        An NPZ file (or its folder) with ``images`` (n, height, width), ``labels`` (0 FRI, 1 FRII), and if
        wanted ``filenames`` and ``batch``, which becomes ``meta["batch"]`` and, as train or test,
        ``meta["split"]``.
    max_rejected : float
    cache : Path, optional
    """

    licence = Licence("none stated (images of the FIRST survey, NRAO; to be cited)")
    citation = (
        "Tang, Scaife, Leahy (2019) Transfer learning for radio galaxy classification. MNRAS 488, 3358 "
        "(arXiv 1903.11921); Becker, White, Helfand (1995) The FIRST Survey. ApJ 450, 559"
    )

    def __init__(
        self, path: str | Path | None = None, *, max_rejected: float = 0.01, cache: Path | None = None
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="an NPZ file with images and labels",
                remedy="pack the FIRST batches of github.com/HongmingTang060313/FR-DEEP so: data.path=NPZ",
            )
        self.path, self.cache = path, cache

    @property
    def name(self) -> str:
        """What is read."""
        return f"FR-DEEP ({self.path})"

    def _file(self) -> Path:
        path = resolve(self.path, self.cache)
        if not path.is_dir():
            return path
        found = sorted(path.glob("*.npz"))
        if len(found) != 1:
            raise DataError(f"{path} holds {len(found)} NPZ files.", expected="one: name it in data.path")
        return found[0]

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {}

    def fingerprint(self) -> str:
        """Digest of the file."""
        return self._digest(fingerprint_files([self._file()]))

    def records(self) -> Iterator[Record]:
        """Yield the images in the file's order."""
        self.left_out.clear()
        # File names say the class, and some are there twice: images are counted instead.
        for number, entry in enumerate(read_npz(self._file(), self.rejections)):
            label = entry.fields.get("labels")
            if label not in (0, 1):
                self.rejections.reject(
                    entry.source, entry.id, f"its label is {label!r}, not 0 (FRI) or 1 (FRII)"
                )
                continue
            meta = {key: cell for key, cell in entry.fields.items() if key != "labels"}
            if "batch" in meta:
                meta["split"] = "test" if "test" in str(meta["batch"]) else "train"
            yield Record(f"fr-deep-{number}", entry.value, CLASSES[int(label)], None, meta, entry.source)
