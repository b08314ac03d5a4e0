"""How readers treat what is not as it should be, and the entry that they yield."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scizoo.errors import ConfigError, did_you_mean
from scizoo_timeseries.frequency import season_of
from scizoo_timeseries.series import Series

_CHOICES = {
    "gaps": ("fill", "refuse"),
    "order": ("sort", "refuse"),
    "duplicates": ("refuse", "mean", "first", "last"),
    "layout": ("auto", "long", "wide", "m4", "ts", "tsf"),
}


@dataclass(frozen=True)
class ReadOptions:
    """Columns of a table, and what becomes of gaps, disorder and repeated stamps.

    Parameters
    ----------
    id, time, target : str or None
        Columns of a long table. Without ``id`` the file holds one series.
    past, future, static : tuple of str
        Columns with covariates: known for the history only, known in advance, constant.
    layout : {"auto", "long", "wide", "m4", "ts", "tsf"}
    freq : str, optional
        As pandas names it; inferred when not given.
    season : int, optional
        Steps of the main season; by the frequency when not given.
    tz : str, optional
        Time zone of stamps without an offset; also the one in which days are counted.
    time_format : str, optional
        As of ``strptime``; ISO 8601 when not given.
    gaps : {"fill", "refuse"}
        Whether steps without a row become missing values, counted, or the series is refused.
    order : {"sort", "refuse"}
        Whether rows that do not ascend in time are sorted, and said so, or the series is refused.
    duplicates : {"refuse", "mean", "first", "last"}
        What becomes of two rows of the same series and time.

    Raises
    ------
    ConfigError
        When a choice or the frequency is unknown.
    """

    id: str | None = "unique_id"
    time: str = "ds"
    target: str = "y"
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layout: str = "auto"
    freq: str | None = None
    season: int | None = None
    tz: str | None = None
    time_format: str | None = None
    gaps: str = "fill"
    order: str = "sort"
    duplicates: str = "refuse"

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise ConfigError(
                    f"data.{key}={getattr(self, key)} is unknown: "
                    f"{did_you_mean(str(getattr(self, key)), choices)}",
                    expected=", ".join(choices),
                )
        for key in ("past", "future", "static"):
            given = getattr(self, key)
            object.__setattr__(self, key, (given,) if isinstance(given, str) else tuple(given or ()))
        if self.freq is not None:
            season_of(self.freq)
        if self.season is not None and self.season < 1:
            raise ConfigError(f"data.season={self.season}", expected="steps of the main season, 1 for none")
        if self.tz is not None:
            from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

            try:
                ZoneInfo(self.tz)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ConfigError(
                    f"data.tz={self.tz} is no time zone.", expected="a name such as Europe/Berlin or UTC"
                ) from error

    def season_for(self, freq: str | None) -> int:
        """Return the season of a series of this frequency."""
        return self.season if self.season is not None else season_of(freq)


@dataclass(frozen=True)
class Entry:
    """One series and where it was read.

    Parameters
    ----------
    series : Series
    source : str
        ``"loads.csv, series 'H1'"``.
    label : str, optional
        Its class, where the file names one.
    notes : dict
        What was mended: ``gaps`` filled, ``sorted``, ``duplicates`` joined, ``missing`` values, ``constant``.
    """

    series: Series
    source: str
    label: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
