"""The user's own spectra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scizoo.data.records import RejectionLog
from scizoo_astronomy.datasets.files import ObjectFiles
from scizoo_astronomy.objects import Spectrum
from scizoo_astronomy.readers.entry import Entry
from scizoo_astronomy.readers.pixels import SpectrumOptions
from scizoo_astronomy.readers.spectra import SPECTRUM_SUFFIXES, read_spectra


class SpectrumFiles(ObjectFiles):
    """Records from the user's own one-dimensional spectra.

    Parameters
    ----------
    path, input, target, group, split, id, labels, labels_id, given, max_rejected, cache
        As in :class:`~scizoo_astronomy.datasets.files.ObjectFiles`. ``given={redshift: COLUMN}`` lets models
        look at a redshift; never do so where it is the target.
    columns, units, names, hdu, medium, to_vacuum
        As in :class:`~scizoo_astronomy.readers.pixels.SpectrumOptions`.
    """

    suffixes = SPECTRUM_SUFFIXES

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        hdu: int | str | None = None,
        medium: str = "vacuum",
        to_vacuum: bool = True,
        **common: Any,
    ):
        super().__init__(path, **common)
        self._reading: dict[str, Any] = {
            "columns": dict(columns or {}),
            "units": dict(units or {}),
            "names": None if names is None else list(names),
            "hdu": hdu,
            "id": self.id,
            "medium": medium,
            "to_vacuum": to_vacuum,
        }
        self._options = SpectrumOptions(**self._reading)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "reading": self._reading}

    def entries(self, file: Path, log: RejectionLog) -> Iterator[Entry[Spectrum]]:
        """Yield the spectra of a file."""
        yield from read_spectra(file, log, self._options)
