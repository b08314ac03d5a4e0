from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.ML.Cluster import Butina

from scizoo.data.records import Record
from scizoo.data.splits import PARTS
from scizoo.errors import ConfigError, DataError
from scizoo_chemistry.clusters import butina_clusters, join_groups
from scizoo_chemistry.datasets.embedded import ChemblActivity
from scizoo_chemistry.fingerprints import ecfp
from scizoo_chemistry.scaffolds import murcko, scaffold_groups
from scizoo_chemistry.similarity import MoleculeSimilarity
from scizoo_chemistry.splitters import ButinaSplitter, MoleculeSplitter, ScaffoldSplitter
from scizoo_chemistry.splitters_columns import ColdTargetSplitter, TimeSplitter


@pytest.fixture(scope="module")
def series():
    return list(ChemblActivity())[::3]


def records(smiles, **columns):
    return [
        Record(
            f"r{n}",
            text,
            n % 2,
            columns.get("group", [None] * len(smiles))[n],
            {key: values[n] for key, values in columns.items() if key != "group"},
            f"t.csv, row {n + 1}",
        )
        for n, text in enumerate(smiles)
    ]


def parts_of(split, values):
    return {part: {values[row] for row in getattr(split, part)} for part in PARTS}


def assert_disjoint(split, values):
    found = parts_of(split, values)
    assert all(found.values())
    assert not found["train"] & found["validation"]
    assert not found["train"] & found["test"]
    assert not found["validation"] & found["test"]
    rows = np.concatenate([getattr(split, part) for part in PARTS])
    assert sorted(rows.tolist()) == list(range(len(values)))


def deepchem(smiles, fractions=(0.8, 0.1, 0.1)):
    """DeepChem's ScaffoldSplitter, line by line."""
    scaffolds = {}
    for place, text in enumerate(smiles):
        mol = Chem.MolFromSmiles(text)
        key = MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)
        scaffolds.setdefault(key, []).append(place)
    ordered = sorted(scaffolds.values(), key=lambda rows: (len(rows), rows[0]), reverse=True)
    first, second = fractions[0] * len(smiles), (fractions[0] + fractions[1]) * len(smiles)
    train, validation, test = [], [], []
    for rows in ordered:
        if len(train) + len(rows) > first:
            if len(train) + len(validation) + len(rows) > second:
                test += rows
            else:
                validation += rows
        else:
            train += rows
    return train, validation, test


# --- scaffolds --------------------------------------------------------------------------------------


def test_scaffolds():
    assert murcko("CC(=O)Nc1ccc(O)cc1") == "c1ccccc1"
    assert murcko("CCCCO") == ""
    assert murcko("O=C(c1ccccc1)N1CCNCC1") == "O=C(c1ccccc1)N1CCNCC1"
    assert murcko("O=C(c1ccccc1)N1CCNCC1", generic=True) == "C1CCC(CC2CCCCC2)CC1"
    apart = scaffold_groups(["CCO", "C[C@H](N)O", "C[C@@H](N)O", "c1ccccc1C"])
    assert apart[0] != apart[1] == apart[2]
    assert apart[3] == "c1ccccc1"
    assert scaffold_groups(["CCO", "CCN"], acyclic="together") == ["", ""]


def test_without_balance_the_order_is_deepchems(series):
    smiles = [record.input for record in series] + ["CCO", "CCN", "CCCC"]
    split = ScaffoldSplitter(balanced=False).split(records(smiles))
    for part, expected in zip(PARTS, deepchem(smiles), strict=True):
        assert getattr(split, part).tolist() == sorted(expected)
    assert "DeepChem" in split.method


@pytest.mark.parametrize("generic", [False, True])
def test_no_scaffold_is_in_two_parts(series, generic):
    split = ScaffoldSplitter(generic=generic, seed=3).split(series)
    assert_disjoint(split, [murcko(record.input, generic=generic) for record in series])
    for part, share in zip(PARTS, (0.8, 0.1, 0.1), strict=True):
        assert abs(len(getattr(split, part)) / len(series) - share) < 0.03
    again = ScaffoldSplitter(generic=generic, seed=3).split(series)
    assert split.test.tolist() == again.test.tolist()
    assert "scaffolds" in split.method


def test_seeds_of_the_balanced_split_differ(series):
    one, two = (ScaffoldSplitter(seed=seed).split(series).test.tolist() for seed in (0, 1))
    assert one != two


def test_tautomers_and_salts_of_a_compound_stay_together(series):
    """Theophylline's tautomers have two scaffolds; a salt with a ring in it has a third."""
    forms = ["Cn1c(=O)c2[nH]cnc2n(C)c1=O", "Cn1c(=O)c2nc[nH]c2n(C)c1=O"]
    forms.append(f"{forms[0]}.c1ccccc1")
    assert len({murcko(form) for form in forms}) == 3
    some = [*forms, *(record.input for record in series[:60])]
    for seed in range(4):
        split = ScaffoldSplitter(seed=seed).split(records(some))
        homes = {part for part in PARTS if set(getattr(split, part)) & {0, 1, 2}}
        assert len(homes) == 1
    assert ScaffoldSplitter(balanced=False).join_compounds is False


def test_molecules_without_rings_are_not_lumped_together():
    chains = ["C" * length + "O" for length in range(1, 41)]
    split = ScaffoldSplitter(seed=0).split(records(chains))
    assert len(split.train) == 32
    assert "without rings are groups of their own" in split.method
    with pytest.raises(DataError, match="would be empty"):
        ScaffoldSplitter(acyclic="together").split(records(chains))
    with pytest.raises(DataError, match=r"balanced=true"):
        ScaffoldSplitter(balanced=False).split(records(chains))
    with pytest.raises(ConfigError, match="acyclic"):
        ScaffoldSplitter(acyclic="alone")


def test_named_groups_join_scaffolds(series):
    batches = [f"batch {n // 40}" for n in range(len(series))]
    grouped = records([record.input for record in series], group=batches)
    with pytest.raises(DataError, match="would be empty"):
        ScaffoldSplitter().split(grouped)  # the batches chain all scaffolds together
    assert_disjoint(ScaffoldSplitter(respect_groups=False).split(grouped), [murcko(r.input) for r in grouped])


def test_stratified_scaffolds_hold_each_class():
    rings = [f"{'C' * n}c1cc{'n' * (n % 2)}cc{'C' * (n % 5)}1" for n in range(1, 60)]
    good = [s for s in rings if Chem.MolFromSmiles(s) is not None]
    some = [Record(f"r{n}", s, "rare" if n % 9 == 0 else "usual") for n, s in enumerate(good)]
    chains = [Record(f"c{n}", "N" + "C" * n, "rare" if n % 5 == 0 else "usual") for n in range(1, 60)]
    split = ScaffoldSplitter(stratify=True).split([*some, *chains])
    for part in PARTS:
        assert {([*some, *chains])[row].target for row in getattr(split, part)} == {"rare", "usual"}


# --- clusters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [0.2, 0.4, 0.65])
def test_butina_clusters_are_rdkits(series, cutoff):
    smiles = [record.input for record in series[:150]]
    prints = ecfp(smiles)
    distances = []
    for place in range(1, len(prints)):
        alike = DataStructs.BulkTanimotoSimilarity(prints[place], prints[:place])
        distances += [1 - value for value in alike]
    expected = Butina.ClusterData(distances, len(prints), cutoff, isDistData=True, reordering=False)
    found = butina_clusters(smiles, cutoff)
    mine = {frozenset(np.flatnonzero(found == number).tolist()) for number in range(found.max() + 1)}
    assert mine == {frozenset(members) for members in expected}


def test_no_cluster_is_in_two_parts(series):
    split = ButinaSplitter(cutoff=0.5).split(series)
    assert_disjoint(split, butina_clusters([record.input for record in series], 0.5).tolist())
    assert "Butina" in split.method
    assert butina_clusters([]).tolist() == []
    assert butina_clusters(["CCO", "OCC"]).tolist() == [0, 0]
    with pytest.raises(ConfigError, match="cutoff"):
        ButinaSplitter(cutoff=1.5)


def test_groups_are_joined_over_several_criteria():
    assert join_groups(["a", "b", "c", "d"], [None, "x", None, "x"]) == [0, 1, 2, 1]
    assert join_groups(["a", "b", "a", "c"], ["x", "x", "y", "y"]) == [0, 0, 0, 0]
    assert join_groups([None, None]) == [0, 1]


# --- columns ----------------------------------------------------------------------------------------


def test_time_trains_on_the_past(series):
    smiles = [record.input for record in series[:100]]
    years = [2000 + n // 10 for n in range(100)]
    order = np.random.default_rng(0).permutation(100)
    shuffled = records([smiles[i] for i in order], year=[str(years[i]) for i in order])
    split = TimeSplitter("year").split(shuffled)
    when = {part: [int(shuffled[row].meta["year"]) for row in getattr(split, part)] for part in PARTS}
    assert (len(split.train), len(split.validation), len(split.test)) == (80, 10, 10)
    assert max(when["train"]) < min(when["validation"])
    assert max(when["validation"]) < min(when["test"])
    assert "train up to 2007" in split.method


def test_a_compound_measured_again_belongs_to_its_first_time():
    smiles = [f"{'C' * n}O" for n in range(1, 21)]
    dates = [f"20{n:02d}-03-01" for n in range(1, 21)]
    again = records([*smiles, "OC"], date=[*dates, "2020-12-31"])
    split = TimeSplitter("date").split(again)
    assert {0, 20} <= set(split.train.tolist())
    assert split.groups[0] == split.groups[20]


def test_time_that_cannot_be_read_names_the_record():
    smiles = [f"{'C' * n}O" for n in range(1, 11)]
    years = [str(2000 + n) for n in range(10)]
    with pytest.raises(DataError, match=r"'r3' \(t\.csv, row 4\) has 'spring'"):
        TimeSplitter("year").split(records(smiles, year=[*years[:3], "spring", *years[4:]]))
    with pytest.raises(DataError, match=r"'r0' .*no 'yaer'.*did you mean 'year'"):
        TimeSplitter("yaer").split(records(smiles, year=years))
    with pytest.raises(DataError, match=r"1 different times"):
        TimeSplitter("year").split(records(smiles, year=["2001"] * 10))


def test_cold_targets():
    smiles = [f"{'C' * (n % 7 + 1)}O" for n in range(60)]
    targets = [f"P{n // 5}" for n in range(60)]
    cold = records(smiles, target=targets)
    assert_disjoint(ColdTargetSplitter("target").split(cold), targets)
    with pytest.raises(DataError, match="would be empty"):
        ColdTargetSplitter("target", molecules=True).split(cold)  # the molecules chain all targets
    own = records([f"{'C' * (n + 1)}O" for n in range(60)], target=targets)
    assert_disjoint(ColdTargetSplitter("target", molecules=True).split(own), targets)
    with pytest.raises(DataError, match="has no 'assay'"):
        ColdTargetSplitter("assay").split(cold)


# --- whichever the data allow -----------------------------------------------------------------------


def test_stated_parts_come_first(series):
    smiles = [record.input for record in series[:90]]
    stated = records(smiles, split=["train"] * 60 + ["dev"] * 15 + ["test"] * 15)
    split = MoleculeSplitter().split(stated)
    assert split.train.tolist() == list(range(60))
    assert split.validation.tolist() == list(range(60, 75))
    assert "column" in split.method
    half = records(smiles, split=["train"] * 60 + [None] * 30)
    with pytest.raises(DataError, match=r"'r60' .*states no part, but 60 others do"):
        MoleculeSplitter().split(half)


def test_a_validation_part_is_carved_out_by_scaffold(series):
    smiles = [record.input for record in series[:200]]
    split = MoleculeSplitter(validation=0.2).split(records(smiles, split=["train"] * 180 + ["test"] * 20))
    assert split.test.tolist() == list(range(180, 200))
    train, validation = ({murcko(smiles[row]) for row in rows} for rows in (split.train, split.validation))
    assert validation
    assert not train & validation


def test_groups_come_second_and_share_no_compound(series):
    smiles = [record.input for record in series[:60]]
    groups = [f"g{n // 3}" for n in range(60)]
    smiles[5] = smiles[0]  # one molecule in g0 and g1
    split = MoleculeSplitter(stratify=False).split(records(smiles, group=groups))
    assert_disjoint(split, groups)
    assert split.groups[0] == split.groups[5]


def test_else_scaffolds(series):
    split = MoleculeSplitter().split(series)
    assert "Bemis-Murcko" in split.method
    assert_disjoint(split, [murcko(record.input) for record in series])


def test_near_copies_of_two_scaffolds_stay_together():
    """Rings at the ends of a chain of 12 or 13: two scaffolds, one fingerprint."""
    ends = ["c1ccccc1", "C1CC1", "c1ccncc1", "C1CCCC1", "c1ccsc1", "C1CCOC1", "C1CCNCC1", "c1ccoc1"]
    ends = [(one, other) for place, one in enumerate(ends) for other in ends[place:]]
    pairs = [f"{one}{'C' * length}{other}" for one, other in ends for length in (12, 13)]
    similarity = MoleculeSimilarity()
    rows = records(pairs)

    def across(splitter):
        split = splitter.split(rows)
        train, test = ([rows[row] for row in part] for part in (split.train, split.test))
        return len(similarity.near_duplicates(train, test))

    assert sum(across(ScaffoldSplitter(seed=seed)) for seed in range(3)) > 0
    assert sum(across(MoleculeSplitter(seed=seed, stratify=False)) for seed in range(3)) == 0
    method = MoleculeSplitter().split(rows).method
    assert "near copies (Tanimoto 0.9 and more) are together" in method
    with pytest.raises(ConfigError, match="near"):
        MoleculeSplitter(near=0)
