"""The points of a light curve: which are read, in which order, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy import units as u

from scizoo.errors import ConfigError
from scizoo_astronomy.readers.layouts import HEADERLESS
from scizoo_astronomy.units import factor_between, is_magnitude


@dataclass
class LightCurveOptions:
    """How light curves are read.

    Parameters
    ----------
    layout : str, optional
        lsst, plasticc, kepler, asas, ogle or plain; recognised by the columns when not given.
    columns : mapping, optional
        Role to column: time, value, error, band, id, quality, ra, dec, period.
    units : mapping, optional
        Role (time, value, error) to unit, where the file does not say it or is wrong.
    names : sequence of str, optional
        Names of the columns, for text without a header line.
    hdu : int or str, optional
        Of FITS.
    id : str, optional
        The column that tells objects apart, in tables that have it; ``columns`` demands it.
    bands : sequence of str, optional
        Only these are read.
    sort : bool
        Whether points are put in the order of time; else time that goes back is refused.
    duplicates : {"refuse", "first", "mean"}
        What becomes of points of equal time and band.
    quality : {"drop", "keep"} or int
        What becomes of points with a quality flag: all are left out, none, or those with a bit of this mask.
    missing : sequence of float
        Numbers that stand for "not measured", such as 99.999.
    min_points : int
        Light curves with fewer points are refused.
    """

    layout: str | None = None
    columns: Mapping[str, str] | None = None
    units: Mapping[str, str] | None = None
    names: Sequence[str] | None = None
    hdu: int | str | None = None
    id: str | None = None
    bands: Sequence[str] | None = None
    sort: bool = False
    duplicates: str = "refuse"
    quality: str | int = "drop"
    missing: Sequence[float] = ()
    min_points: int = 2
    #: Points left out by design, by reason; filled while reading.
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.duplicates not in ("refuse", "first", "mean"):
            raise ConfigError(f"data.duplicates is '{self.duplicates}'.", expected="refuse, first or mean")
        if self.quality not in ("drop", "keep") and not isinstance(self.quality, int):
            raise ConfigError(f"data.quality is '{self.quality}'.", expected="drop, keep, or a bit mask")
        if self.min_points < 2:
            raise ConfigError(
                f"data.min_points is {self.min_points}.",
                expected="at least 2: one observation is no light curve",
            )
        if self.layout is not None and self.layout in HEADERLESS and self.names is None:
            self.names = HEADERLESS[self.layout]


def error_factor(value: u.UnitBase, error: u.UnitBase, column: str) -> float:
    """Return what errors are multiplied with to be in the unit of the values.

    Raises
    ------
    ValueError
        When they are in a unit of something else.
    """
    if is_magnitude(value) and is_magnitude(error):
        return 1.0
    if is_magnitude(value) or not error.is_equivalent(value):
        raise ValueError(f"column '{column}' is in {error}, the values are in {value}")
    return factor_between(error, value)


def ordered(
    time: np.ndarray, value: np.ndarray, error: np.ndarray, band: np.ndarray, options: LightCurveOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return time, value, error and band in the order of time, each time once in each band.

    Raises
    ------
    ValueError
        When time goes back or a point is there twice, and the options do not say what then.
    """
    steps = np.diff(time)
    if (steps > 0).all():
        return time, value, error, band
    back = np.flatnonzero(steps < 0)
    if len(back):
        if not options.sort:
            raise ValueError(
                f"time goes back from {time[back[0]]:.5f} to {time[back[0] + 1]:.5f} after its point "
                f"{back[0] + 1}; check the file, or put it in order: data.sort=true"
            )
        order = np.argsort(time, kind="stable")
        time, value, error, band = time[order], value[order], error[order], band[order]
    keys = np.stack([time, np.unique(band, return_inverse=True)[1].astype(float)])
    unique, first, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    if unique.shape[1] == len(time):
        return time, value, error, band
    inverse = inverse.reshape(-1)
    if options.duplicates == "refuse":
        again = np.setdiff1d(np.arange(len(time)), first)[0]
        where = f" in band {band[again]}" if band[again] else ""
        raise ValueError(
            f"was observed twice at time {time[again]:.5f}{where}; remove one, or set "
            "data.duplicates=first or mean"
        )
    options.left_out["points of the same time and band"] += len(time) - unique.shape[1]
    if options.duplicates == "mean":
        counts = np.bincount(inverse)
        value = (np.bincount(inverse, value) / counts)[inverse]
        error = np.sqrt(np.bincount(inverse, error**2)[inverse]) / counts[inverse]
    rows = np.sort(first)
    return time[rows], value[rows], error[rows], band[rows]
