"""What the datasets of this domain share: files, reading options, and what was mended, counted and said."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Dataset
from scizoo.data.sources import fingerprint_files, resolve_files
from scizoo.errors import ConfigError
from scizoo.files import sha256_json
from scizoo_timeseries.readers.assemble import mended
from scizoo_timeseries.readers.options import Entry, ReadOptions

log = logging.getLogger(__name__)


class SeriesFiles(Dataset):
    """Series from files of any format that this domain reads; a dataset of records derives from it.

    Parameters
    ----------
    path : str
        A file, folder, glob, URL or other source.
    id, time, target : str or None
        Columns of a long table; ``id=None`` where the file holds one series.
    past, future, static : sequence of str
        Columns with covariates.
    layout, freq, season, tz, time_format, gaps, order, duplicates
        As of :class:`~scizoo_timeseries.readers.options.ReadOptions`.
    max_rejected : float
        The share of records that may be unusable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        id: str | None = "unique_id",
        time: str = "ds",
        target: str = "y",
        past: Sequence[str] | str = (),
        future: Sequence[str] | str = (),
        static: Sequence[str] | str = (),
        layout: str = "auto",
        freq: str | None = None,
        season: int | None = None,
        tz: str | None = None,
        time_format: str | None = None,
        gaps: str = "fill",
        order: str = "sort",
        duplicates: str = "refuse",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file of series: CSV or Parquet (long or wide), .ts or .tsf",
                remedy="add data.path=FILE.",
            )
        self.path, self.cache = path, cache
        self.options = ReadOptions(
            id=id,
            time=time,
            target=target,
            past=past,  # type: ignore[arg-type]
            future=future,  # type: ignore[arg-type]
            static=static,  # type: ignore[arg-type]
            layout=layout,
            freq=freq,
            season=season,
            tz=tz,
            time_format=time_format,
            gaps=gaps,
            order=order,
            duplicates=duplicates,
        )
        #: What was mended or left out, by kind; filled while the files are read.
        self.counts: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the series."""
        from scizoo_timeseries.readers.detect import SUFFIXES

        return resolve_files(self.path, self.cache, SUFFIXES)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records; a subclass adds its own."""
        return {"options": asdict(self.options)}

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the options."""
        return sha256_json(
            {
                "class": type(self).__qualname__,
                "files": fingerprint_files(self.files),
                "settings": self.settings(),
                "version": 1,
            }
        )

    def entries(self, label: str | None = None) -> Iterator[Entry]:
        """Yield the series of all files; bad ones go to ``rejections``."""
        from scizoo_timeseries.readers.detect import read_series

        self.counts.clear()
        for file in self.files:
            for entry in read_series(file, self.options, self.rejections, label):
                self._note(entry)
                yield entry

    def _note(self, entry: Entry) -> None:
        for key, value in entry.notes.items():
            self.counts[key] += int(value)
        words = mended({key: entry.notes.get(key) for key in ("sorted", "duplicates", "gaps")})
        if words:
            log.info("%s: %s", entry.source, words)

    def say(self) -> None:
        """Say how much was mended and left out."""
        told = {
            "sorted": "series were sorted by time",
            "duplicates": "repeated stamps were joined",
            "gaps": "gaps were filled as missing",
            "missing": "values are missing",
            "constant": "series are constant (MASE is undefined for them)",
        }
        words = [f"{count:,} {told.get(key, key)}" for key, count in self.counts.items() if count]
        if words:
            log.info("%s: %s.", self.name, "; ".join(words))
