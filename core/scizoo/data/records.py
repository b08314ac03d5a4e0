"""Records and the Datasets that read them from a field's own files."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scizoo.errors import DataError
from scizoo.files import atomic_path


@dataclass(frozen=True, slots=True)
class Record:
    """One raw example.

    Parameters
    ----------
    id : str
        Unique within its dataset.
    input : Any
        The field's own object: a sequence, a molecule, a light curve.
    target : Any, optional
        The label or value to predict; None where there is none. Of a segmentation the label map, an array of
        integers (H, W) as large as the image.
    group : str, optional
        What must not be split apart (genus, patient, scaffold). Records without a group are
        groups of their own.
    meta : mapping
        Other columns of the record; any of them can be audited as a subgroup.
    source : str
        Where it was read, for messages: ``"reads.fasta, record 12"``.
    """

    id: str
    input: Any
    target: Any = None
    group: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not be read, and why."""

    source: str
    id: str
    reason: str


@dataclass
class RejectionLog:
    """Collects unreadable records, so that nothing is dropped in silence.

    Parameters
    ----------
    max_rejected : float
        The share of records that may be rejected before the run fails.
    """

    max_rejected: float = 0.01
    accepted: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def accept(self) -> None:
        """Count one good record."""
        self.accepted += 1

    def reject(self, source: str, id: str, reason: str) -> None:
        """Note one bad record and why it was refused."""
        self.rejected.append(Rejected(source, id, reason))

    def check(self, what: str) -> None:
        """Fail when nothing is left, or when too many records were rejected.

        Parameters
        ----------
        what : str
            The file or folder that was read, for the message.

        Raises
        ------
        DataError
            When no record could be read or more than ``max_rejected`` of them could not.
        """
        total = self.accepted + len(self.rejected)
        if total == 0:
            raise DataError(
                f"{what} holds no record.",
                expected="at least one record",
                remedy="check that the file is complete and of a format this domain reads.",
            )
        if not self.rejected:
            return
        share = len(self.rejected) / total
        if self.accepted == 0 or share > self.max_rejected:
            first = self.rejected[0]
            raise DataError(
                f"{what}: {len(self.rejected)} of {total} records cannot be used "
                f"({share:.1%}; data.max_rejected allows {self.max_rejected:.1%}). "
                f"First: record '{first.id}' ({first.source}): {first.reason}",
                remedy="mend the records listed in rejected.csv, or raise data.max_rejected.",
            )


@dataclass(frozen=True)
class Licence:
    """Terms of a dataset.

    Parameters
    ----------
    name : str
        An SPDX identifier where there is one, else the terms in a few words.
    commercial : bool
        Whether commercial use is allowed.
    redistribution : bool
        Whether the data, or what derives from them, may be passed on.
    """

    name: str
    commercial: bool = True
    redistribution: bool = True


class Dataset(ABC):
    """Reads files lazily into Records.

    A dataset is iterated any number of times; each time it opens its files anew and gives the
    records in the same order. A record that cannot be read goes to ``rejections``; the reader
    calls ``rejections.check`` when it reaches the end.
    """

    licence: Licence = Licence("unknown: the user's own data")
    citation: str = ""

    def __init__(self, *, max_rejected: float = 0.01):
        self.max_rejected = max_rejected
        self.rejections = RejectionLog(max_rejected)

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """Yield the records; bad ones are told to ``self.rejections``."""

    def documents(self) -> Iterator[Record]:
        """Yield the documents of a dataset of pairs, each as the ``input`` of a record: a pool to search.

        By default they are the targets of the records. A dataset that can read documents without queries
        says so here.

        Raises
        ------
        DataError
            When there is none.
        """
        found = False
        for record in self:
            if record.target is not None:
                found = True
                yield replace(record, input=record.target, target=None)
        if not found:
            raise DataError(
                f"{self.name} holds no document.",
                expected="a document in one record or more",
                remedy="name its column: data.target=COLUMN.",
            )

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hex digest that changes when the files or the reading options change."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The file, folder or package that is read, for messages and cards."""

    def __iter__(self) -> Iterator[Record]:
        self.rejections = RejectionLog(self.max_rejected)
        for record in self.records():
            self.rejections.accept()
            yield record
        self.rejections.check(self.name)


def check_unique_ids(records: Iterable[Record]) -> None:
    """Refuse two records of the same id.

    Raises
    ------
    DataError
        Naming the id and both places.
    """
    seen: dict[str, str] = {}
    for record in records:
        if record.id in seen:
            places = " and ".join(place for place in (seen[record.id], record.source) if place)
            raise DataError(
                f"two records have the id '{record.id}'" + (f" ({places})." if places else "."),
                expected="an id for each record that no other has",
                remedy="rename one of them, or remove it.",
            )
        seen[record.id] = record.source


def write_rejected(path: Path, rejected: RejectionLog | Iterable[Rejected]) -> int:
    """Write the records that could not be read, and why, as CSV.

    Parameters
    ----------
    path : Path
        The file to write, ``rejected.csv`` in the run directory. Not written when there are none.
    rejected : RejectionLog or iterable of Rejected

    Returns
    -------
    int
        How many were written.
    """
    rows = list(rejected.rejected if isinstance(rejected, RejectionLog) else rejected)
    if rows:
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["source", "id", "reason"])
            writer.writerows((row.source, row.id, row.reason) for row in rows)
    return len(rows)
