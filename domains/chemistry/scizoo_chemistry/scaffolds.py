"""Bemis-Murcko scaffolds: ring systems and the chains between them (Bemis and Murcko 1996)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scizoo_chemistry.molecules import to_mol
from scizoo_chemistry.rdkit_log import listening


def murcko(input: Any, generic: bool = False, chirality: bool = False) -> str:
    """Return the scaffold of a molecule as SMILES; an empty text for a molecule without rings.

    Parameters
    ----------
    input : str or Structure
    generic : bool
        Make all atoms carbon and all bonds single: the framework alone.
    chirality : bool
        Whether stereocentres of the scaffold tell scaffolds apart.

    Raises
    ------
    DataError
        When the input is no molecule.
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    mol = to_mol(input)
    with listening():
        if generic:
            frame = MurckoScaffold.MakeScaffoldGeneric(MurckoScaffold.GetScaffoldForMol(mol))
            mol = MurckoScaffold.GetScaffoldForMol(frame)  # a generic scaffold may leave new side chains
        return str(MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=chirality))


def flat_smiles(input: Any) -> str:
    """Return canonical SMILES without stereochemistry and isotopes."""
    from rdkit import Chem

    return str(Chem.MolToSmiles(to_mol(input), isomericSmiles=False))


def scaffold_groups(inputs: Sequence[Any], *, generic: bool = False, acyclic: str = "apart") -> list[str]:
    """Name the scaffold of each molecule.

    Parameters
    ----------
    inputs : sequence of str or Structure
    generic : bool
        See :func:`murcko`.
    acyclic : {"apart", "together"}
        Molecules without rings have no scaffold. Apart: each is a group of its own (its stereoisomers
        with it). Together: all of them are one group, as in DeepChem.

    Returns
    -------
    list of str
    """
    groups = []
    for input in inputs:
        scaffold = murcko(input, generic)
        if scaffold or acyclic == "together":
            groups.append(scaffold)
        else:
            groups.append(f"acyclic {flat_smiles(input)}")
    return groups
