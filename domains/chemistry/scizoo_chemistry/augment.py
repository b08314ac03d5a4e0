"""Views of a molecule: one SMILES string can be spelled from any of its atoms."""

from __future__ import annotations

import hashlib
from typing import Any

from scizoo.data.augment import Augment
from scizoo.errors import ConfigError
from scizoo_chemistry.molecules import Structure, parse_smiles
from scizoo_chemistry.rdkit_log import listening


class RandomSmiles(Augment):
    """Random spellings of a molecule are views of one record (Bjerrum 2017, arXiv 1703.07076).

    The spellings follow from the molecule and the seed alone, so that a run can be repeated. A small molecule
    with fewer spellings than were asked for has fewer views.

    Parameters
    ----------
    count : int
        Views in all; the first is the molecule as it is given.
    seed : int
        Which spellings.
    train, predict : bool
        Whether training draws among the views, and whether prediction averages over them.
    """

    def __init__(self, count: int = 4, seed: int = 0, train: bool = True, predict: bool = True):
        super().__init__(train, predict)
        if count < 1:
            raise ConfigError(f"augment.count is {count}.", expected="at least 1")
        self.count, self.seed = count, seed

    def views(self, input: Any) -> list[Any]:
        """Return the molecule and its other spellings, each once."""
        if self.count == 1 or isinstance(input, Structure) or not isinstance(input, str):
            return [input]
        mol, _ = parse_smiles(input)
        if mol is None:  # the tokenizer will say what is wrong with it
            return [input]
        from rdkit import Chem

        digest = hashlib.blake2b(f"{self.seed}:{input}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big") % (2**31 - 1) + 1  # 0 would mean a seed from the clock
        with listening():
            spelled = Chem.MolToRandomSmilesVect(mol, self.count - 1, randomSeed=seed)
        return list(dict.fromkeys([input, *spelled]))

    def settings(self) -> dict[str, Any]:
        """Return the plain settings that build it again."""
        return {"count": self.count, "seed": self.seed, **super().settings()}
