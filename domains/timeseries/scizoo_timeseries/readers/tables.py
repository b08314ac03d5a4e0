"""Tables of series: long (a row an observation), wide (a column a series) and M4 (a row a series)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scizoo.data.records import RejectionLog
from scizoo.data.table import TableReader
from scizoo.errors import DataError, did_you_mean
from scizoo_timeseries.readers.assemble import assemble
from scizoo_timeseries.readers.options import Entry, ReadOptions
from scizoo_timeseries.readers.stamps import Stamps, check_any, in_utc, parse_stamps

_TIME_NAMES = ("date", "ds", "time", "timestamp", "datetime", "")
_NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read columns of a CSV or Parquet table; cells of a text table stay texts, empty ones are missing.

    Raises
    ------
    DataError
        When the file is damaged or no table.
    """
    reader = TableReader(path)
    names = list(columns) if columns is not None else reader.columns
    if not names:
        raise DataError(f"{path} has no column.", expected="a table with a header")
    try:
        if reader.is_parquet:
            return pd.read_parquet(path, columns=names)
        header = ",".join(reader.columns)
        frame = pd.read_csv(
            path,
            sep=_separator(path, header),
            dtype=str,
            encoding="utf-8-sig",
            na_values=list(_NULLS),
            keep_default_na=False,
            skipinitialspace=True,
            compression="infer",
        )
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.", expected="a table with a header and rows") from error
    except (pd.errors.ParserError, UnicodeDecodeError, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{path} is no readable table: {str(error).strip()}.",
            remedy="mend the line, or copy or download the file again.",
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if len(frame) == 0:
        raise DataError(f"{path} has a header and no row.", expected="at least two observations of a series")
    return frame[names]


def _separator(path: Path, header: str) -> str:
    import gzip

    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as stream:
        line = stream.readline()
    return max(",;\t", key=line.count) if line.count(",") < header.count(",") or "," not in line else ","


def layout_of(path: Path, options: ReadOptions) -> str:
    """Tell how a table is laid out: long, wide or m4.

    Raises
    ------
    DataError
        When it is none of them, with the nearest column name.
    """
    if options.layout != "auto":
        return options.layout
    names = TableReader(path).columns
    if names[:2] == ["V1", "V2"]:
        return "m4"
    if options.id in names or options.target in names:
        return "long"
    if options.time in names or names[0].lower() in _TIME_NAMES:
        return "wide"
    raise DataError(
        f"{path} has no column '{options.time}' (data.time): {did_you_mean(options.time, names)}",
        expected="a long table (data.id, data.time, data.target), a wide one (a column of dates, then a "
        "column a series), or M4's V1, V2, ...; its columns: " + ", ".join(names[:12]),
    )


def read_tables(
    path: Path, options: ReadOptions, log: RejectionLog, label: str | None = None
) -> Iterator[Entry]:
    """Yield the series of a table, whatever its layout; bad ones go to `log`.

    Parameters
    ----------
    path : Path
    options : ReadOptions
    log : RejectionLog
    label : str, optional
        A column of a long table with the class of each series.
    """
    layout = layout_of(path, options)
    if layout == "m4":
        yield from _read_m4(path, options, log)
    elif layout == "wide":
        yield from _read_wide(path, options, log)
    else:
        yield from _read_long(path, options, log, label)


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Parse numbers; also which cells hold something else."""
    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    return found, np.isnan(found) & column.notna().to_numpy()


def _read_long(path: Path, options: ReadOptions, log: RejectionLog, label: str | None) -> Iterator[Entry]:
    reader = TableReader(path)
    names = {"data.id": options.id, "data.time": options.time, "data.target": options.target}
    if label is not None:
        names["data.label"] = label
    for key, column in names.items():
        if column is not None and column not in reader.columns:
            hint = ""
            if key == "data.id":
                hint = " If the file holds one series, set data.id=null."
            raise DataError(
                f"{path} has no column '{column}' ({key}): {did_you_mean(column, reader.columns)}",
                expected="one of its columns: " + ", ".join(reader.columns),
                remedy=f"set {key}=COLUMN.{hint}",
            )
    for kind in ("past", "future", "static"):
        for column in getattr(options, kind):
            reader.check(column, f"data.{kind}")
    used = [name for name in names.values() if name]
    used += [name for kind in ("past", "future", "static") for name in getattr(options, kind)]
    yield from long_entries(read_frame(path, list(dict.fromkeys(used))), path.name, options, log, label)


def long_entries(
    frame: pd.DataFrame, name: str, options: ReadOptions, log: RejectionLog, label: str | None = None
) -> Iterator[Entry]:
    """Yield the series of a long frame whose columns were checked; bad ones go to `log`.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row an observation.
    name : str
        What messages call it.
    options : ReadOptions
    log : RejectionLog
    label : str, optional
        The column with the class of each series.
    """
    stamps = parse_stamps(frame[options.time], options.time_format)
    check_any(stamps, name, options.time)
    numeric = {column: _numbers(frame[column]) for column in (options.target, *options.past, *options.future)}
    codes, ids = _groups(frame, options, name)
    order = np.argsort(codes, kind="stable")
    borders = np.searchsorted(codes[order], np.arange(len(ids) + 1))
    nameless = order[: borders[0]]
    if len(nameless):
        log.reject(f"{name}, row {nameless[0] + 1}", "", f"column '{options.id}' is empty")
    for number, unique_id in enumerate(ids):
        rows = order[borders[number] : borders[number + 1]]
        source = f"{name}, series '{unique_id}'"
        try:
            yield _one_long(unique_id, rows, stamps, numeric, frame, options, source, label)
        except ValueError as error:
            log.reject(source, unique_id, str(error))


def _groups(frame: pd.DataFrame, options: ReadOptions, name: str) -> tuple[np.ndarray, list[str]]:
    if options.id is None:
        return np.zeros(len(frame), dtype=np.int64), [name.partition(".")[0]]
    codes, found = pd.factorize(frame[options.id])
    return codes, [_plain(one) for one in found]


def _plain(name: Any) -> str:
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name).strip()


def _one_long(
    unique_id: str,
    rows: np.ndarray,
    stamps: Stamps,
    numeric: dict[str, tuple[np.ndarray, np.ndarray]],
    frame: pd.DataFrame,
    options: ReadOptions,
    source: str,
    label: str | None,
) -> Entry:
    bad = rows[stamps.bad[rows]]
    if len(bad):
        raise ValueError(
            f"row {bad[0] + 1}: the stamp '{stamps.texts[bad[0]]}' cannot be read; "
            "mend it, or name the format with data.time_format"
        )
    for name, (_, wrong) in numeric.items():
        faulty = rows[wrong[rows]]
        if len(faulty):
            raise ValueError(
                f"row {faulty[0] + 1}: '{frame[name].iloc[faulty[0]]}' in column '{name}' is no number"
            )
    tz = options.tz or stamps.tz
    static = {name: _constant(frame[name].iloc[rows], name) for name in options.static}
    series, notes = assemble(
        unique_id,
        in_utc(stamps, rows, options.tz),
        numeric[options.target][0][rows],
        options,
        past={name: numeric[name][0][rows] for name in options.past},
        future={name: numeric[name][0][rows] for name in options.future},
        static=static,
        tz=tz,
    )
    stated = None if label is None else _constant(frame[label].iloc[rows], label)
    return Entry(series, source, None if stated is None else str(stated), notes)


def _constant(column: pd.Series, name: str) -> Any:
    known = column.dropna().unique()
    if len(known) > 1:
        raise ValueError(f"column '{name}' is not constant: '{known[0]}' and '{known[1]}'")
    return None if not len(known) else known[0]


def _read_wide(path: Path, options: ReadOptions, log: RejectionLog) -> Iterator[Entry]:
    names = TableReader(path).columns
    time = options.time if options.time in names else names[0]
    frame = read_frame(path)
    stamps = parse_stamps(frame[time], options.time_format)
    check_any(stamps, path, time)
    beside = {*options.past, *options.future}
    shared = {name: _numbers(frame[name])[0] for name in names if name in beside}
    for unique_id in (name for name in names if name != time and name not in beside):
        source = f"{path.name}, series '{unique_id}'"
        values, wrong = _numbers(frame[unique_id])
        rows = np.arange(len(frame))
        try:
            if stamps.bad.any():
                bad = int(np.flatnonzero(stamps.bad)[0])
                raise ValueError(f"row {bad + 1}: the stamp '{stamps.texts[bad]}' cannot be read")
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                raise ValueError(f"row {at + 1}: '{frame[unique_id].iloc[at]}' is no number")
            series, notes = assemble(
                unique_id,
                in_utc(stamps, rows, options.tz),
                values,
                options,
                past={name: shared[name] for name in options.past},
                future={name: shared[name] for name in options.future},
                tz=options.tz or stamps.tz,
            )
            yield Entry(series, source, None, notes)
        except ValueError as error:
            log.reject(source, unique_id, str(error))


def _read_m4(path: Path, options: ReadOptions, log: RejectionLog) -> Iterator[Entry]:
    """Read M4's layout: the name of a series in V1, its values in V2, V3, ..., padded with empty cells."""
    frame = read_frame(path)
    ids = frame.iloc[:, 0].astype(str).to_numpy()
    parsed = [_numbers(frame.iloc[:, place]) for place in range(1, frame.shape[1])]
    table = np.stack([values for values, _ in parsed], axis=1)
    wrong = np.stack([mask for _, mask in parsed], axis=1)
    for row, unique_id in enumerate(ids):
        source = f"{path.name}, series '{unique_id}'"
        known = np.flatnonzero(np.isfinite(table[row]))
        try:
            if wrong[row].any():
                place = int(np.flatnonzero(wrong[row])[0])
                cell = str(frame.iloc[row, place + 1])
                raise ValueError(f"'{cell}' in column V{place + 2} is no number")
            if not len(known):
                raise ValueError("has no value at all")
            values = table[row, : known[-1] + 1]
            series, notes = assemble(unique_id, np.arange(len(values), dtype=np.int64), values, options)
            yield Entry(series, source, None, notes)
        except ValueError as error:
            log.reject(source, unique_id, str(error))
