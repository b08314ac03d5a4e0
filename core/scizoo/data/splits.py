"""Splits that do not leak: the Splitter contract and the splitters every domain shares."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scizoo.data.records import Dataset, Record
from scizoo.errors import ConfigError, DataError, did_you_mean

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Which record goes where.

    Parameters
    ----------
    train, validation, test : ndarray of int64
        Positions in the list of records that was split; disjoint.
    groups : ndarray of str, shape (records,)
        The group of every record, as the splitter saw it; never in two parts.
    method : str
        How it was split, in words for the report.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    groups: np.ndarray
    method: str


class Splitter(ABC):
    """Divides records into train, validation and test so that nothing leaks."""

    @abstractmethod
    def split(self, records: Sequence[Record]) -> Split:
        """Split the records.

        Raises
        ------
        DataError
            When a part would be empty, naming what the records lack.
        """


Fractions = Sequence[float] | Mapping[str, float]

_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def parse_fractions(fractions: Fractions) -> dict[str, float]:
    """Check the shares of the parts and return them by name.

    Raises
    ------
    ConfigError
        When a name is unknown, a share is negative, or they do not add up to one.
    """
    if isinstance(fractions, Mapping):
        for name in fractions:
            if name not in PARTS:
                raise ConfigError(f"split.fractions has no part '{name}': {did_you_mean(str(name), PARTS)}")
        shares = {part: float(fractions.get(part, 0.0)) for part in PARTS}
    else:
        if len(fractions) != len(PARTS):
            raise ConfigError(
                f"split.fractions={list(fractions)} has {len(fractions)} numbers.",
                expected="three: train, validation, test",
            )
        shares = dict(zip(PARTS, map(float, fractions)))
    if min(shares.values()) < 0 or shares["train"] == 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(
            f"split.fractions={shares} cannot be used.",
            expected="shares of at least 0 that add up to 1, and some for train",
        )
    return shares


def record_groups(records: Iterable[Record]) -> np.ndarray:
    """Group of every record; one without a group is a group of its own."""
    return np.array([group_name(record.group, record.id) for record in records], dtype=object)


def group_name(group: str | None, id: str) -> str:
    """Name the group of one record; the prefix keeps an id from meeting a group of the same name."""
    return f"id:{id}" if group is None else group


def make_split(parts: Mapping[str, Iterable[int]], groups: np.ndarray, method: str) -> Split:
    """Build a Split from the positions of each part, sorted and checked for shared groups."""
    sorted_parts = {part: np.array(sorted(parts.get(part, ())), dtype=np.int64) for part in PARTS}
    split = Split(**sorted_parts, groups=groups, method=method)
    check_no_shared_groups(split)
    return split


def check_no_shared_groups(split: Split) -> None:
    """Refuse a split in which a group is in two parts.

    Raises
    ------
    DataError
        Naming such a group and how many there are.
    """
    seen: dict[Any, str] = {}
    shared: dict[Any, tuple[str, str]] = {}
    for part in PARTS:
        for group in dict.fromkeys(split.groups[getattr(split, part)]):
            if group in seen:
                shared[group] = (seen[group], part)
            seen[group] = part
    if shared:
        group, (one, other) = next(iter(shared.items()))
        raise DataError(
            f"group '{group}' is in both {one} and {other} ({len(shared)} groups are in two parts).",
            expected="each group in one part only, so that nothing leaks",
            remedy="correct the split column, or split by group instead.",
        )


def hash_part(group: str, fractions: Fractions, seed: int = 0) -> str:
    """Choose a part for a group from its name alone: the same on every machine, for endless corpora.

    Parameters
    ----------
    group : str
        The record's group, or its id. A data set that takes a part of its own before a recipe or task
        divides that again puts its name before it: by equal names and seeds the second division would
        find all groups in one part.
    fractions : sequence or mapping
        Shares of train, validation and test.
    seed : int

    Returns
    -------
    str
        ``"train"``, ``"validation"`` or ``"test"``.
    """
    shares = parse_fractions(fractions)
    digest = hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    for part in ("test", "validation"):
        if place < shares[part]:
            return part
        place -= shares[part]
    return "train"


def hash_split(
    groups: Iterable[str | None], ids: Iterable[str], fractions: Fractions, seed: int = 0
) -> Split:
    """Split by :func:`hash_part`, from groups and ids that are read one by one."""
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    names = [group_name(group, id) for group, id in zip(groups, ids)]
    for position, name in enumerate(names):
        parts[hash_part(name, fractions, seed)].append(position)
    for part, share in parse_fractions(fractions).items():
        if share and not parts[part]:
            raise _empty(part, len(set(names)))
    return make_split(parts, np.array(names, dtype=object), f"by a hash of the group (seed {seed})")


def pretraining_split(settings: Mapping[str, Any] | None) -> tuple[Fractions, int]:
    """Read the fractions and the seed of a recipe's ``split``; 98% are for training where it names none."""
    given = dict(settings or {})
    return tuple(given.get("fractions") or (0.98, 0.02, 0.0)), int(given.get("seed") or 0)


class PretrainingPart:
    """What pre-training learns from, by a recipe's ``split``; tasks may test on the rest.

    Iterating yields records. Other attributes are the corpus' own, for a similarity to ask.

    Parameters
    ----------
    corpus : Dataset
    settings : mapping, optional
        ``fractions`` and ``seed``.
    """

    def __init__(self, corpus: Dataset, settings: Mapping[str, Any] | None):
        self._corpus = corpus
        self._fractions, self._seed = pretraining_split(settings)

    def __iter__(self) -> Iterator[Record]:
        for record in self._corpus:
            if hash_part(group_name(record.group, record.id), self._fractions, self._seed) == "train":
                yield record

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._corpus, name)


def _empty(part: str, groups: int) -> DataError:
    return DataError(
        f"the {part} part would be empty: there {'is' if groups == 1 else 'are'} only "
        f"{groups} group{'s' if groups != 1 else ''} to divide.",
        expected="at least one group for each part",
        remedy="give more groups, set the part's share in split.fractions to 0, or group more finely.",
    )


def _classes(records: Sequence[Record]) -> list[str]:
    """The class of each record; measured numbers are cut into five bins."""
    targets = [record.target for record in records]
    numbers = _measured(targets)
    if numbers is None:
        return [str(target) for target in targets]
    edges = np.quantile(numbers, [0.2, 0.4, 0.6, 0.8])
    return [str(bin) for bin in np.searchsorted(edges, numbers)]


def _measured(targets: Sequence[Any]) -> np.ndarray | None:
    """The targets as numbers, also where a table gave them as text; None where they are classes."""
    try:
        numbers = np.array([float(target) for target in targets])
    except (TypeError, ValueError):
        return None
    distinct = len(np.unique(numbers))
    # Whole numbers that come again and again are numbers of classes.
    classes = bool((numbers == np.round(numbers)).all()) and distinct * 5 <= len(numbers)
    return None if distinct <= 5 or classes or np.isnan(numbers).any() else numbers


def divide_groups(
    groups: np.ndarray,
    fractions: Fractions,
    seed: int = 0,
    classes: Sequence[str] | None = None,
) -> dict[str, list[int]]:
    """Assign whole groups to parts so that the parts come near their shares.

    Groups go, largest first, to the part that is furthest below its share (greedy). With `classes`
    this is done class by class, rarest first, and each class has a group in train, then in test, then in
    validation, as far as it has groups.

    Parameters
    ----------
    groups : ndarray, shape (records,)
    fractions : sequence or mapping
    seed : int
        Order among groups of equal size.
    classes : sequence of str, optional
        The class of each record; a group counts for its most frequent one.

    Returns
    -------
    dict of str to list of int
        Positions in each part.

    Raises
    ------
    DataError
        When a part with a share would be empty.
    """
    shares = parse_fractions(fractions)
    members: dict[Any, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    wanted = [part for part in ("train", "test", "validation") if shares[part] > 0]
    if len(members) < len(wanted):
        raise _empty(wanted[-1], len(members))
    names = sorted(members, key=str)
    order = np.random.default_rng(seed).permutation(len(names))
    names = sorted((names[i] for i in order), key=lambda name: -len(members[name]))

    strata: dict[str, list[Any]] = defaultdict(list)
    for name in names:
        kind = "" if classes is None else Counter(classes[i] for i in members[name]).most_common(1)[0][0]
        strata[kind].append(name)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    whole: Counter[str] = Counter()  # groups a part has
    for kind in sorted(strata, key=lambda kind: (len(strata[kind]), kind)):
        total = sum(len(members[name]) for name in strata[kind])
        have = dict.fromkeys(wanted, 0)
        for number, name in enumerate(strata[kind]):
            waiting = [part for part in wanted if not have[part]]
            left = len(strata[kind]) - number
            if classes is not None and waiting and left <= len(waiting):
                # No more groups than parts without one: they go in turn to train, test, validation.
                part = waiting[0]
            else:
                # The share still missing, first of this class, then of everything.
                part = max(
                    wanted,
                    key=lambda p: (shares[p] * total - have[p], shares[p] * len(groups) - len(parts[p])),
                )
            have[part] += len(members[name])
            whole[part] += 1
            parts[part].extend(members[name])
    for part in wanted:
        if not parts[part]:
            # Few, large groups: the smallest one of the part with most groups goes here.
            donor = max(wanted, key=lambda p: whole[p])
            owner = {i: p for p in wanted for i in parts[p]}
            spare = next(name for name in reversed(names) if owner[members[name][0]] == donor)
            parts[part] = members[spare]
            parts[donor] = sorted(set(parts[donor]) - set(members[spare]))
            whole[donor], whole[part] = whole[donor] - 1, 1
    return parts


class GroupSplitter(Splitter):
    """Splits by whole groups, greedily balanced; records without a group are split at random.

    Parameters
    ----------
    fractions : sequence or mapping
        Shares of train, validation and test.
    seed : int
    stratify : bool
        Whether each class has groups in every part, where it has enough of them.
    """

    def __init__(self, fractions: Fractions = (0.8, 0.1, 0.1), seed: int = 0, stratify: bool = False):
        self.fractions, self.seed, self.stratify = parse_fractions(fractions), seed, stratify

    def groups(self, records: Sequence[Record]) -> np.ndarray:
        """Group of each record; a domain overrides this to derive its own."""
        return record_groups(records)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`Splitter`."""
        groups = self.groups(records)
        classes = _classes(records) if self.stratify else None
        parts = divide_groups(groups, self.fractions, self.seed, classes)
        many = len(set(groups))
        how = "at random (records have no groups)" if many == len(records) else f"by {many} groups"
        if self.stratify:
            how += ", each class in every part where it has enough"
        return make_split(parts, groups, f"{how}, seed {self.seed}")


class HashSplitter(Splitter):
    """Splits by a hash of each group's name, as pre-training divides its corpus.

    A task on a corpus that a model was pre-trained on holds out the same groups when it is given the same
    shares and seed; which records are read besides does not move a group.

    Parameters
    ----------
    fractions : sequence or mapping
        Shares of train, validation and test.
    seed : int
    """

    def __init__(self, fractions: Fractions = (0.8, 0.1, 0.1), seed: int = 0):
        self.fractions, self.seed = fractions, seed
        parse_fractions(fractions)

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :meth:`Splitter.split`."""
        names = ((record.group, record.id) for record in records)
        groups, ids = zip(*names) if len(records) else ((), ())
        return hash_split(groups, ids, self.fractions, self.seed)


class GivenSplitter(Splitter):
    """Takes the split that a column of the data states.

    Parameters
    ----------
    column : str
        A key of ``Record.meta`` that holds train, validation or test (val, valid and dev are
        understood).
    validation : float
        Where no record is for validation, the share of train that is carved out for it, by group.
    seed : int
    """

    def __init__(self, column: str = "split", validation: float = 0.1, seed: int = 0):
        if not 0 <= validation < 1:
            raise ConfigError(f"split.validation={validation} is not a share.", expected="from 0 up to 1")
        self.column, self.validation, self.seed = column, validation, seed

    def _part(self, record: Record) -> str:
        value = record.meta.get(self.column)
        part = _NAMES.get(str(value).strip().lower())
        if part is None:
            where = f" ({record.source})" if record.source else ""
            known = "has no" if value is None else f"has '{value}' as its"
            raise DataError(
                f"record '{record.id}'{where} {known} '{self.column}'.",
                expected="train, validation or test",
                remedy="name the right column in data.split, or correct the value.",
            )
        return part

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`Splitter`."""
        groups = record_groups(records)
        parts: dict[str, list[int]] = {part: [] for part in PARTS}
        for position, record in enumerate(records):
            parts[self._part(record)].append(position)
        for part in ("train", "test"):
            if not parts[part]:
                raise DataError(
                    f"column '{self.column}' gives no record to {part}.",
                    expected="records for train and for test",
                    remedy="correct the column, or split by group instead.",
                )
        return _carve(parts, groups, self.validation, self.seed, f"as column '{self.column}' says")


class FoldSplitter(Splitter):
    """Takes parts from numbered or named folds that a column of the data states.

    Parameters
    ----------
    test : sequence
        Folds for test.
    validation : sequence
        Folds for validation; when empty, it is carved out of train by group.
    column : str
        A key of ``Record.meta``.
    fraction : float
        The share of train that is carved out.
    seed : int
    """

    def __init__(
        self,
        test: Sequence[Any],
        validation: Sequence[Any] = (),
        column: str = "fold",
        fraction: float = 0.1,
        seed: int = 0,
    ):
        self.test, self.validation = {str(f) for f in test}, {str(f) for f in validation}
        self.column, self.fraction, self.seed = column, fraction, seed

    def split(self, records: Sequence[Record]) -> Split:
        """Split the records; see :class:`Splitter`."""
        parts: dict[str, list[int]] = {part: [] for part in PARTS}
        folds = [str(record.meta.get(self.column)) for record in records]
        for fold in self.test | self.validation:
            if fold not in folds:
                raise DataError(
                    f"no record has '{fold}' as its '{self.column}': {did_you_mean(fold, folds)}",
                    expected="a fold that the data have",
                )
        for position, fold in enumerate(folds):
            part = "test" if fold in self.test else "validation" if fold in self.validation else "train"
            parts[part].append(position)
        if not parts["train"]:
            raise _empty("train", len(set(folds)))
        groups = record_groups(records)
        return _carve(parts, groups, self.fraction, self.seed, f"by the folds of column '{self.column}'")


def _carve(parts: dict[str, list[int]], groups: np.ndarray, share: float, seed: int, method: str) -> Split:
    """Take validation out of train, by group, where the data give none."""
    if not parts["validation"] and share:
        train = np.array(parts["train"])
        carved = divide_groups(groups[train], (1 - share, share, 0.0), seed)
        parts = {
            "train": [int(i) for i in train[carved["train"]]],
            "validation": [int(i) for i in train[carved["validation"]]],
            "test": parts["test"],
        }
        method += f"; {share:.0%} of train, by group, carved out for validation (seed {seed})"
    return make_split(parts, groups, method)
