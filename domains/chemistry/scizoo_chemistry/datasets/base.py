"""What the datasets of this domain share: entries become standardised records, and what changed is said."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo.data.records import Dataset
from scizoo.files import sha256_json
from scizoo_chemistry.molecules import Structure, canonical_smiles
from scizoo_chemistry.rdkit_log import listening, reason_of
from scizoo_chemistry.readers.entry import Entry
from scizoo_chemistry.standardise import Changes, Standardiser

if TYPE_CHECKING:
    from rdkit.Chem import Mol

log = logging.getLogger(__name__)


class MoleculeDataset(Dataset):
    """A dataset of molecules: ``Record.input`` is canonical, isomeric SMILES.

    Records that are fine but not part of the task are no rejections; they are counted in ``left_out`` by
    reason and reported when the reading ends.

    Parameters
    ----------
    max_rejected : float
        The share of records that may be unreadable.
    standardiser : Standardiser, optional
        By default molecules stay as they are.
    """

    def __init__(self, *, max_rejected: float = 0.01, standardiser: Standardiser | None = None):
        super().__init__(max_rejected=max_rejected)
        self.standardiser = standardiser or Standardiser()
        #: What standardisation changed; filled while the records are read.
        self.changes = Changes()
        #: How many records were left out by design, by reason; filled while the records are read.
        self.left_out: Counter[str] = Counter()

    def _begin(self) -> None:
        self.changes, self.left_out = Changes(), Counter()

    def _say(self) -> None:
        if not self.standardiser.is_idle:
            log.info("%s: standardised: %s.", self.name, self.changes)
        if self.left_out:
            reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.left_out.items() if count)
            log.info("%s: left out by design: %s.", self.name, reasons)

    def smiles(self, mol: Mol) -> tuple[str, list[str]]:
        """Standardise a molecule and write it; returns the canonical SMILES and what was changed.

        Raises
        ------
        ValueError
            When it cannot be standardised, with the reason.
        """
        mol, changes = self.standardiser(mol)
        self.changes.note(changes)
        return canonical_smiles(mol), changes

    def settings(self) -> dict[str, Any]:
        """Return the reading options that change the records."""
        return {}

    def _digest(self, files: list[str] | str) -> str:
        from rdkit import rdBase

        return sha256_json(
            {
                "class": type(self).__qualname__,
                "files": files,
                "settings": self.settings(),
                "standardiser": vars_of(self.standardiser),
                # Another release may write another canonical SMILES.
                "rdkit": rdBase.rdkitVersion,
                "version": 1,
            }
        )


def vars_of(standardiser: Standardiser) -> dict[str, Any]:
    """Return the options of a standardiser as plain data."""
    return {name: getattr(standardiser, name) for name in standardiser.__dataclass_fields__}


def structure_of(entry: Entry, smiles: str | None) -> Structure:
    """Return the atoms and coordinates of an entry.

    Raises
    ------
    ValueError
        When it has none.
    """
    if entry.numbers is not None and entry.positions is not None:
        return Structure(entry.numbers, entry.positions, smiles, 0, entry.cell)
    mol = entry.mol
    if mol is None or not mol.GetNumConformers() or not mol.GetConformer().Is3D():
        raise ValueError("has no 3-D coordinates (data.geometry asks for them)")
    from rdkit import Chem

    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)
    positions = np.asarray(mol.GetConformer().GetPositions(), dtype=np.float64)
    return Structure(numbers, positions, smiles, int(Chem.GetFormalCharge(mol)))


def bonds_of(entry: Entry, charge: int = 0) -> Mol:
    """Tell the bonds of bare coordinates from distances and valences (Kim and Kim 2015, xyz2mol in RDKit).

    Raises
    ------
    ValueError
        When no set of bonds fits the coordinates and the charge.
    """
    from rdkit import Chem, Geometry
    from rdkit.Chem import rdDetermineBonds

    if entry.numbers is None or entry.positions is None:
        raise ValueError("has no coordinates")
    mol = Chem.RWMol()
    conformer = Chem.Conformer(len(entry.numbers))
    for place, (number, position) in enumerate(zip(entry.numbers.tolist(), entry.positions.tolist())):
        mol.AddAtom(Chem.Atom(number))
        conformer.SetAtomPosition(place, Geometry.Point3D(*position))
    mol.AddConformer(conformer)
    with listening() as messages:
        try:
            rdDetermineBonds.DetermineBonds(mol, charge=charge)
            return Chem.RemoveHs(mol)
        except (ValueError, RuntimeError) as error:
            why = reason_of(messages) or str(error).strip().split("\n", 1)[0]
            raise ValueError(f"its bonds cannot be told from its coordinates: {why}") from error
