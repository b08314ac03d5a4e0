"""M4 (Makridakis et al. 2020): official training and test parts of one frequency, joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.records import Licence, Record
from scizoo.data.sources import resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_timeseries.datasets.windows import ForecastWindows
from scizoo_timeseries.readers.tables import read_tables

#: Frequency, horizon of the competition.
SUBSETS = {
    "Hourly": ("h", 48),
    "Daily": ("D", 14),
    "Weekly": ("W", 13),
    "Monthly": ("MS", 18),
    "Quarterly": ("QS", 8),
    "Yearly": ("YS", 6),
}


class M4Windows(ForecastWindows):
    """Windows of M4 series; the last window of each series is the official test part.

    Parameters
    ----------
    path : str
        The folder with ``SUBSET-train.csv`` and ``SUBSET-test.csv``, plain or gzipped.
    subset : str
        A key of ``SUBSETS``.
    **settings
        As of :class:`~scizoo_timeseries.datasets.windows.ForecastWindows`; the horizon must be the test
        part's.

    Raises
    ------
    ConfigError
        When the subset is unknown.
    DataError
        When a file is missing, or the parts hold other series or steps.
    """

    licence = Licence("public competition data without a stated licence", redistribution=False)
    citation = "Makridakis, Spiliotis and Assimakopoulos 2020, Int. J. Forecasting 36, 54"

    def __init__(self, path: str | Path | None = None, *, subset: str = "Hourly", **settings: Any):
        if subset not in SUBSETS:
            raise ConfigError(f"data.subset={subset}: {did_you_mean(subset, SUBSETS)}")
        self.subset = subset
        settings.setdefault("horizon", SUBSETS[subset][1])
        super().__init__(path if path is None else str(path), layout="m4", **settings)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "subset": self.subset}

    @cached_property
    def files(self) -> list[Path]:
        """The training and the test file."""
        folder = resolve(self.path, self.cache)
        found = []
        for part in ("train", "test"):
            choices = [folder / f"{self.subset}-{part}.csv", folder / f"{self.subset}-{part}.csv.gz"]
            there = [path for path in choices if path.is_file()]
            if not there:
                raise DataError(
                    f"{choices[0]} does not exist, nor does it gzipped.",
                    expected=f"a folder with {self.subset}-train.csv and {self.subset}-test.csv",
                    remedy="data.path=FOLDER; the files are in Mcompetitions/M4-methods on GitHub.",
                )
            found.append(there[0])
        return found

    def records(self) -> Iterator[Record]:
        """Yield the windows; the last of each series has the official test part as its target."""
        self.counts.clear()
        train, test = self.files
        futures = {
            e.series.unique_id: e.series.values for e in read_tables(test, self.options, self.rejections)
        }
        freq = SUBSETS[self.subset][0]
        for entry in read_tables(train, self.options, self.rejections):
            name = entry.series.unique_id
            future = futures.pop(name, None)
            if future is None or len(future) != self.horizon:
                raise DataError(
                    f"{test}: series '{name}' has {0 if future is None else len(future)} values, "
                    f"data.horizon is {self.horizon}.",
                    expected="a test part of the horizon for every series of the training part",
                    remedy=f"set data.horizon={SUBSETS[self.subset][1]}, or download the files again.",
                )
            values = np.concatenate([entry.series.values, future])
            season = self.options.season_for(freq)
            # M4's dates are not in these files; steps are counted.
            joined = replace(
                entry.series,
                values=values,
                stamps=np.arange(len(values), dtype=np.int64),
                freq=freq,
                season=season,
            )
            self._note(entry)
            yield from self.windows(replace(entry, series=joined))
        if futures:
            raise DataError(
                f"{test}: series '{next(iter(futures))}' is not in {train.name}.",
                expected="the same series in both files",
            )
        self.say()
