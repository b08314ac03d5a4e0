"""When two molecules are the same compound: InChI keys of parents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from scizoo_chemistry.molecules import smiles_of, to_mol
from scizoo_chemistry.rdkit_log import listening
from scizoo_chemistry.standardise import Standardiser

_PARENT = Standardiser(salts=True)
_SHOWS = re.compile(r"[@/\\.]|\[\d")  # stereochemistry, a second fragment, an isotope


def compound_keys(inputs: Sequence[Any]) -> list[str]:
    """Name compounds alike whatever their salt, protonation or (as far as InChI sees it) tautomer.

    Two inputs are the same compound when their largest fragments have the same InChIKey but for its last
    letter, which tells protonation alone. The key is made with InChI's mobile hydrogens and its options for
    keto-enol and 1,5-tautomerism (``-KET -15T``), so that most tautomers share it. Only inputs that share
    their graph of elements need the key; of the others the graph itself is the name.

    Parameters
    ----------
    inputs : sequence of str or Structure

    Returns
    -------
    list of str
        To be compared within this list alone.

    Raises
    ------
    DataError
        When an input is no molecule.
    """
    texts = [smiles_of(input) for input in inputs]
    graphs = [_element_graph(text) for text in texts]
    often = Counter(dict(zip(texts, graphs)).values())  # a text that comes twice counts once
    return [inchi_key(text) if often[graph] > 1 else graph for text, graph in zip(texts, graphs)]


@lru_cache(maxsize=1 << 17)
def _element_graph(text: str) -> str:
    """Name the bare graph of the largest fragment: elements and which are bonded, nothing else."""
    from rdkit.Chem import rdMolHash

    mol, _ = _PARENT(to_mol(text))
    return str(rdMolHash.MolHash(mol, rdMolHash.HashFunction.ElementGraph))


@lru_cache(maxsize=1 << 17)
def inchi_key(text: str) -> str:
    """Return the InChIKey of the largest fragment, tautomers and protonation apart, without stereo lost.

    Returns
    -------
    str
        25 letters; canonical SMILES where InChI has no key (wildcards).
    """
    from rdkit import Chem
    from rdkit.Chem import rdinchi

    mol, _ = _PARENT(to_mol(text))
    with listening():
        inchi, code, *_ = rdinchi.MolToInchi(mol, "-KET -15T")
        key = rdinchi.InchiToInchiKey(inchi) if inchi and code in (0, 1) else ""
    return str(key)[:25] if key else str(Chem.MolToSmiles(mol))


def flat_parent(input: Any, trust: bool = False) -> str:
    """Return the canonical SMILES of the largest fragment, without stereochemistry and isotopes.

    Parameters
    ----------
    input : str or Structure
    trust : bool
        Whether to return a string unparsed that shows no stereochemistry, salt or isotope.

    Raises
    ------
    DataError
        When the input is no molecule.
    """
    from rdkit import Chem

    text = smiles_of(input)
    if trust and not _SHOWS.search(text):
        return text
    mol, _ = _PARENT(to_mol(text))
    return str(Chem.MolToSmiles(mol, isomericSmiles=False))
