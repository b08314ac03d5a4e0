from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from scizoo.data.records import RejectionLog, check_unique_ids
from scizoo.errors import DataError
from scizoo_chemistry.datasets.files import MoleculeFiles
from scizoo_chemistry.molecules import Structure, parse_inchi, parse_smiles, smiles_of, to_mol
from scizoo_chemistry.rdkit_log import listening, reason_of
from scizoo_chemistry.readers.detect import molecule_format, read_molecules
from scizoo_chemistry.readers.sdf import read_sdf
from scizoo_chemistry.standardise import (
    CHARGE,
    ISOTOPE,
    NORMALISED,
    SALT,
    STEREO,
    TAUTOMER,
    Standardiser,
)

SMILES = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O"]


def read(path, **options):
    log = RejectionLog()
    return list(read_molecules(path, log, **options)), log


def canonical(entries):
    return [Chem.MolToSmiles(entry.mol) for entry in entries]


def block(smiles, name="", hydrogens=False, **properties):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=7)
    mol = mol if hydrogens else Chem.RemoveHs(mol)
    mol.SetProp("_Name", name)
    data = "".join(f"> <{key}>\n{value}\n\n" for key, value in properties.items())
    return Chem.MolToMolBlock(mol) + data + "$$$$\n"


# --- what RDKit says --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CN(C)(C)(C)C", "valence for atom # 1 N, 5"),
        ("c1cccc1", "kekulize"),
        ("CCX", "syntax error at character 3"),
        ("C1CC", "unclosed ring"),
        ("C(C", "open parentheses"),
        ("", "is empty"),
        ("CCO ethanol", "more than one word"),
    ],
)
def test_a_smiles_that_cannot_be_read_is_refused_with_rdkits_reason(text, words, capfd):
    mol, reason = parse_smiles(text)
    assert mol is None
    assert words in reason
    assert "\n" not in reason
    shown = capfd.readouterr()
    assert shown.out == shown.err == ""


def test_an_inchi_that_fails_is_refused(capfd):
    mol, reason = parse_inchi("InChI=1S/CH9/h1H4")
    assert mol is None
    assert "InChI" in reason
    assert Chem.MolToSmiles(parse_inchi("InChI=1S/C2H6O/c1-2-3/h3H,2H2,1H3")[0]) == "CCO"
    assert capfd.readouterr().err == ""


def test_reasons_are_told_apart_in_threads():
    """Each of eight threads that parse at once hears of its own molecule alone."""
    wrong, found = ["CN(C)(C)(C)C", "c1cccc1", "CCX", "C1CC"] * 2, {}
    words = ["valence", "kekulize", "syntax", "unclosed"] * 2

    def work(number):
        found[number] = [parse_smiles(wrong[number])[1] for _ in range(50)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, word in enumerate(words):
        assert all(word in reason for reason in found[number])


def test_outside_of_listening_rdkit_speaks_as_before():
    with listening() as messages:
        Chem.MolFromSmiles("CN(C)(C)(C)C")
    assert reason_of(messages).startswith("explicit valence")
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logging.getLogger("rdkit").addHandler(handler)
    try:
        Chem.MolFromSmiles("CN(C)(C)(C)C")
        with listening():
            Chem.MolFromSmiles("c1cccc1")
    finally:
        logging.getLogger("rdkit").removeHandler(handler)
    assert len(heard) == 1
    assert "Explicit valence" in heard[0]


def test_to_mol_names_the_molecule_and_the_remedy():
    with pytest.raises(DataError, match=r"CN\(C\)\(C\)\(C\)C.*valence") as caught:
        to_mol("CN(C)(C)(C)C")
    assert caught.value.remedy
    with pytest.raises(DataError, match="float"):
        smiles_of(1.5)


# --- formats ----------------------------------------------------------------------------------------

LAYOUTS = {
    "bare": "\n".join(SMILES) + "\n",
    "titles": "\n".join(f"{smiles} mol {n}" for n, smiles in enumerate(SMILES)),
    "tabs": "\n".join(f"{smiles}\tmol {n}\t{n}.5" for n, smiles in enumerate(SMILES)) + "\n",
    "header": "SMILES\tname\tpIC50\n" + "\n".join(f"{s}\tmol {n}\t{n}.5" for n, s in enumerate(SMILES)),
    "crlf": "\r\n".join(f"{smiles} mol {n}" for n, smiles in enumerate(SMILES)) + "\r\n",
    "comments": "# my molecules\n\n" + "\n".join(SMILES) + "\n\n",
    "bom": "\ufeff" + "\n".join(SMILES),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_smiles_lines_in_every_layout(put, layout, packed):
    path = put("mols.smi", LAYOUTS[layout], packed)
    entries, log = read(path)
    assert canonical(entries) == SMILES_CANONICAL
    assert not log.rejected
    if layout in ("titles", "tabs", "header", "crlf"):
        assert [entry.id for entry in entries] == [f"mol {n}" for n in range(4)]
    if layout == "header":
        assert [entry.fields["pIC50"] for entry in entries] == ["0.5", "1.5", "2.5", "3.5"]
    if layout == "tabs":
        assert entries[1].fields["column3"] == "1.5"


SMILES_CANONICAL = [Chem.CanonSmiles(smiles) for smiles in SMILES]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_sdf_with_properties(put, packed):
    text = "".join(block(s, f"m{n}", activity=n / 2, note="two\nlines") for n, s in enumerate(SMILES))
    path = put("no_telling_name", text, packed)
    assert molecule_format(path) == "sdf"
    entries, log = read(path)
    assert canonical(entries) == SMILES_CANONICAL
    assert [entry.id for entry in entries] == ["m0", "m1", "m2", "m3"]
    assert [entry.fields["activity"] for entry in entries] == ["0.0", "0.5", "1.0", "1.5"]
    assert entries[0].fields["note"] == "two\nlines"
    assert not log.rejected


def test_a_mol_file_and_v3000(put):
    mol = Chem.MolFromSmiles("CC(=O)O")
    old, new = put("a.mol", Chem.MolToMolBlock(mol)), put("b.mol", Chem.MolToV3KMolBlock(mol))
    assert canonical(read(old)[0]) == canonical(read(new)[0]) == ["CC(=O)O"]


def test_inchi_lines_and_columns(put):
    inchis = [Chem.MolToInchi(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    path = put("mols.inchi", "".join(f"{inchi}\tm{n}\n" for n, inchi in enumerate(inchis)))
    entries, _ = read(path)
    assert canonical(entries) == SMILES_CANONICAL
    assert entries[2].id == "m2"
    table = put("mols.csv", "inchi,y\n" + "".join(f'"{inchi}",1\n' for inchi in [*inchis, "InChI=1S/X"]))
    data = MoleculeFiles(table, input="inchi", target="y", max_rejected=0.5)
    assert [record.input for record in data] == SMILES_CANONICAL
    assert "InChI" in data.rejections.rejected[0].reason
    assert data.rejections.rejected[0].source == "mols.csv, row 5"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "parquet"])
def test_tables(put, tmp_path, kind):
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"smiles": SMILES, "y": [0.5, 1.5, 2.5, None]}), path)
    else:
        mark = "\t" if kind == "tsv" else ","
        rows = [mark.join(["smiles", "y"]), *(f"{s}{mark}{n}.5" for n, s in enumerate(SMILES))]
        path = put(f"t.{kind}", "\n".join([*rows[:-1], rows[-1].rsplit(mark, 1)[0] + mark]), kind == "csv.gz")
    records = list(MoleculeFiles(path, target="y"))
    assert [record.input for record in records] == SMILES_CANONICAL
    assert [None if r.target is None else float(r.target) for r in records] == [0.5, 1.5, 2.5, None]


XYZ = """3
Properties=species:S:1:pos:R:3:forces:R:3 energy=-76.4 config_type=md pbc="F F F"
O 0.0 0.0 0.1173 0.0 0.0 0.0
H 0.0 0.7572 -0.4692 0.0 0.0 0.0
H 0.0 -0.7572 -0.4692 0.0 0.0 0.0
"""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_extended_xyz(put, packed):
    path = put("water.xyz", XYZ + XYZ.replace("-76.4", "-75.0"), packed)
    data = MoleculeFiles(path, target="energy", geometry=True)
    records = list(data)
    assert [record.target for record in records] == [-76.4, -75.0]
    structure = records[0].input
    assert isinstance(structure, Structure)
    assert structure.numbers.tolist() == [8, 1, 1]
    np.testing.assert_allclose(structure.positions[1], [0, 0.7572, -0.4692])
    assert structure.cell is None
    assert records[0].meta["config_type"] == "md"
    with pytest.raises(DataError, match="no known bonds"):
        smiles_of(structure)
    # Without geometry the bonds are told from the coordinates.
    assert [record.input for record in MoleculeFiles(path, target="energy")] == ["O", "O"]
    # Bonds beside the coordinates, where both are wanted.
    assert next(iter(MoleculeFiles(path, geometry=True, bonds=True))).input.smiles == "O"


def test_a_periodic_structure_keeps_its_cell(put):
    text = XYZ.replace('pbc="F F F"', 'Lattice="9 0 0 0 9 0 0 0 9" pbc="T T T"')
    record = next(iter(MoleculeFiles(put("box.xyz", text), geometry=True)))
    np.testing.assert_allclose(record.input.cell, 9 * np.eye(3))


def test_sdf_gives_structures_with_their_hydrogens(put):
    path = put("a.sdf", block("CCO", "ethanol", hydrogens=True))
    structure = next(iter(MoleculeFiles(path, geometry=True))).input
    assert len(structure.numbers) == 9
    assert structure.smiles == "CCO"
    flat = put("flat.sdf", Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")) + "$$$$\n")
    with pytest.raises(DataError, match="no 3-D coordinates"):
        list(MoleculeFiles(flat, geometry=True))


def test_structures_are_compared_by_content():
    one = Structure(np.array([8, 1], np.uint8), np.zeros((2, 3)), "[OH-]", -1)
    same = Structure(np.array([8, 1], np.uint8), np.zeros((2, 3)), "[OH-]", -1)
    other = Structure(np.array([8, 1], np.uint8), np.full((2, 3), 1e-9), "[OH-]", -1)
    assert one == same
    assert one != other
    assert repr(one) == repr(same) != repr(other)
    assert len({one, same, other}) == 2
    with pytest.raises(DataError, match="2 atoms"):
        Structure(np.array([8, 1], np.uint8), np.zeros((3, 3)))


# --- bad input --------------------------------------------------------------------------------------


def test_bad_lines_are_rejected_and_the_rest_is_read(put):
    text = "CCO good\nCN(C)(C)(C)C valence\nnot_a_smiles odd\nCCN fine\n" + "C" * 5000 + " long\n"
    entries, log = read(put("mols.smi", text), max_length=2000)
    assert [entry.id for entry in entries] == ["good", "fine"]
    assert [item.id for item in log.rejected] == ["valence", "odd", "long"]
    assert log.rejected[0].source == "mols.smi, line 2"
    assert "valence" in log.rejected[0].reason
    assert "5,000 characters" in log.rejected[2].reason
    long, _ = read(put("long.smi", "C" * 5000 + " long\n"))
    assert long[0].mol.GetNumAtoms() == 5000


def test_bad_sdf_records_are_rejected_and_the_rest_is_read(put, capfd):
    good, wrong = block("CCO", "a", y=1), block("CCN", "b", y=2)
    cut = "\n".join(wrong.splitlines()[:6]) + "\n$$$$\n"
    alien = block("CCC", "c").replace(" C   0", " Zz  0", 1)
    headless = "d\n\n\nno counts\nM  END\n$$$$\n"
    path = put("mixed.sdf", good + cut + alien + headless + block("CCCl", "e", y=5))
    entries, log = read(path)
    assert [entry.id for entry in entries] == ["a", "e"]
    assert [item.id for item in log.rejected] == ["b", "c", "d"]
    assert "M  END" in log.rejected[0].reason
    assert "Zz" in log.rejected[1].reason
    assert "counts" in log.rejected[2].reason
    assert log.rejected[1].source == "mixed.sdf, record 3"
    assert capfd.readouterr().err == ""


def test_frames_with_a_wrong_number_of_atoms(put):
    more = XYZ.replace("3\n", "4\n", 1)
    fewer = XYZ.replace("3\n", "2\n", 1)
    nan = XYZ.replace("0.7572", "nan", 1)
    path = put("md.xyz", XYZ + more + fewer + nan + XYZ)
    entries, log = read(path)
    assert [entry.source for entry in entries] == ["md.xyz, frame 1", "md.xyz, frame 5"]
    assert [item.reason for item in log.rejected[:2]] == [
        "says 4 atoms but holds 3",
        "says 2 atoms but holds 3",
    ]
    assert "no number" in log.rejected[2].reason


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.smi", b"", ["empty.smi is empty"]),
        ("blank.smi", b"\n \n", ["blank.smi is empty"]),
        ("picture.sdf", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["picture.sdf is a PNG picture"]),
        ("sheet.csv", b"PK\x03\x04rest", ["Excel", "CSV"]),
        ("noise.smi", bytes(range(256)) * 8, ["binary"]),
        ("header.sdf", b"name\n  program\n\n", ["header.sdf", "holds no atoms", "header"]),
        ("header2.sdf", b"name\n  program\n\nfoo\nbar\n", ["line 4 is 'foo'"]),
        ("letter.smi", b"Dear colleague,\nhere they come.\n", ["Dear colleague"]),
        ("half.smi.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", ["damaged", "again"]),
        ("protein.sdf", b"HEADER    HYDROLASE\nATOM\n", ["PDB", "SDF"]),
    ],
)
def test_files_that_hold_no_molecules_are_refused_in_one_message(put, name, content, words):
    path = put(name, content)
    with pytest.raises(DataError) as caught:
        list(MoleculeFiles(path))
    message = str(caught.value)
    for word in [name, *words]:
        assert word in message
    assert caught.value.expected or caught.value.remedy


def test_a_missing_file_suggests_its_neighbour(put):
    path = put("molecules.smi", "CCO\n")
    with pytest.raises(DataError, match=r"molecules\.smi"):
        list(MoleculeFiles(path.with_name("molcules.smi")))


def test_a_table_without_the_column(put):
    path = put("t.csv", "structure,y\nCCO,1\nCCN,2\n")
    with pytest.raises(DataError, match=r"did you mean 'structure'\? It holds molecules") as caught:
        list(MoleculeFiles(path, target="y"))
    assert caught.value.remedy == "add data.input=structure"
    with pytest.raises(DataError, match=r"no column 'smile' .*did you mean 'smiles'"):
        list(MoleculeFiles(put("u.csv", "smiles,y\nCCO,1\n"), input="smile"))
    with pytest.raises(DataError, match="no column 'z'"):
        list(MoleculeFiles(put("v.csv", "smiles,y\nCCO,1\n"), target="z"))
    with pytest.raises(DataError, match="no header"):
        list(MoleculeFiles(put("w.csv", "CCOC,1\nCCN,2\n")))


def test_a_column_of_another_case_is_taken_and_said(put, caplog):
    caplog.set_level("INFO")
    assert len(list(MoleculeFiles(put("t.csv", "SMILES,y\nCCO,1\n"), target="y"))) == 1
    assert "column 'SMILES' is taken" in caplog.text


def test_formats_are_told_by_content(put):
    assert molecule_format(put("t.txt", "name;SMILES\na;CCO\n")) == "table"
    assert molecule_format(put("a.dat", "CCO\nCCN\n")) == "lines"
    assert molecule_format(put("b.smi", XYZ)) == "xyz"
    assert molecule_format(put("c.csv", block("CCO"))) == "table"  # a table may quote anything
    assert molecule_format(put("d.txt", block("CCO"), packed=True)) == "sdf"
    assert [r.input for r in MoleculeFiles(put("u.txt", "name;SMILES\na;CCO\n"))] == ["CCO"]


def test_two_records_of_one_id(put):
    path = put("t.smi", "CCO a\nCCN b\nCCC a\n")
    with pytest.raises(DataError, match=r"'a' .*line 1.*line 3"):
        check_unique_ids(MoleculeFiles(path))


def test_too_many_bad_records_fail_the_run_by_name(put):
    path = put("t.csv", "smiles,y\nCCO,1\nCN(C)(C)(C)C,2\nCCN,3\n")
    with pytest.raises(DataError, match=r"1 of 3 records.*t\.csv, row 2.*valence"):
        list(MoleculeFiles(path, target="y"))


def test_a_property_that_a_record_lacks(put):
    path = put("a.sdf", block("CCO", "a", logP=1) + block("CCN", "b", logp=2))
    data = MoleculeFiles(path, target="logP", max_rejected=0.5)
    assert [record.target for record in data] == ["1"]
    assert data.rejections.rejected[0].reason == "has no 'logP': did you mean 'logp'?"


def test_read_sdf_needs_no_suffix_to_refuse_a_header(put):
    with pytest.raises(DataError, match="holds no atoms"):
        list(read_sdf(put("x.sdf", "name\n\n\n"), RejectionLog()))


# --- standardisation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "before", "after", "what"),
    [
        ({"salts": True}, "CC(=O)[O-].[Na+]", "CC(=O)[O-]", SALT),
        ({"salts": True}, "[Na+].[Cl-].CCN", "CCN", SALT),
        ({"charges": True}, "CC(=O)[O-]", "CC(=O)O", CHARGE),
        ({"tautomers": True}, "Oc1ccccn1", "O=c1cccc[nH]1", TAUTOMER),
        ({"stereo": False}, "C[C@H](N)C(=O)O", "CC(N)C(=O)O", STEREO),
        ({"isotopes": False}, "[2H]C([2H])([2H])O", "CO", ISOTOPE),
        ({"normalise": True}, "CN(=O)=O", "C[N+](=O)[O-]", None),
        ({"normalise": True}, "CS(C)=O", "C[S+](C)[O-]", NORMALISED),
    ],
)
def test_standardisation(options, before, after, what):
    mol, _ = parse_smiles(before)
    if mol is None:  # RDKit mends this nitro group itself or refuses it
        return
    found, changes = Standardiser(**options)(mol)
    assert Chem.MolToSmiles(found) == Chem.CanonSmiles(after)
    assert changes == ([what] if what else changes)
    kept, nothing = Standardiser()(mol)
    assert kept is mol
    assert nothing == []


def test_a_charge_that_no_proton_removes_stays():
    mol, changes = Standardiser(charges=True)(Chem.MolFromSmiles("C[N+](C)(C)C"))
    assert Chem.MolToSmiles(mol) == "C[N+](C)(C)C"
    assert changes == []


def test_what_was_changed_is_counted_said_and_kept(put, caplog):
    caplog.set_level("INFO")
    path = put("t.csv", "smiles,y\nCCO,1\nCCN.Cl,2\nCC(=O)[O-].[Na+],3\n")
    data = MoleculeFiles(path, target="y", salts=True, charges=True)
    records = list(data)
    assert [record.input for record in records] == ["CCO", "CCN", "CC(=O)O"]
    assert [record.meta["standardised"] for record in records] == [
        "as it was",
        SALT,
        f"{SALT}; {CHARGE}",
    ]
    assert records[2].meta["smiles_as_given"] == "CC(=O)[O-].[Na+]"
    assert f"2 of 3 changed (2: {SALT}; 1: {CHARGE})" in caplog.text
    assert data.fingerprint() != MoleculeFiles(path, target="y").fingerprint()
