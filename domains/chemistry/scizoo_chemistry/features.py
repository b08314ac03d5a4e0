"""Fingerprints for the baselines, computed once a process and molecule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from scizoo_chemistry.fingerprints import ecfp_bits
from scizoo_chemistry.molecules import smiles_of

_MOST_COUNTED = 255


@lru_cache(maxsize=400_000)
def _row(smiles: str, radius: int, bits: int, counts: bool) -> np.ndarray:
    row = ecfp_bits([smiles], radius, bits, counts)[0]
    kept = np.minimum(row, _MOST_COUNTED).astype(np.uint8)
    kept.setflags(write=False)
    return kept


def fingerprints(
    inputs: Sequence[Any], radius: int = 2, bits: int = 2048, counts: bool = False
) -> np.ndarray:
    """Return extended-connectivity fingerprints of molecules.

    Parameters
    ----------
    inputs : sequence of str or Structure
    radius : int
        2 gives ECFP4, 3 gives ECFP6.
    bits : int
        Columns that the environments are folded into.
    counts : bool
        How often an environment occurs (up to 255) in the place of whether it does.

    Returns
    -------
    ndarray of uint8, shape (molecules, bits)
    """
    if not len(inputs):
        return np.empty((0, bits), dtype=np.uint8)
    return np.stack([_row(smiles_of(one), radius, bits, counts) for one in inputs])
