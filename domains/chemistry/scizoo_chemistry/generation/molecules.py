"""Fingerprints, scaffolds and descriptors of molecules, and their similarities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rdkit.Chem import Mol
    from rdkit.DataStructs import ExplicitBitVect

#: The descriptors of the Frechet distance, by their names in RDKit.
DESCRIPTORS = (
    "MolWt",
    "MolLogP",
    "TPSA",
    "NumHDonors",
    "NumHAcceptors",
    "NumRotatableBonds",
    "RingCount",
    "NumAromaticRings",
    "FractionCSP3",
    "NumHeteroatoms",
)
_LEAST_RINGS = 2  # of a scaffold that counts, as in the code of MOSES


def fingerprints(mols: Sequence[Mol], radius: int = 2, bits: int = 1024) -> list[ExplicitBitVect]:
    """Morgan fingerprints (Rogers and Hahn 2010) of the size that MOSES uses."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    return [generator.GetFingerprint(mol) for mol in mols]


def pair_similarity(prints: Sequence[ExplicitBitVect]) -> np.ndarray:
    """Mean Tanimoto similarity of each molecule to all, itself included; shape (N,)."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    every = list(prints)
    return np.array([np.mean(BulkTanimotoSimilarity(one, every)) for one in every])


def nearest_similarity(prints: Sequence[ExplicitBitVect], reference: Sequence[ExplicitBitVect]) -> np.ndarray:
    """Tanimoto similarity of each molecule to the nearest reference molecule; shape (N,)."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    every = list(reference)
    return np.array([max(BulkTanimotoSimilarity(one, every)) for one in prints])


def scaffold(mol: Mol) -> str | None:
    """Bemis-Murcko scaffold as SMILES; None where it has fewer than two rings, which MOSES leaves out."""
    from rdkit.Chem import rdMolDescriptors
    from rdkit.Chem.Scaffolds import MurckoScaffold

    core = MurckoScaffold.GetScaffoldForMol(mol)
    if rdMolDescriptors.CalcNumRings(core) < _LEAST_RINGS:
        return None
    return str(MurckoScaffold.MurckoScaffoldSmiles(mol=core))


@cache
def _functions() -> tuple[Any, ...]:
    from rdkit.Chem import Descriptors

    known = dict(Descriptors.descList)
    return tuple(known[name] for name in DESCRIPTORS)


def descriptors(mols: Sequence[Mol]) -> np.ndarray:
    """Physicochemical descriptors; float64, shape (N, 10), in the order of :data:`DESCRIPTORS`."""
    rows = [[float(function(mol)) for function in _functions()] for mol in mols]
    return np.array(rows, dtype=float).reshape(len(rows), len(DESCRIPTORS))
