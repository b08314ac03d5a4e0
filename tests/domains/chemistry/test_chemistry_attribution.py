"""From tokens to atoms: two-letter atoms, rings, bonds, branches, hydrogens, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from rdkit import Chem

from scizoo.data.records import Record
from scizoo_chemistry.picture import atom_colours, draw
from scizoo_chemistry.tokenizers.atoms import atoms_of_signs, signs_of
from scizoo_chemistry.tokenizers.bpe import SmilesBPETokenizer
from scizoo_chemistry.tokenizers.selfies import SelfiesTokenizer
from scizoo_chemistry.tokenizers.smiles import SmilesTokenizer

MOLECULES = [
    "CC(=O)Nc1ccc(Cl)cc1",
    "C[C@@H](N)C(=O)O",
    "C1CC%12CCC1C%12",
    "[Na+].CC(=O)[O-]",
    "FC(F)(F)c1ccc(Br)cc1C#N",
    "F/C=C/Cl",
    "C%(100)CC%(100)",
    "CC[Si](C)(C)[13CH3]",
]


def scores_of(tokenizer, smiles: str, wanted: str) -> np.ndarray:
    """One for each token that holds a text, nought elsewhere."""
    ids = tokenizer.encode([smiles])["input_ids"].values
    return np.array([float(wanted in tokenizer.decode([id])) for id in ids])


def test_each_sign_speaks_of_its_atoms():
    signs = signs_of("CC(=O)N=1.Cl/C1")
    assert signs == ["C", "C", "(", "=", "O", ")", "N", "=", "1", ".", "Cl", "/", "C", "1"]
    assert atoms_of_signs(signs) == [
        (0,), (1,), (1,), (1, 2), (2,), (1,), (3,), (3,), (3,), (3, 4), (4,), (4, 5), (5,), (5,),
    ]  # fmt: skip
    assert atoms_of_signs(signs_of("C(C)(C)C%12=[nH]"))[-3:] == [(3,), (3, 4), (4,)]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_atoms_are_in_the_order_of_the_drawing_and_nothing_is_lost(smiles: str):
    tokenizer = SmilesTokenizer()
    mol = Chem.MolFromSmiles(smiles)
    ids = tokenizer.encode([smiles])["input_ids"].values
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(smiles, scores)
    assert found.shape == (mol.GetNumAtoms(),)
    assert found.sum() == pytest.approx(scores.sum())
    # an atom's own token goes to that atom
    places = np.flatnonzero(tokenizer.atoms(ids)) if "%(" not in smiles else []
    for atom, place in enumerate(places):
        alone = np.zeros(len(ids))
        alone[place] = 1.0
        assert tokenizer.attribute(smiles, alone).tolist() == [float(n == atom) for n in range(len(found))]


def test_two_letters_brackets_rings_and_bonds_find_their_atoms():
    tokenizer = SmilesTokenizer()

    def atoms(smiles: str, wanted: str) -> list[float]:
        return tokenizer.attribute(smiles, scores_of(tokenizer, smiles, wanted)).tolist()

    assert atoms("CC(=O)Nc1ccc(Cl)cc1", "Cl") == [0] * 8 + [1] + [0] * 2
    assert atoms("CC(=O)N", "=") == [0, 0.5, 0.5, 0]
    assert atoms("C1CC1Br", "1") == [1, 0, 1, 0]
    assert atoms("C[C@@H](N)O", "[C@@H]") == [0, 1, 0, 0]
    # a bracket that had to be spelled out is still one atom
    rare = tokenizer.attribute("C[Xe]C", np.arange(6.0))
    assert rare.tolist() == [0, 1 + 2 + 3 + 4, 5]


def test_hydrogens_that_are_written_count_for_their_atom():
    found = SmilesTokenizer().attribute("[H]OC([H])C", np.array([1.0, 2.0, 3.0, 0.0, 4.0, 0.0, 5.0]))
    assert Chem.MolFromSmiles("[H]OC([H])C").GetNumAtoms() == 3
    assert found.tolist() == [1 + 2, 3 + 4, 5]


def test_words_are_shared_among_their_atoms():
    tokenizer = SmilesBPETokenizer(vocab_size=400)
    tokenizer.train(["CC(=O)Nc1ccc(Cl)cc1", "CC(=O)O", "CC(=O)OC"] * 30)
    smiles = "CC(=O)Nc1ccc(Cl)cc1"
    ids = tokenizer.encode([smiles])["input_ids"].values
    assert len(ids) < 15
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(smiles, scores)
    assert len(found) == 11 and found.sum() == pytest.approx(scores.sum())
    first = np.zeros(len(ids))
    first[0] = 1.0
    spelled = tokenizer.decode(ids[:1])
    reached = np.flatnonzero(tokenizer.attribute(smiles, first))
    assert reached[0] == 0 and reached[-1] <= sum(letter.isalpha() for letter in spelled)


@pytest.mark.parametrize("smiles", ["CC(=O)Nc1ccc(Cl)cc1", "C[C@@H](N)C(=O)O", "FC(F)(F)c1ccc(Br)cc1C#N"])
def test_symbols_of_selfies_find_their_atoms(smiles: str):
    tokenizer = SelfiesTokenizer()
    ids = tokenizer.encode([smiles])["input_ids"].values
    names = [tokenizer.vocab[id] for id in ids]
    scores = np.random.default_rng(0).normal(size=len(ids))
    found = tokenizer.attribute(smiles, scores)
    mol = Chem.MolFromSmiles(smiles)
    assert found.shape == (mol.GetNumAtoms(),) and found.sum() == pytest.approx(scores.sum())
    for symbol, element in (("[Cl]", "Cl"), ("[Br]", "Br"), ("[=O]", "O"), ("[N]", "N")):
        alone = np.array([float(name == symbol) for name in names])
        for atom in np.flatnonzero(tokenizer.attribute(smiles, alone)):
            assert mol.GetAtomWithIdx(int(atom)).GetSymbol() == element


def test_what_was_not_read_is_grey_and_the_words_say_what_is_explained():
    tokenizer = SmilesTokenizer()
    found = tokenizer.attribute("CCO", np.array([1.0, -2.0, np.nan]))
    assert np.isnan(found[2]) and found[:2].tolist() == [1, -2]
    colours = atom_colours(found, 3)
    assert colours[0][0] > colours[0][2] and colours[1][2] > colours[1][0]
    assert len(set(np.round(colours[2], 3))) == 1
    figure = Figure(layout="constrained")
    given = {"value": "toxic", "attributions": found, "output": "toxic"}
    draw(figure.subplots(), Record("a", "CCO", "safe"), given)
    assert "red raised, blue lowered the prediction of “toxic”" in figure.get_supxlabel()
    figure.canvas.draw()
