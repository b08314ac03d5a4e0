"""Splits for molecules: by scaffold, by cluster, by time, by target, or whichever the data allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scizoo.data.records import Record
from scizoo.data.splits import (
    GivenSplitter,
    GroupSplitter,
    Split,
    Splitter,
    make_split,
    parse_fractions,
    record_groups,
)
from scizoo.errors import ConfigError, DataError
from scizoo_chemistry.clusters import butina_clusters, copy_groups, join_groups
from scizoo_chemistry.compounds import compound_keys
from scizoo_chemistry.scaffolds import scaffold_groups


class ScaffoldSplitter(Splitter):
    """Keeps molecules of one Bemis-Murcko scaffold in one part.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    balanced : bool
        True: scaffolds are dealt out so that each part comes near its share of large and small
        ones, by seed. False: DeepChem's order, the largest scaffolds to train and the rarest to test, which
        needs no seed and is what most published figures on MoleculeNet use.
    seed : int
        Of the balanced split: which scaffolds go where.
    acyclic : {"apart", "together"}, optional
        Molecules without rings: each a group of its own (the default of the balanced split), or all one
        group (DeepChem's way, the default without balance).
    generic : bool
        Compare frameworks, with all atoms carbon and all bonds single: stricter.
    stratify : bool
        Of the balanced split: whether each class is in every part, where it has enough scaffolds.
    respect_groups : bool
        Whether records that name the same group are kept together too.
    join_compounds : bool, optional
        Whether tautomers and salts of one compound, whose scaffolds may differ, are kept together; by
        default in the balanced split alone, since DeepChem does not.
    near : float, optional
        Keep molecules of at least this Tanimoto similarity (ECFP4) together too, as those of two scaffolds
        that differ in one atom.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        balanced: bool = True,
        seed: int = 0,
        acyclic: str | None = None,
        generic: bool = False,
        stratify: bool = False,
        respect_groups: bool = True,
        join_compounds: bool | None = None,
        near: float | None = None,
    ):
        if acyclic not in (None, "apart", "together"):
            raise ConfigError(f"split.acyclic is '{acyclic}'.", expected="apart, together or null")
        self.fractions, self.balanced, self.seed = parse_fractions(tuple(fractions)), balanced, seed
        self.acyclic = acyclic or ("apart" if balanced else "together")
        self.generic, self.stratify, self.respect_groups = generic, stratify, respect_groups
        self.join_compounds = balanced if join_compounds is None else join_compounds
        _check_near(near)
        self.near = near

    def groups(self, records: Sequence[Record]) -> list[str]:
        """Name the scaffold of each record; some are joined, as the options say."""
        inputs = [record.input for record in records]
        found = scaffold_groups(inputs, generic=self.generic, acyclic=self.acyclic)
        if self.join_compounds:
            found = _joined(found, compound_keys(inputs))
        if self.near is not None:
            found = _joined(found, copy_groups(inputs, self.near))
        return _joined(found, [record.group for record in records]) if self.respect_groups else found

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by scaffold.

        Raises
        ------
        DataError
            When a part would be empty: there are too few scaffolds.
        """
        groups = self.groups(records)
        frame = "generic scaffolds" if self.generic else "Bemis-Murcko scaffolds"
        rings = {
            "apart": "molecules without rings are groups of their own",
            "together": "molecules without rings are one group",
        }[self.acyclic]
        if self.near is not None:
            rings += f"; near copies (Tanimoto {self.near:g} and more) are together"
        method = f"by {len(set(groups)):,} {frame}; {rings}"
        grouped = [replace(record, group=group) for record, group in zip(records, groups)]
        if self.balanced:
            inner = GroupSplitter(fractions=self.fractions, seed=self.seed, stratify=self.stratify)
            return replace(inner.split(grouped), method=f"{method}; balanced, seed {self.seed}")
        return self._by_size(grouped, method + "; the largest first, as DeepChem does")

    def _by_size(self, records: Sequence[Record], method: str) -> Split:
        members: dict[str, list[int]] = {}
        for position, record in enumerate(records):
            members.setdefault(str(record.group), []).append(position)
        # Largest first; of equal size the one that appears later first.
        ordered = sorted(members.values(), key=lambda rows: (len(rows), rows[0]), reverse=True)
        size = len(records)
        train = self.fractions["train"] * size
        both = (self.fractions["train"] + self.fractions["validation"]) * size
        parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
        for rows in ordered:
            if len(parts["train"]) + len(rows) <= train:
                parts["train"] += rows
            elif len(parts["train"]) + len(parts["validation"]) + len(rows) <= both:
                parts["validation"] += rows
            else:
                parts["test"] += rows
        _refuse_empty(parts, self.fractions, f"{len(ordered)} scaffolds", "set split.balanced=true")
        return make_split(parts, record_groups(records), method)


class ButinaSplitter(Splitter):
    """Keeps clusters of similar molecules in one part.

    Clusters by :func:`scizoo_chemistry.clusters.butina_clusters`: stricter than scaffolds where one
    scaffold has near relatives. Two molecules of different clusters may still be closer than the cutoff,
    since only the distance to the centre counts; the audit shows how many are.

    Parameters
    ----------
    fractions : sequence of three floats
    seed : int
        Which clusters go where.
    cutoff : float
        Tanimoto distance on ECFP4 up to which molecules are neighbours.
    radius, bits : int
        Of the fingerprint.
    stratify : bool
        Whether each class is in every part, where it has enough clusters.
    respect_groups : bool
        Whether records that name the same group are kept together too.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        cutoff: float = 0.4,
        radius: int = 2,
        bits: int = 2048,
        stratify: bool = False,
        respect_groups: bool = True,
    ):
        if not 0 <= cutoff < 1:
            raise ConfigError(f"split.cutoff is {cutoff}.", expected="a Tanimoto distance from 0 up to 1")
        self.cutoff, self.radius, self.bits = cutoff, radius, bits
        self.respect_groups = respect_groups
        self._inner = GroupSplitter(fractions=tuple(fractions), seed=seed, stratify=stratify)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records by cluster."""
        inputs = [record.input for record in records]
        groups = [f"cluster {n}" for n in butina_clusters(inputs, self.cutoff, self.radius, self.bits)]
        groups = _joined(groups, compound_keys(inputs))
        if self.respect_groups:
            groups = _joined(groups, [record.group for record in records])
        split = self._inner.split([replace(record, group=group) for record, group in zip(records, groups)])
        return replace(
            split,
            method=(
                f"by {len(set(groups)):,} Butina clusters (Tanimoto distance up to {self.cutoff:g} on "
                f"ECFP{2 * self.radius}); no cluster is in two parts"
            ),
        )


class MoleculeSplitter(Splitter):
    """Takes the safest split that the data allow; the report says which.

    The parts that the data state, where every record states one (a column, or files named train and
    test); else whole groups, where records name them (molecules that occur in two groups join them);
    else scaffolds, balanced, joined where molecules of two are near copies.

    Parameters
    ----------
    fractions : sequence of three floats
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class is in every part, where it has enough groups.
    validation : float
        Of stated parts without a validation part: the share of train that becomes one, by scaffold.
    generic : bool
    near : float, optional
        Of scaffolds: see :class:`ScaffoldSplitter`; null parts near copies of two scaffolds.
    """

    def __init__(
        self,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        seed: int = 0,
        stratify: bool = True,
        validation: float = 0.1,
        generic: bool = False,
        near: float | None = 0.9,
    ):
        self.fractions, self.seed, self.stratify = tuple(fractions), seed, stratify
        self.validation, self.generic = validation, generic
        _check_near(near)
        self.near = near

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see the class.

        Raises
        ------
        DataError
            When some records state a part and others do not, or a part would be empty.
        """
        stated = sum(record.meta.get("split") is not None for record in records)
        if records and stated == len(records):
            return self._stated(records)
        if stated:
            lacking = next(record for record in records if record.meta.get("split") is None)
            raise DataError(
                f"record '{lacking.id}' ({lacking.source}) states no part, but {stated} others do.",
                expected="train, validation or test for every record, or for none",
                remedy="complete the column, or take data.split away.",
            )
        shared: dict[str, Any] = {
            "fractions": self.fractions,
            "seed": self.seed,
            "stratify": self.stratify,
        }
        if any(record.group is not None for record in records):
            names = [record.group if record.group is not None else f"id:{record.id}" for record in records]
            joined = _joined(names, compound_keys([record.input for record in records]))
            grouped = [replace(record, group=group) for record, group in zip(records, joined)]
            return GroupSplitter(**shared).split(grouped)
        return ScaffoldSplitter(generic=self.generic, near=self.near, **shared).split(records)

    def _stated(self, records: Sequence[Record]) -> Split:
        """Take the stated parts; a validation part is carved out of train by scaffold."""
        inner = GivenSplitter(validation=self.validation, seed=self.seed)
        if any(record.group is not None for record in records):
            return inner.split(records)
        train = [place for place, record in enumerate(records) if _is_train(record)]
        scaffolds = scaffold_groups([records[place].input for place in train], generic=self.generic)
        grouped = list(records)
        for place, scaffold in zip(train, scaffolds):
            grouped[place] = replace(records[place], group=scaffold)
        return inner.split(grouped)


def _is_train(record: Record) -> bool:
    return str(record.meta.get("split")).strip().lower() in ("train", "training")


def _check_near(near: float | None) -> None:
    if near is not None and not 0 < near <= 1:
        raise ConfigError(f"split.near is {near}.", expected="a similarity above 0, at most 1, or null")


def _joined(groups: Sequence[str], keys: Sequence[str | int | None]) -> list[str]:
    """Join groups that hold records of the same key; the first one's name stands for all."""
    if all(key is None for key in keys):
        return list(groups)
    return [groups[first] for first in join_groups(groups, keys)]


def _refuse_empty(parts: dict[str, list[int]], fractions: dict[str, float], among: str, remedy: str) -> None:
    for part, share in fractions.items():
        if share and not parts[part]:
            raise DataError(
                f"the {part} part would be empty: {among} cannot be divided so.",
                expected="at least one group for each part",
                remedy=f"{remedy}, change split.fractions, or give more molecules.",
            )
