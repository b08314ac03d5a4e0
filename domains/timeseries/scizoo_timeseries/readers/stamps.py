"""Stamps as nanoseconds in UTC: ISO 8601 texts, offsets, time zones, or plain step numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scizoo.errors import DataError

_OFFSET = r"(?:(?<=[\d:])\s*(Z|[+-]\d{2}:?\d{2}))$"
_HOUR = 3600


@dataclass(frozen=True)
class Stamps:
    """A parsed column of stamps.

    Parameters
    ----------
    values : ndarray, shape (rows,)
        ``datetime64[ns]``, or int64 step numbers; in UTC only where offsets say so, else wall-clock time.
    bad : ndarray of bool
        Rows whose stamp cannot be read.
    texts : ndarray of str
        As they stand in the file, for messages.
    offsets : ndarray of float, optional
        Seconds east of Greenwich of each row, NaN where it states none; None when no row does.
    tz : str, optional
        Of a typed column.
    """

    values: np.ndarray
    bad: np.ndarray
    texts: np.ndarray
    offsets: np.ndarray | None = None
    tz: str | None = None

    @property
    def integers(self) -> bool:
        """Whether they are step numbers."""
        return self.values.dtype.kind == "i"


def parse_stamps(column: pd.Series, time_format: str | None = None) -> Stamps:
    """Parse a column of stamps, row by row independent of each other.

    Parameters
    ----------
    column : pandas.Series
        Texts, or typed values of a Parquet table.
    time_format : str, optional
        As of ``strptime``; ISO 8601 when not given.
    """
    texts = column.astype(str).to_numpy(dtype=str)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return Stamps(_ns(utc), column.isna().to_numpy(), texts, None, str(column.dtype.tz))
    if column.dtype.kind == "M":
        return Stamps(_ns(column), column.isna().to_numpy(), texts)
    if time_format is None:
        numbers = pd.to_numeric(column, errors="coerce")
        whole = numbers.dropna()
        dates = column.dtype == object and whole.astype(str).str.len().ge(8).all()
        if len(whole) and not dates and (whole == whole.round()).all() and len(whole) * 2 > len(column):
            return Stamps(numbers.fillna(0).to_numpy(np.int64), numbers.isna().to_numpy(), texts)
    stripped = column.astype(str).str.strip()
    found = stripped.str.extract(_OFFSET, expand=False)
    has = found.notna().to_numpy()
    has &= stripped.str.contains(":", regex=False).to_numpy()  # "2020-01-0100" is no offset
    bare = stripped.where(~has, stripped.str.replace(_OFFSET, "", regex=True))
    parsed = pd.to_datetime(bare, format=time_format or "ISO8601", errors="coerce")
    if isinstance(parsed.dtype, pd.DatetimeTZDtype):
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
    values = _ns(parsed)
    offsets = None
    if has.any():
        offsets = np.full(len(values), np.nan)
        offsets[has] = [_seconds(text) for text in found[has]]
        shift = np.nan_to_num(offsets).astype("timedelta64[s]").astype("timedelta64[ns]")
        values = values - shift
    return Stamps(values, parsed.isna().to_numpy(), texts, offsets)


def _ns(column: Any) -> np.ndarray:
    return column.to_numpy(dtype="datetime64[ns]")


def _seconds(text: str) -> float:
    if text == "Z":
        return 0.0
    digits = text[1:].replace(":", "")
    return (1 if text[0] == "+" else -1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def in_utc(stamps: Stamps, rows: np.ndarray, tz: str | None) -> np.ndarray:
    """Give the stamps of one series in UTC.

    Parameters
    ----------
    stamps : Stamps
    rows : ndarray of int
        The rows of the series, in the file's order.
    tz : str, optional
        The zone of stamps without an offset.

    Raises
    ------
    ValueError
        When time zones are mixed, or a local time does not exist or is ambiguous.
    """
    values = stamps.values[rows]
    if stamps.integers:
        return values
    if stamps.offsets is not None:
        offsets = stamps.offsets[rows]
        none = np.isnan(offsets)
        if none.any() and not none.all():
            first = rows[np.flatnonzero(none != none[0])[0]]
            raise ValueError(
                f"mixes stamps with and without a time zone ('{stamps.texts[rows[0]]}' and "
                f"'{stamps.texts[first]}'); give all an offset, or none and data.tz"
            )
        if not none.any():
            different = np.unique(offsets)
            summer = len(different) == 2 and different[1] - different[0] == _HOUR
            if len(different) > 1 and not summer and tz is None:
                names = ", ".join(f"{seconds / _HOUR:+g} h" for seconds in different[:3])
                raise ValueError(f"mixes time zones ({names}); set data.tz to count all in one")
            return values
    if tz is None or stamps.tz is not None:
        return values
    return _localised(pd.DatetimeIndex(values), tz)


def _localised(index: pd.DatetimeIndex, tz: str) -> np.ndarray:
    """Read wall-clock times; of an hour that comes twice the first is summer time."""
    shifted = index.tz_localize(tz, ambiguous="NaT", nonexistent="shift_forward")
    unread = np.asarray(shifted.isna())
    absent = np.asarray(index.tz_localize(tz, ambiguous="NaT", nonexistent="NaT").isna()) & ~unread
    if absent.any():
        raise ValueError(
            f"has the stamp {index[absent][0]}, which does not exist in {tz} (summer time begins); "
            "mend it, or give offsets"
        )
    twice = unread & ~np.asarray(index.isna())
    if twice.any():
        alone = twice & ~np.asarray(index.duplicated(keep=False))
        if alone.any():
            raise ValueError(
                f"has the stamp {index[alone][0]}, which comes twice in {tz} (summer time ends), once here; "
                "give offsets, or data.tz=UTC"
            )
    first = ~np.asarray(index.duplicated(keep="first"))
    return _ns(index.tz_localize(tz, ambiguous=first).tz_convert("UTC").tz_localize(None))


def check_any(stamps: Stamps, path: Any, column: str) -> None:
    """Refuse a column in which no stamp can be read.

    Raises
    ------
    DataError
    """
    if len(stamps.bad) and stamps.bad.all():
        raise DataError(
            f"{path}: no stamp in column '{column}' can be read; the first is '{stamps.texts[0]}'.",
            expected="ISO 8601 (2020-01-31 or 2020-01-31T12:00+01:00), or whole step numbers",
            remedy="name the format: data.time_format=%d.%m.%Y",
        )
