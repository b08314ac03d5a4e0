"""Forecasts of every series of a frame, in the form that users of Nixtla and chronos know."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError, did_you_mean
from scizoo_timeseries.readers.options import ReadOptions
from scizoo_timeseries.readers.tables import long_entries
from scizoo_timeseries.series import Series

if TYPE_CHECKING:
    from scizoo.api import Model

log = logging.getLogger(__name__)


def predict_df(
    model: Model | str,
    df: pd.DataFrame,
    horizon: int,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
    freq: str | None = None,
    *,
    id: str | None = "unique_id",
    time: str = "ds",
    target: str = "y",
    tz: str | None = None,
    batch_size: int = 64,
) -> pd.DataFrame:
    """Forecast every series of a frame.

    Parameters
    ----------
    model : Model or str
        What :func:`scizoo.load` gives, or a reference such as ``"timeseries/forecast-tiny"``.
    df : pandas.DataFrame
        Long: a row an observation, in any order.
    horizon : int
        Steps ahead.
    levels : sequence of float
        Quantile levels between 0 and 1; an interval of 80% lies between 0.1 and 0.9.
    freq : str, optional
        As pandas names it; inferred, series by series, when not given.
    id, time, target : str or None
        Columns of the frame; ``id=None`` for one series.
    tz : str, optional
        Time zone of stamps without an offset.
    batch_size : int
        Series a forward pass.

    Returns
    -------
    pandas.DataFrame
        ``id`` and ``time`` as in `df`, then a column a level, ``"0.1"``, in the units of each series; series
        in the order in which they first occur.

    Raises
    ------
    DataError
        When a column is missing, a level is no quantile level, or no series can be used. Single series that
        cannot be used are left out with a warning that names them.
    """
    from scizoo.api import load

    wanted = [float(level) for level in levels]
    if not wanted or min(wanted) <= 0 or max(wanted) >= 1:
        raise DataError(
            f"levels={list(levels)} are no quantile levels.",
            expected="numbers between 0 and 1",
            remedy="for an interval of 80% give levels=[0.1, 0.9].",
        )
    columns = [str(column) for column in df.columns]
    for key, column in (("id", id), ("time", time), ("target", target)):
        if column is not None and column not in columns:
            raise DataError(
                f"the frame has no column '{column}' ({key}): {did_you_mean(column, columns)}",
                expected="one of its columns: " + ", ".join(columns),
            )
    options = ReadOptions(id=id, time=time, target=target, freq=freq, tz=tz)
    rejections = RejectionLog(max_rejected=1.0)
    frame = df.reset_index(drop=True)
    found = [entry.series for entry in long_entries(frame, "the frame", options, rejections)]
    for bad in rejections.rejected:
        log.warning("%s is left out: %s", bad.source, bad.reason)
    if not found:
        first = rejections.rejected[0].reason if rejections.rejected else "it is empty"
        raise DataError(f"no series of the frame can be used: {first}.", remedy="mend the frame.")
    forecaster = load(model) if isinstance(model, str) else model
    predicted = forecaster.predict(found, batch_size, horizon=horizon, levels=sorted(wanted))
    quantiles = np.asarray(predicted.quantiles)
    table: dict[str, Any] = {}
    if id is not None:
        table[id] = np.repeat([series.unique_id for series in found], horizon)
    table[time] = pd.concat(
        [_stamps(series, horizon, frame[time], tz) for series in found], ignore_index=True
    )
    for place, level in enumerate(sorted(wanted)):
        table[f"{level:g}"] = quantiles[:, :, place].ravel()
    return pd.DataFrame(table)


def _stamps(series: Series, horizon: int, column: pd.Series, tz: str | None) -> pd.Series:
    """Give the stamps to come in the time zone, or as the step numbers, of the frame."""
    stamps = pd.Series(series.next_stamps(horizon))
    if not np.issubdtype(series.stamps.dtype, np.datetime64):
        return stamps
    zone = series.tz if isinstance(column.dtype, pd.DatetimeTZDtype) else tz
    if zone is None:
        return stamps
    aware = stamps.dt.tz_localize("UTC").dt.tz_convert(zone)
    return aware if isinstance(column.dtype, pd.DatetimeTZDtype) else aware.dt.tz_localize(None)
