"""Features of atoms and bonds, those of chemprop 2 save the chiral tag.

Atoms have 72 columns: one-hot atomic number (1 to 36 and 53), degree (0 to 5), formal charge (-1, -2, 1, 2,
0), chirality (none, R, S, without a label), hydrogens (0 to 4) and hybridisation, each with a last column for
anything else; then aromaticity and a hundredth of the mass. Bonds have 14: no bond, single, double, triple,
aromatic; conjugated; in a ring; stereo (0 to 5 or else).

chemprop takes RDKit's chiral tag, which turns over when the atoms are listed in another order. The label of
Cahn, Ingold and Prelog stands in its place, so that the features are the molecule's own.

Source: Heid et al. 2024, J. Chem. Inf. Model. 64:9 (``MultiHotAtomFeaturizer.v2``,
``MultiHotBondFeaturizer``), after Yang et al. 2019, J. Chem. Inf. Model. 59:3370.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

FEATURES_VERSION = 1

_ATOMIC_NUMBERS = (*range(1, 37), 53)
_DEGREES = range(6)
_CHARGES = (-1, -2, 1, 2, 0)
_CHIRALITIES = range(4)
_HYDROGENS = range(5)
_HYBRIDISATIONS = ("S", "SP", "SP2", "SP2D", "SP3", "SP3D", "SP3D2")
_BOND_TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
_STEREO = range(6)

_SHIFT = 64  # makes every value a place in a look-up table; formal charges begin below zero
_TABLE = 256
_LABEL_EFFORT = 100_000  # steps in which the labels of nearly every drug are found


def _places(values: Sequence[int]) -> np.ndarray:
    """Return a table from a value to its column; what is not among the values gets the last one."""
    table = np.full(_TABLE, len(values), dtype=np.int64)
    for column, value in enumerate(values):
        table[value + _SHIFT] = column
    return table


_ATOM_TABLES = (
    (_places(_ATOMIC_NUMBERS), len(_ATOMIC_NUMBERS) + 1),
    (_places(_DEGREES), len(_DEGREES) + 1),
    (_places(_CHARGES), len(_CHARGES) + 1),
    (_places(_CHIRALITIES), len(_CHIRALITIES) + 1),
    (_places(_HYDROGENS), len(_HYDROGENS) + 1),
    (_places(range(len(_HYBRIDISATIONS))), len(_HYBRIDISATIONS) + 1),
)


@cache
def _rdkit_places() -> tuple[dict[Any, int], dict[Any, int]]:
    """Give the columns of RDKit's hybridisations and types of bonds."""
    from rdkit.Chem import BondType, HybridizationType

    hybrids = {HybridizationType.names[name]: place for place, name in enumerate(_HYBRIDISATIONS)}
    return hybrids, {BondType.names[name]: place for place, name in enumerate(_BOND_TYPES)}


ATOM_FEATURES = sum(width for _, width in _ATOM_TABLES) + 2
BOND_FEATURES = 1 + len(_BOND_TYPES) + 2 + len(_STEREO) + 1


def _label_centres(molecule: Any) -> None:
    """Give the centres of a molecule their labels, r and s of pseudoasymmetric ones included."""
    if not any(int(atom.GetChiralTag()) for atom in molecule.GetAtoms()):
        return
    from rdkit.Chem import rdCIPLabeler

    try:
        rdCIPLabeler.AssignCIPLabels(molecule, maxRecursiveIterations=_LABEL_EFFORT)
    except RuntimeError:  # too symmetric for the effort allowed: RDKit's plain labels stay
        return


def _chirality(atom: Any) -> int:
    """Return 0 for no centre, 1 for R, 2 for S, 3 for a centre without a label."""
    if not int(atom.GetChiralTag()):
        return 0
    label = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    return {"R": 1, "r": 1, "S": 2, "s": 2}.get(label, 3)


def atom_rows(molecules: Sequence[Any]) -> np.ndarray:
    """Describe the atoms of molecules, one after the other.

    Parameters
    ----------
    molecules : sequence of rdkit Mol

    Returns
    -------
    ndarray of float16, shape (atoms, 72)
    """
    hybrids, other = _rdkit_places()[0], len(_HYBRIDISATIONS)
    codes: list[tuple[int, ...]] = []
    masses: list[float] = []
    for molecule in molecules:
        _label_centres(molecule)
        for atom in molecule.GetAtoms():
            codes.append(
                (
                    atom.GetAtomicNum(),
                    atom.GetTotalDegree(),
                    atom.GetFormalCharge(),
                    _chirality(atom),
                    int(atom.GetTotalNumHs()),
                    hybrids.get(atom.GetHybridization(), other),
                    atom.GetIsAromatic(),
                )
            )
            masses.append(atom.GetMass())
    rows = np.zeros((len(codes), ATOM_FEATURES), dtype=np.float16)
    if not codes:
        return rows
    table = np.array(codes, dtype=np.int64)
    place = np.arange(len(rows))
    begin = 0
    for column, (look_up, width) in enumerate(_ATOM_TABLES):
        value = np.clip(table[:, column] + _SHIFT, 0, _TABLE - 1)
        rows[place, begin + look_up[value]] = 1
        begin += width
    rows[:, begin] = table[:, -1]
    rows[:, begin + 1] = 0.01 * np.array(masses)
    return rows


def bond_rows(molecules: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Describe the bonds of molecules, one after the other.

    Parameters
    ----------
    molecules : sequence of rdkit Mol

    Returns
    -------
    begins, ends : ndarray of int64, shape (bonds,)
        Numbers of the two atoms within their molecule.
    features : ndarray of uint8, shape (bonds, 14)
    """
    types = _rdkit_places()[1]
    facts = [
        (
            bond.GetBeginAtomIdx(),
            bond.GetEndAtomIdx(),
            types.get(bond.GetBondType(), -1),
            bond.GetIsConjugated(),
            bond.IsInRing(),
            min(int(bond.GetStereo()), len(_STEREO)),
        )
        for molecule in molecules
        for bond in molecule.GetBonds()
    ]
    rows = np.zeros((len(facts), BOND_FEATURES), dtype=np.uint8)
    if not facts:
        none = np.empty(0, dtype=np.int64)
        return none, none, rows
    table = np.array(facts, dtype=np.int64)
    place = np.arange(len(rows))
    known = table[:, 2] >= 0  # of any other type (dative, ...) no column is set, as in chemprop
    rows[place[known], 1 + table[known, 2]] = 1
    rows[:, 5:7] = table[:, 3:5]
    rows[place, 7 + table[:, 5]] = 1
    return table[:, 0], table[:, 1], rows
