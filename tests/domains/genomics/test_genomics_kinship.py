from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scizoo.data.records import Record
from scizoo.errors import DataError
from scizoo_genomics.alphabet import reverse_complement
from scizoo_genomics.clusters import homology_clusters
from scizoo_genomics.kmers import hashed_kmers, kmer_numbers, pieces
from scizoo_genomics.similarity import KmerJaccard
from scizoo_genomics.splitters import ContigSplitter, HomologySplitter, SequenceSplitter
from scizoo_genomics.tokenizers.lookup import codes_of

PARTS = ("train", "validation", "test")


def records(sequences, **fields) -> list[Record]:
    return [Record(f"r{i}", s, **{k: v[i] for k, v in fields.items()}) for i, s in enumerate(sequences)]


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="ACGT", max_size=40), st.integers(1, 15))
def test_canonical_numbers_equal_a_plain_loop(sequence, k):
    def number(word: str) -> int:
        return sum("ACGT".index(base) * 4 ** (k - 1 - i) for i, base in enumerate(word))

    words = [sequence[i : i + k] for i in range(len(sequence) - k + 1)]
    expected = [min(number(word), number(reverse_complement(word))) for word in words]
    assert kmer_numbers(codes_of([sequence])[0], k).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ACGTN", max_size=20), max_size=6), st.integers(2, 7))
def test_no_kmer_reaches_over_a_sequence_or_an_ambiguity(sequences, k):
    hashes, rows = hashed_kmers(sequences, k)
    expected = [
        row for row, s in enumerate(sequences) for i in range(len(s) - k + 1) if "N" not in s[i : i + k]
    ]
    assert rows.tolist() == expected
    flipped, _ = hashed_kmers([reverse_complement(s) for s in sequences], k)
    assert np.array_equal(np.sort(hashes), np.sort(flipped))


def test_pieces_cover_everything_once():
    sequences = ["A" * n for n in (5, 1, 9, 3, 3, 2)]
    assert [(start, len(run)) for start, run in pieces(sequences, 8)] == [(0, 3), (3, 3)]


@pytest.fixture
def families(dna, mutate):
    """Forty unrelated sequences, each with a mutated copy and a mutated copy of the other strand."""
    founders = [dna(400, i) for i in range(40)]
    kin = [mutate(s, 0.02, i) for i, s in enumerate(founders)]
    flipped = [reverse_complement(mutate(s, 0.02, i + 99)) for i, s in enumerate(founders)]
    return [*founders, *kin, *flipped], np.tile(np.arange(40), 3)


def test_planted_homologs_of_both_strands_are_found(families):
    sequences, truth = families
    assert homology_clusters(sequences, k=11, threshold=0.3).tolist() == truth.tolist()


def test_single_linkage_follows_chains(dna, mutate):
    chain = [dna(600, 7)]
    for step in range(5):
        chain.append(mutate(chain[-1], 0.04, step))
    assert set(homology_clusters([*chain, dna(600, 8)], k=11, threshold=0.3).tolist()) == {0, 1}


def test_odd_sequences_are_alone():
    clusters = homology_clusters(["ACG", "ACG", "N" * 50, "", "ACGTACGTACGTAC" * 3], k=11)
    assert len(set(clusters.tolist())) == 5
    assert homology_clusters([]).tolist() == []


def test_crowded_buckets_are_compared_in_full(monkeypatch, families):
    sequences, truth = families
    crowded = homology_clusters(sequences, threshold=0.3, link_all=0)
    assert crowded.tolist() == truth.tolist()


def test_homology_splitter_shares_no_family(families):
    sequences, truth = families
    split = HomologySplitter((0.6, 0.2, 0.2), threshold=0.3).split(records(sequences))
    where = [set(truth[getattr(split, part)].tolist()) for part in PARTS]
    assert sum(map(len, where)) == 40
    assert sum(len(getattr(split, part)) for part in PARTS) == len(sequences)
    assert "homology" in split.method


def test_homology_splitter_keeps_named_groups_together(families):
    sequences, truth = families
    genes = [f"gene{family // 2}" for family in truth]
    groups = HomologySplitter(threshold=0.3).groups(records(sequences, group=genes))
    assert len(set(groups)) == 20
    assert len({(gene, group) for gene, group in zip(genes, groups)}) == 20


def test_contig_splitter(dna):
    items = records([dna(30, i) for i in range(40)], meta=[{"contig": f"chr{i % 8}"} for i in range(40)])
    split = ContigSplitter((0.5, 0.25, 0.25)).split(items)
    where = [{items[i].meta["contig"] for i in getattr(split, part)} for part in PARTS]
    assert sum(map(len, where)) == 8
    with pytest.raises(DataError, match="contig"):
        ContigSplitter().split(records(["ACGT"]))


def test_sequence_splitter_takes_the_safest_split(families):
    sequences, truth = families
    shared = {"fractions": (0.6, 0.2, 0.2), "stratify": False, "threshold": 0.3}
    stated = records(sequences, meta=[{"split": "test" if f < 10 else "train"} for f in truth])
    assert set(truth[SequenceSplitter(**shared).split(stated).test].tolist()) == set(range(10))
    grouped = records(sequences, group=[f"g{f % 7}" for f in truth])
    assert len(set(SequenceSplitter(**shared).split(grouped).groups)) == 7
    assert "homology" in SequenceSplitter(**shared).split(records(sequences)).method
    with pytest.raises(DataError, match="states no part"):
        SequenceSplitter(**shared).split([*stated, Record("x", "ACGT")])


def test_duplicates_are_found_on_both_strands(dna, mutate):
    train = [dna(200, i) for i in range(30)]
    test = [
        train[3],
        reverse_complement(train[5]),
        mutate(train[7], 0.03),
        reverse_complement(mutate(train[9], 0.03)),
        dna(200, 77),
    ]
    audit = KmerJaccard(k=11, threshold=0.5)
    assert audit.exact_duplicates(records(train), records(test)) == [(3, 0), (5, 1)]
    found = audit.near_duplicates(records(train), records(test))
    assert [(i, j) for i, j, _ in found] == [(3, 0), (5, 1), (7, 2), (9, 3)]
    assert [score == 1.0 for _, _, score in found] == [True, True, False, False]
    assert all(0.5 <= score <= 1 for _, _, score in found)
    assert audit.near_duplicates([], records(test)) == []


def test_a_sketch_tells_what_a_corpus_holds(dna):
    corpus = [dna(3000, i) for i in range(20)]
    audit = KmerJaccard(sketch_scale=10)
    sketch = audit.sketch(iter(records(corpus)))
    assert len(sketch) == pytest.approx(20 * 2980 / 10, rel=0.1)
    probe = [
        corpus[4][500:2500],
        reverse_complement(corpus[5]),
        dna(2000, 99),
        corpus[0][:1000] + dna(1000, 98),
        "ACGT",
    ]
    shares = audit.overlap(sketch, records(probe))
    assert shares[:3].tolist() == [1.0, 1.0, 0.0]
    assert 0.3 < shares[3] < 0.7
    assert np.isnan(shares[4])
