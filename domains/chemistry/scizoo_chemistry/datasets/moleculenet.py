"""MoleculeNet sets in folders: a table of molecules and a scaffold split beside it, as row numbers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve, resolve_files
from scizoo.data.splits import PARTS
from scizoo.data.table import SUFFIXES, TableReader
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_chemistry.datasets.base import MoleculeDataset
from scizoo_chemistry.molecules import parse_smiles
from scizoo_chemistry.readers.tables import input_column
from scizoo_chemistry.standardise import Standardiser

SPLIT = "scaffold_split_80_10_10.json"
_NAMES = {"valid": "validation", "val": "validation", "dev": "validation"}
_WU = "Wu et al. (2018) MoleculeNet: a benchmark for molecular machine learning. Chem. Sci. 9:513-530"
_UNSTATED = Licence("unstated by its source")


@dataclass(frozen=True)
class _Set:
    """What is known of one set; ``targets`` empty: every column but the SMILES and the ids."""

    name: str
    targets: tuple[str, ...]
    classes: bool
    licence: Licence
    source: str
    other: tuple[str, ...] = ()


#: By a column that only this set has.
_SETS = {
    "measured log solubility in mols per litre": _Set(
        "ESOL",
        ("measured log solubility in mols per litre",),
        False,
        _UNSTATED,
        "Delaney (2004) ESOL: estimating aqueous solubility directly from molecular structure. J. Chem. Inf. "
        "Comput. Sci. 44:1000-1005",
    ),
    "CMPD_CHEMBLID": _Set(
        "Lipophilicity",
        ("exp",),
        False,
        Licence("CC-BY-SA-3.0"),
        "Hersey (2015) ChEMBL deposited data set AZ_dataset. doi:10.6019/CHEMBL3301361",
    ),
    "p_np": _Set(
        "BBBP",
        ("p_np",),
        True,
        _UNSTATED,
        "Martins et al. (2012) A Bayesian approach to in silico blood-brain barrier penetration modeling. "
        "J. Chem. Inf. Model. 52:1686-1697",
    ),
    "NR-AR": _Set(
        "Tox21",
        (),
        True,
        Licence("public domain (United States government)"),
        "Huang et al. (2016) Tox21Challenge to build predictive models of nuclear receptor and stress "
        "response pathways. Front. Environ. Sci. 3:85",
        ("mol_id",),
    ),
    "Hepatobiliary disorders": _Set(
        "SIDER",
        (),
        True,
        Licence("CC-BY-NC-SA-4.0", commercial=False),
        "Kuhn et al. (2016) The SIDER database of drugs and side effects. Nucleic Acids Res. 44:D1075-D1079",
    ),
}


class MoleculeNet(MoleculeDataset):
    """One set of MoleculeNet with the split that lies beside it.

    The part of each record stands in ``meta["split"]``, for the core's GivenSplitter. Empty cells are
    missing labels (17% of Tox21). Molecules stay as they are but for RDKit's canonical spelling, so that
    results can be put beside published ones.

    Parameters
    ----------
    path : str
        The folder of one set (ESOL, Lipophilicity, BBBP, Tox21, SIDER, or your own in the same layout: one
        table and one split), or of several.
    subset : str, optional
        Of a folder of several: the name of the folder to read.
    target : str or sequence of str, optional
        Columns to predict; by default the set's own. Of several the target is a mapping.
    input : str
        The column with SMILES.
    split_file : str
        A JSON file with row numbers, from 0, under train, valid and test; rows that it does not name are
        left out and counted.
    contradictions : {"leave_out", "refuse"}
        What becomes of a molecule that stands under different classes (10 molecules of BBBP). Numbers that
        differ stay, as in the published figures.
    salts, charges, tautomers : bool
        See :class:`~scizoo_chemistry.standardise.Standardiser`.
    max_rejected : float
        The share of rows that may be unreadable; 11 of 2,050 are in BBBP.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        subset: str | None = None,
        target: str | Sequence[str] | None = None,
        input: str = "smiles",
        split_file: str = SPLIT,
        contradictions: str = "leave_out",
        salts: bool = False,
        charges: bool = False,
        tautomers: bool = False,
        max_rejected: float = 0.01,
    ):
        super().__init__(
            max_rejected=max_rejected,
            standardiser=Standardiser(salts=salts, charges=charges, tautomers=tautomers),
        )
        if path is None:
            raise ConfigError(
                "data.path is not given.",
                expected="a folder with a table of molecules and " + SPLIT,
                remedy="add data.path=FOLDER.",
            )
        if contradictions not in ("refuse", "leave_out"):
            raise ConfigError(f"data.contradictions is '{contradictions}'.", expected="refuse or leave_out")
        self.path, self.subset, self.input, self.split_file = path, subset, input, split_file
        self._target = target if target is None or isinstance(target, str) else list(target)
        self.contradictions = contradictions
        if self._known is not None:
            self.licence = self._known.licence
            self.citation = f"{self._known.source}; {_WU}"
        else:
            self.citation = _WU

    @cached_property
    def folder(self) -> Path:
        """The folder of the set."""
        root = resolve(self.path)
        folder = root / self.subset if self.subset else root
        if not folder.is_dir():
            names = sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
            hint = did_you_mean(str(self.subset), names) if self.subset else None
            raise DataError(
                f"{folder} is no folder.",
                expected=f"a folder with a table and {self.split_file}",
                remedy=hint,
            )
        return folder

    @cached_property
    def table(self) -> TableReader:
        """The table of the set."""
        files = [file for file in resolve_files(self.folder, None, SUFFIXES) if file.parent == self.folder]
        if len(files) != 1:
            below = sorted(p.name for p in self.folder.iterdir() if p.is_dir())
            raise DataError(
                f"{self.folder} holds {len(files)} tables.",
                expected="the folder of one set, with one table",
                remedy=f"add data.subset=NAME, one of {', '.join(below)}." if below else "remove the others.",
            )
        return TableReader(files[0])

    @cached_property
    def _known(self) -> _Set | None:
        return next((one for column, one in _SETS.items() if column in self.table.columns), None)

    @cached_property
    def target(self) -> str | list[str]:
        """The column or columns to predict."""
        if self._target is not None:
            return self._target
        if self._known is None:
            raise ConfigError(
                f"data.target is not given, and {self.table.path} is no set that is known here.",
                expected="one or more of its columns: " + ", ".join(self.table.columns),
            )
        if self._known.targets:
            return self._known.targets[0]
        return [name for name in self.table.columns if name not in (self.input, *self._known.other)]

    @property
    def name(self) -> str:
        """What is read."""
        return f"MoleculeNet {self._known.name}" if self._known else str(self.folder)

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            "target": self.target,
            "input": self.input,
            "split_file": self.split_file,
            "contradictions": self.contradictions,
        }

    def fingerprint(self) -> str:
        """Digest of the table, the split and the options."""
        return self._digest(fingerprint_files([self.table.path, self.folder / self.split_file]))

    def records(self) -> Iterator[Record]:
        """Yield the records in the order of the table."""
        self._begin()
        read = list(self._read())
        doubtful: set[str] = set()
        classes = self._known.classes if self._known else True
        if classes and self.contradictions == "leave_out":
            targets: dict[str, set[str]] = defaultdict(set)
            for record in read:
                targets[record.input].add(repr(record.target))
            doubtful = {smiles for smiles, found in targets.items() if len(found) > 1}
        for record in read:
            if record.input in doubtful:
                self.left_out["whose molecule stands under different classes"] += 1
            else:
                yield record
        self._say()

    def _read(self) -> Iterator[Record]:
        reader, parts = self.table, self._parts()
        column = input_column(reader, self.input)
        targets = self.target if isinstance(self.target, list) else [self.target]
        for name in targets:
            reader.check(name, "data.target")
        rows = 0
        for number, cells in reader.rows(None, self.rejections):
            row = number - 1
            rows += 1
            source = f"{reader.path.name}, row {number}"
            id = f"{self._known.name if self._known else self.folder.name}-{row}"
            text = cells.pop(column)
            mol, reason = parse_smiles(text) if text else (None, "is empty")
            if mol is None:
                self.rejections.reject(source, id, f"'{str(text)[:60]}' {reason}")
                continue
            if row not in parts:
                self.left_out["that the split does not name"] += 1
                continue
            try:
                smiles, _ = self.smiles(mol)
            except ValueError as error:
                self.rejections.reject(source, id, str(error))
                continue
            target = {name: cells[name] for name in targets}
            meta = {name: value for name, value in cells.items() if name not in targets}
            yield Record(
                id,
                smiles,
                target if isinstance(self.target, list) else target[self.target],
                None,
                meta | {"split": parts[row]},
                source,
            )
        if parts and max(parts) >= rows:
            raise DataError(
                f"{self.folder / self.split_file} names row {max(parts)}, but {reader.path} has {rows} rows.",
                expected="a split of this very table",
                remedy="fetch table and split from the same place.",
            )

    def _parts(self) -> dict[int, str]:
        path = self.folder / self.split_file
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(
                f"{path} cannot be read: {error.strerror}.",
                expected="a JSON file with row numbers under train, valid and test",
                remedy="name it in data.split_file, or read the table with chemistry/regression instead.",
            ) from error
        except ValueError as error:
            raise DataError(f"{path} is no JSON: {error}.", remedy="fetch it again.") from error
        found: dict[int, str] = {}
        for name, rows in content.items() if isinstance(content, dict) else ():
            part = _NAMES.get(name, name)
            if part in PARTS and isinstance(rows, list):
                for row in rows:
                    if not isinstance(row, int) or found.setdefault(row, part) != part:
                        raise DataError(f"{path}: row {row!r} is no number or in two parts.")
        if not found:
            raise DataError(f"{path} names no rows.", expected="row numbers under train, valid and test")
        return found
