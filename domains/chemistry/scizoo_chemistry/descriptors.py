"""RDKit's 2-D descriptors, computed once a process and molecule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from scizoo.errors import ConfigError
from scizoo_chemistry.molecules import smiles_of, to_mol
from scizoo_chemistry.rdkit_log import listening

#: Grows with the size of a molecule beyond what single precision holds; AvgIpc says the same.
_LEFT_OUT = ("Ipc",)
_LIMIT = 1e15
_CLIP = 6.0  # spreads from the centre; further out a descriptor says no more than that it is far out


@cache
def names() -> tuple[str, ...]:
    """Name the descriptors, in the order of the columns."""
    from rdkit.Chem import Descriptors

    return tuple(name for name, _ in Descriptors.descList if name not in _LEFT_OUT)


@lru_cache(maxsize=200_000)
def _describe(smiles: str) -> np.ndarray:
    from rdkit.Chem import Descriptors

    mol = to_mol(smiles)
    with listening():  # its remarks on each molecule would fill the terminal
        values = Descriptors.CalcMolDescriptors(mol, missingVal=np.nan, silent=True)
    row = np.array([values[name] for name in names()], dtype=np.float64)
    row[~(np.abs(row) < _LIMIT)] = np.nan
    row.setflags(write=False)
    return row


def describe(inputs: Sequence[Any]) -> np.ndarray:
    """Compute the descriptors of molecules.

    Parameters
    ----------
    inputs : sequence of str or Structure

    Returns
    -------
    ndarray of float64, shape (molecules, descriptors)
        NaN where a descriptor is not defined (partial charges of metals, for instance) or overflows.
    """
    if not len(inputs):
        return np.empty((0, len(names())))
    return np.stack([_describe(smiles_of(one)) for one in inputs])


class DescriptorScale:
    """Descriptors with the training molecules' centre and spread taken out.

    An undefined descriptor is given the centre; descriptors that do not vary are zero.
    """

    def __init__(self) -> None:
        self.centre: np.ndarray | None = None
        self.spread: np.ndarray | None = None

    @property
    def fitted(self) -> bool:
        """Whether centre and spread are known."""
        return self.centre is not None

    @property
    def width(self) -> int:
        """How many descriptors there are."""
        return len(names())

    def fit(self, inputs: Sequence[Any]) -> DescriptorScale:
        """Learn centre and spread from training molecules."""
        values = describe(inputs)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        self.centre = np.where(known, values, 0.0).sum(axis=0) / count
        squares = np.where(known, values - self.centre, 0.0) ** 2
        self.spread = np.sqrt(squares.sum(axis=0) / count)
        return self

    def transform(self, inputs: Sequence[Any]) -> np.ndarray:
        """Scale the descriptors of molecules; float64, shape (molecules, descriptors), at most 6 off zero.

        Raises
        ------
        ConfigError
            Before centre and spread are known.
        """
        if self.centre is None or self.spread is None:
            raise ConfigError(
                "the descriptors have no scale yet.", remedy="train the tokenizer on the training molecules."
            )
        varies = self.spread > 1e-9
        scaled = (describe(inputs) - self.centre) / np.where(varies, self.spread, 1.0)
        return np.clip(np.where(varies & ~np.isnan(scaled), scaled, 0.0), -_CLIP, _CLIP)

    def state(self) -> dict[str, Any]:
        """Return centre and spread as plain data."""
        if self.centre is None or self.spread is None:
            return {"names": list(names())}
        return {"names": list(names()), "centre": self.centre.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DescriptorScale:
        """Build the scale again; refuses another version's descriptors."""
        if tuple(state["names"]) != names():
            raise ValueError("this version of RDKit has other descriptors")
        scale = cls()
        if "centre" in state:
            scale.centre = np.array(state["centre"], dtype=np.float64)
            scale.spread = np.array(state["spread"], dtype=np.float64)
        return scale
