"""Molecules as graphs: features of atoms, who is bonded to whom, features of bonds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scizoo.data.ragged import Ragged
from scizoo.data.tokenizer import Tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo.files import write_json
from scizoo_chemistry.descriptors import DescriptorScale
from scizoo_chemistry.featurise import ATOM_FEATURES, BOND_FEATURES, FEATURES_VERSION, atom_rows, bond_rows
from scizoo_chemistry.molecules import smiles_of, to_mol

SCALE_FILE = "descriptors.json"


class GraphTokenizer(Tokenizer):
    """A molecule as one row an atom.

    The features of atoms and bonds are those of chemprop 2 (Heid et al. 2024, doi 10.1021/acs.jcim.3c01250),
    after Yang et al. 2019 (doi 10.1021/acs.jcim.9b00237); see :mod:`scizoo_chemistry.featurise`. Hydrogens
    are counted, not drawn. A molecule is never cut into windows.

    Parameters
    ----------
    max_degree : int
        The most neighbours an atom may have, D.
    descriptors : bool
        Whether RDKit's 2-D descriptors of the molecule stand beside each atom, scaled by the training
        molecules; averaged over the atoms they are the molecule's own again.
    """

    main_input = "atoms"
    #: A graph has no windows.
    whole = True

    def __init__(self, max_degree: int = 8, descriptors: bool = False):
        if not 1 <= max_degree <= 32:
            raise ConfigError(f"tokenizer.max_degree is {max_degree}.", expected="1 to 32 neighbours an atom")
        self.max_degree = int(max_degree)
        self.descriptors = bool(descriptors)
        self._scale = DescriptorScale() if descriptors else None

    def train(self, inputs: Iterable[Any]) -> None:
        """Learn centre and spread of the descriptors, when they are wanted."""
        if self._scale is not None:
            self._scale.fit([smiles_of(one) for one in inputs])

    def encode(self, inputs: Sequence[Any]) -> dict[str, Ragged]:
        """Encode molecules.

        Parameters
        ----------
        inputs : sequence of str or Structure
            SMILES, or structures that have one.

        Returns
        -------
        dict of str to Ragged
            A row an atom: ``atoms`` float16 (n, 72); ``neighbours`` int32 (n, D), the neighbour's number
            from 1 on, 0 where there is none; ``bonds`` uint8 (n, D, 14), of the bond to that neighbour;
            with descriptors also ``descriptors`` float16 (n, d).

        Raises
        ------
        DataError
            When a molecule cannot be read, or an atom has more neighbours than ``max_degree``.
        """
        molecules = [to_mol(one) for one in inputs]
        counts = np.array([molecule.GetNumAtoms() for molecule in molecules], dtype=np.int64)
        offsets = np.zeros(len(molecules) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        neighbours, bonds = self._connect(inputs, molecules, offsets)
        encoded = {
            "atoms": Ragged(atom_rows(molecules), offsets),
            "neighbours": Ragged(neighbours, offsets),
            "bonds": Ragged(bonds, offsets),
        }
        if self._scale is not None:
            scaled = self._scale.transform([smiles_of(one) for one in inputs])
            encoded["descriptors"] = Ragged(np.repeat(scaled, counts, axis=0).astype(np.float16), offsets)
        return encoded

    def _connect(
        self, inputs: Sequence[Any], molecules: Sequence[Any], offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lay each bond at both of its atoms; the slots follow RDKit's order of bonds."""
        neighbours = np.zeros((int(offsets[-1]), self.max_degree), dtype=np.int32)
        bonds = np.zeros((*neighbours.shape, BOND_FEATURES), dtype=np.uint8)
        begins, ends, features = bond_rows(molecules)
        if not len(begins):
            return neighbours, bonds
        owner = np.repeat(np.arange(len(molecules)), [molecule.GetNumBonds() for molecule in molecules])
        start = offsets[owner]
        # Each bond twice, as seen from either end; a stable sort by atom numbers the slots of each.
        atom = np.stack([begins + start, ends + start], axis=1).ravel()
        other = np.stack([ends, begins], axis=1).ravel()
        order = np.argsort(atom, kind="stable")
        sorted_atom = atom[order]
        first = np.flatnonzero(np.r_[True, sorted_atom[1:] != sorted_atom[:-1]])
        slot = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
        if slot.max() >= self.max_degree:
            self._refuse(inputs, int(np.searchsorted(offsets, sorted_atom[slot.argmax()], "right")) - 1, slot)
        neighbours[sorted_atom, slot] = other[order] + 1
        bonds[sorted_atom, slot] = np.repeat(features, 2, axis=0)[order]
        return neighbours, bonds

    def _refuse(self, inputs: Sequence[Any], position: int, slot: np.ndarray) -> None:
        degree = int(slot.max()) + 1
        raise DataError(
            f"input {position + 1} ({str(inputs[position])[:60]}) has an atom with {degree} neighbours.",
            expected=f"at most {self.max_degree} neighbours an atom",
            remedy=f"set tokenizer.max_degree={degree}, or remove the molecule.",
        )

    def input_sizes(self) -> dict[str, int]:
        """Return how many features an atom and a bond have, and how many descriptors a molecule."""
        sizes = {"atom_features": ATOM_FEATURES, "bond_features": BOND_FEATURES}
        if self._scale is not None:
            sizes["descriptor_features"] = self._scale.width
        return sizes

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return {"max_degree": self.max_degree, "descriptors": self.descriptors}

    def save_files(self, folder: Path) -> None:
        """Write the scale of the descriptors, when there is one."""
        if self._scale is not None and self._scale.fitted:
            write_json(folder / SCALE_FILE, self._scale.state())

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> GraphTokenizer:
        """Build the tokenizer again, with the scale of its descriptors."""
        tokenizer = cls(**settings)
        path = Path(folder) / SCALE_FILE
        if tokenizer._scale is not None and path.is_file():
            try:
                tokenizer._scale = DescriptorScale.from_state(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise CheckpointError(f"{path} does not describe descriptors: {error}") from error
        return tokenizer

    def fingerprint(self) -> str:
        """Digest of the settings, the features' version and the scale."""
        scale = None if self._scale is None else self._scale.state()
        plain = json.dumps([self.settings(), FEATURES_VERSION, scale], sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()
