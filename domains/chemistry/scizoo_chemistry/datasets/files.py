"""The user's own molecules: tables, SMILES and InChI lines, SDF, MOL or extended XYZ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Record, RejectionLog
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.table import TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_chemistry.datasets.base import MoleculeDataset, bonds_of, structure_of
from scizoo_chemistry.molecules import canonical_smiles
from scizoo_chemistry.readers.detect import SUFFIXES, molecule_format, read_molecules
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.readers.tables import read_table_molecules
from scizoo_chemistry.standardise import Standardiser

_PART_NAME = re.compile(
    r"^(?:.*[._-])?(train|training|valid|validation|val|dev|test)(?:[._-].*)?$", re.IGNORECASE
)
_PARTS = {"train": "train", "training": "train", "test": "test"}


class MoleculeFiles(MoleculeDataset):
    """Records from the user's own files of molecules.

    ``Record.input`` is canonical, isomeric SMILES, or with ``geometry`` a
    :class:`~scizoo_chemistry.molecules.Structure`. Empty target cells are missing labels.

    Parameters
    ----------
    path : str, optional
        A file, folder, glob, URL or other source. In a folder whose files are all named after parts
        (train, dev or validation, test), the names give the split.
    input : str
        Of a table: the column with SMILES or InChI. A column that differs in case alone is taken, and said.
    target : str or sequence of str, optional
        What to predict: a column of the table or of ``labels``, a property of the SDF, a value of the
        XYZ comment line. Of several the target is a mapping.
    group, split : str, optional
        Likewise, what must not be split apart, and which part a record belongs to.
    id : str, optional
        Likewise, the ids; by default the title, or file and row.
    labels : str, optional
        A table beside the molecules, a row a molecule, whose columns join the record's own.
    labels_id : str, optional
        Its column with the molecules' ids; by default the first.
    salts, normalise, charges, tautomers, stereo, isotopes
        See :class:`~scizoo_chemistry.standardise.Standardiser`.
    geometry : bool
        Whether the input is the structure with its coordinates (SDF and XYZ alone have them).
    bonds : bool
        Of XYZ: whether to tell the bonds from the coordinates, so that there is a SMILES. Without
        ``geometry`` it is done anyway.
    max_length : int or None
        Longer SMILES are rejected unread.
    contradictions : {"refuse", "leave_out"}
        What becomes of one molecule under different targets: classification refuses it by name (regression
        keeps both), or all its records are left out and counted. The files are then read twice.
    max_rejected : float
        The share of records that may be unreadable.
    cache : Path, optional
        Where fetched files are kept.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        input: str = "smiles",
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        id: str | None = None,
        labels: str | Path | None = None,
        labels_id: str | None = None,
        salts: bool = False,
        normalise: bool = False,
        charges: bool = False,
        tautomers: bool = False,
        stereo: bool = True,
        isotopes: bool = True,
        geometry: bool = False,
        bonds: bool = False,
        max_length: int | None = 2000,
        contradictions: str = "refuse",
        max_rejected: float = 0.01,
        cache: Path | None = None,
    ):
        super().__init__(
            max_rejected=max_rejected,
            standardiser=Standardiser(salts, normalise, charges, tautomers, stereo, isotopes),
        )
        if path is None:
            raise ConfigError(
                "data.path is not given.", expected="a file of molecules", remedy="add data.path=FILE."
            )
        if contradictions not in ("refuse", "leave_out"):
            raise ConfigError(f"data.contradictions is '{contradictions}'.", expected="refuse or leave_out")
        if geometry and not self.standardiser.is_idle:
            raise ConfigError(
                "data.geometry cannot go with standardisation, which would part atoms and coordinates.",
                expected="data.geometry=true with salts, charges and the like as they are by default",
            )
        self.path, self.cache = path, cache
        self.input, self.group, self.split, self.id = input, group, split, id
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.labels, self.labels_id = labels, labels_id
        self.geometry, self.bonds, self.max_length = geometry, bonds, max_length
        self.contradictions = contradictions

    @property
    def name(self) -> str:
        """What is read."""
        return str(self.path)

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the records."""
        return resolve_files(self.path, self.cache, SUFFIXES)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            "columns": [self.input, self.target, self.group, self.split, self.id, self.labels_id],
            "geometry": self.geometry,
            "bonds": self.bonds,
            "max_length": self.max_length,
            "contradictions": self.contradictions,
        }

    def fingerprint(self) -> str:
        """Digest of the files' contents and of the reading options."""
        beside = [resolve(self.labels, self.cache)] if self.labels is not None else []
        return self._digest(fingerprint_files([*self.files, *beside]))

    def records(self) -> Iterator[Record]:
        """Yield the records; what is no molecule is told to ``rejections``."""
        self._begin()
        doubtful: set[Any] = set()
        if self.contradictions == "leave_out" and self.target is not None:
            targets: dict[Any, Any] = {}
            for record in self._read(RejectionLog()):
                if repr(targets.setdefault(record.input, record.target)) != repr(record.target):
                    doubtful.add(record.input)
            self._begin()
        for record in self._read(self.rejections):
            if record.input in doubtful:
                self.left_out["whose molecule stands under different targets"] += 1
            else:
                yield record
        self._say()

    def _read(self, rejections: RejectionLog) -> Iterator[Record]:
        labels = self._read_labels()
        parts = self._parts_by_name()
        several = len(self.files) > 1
        for file in self.files:
            for entry in self._entries(file, rejections):
                fields = dict(entry.fields)
                id = str(fields[self.id]) if self.id and fields.get(self.id) is not None else entry.id
                if labels is not None:
                    if id not in labels:
                        rejections.reject(entry.source, id, f"no row of {self.labels} has its id")
                        continue
                    fields |= labels[id]
                lacking = next((name for name in self._named() if name not in fields), None)
                if lacking is not None:
                    known = [name for name in fields if name != "title"]
                    reason = f"has no '{lacking}': {did_you_mean(lacking, known)}"
                    rejections.reject(entry.source, id, reason)
                    continue
                try:
                    input, changes = self._input(entry)
                except ValueError as error:
                    rejections.reject(entry.source, id, str(error))
                    continue
                # Titles need to be unique only within a file.
                own = f"{_stem(file)}:{id}" if several and ":" not in id else id
                yield self._record(own, input, changes, fields, entry, parts.get(file))

    def _input(self, entry: Entry) -> tuple[Any, list[str]]:
        if entry.mol is not None and not self.geometry:
            return self.smiles(entry.mol)
        mol = entry.mol
        if mol is None and (self.bonds or not self.geometry):
            mol = bonds_of(entry)
            if not self.geometry:
                return self.smiles(mol)
        elif mol is not None:
            from rdkit import Chem

            mol = Chem.RemoveHs(mol)
        return structure_of(entry, None if mol is None else canonical_smiles(mol)), []

    def _record(
        self,
        id: str,
        input: Any,
        changes: list[str],
        fields: dict[str, Any],
        entry: Entry,
        part: str | None,
    ) -> Record:
        if isinstance(self.target, list):
            target: Any = {name: fields[name] for name in self.target}
        else:
            target = fields[self.target] if self.target else None
        group = fields[self.group] if self.group else None
        meta = {key: value for key, value in fields.items() if key not in (*self._named(), "title", self.id)}
        if not self.standardiser.is_idle:
            meta["standardised"] = "; ".join(changes) or "as it was"
            if changes and entry.text:
                meta["smiles_as_given"] = entry.text
        if self.split or part:
            meta["split"] = fields[self.split] if self.split else part
        return Record(id, input, target, None if group is None else str(group), meta, entry.source)

    def _named(self) -> list[str]:
        """Return the fields that every record must have."""
        targets = self.target if isinstance(self.target, list) else [self.target]
        return [name for name in (*targets, self.group, self.split) if name]

    def _entries(self, file: Path, rejections: RejectionLog) -> Iterator[Entry]:
        if molecule_format(file) != "table":
            return read_molecules(file, rejections, self.geometry, self.max_length)
        checks = {f"data.{key}": name for key, name in (("group", self.group), ("split", self.split)) if name}
        targets = self.target if isinstance(self.target, list) else [self.target]
        checks |= {f"data.target={name}": name for name in targets if name}
        if self.labels is not None:
            checks = {}
        return read_table_molecules(file, rejections, self.input, self.id, checks, self.max_length)

    def _read_labels(self) -> dict[str, dict[str, Any]] | None:
        if self.labels is None:
            return None
        reader = TableReader(resolve(self.labels, self.cache))
        key = self.labels_id or reader.columns[0]
        reader.check(key, "data.labels_id")
        found: dict[str, dict[str, Any]] = {}
        for number, cells in reader.rows():
            id = str(cells[key])
            if id in found:
                raise DataError(
                    f"{reader.path}, row {number}: a second row has the id '{id}'.",
                    expected="one row of labels a molecule",
                    remedy="remove one of them.",
                )
            found[id] = {name: value for name, value in cells.items() if name != key}
        return found

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


def _stem(file: Path) -> str:
    return file.name.split(".", 1)[0]
