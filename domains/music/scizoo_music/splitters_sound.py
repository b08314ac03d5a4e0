"""Splits for recordings: copies of one recording, and what the data name as one group, stay together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scizoo.data.records import Record
from scizoo.data.splits import GivenSplitter, GroupSplitter, Split, Splitter, parse_fractions
from scizoo.errors import ConfigError, DataError
from scizoo_music.similarity_sound import SoundSimilarity


class SoundSplitter(Splitter):
    """Takes the parts that the data state, where every record states one; else whole groups.

    A group is what the records name so (an artist, a piece), joined with every copy of one of its recordings.
    Without named groups two excerpts of one recording that share no landmark are not known to belong
    together: name the recording as group.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    near : float or None
        Share of common landmarks from which two recordings are copies; None looks for none.
    validation : float
        Of stated parts without a validation part: the share of train that becomes one.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        near: float | None = 0.25,
        validation: float = 0.1,
    ):
        if near is not None and not 0 < near <= 1:
            raise ConfigError(f"split.near is {near}.", expected="a similarity above 0, at most 1, or null")
        parse_fractions(tuple(fractions))
        self.near, self.validation, self.seed = near, validation, seed
        self._inner = GroupSplitter(tuple(fractions), seed)

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
        names = [f"group {one.group}" if one.group is not None else f"id {one.id}" for one in records]
        if self.near is not None:
            names = _joined(names, SoundSimilarity(self.near).groups(records).tolist())
        split = self._inner.split(
            [replace(one, group=name) for one, name in zip(records, names, strict=True)]
        )
        joined = f"; copies ({self.near:g} of their landmarks) are together" if self.near else ""
        return replace(split, method=f"by {len(set(names)):,} groups of recordings{joined}; seed {self.seed}")


def _joined(names: Sequence[str], copies: Sequence[int]) -> list[str]:
    """Name groups anew so that records of one name, and copies of one recording, are in one."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for place, first in enumerate(copies):
        one, other = sorted((root(names[place]), root(names[first])))
        parent[other] = one
    return [root(name) for name in names]
