"""Fingerprints by RDKit: extended-connectivity (Morgan) bits of molecules (Rogers and Hahn 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scizoo_chemistry.molecules import to_mol

if TYPE_CHECKING:
    from rdkit.DataStructs import ExplicitBitVect


def _generator(radius: int, bits: int, chirality: bool) -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits, includeChirality=chirality)


def ecfp(
    inputs: Sequence[Any], radius: int = 2, bits: int = 2048, chirality: bool = False
) -> list[ExplicitBitVect]:
    """Return RDKit's own bit vectors, for its bulk similarities.

    Parameters
    ----------
    inputs : sequence of str or Structure
    radius : int
        2 gives ECFP4, 3 gives ECFP6.
    bits : int
    chirality : bool
        Whether stereocentres tell fingerprints apart.

    Raises
    ------
    DataError
        When an input is no molecule.
    """
    generator = _generator(radius, bits, chirality)
    return [generator.GetFingerprint(to_mol(input)) for input in inputs]


def ecfp_bits(
    inputs: Sequence[Any],
    radius: int = 2,
    bits: int = 2048,
    counts: bool = False,
    chirality: bool = False,
) -> np.ndarray:
    """Return fingerprints as an array, for models of features.

    Returns
    -------
    ndarray, shape (inputs, bits)
        uint8 zeros and ones, or with ``counts`` how often each environment occurs (uint32).
    """
    generator = _generator(radius, bits, chirality)
    rows = np.zeros((len(inputs), bits), dtype=np.uint32 if counts else np.uint8)
    for number, input in enumerate(inputs):
        mol = to_mol(input)
        rows[number] = (
            generator.GetCountFingerprintAsNumPy(mol) if counts else generator.GetFingerprintAsNumPy(mol)
        )
    return rows
