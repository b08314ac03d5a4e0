"""The user's own images, alone or with the spectra of the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import RejectionLog
from scizoo.data.sources import resolve
from scizoo.errors import ConfigError
from scizoo_astronomy.datasets.files import ObjectFiles
from scizoo_astronomy.objects import Image, ImageSpectrum
from scizoo_astronomy.readers.entry import Entry, stem
from scizoo_astronomy.readers.images import IMAGE_SUFFIXES, read_images
from scizoo_astronomy.readers.pixels import SpectrumOptions
from scizoo_astronomy.readers.spectra import read_spectra


class ImageFiles(ObjectFiles):
    """Records from the user's own images: FITS, PNG or JPEG, one an object, or NPZ with many.

    Parameters
    ----------
    path, input, target, group, split, id, labels, labels_id, given, max_rejected, cache
        As in :class:`~scizoo_astronomy.datasets.files.ObjectFiles`.
    hdu : int or str, optional
        Of FITS: which HDU; by default the first that holds an image.
    broken_wcs : {"refuse", "ignore"}
        Whether an image with broken world coordinates is rejected or used without them.
    """

    suffixes = IMAGE_SUFFIXES

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        hdu: int | str | None = None,
        broken_wcs: str = "refuse",
        **common: Any,
    ):
        super().__init__(path, **common)
        self.hdu, self.broken_wcs = hdu, broken_wcs

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "hdu": self.hdu, "broken_wcs": self.broken_wcs}

    def entries(self, file: Path, log: RejectionLog) -> Iterator[Entry[Image]]:
        """Yield the images of a file."""
        yield from read_images(file, log, hdu=self.hdu, broken_wcs=self.broken_wcs)


class ImageSpectrumFiles(ObjectFiles):
    """Records of objects that have an image and a spectrum, listed in a table, for the alignment of the two.

    Parameters
    ----------
    path : str
        The table, a row an object.
    image, spectrum : str
        The columns that name the files, relative to the table's folder.
    broken_wcs : {"refuse", "ignore"}
    reading : mapping, optional
        Options of :class:`~scizoo_astronomy.readers.pixels.SpectrumOptions`.
    target, group, split, id, max_rejected, cache
        As in :class:`~scizoo_astronomy.datasets.files.ObjectFiles`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        image: str = "image",
        spectrum: str = "spectrum",
        broken_wcs: str = "refuse",
        reading: dict[str, Any] | None = None,
        **common: Any,
    ):
        if common.get("input") or common.get("labels"):
            raise ConfigError(
                "data.input and data.labels are not for pairs.", expected="data.image, data.spectrum"
            )
        super().__init__(path, **{**common, "input": image})
        self.spectrum, self.broken_wcs = spectrum, broken_wcs
        self._reading = dict(reading or {})
        self._options = SpectrumOptions(**self._reading)
        self._spectra: dict[Path, Path] = {}

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        pair = {"spectrum": self.spectrum, "broken_wcs": self.broken_wcs, "reading": self._reading}
        return {**super().settings(), **pair}

    @cached_property
    def files(self) -> list[Path]:
        """The files of both kinds that the list names."""
        images = {file for file, _, _ in self._listed()}
        return sorted({*images, *self._spectra.values()})

    def _listed(self, log: RejectionLog | None = None) -> Iterator[tuple[Path, dict[str, Any], str]]:
        folder = resolve(self.path, self.cache).parent
        for file, cells, source in super()._listed(log):
            if self.spectrum not in cells:
                raise ConfigError(f"{self.path} has no column '{self.spectrum}' (data.spectrum).")
            other = folder / str(cells.pop(self.spectrum))
            if not other.is_file():
                if log is not None:
                    log.reject(source, stem(file.name), f"its spectrum {other} does not exist")
                continue
            self._spectra[file] = other
            yield file, cells, source

    def entries(self, file: Path, log: RejectionLog) -> Iterator[Entry[ImageSpectrum]]:
        """Yield the image of a file with the first spectrum of its row's other file."""
        image = next(read_images(file, log, broken_wcs=self.broken_wcs), None)
        spectrum = next(read_spectra(self._spectra[file], log, self._options), None)
        if image is not None and spectrum is not None:
            yield Entry(
                image.id, ImageSpectrum(image.value, spectrum.value), spectrum.fields, {}, image.source
            )
