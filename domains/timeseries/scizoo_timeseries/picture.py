"""One record drawn for a report: a forecast as a fan over the history, or a whole series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.evaluation.colouring import draw_coloured_line, explained, note, solid_colours
from scizoo_timeseries.series import Series, as_series

#: Colours told apart by colour-blind readers (Okabe and Ito 2008).
HISTORY, TRUTH, FORECAST = "#444444", "#D55E00", "#0072B2"
_SHOWN = 4  # times the horizon of history that is drawn


def draw(axes: Any, record: Record, prediction: Any = None) -> None:
    """Draw a record.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    record : Record
        A forecast window (its target is the future), or a series with a class.
    prediction : Any, optional
        Of a forecast the quantiles: an array (steps, levels), or a mapping of level to array (steps,). Of a
        class its name, for the title; or with what the network used of the values, see
        :func:`scizoo.evaluation.colouring.explained`.
    """
    series = as_series(record.input)
    if isinstance(record.target, np.ndarray):
        _fan(axes, record, series, prediction)
        return
    values = series.values[:, None] if series.values.ndim == 1 else series.values
    prediction, used, output = explained(prediction)
    for channel in range(values.shape[1]):
        if used is None:
            axes.plot(values[:, channel], linewidth=0.9, color=HISTORY if values.shape[1] == 1 else None)
        else:  # one scale for all channels
            axes.plot(values[:, channel], linewidth=0.4, color=HISTORY, alpha=0.5)
    if used is not None:
        colours = solid_colours(used)
        for channel in range(values.shape[1]):
            draw_coloured_line(axes, np.arange(len(values)), values[:, channel], colours[:, channel])
        note(axes, output)
    title = f"{record.id} ({len(series):,} values)"
    if record.target is not None:
        title += f"\ntrue: {record.target}"
    if prediction is not None:
        title += f"   predicted: {prediction}"
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=7)


def _fan(axes: Any, record: Record, series: Series, prediction: Any) -> None:
    """Draw history, truth, and bands between each pair of opposite quantiles around the median."""
    future = np.asarray(record.target, dtype=np.float64)
    horizon = len(future)
    past = series.values[-max(_SHOWN * horizon, 2 * series.season, 48) :]
    before = np.arange(-len(past) + 1, 1)
    after = np.arange(1, horizon + 1)
    quantiles = _columns(prediction)
    if quantiles is not None and quantiles.shape[0] == horizon:
        many = quantiles.shape[1]
        for low in range(many // 2):
            shade = 0.12 + 0.3 * (low + 1) / max(many // 2, 1) * 0.5
            band = (quantiles[:, low], quantiles[:, many - 1 - low])
            axes.fill_between(after, *band, color=FORECAST, alpha=shade, linewidth=0)
        middle = quantiles[:, many // 2]
        axes.plot(after, middle, color=FORECAST, linewidth=1.2, label="forecast")
    axes.plot(before, past, color=HISTORY, linewidth=0.9, label="history")
    axes.plot(after, future, color=TRUTH, linewidth=1.0, label="what came")
    axes.axvline(0.5, color="#999999", linewidth=0.6, linestyle=":")
    axes.set_title(f"{series.unique_id or record.id}, {horizon} steps ahead of {_cutoff(record)}", fontsize=8)
    axes.set_xlabel(f"steps{f' ({series.freq})' if series.freq else ''} from the cutoff", fontsize=7)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6, loc="upper left", frameon=False)


def _columns(prediction: Any) -> np.ndarray | None:
    """Take quantiles as (steps, levels), ascending; None where the prediction is something else."""
    if prediction is None or isinstance(prediction, str):
        return None
    if isinstance(prediction, Mapping):
        prediction = prediction.get("quantiles", prediction.get("median"))
    try:
        found = np.asarray(prediction, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if found.ndim == 1 and len(found) > 1:
        found = found[:, None]
    return np.sort(found, axis=1) if found.ndim == 2 else None


def _cutoff(record: Record) -> str:
    cutoff = str(record.meta.get("cutoff", "the history"))
    return f"step {cutoff}" if cutoff.lstrip("-").isdigit() else cutoff
