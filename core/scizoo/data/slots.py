"""The places of an epoch, and which window fills each."""

from __future__ import annotations

import numpy as np


class Slots:
    """Places in an epoch, each filled by one window.

    Where records have several views, the j-th windows of all views of a record share one place, and
    each epoch draws which view fills it. Its size is that of the longest of them, so that the layout
    of batches holds for every draw.

    Parameters
    ----------
    lengths : ndarray of int, shape (all windows,)
    windows : ndarray of int, optional
        The windows to draw from; all by default.
    records, views : ndarray of int, shape (all windows,), optional
        Record and view of each window; without them every window has its own place.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        windows: np.ndarray | None = None,
        records: np.ndarray | None = None,
        views: np.ndarray | None = None,
    ):
        self.lengths = np.asarray(lengths)
        self.windows = (
            np.arange(len(self.lengths)) if windows is None else np.asarray(windows, dtype=np.int64)
        )
        self._views: np.ndarray | None = None
        if records is None or views is None or not len(self.windows) or not views[self.windows].any():
            self.sizes = self.lengths[self.windows].astype(np.int64)
            return
        record, self._views = records[self.windows], views[self.windows].astype(np.int64)
        _, self._record = np.unique(record, return_inverse=True)
        self._view_counts = np.zeros(int(self._record.max()) + 1, dtype=np.int64)
        np.maximum.at(self._view_counts, self._record, self._views + 1)
        # The rank of each window among those of its record and view.
        order = np.lexsort((self.windows, self._views, self._record))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(self._record[order]) != 0) | (np.diff(self._views[order]) != 0)
        starts = np.flatnonzero(new)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        key = self._record * (int(rank.max()) + 1) + rank
        _, self._slot = np.unique(key, return_inverse=True)
        self.sizes = np.zeros(int(self._slot.max()) + 1, dtype=np.int64)
        np.maximum.at(self.sizes, self._slot, self.lengths[self.windows])

    def fill(self, generator: np.random.Generator) -> np.ndarray:
        """Draw the window of each place; -1 where the drawn view has fewer windows."""
        if self._views is None:
            return self.windows
        drawn = np.floor(generator.random(len(self._view_counts)) * self._view_counts).astype(np.int64)
        chosen = self._views == drawn[self._record]
        filled = np.full(len(self.sizes), -1, dtype=np.int64)
        filled[self._slot[chosen]] = self.windows[chosen]
        return filled
