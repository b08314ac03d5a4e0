from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from scizoo.errors import ConfigError, DataError
from scizoo_genomics.alphabet import reverse_complement
from scizoo_genomics.amplicon import PRIMERS, Primer, amplicon, primer_pair
from scizoo_genomics.datasets.coding import CodingSequences
from scizoo_genomics.datasets.corpus import Corpus16SAndGenomes
from scizoo_genomics.datasets.files import SequenceFiles
from scizoo_genomics.datasets.greengenes import is_held_out
from scizoo_genomics.datasets.splice import Splice
from scizoo_genomics.datasets.taxonomy import Taxonomy16S
from scizoo_genomics.orfs import find_orfs


@pytest.fixture
def write(tmp_path):
    def make(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return make


def test_a_table_with_a_sequence_column(write):
    path = write("mine.csv", "name,seq,y,lab,note\na,acgu,1,L1,x\nb,ACGN,2,L2,\n")
    data = SequenceFiles(path, input="seq", target="y", group="lab", id="name")
    first, second = data
    assert (first.id, first.input, first.target, first.group) == ("a", "ACGT", "1", "L1")
    assert first.meta == {"note": "x"}
    assert second.source == "mine.csv, row 2"


def test_parquet_and_csv_give_the_same_records(tmp_path, write):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"sequence": ["ACGT", "GGTT"], "label": ["0", "1"]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    table = [(r.input, r.target) for r in SequenceFiles(tmp_path / "x.parquet", target="label")]
    text = [
        (r.input, r.target)
        for r in SequenceFiles(write("x.csv", "sequence,label\nACGT,0\nGGTT,1\n"), target="label")
    ]
    assert table == text == [("ACGT", "0"), ("GGTT", "1")]


def test_a_folder_of_parts_states_the_split(write):
    for part, sequence in (("train", "ACGT"), ("dev", "CCGT"), ("test", "GCGT")):
        path = write(f"gue/{part}.csv", f"sequence,label\n{sequence},1\n")
    records = list(SequenceFiles(path.parent, target="label"))
    assert {r.input: r.meta["split"] for r in records} == {
        "ACGT": "train",
        "CCGT": "validation",
        "GCGT": "test",
    }
    assert len({r.id for r in records}) == 3


def test_several_targets_come_as_a_mapping(write):
    path = write("x.csv", "sequence,a,b\nACGT,1,\nCCGT,0,1\n")
    assert [r.target for r in SequenceFiles(path, target=["a", "b"])] == [
        {"a": "1", "b": None},
        {"a": "0", "b": "1"},
    ]


def test_fasta_labels_from_header_pattern_table_and_file_name(write):
    fasta = write("seqs.fa", ">s1|pos x\nACGT\n>s2|neg\nCCGT\n")
    pattern = SequenceFiles(fasta, target="label", header_pattern=r"\|(?P<label>\w+)")
    assert [r.target for r in pattern] == ["pos", "neg"]
    table = write("labels.tsv", "id\tlabel\ts\ns1|pos\t5\tg1\ns2|neg\t6\tg2\n")
    beside = SequenceFiles(fasta, target="label", group="s", labels=table)
    assert [(r.target, r.group) for r in beside] == [("5", "g1"), ("6", "g2")]
    assert {r.target for r in SequenceFiles(fasta, target="file")} == {"seqs"}


def test_what_a_record_lacks_is_told(write):
    fasta = write("seqs.fa", ">s1 label=1\nACGT\n" * 1 + ">s2\nCCGT\n")
    data = SequenceFiles(fasta, target="label", max_rejected=0.6)
    assert [r.id for r in data] == ["s1"]
    assert "has no 'label'" in data.rejections.rejected[0].reason
    with pytest.raises(DataError, match="max_rejected"):
        list(SequenceFiles(fasta, target="label"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "lable"}, "did you mean 'label'"),
        ({"input": "seq"}, "data.input"),
        ({"group": "patient"}, "data.group"),
    ],
)
def test_columns_not_found(write, options, words):
    path = write("x.csv", "sequence,label\nACGT,1\n")
    with pytest.raises(DataError, match=words):
        list(SequenceFiles(path, **options))


def test_settings_that_cannot_be(write):
    with pytest.raises(ConfigError, match=r"data\.path"):
        SequenceFiles()
    with pytest.raises(ConfigError, match=r"data\.reference"):
        SequenceFiles(intervals="x.bed")
    with pytest.raises(ConfigError, match="regular expression"):
        SequenceFiles("x.fa", header_pattern="(")


def test_a_file_of_proteins_says_so(write):
    path = write("x.fa", "".join(f">p{i}\nMEEPQSDPSVEPPLSQETFSDLWKLLPENNVLSPLPSQAM\n" for i in range(9)))
    with pytest.raises(DataError, match="holds proteins, not DNA"):
        list(SequenceFiles(path))


def test_intervals_over_a_reference_are_records(write, dna):
    genome = write("g.fa", f">chr1\n{dna(200)}\n")
    bed = write("x.bed", "chr1\t5\t25\tpos\t1\t-\nchr1\t30\t60\tneg\t1\t+\n")
    records = list(SequenceFiles(reference=genome, intervals=bed, target="name"))
    assert [(r.input, r.target) for r in records] == [
        (reverse_complement(dna(200)[5:25]), "pos"),
        (dna(200)[30:60], "neg"),
    ]
    assert records[0].meta["contig"] == "chr1"


def test_contradictions_are_left_out_on_request(write):
    path = write("x.csv", "sequence,label\nACGT,1\nCCGT,1\nACGT,0\nCCGT,1\n")
    assert len(list(SequenceFiles(path, target="label"))) == 4
    data = SequenceFiles(path, target="label", contradictions="leave_out")
    assert [r.input for r in data] == ["CCGT", "CCGT"]
    assert sum(data.left_out.values()) == 2


def test_fingerprints_follow_content_and_options(write):
    path = write("x.csv", "sequence,label\nACGT,1\n")
    first = SequenceFiles(path, target="label").fingerprint()
    assert SequenceFiles(path, target="label").fingerprint() == first
    assert SequenceFiles(path).fingerprint() != first
    path.write_text("sequence,label\nACGT,2\n")
    assert SequenceFiles(path, target="label").fingerprint() != first


@pytest.fixture
def greengenes(write, dna):
    """3 families of 4 genera of 3 sequences, an archaeon, a chloroplast, and one without a genus."""
    forward, reverse = "GTGCCAGCAGCCGCGGTAA", reverse_complement("GGACTACAAGGGTATCTAAT")
    fasta, taxonomy = [], []
    lineages = [
        f"k__Bacteria; p__P; c__C; o__O; f__F{f}; g__G{f}{g}; s__"
        for f in range(3)
        for g in range(4)
        for _ in range(3)
    ]
    lineages += [
        "k__Archaea; p__A; c__A; o__A; f__F0; g__A; s__",
        "k__Bacteria; p__Cyanobacteria; c__Chloroplast; o__S; f__F0; g__Oryza; s__",
        "k__Bacteria; p__P; c__C; o__O; f__F0; g__; s__",
    ]
    for number, lineage in enumerate(lineages, start=1):
        # The first sequence of two genera shares its region, as close kin do.
        inside = dna(60, 0 if number in (1, 4) else number)
        fasta.append(f">{number}\n{dna(40, number)}{forward}{inside}{reverse}{dna(30, number)}\n")
        taxonomy.append(f"{number}\t{lineage}\n")
    return {
        "sequences": str(write("97.fasta", "".join(fasta))),
        "taxonomy": str(write("97.txt", "".join(taxonomy))),
    }


def test_taxonomy_counts_what_it_leaves_out(greengenes):
    data = Taxonomy16S(min_groups_per_class=4, **greengenes)
    records = list(data)
    assert Counter(r.target for r in records) == {"F0": 12, "F1": 12, "F2": 12}
    assert Counter(r.group for r in records)["G00"] == 3
    assert not data.rejections.rejected
    assert sorted(data.left_out.values()) == [1, 1, 1]
    everything = Taxonomy16S(min_groups_per_class=1, domain=None, organelles=True, **greengenes)
    assert len(list(everything)) == 38
    with pytest.raises(DataError, match="min_groups_per_class"):
        list(Taxonomy16S(min_groups_per_class=9, **greengenes))


def test_taxonomy_draws_evenly_and_repeatably(greengenes):
    options = {"min_groups_per_class": 4, "max_per_class": 6, **greengenes}
    drawn = [r.id for r in Taxonomy16S(seed=1, **options)]
    assert drawn == [r.id for r in Taxonomy16S(seed=1, **options)]
    assert drawn != [r.id for r in Taxonomy16S(seed=2, **options)]
    counts = Counter(r.group for r in Taxonomy16S(seed=1, **options))
    assert len(counts) == 12, "each genus has its turn before any has its second"
    assert (
        Counter(
            r.group for r in Taxonomy16S(max_per_group=1, min_groups_per_class=4, **greengenes)
        ).most_common(1)[0][1]
        == 1
    )


def test_taxonomy_cuts_the_region_and_leaves_out_what_genera_share(greengenes, dna):
    data = Taxonomy16S(region="V4", min_groups_per_class=4, **greengenes)
    records = list(data)
    assert len(records) == 34
    assert records[0].input == dna(60, 2)
    assert data.left_out["whose region is the same in several genus names"] == 2
    own = {"forward": "GTGCCAGCAGCCGCGGTAA", "reverse": "GGACTACAAGGGTATCTAAT"}
    assert [r.input for r in Taxonomy16S(primers=own, min_groups_per_class=4, **greengenes)] == [
        r.input for r in records
    ]
    with pytest.raises(ConfigError, match=r"data\.primers"):
        list(Taxonomy16S(primers={"forward": "ACGT"}, **greengenes))


def test_corpus_and_task_agree_on_the_genera_held_out(greengenes, write, dna):
    task = list(Taxonomy16S(min_groups_per_class=4, heldout_share=0.3, heldout_seed=5, **greengenes))
    held = {r.group for r in task if r.meta["split"] == "test"}
    assert held == {r.group for r in task if is_held_out(r.group, 0.3, 5)}
    assert 0 < len(held) < 12
    genome = str(write("genome.fa", f">contig\n{dna(4500)}\n"))
    corpus = Corpus16SAndGenomes(
        sources=[genome], heldout_share=0.3, heldout_seed=5, chunk=2000, **greengenes
    )
    records = list(corpus)
    genes = [r for r in records if r.meta["kind"] == "16S"]
    assert not held & {r.group.split()[-1] for r in genes}
    assert len(genes) + sum(corpus.left_out.values()) == 39
    pieces = [r.input for r in records if r.meta["kind"] == "genome"]
    assert "".join(pieces) == dna(4500)
    assert [len(piece) for piece in pieces] == [2000, 2000, 500]


@pytest.mark.parametrize(
    "options",
    [
        {"rank": "famly"},
        {"rank": "genus", "group": "family"},
        {"region": "V9"},
        {"group": "genus ", "rank": "family"},
    ],
)
def test_taxonomy_settings_that_cannot_be(options):
    with pytest.raises(ConfigError, match=r"data\."):
        Taxonomy16S(**options)


def test_primers_match_degenerate_bases_and_few_mismatches(dna):
    primer = Primer("ACGTNRYACGTT", max_mismatches=1)
    assert primer.find("TT" + "ACGTCACACGTT" + "GG") == (2, 14)
    assert primer.find("TT" + "ACGTCACACGTA" + "GG") == (2, 14)
    assert primer.find("TT" + "ACCTCACACGTA" + "GG") is None
    assert Primer("ACGT", 0).find("AACGTT", 2) is None
    assert Primer("ARGT", 0).find("ANGT") is None, "an unknown base matches only where anything is allowed"
    pair = primer_pair(*PRIMERS["V4"])
    assert amplicon(dna(300), *pair) is None


def test_splice_windows(write, dna):
    rows = [(dna(60, 1), "EI"), (dna(60, 2), "N"), (dna(60, 1), "IE"), (dna(60, 4), "IE"), (dna(59, 5), "N")]
    path = write("splice.dat", "".join(", ".join([*s, label]) + "\n" for s, label in rows))
    data = Splice(str(path), max_rejected=0.5)
    assert [(r.input, r.target) for r in data] == [rows[1], rows[3]]
    assert sum(data.left_out.values()) == 2
    assert data.rejections.rejected[0].id == "window-5"


def plain_orfs(sequence: str, min_length: int) -> set[tuple[int, int, str]]:
    """Every longest frame, by a plain loop."""
    found = set()
    for strand, text in (("+", sequence), ("-", reverse_complement(sequence))):
        for frame in range(3):
            start = None
            for place in range(frame, len(text) - 2, 3):
                codon = text[place : place + 3]
                if codon == "ATG" and start is None:
                    start = place
                if codon in ("TAA", "TAG", "TGA"):
                    if start is not None and place + 3 - start >= min_length:
                        ends = (start, place + 3)
                        found.add(
                            (*ends, "+") if strand == "+" else (len(text) - ends[1], len(text) - ends[0], "-")
                        )
                    start = None
    return found


def test_open_frames_equal_a_plain_loop_and_shadows_fall_away(dna):
    sequence = dna(6000, 11)
    everything = find_orfs(sequence, min_length=60, max_overlap=10_000)
    assert {(o.start, o.end, o.strand) for o in everything} == plain_orfs(sequence, 60)
    for orf in everything:
        there = sequence[orf.start : orf.end]
        assert orf.sequence == (there if orf.strand == "+" else reverse_complement(there))
        assert orf.sequence.startswith("ATG")
        assert orf.sequence[-3:] in ("TAA", "TAG", "TGA")
    kept = find_orfs(sequence, min_length=60, max_overlap=0)
    assert 0 < len(kept) < len(everything)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    assert find_orfs("AT") == []


def test_coding_sequences_from_fasta_and_called(write, dna):
    gene = "ATG" + "GCA" * 40 + "TAA"
    fasta = write("cds.fa", f">g\n{gene}\n>short\nATGTAA\n>partial\n{gene}A\n>broken\nATGTAA{'GCA' * 40}\n")
    data = CodingSequences(fasta, min_length=30, cluster=False)
    assert [(r.id, r.input) for r in data] == [("g", gene)]
    assert sum(data.left_out.values()) == 3
    genome = write("genome.fa", f">c\nCC{gene}CC{reverse_complement(gene)}CC\n")
    called = list(CodingSequences(genome, call=True, min_length=100))
    assert [(r.input, r.meta["strand"]) for r in called] == [(gene, "+"), (gene, "-")]
    assert len({r.group for r in called}) == 1, "copies are one cluster"
    gff = write("x.gff", f"##gff-version 3\nc\tx\tCDS\t3\t{2 + len(gene)}\t.\t+\t0\tID=a\n")
    assert [r.input for r in CodingSequences(genome, gff, min_length=30)] == [gene]


@pytest.mark.slow
def test_the_shipped_data_hold_what_their_cards_say():
    lengths, counts = [], Counter()
    for record in Corpus16SAndGenomes(chunk=10_000_000):
        counts[record.meta["kind"]] += 1
        lengths.append(len(record.input))
    assert counts == {"16S": 99_322, "genome": 2}
    assert sum(lengths[2:]) == 142_290_491
    assert lengths[:2] == [4_646_332, 4_617_703]
    family = Taxonomy16S(domain=None, organelles=True, min_groups_per_class=1)
    assert sum(1 for _ in family) == 35_435
    amplicons = list(Taxonomy16S(region="V4", min_groups_per_class=8, max_per_class=40))
    typical = sorted(len(r.input) for r in amplicons)[len(amplicons) // 2]
    assert 250 <= typical <= 256
