from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from scizoo.config import compose, instantiate, to_plain
from scizoo.data.tokenizer import load_tokenizer, save_tokenizer
from scizoo.errors import CheckpointError, ConfigError, DataError
from scizoo_chemistry.augment import RandomSmiles
from scizoo_chemistry.datasets.embedded import ChemblActivity
from scizoo_chemistry.molecules import Structure
from scizoo_chemistry.tokenizers.bpe import SmilesBPETokenizer
from scizoo_chemistry.tokenizers.selfies import SelfiesTokenizer
from scizoo_chemistry.tokenizers.smiles import PATTERN, SmilesTokenizer

TOKENS = ["C", "Cl", "Br", "B", "c", "[nH]", "[C@@H]", "[Zz9]", "%12", "1", "(", ")", "=", "/"]
HARD = [
    "C[C@H](N)C(=O)O",
    "ClC(Br)I",
    "CC(=O)[O-].[Na+]",
    "F/C=C\\F",
    "c1ccc2c(c1)[nH]c1ccccc12",
    "C%10CCCCC%10",
    "C1CC2CCC3CCC4CCC5CCC6CCC7CCC8CCC9CCC%11CCC%12C%11C9C8C7C6C5C4C3C2C1%12",
    "[13CH4]",
    "[Cu+2].[Cl-].[Br-]",
    "OB(O)c1ccccc1Cl",
    "N[Pt](N)(Cl)Cl",
    "[235U]",
    "[Pu+4]",
    "[13C@@H2+:12]C",
    "CC(C)(C)c1cc(Br)sc1C#N",
    "C~C$C*",
    "CCO>>CC=O",
    "C",
    "C%(100)CC%(100)",
]


@pytest.fixture(scope="module")
def real():
    """A thousand spellings of real molecules, canonical and random."""
    smiles = [record.input for record in ChemblActivity()][::4]
    augment = RandomSmiles(count=4)
    return [view for one in smiles for view in augment.views(one)]


def names(tokenizer, smiles):
    return [tokenizer.vocab[id] for id in tokenizer.encode([smiles])["input_ids"][0]]


def test_tokens_are_those_of_the_usual_pattern(real):
    """Token for token what a loop of re.findall with the pattern of Schwaller et al. gives."""
    tokenizer = SmilesTokenizer()
    tokenizer.train([*real, *HARD, *HARD])
    known = set(tokenizer.vocab)
    encoded = tokenizer.encode(real + HARD)["input_ids"]
    for smiles, row in zip(real + HARD, encoded, strict=True):
        expected = PATTERN.findall(smiles)
        if "".join(expected) == smiles:
            assert set(expected) <= known
            assert [tokenizer.vocab[id] for id in row] == expected
        assert tokenizer.decode(row) == smiles
    assert not (encoded.values < 5).any()


def test_a_bracket_that_is_not_known_is_spelled_out():
    tokenizer = SmilesTokenizer(brackets=["[nH]"], learn=0)
    assert names(tokenizer, "C[Pu+4]n[nH]") == ["C", "[", "P", "u", "+", "4", "]", "n", "[nH]"]
    assert names(tokenizer, "C%(100)") == ["C", "%", "(", "1", "0", "0", ")"]
    for smiles in HARD:
        assert tokenizer.decode(tokenizer.encode([smiles])["input_ids"][0]) == smiles


def test_training_learns_the_frequent_brackets():
    tokenizer = SmilesTokenizer(brackets=["[nH]"], learn=2, min_count=2)
    long = "[13C@@H2+:12]"
    tokenizer.train(["[Pu+4][Pu+4][Pu+4]", f"{long}{long}", "[Am][Am]", "[Cm]", "c[nH]"])
    assert tokenizer.vocab[-3:] == ("[nH]", "[Pu+4]", long)
    assert names(tokenizer, f"C{long}[Pu+4][nH]") == ["C", long, "[Pu+4]", "[nH]"]
    size = tokenizer.vocab_size
    tokenizer.train(["[Am][Am]"])  # learnt once
    assert tokenizer.vocab_size == size


@pytest.mark.parametrize("number", [1, 2, 3_999, 4_000, 4_001, 9_000])
def test_batches_of_every_size_encode_alike(number):
    draw = random.Random(number)
    batch = [draw.choice(HARD) for _ in range(number)]
    tokenizer = SmilesTokenizer()
    alone = {smiles: tokenizer.encode([smiles])["input_ids"][0] for smiles in HARD}
    together = tokenizer.encode(batch)["input_ids"]
    assert len(together) == number
    np.testing.assert_array_equal(together.values, np.concatenate([alone[s] for s in batch]))
    assert together.lengths.tolist() == [len(alone[s]) for s in batch]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(TOKENS),
            min_size=1,
            max_size=12,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_row_of_tokens_comes_back(rows):
    """Whatever stands beside what: neighbouring strings and brackets never run into each other."""
    tokenizer = SmilesTokenizer()
    texts = ["".join(row) for row in rows]
    encoded = tokenizer.encode(texts)["input_ids"]
    for text, row in zip(texts, encoded, strict=True):
        assert tokenizer.decode(row) == text
        expected = []
        for token in PATTERN.findall(text):
            expected += list(token) if token == "[Zz9]" else [token]
        assert [tokenizer.vocab[id] for id in row] == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("C[C@H", "bracket"),
        ("CC]C", "bracket"),
        ("C[]C", "bracket"),
        ("C[[N]]", "bracket"),
        ("hello", "'h' at character 1"),
        ("CCX", "'X' at character 3"),
        ("CC C", "' ' at character 3"),
        ("CCé", "'é' at character 3"),
        ("C%1", "'%' at character 2"),
        ("Nl", "'l' at character 2"),
        ("", "empty"),
    ],
)
def test_what_is_no_smiles_is_refused_by_position(wrong, words):
    for before in (["CCO"], ["CC[nH]", "C%12C"], ["CC"] * 4_500):
        with pytest.raises(DataError) as caught:
            SmilesTokenizer().encode([*before, wrong, "CCl"])
        assert f"Input {len(before)} " in str(caught.value)
        assert words in str(caught.value)
        assert caught.value.remedy


def test_a_letter_does_not_pair_with_the_string_before():
    with pytest.raises(DataError, match="Input 1 holds 'l'"):
        SmilesTokenizer().encode(["CC", "lC"])
    with pytest.raises(DataError, match="Input 0 has a bracket"):
        SmilesTokenizer().encode(["C[N", "H]C"])
    with pytest.raises(DataError, match="Input 0 holds '%'"):
        SmilesTokenizer().encode(["C%1", "2C"])


def test_special_ids_are_left_out_when_decoding():
    tokenizer = SmilesTokenizer()
    row = tokenizer.encode(["CCO"])["input_ids"][0]
    framed = [tokenizer.cls_id, *row, tokenizer.sep_id, tokenizer.pad_id, tokenizer.mask_id]
    assert tokenizer.decode(framed) == "CCO"


def test_a_structure_is_tokenised_by_its_smiles():
    structure = Structure(np.array([6], np.uint8), np.zeros((1, 3)), "C")
    assert SmilesTokenizer().encode([structure])["input_ids"][0].tolist() == [5 + "BC".index("C")]
    with pytest.raises(DataError, match="no known bonds"):
        SmilesTokenizer().encode([Structure(np.array([6], np.uint8), np.zeros((1, 3)))])
    with pytest.raises(DataError, match="int"):
        SmilesTokenizer().encode([5])


def test_atom_tokens_are_rdkits_atoms(real):
    tokenizer = SmilesTokenizer()
    tokenizer.train(real)
    for smiles in real[:100]:
        marks = tokenizer.atoms(tokenizer.encode([smiles])["input_ids"][0])
        assert marks.sum() == Chem.MolFromSmiles(smiles).GetNumAtoms()


@pytest.mark.parametrize("kind", ["smiles", "selfies", "bpe"])
def test_configs_train_save_and_come_back(kind, real, tmp_path):
    config = compose("finetune", None, [f"tokenizer=chemistry/{kind}"])
    tokenizer = instantiate(to_plain(config["tokenizer"]))
    inputs = [Chem.CanonSmiles(smiles) for smiles in real[::8]]
    tokenizer.train(iter(inputs))
    rows = tokenizer.encode(inputs)["input_ids"]
    assert [tokenizer.decode(row) for row in rows] == inputs
    assert rows.values.max() < tokenizer.vocab_size
    assert rows.values.min() >= len(tokenizer.SPECIAL)
    assert tuple(tokenizer.vocab[:5]) == tokenizer.SPECIAL
    assert len(set(tokenizer.vocab)) == tokenizer.vocab_size == len(tokenizer.vocab)
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    assert tuple(again.vocab) == tuple(tokenizer.vocab)
    np.testing.assert_array_equal(again.encode(inputs)["input_ids"].values, rows.values)


def test_settings_that_mean_nothing():
    with pytest.raises(ConfigError, match="nH"):
        SmilesTokenizer(brackets=["nH"])
    with pytest.raises(ConfigError, match="twice"):
        SmilesTokenizer(brackets=["[nH]", "[nH]"])
    with pytest.raises(ConfigError, match="learn"):
        SmilesTokenizer(learn=-1)
    with pytest.raises(ConfigError, match="vocab_size"):
        SmilesBPETokenizer(vocab_size=100)


def test_selfies_symbols_are_the_librarys(real):
    import selfies

    tokenizer = SelfiesTokenizer()
    tokenizer.train(real)
    for smiles in real[:60]:
        spelled = selfies.encoder(smiles, strict=False)
        assert names(tokenizer, smiles) == list(selfies.split_selfies(spelled))
        row = tokenizer.encode([smiles])["input_ids"][0]
        assert tokenizer.decode(row) == Chem.CanonSmiles(smiles)


def test_any_row_of_robust_selfies_symbols_is_a_molecule():
    import selfies

    tokenizer = SelfiesTokenizer()
    rng = np.random.default_rng(0)
    robust = selfies.get_semantic_robust_alphabet()
    symbols = [id for id, token in enumerate(tokenizer.vocab) if token in robust]
    assert len(symbols) > 50
    for _ in range(100):
        smiles = tokenizer.decode(rng.choice(symbols, size=20))
        assert Chem.MolFromSmiles(smiles) is not None


def test_what_selfies_cannot_spell_is_refused():
    with pytest.raises(DataError, match=r"Input 1, '\*CC', cannot be spelled in SELFIES"):
        SelfiesTokenizer().encode(["CCO", "*CC"])
    perchlorate = "O=Cl(=O)(=O)O"
    assert SelfiesTokenizer(strict=False).encode([perchlorate])
    with pytest.raises(DataError, match="SELFIES"):
        SelfiesTokenizer(strict=True).encode([perchlorate])


def test_byte_pairs_never_cut_an_atom(real):
    tokenizer = SmilesBPETokenizer(vocab_size=600)
    tokenizer.train(real)
    atoms = SmilesTokenizer()
    atoms.train(real)
    assert tokenizer.vocab_size == 600
    shorter = tokenizer.encode(real)["input_ids"].lengths.sum()
    assert shorter < 0.5 * atoms.encode(real)["input_ids"].lengths.sum()
    # Each word is whole atom-level tokens: the words' tokens joined are the molecule's tokens.
    for smiles in real[:50]:
        row = tokenizer.encode([smiles])["input_ids"][0]
        pieces = [PATTERN.findall(tokenizer.vocab[id]) for id in row]
        assert [token for piece in pieces for token in piece] == PATTERN.findall(smiles)
    with pytest.raises(ConfigError, match="no vocabulary"):
        SmilesBPETokenizer().encode(["CCO"])


def test_a_checkpoint_without_its_merges_is_refused(tmp_path, real):
    tokenizer = SmilesBPETokenizer(vocab_size=400)
    tokenizer.train(real[:50])
    save_tokenizer(tokenizer, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_tokenizer(tmp_path)


# --- other spellings --------------------------------------------------------------------------------


def test_views_are_spellings_of_one_molecule():
    smiles = "CC(=O)Nc1ccc(O)c(C[C@H](N)C(=O)O)c1"
    augment = RandomSmiles(count=6)
    views = augment.views(smiles)
    assert views[0] == smiles
    assert len(views) == len(set(views)) == 6
    assert {Chem.CanonSmiles(view) for view in views} == {Chem.CanonSmiles(smiles)}


def test_views_follow_from_molecule_and_seed():
    smiles = "CC(=O)Nc1ccc(O)cc1"
    assert RandomSmiles(4).views(smiles) == RandomSmiles(4).views(smiles)
    assert RandomSmiles(4).views(smiles) != RandomSmiles(4, seed=1).views(smiles)
    assert RandomSmiles(4).fingerprint() != RandomSmiles(5).fingerprint()
    assert RandomSmiles(4).fingerprint() == RandomSmiles(4, predict=False).fingerprint()


def test_small_and_strange_inputs_have_the_one_view():
    assert RandomSmiles(4).views("C") == ["C"]
    assert RandomSmiles(4).views("no molecule") == ["no molecule"]
    assert RandomSmiles(1).views("CCO") == ["CCO"]
    with pytest.raises(ConfigError, match="count"):
        RandomSmiles(0)
