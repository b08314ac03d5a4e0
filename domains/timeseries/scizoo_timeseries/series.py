"""One series as a frozen value: what readers give, windows cut and tokenizers encode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scizoo.errors import DataError

_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Series:
    """Values in time, with what is known beside them.

    Parameters
    ----------
    values : ndarray of float64, shape (T,) or (T, C)
        NaN where a value is missing.
    stamps : ndarray, shape (T,)
        ``datetime64[ns]`` in UTC, or int64 where the data have no dates (M4, UCR).
    freq : str, optional
        Frequency as pandas names it (``"h"``, ``"D"``, ``"MS"``); None where it is not known.
    unique_id : str
        The name of the series.
    season : int
        Steps of the main season, 1 where there is none.
    past : mapping of str to ndarray, shape (T,)
        Covariates known for the history only.
    future : mapping of str to ndarray, shape (T + H,)
        Covariates known in advance, such as holidays; H steps longer than the history, H from 0 on.
    static : mapping of str to str or float
        What does not change in time.
    tz : str, optional
        The time zone of the file; the stamps themselves are in UTC.
    origin : int, optional
        Where history ends, in a window to pre-train on that holds its own future: nothing at or after this
        place may enter its location and scale. By default all of it is history.
    """

    values: np.ndarray
    stamps: np.ndarray
    freq: str | None = None
    unique_id: str = ""
    season: int = 1
    past: Mapping[str, np.ndarray] = field(default_factory=lambda: _EMPTY)
    future: Mapping[str, np.ndarray] = field(default_factory=lambda: _EMPTY)
    static: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    tz: str | None = None
    origin: int | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(self.stamps):
            raise ValueError(f"values of shape {values.shape} do not fit {len(self.stamps)} stamps")
        object.__setattr__(self, "values", values)
        for name, column in self.past.items():
            if len(column) != len(values):
                raise ValueError(
                    f"past covariate {name!r} has {len(column)} values, the series {len(values)}"
                )
        for name, column in self.future.items():
            if len(column) < len(values):
                raise ValueError(
                    f"future covariate {name!r} has {len(column)} values, the series {len(values)}"
                )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def channels(self) -> int:
        """How many values stand at each time."""
        return 1 if self.values.ndim == 1 else self.values.shape[1]

    def digest(self) -> str:
        """Hash of name, values and stamps; equal inputs have equal digests."""
        found = hashlib.blake2b(self.unique_id.encode(), digest_size=12)
        # Start, end and length give away regular stamps; hashing all of them would cost as much as the
        # values.
        ends = self.stamps[[0, -1]] if len(self.stamps) else self.stamps
        for array in (self.values, ends, *self.past.values(), *self.future.values()):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def __repr__(self) -> str:
        return f"Series({self.unique_id!r}, {len(self)} x {self.channels}, {self.freq}, {self.digest()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def window(self, start: int, stop: int, horizon: int = 0) -> Series:
        """Cut out ``values[start:stop]``; future covariates reach `horizon` further. No copies."""
        return replace(
            self,
            values=self.values[start:stop],
            stamps=self.stamps[start:stop],
            past={name: column[start:stop] for name, column in self.past.items()},
            future={name: column[start : stop + horizon] for name, column in self.future.items()},
        )

    def next_stamps(self, horizon: int) -> np.ndarray:
        """Return the `horizon` stamps after the last one.

        Raises
        ------
        DataError
            When the frequency is not known and the stamps are dates.
        """
        if not np.issubdtype(self.stamps.dtype, np.datetime64):
            last = int(self.stamps[-1]) if len(self.stamps) else -1
            return np.arange(last + 1, last + 1 + horizon, dtype=np.int64)
        if self.freq is None:
            raise DataError(
                f"series '{self.unique_id}' has no known frequency.",
                expected="a frequency such as h, D or MS",
                remedy="name it: freq=...",
            )
        from scizoo_timeseries.frequency import grid_after

        return grid_after(self.stamps[-1], self.freq, horizon, self.tz)


def as_series(value: Any) -> Series:
    """Take a Series, or an array of values without dates, as a Series.

    Raises
    ------
    DataError
        When it is neither.
    """
    if isinstance(value, Series):
        return value
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{type(value).__name__} is no time series.", expected="a Series, or an array of numbers"
        ) from error
    if values.ndim not in (1, 2):
        raise DataError(f"an array of shape {values.shape} is no time series.", expected="(T,) or (T, C)")
    return Series(values, np.arange(len(values), dtype=np.int64))


def seasonal_scale(values: np.ndarray, season: int) -> float:
    """Mean absolute error of the seasonal naive forecast inside a history (Hyndman and Koehler 2006).

    Parameters
    ----------
    values : ndarray, shape (T,)
    season : int

    Returns
    -------
    float
        NaN where the history is too short or constant, so that MASE is undefined.
    """
    lag = season if len(values) > season else 1
    if len(values) <= lag:
        return float("nan")
    steps = np.abs(values[lag:] - values[:-lag])
    known = steps[np.isfinite(steps)]
    scale = float(known.mean()) if len(known) else float("nan")
    # Rounding noise of a constant series is no scale.
    size = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return scale if scale > 1e-12 * max(size, 1e-300) else float("nan")
