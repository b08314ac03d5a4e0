"""Rows of one series to a Series on a regular grid, with everything that was mended counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scizoo_timeseries.frequency import IrregularError, regular_grid
from scizoo_timeseries.readers.options import ReadOptions
from scizoo_timeseries.series import Series

_MOST_GAPS = 50  # steps without a row, for each row there is


def assemble(
    unique_id: str,
    stamps: np.ndarray,
    values: np.ndarray,
    options: ReadOptions,
    *,
    past: Mapping[str, np.ndarray] | None = None,
    future: Mapping[str, np.ndarray] | None = None,
    static: Mapping[str, Any] | None = None,
    tz: str | None = None,
) -> tuple[Series, dict[str, Any]]:
    """Sort, join and lay out the rows of one series.

    Rows at the end that hold future covariates but no value extend those covariates beyond the history.

    Parameters
    ----------
    unique_id : str
    stamps : ndarray of datetime64[ns] (UTC) or int64, shape (n,)
        In the file's order.
    values : ndarray of float64, shape (n,) or (n, C)
    options : ReadOptions
    past, future : mapping of str to ndarray, shape (n,)
    static : mapping
    tz : str, optional

    Returns
    -------
    series : Series
    notes : dict
        What was mended: ``sorted``, ``duplicates``, ``gaps``, ``missing``, ``constant``.

    Raises
    ------
    ValueError
        When the series cannot be used; the message says why and what to do.
    """
    notes: dict[str, Any] = {}
    columns = {("past", name): np.asarray(column, dtype=np.float64) for name, column in (past or {}).items()}
    columns |= {("future", name): np.asarray(c, dtype=np.float64) for name, c in (future or {}).items()}
    if len(stamps) == 0:
        raise ValueError("has no observation")
    if np.isinf(values).any():
        raise ValueError("holds an infinite value; write missing values as empty cells")
    if not np.isfinite(values).any():
        raise ValueError("has no value at all: every one is missing")
    if len(stamps) == 1:
        raise ValueError("has one observation only; a series needs at least two")
    descending = np.flatnonzero(np.diff(stamps) < np.zeros((), np.diff(stamps).dtype))
    if len(descending):
        if options.order == "refuse":
            at = descending[0] + 1
            raise ValueError(
                f"goes back in time: {_text(stamps[at])} follows {_text(stamps[at - 1])}; "
                "sort the rows, or set data.order=sort"
            )
        order = np.argsort(stamps, kind="stable")
        stamps, values = stamps[order], values[order]
        columns = {key: column[order] for key, column in columns.items()}
        notes["sorted"] = True
    stamps, values, columns = _join_twice(stamps, values, columns, options, notes)
    full, places, freq = _grid(stamps, options, tz)
    gaps = len(full) - len(places)
    if gaps:
        if options.gaps == "refuse":
            lacking = np.setdiff1d(np.arange(len(full)), places)[0]
            raise ValueError(
                f"has {gaps} gap{'s' if gaps > 1 else ''}, the first at {_text(full[lacking])}; "
                "fill them in, or set data.gaps=fill"
            )
        notes["gaps"] = gaps
    values = _spread(values, places, len(full))
    columns = {key: _spread(column, places, len(full)) for key, column in columns.items()}
    last = int(np.flatnonzero(np.isfinite(values.reshape(len(values), -1)).any(axis=1))[-1]) + 1
    known_ahead = {name: column for (kind, name), column in columns.items() if kind == "future"}
    stop = last if known_ahead else len(values)
    values = values[:stop]
    missing = int(np.isnan(values).sum())
    if missing:
        notes["missing"] = missing
    known = values[np.isfinite(values)]
    if len(known) and float(known.max()) == float(known.min()):
        notes["constant"] = True
    series = Series(
        values=values,
        stamps=full[:stop],
        freq=freq,
        unique_id=unique_id,
        season=options.season_for(freq),
        past={name: column[:stop] for (kind, name), column in columns.items() if kind == "past"},
        future=known_ahead,
        static=dict(static or {}),
        tz=tz,
    )
    return series, notes


def _grid(
    stamps: np.ndarray, options: ReadOptions, tz: str | None
) -> tuple[np.ndarray, np.ndarray, str | None]:
    if stamps.dtype.kind == "M":
        try:
            grid = regular_grid(stamps, options.freq, tz)
        except IrregularError as error:
            raise ValueError(f"{error}; name the frequency with data.freq, or resample the series") from error
        if grid.gaps > _MOST_GAPS * len(stamps):
            raise ValueError(
                f"has {grid.gaps} gaps for {len(stamps)} rows of frequency '{grid.freq}'; resample it"
            )
        return grid.stamps, grid.places, grid.freq
    step = int(np.gcd.reduce(np.diff(stamps)))
    full = np.arange(stamps[0], stamps[-1] + step, step, dtype=np.int64)
    if len(full) > (_MOST_GAPS + 1) * len(stamps):
        raise ValueError(f"has step numbers from {stamps[0]} to {stamps[-1]} in {len(stamps)} rows")
    return full, (stamps - stamps[0]) // step, options.freq


def _join_twice(
    stamps: np.ndarray,
    values: np.ndarray,
    columns: dict[tuple[str, str], np.ndarray],
    options: ReadOptions,
    notes: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Treat rows of the same time as the options say."""
    again = np.flatnonzero(stamps[1:] == stamps[:-1])
    if not len(again):
        return stamps, values, columns
    if options.duplicates == "refuse":
        raise ValueError(
            f"has two rows at {_text(stamps[again[0]])} ({len(again)} repeated stamps); "
            "remove one, or set data.duplicates=mean, first or last"
        )
    notes["duplicates"] = len(again)
    how = options.duplicates
    frame = pd.DataFrame(values.reshape(len(values), -1))
    joined = getattr(frame.groupby(stamps), how)()
    rest = {key: getattr(pd.Series(c).groupby(stamps), how)().to_numpy() for key, c in columns.items()}
    shaped = joined.to_numpy().reshape((-1, *values.shape[1:]))
    return np.unique(stamps), shaped, rest


def _spread(column: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    if len(column) == size:
        return column
    full = np.full((size, *column.shape[1:]), np.nan)
    full[places] = column
    return full


def _text(stamp: Any) -> str:
    return str(pd.Timestamp(stamp)) if isinstance(stamp, np.datetime64) else str(stamp)


def mended(notes: Mapping[str, Any]) -> str:
    """Say in words what was mended."""
    words = []
    if notes.get("sorted"):
        words.append("rows sorted by time")
    for key, what in (("duplicates", "repeated stamps joined"), ("gaps", "gaps filled as missing")):
        if notes.get(key):
            words.append(f"{notes[key]} {what}")
    if notes.get("missing"):
        words.append(f"{notes['missing']} values missing")
    if notes.get("constant"):
        words.append("constant")
    return ", ".join(words)
