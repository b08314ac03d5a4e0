"""From the tokens of a SMILES string to the atoms of its molecule, for the colours of pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from scizoo.data.units import add_up
from scizoo_chemistry.molecules import parse_text

_SIGNS = re.compile(r"\[[^\]]*\]|Br|Cl|%\([0-9]+\)|%[0-9]{2}|.", re.DOTALL)
_ATOMS = frozenset(["B", "C", "N", "O", "P", "S", "F", "I", "b", "c", "n", "o", "p", "s", "*", "Cl", "Br"])
_BONDS = frozenset("-=#$:/\\~")


def signs_of(smiles: str) -> list[str]:
    """Cut SMILES into atoms, bonds, ring closures, branches and dots; joined they are the string again."""
    return _SIGNS.findall(smiles)


def atoms_of_signs(signs: Sequence[str]) -> list[tuple[int, ...]]:
    """Say which atoms each sign of a SMILES string speaks of.

    An atom's sign speaks of itself; a ring closure, with the bond before it, and the brackets of a branch of
    the atom that they stand at; a bond of both its atoms, and so does a dot of the atoms beside it.

    Parameters
    ----------
    signs : sequence of str
        From :func:`signs_of`.

    Returns
    -------
    list of tuple of int
        Numbers of atoms in the order of the string.
    """
    found: list[tuple[int, ...]] = [()] * len(signs)
    before: list[int | None] = []  # the atoms at which branches began
    last: int | None = None
    waiting: list[int] = []  # bonds whose second atom is still to come
    count = 0
    for place, sign in enumerate(signs):
        here = () if last is None else (last,)
        following = signs[place + 1] if place + 1 < len(signs) else ""
        if sign in _ATOMS or sign.startswith("["):
            for bond in waiting:
                found[bond] = (*found[bond], count)
            found[place], last, count, waiting = (count,), count, count + 1, []
            continue
        if sign == "(":
            before.append(last)
        elif sign == ")" and before:
            last = before.pop()
            here = () if last is None else (last,)
        elif (sign in _BONDS and not _closes(following)) or sign == ".":
            waiting.append(place)
        found[place] = here
    return found


def _closes(sign: str) -> bool:
    return sign.isdigit() or sign.startswith("%")


def atom_scores(smiles: str, lengths: Sequence[int] | np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """Add the scores of tokens up to atoms.

    Parameters
    ----------
    smiles : str
    lengths : sequence of int
        Characters of each token, none of which reaches over a sign's end; joined they are the string.
    scores : ndarray, shape (tokens,)

    Returns
    -------
    ndarray of float64, shape (atoms,), or None
        In RDKit's order of the atoms of this string; None where RDKit has other atoms.
    """
    signs = signs_of(smiles)
    owner = np.repeat(np.arange(len(signs)), [len(sign) for sign in signs])
    begins = np.cumsum(np.asarray(lengths)) - np.asarray(lengths)
    return sign_scores(smiles, add_up(owner[begins], scores, len(signs)))


def sign_scores(smiles: str, scores: np.ndarray) -> np.ndarray | None:
    """Add the scores of the signs of a SMILES string up to atoms; returns as :func:`atom_scores`."""
    atoms = atoms_of_signs(signs_of(smiles))
    places = [atom for known in atoms for atom in known]
    shares = [score / len(known) for known, score in zip(atoms, scores, strict=True) for _ in known]
    written = 1 + max(places, default=-1)
    return _of_molecule(smiles, add_up(places, shares, written))


def _of_molecule(smiles: str, scores: np.ndarray) -> np.ndarray | None:
    """Give hydrogens that RDKit takes into their atoms to these."""
    mol, _ = parse_text(smiles)
    if mol is None or mol.GetNumAtoms() == len(scores):
        return scores if mol is not None else None
    from rdkit import Chem

    settings = Chem.SmilesParserParams()
    settings.removeHs = False  # type: ignore[assignment]  # rdkit's stubs lack its properties
    whole = Chem.MolFromSmiles(smiles, settings)
    if whole is None or whole.GetNumAtoms() != len(scores):
        return None
    for atom in whole.GetAtoms():
        atom.SetIntProp("written", atom.GetIdx())
    kept = [atom.GetIntProp("written") for atom in Chem.RemoveHs(whole).GetAtoms()]
    if len(kept) != mol.GetNumAtoms():
        return None
    number = {written: place for place, written in enumerate(kept)}
    places = [
        number[atom.GetIdx() if atom.GetIdx() in number else atom.GetNeighbors()[0].GetIdx()]
        for atom in whole.GetAtoms()
    ]
    return add_up(places, scores, len(kept))
