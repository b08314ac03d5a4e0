"""Molecules as the rest of the plugin passes them on: SMILES, and structures with coordinates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.errors import DataError
from scizoo_chemistry.rdkit_log import listening, reason_of

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass(frozen=True, eq=False)
class Structure:
    """A molecule with the coordinates of its atoms.

    Parameters
    ----------
    numbers : ndarray of uint8, shape (atoms,)
        Atomic numbers, hydrogens included where the file has them.
    positions : ndarray of float64, shape (atoms, 3)
        In angstrom.
    smiles : str, optional
        The bonds, where the file states them or they could be told from the coordinates.
    charge : int
        Total formal charge.
    cell : ndarray of float64, shape (3, 3), optional
        Lattice vectors in angstrom of a periodic structure.
    """

    numbers: np.ndarray
    positions: np.ndarray
    smiles: str | None = None
    charge: int = 0
    cell: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.positions.shape != (len(self.numbers), 3):
            raise DataError(
                f"a structure has {len(self.numbers)} atoms and positions of shape {self.positions.shape}.",
                expected="three coordinates an atom",
            )

    @property
    def digest(self) -> str:
        """Name the structure by its content."""
        parts: list[np.ndarray] = [self.numbers.astype(np.uint8)]
        parts += [
            np.ascontiguousarray(a, dtype=np.float64) for a in (self.positions, self.cell) if a is not None
        ]
        head = f"{self.smiles}|{self.charge}|{len(self.numbers)}".encode()
        return hashlib.blake2b(head + b"".join(part.tobytes() for part in parts), digest_size=12).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Structure({self.smiles or f'{len(self.numbers)} atoms'}, {self.digest})"


def parse_smiles(text: str) -> tuple[Mol | None, str | None]:
    """Read a SMILES string.

    Parameters
    ----------
    text : str

    Returns
    -------
    mol : Mol or None
        Sanitised, without explicit hydrogens; None where RDKit refuses it.
    reason : str or None
        Why it was refused, in RDKit's words.
    """
    from rdkit import Chem

    text = text.strip()
    if not text:
        return None, "is empty"
    # What follows a blank is a name to RDKit; here it is a sign that the cell holds something else.
    _, _, rest = text.partition(" ")
    if rest and not rest.lstrip().startswith("|"):
        return None, f"holds more than one word: {text[:40]!r}"
    with listening() as messages:
        mol = Chem.MolFromSmiles(text)
    if mol is None:
        return None, f"is no SMILES that RDKit reads: {reason_of(messages) or 'no reason given'}"
    if not mol.GetNumAtoms():
        return None, "has no atom"
    return mol, None


def parse_inchi(text: str) -> tuple[Mol | None, str | None]:
    """Read an InChI; returns as :func:`parse_smiles`.

    An InChI with mobile hydrogens stands for several tautomers, of which the library often gives an odd one
    (the imidic acid of an amide); RDKit's canonical tautomer is taken then.
    """
    from rdkit.Chem import rdinchi

    with listening() as messages:
        mol, code, message, log = rdinchi.InchiToMol(text.strip(), True, True)
        if mol is not None and "(H" in text:
            mol = _usual_tautomer(mol)
    if mol is None or not mol.GetNumAtoms():
        lines = [line.strip() for line in f"{message}\n{log}".splitlines()]
        told = next((line for line in lines if "error" in line.lower()), None)
        told = told or reason_of(messages) or f"return code {code}"
        return None, f"is no InChI that can be read: {told.removeprefix('Structure: 1 ').rstrip('.')}"
    return mol, None


def _usual_tautomer(mol: Mol) -> Mol:
    from rdkit.Chem.MolStandardize import rdMolStandardize

    enumerator = rdMolStandardize.TautomerEnumerator()
    enumerator.SetRemoveSp3Stereo(False)
    enumerator.SetRemoveBondStereo(False)
    enumerator.SetMaxTautomers(300)
    try:
        return enumerator.Canonicalize(mol)
    except (RuntimeError, ValueError):  # what the InChI itself gave will do
        return mol


def parse_text(text: str) -> tuple[Mol | None, str | None]:
    """Read a SMILES or an InChI string, told apart by how it begins; returns as :func:`parse_smiles`."""
    return parse_inchi(text) if text.lstrip().startswith("InChI=") else parse_smiles(text)


def smiles_of(input: Any) -> str:
    """Return the SMILES of a record's input.

    Parameters
    ----------
    input : str or Structure

    Raises
    ------
    DataError
        When it is neither, is empty, or is a structure whose bonds are unknown.
    """
    if isinstance(input, Structure):
        if input.smiles is None:
            raise DataError(
                f"{input!r} has coordinates but no known bonds.",
                expected="a SMILES string",
                remedy="set data.bonds=true to tell them from the coordinates, or give SMILES or SDF.",
            )
        return input.smiles
    if not isinstance(input, str):
        raise DataError(f"the input is {type(input).__name__}.", expected="a SMILES string")
    if not input.strip():
        raise DataError("the input is empty.", expected="a SMILES string", remedy="leave it out.")
    return input


def to_mol(input: Any) -> Mol:
    """Return the RDKit molecule of a record's input, sanitised.

    Parameters
    ----------
    input : str or Structure

    Raises
    ------
    DataError
        With RDKit's reason when it cannot be read.
    """
    text = smiles_of(input)
    mol, reason = parse_text(text)
    if mol is None:
        raise DataError(
            f"'{text[:60]}' {reason}.",
            expected="a SMILES string that RDKit reads",
            remedy="mend or leave out this molecule.",
        )
    return mol


def canonical_smiles(mol: Mol) -> str:
    """Write RDKit's canonical, isomeric SMILES."""
    from rdkit import Chem

    return str(Chem.MolToSmiles(mol))
