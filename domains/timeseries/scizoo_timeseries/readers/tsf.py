"""``.tsf`` files of the Monash archive (Godahewa et al. 2021, arXiv 2105.06643): a line a series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo_timeseries.readers.assemble import assemble
from scizoo_timeseries.readers.lines import parse_values, read_lines
from scizoo_timeseries.readers.options import Entry, ReadOptions

_FREQUENCIES = {
    "yearly": "YS",
    "quarterly": "QS",
    "monthly": "MS",
    "weekly": "W",
    "daily": "D",
    "hourly": "h",
    "half_hourly": "30min",
    "minutely": "min",
    "secondly": "s",
}
_MULTIPLE = re.compile(r"(\d+)_(second|minute|hour|day|week|month)s?")
_UNITS = {"second": "s", "minute": "min", "hour": "h", "day": "D", "week": "W", "month": "MS"}
_START = "start_timestamp"


def read_tsf(path: Path, options: ReadOptions, log: RejectionLog) -> Iterator[Entry]:
    """Yield the series of a ``.tsf`` file; bad ones go to `log`.

    Attributes other than name and start become static covariates.

    Raises
    ------
    DataError
        When the header is incomplete, its frequency unknown, or the file damaged.
    """
    attributes: list[tuple[str, str]] = []
    frequency: str | None = None
    in_data = False
    for number, line in read_lines(path):
        if in_data:
            yield from _one(line, number, path, attributes, frequency, options, log)
            continue
        word, _, rest = line.partition(" ")
        key = word.lower()
        if key == "@attribute":
            parts = rest.split()
            if len(parts) != 2 or parts[1] not in ("string", "numeric", "date"):
                raise DataError(
                    f"{path}, line {number}: '{line}' is no attribute.",
                    expected="@attribute NAME string, numeric or date",
                )
            attributes.append((parts[0], parts[1]))
        elif key == "@frequency":
            frequency = _frequency(rest.strip(), path)
        elif key == "@data":
            in_data = True
            if not attributes:
                raise DataError(f"{path} declares no attribute.", expected="@attribute lines before @data")
        elif not key.startswith("@"):
            raise DataError(
                f"{path}, line {number} is no header of a .tsf file: '{line[:40]}'.",
                expected="lines that begin with @, then @data",
            )
    if not in_data:
        raise DataError(f"{path} has no @data line.", expected="a .tsf file with a header, @data and series")


def _frequency(name: str, path: Path) -> str:
    if name in _FREQUENCIES:
        return _FREQUENCIES[name]
    match = _MULTIPLE.fullmatch(name)
    if match is None:
        raise DataError(
            f"{path}: @frequency {name} is unknown: {did_you_mean(name, _FREQUENCIES)}",
            expected="a frequency of the Monash archive, such as hourly or 10_minutes",
        )
    return f"{match[1]}{_UNITS[match[2]]}"


def _one(
    line: str,
    number: int,
    path: Path,
    attributes: list[tuple[str, str]],
    frequency: str | None,
    options: ReadOptions,
    log: RejectionLog,
) -> Iterator[Entry]:
    cells = line.split(":")
    source = f"{path.name}, line {number}"
    unique_id = cells[0].strip() or str(number)
    try:
        if len(cells) != len(attributes) + 1:
            raise ValueError(f"has {len(cells) - 1} attributes, the header names {len(attributes)}")
        named = {name: cell.strip() for (name, _), cell in zip(attributes, cells)}
        unique_id = named.pop("series_name", unique_id)
        source = f"{path.name}, series '{unique_id}'"
        values = np.array(parse_values(cells[-1], ""))
        stamps = _stamps(named.pop(_START, None), frequency, len(values))
        static = {name: named[name] for name, _ in attributes if name in named}
        used = options if options.freq or stamps.dtype.kind == "M" else _with_freq(options, frequency)
        series, notes = assemble(unique_id, stamps, values, used, static=static, tz=options.tz)
        yield Entry(series, source, None, notes)
    except ValueError as error:
        log.reject(source, unique_id, str(error))


def _with_freq(options: ReadOptions, frequency: str | None) -> ReadOptions:
    from dataclasses import replace

    return replace(options, freq=frequency)


def _stamps(start: str | None, frequency: str | None, count: int) -> np.ndarray:
    if start is None or frequency is None:
        return np.arange(count, dtype=np.int64)
    parsed = pd.to_datetime(start, format="%Y-%m-%d %H-%M-%S", errors="coerce")
    if parsed is pd.NaT:
        parsed = pd.to_datetime(start, format="ISO8601", errors="coerce")
    if not isinstance(parsed, pd.Timestamp):
        raise ValueError(f"its start '{start}' cannot be read; expected 2020-01-31 00-00-00")
    # Weeks, months and longer are counted from where the series starts.
    if frequency.endswith("W"):
        freq = f"{frequency}-{parsed.day_name()[:3].upper()}"
    elif frequency in ("MS", "QS", "YS") and parsed.day != 1:
        return np.arange(count, dtype=np.int64)
    elif frequency in ("QS", "YS"):
        freq = f"{frequency}-{parsed.month_name()[:3].upper()}"
    else:
        freq = frequency
    return pd.date_range(parsed, periods=count, freq=freq).to_numpy(dtype="datetime64[ns]")
