"""Splits by patient, by site and by scanner; neighbouring slices are never apart."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import Fractions, GivenSplitter, GroupSplitter, Split, Splitter, record_groups
from scizoo.errors import ConfigError, DataError
from scizoo_radiology.images import RadiologyImage, Volume
from scizoo_radiology.similarity import PictureSimilarity, pixels_key

_BY = ("patient", "site", "scanner")


def joined(keys: Sequence[Sequence[Hashable | None]], pairs: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """Number records so that those that share a key, or are a pair, also in chains, get one number.

    Parameters
    ----------
    keys : sequence of sequences
        One a kind, each with a key or None a record.
    pairs : sequence of (int, int)

    Returns
    -------
    ndarray of int, shape (records,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(keys[0])
    links = list(pairs)
    for column in keys:
        first: dict[Hashable, int] = {}
        for row, key in enumerate(column):
            if key is not None:
                links.append((first.setdefault(key, row), row))
    ends = np.array(links, dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


class PatientSplitter(Splitter):
    """Keeps all that is of one patient in one part, so all slices of a volume; or whole sites, or scanners.

    Records belong together when they name the same group (the patient) or the same series, or show the same
    picture: equal pixels, or near copies by :class:`~scizoo_radiology.similarity.PictureSimilarity`. A split
    that the data state is taken as it is, and refused when it parts a patient or a volume.

    Parameters
    ----------
    by : {"patient", "site", "scanner"}
        What is kept together. With ``site`` or ``scanner`` the test part comes from places or machines on
        which nothing was learned; patients who were at two of them tie these together.
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class has patients in every part, where it has enough of them.
    validation : float
        Of a stated split without one: the share of train for validation, by patient.
    copies : bool
        Whether near copies are looked for; equal pixels always are.

    Raises
    ------
    ConfigError
        When ``by`` is none of these.
    """

    def __init__(
        self,
        by: str = "patient",
        fractions: Fractions = (0.7, 0.1, 0.2),
        seed: int = 0,
        stratify: bool = True,
        validation: float = 0.1,
        copies: bool = True,
    ):
        if by not in _BY:
            raise ConfigError(f"split.by={by}", expected=", ".join(_BY))
        self.by, self.copies = by, copies
        self._inner = GroupSplitter(fractions, seed, stratify)
        self._given = GivenSplitter("split", validation, seed)

    def groups(self, records: Sequence[Record], copies: bool) -> np.ndarray:
        """Return the name of what each record must not be parted from."""
        keys: list[list[Any]] = [[r.meta.get("series") for r in records], list(record_groups(records))]
        if self.by != "patient":
            keys.append([self._where(record) for record in records])
        pairs: list[tuple[int, int]] = []
        if copies and all(isinstance(record.input, RadiologyImage | Volume) for record in records):
            keys.insert(0, [pixels_key(record.input) for record in records])
            pairs = PictureSimilarity().near_pairs(records) if self.copies else []
        numbers = joined(keys, pairs)
        # Named after the first record's own group, so that messages and reports say a known name.
        names: dict[int, str] = {}
        for number, name in zip(numbers.tolist(), keys[-1]):
            names.setdefault(number, str(name))
        twice = len(set(names.values())) < len(names)
        found = [f"{names[n]} ({n})" if twice else names[n] for n in numbers.tolist()]
        return np.array(found, dtype=object)

    def _where(self, record: Record) -> str:
        value = record.meta.get(self.by)
        if value in (None, ""):
            raise DataError(
                f"record '{record.id}' ({record.source}) has no {self.by} to be split by.",
                expected=f"a {self.by} for every record, in the header or in a column (data.{self.by})",
                remedy="add it, or split by patient: split.by=patient",
            )
        return str(value)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`~scizoo.data.splits.Splitter`."""
        if records and all("split" in record.meta for record in records):
            groups = self.groups(records, copies=False)
            return self._given.split([replace(r, group=str(g)) for r, g in zip(records, groups)])
        groups = self.groups(records, copies=True)
        split = self._inner.split([replace(r, group=str(g)) for r, g in zip(records, groups)])
        alone = sum(record.group is None for record in records)
        method = f"by {self.by}: {len(set(groups)):,} groups of {len(records):,} records, none in two parts"
        if alone and self.by == "patient":
            method += f"; {alone:,} records name no patient and stand for themselves, but for copies"
        return replace(split, method=method)
