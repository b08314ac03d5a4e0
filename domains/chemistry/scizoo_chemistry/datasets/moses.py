"""MOSES: 1.6 million drug-like molecules of ZINC to pre-train on, read lazily."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from scizoo.data.records import Licence, Record
from scizoo.data.sources import fingerprint_files, resolve
from scizoo.errors import ConfigError, DataError, did_you_mean
from scizoo_chemistry.datasets.base import MoleculeDataset
from scizoo_chemistry.molecules import parse_smiles
from scizoo_chemistry.readers.opening import lines

_WHEEL = "pypi:molsets==0.3.1!moses/dataset/data/{name}.csv.gz#sha256={digest}"
#: The official parts and the digests of their files.
PARTS = {
    "train": "786f0313aa6b9ba5514df685f885742a70ea8d86f1a4fa48115f7f80a634265c",
    "test": "f896fbf3764f88d94670b9959e5872c600c12152a18233823e820761b7a791b2",
    "test_scaffolds": "adffb2192c1bfe31ab0e13154d4af19a37dc18bdbf3cd7b4491e04405128adde",
}


class MosesCorpus(MoleculeDataset):
    """The MOSES corpus as a stream of SMILES; records without targets.

    Neutral molecules of 250 to 350 Da without stereochemistry, of C, N, O, S, F, Cl and Br alone (and no
    molecule of the test files is in train). Which molecules serve for validation follows from a hash of
    their ids, so that nothing has to be held in memory for it.

    Parameters
    ----------
    path : str, optional
        A folder with ``train.csv.gz``, or a table of one column of SMILES; by default the file is taken from
        the wheel of molsets (52 MB are fetched once, 10 MB kept).
    part : {"train", "test", "test_scaffolds", "all"}
        Which file of MOSES, or all three.
    every : int
        Read one molecule of so many, evenly over the file, whose order is by blocks.
    limit : int, optional
        Read only so many.
    canonical : bool
        Whether to parse every molecule and spell it as this RDKit does (three minutes for all). The file's
        own spelling is an older RDKit's and differs in one molecule of two thousand.
    max_rejected : float
    """

    licence = Licence("MIT")
    citation = (
        "Polykovskiy et al. (2020) Molecular Sets (MOSES): a benchmarking platform for molecular generation "
        "models. Front. Pharmacol. 11:565644 (molecules from ZINC Clean Leads, Sterling and Irwin 2015)"
    )

    def __init__(
        self,
        path: str | Path | None = None,
        part: str = "train",
        every: int = 1,
        limit: int | None = None,
        canonical: bool = False,
        max_rejected: float = 0.01,
    ):
        super().__init__(max_rejected=max_rejected)
        if part not in (*PARTS, "all"):
            raise ConfigError(f"data.part is '{part}': {did_you_mean(part, [*PARTS, 'all'])}")
        if every < 1 or (limit is not None and limit < 1):
            raise ConfigError(
                f"data.every={every}, data.limit={limit}", expected="at least 1; limit: or null"
            )
        self.path, self.part, self.canonical = path, part, canonical
        self.every, self.limit = every, limit

    @cached_property
    def files(self) -> dict[str, Path]:
        """The tables that are read, by the name of their part; fetched first where needed."""
        names = list(PARTS) if self.part == "all" else [self.part]
        if self.path is None:
            return {name: resolve(_WHEEL.format(name=name, digest=PARTS[name])) for name in names}
        path = resolve(self.path)
        if not path.is_dir():
            return {self.part: path}
        return {name: _below(path, name) for name in names}

    @property
    def name(self) -> str:
        """What is read."""
        return f"MOSES {self.part}"

    def settings(self) -> dict[str, Any]:
        """Return the options that change the records."""
        return {
            "part": self.part,
            "every": self.every,
            "limit": self.limit,
            "canonical": self.canonical,
        }

    def fingerprint(self) -> str:
        """Digest of the files and of the options."""
        return self._digest(fingerprint_files(self.files.values()))

    def records(self) -> Iterator[Record]:
        """Yield the molecules in the order of the files."""
        self._begin()
        place = given = 0
        for part, file in self.files.items():
            for number, text in _rows(file):
                place += 1
                if (place - 1) % self.every:
                    continue
                if given == self.limit:
                    break
                given += 1
                id, source = f"{part}-{number - 1}", f"{file.name}, line {number}"
                if self.canonical:
                    mol, reason = parse_smiles(text)
                    if mol is None:
                        self.rejections.reject(source, id, f"'{text[:60]}' {reason}")
                        continue
                    text, _ = self.smiles(mol)
                elif not text.isascii() or " " in text:
                    self.rejections.reject(source, id, f"'{text[:60]}' is no SMILES")
                    continue
                yield Record(id, text, None, None, {}, source)
        self._say()


def _below(folder: Path, part: str) -> Path:
    for ending in (".csv.gz", ".csv"):
        if (folder / f"{part}{ending}").is_file():
            return folder / f"{part}{ending}"
    raise DataError(
        f"{folder} holds no {part}.csv.gz.",
        expected="the folder of MOSES, with train.csv.gz",
        remedy="leave data.path out: the file is then fetched.",
    )


def _rows(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and SMILES of each row below the header."""
    for number, line in lines(file):
        text = line.split(",", 1)[0].strip()
        if number == 1:
            if text.lower() != "smiles":
                raise DataError(
                    f"{file} begins with '{line[:40]}'.",
                    expected="a first line 'SMILES'",
                    remedy="read other tables with scizoo_chemistry.datasets.files.MoleculeFiles.",
                )
        elif text:
            yield number, text
