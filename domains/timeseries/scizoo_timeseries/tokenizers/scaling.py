"""Location and scale of many series at once, from their observed history alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.errors import ConfigError, did_you_mean

SCALINGS = ("standard", "mean-abs", "none")
_FLAT = 1e-6  # deviation, relative to the level, below which a history counts as constant
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


def stack(arrays: Sequence[np.ndarray]) -> Ragged:
    """Join arrays (T, C) or (T,) of equal C end to end, as float64 (total, C)."""
    shaped = [array[:, None] if array.ndim == 1 else array for array in arrays]
    if not shaped:
        return Ragged(np.empty((0, 1)), np.zeros(1, dtype=np.int64))
    return Ragged.from_rows(shaped, np.float64)
