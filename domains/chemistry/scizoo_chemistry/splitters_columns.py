"""Splits by a column of the data: time (the past predicts the future) and cold targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import GroupSplitter, Split, Splitter, make_split, parse_fractions
from scizoo.errors import DataError, did_you_mean
from scizoo_chemistry.clusters import join_groups
from scizoo_chemistry.compounds import compound_keys


class TimeSplitter(Splitter):
    """Trains on the past and tests on the future, as a project does (Sheridan 2013).

    Molecules measured at the same time are never parted, and a compound that was measured again belongs
    to its first time, so that no part sees a compound of another.

    Parameters
    ----------
    column : str
        A column of the data with years, numbers that grow with time, or ISO dates.
    fractions : sequence of three floats
        Shares of train (the earliest), validation and test (the latest).
    """

    def __init__(self, column: str = "year", fractions: Sequence[float] = (0.8, 0.1, 0.1)):
        self.column, self.fractions = column, parse_fractions(tuple(fractions))

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by time.

        Raises
        ------
        DataError
            When a record has no time, or too many records have the same.
        """
        times = [_time(record, self.column) for record in records]
        molecules = compound_keys([record.input for record in records])
        named = [record.group for record in records]
        group = join_groups(molecules, named)
        first: dict[int, float] = {}
        for number, time in zip(group, times):
            first[number] = min(time, first.get(number, time))
        when = np.array([first[number] for number in group])
        size = len(records)
        moments, counts = np.unique(when, return_counts=True)
        before = np.concatenate([[0], np.cumsum(counts)[:-1]])
        bounds = (self.fractions["train"] * size, (1 - self.fractions["test"]) * size)
        # A moment goes where most of it lies: by the middle of its records.
        middles = before + counts / 2
        kinds = np.searchsorted(bounds, middles, side="left")
        part_of = dict(zip(moments.tolist(), kinds.tolist()))
        parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
        for position, time in enumerate(when.tolist()):
            parts[("train", "validation", "test")[part_of[time]]].append(position)
        for part, share in self.fractions.items():
            if share and not parts[part]:
                raise DataError(
                    f"the {part} part would be empty: column '{self.column}' has {len(moments)} "
                    "different times.",
                    expected="enough different times to divide",
                    remedy="give a finer date, change split.fractions, or choose another splitter.",
                )
        ends = [when[parts[part]].max() if parts[part] else float("nan") for part in ("train", "validation")]
        method = (
            f"by time: column '{self.column}', train up to {_spell(ends[0])}, validation up to "
            f"{_spell(ends[1])}, test after; a compound measured again belongs to its first time"
        )
        return make_split(parts, np.array([f"molecule {number}" for number in group], dtype=object), method)


class ColdTargetSplitter(Splitter):
    """Keeps every target (protein, assay, cell line) in one part, so that test has only new ones.

    Parameters
    ----------
    column : str
        The column with the targets.
    fractions : sequence of three floats
    seed : int
        Which targets go where.
    molecules : bool
        Whether compounds are kept in one part too (cold target and cold molecule). One compound measured
        against all targets then makes all one group.
    """

    def __init__(
        self,
        column: str = "target",
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        molecules: bool = False,
    ):
        self.column, self.molecules = column, molecules
        self._inner = GroupSplitter(fractions=tuple(fractions), seed=seed)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by target.

        Raises
        ------
        DataError
            When a record names no target, or there are too few.
        """
        targets = [str(_cell(record, self.column)) for record in records]
        groups = targets
        if self.molecules:
            joined = join_groups(targets, compound_keys([record.input for record in records]))
            groups = [targets[first] for first in joined]
        split = self._inner.split([replace(record, group=group) for record, group in zip(records, groups)])
        method = f"by column '{self.column}': {len(set(targets)):,} targets, none in two parts"
        return replace(split, method=method + ("; no molecule either" if self.molecules else ""))


def _cell(record: Record, column: str) -> Any:
    value = record.meta.get(column)
    if value is None or value == "":
        known = list(record.meta)
        raise DataError(
            f"record '{record.id}' ({record.source}) has no '{column}' to be split by: "
            + did_you_mean(column, known),
            expected="a value in this column for every record",
            remedy="name the right column in split.column, or choose another splitter.",
        )
    return value


def _time(record: Record, column: str) -> float:
    value = _cell(record, column)
    if isinstance(value, datetime | date):
        return _since_year_zero(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        try:
            return _since_year_zero(datetime.fromisoformat(str(value).strip()))
        except ValueError as error:
            raise DataError(
                f"record '{record.id}' ({record.source}) has '{value}' in column '{column}'.",
                expected="a year, a number or a date such as 2024-03-31",
                remedy="correct the value.",
            ) from error
    if not np.isfinite(number):
        raise DataError(f"record '{record.id}' ({record.source}) has '{value}' in column '{column}'.")
    return number


def _since_year_zero(moment: date) -> float:
    """Return a date as a year with its fraction, so that dates and years can be told in one column."""
    start = date(moment.year, 1, 1).toordinal()
    seconds = 0.0
    if isinstance(moment, datetime):
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    days = date(moment.year + 1, 1, 1).toordinal() - start if moment.year < 9999 else 365
    return moment.year + (moment.toordinal() - start + seconds / 86400) / days


def _spell(value: float) -> str:
    return f"{value:.4g}" if value == int(value) and abs(value) < 10000 else f"{value:.2f}"
