"""What the contract suite (``python -m scizoo.testing chemistry``) needs to know of this domain."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from scizoo.testing import BadFile, Examples

_RINGS = (
    "c1ccccc1",
    "c1ccncc1",
    "C1CCCCC1",
    "c1ccsc1",
    "c1ccoc1",
    "C1CCNCC1",
    "C1CCOC1",
    "c1ccc2ccccc2c1",
    "c1cnc2ccccc2c1",
    "C1CC1",
)
_CHAINS = ("CCO", "CC(=O)O", "CCN", "ClCC")


def _molecules() -> list[tuple[str, bool]]:
    """Forty small molecules on ten scaffolds, in RDKit's spelling, and whether they hold oxygen."""
    from rdkit.Chem import CanonSmiles

    found = [CanonSmiles(chain + ring) for ring in _RINGS for chain in _CHAINS]
    return [(smiles, "O" in smiles.upper()) for smiles in found]


def _table(header: str, row: Callable[[str, bool], str], *settings: str) -> Callable[[Path], Sequence[str]]:
    def write(folder: Path) -> Sequence[str]:
        path = folder / "tiny.csv"
        lines = [header, *(f"{smiles},{row(smiles, oxygen)}" for smiles, oxygen in _molecules())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"data.path={path}", *settings]

    return write


def _set(header: str, row: Callable[[str, bool], str]) -> Callable[[Path], Sequence[str]]:
    """A folder as MoleculeNet's sets are kept: a table, and a split by scaffold beside it."""

    def write(folder: Path) -> Sequence[str]:
        lines = [header, *(f"{row(smiles, oxygen)},{smiles}" for smiles, oxygen in _molecules())]
        content = ("\n".join(lines) + "\n").encode()
        (folder / "tiny.csv.gz").write_bytes(gzip.compress(content, mtime=0))
        places = list(range(len(lines) - 1))
        parts = {"train": places[:28], "valid": places[28:32], "test": places[32:]}
        (folder / "scaffold_split_80_10_10.json").write_text(json.dumps(parts), encoding="utf-8")
        return [f"data.path={folder}"]

    return write


def _corpus(folder: Path) -> Sequence[str]:
    """A file of MOSES in little."""
    lines = ["SMILES", *(smiles for smiles, _ in _molecules())]
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [f"data.path={folder}", "data.every=1"]


def _heavy(smiles: str) -> float:
    return sum(letter.isalpha() for letter in smiles) / 10


_TOX21 = (
    "NR-AR,NR-AR-LBD,NR-AhR,NR-Aromatase,NR-ER,NR-ER-LBD,NR-PPAR-gamma,SR-ARE,SR-ATAD5,SR-HSE,SR-MMP,SR-p53"
)


def _assays(smiles: str, oxygen: bool) -> str:
    """Two labels by turns, and one cell in six left empty."""
    cells = [str(int(oxygen)) if number % 2 else str(int("N" in smiles.upper())) for number in range(12)]
    for number in range(len(smiles) % 6, 12, 6):
        cells[number] = ""
    return ",".join([*cells, "TOX"])


def _labels(smiles: str, oxygen: bool) -> str:
    """Two labels, the second one missing now and then."""
    return f"{int(oxygen)},{'' if len(smiles) % 5 == 0 else int('N' in smiles.upper())}"


_CLASSES = "chemistry/classification"
_GOOD = "\n".join(
    f"{chain}{ring},{'ab'['O' in (chain + ring).upper()]}" for ring in _RINGS for chain in _CHAINS
)

EXAMPLES = Examples(
    inputs=("Cc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "[Cl-].[Na+]", "F/C=C/Cl", "N#Cc1ccc(Br)cc1", "C"),
    own_data={
        _CLASSES: _table("smiles,label", lambda _, oxygen: "with" if oxygen else "without"),
        "chemistry/multilabel": _table(
            "smiles,oxygen,nitrogen",
            _labels,
            "data.target=[oxygen,nitrogen]",
        ),
        "chemistry/regression": _table(
            "smiles,size", lambda smiles, _: f"{_heavy(smiles)}", "data.target=size"
        ),
        "chemistry/esol": _set(
            "measured log solubility in mols per litre,smiles", lambda smiles, _: f"{_heavy(smiles)}"
        ),
        "chemistry/lipophilicity": _set("CMPD_CHEMBLID,exp,smiles", lambda smiles, _: f"x,{_heavy(smiles)}"),
        "chemistry/bbbp": _set("p_np,smiles", lambda _, oxygen: str(int(oxygen))),
        "chemistry/tox21": _set(f"{_TOX21},mol_id,smiles", _assays),
        "chemistry/generate": _table("smiles,size", lambda smiles, _: f"{_heavy(smiles)}"),
        "chemistry/smiles-tiny": _corpus,
        "chemistry/smiles-gen-tiny": _corpus,
    },
    bad_files=(
        BadFile(_CLASSES, "empty.csv", b"", ("is empty",)),
        BadFile(_CLASSES, "header.csv", b"smiles,label\n", ("header",)),
        BadFile(_CLASSES, "columns.csv", b"structure,label\nCCO,a\n", ("'smiles'", "structure")),
        BadFile(_CLASSES, "binary.sdf", bytes(range(256)) * 8, ("binary",)),
        BadFile(_CLASSES, "half.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", ("damaged", "copy or download")),
        BadFile(
            _CLASSES,
            "valence.csv",
            f"smiles,label\n{_GOOD}\nC(C)(C)(C)(C)C,a\n".encode(),
            ("row 41", "valence", "rejected.csv", "max_rejected"),
        ),
        BadFile(
            _CLASSES,
            "ring.csv",
            f"smiles,label\n{_GOOD}\nC1CCC,a\n".encode(),
            ("row 41", "ring", "rejected.csv"),
        ),
        BadFile(_CLASSES, "both.csv", b"smiles,label\nCCO,a\nOCC,b\n", ("different labels",)),
        BadFile(
            _CLASSES,
            "twice.csv",
            f"name,smiles,label\n{chr(10).join(f'm{n},{row}' for n, row in enumerate(_GOOD.split()))}"
            "\nm3,CCCCBr,a\n".encode(),
            ("'m3'",),
            ("data.id=name",),
        ),
    ),
    model=("tokenizer=chemistry/smiles", "backbone=modernbert-tiny"),
    settings={"chemistry/pains": ("data.limit=600",)},
)
