"""Atom-level SMILES tokens: the usual pattern of the field, found in whole batches at once."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from scizoo_chemistry.molecules import smiles_of
from scizoo_chemistry.tokenizers.atoms import atom_scores
from scizoo_chemistry.tokenizers.bracketed import BracketTokenizer
from scizoo_chemistry.tokenizers.scan import Scan

#: The pattern of Schwaller et al. 2019 (Molecular Transformer, ACS Cent. Sci. 5:1572), for reference.
PATTERN = re.compile(
    r"(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|\%[0-9]{2}|[0-9])"
)
_PLAIN = (
    "[nH] [C@H] [C@@H] [C@] [C@@] [N+] [O-] [n+] [NH+] [NH2+] [NH3+] [nH+] [n-] [N-] [NH-] [N@] [N@@] "
    "[N@+] [N@@+] [o+] [O+] [OH+] [OH2+] [OH-] [O] [N] [NH] [C] [CH] [CH2] [CH3] [C-] [CH-] [CH2-] "
    "[CH3-] [C+] [c-] [cH-] [c+] [c] [H] [H+] [2H] [3H] [11C] [13C] [13CH3] [13C@H] [13C@@H] [14C] "
    "[14CH2] [15N] [18O] [18F] [123I] [125I] [131I] [B-] [B] [b-] [BH-] [BH3-] [Si] [SiH] [SiH2] [Si@] "
    "[Si@@] [P+] [P-] [P@] [P@@] [PH] [PH+] [P@+] [P@@+] [S+] [S-] [S@] [S@@] [S@+] [S@@+] [SH] [SH+] "
    "[s+] [Se] [se] [SeH] [Se+] [Se-] [se+] [Te] [te] [As] [AsH] [As+] [Ge] [Sn] [Sn+] [Pb] [Sb] [Bi] "
    "[Al] [Al+3] [F-] [Cl-] [Br-] [I-] [I+] [Cl+] [Cl+3] [Li] [Li+] [Na] [Na+] [K] [K+] [Rb+] [Cs+] "
    "[Mg] [Mg+2] [Ca] [Ca+2] [Sr+2] [Ba+2] [Zn] [Zn+2] [Cu] [Cu+2] [Fe] [Fe+2] [Fe+3] [Co] [Co+2] [Ni] "
    "[Ni+2] [Mn] [Mn+2] [Ag] [Ag+] [Au] [Au+] [Hg] [Hg+] [Hg+2] [Pt] [Pt+2] [Pd] [Ru] [Rh] [Ir] [Ti] "
    "[Zr] [Cr] [V]"
)


class SmilesTokenizer(BracketTokenizer):
    """Tokens of atoms, bonds, branches and ring closures, as in Schwaller et al. 2019.

    Cl and Br, whole bracket atoms such as ``[C@@H]``, and ring closures such as ``%12`` are one token
    each. Common bracket atoms are known from the start; others are learnt in training, and those that are not
    are spelled out. All strings of a batch are cut at once on their joined bytes.

    Parameters
    ----------
    brackets : sequence of str, optional
        Bracket atoms of the vocabulary.
    learn : int
        How many more are at most learnt in training.
    min_count : int
        A bracket atom seen less often in training is not learnt.
    """

    BRACKETS: ClassVar[tuple[str, ...]] = tuple(_PLAIN.split())
    PAIRS: ClassVar[tuple[str, ...]] = ("Cl", "Br", *(f"%{ring:02d}" for ring in range(100)))

    def _place_pairs(self, scan: Scan, skipped: np.ndarray, ids: np.ndarray) -> None:
        chlorine, ring = self._ids["Cl"], self._ids["%00"]
        first = scan.halogens - 1
        if len(first):
            which = np.where(scan.codes[first] == ord("C"), chlorine, chlorine + 1)
            ids[first - np.searchsorted(skipped, first)] = which
        if len(scan.rings):
            tens = scan.codes[scan.rings + 1].astype(np.int32) - ord("0")
            ones = scan.codes[scan.rings + 2].astype(np.int32) - ord("0")
            ids[scan.rings - np.searchsorted(skipped, scan.rings)] = ring + 10 * tens + ones

    def attribute(self, input: Any, scores: np.ndarray) -> np.ndarray | None:
        """Add the scores of tokens up to atoms, as :func:`~scizoo_chemistry.tokenizers.atoms.atom_scores`."""
        smiles = smiles_of(input)
        ids = self.encode([smiles])["input_ids"].values
        return atom_scores(smiles, self.lengths(ids), scores)

    def atoms(self, ids: np.ndarray) -> np.ndarray:
        """Mark the tokens that stand for an atom, in RDKit's order of atoms when the SMILES is parsed.

        Parameters
        ----------
        ids : ndarray of int, shape (tokens,)
            Without bracket atoms that had to be spelled out.

        Returns
        -------
        ndarray of bool, shape (tokens,)
        """
        row = np.asarray(ids)
        flags = np.zeros(self.vocab_size, dtype=bool)
        flags[[self._ids[letter] for letter in "BCNOPSFIbcnops*"]] = True
        flags[[self._ids["Cl"], self._ids["Br"]]] = True
        flags[self._first :] = True
        return flags[row]
