"""Frequencies: inferred from stamps, checked, and laid out as a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from scizoo.errors import ConfigError

#: Steps of the main season, by the frequency's base as pandas names it.
SEASONS = {
    "D": 7, "B": 5, "W": 52, "SM": 24, "SMS": 24,
    "ME": 12, "MS": 12, "BME": 12, "BMS": 12, "QE": 4, "QS": 4, "BQE": 4, "BQS": 4, "YE": 1, "YS": 1,
}  # fmt: skip
_DAY_SEASONS = {"s": 86_400, "min": 1_440, "h": 24}
_RUN = 3  # equal steps in a row, other than the frequency's, that make a change of frequency


class IrregularError(ValueError):
    """The stamps follow no frequency, or not one alone."""


@dataclass(frozen=True)
class Grid:
    """Where the stamps of a series stand on its regular grid.

    Parameters
    ----------
    freq : str
    stamps : ndarray of datetime64[ns], shape (T,)
        Every step from the first to the last stamp.
    places : ndarray of int64
        The place of each given stamp on it.
    """

    freq: str
    stamps: np.ndarray
    places: np.ndarray

    @property
    def gaps(self) -> int:
        """How many steps have no stamp."""
        return len(self.stamps) - len(self.places)


def season_of(freq: str | None) -> int:
    """Return the steps of the main season of a frequency: a day for hours, a year for months, ...

    Parameters
    ----------
    freq : str or None
        As pandas names it; multiples count (``"15min"`` has 96).
    """
    if freq is None:
        return 1
    try:
        offset = to_offset(freq)
    except ValueError as error:
        raise ConfigError(
            f"freq={freq} is no frequency.",
            expected="a name of pandas: h, D, B, W-SUN, MS, QS, YS, 15min, ...",
        ) from error
    base = offset.rule_code.partition("-")[0]
    if base in _DAY_SEASONS:
        day = _DAY_SEASONS[base]
        return max(1, day // offset.n) if day % offset.n == 0 or offset.n < day else 1
    season = SEASONS.get(base, 1)
    return max(1, season // offset.n) if season % offset.n == 0 else 1


def grid_after(last: np.datetime64, freq: str, horizon: int, tz: str | None = None) -> np.ndarray:
    """Return the `horizon` stamps (UTC) that follow `last`; days and longer are counted in local time."""
    start = _local(pd.DatetimeIndex([last]), freq, tz)[0]
    found = pd.date_range(start, periods=horizon + 1, freq=freq)
    # A last stamp off the grid is not among the steps found.
    found = found[1:] if len(found) and found[0] == start else found[:horizon]
    return _utc(found, freq, tz)


def regular_grid(stamps: np.ndarray, freq: str | None = None, tz: str | None = None) -> Grid:
    """Find the regular grid on which ascending, distinct stamps stand.

    Parameters
    ----------
    stamps : ndarray of datetime64[ns], shape (n,)
        In UTC.
    freq : str, optional
        The frequency; inferred when not given.
    tz : str, optional
        Time zone in which days, weeks and months are counted, so that a change to summer time is no gap.

    Returns
    -------
    Grid

    Raises
    ------
    IrregularError
        When a stamp stands off the grid, when the frequency changes, or none can be seen.
    """
    index = pd.DatetimeIndex(stamps)
    name = freq or infer_frequency(stamps, tz)
    local = _local(index, name, tz)
    try:
        full = pd.date_range(local[0], local[-1], freq=name)
    except ValueError as error:
        raise IrregularError(f"its frequency '{name}' cannot be laid out: {error}") from error
    places = full.get_indexer(local)
    off = np.flatnonzero(places < 0)
    if len(off):
        raise IrregularError(
            f"its stamps are irregular: {index[off[0]]} is no step of the frequency '{name}' "
            f"({len(off)} of {len(index)} stamps)"
        )
    change = _changed(places)
    if change is not None:
        at, step = change
        raise IrregularError(f"its frequency changes from '{name}' to every {step} steps at {index[at]}")
    return Grid(name, _utc(full, name, tz), places.astype(np.int64))


def infer_frequency(stamps: np.ndarray, tz: str | None = None) -> str:
    """Infer the frequency of ascending, distinct stamps, a few gaps allowed.

    Raises
    ------
    IrregularError
        When there are fewer than three stamps or no step is common.
    """
    index = pd.DatetimeIndex(stamps)
    if len(index) < 3:
        raise IrregularError(f"a frequency cannot be seen in {len(index)} stamps")
    steps = np.diff(index.asi8)
    sizes, counts = np.unique(steps, return_counts=True)
    common = int(sizes[counts.argmax()])
    day = 86_400_000_000_000
    if common >= day - day // 24:  # days and longer, an hour of summer time allowed
        local = _local(index, "D", tz)
        guess = pd.infer_freq(local) or _calendar_frequency(local)
        if guess is not None:
            return guess
    if counts.max() * 2 < len(steps):
        half = len(steps) // 2
        modes = [int(pd.Series(part).mode().iloc[0]) for part in (steps[:half], steps[half:]) if len(part)]
        if len(set(modes)) > 1:
            names = " to ".join(str(pd.Timedelta(mode)) for mode in modes)
            raise IrregularError(
                f"its stamps are irregular: no step is common, or the frequency changes ({names})"
            )
        raise IrregularError(
            f"its stamps are irregular: the commonest step, {pd.Timedelta(common)}, is only "
            f"{counts.max()} of {len(steps)}"
        )
    return to_offset(pd.Timedelta(common)).freqstr


def _calendar_frequency(index: pd.DatetimeIndex) -> str | None:
    """Try calendar steps that hold every stamp; the longest step that does is the frequency."""
    weekday = f"W-{index[0].day_name()[:3].upper()}"
    month = index[0].month_name()[:3].upper()
    for name in (f"YS-{month}", f"YE-{month}", f"QS-{month}", f"QE-{month}", "MS", "ME", weekday, "B", "D"):
        full = pd.date_range(index[0], index[-1], freq=name)
        # A frequency of which most steps are missing is the wrong one.
        holds = len(full) and full[0] == index[0] and (full.get_indexer(index) >= 0).all()
        if holds and len(index) * 2 >= len(full):
            return name
    return None


def _changed(places: np.ndarray) -> tuple[int, int] | None:
    """Find where a run of equal steps of more than one place begins: (stamp, places)."""
    steps = np.diff(places)
    odd = steps > 1
    if not odd.any():
        return None
    borders = np.flatnonzero(np.diff(steps) != 0) + 1
    starts = np.concatenate([[0], borders])
    lengths = np.diff(np.concatenate([starts, [len(steps)]]))
    for start, length in zip(starts, lengths):
        if odd[start] and length >= _RUN:
            return int(start), int(steps[start])
    return None


def _sub_daily(freq: str) -> bool:
    offset = to_offset(freq)
    return isinstance(offset, pd.tseries.offsets.Tick) and pd.Timedelta(offset) < pd.Timedelta("1D")


def _local(index: pd.DatetimeIndex, freq: str, tz: str | None) -> pd.DatetimeIndex:
    """Wall-clock time for days and longer; hours are counted in UTC, which knows no summer time."""
    if tz is None or _sub_daily(freq):
        return index
    return index.tz_localize("UTC").tz_convert(tz).tz_localize(None)


def _utc(index: pd.DatetimeIndex, freq: str, tz: str | None) -> np.ndarray:
    if tz is not None and not _sub_daily(freq):
        # A day that begins in the skipped hour begins after it.
        local = index.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.ones(len(index), dtype=bool))
        index = local.tz_convert("UTC").tz_localize(None)
    return index.to_numpy(dtype="datetime64[ns]")
