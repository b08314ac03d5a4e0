from __future__ import annotations

import numpy as np
import pytest
from rdkit import DataStructs

from scizoo.data.records import Record
from scizoo.data.splits import Split
from scizoo.errors import ConfigError, DataError
from scizoo.evaluation.leakage import audit
from scizoo.evaluation.similarity import Similarity
from scizoo_chemistry.compounds import compound_keys, flat_parent, inchi_key
from scizoo_chemistry.datasets.embedded import ChemblActivity
from scizoo_chemistry.fingerprints import ecfp, ecfp_bits
from scizoo_chemistry.molecules import Structure
from scizoo_chemistry.picture import atom_colours, draw
from scizoo_chemistry.similarity import MoleculeSimilarity

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def records(*smiles):
    return [Record(f"r{n}", text) for n, text in enumerate(smiles)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Oc1ccccn1", "O=c1cccc[nH]1"),  # lactam and lactim
        ("CC(=O)CC(C)=O", "CC(O)=CC(C)=O"),  # keto and enol
        ("Cc1ccc2[nH]cnc2c1", "Cc1ccc2nc[nH]c2c1"),  # annular tautomers
        ("CC(N)=O", "CC(O)=N"),  # amide and imidic acid
        (ASPIRIN, "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"),  # acid and salt
        ("CCN", "CC[NH3+].[Cl-]"),
        (ASPIRIN, "OC(=O)c1ccccc1OC(C)=O"),  # two spellings
    ],
)
def test_forms_of_one_compound_are_exact_duplicates(one, other):
    similarity = MoleculeSimilarity()
    assert similarity.exact_duplicates(records("CCO", one), records(other, "CCC")) == [(1, 0)]
    assert inchi_key(one) == inchi_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),  # enantiomers
        ("F/C=C/F", "F/C=C\\F"),  # E and Z
        ("CCCO", "CC(C)O"),  # isomers
        ("CCO", "CCN"),
        ("C1CCCCC1", "c1ccccc1"),  # one graph of elements, two compounds
        ("*CC", "*CCC"),  # InChI has no wildcards
    ],
)
def test_other_compounds_are_not(one, other):
    assert MoleculeSimilarity().exact_duplicates(records(one), records(other)) == []
    keys = compound_keys([one, other, one])
    assert keys[0] == keys[2] != keys[1]


def test_near_duplicates_are_those_of_every_pair():
    """A planted near copy is found; similarities are RDKit's, pair by pair."""
    some = list(ChemblActivity())[::20]
    train, test = some[:40], some[40:]
    planted = "CC(=O)Oc1ccccc1C(=O)OCCCCCCCCCCCCCCCCCCC"
    test = [*test, Record("planted", planted)]
    train = [*train, Record("original", planted + "C")]
    found = MoleculeSimilarity().near_duplicates(train, test)
    a, b = ecfp([r.input for r in train]), ecfp([r.input for r in test])
    expected = []
    for j, mine in enumerate(b):
        alike = [DataStructs.TanimotoSimilarity(mine, other) for other in a]
        if max(alike) >= 0.9:
            expected.append((int(np.argmax(alike)), j, max(alike)))
    assert found == expected
    assert (len(train) - 1, len(test) - 1) in [(i, j) for i, j, _ in found]
    assert len(MoleculeSimilarity(threshold=0.5).near_duplicates(train, test)) > len(found)
    assert MoleculeSimilarity().near_duplicates([], test) == []


def test_stereoisomers_are_near_duplicates():
    pair = records("C[C@H](N)C(=O)O"), records("C[C@@H](N)C(=O)O")
    assert MoleculeSimilarity().near_duplicates(*pair) == [(0, 0, 1.0)]


def test_it_is_what_the_audit_asks_for():
    similarity = MoleculeSimilarity()
    assert isinstance(similarity, Similarity)
    assert similarity.settings() == {"threshold": 0.9, "radius": 2, "bits": 2048, "sketch_scale": 1}
    with pytest.raises(ConfigError, match="threshold"):
        MoleculeSimilarity(threshold=1.5)
    with pytest.raises(DataError, match="no_molecule"):
        similarity.exact_duplicates(records("no_molecule"), records("CCO"))


def test_the_audit_finds_a_planted_leak():
    """One tautomer in train, the other in test, and a near copy of another test molecule."""
    some = [record.input for record in ChemblActivity()][::25][:38]
    planted = "CC(=O)Oc1ccccc1C(=O)OCCCCCCCCCCCCCCCCCCC"
    leaked = [
        Record(f"r{n}", text, float(n))
        for n, text in enumerate([*some, "O=c1cccc[nH]1", planted, "Oc1ccccn1", planted + "C"])
    ]
    groups = np.array([record.id for record in leaked], dtype=object)
    rows = np.arange(42)
    split = Split(np.r_[rows[:28], 38, 39], rows[28:33], np.r_[rows[33:38], 40, 41], groups, "planted")
    found = audit(leaked, split, MoleculeSimilarity(), kind="regression")
    leaks = {leak.kind: leak for leak in found.findings}
    exact = leaks["exact_duplicates"]
    assert exact.failed
    assert exact.count == 1
    assert {exact.examples[0][0], exact.examples[0][1]} == {"r38", "r40"}
    near = leaks["near_duplicates"]
    assert any({"r39", "r41"} == {example[0], example[1]} for example in near.examples)


def test_shared_scaffolds():
    shared = MoleculeSimilarity().shared_scaffolds(
        records("Cc1ccccc1", "CCO"), records("Oc1ccccc1", "C1CC1", "CCN")
    )
    assert shared.tolist() == [True, False, False]


def test_overlap_with_a_sketched_corpus():
    corpus = records("CC(=O)Oc1ccccc1C(=O)O", "CCO", "C[C@H](N)C(=O)O.Cl", "[13CH4]")
    similarity = MoleculeSimilarity()
    sketch = similarity.sketch(iter(corpus))
    assert sketch.dtype == np.uint64
    assert (np.diff(sketch) > 0).all()
    asked = records("OC(=O)c1ccccc1OC(C)=O", "CCO.Cl", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O", "C", "CCN", "CCCO")
    assert similarity.overlap(sketch, asked).tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert similarity.overlap(similarity.sketch([]), asked).tolist() == [0] * 7
    assert flat_parent("C[C@H](N)C(=O)O.Cl") == "CC(N)C(=O)O"


def test_fingerprints_are_rdkits():
    smiles = [ASPIRIN, "CCO"]
    bits = ecfp_bits(smiles)
    assert bits.shape == (2, 2048)
    assert bits.dtype == np.uint8
    for row, vector in zip(bits, ecfp(smiles), strict=True):
        assert np.flatnonzero(row).tolist() == list(vector.GetOnBits())
    counts = ecfp_bits(smiles, counts=True)
    assert ((counts > 0) == (bits > 0)).all()
    assert counts.max() > 1
    structure = Structure(np.array([6, 6, 8], np.uint8), np.zeros((3, 3)), "CCO")
    np.testing.assert_array_equal(ecfp_bits([structure])[0], bits[1])


# --- pictures ---------------------------------------------------------------------------------------


def drawn(record, prediction=None):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4))
    axes = figure.subplots()
    draw(axes, record, prediction)
    figure.canvas.draw()
    return axes


def test_a_molecule_is_drawn():
    axes = drawn(Record("aspirin", ASPIRIN, 1.5), "1.2")
    picture = axes.images[0].get_array()
    assert picture.shape == (350, 750, picture.shape[2])
    assert (np.asarray(picture)[..., :3] < 0.9).any(axis=2).sum() > 1000
    assert "aspirin" in axes.get_title()
    assert "true: 1.5   predicted: 1.2" in axes.get_title()


def test_atoms_are_coloured_by_their_attributions():
    plain = np.asarray(drawn(Record("a", "CCO")).images[0].get_array())[..., :3]
    axes = drawn(Record("a", "CCO"), {"value": 2.5, "attributions": [1.0, 0.0, -0.5]})
    coloured = np.asarray(axes.images[0].get_array())[..., :3]
    assert "predicted: 2.5" in axes.get_title()

    def share(picture, colour):
        return (np.abs(picture - np.array(colour)).max(axis=2) < 0.02).sum()

    colours = atom_colours([1.0, 0.0, -0.5], 3)
    assert set(colours) == {0, 2}
    for colour in colours.values():
        assert share(coloured, colour) > 200
        assert share(plain, colour) == 0
    assert atom_colours([1.0, 2.0], 3) == {}  # not of this molecule
    assert atom_colours([np.nan, 0.0, 0.0], 3) == {}


def test_what_cannot_be_drawn_is_said():
    assert drawn(Record("a", "not_a_molecule")).texts[0].get_text().startswith("is no SMILES")
    assert "300 atoms" in drawn(Record("a", "C" * 300)).texts[0].get_text()
