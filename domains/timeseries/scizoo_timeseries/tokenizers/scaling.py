"""Location and scale of many series at once, from their observed history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, did_you_mean

SCALINGS = ("standard", "mean-abs", "none")
_FLAT = 1e-9  # deviation, relative to the level, below which a history counts as constant
_LEAST = 0.15  # running deviation, relative to that of the whole row
_FLAT_SCALE = 1e-3  # scale of a constant history, relative to its level


def location_scale(rows: Ragged, history: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Measure location and scale of every row and channel.

    Parameters
    ----------
    rows : Ragged
        Values (total, C); NaN where missing.
    history : ndarray of bool, shape (total,)
        Which values may be looked at.
    scaling : {"standard", "mean-abs", "none"}
        Mean and standard deviation (RevIN, Kim et al. 2022); 0 and mean absolute value (Chronos, Ansari et
        al. 2024, arXiv 2403.07815); 0 and 1.

    Returns
    -------
    loc, scale : ndarray of float64, shape (rows, C)
        The scale is positive also where the history is constant, empty or nowhere known.
    """
    if scaling not in SCALINGS:
        raise ConfigError(f"tokenizer.scaling={scaling}: {did_you_mean(scaling, SCALINGS)}")
    count, channels = len(rows), rows.values.shape[1]
    loc, scale = np.zeros((count, channels)), np.ones((count, channels))
    full = np.flatnonzero(rows.lengths > 0)
    if scaling == "none" or not len(full):
        return loc, scale
    starts = rows.offsets[:-1][full]
    known = np.isfinite(rows.values) & history[:, None]
    values = np.where(known, rows.values, 0.0)
    many = np.maximum(np.add.reduceat(known, starts, axis=0, dtype=np.int64), 1)
    if scaling == "mean-abs":
        size = np.add.reduceat(np.abs(values), starts, axis=0) / many
        scale[full] = np.where(size > 0, size, 1.0)
        return loc, scale
    mean = np.add.reduceat(values, starts, axis=0) / many
    spread = np.where(known, values - np.repeat(mean, rows.lengths[full], axis=0), 0.0)
    deviation = np.sqrt(np.add.reduceat(spread**2, starts, axis=0) / many)
    level = np.abs(mean)
    flat = deviation <= np.maximum(_FLAT * level, 1e-300)
    loc[full] = mean
    scale[full] = np.where(flat, np.where(level > 0, _FLAT_SCALE * level, 1.0), deviation)
    return loc, scale


def running_scale(rows: Ragged, patch: int, warm: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure mean and standard deviation of everything up to the end of each patch, for causal models.

    Nothing that follows a patch enters its location and scale, so that a model may be trained to predict at
    every position (patch-wise causal scaling of Toto, Cohen et al. 2024, arXiv 2407.07874). The first
    ``warm`` patches, too short to tell a scale, share that of all of them, and no scale is less than 0.15 of
    the whole row's.

    Parameters
    ----------
    rows : Ragged
        Values (total, C), whole patches; NaN where missing.
    patch, warm : int

    Returns
    -------
    loc, scale : ndarray of float64, shape (patches, C)
    """
    values, lengths = rows.values, rows.lengths
    known = np.isfinite(values)
    full = np.flatnonzero(lengths > 0)
    # Shifted by the mean of each row, which cancels out: squares of large levels would lose the deviation.
    starts = rows.offsets[:-1][full]
    many = np.maximum(np.add.reduceat(known, starts, axis=0, dtype=np.int64), 1) if len(full) else 1
    zeroed = np.where(known, values, 0.0)
    middle = np.add.reduceat(zeroed, starts, axis=0) / many if len(full) else np.zeros((0, values.shape[1]))
    centred = np.where(known, values - np.repeat(middle, lengths[full], axis=0), 0.0)
    counts = lengths // patch
    ends = np.repeat(np.cumsum(counts) - counts, counts)  # the first patch of each patch's row
    place = np.arange(int(counts.sum()))
    place = np.maximum(place, ends + np.minimum(warm, np.repeat(counts, counts)) - 1)

    def so_far(column: np.ndarray) -> np.ndarray:
        sums = np.cumsum(column.reshape(-1, patch, column.shape[1]).sum(axis=1), axis=0)
        before = np.concatenate([np.zeros((1, column.shape[1])), sums])[ends]
        return sums[place] - before

    number = so_far(known.astype(np.float64))
    mean = so_far(centred) / np.maximum(number, 1.0)
    deviation = np.sqrt(np.maximum(so_far(centred**2) / np.maximum(number, 1.0) - mean**2, 0.0))
    loc = mean + np.repeat(middle, counts[full], axis=0)
    whole = np.repeat(deviation[np.cumsum(counts[full]) - 1], counts[full], axis=0)
    # A flat beginning would make all that follows huge in its units; where nothing is known yet, the mean of
    # the row is the location and its deviation the scale.
    deviation = np.where(number > 0, np.maximum(deviation, _LEAST * whole), whole)
    level = np.abs(loc)
    # The difference of squares above is exact to half the digits only.
    flat = deviation <= np.maximum(np.maximum(_FLAT * level, 1e-7 * np.abs(mean)), 1e-300)
    fallback = np.where(level > 1e-9 * np.abs(mean), _FLAT_SCALE * level, 0.0)
    return loc, np.where(flat, np.where(fallback > 0, fallback, 1.0), deviation)


def stack(arrays: Sequence[np.ndarray]) -> Ragged:
    """Join arrays (T, C) or (T,) of equal C end to end, as float64 (total, C)."""
    shaped = [array[:, None] if array.ndim == 1 else array for array in arrays]
    if not shaped:
        return Ragged(np.empty((0, 1)), np.zeros(1, dtype=np.int64))
    return Ragged.from_rows(shaped, np.float64)
