"""The user's own sequences: FASTA, FASTQ, GenBank, intervals over a reference, or a table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_genomics.datasets.base import SequenceDataset
from scizoo_genomics.readers.detect import (
    SUFFIXES,
    read_sequences,
    read_table_entries,
    sequence_format,
)
from scizoo_genomics.readers.entry import Entry
from scizoo_genomics.readers.intervals import read_intervals
from scizoo_genomics.readers.reference import Reference

_PART_NAME = re.compile(
    r"^(?:.*[._-])?(train|training|valid|validation|val|dev|test)(?:[._-].*)?$", re.IGNORECASE
)
_PARTS = {"train": "train", "training": "train", "test": "test"}
_PROTEINS_SEEN = 5  # unreadable first records that settle that a whole file holds proteins


class SequenceFiles(SequenceDataset):
    """Records from the user's own sequence files.

    Parameters
    ----------
    path : str, optional
        A file, folder, glob, URL or other source. In a folder whose files are all named after parts
        (train, dev or validation, test), the names give the split.
    input : str
        Of a table: the column with the sequences.
    target : str or sequence of str, optional
        What to predict: a column of the table or of ``labels``, a named group of ``header_pattern``, a
        ``key=value`` word of the header, a qualifier of the GenBank feature, an attribute or column of the
        interval, or ``file`` for the name of the file without its ending. Of several the target is a mapping.
    group, split : str, optional
        Likewise, what must not be split apart, and which part a record belongs to.
    id : str, optional
        Of a table: the column with the ids; by default file and row.
    labels : str, optional
        A table beside the sequences, a row a sequence, whose columns join the record's own.
    labels_id : str, optional
        Its column with the sequences' ids; by default the first.
    header_pattern : str, optional
        A regular expression with named groups, searched in the whole header line.
    reference, intervals : str, optional
        A genome in FASTA, and BED or GFF3 intervals over it: the sequences under them are the records.
    feature : str, optional
        The GenBank feature key or GFF3 type to read, e.g. ``CDS``; by default whole GenBank records, and
        genes of a GFF3 file.
    keep_mask : bool
        Whether to note the soft-masked share of FASTA sequences in ``meta["soft_masked"]``.
    contradictions : {"refuse", "leave_out"}
        What becomes of sequences that stand under different targets: the run refuses them by name, or all of
        them are left out and counted. The files are then read twice.
    max_rejected : float
        The share of records that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "sequence",
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        labels: str | Path | None = None,
        labels_id: str | None = None,
        header_pattern: str | None = None,
        reference: str | Path | None = None,
        intervals: str | Path | None = None,
        feature: str | None = None,
        keep_mask: bool = False,
        contradictions: str = "refuse",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(max_rejected=max_rejected)
        if intervals is None and path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a file of sequences",
                remedy="add data.path=FILE, or data.reference=GENOME.fasta data.intervals=PLACES.bed.",
            )
        if intervals is not None and reference is None:
            raise ConfigError("data.intervals needs data.reference.", expected="a genome in FASTA")
        self.path, self.cache = path, cache
        self.input, self.group, self.split, self.id = input, group, split, id
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.labels, self.labels_id = labels, labels_id
        self.reference, self.intervals = reference, intervals
        self.feature, self.keep_mask = feature, keep_mask
        if contradictions not in ("refuse", "leave_out"):
            raise ConfigError(f"data.contradictions is '{contradictions}'.", expected="refuse or leave_out")
        self.contradictions = contradictions
        try:
            self._header = re.compile(header_pattern) if header_pattern else None
        except re.error as error:
            raise ConfigError(f"data.header_pattern is no regular expression: {error}.") from error

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.intervals if self.intervals is not None else self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the records."""
        if self.intervals is not None:
            return resolve_files(self.intervals, self.cache)
        assert self.path is not None
        return resolve_files(self.path, self.cache, SUFFIXES)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            "columns": [self.input, self.target, self.group, self.split, self.id, self.labels_id],
            "header_pattern": self._header.pattern if self._header else None,
            "feature": self.feature,
            "keep_mask": self.keep_mask,
            "contradictions": self.contradictions,
        }

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        beside = [
            resolve(source, self.cache) for source in (self.labels, self.reference) if source is not None
        ]
        return self._digest(fingerprint_files([*self.files, *beside]))

    def records(self) -> Iterator[Record]:
        """Yield the records; what is no DNA or RNA is told to ``rejections``."""
        self.left_out.clear()
        if self.contradictions == "refuse" or self.target is None:
            yield from self._read(self.rejections)
            return
        targets: dict[bytes, Any] = {}
        doubtful: set[bytes] = set()
        for record in self._read(RejectionLog()):
            key = _digest(record.input)
            if targets.setdefault(key, record.target) != record.target:
                doubtful.add(key)
        for record in self._read(self.rejections):
            if _digest(record.input) in doubtful:
                self.left_out["whose sequence stands under different targets"] += 1
            else:
                yield record
        self._say_left_out()

    def _read(self, log: RejectionLog) -> Iterator[Record]:
        labels = self._read_labels()
        parts = self._parts_by_name()
        several = len(self.files) > 1
        for file in self.files:
            for entry in _not_proteins(self._entries(file, log), log, file):
                fields = {"file": _stem(file), **entry.fields}
                if labels is not None:
                    if entry.id not in labels:
                        log.reject(entry.source, entry.id, f"no row of {self.labels} has its id")
                        continue
                    fields |= labels[entry.id]
                if self._header is not None:
                    match = self._header.search(f"{entry.id} {entry.description}".strip())
                    fields |= match.groupdict() if match else {}
                lacking = [name for name in self._named() if name not in fields]
                if lacking:
                    reason = f"has no '{lacking[0]}': {did_you_mean(lacking[0], fields)}"
                    log.reject(entry.source, entry.id, reason)
                    continue
                yield self._record(entry, fields, several, parts.get(file))

    def _record(self, entry: Entry, fields: dict[str, Any], several: bool, part: str | None) -> Record:
        if isinstance(self.target, list):
            target: Any = {name: fields[name] for name in self.target}
        else:
            target = fields[self.target] if self.target else None
        group = fields[self.group] if self.group else None
        meta = {key: value for key, value in fields.items() if key not in (*self._named(), "file")}
        if self.split or part:
            meta["split"] = fields[self.split] if self.split else part
        # Ids need to be unique only within a file, so that of several files each is named with its own.
        id = f"{_stem_of(entry.source)}:{entry.id}" if several and ":" not in entry.id else entry.id
        return Record(id, entry.sequence, target, None if group is None else str(group), meta, entry.source)

    def _named(self) -> list[str]:
        """Return the fields that every record must have."""
        targets = self.target if isinstance(self.target, list) else [self.target]
        return [name for name in (*targets, self.group, self.split) if name]

    def _entries(self, file: Path, log: RejectionLog) -> Iterator[Entry]:
        if self.intervals is not None:
            assert self.reference is not None
            genome = Reference(resolve(self.reference, self.cache))
            try:
                yield from read_intervals(file, genome, log, feature=self.feature)
            finally:
                genome.close()
        elif sequence_format(file) == "table":
            checks = {}
            if self.labels is None:
                targets = self.target if isinstance(self.target, list) else [self.target]
                checks = {f"data.target={name}": name for name in targets if name and name != "file"}
                checks |= {
                    f"data.{key}": name
                    for key, name in (("group", self.group), ("split", self.split))
                    if name
                }
            yield from read_table_entries(file, log, self.input, self.id, checks)
        else:
            yield from read_sequences(file, log, feature=self.feature or "record", keep_mask=self.keep_mask)

    def _read_labels(self) -> dict[str, dict[str, Any]] | None:
        if self.labels is None:
            return None
        reader = TableReader(resolve(self.labels, self.cache))
        key = self.labels_id or reader.columns[0]
        reader.check(key, "data.labels_id")
        for name in self._named():
            if isinstance(self.target, str) and name == self.target and self._header is None:
                reader.check(name, "data.target")
        return {
            str(cells[key]): {name: value for name, value in cells.items() if name != key}
            for _, cells in reader.rows()
        }

    def _parts_by_name(self) -> dict[Path, str]:
        """Return the part of each file when all of several are named after parts."""
        if self.split or len(self.files) < 2:
            return {}
        found = {file: _PART_NAME.match(_stem(file)) for file in self.files}
        if not all(found.values()):
            return {}
        return {
            file: _PARTS.get(match[1].lower(), "validation")
            for file, match in found.items()
            if match is not None
        }


def _digest(sequence: str) -> bytes:
    return hashlib.blake2b(sequence.encode("ascii"), digest_size=16).digest()


def _not_proteins(entries: Iterator[Entry], log: RejectionLog, file: Path) -> Iterator[Entry]:
    """Say that a file holds proteins when none of its records could be read for that reason."""
    before = len(log.rejected)
    for entry in entries:
        yield entry
        yield from entries
        return
    told = log.rejected[before:]
    if told and all("protein" in item.reason for item in told[:_PROTEINS_SEEN]):
        raise DataError(
            f"{file} holds proteins, not DNA: record '{told[0].id}' {told[0].reason.split(':')[0]}.",
            expected="DNA or RNA",
            remedy="give the coding sequences instead; this domain reads nucleic acids only.",
        )


def _stem(file: Path) -> str:
    return file.name.split(".", 1)[0]


def _stem_of(source: str) -> str:
    return source.split(",", 1)[0].split(".", 1)[0]
