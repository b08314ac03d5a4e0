"""Splits in time: what is tested lies after what is trained on, and no target time is shared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import PARTS, GivenSplitter, GroupSplitter, Split, Splitter, make_split
from scizoo.errors import ConfigError, DataError


def _series_of(record: Record) -> str:
    return str(record.meta.get("series") or record.group or record.id)


def _span(record: Record) -> tuple[int, int]:
    """Return the places of a record's target in its series, the end excluded."""
    try:
        return int(record.meta["start"]), int(record.meta["stop"])
    except KeyError as error:
        raise DataError(
            f"record '{record.id}' is no forecast window.",
            expected="windows of a series, with start and stop",
        ) from error


def _parted(parts: Mapping[str, list[int]], records: Sequence[Record], method: str) -> Split:
    """Make the split. A group is a series in one part: the same series is in several, at other times."""
    groups = np.array([f"{_series_of(record)} [unused]" for record in records], dtype=object)
    for part, rows in parts.items():
        for row in rows:
            groups[row] = f"{_series_of(records[row])} [{part}]"
    return make_split(parts, groups, method)


class RollingOrigin(Splitter):
    """The last windows of every series test, those before validate, all that end before those train.

    In each series, going back from its end: ``windows`` cutoffs at least ``step`` apart are the test part;
    then ``validation_windows`` cutoffs whose targets end at least ``gap`` steps before the first test target
    begins; then every window whose target ends at least ``gap`` steps before the first validation target
    begins trains. Targets of two parts so never share a time in one series. Windows in between are in no
    part, and counted.

    Parameters
    ----------
    windows, validation_windows : int
        Windows of each series for test and validation.
    step : int, optional
        Steps between two cutoffs of test, and of validation; by default the horizon.
    gap : int
        Steps that are left out between the parts.
    calendar : bool
        Whether one date parts all series: windows whose target reaches beyond the earliest cutoff of a later
        part, whatever its series, are left out. Series that move together then show nothing of the time that
        others are tested on; series that end early cost the others their last windows.
    """

    def __init__(
        self,
        windows: int = 1,
        validation_windows: int = 1,
        step: int | None = None,
        gap: int = 0,
        calendar: bool = False,
    ):
        if windows < 1 or validation_windows < 0 or gap < 0 or (step is not None and step < 1):
            raise ConfigError(
                f"split: windows={windows}, validation_windows={validation_windows}, step={step}, gap={gap}",
                expected="windows and step from 1 on, gap from 0 on",
            )
        self.windows, self.validation_windows, self.step, self.gap = windows, validation_windows, step, gap
        self.calendar = bool(calendar)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the windows; see the class.

        Raises
        ------
        DataError
            When no series is long enough for a part.
        """
        members: dict[str, list[int]] = defaultdict(list)
        for row, record in enumerate(records):
            members[_series_of(record)].append(row)
        parts: dict[str, list[int]] = {part: [] for part in PARTS}
        unused = 0
        for rows in members.values():
            rows.sort(key=lambda row: _span(records[row])[0])
            unused += self._divide(rows, records, parts)
        if self.calendar:
            unused += _cut_by_date(parts, records)
        wanted = ("train", "validation", "test") if self.validation_windows else ("train", "test")
        for part in wanted:
            if not parts[part]:
                need = self.windows + self.validation_windows + 1
                if self.calendar:
                    raise DataError(
                        f"the {part} part would be empty: the series end so far apart that no date "
                        "parts them with windows on both sides.",
                        expected="series that end at about the same time",
                        remedy="set split.calendar=false, or leave out the series that end early.",
                    )
                raise DataError(
                    f"the {part} part would be empty: no series is long enough for {self.windows} test and "
                    f"{self.validation_windows} validation windows and one to train on.",
                    expected=f"a series with at least {need} windows of the horizon",
                    remedy="lower data.horizon, split.windows, split.step or split.gap, or data.min_history.",
                )
        step = "the horizon" if self.step is None else f"{self.step} steps"
        method = (
            f"by rolling origin: the last {self.windows} windows of each of {len(members):,} series test, "
            f"the {self.validation_windows} before validate, {step} apart, gap {self.gap}; no target time of "
            f"{'any' if self.calendar else 'a'} series is in two parts ({unused:,} windows that would "
            "overlap are unused)"
        )
        return _parted(parts, records, method)

    def _divide(self, rows: list[int], records: Sequence[Record], parts: dict[str, list[int]]) -> int:
        left = list(rows)
        border: int | None = None
        taken = 0
        for part, count in (("test", self.windows), ("validation", self.validation_windows)):
            chosen: list[int] = []
            earliest: int | None = None
            while left and len(chosen) < count:
                row = left.pop()
                start, stop = _span(records[row])
                if border is not None and stop > border - self.gap:
                    continue
                if earliest is not None and start > earliest - (self.step or stop - start):
                    continue
                chosen.append(row)
                earliest = start
            if earliest is not None:
                border = earliest
            parts[part] += chosen
            taken += len(chosen)
        train = [row for row in left if border is None or _span(records[row])[1] <= border - self.gap]
        parts["train"] += train
        return len(rows) - taken - len(train)


def _cut_by_date(parts: dict[str, list[int]], records: Sequence[Record]) -> int:
    """Leave out windows whose target reaches past the first cutoff of a later part; return how many."""
    before = sum(map(len, parts.values()))
    latest: np.datetime64 | None = None
    for part in ("test", "validation", "train"):
        if latest is not None:
            parts[part] = [row for row in parts[part] if _date(records[row], "until") <= latest]
        cutoffs = [_date(records[row], "cutoff") for row in parts[part]]
        latest = min([*cutoffs, *([] if latest is None else [latest])])
    return before - sum(map(len, parts.values()))


def _date(record: Record, key: str) -> np.datetime64:
    try:
        return np.datetime64(str(record.meta[key]), "ns")
    except (KeyError, ValueError) as error:
        raise DataError(
            f"record '{record.id}' has no date, but split.calendar=true parts the series by one.",
            expected="series with a column of stamps",
            remedy="name it by data.time, or set split.calendar=false.",
        ) from error


class BorderSplitter(Splitter):
    """Parts by fixed borders, the same for every series, as the ETT benchmark's 12, 4 and 4 months.

    A window belongs to a part when its whole target lies inside; its history may reach back into the part
    before, as the usual protocol has it. Windows whose target crosses a border are in no part, and counted.

    Parameters
    ----------
    borders : sequence of three int
        Steps of train, validation and test, from the first step of a series on.
    """

    def __init__(self, borders: Sequence[int] = (8640, 2880, 2880)):
        self.borders = [int(size) for size in borders]
        if len(self.borders) != len(PARTS) or min(self.borders) < 1:
            raise ConfigError(
                f"split.borders={list(borders)}", expected="three numbers of steps: train, validation, test"
            )

    def split(self, records: Sequence[Record]) -> Split:
        """Split the windows; see the class.

        Raises
        ------
        DataError
            When a part would be empty.
        """
        edges = np.concatenate([[0], np.cumsum(self.borders)])
        parts: dict[str, list[int]] = {part: [] for part in PARTS}
        for row, record in enumerate(records):
            start, stop = _span(record)
            for number, part in enumerate(PARTS):
                if edges[number] <= start and stop <= edges[number + 1]:
                    parts[part].append(row)
        for part in PARTS:
            if not parts[part]:
                raise DataError(
                    f"the {part} part would be empty: no target lies inside its {self.borders} steps.",
                    remedy="set split.borders to the length of the series, or lower data.horizon.",
                )
        unused = len(records) - sum(map(len, parts.values()))
        method = (
            f"by fixed borders: targets inside steps {edges[0]}-{edges[1]} train, -{edges[2]} validate, "
            f"-{edges[3]} test; {unused:,} windows across a border or beyond are unused"
        )
        return _parted(parts, records, method)


class HeldOutSeries(GroupSplitter):
    """Whole series test and validate, with all their windows: how a model does on series it never saw."""

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Name the series of each window."""
        return np.array([_series_of(record) for record in records], dtype=object)


class StatedOrGrouped(Splitter):
    """The parts that the data state (files named TRAIN and TEST, or a column), else by whole groups.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test where the data state none.
    validation : float
        Share of a stated train part that becomes validation where none is stated.
    seed : int
    stratify : bool
        Whether each class is in every part, where the data state none.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.6, 0.2, 0.2),
        validation: float = 0.2,
        seed: int = 0,
        stratify: bool = True,
    ):
        self.fractions, self.validation, self.seed, self.stratify = (
            tuple(fractions),
            validation,
            seed,
            stratify,
        )

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see the class."""
        stated = [record.meta.get("split") is not None for record in records]
        if records and all(stated):
            return GivenSplitter(validation=self.validation, seed=self.seed).split(records)
        if any(stated):
            lacking = records[stated.index(False)]
            raise DataError(
                f"record '{lacking.id}' ({lacking.source}) states no part, but others do.",
                expected="train, validation or test for every record, or for none",
            )
        return GroupSplitter(self.fractions, seed=self.seed, stratify=self.stratify).split(records)
