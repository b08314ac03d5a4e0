"""Which reader a file needs, by its name and content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scizoo.data.records import RejectionLog
from scizoo.data.table import SUFFIXES as TABLES
from scizoo.errors import DataError
from scizoo_timeseries.readers.options import Entry, ReadOptions
from scizoo_timeseries.readers.tables import read_tables
from scizoo_timeseries.readers.ts import read_ts
from scizoo_timeseries.readers.tsf import read_tsf

SUFFIXES = (*TABLES, ".ts", ".ts.gz", ".tsf", ".tsf.gz", ".txt", ".txt.gz")


def format_of(path: Path, options: ReadOptions) -> str:
    """Tell the format of a file: ts, tsf or table.

    Raises
    ------
    DataError
        When its name says nothing known.
    """
    if options.layout in ("ts", "tsf"):
        return options.layout
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".ts", ".tsf")):
        return name.rpartition(".")[2]
    if path.name.lower().endswith(SUFFIXES):
        return "table"
    raise DataError(
        f"{path} is of no format that this domain reads by its name.",
        expected="CSV, TSV, Parquet, .ts or .tsf, plain or gzipped",
        remedy="rename it, or say what it is: data.layout=long, wide, m4, ts or tsf",
    )


def read_series(
    path: Path, options: ReadOptions, log: RejectionLog, label: str | None = None
) -> Iterator[Entry]:
    """Yield the series of a file of any format that this domain reads.

    Parameters
    ----------
    path : Path
    options : ReadOptions
    log : RejectionLog
        Told of series that cannot be used.
    label : str, optional
        A column of a long table with the class of each series; ``.ts`` files state their own.
    """
    kind = format_of(path, options)
    if kind == "ts":
        yield from read_ts(path, options, log)
    elif kind == "tsf":
        yield from read_tsf(path, options, log)
    else:
        yield from read_tables(path, options, log, label)
