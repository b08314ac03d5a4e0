"""What every reader gives: one molecule with its name and whatever the file says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass(frozen=True, slots=True)
class Entry:
    """One molecule as a file has it.

    Parameters
    ----------
    id : str
        The title, or file and record where there is none.
    mol : Mol or None
        Sanitised by RDKit; None for bare coordinates, whose bonds are not known.
    text : str
        The SMILES or InChI as it stands in the file; empty where the file has neither.
    fields : mapping
        Other columns, properties and values: what ``data.target`` and ``data.group`` can name.
    source : str
        Where it was read: ``"actives.sdf, record 12"``.
    numbers : ndarray of uint8, shape (atoms,), optional
    positions : ndarray of float64, shape (atoms, 3), optional
        Elements and coordinates in angstrom of a file of coordinates alone.
    cell : ndarray of float64, shape (3, 3), optional
        Of a periodic structure.
    """

    id: str
    mol: Mol | None
    text: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    numbers: np.ndarray | None = None
    positions: np.ndarray | None = None
    cell: np.ndarray | None = None
