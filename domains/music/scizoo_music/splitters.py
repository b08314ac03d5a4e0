"""Splits for music: variants of a melody stay together, in whatever key; or whole composers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scizoo.data.records import Record
from scizoo.data.splits import GivenSplitter, GroupSplitter, Split, Splitter, parse_fractions
from scizoo.errors import ConfigError, DataError
from scizoo_music.similarity import MelodySimilarity


class PieceSplitter(Splitter):
    """Takes the safest split that the data allow; the report says which.

    The parts that the data state, where every record states one. Else whole groups: records that name the
    same group, or that are variants of one melody (transpositions, other settings of a tune), stay together.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    by : {"piece", "composer"}
        ``composer`` keeps all pieces of one composer (``meta["composer"]``) together too.
    near : float or None
        Share of common runs of intervals from which two melodies are variants; None joins nothing.
    intervals : int
        Intervals of a run.
    stratify : bool
        Whether each class is in every part, where it has enough groups.
    validation : float
        Of stated parts without a validation part: the share of train that becomes one.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        by: str = "piece",
        near: float | None = 0.3,
        intervals: int = 5,
        stratify: bool = False,
        validation: float = 0.1,
    ):
        if by not in ("piece", "composer"):
            raise ConfigError(f"split.by is '{by}'.", expected="piece or composer")
        if near is not None and not 0 < near <= 1:
            raise ConfigError(f"split.near is {near}.", expected="a similarity above 0, at most 1, or null")
        parse_fractions(tuple(fractions))
        self.by, self.near, self.intervals = by, near, intervals
        self.validation, self.seed = validation, seed
        self._inner = GroupSplitter(tuple(fractions), seed, stratify)

    def groups(self, records: Sequence[Record]) -> list[str]:
        """Name the group of each record; the first record's name stands for all that are joined to it."""
        names = [f"group {one.group}" if one.group is not None else f"id {one.id}" for one in records]
        sets: list[Sequence[object]] = [names]
        if self.by == "composer":
            unknown = next((one for one in records if not one.meta.get("composer")), None)
            if unknown is not None:
                raise DataError(
                    f"record '{unknown.id}' ({unknown.source}) states no composer.",
                    expected="a composer for every record, to split by composer",
                    remedy="set split.by=piece.",
                )
            sets.append([str(one.meta["composer"]) for one in records])
        if self.near is not None:
            alike = MelodySimilarity(self.intervals, self.near)
            sets.append(alike.groups(records).tolist())
        return [names[first] for first in _joined(sets)]

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see the class.

        Raises
        ------
        DataError
            When some records state a part and others do not, or a part would be empty.
        """
        stated = sum(record.meta.get("split") is not None for record in records)
        if records and stated == len(records):
            return GivenSplitter(validation=self.validation, seed=self.seed).split(records)
        if stated:
            lacking = next(record for record in records if record.meta.get("split") is None)
            raise DataError(
                f"record '{lacking.id}' ({lacking.source}) states no part, but {stated} others do.",
                expected="train, validation or test for every record, or for none",
                remedy="complete the column, or take data.split away.",
            )
        groups = self.groups(records)
        split = self._inner.split([replace(one, group=group) for one, group in zip(records, groups)])
        what = "melodies" if self.by == "piece" else "composers"
        joined = f"; variants ({self.near:g} of their runs of intervals) are together" if self.near else ""
        return replace(split, method=f"by {len(set(groups)):,} {what}, in any key{joined}; seed {self.seed}")


def _joined(sets: Sequence[Sequence[object]]) -> list[int]:
    """Join positions that any of several namings calls alike; returns each group's first position."""
    parent = list(range(len(sets[0])))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for names in sets:
        first: dict[object, int] = {}
        for place, name in enumerate(names):
            one, other = sorted((root(first.setdefault(name, place)), root(place)))
            parent[other] = one
    return [root(place) for place in range(len(parent))]
