"""The user's own light curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scizoo.data.records import RejectionLog
from scizoo_astronomy.datasets.files import ObjectFiles
from scizoo_astronomy.objects import LightCurve
from scizoo_astronomy.readers.entry import Entry
from scizoo_astronomy.readers.lightcurves import LIGHTCURVE_SUFFIXES, read_light_curves
from scizoo_astronomy.readers.points import LightCurveOptions


class LightCurveFiles(ObjectFiles):
    """Records from the user's own light curves.

    A file holds one object, or (with a column of ids) many; an archive (tar, tar.gz) holds a file an object.
    LSST, PLAsTiCC, Kepler and TESS tables are recognised by their columns; those of ASAS and OGLE, which have
    no header line, by ``layout``. Columns whose name says their unit (``mjd``, ``jd``, ``mag``) need no
    other; the unit of any other column is the file's, or that of ``units``: none is assumed.

    Parameters
    ----------
    path, input, target, group, split, id, labels, labels_id, given, max_rejected, cache
        As in :class:`~scizoo_astronomy.datasets.files.ObjectFiles`. With ``given={period: COLUMN}`` a
        catalogue's period is used for folding.
    layout, columns, units, names, hdu, bands, sort, duplicates, quality, missing, min_points
        As in :class:`~scizoo_astronomy.readers.points.LightCurveOptions`.
    """

    suffixes = LIGHTCURVE_SUFFIXES

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        layout: str | None = None,
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        hdu: int | str | None = None,
        bands: Sequence[str] | None = None,
        sort: bool = False,
        duplicates: str = "refuse",
        quality: str | int = "drop",
        missing: Sequence[float] = (),
        min_points: int = 2,
        **common: Any,
    ):
        super().__init__(path, **common)
        self._reading: dict[str, Any] = {
            "layout": layout,
            "columns": dict(columns or {}),
            "units": dict(units or {}),
            "names": None if names is None else list(names),
            "hdu": hdu,
            "id": self.id,
            "bands": None if bands is None else list(bands),
            "sort": sort,
            "duplicates": duplicates,
            "quality": quality,
            "missing": list(missing),
            "min_points": min_points,
        }
        LightCurveOptions(**self._reading)  # refuses what has no meaning before a file is opened

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "reading": self._reading}

    def entries(self, file: Path, log: RejectionLog) -> Iterator[Entry[LightCurve]]:
        """Yield the light curves of a file."""
        yield from read_light_curves(file, log, LightCurveOptions(**self._reading, left_out=self.left_out))
