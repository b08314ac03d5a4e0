"""Whole series: to pre-train on, to score for anomalies, to fill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.errors import ConfigError
from scizoo_timeseries.datasets.base import SeriesFiles
from scizoo_timeseries.datasets.windows import _channels


class WholeSeries(SeriesFiles):
    """Each series is a record; of long ones each stretch of ``length`` values, where one is given.

    Parameters
    ----------
    path : str
    label : str, optional
        A column of a long table with 1 at anomalous times and 0 at others; it becomes the target and is seen
        by no model.
    length : int, optional
        Values of a stretch; whole series when not given.
    **settings
        As of :class:`~scizoo_timeseries.datasets.base.SeriesFiles`.
    """

    def __init__(
        self, path: str | None = None, *, label: str | None = None, length: int | None = None, **settings: Any
    ):
        past = settings.pop("past", ()) or ()
        past = (past,) if isinstance(past, str) else tuple(past)
        # Read like a covariate, so that it is laid out on the same grid.
        super().__init__(path, past=(*past, label) if label else past, **settings)
        if length is not None and length < 2:
            raise ConfigError(f"data.length={length}", expected="2 values or more, or null")
        self.label, self.length = label, length

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {**super().settings(), "label": self.label, "length": self.length}

    def records(self) -> Iterator[Record]:
        """Yield the series, or their stretches."""
        for entry in self.entries():
            for series in _channels(entry.series):
                labels = series.past.get(self.label) if self.label else None
                size = self.length or len(series)
                for start in range(0, len(series), size):
                    piece = series.window(start, min(start + size, len(series)))
                    if not np.isfinite(piece.values).any():
                        self.counts["stretches without any value were left out"] += 1
                        continue
                    name = series.unique_id if self.length is None else f"{series.unique_id}@{start}"
                    target = None if labels is None else labels[start : start + size]
                    meta = {"series": series.unique_id, "freq": series.freq or "", "season": series.season}
                    yield Record(name, piece, target, series.unique_id, meta, entry.source)
        self.say()
