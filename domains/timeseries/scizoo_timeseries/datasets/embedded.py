"""Real series that packages carry, read in place: statsmodels' data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scizoo.data.records import Licence
from scizoo.data.sources import resolve
from scizoo.errors import ConfigError, did_you_mean
from scizoo_timeseries.datasets.windows import ForecastWindows
from scizoo_timeseries.readers.assemble import assemble
from scizoo_timeseries.readers.options import Entry, ReadOptions
from scizoo_timeseries.readers.tables import read_frame

CITATION = "data sets of statsmodels (Seabold and Perktold 2010), statsmodels.datasets"
LICENCE = Licence("public domain, as statsmodels states of each of its data sets")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
#: Quarterly series of the United States' economy in ``macrodata``.
MACRO = (
    "realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi",
    "m1", "tbilrate", "unemp", "pop", "infl", "realint",
)  # fmt: skip

Column = tuple[str, np.ndarray, np.ndarray]


def _source(name: str, file: str | None = None) -> str:
    return f"package:statsmodels!datasets/{name}/{file or name}.csv"


def _years(frame: pd.DataFrame, time: str, columns: Sequence[str]) -> Iterator[Column]:
    stamps = pd.to_datetime(frame[time].astype(int).astype(str), format="%Y").to_numpy("datetime64[ns]")
    for column in columns:
        yield column.lower(), stamps, frame[column].astype(float).to_numpy()


def _co2(frame: pd.DataFrame) -> Iterator[Column]:
    stamps = pd.to_datetime(frame["date"], format="%Y%m%d").to_numpy("datetime64[ns]")
    yield "co2", stamps, frame["co2"].astype(float).to_numpy()


def _macrodata(frame: pd.DataFrame) -> Iterator[Column]:
    year, quarter = frame["year"].astype(float).astype(int), frame["quarter"].astype(float).astype(int)
    stamps = pd.to_datetime({"year": year, "month": quarter * 3 - 2, "day": 1}).to_numpy("datetime64[ns]")
    for column in MACRO:
        yield column, stamps, frame[column].astype(float).to_numpy()


def _elnino(frame: pd.DataFrame) -> Iterator[Column]:
    years = frame["YEAR"].astype(int).to_numpy()
    values = frame[list(_MONTHS)].astype(float).to_numpy().ravel()
    stamps = pd.date_range(f"{years[0]}-01-01", periods=len(values), freq="MS").to_numpy("datetime64[ns]")
    yield "elnino", stamps, values


def _elec_equip(frame: pd.DataFrame) -> Iterator[Column]:
    stamps = pd.to_datetime(frame.iloc[:, 0], format="%b-%d-%Y").to_numpy("datetime64[ns]")
    yield "elec_equip", stamps, frame.iloc[:, 1].astype(float).to_numpy()


#: Each data set: where it lies, how its columns become series, and the frequency where stamps have gaps.
SETS: dict[str, tuple[str, Callable[[pd.DataFrame], Iterator[Column]]]] = {
    "co2": (_source("co2"), _co2),
    "macrodata": (_source("macrodata"), _macrodata),
    "elnino": (_source("elnino"), _elnino),
    "elec_equip": (_source("elec_equip"), _elec_equip),
    "sunspots": (_source("sunspots"), lambda frame: _years(frame, "YEAR", ["SUNACTIVITY"])),
    "nile": (_source("nile"), lambda frame: _years(frame, "year", ["volume"])),
    "copper": (_source("copper"), lambda frame: _years(frame, "YEAR", ["WORLDCONSUMPTION", "COPPERPRICE"])),
}


def read_set(name: str, options: ReadOptions | None = None) -> Iterator[Entry]:
    """Yield the series of one data set of statsmodels.

    Raises
    ------
    ConfigError
        When there is no such set.
    """
    if name not in SETS:
        raise ConfigError(f"data.sets: there is no '{name}': {did_you_mean(name, SETS)}")
    source, parse = SETS[name]
    frame = read_frame(resolve(source))
    for column, stamps, values in parse(frame):
        unique_id = column if column == name else f"{name}/{column}"
        series, notes = assemble(unique_id, stamps, values, options or ReadOptions())
        yield Entry(series, f"statsmodels {name}", None, notes)


class EmbeddedWindows(ForecastWindows):
    """Forecast windows of series that statsmodels ships.

    Parameters
    ----------
    sets : sequence of str
        Names in ``SETS``.
    **settings
        As of :class:`~scizoo_timeseries.datasets.windows.ForecastWindows`.
    """

    licence = LICENCE
    citation = CITATION

    def __init__(self, sets: Sequence[str] | str = ("co2",), **settings: Any):
        self.sets = (sets,) if isinstance(sets, str) else tuple(sets)
        for name in self.sets:
            if name not in SETS:
                raise ConfigError(f"data.sets: there is no '{name}': {did_you_mean(name, SETS)}")
        super().__init__("statsmodels", **settings)

    @property
    def name(self) -> str:
        """The data sets, for messages and cards."""
        return f"statsmodels data sets {', '.join(self.sets)}"

    @property
    def files(self) -> list[Path]:  # type: ignore[override]
        """The files in the installed package."""
        return [resolve(SETS[name][0]) for name in self.sets]

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "sets": list(self.sets)}

    def entries(self, label: str | None = None) -> Iterator[Entry]:
        """Yield the series."""
        self.counts.clear()
        for name in self.sets:
            for entry in read_set(name, self.options):
                self._note(entry)
                yield entry
