"""Forecast windows: history up to a cutoff as input, the steps after it as target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_timeseries.datasets.base import SeriesFiles
from scizoo_timeseries.readers.options import Entry
from scizoo_timeseries.series import Series, seasonal_scale


def cut_window(series: Series, start: int, horizon: int, context: int | None) -> tuple[Series, np.ndarray]:
    """Cut one forecast window.

    Parameters
    ----------
    series : Series
    start : int
        Place of the first step to forecast.
    horizon : int
    context : int, optional
        Values of history to keep; all when not given.

    Returns
    -------
    history : Series
        Nothing of its values or past covariates lies at or after ``start``; future covariates reach to its
        end.
    target : ndarray, shape (horizon,)
    """
    first = 0 if context is None else max(0, start - context)
    return series.window(first, start, horizon), series.values[start : start + horizon]


def cutoffs(length: int, horizon: int, stride: int, least: int) -> np.ndarray:
    """Return every `stride`-th place at which a forecast can begin, ascending; the last ends with the series.

    Parameters
    ----------
    length : int
        Values of the series.
    horizon, stride : int
    least : int
        Values of history that a window must have.
    """
    last = length - horizon
    return np.arange(last, least - 1, -stride)[::-1] if last >= least else np.empty(0, dtype=np.int64)


class ForecastWindows(SeriesFiles):
    """Every window of every series, one record each; a splitter of this domain divides them in time.

    ``Record.meta`` holds ``series``, ``cutoff`` and ``until`` (the last stamps of the history and of the
    target), ``start`` and ``stop`` (places of the target in the series), ``freq``, ``season``, ``scale``
    (in-sample error of the seasonal naive forecast over the whole history, for MASE) and ``constant``.

    Parameters
    ----------
    path : str
    horizon : int
        Steps to forecast.
    context : int, optional
        Values of history of a window; all when not given.
    stride : int, optional
        Steps between two cutoffs; ``horizon`` when not given, so that targets do not overlap.
    min_history : int, optional
        Values before the first cutoff; ``horizon`` when not given.
    rows : int, optional
        Only the first values of each series are used.
    standardise : int, optional
        Series are shifted and scaled to mean 0 and variance 1 over their first so many values (those of the
        training part), as the ETT benchmark does.
    **settings
        As of :class:`~scizoo_timeseries.datasets.base.SeriesFiles`.

    Raises
    ------
    ConfigError
        When a number is below one.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        horizon: int = 24,
        context: int | None = 512,
        stride: int | None = None,
        min_history: int | None = None,
        rows: int | None = None,
        standardise: int | None = None,
        **settings: Any,
    ):
        super().__init__(path, **settings)
        self.horizon, self.context = horizon, context
        self.stride = horizon if stride is None else stride
        self.min_history = horizon if min_history is None else min_history
        self.rows, self.standardise = rows, standardise
        for key in ("horizon", "context", "stride", "min_history", "rows", "standardise"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"data.{key}={value}", expected="a whole number from 1 on")

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        keys = ("horizon", "context", "stride", "min_history", "rows", "standardise")
        return {**super().settings(), **{key: getattr(self, key) for key in keys}}

    def records(self) -> Iterator[Record]:
        """Yield the windows, series by series, earliest first."""
        for entry in self.entries():
            yield from self.windows(entry)
        self.say()

    def windows(self, entry: Entry) -> Iterator[Record]:
        """Yield the windows of one series; a series too short for one goes to ``rejections``."""
        for channel in _channels(entry.series):
            series = self._prepared(channel)
            if series.unique_id != entry.series.unique_id:
                source = f"{entry.source}, channel '{series.unique_id}'"
            else:
                source = entry.source
            need = self.min_history + self.horizon
            if len(series) < need:
                self.rejections.reject(
                    source,
                    series.unique_id,
                    f"has {len(series)} values: the horizon of {self.horizon} is too long for a history "
                    f"of at least {self.min_history}; lower data.horizon or data.min_history",
                )
                continue
            found = 0
            for start in cutoffs(len(series), self.horizon, self.stride, self.min_history):
                record = self._record(series, int(start), source, entry)
                if record is not None:
                    found += 1
                    yield record
            if not found:
                self.rejections.reject(
                    source, series.unique_id, "has no window with a known value to forecast"
                )

    def _prepared(self, series: Series) -> Series:
        if self.rows is not None and len(series) > self.rows:
            series = series.window(0, self.rows)
        if self.standardise is not None:
            known = series.values[: self.standardise]
            mean, std = float(np.nanmean(known)), float(np.nanstd(known))
            series = replace(series, values=(series.values - mean) / (std if std > 0 else 1.0))
        return series

    def _record(self, series: Series, start: int, source: str, entry: Entry) -> Record | None:
        history, target = cut_window(series, start, self.horizon, self.context)
        if not np.isfinite(target).any() or not np.isfinite(history.values).any():
            self.counts["windows without a known value in history or target were left out"] += 1
            return None
        cutoff = _written(history.stamps[-1])
        meta = {
            "series": series.unique_id,
            "cutoff": cutoff,
            "until": _written(series.stamps[start + self.horizon - 1]),
            "start": start,
            "stop": start + self.horizon,
            "freq": series.freq or "",
            "season": series.season,
            "scale": seasonal_scale(series.values[:start], series.season),
            "constant": bool(entry.notes.get("constant", False)),
        }
        # Windows name no group: a series may be in all parts, at other times, which the splitter sees to.
        return Record(f"{series.unique_id}@{cutoff}", history, target, None, meta, source)


def _written(stamp: np.datetime64 | np.integer) -> str:
    return str(stamp).removesuffix("T00:00:00.000000000").removesuffix(".000000000")


def _channels(series: Series) -> Iterator[Series]:
    """Give each channel of a multivariate series as a series of its own."""
    if series.values.ndim == 1:
        yield series
        return
    for number in range(series.channels):
        name = f"{series.unique_id}/{number + 1}"
        yield replace(series, values=series.values[:, number], unique_id=name)
