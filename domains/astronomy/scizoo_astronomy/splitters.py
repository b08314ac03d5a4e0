"""Splits of the sky: by object, by HEALPix cell, by survey field, by magnitude; and stratified folds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scizoo.data.records import Record
from scizoo.data.splits import (
    Fractions,
    GivenSplitter,
    GroupSplitter,
    Split,
    Splitter,
    divide_groups,
    make_split,
    parse_fractions,
)
from scizoo.errors import ConfigError, DataError
from scizoo_astronomy.sky import cells, object_groups, positions


class ObjectSplitter(Splitter):
    """Keeps everything about one object of the sky in one part.

    Records are the same object when they name the same group, stand within a radius of each other (also in
    chains), or have the same input. A split that the data state is taken as it is.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class has objects in every part, where it has enough of them.
    radius : float
        Arcseconds; 0 does not look at positions.
    validation : float
        Of a stated split without one: the share of train for validation.
    """

    def __init__(
        self,
        fractions: Fractions = (0.8, 0.1, 0.1),
        seed: int = 0,
        stratify: bool = True,
        radius: float = 2.0,
        validation: float = 0.1,
    ):
        if radius < 0:
            raise ConfigError(f"split.radius={radius}", expected="arcseconds, 0 or more")
        self.radius = radius
        self._inner = GroupSplitter(fractions, seed, stratify)
        self._given = GivenSplitter("split", validation, seed)

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Return the name of each record's object."""
        return object_groups(records, self.radius)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`~scizoo.data.splits.Splitter`."""
        if records and all("split" in record.meta for record in records):
            return self._given.split(records)
        groups = self.groups(records)
        split = self._inner.split([replace(r, group=str(g)) for r, g in zip(records, groups)])
        return replace(
            split, method=f"by object: {len(set(groups)):,} of {len(records):,} records; none is in two parts"
        )


class SkySplitter(Splitter):
    """Keeps every HEALPix cell of the sky in one part, so that test objects lie where nothing was learned.

    Parameters
    ----------
    nside : int
        Resolution, a power of 2: cells are about 58.6 / nside degrees wide (Gorski et al. 2005, ApJ 622,
        759).
    fractions, seed, stratify
        As of the core's GroupSplitter; whole cells are divided.

    Raises
    ------
    ConfigError
        When ``nside`` is no power of 2.
    """

    def __init__(
        self, nside: int = 16, fractions: Fractions = (0.8, 0.1, 0.1), seed: int = 0, stratify: bool = False
    ):
        if nside < 1 or nside & (nside - 1):
            raise ConfigError(f"split.nside={nside}", expected="a power of 2: 1, 2, 4, ..., 8192")
        self.nside = nside
        self._inner = GroupSplitter(fractions, seed, stratify)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by cell.

        Raises
        ------
        DataError
            When a record has no position, or there are too few cells.
        """
        sky = positions(records)
        lost = np.flatnonzero(~np.isfinite(sky).all(axis=1))
        if len(lost):
            first = records[lost[0]]
            raise DataError(
                f"record '{first.id}' ({first.source}) has no position "
                f"({len(lost)} of {len(records)} have none).",
                expected="ra and dec in degrees, in the file or the table of labels",
                remedy="add them (data.given.ra=COLUMN data.given.dec=COLUMN), or split by object instead.",
            )
        names = [f"cell {cell}" for cell in cells(sky, self.nside)]
        split = self._inner.split([replace(r, group=name) for r, name in zip(records, names)])
        width = 58.6 / self.nside
        return replace(
            split,
            method=f"by {len(set(names)):,} cells of the sky (HEALPix nside {self.nside}, about {width:.2g} "
            "degrees wide); no cell is in two parts",
        )


class FieldSplitter(Splitter):
    """Keeps every survey field (or night, or telescope) in one part.

    Parameters
    ----------
    key : str
        The column of ``Record.meta`` that names the field.
    fractions, seed, stratify
        As of the core's GroupSplitter; whole fields are divided.
    """

    def __init__(
        self,
        key: str = "field",
        fractions: Fractions = (0.8, 0.1, 0.1),
        seed: int = 0,
        stratify: bool = False,
    ):
        self.key = key
        self._inner = GroupSplitter(fractions, seed, stratify)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by field.

        Raises
        ------
        DataError
            When a record names none, or there are too few.
        """
        for record in records:
            if record.meta.get(self.key) in (None, ""):
                raise DataError(
                    f"record '{record.id}' ({record.source}) has no '{self.key}' to be split by.",
                    expected="a column of that name",
                    remedy="name another: split.key=COLUMN",
                )
        split = self._inner.split([replace(r, group=f"{self.key} {r.meta[self.key]}") for r in records])
        return replace(split, method=f"by {self.key}: no {self.key} is in two parts")


class MagnitudeSplitter(Splitter):
    """Trains on bright objects and tests on faint ones, as surveys do whose labels are of the bright.

    Parameters
    ----------
    key : str, optional
        The column of ``Record.meta`` with the magnitude; by default the median of a light curve in
        magnitudes.
    test : {"faint", "bright"}
        Which end is for test; validation lies between.
    fractions : sequence of three floats
    radius : float
        Arcseconds within which records are one object, which counts with its median; 0 does not look at
        positions.
    """

    def __init__(
        self,
        key: str | None = None,
        test: str = "faint",
        fractions: Fractions = (0.8, 0.1, 0.1),
        radius: float = 2.0,
    ):
        if test not in ("faint", "bright"):
            raise ConfigError(f"split.test={test}", expected="faint or bright")
        self.key, self.test, self.radius = key, test, radius
        self.fractions = parse_fractions(fractions)

    def _magnitude(self, record: Record) -> float:
        try:
            if self.key is not None:
                value = float(record.meta[self.key])
            else:
                value = float(np.median(record.input.value)) if record.input.is_magnitude else np.nan
        except (KeyError, TypeError, ValueError, AttributeError):
            value = np.nan
        if not np.isfinite(value):
            raise DataError(
                f"record '{record.id}' ({record.source}) has no magnitude"
                + (f" in '{self.key}'." if self.key else "."),
                expected="light curves in magnitudes, or a column with numbers",
                remedy="name the column: split.key=COLUMN",
            )
        return value

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by magnitude; see :class:`~scizoo.data.splits.Splitter`."""
        groups = object_groups(records, self.radius)
        found: dict[Any, list[float]] = defaultdict(list)
        for record, group in zip(records, groups):
            found[group].append(self._magnitude(record))
        sign = 1.0 if self.test == "faint" else -1.0
        order = sorted(found, key=lambda group: (sign * float(np.median(found[group])), str(group)))
        sizes = np.cumsum([len(found[group]) for group in order]) / len(records)
        edges = (self.fractions["train"], self.fractions["train"] + self.fractions["validation"])
        part_of = {}
        for group, end in zip(order, sizes):
            part_of[group] = (
                "train" if end <= edges[0] + 1e-9 else "validation" if end <= edges[1] + 1e-9 else "test"
            )
        parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
        for row, group in enumerate(groups):
            parts[part_of[group]].append(row)
        for part, share in self.fractions.items():
            if share and not parts[part]:
                raise DataError(
                    f"the {part} part would be empty: there are only {len(order)} objects.",
                    expected="objects enough for each part",
                )
        cut = float(np.median(found[next((g for g in order if part_of[g] == "test"), order[-1])]))
        method = f"by magnitude: test holds the {self.test} end, from {cut:.2f} on"
        return make_split(parts, groups, method)


class StratifiedFolds(Splitter):
    """One fold of a stratified cross-validation, for sets without an official split.

    Objects (see :func:`~scizoo_astronomy.sky.object_groups`) are dealt to folds class by class. A class with
    fewer objects than folds is in the test part of some folds only; one with a single object is always in
    train.

    Parameters
    ----------
    fold : int
        Which fold is for test, from 0.
    folds : int
    validation : float
        The share of the other folds that is for validation, class by class.
    seed : int
        Of the dealing; all folds of one cross-validation need the same.
    radius : float
        Arcseconds within which records are one object; 0 does not look at positions.
    """

    def __init__(
        self, fold: int = 0, folds: int = 5, validation: float = 0.1, seed: int = 0, radius: float = 2.0
    ):
        if folds < 2 or not 0 <= fold < folds:
            raise ConfigError(
                f"split.fold={fold} of split.folds={folds}", expected="a fold from 0 to folds - 1"
            )
        if not 0 < validation < 1:
            raise ConfigError(f"split.validation={validation}", expected="a share above 0 and below 1")
        self.fold, self.folds, self.validation = fold, folds, validation
        self.seed, self.radius = seed, radius

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`~scizoo.data.splits.Splitter`."""
        groups = object_groups(records, self.radius)
        members: dict[Any, list[int]] = defaultdict(list)
        for row, group in enumerate(groups):
            members[group].append(row)
        strata: dict[str, list[Any]] = defaultdict(list)
        for group, rows in members.items():
            strata[Counter(str(records[row].target) for row in rows).most_common(1)[0][0]].append(group)
        draw, dealt, alone, start = np.random.default_rng(self.seed), {}, 0, 0
        for kind in sorted(strata):
            if len(strata[kind]) == 1:
                alone += 1
                dealt[strata[kind][0]] = -1
                continue
            order = draw.permutation(len(strata[kind]))
            for place, number in enumerate(order):
                dealt[strata[kind][number]] = (start + place) % self.folds
            start += len(order)  # the next class goes on where this one ended, so that folds are equally full
        test = [row for group, rows in members.items() if dealt[group] == self.fold for row in rows]
        rest = np.array(sorted(set(range(len(records))) - set(test)), dtype=np.int64)
        kinds = [str(records[row].target) for row in rest]
        carved = divide_groups(groups[rest], (1 - self.validation, self.validation, 0.0), self.seed, kinds)
        parts = {part: rest[carved[part]].tolist() for part in ("train", "validation")}
        method = f"fold {self.fold + 1} of {self.folds}, stratified by class, seed {self.seed}"
        if alone:
            method += f"; {alone} class{'es' if alone > 1 else ''} of a single object always in train"
        return make_split({**parts, "test": test}, groups, method)
