from __future__ import annotations

import numpy as np
import pytest

from scizoo.data.records import RejectionLog
from scizoo.errors import ConfigError, DataError
from scizoo_genomics.alphabet import reverse_complement
from scizoo_genomics.readers.intervals import is_gff, read_intervals
from scizoo_genomics.readers.reference import Reference
from scizoo_genomics.readers.vcf import read_vcf
from scizoo_genomics.variants import COLUMNS, VariantEffect, Variants, score_variants, variant_windows


@pytest.fixture
def genome(tmp_path, dna):
    contigs = {"chr1": dna(500, 1), "chr2": dna(101, 2)}
    path = tmp_path / "genome.fa"
    lines = []
    for name, sequence in contigs.items():
        lines += [f">{name} description", *(sequence[i : i + 60] for i in range(0, len(sequence), 60))]
    path.write_text("\n".join(lines) + "\n")
    return path, contigs


@pytest.mark.parametrize("how", ["plain", "gzip", "bgzip"])
def test_reference_gives_any_place(tmp_path, pack, genome, how):
    path, contigs = genome
    packed = pack(tmp_path / "packed", path.read_bytes(), how)
    before = set(tmp_path.iterdir())
    reference = Reference(packed)
    assert reference.contigs == ["chr1", "chr2"]
    for start, end in ((0, 1), (55, 65), (0, 500), (499, 500)):
        assert reference.fetch("chr1", start, end) == contigs["chr1"][start:end]
    assert reference.fetch("chr2", 10, 30, "-") == reverse_complement(contigs["chr2"][10:30])
    assert set(tmp_path.iterdir()) == before, "nothing is written beside the user's file"


def test_reference_refuses_what_lies_outside(genome):
    reference = Reference(genome[0])
    with pytest.raises(LookupError, match="500 bases"):
        reference.fetch("chr1", 490, 501)
    with pytest.raises(LookupError, match="did you mean 'chr1'"):
        reference.fetch("1", 0, 5)


def test_reference_names_twice(tmp_path):
    path = tmp_path / "twice.fa"
    path.write_text(">a\nACGT\n>a\nACGT\n")
    with pytest.raises(DataError, match=r"twice\.fa"):
        Reference(path)


def test_bed_intervals_are_strand_aware(tmp_path, genome):
    path, contigs = genome
    bed = tmp_path / "places.txt"
    bed.write_text(
        "track name=x\nchr1\t0\t10\tpeak\t5\t+\nchr1\t20\t40\tpeak\t7\t-\nchr2\t95\t102\nchrX\t0\t5\n"
    )
    log = RejectionLog()
    entries = list(read_intervals(bed, Reference(path), log))
    assert [e.sequence for e in entries] == [contigs["chr1"][:10], reverse_complement(contigs["chr1"][20:40])]
    assert entries[1].fields["contig"] == "chr1"
    assert entries[1].fields["score"] == "7"
    assert ["101 bases" in log.rejected[0].reason, "chrX" in log.rejected[1].reason] == [True, True]
    assert log.rejected[0].source == "places.txt, line 4"


def test_gff_parts_of_one_cds_are_spliced_in_transcript_order(tmp_path, genome):
    path, contigs = genome
    gff = tmp_path / "genes"
    gff.write_text(
        "##gff-version 3\n"
        "chr1\tx\tgene\t1\t100\t.\t-\t.\tID=g1;Name=first%20gene\n"
        "chr1\tx\tCDS\t11\t20\t.\t-\t2\tID=c1;Parent=t1\n"
        "chr1\tx\tCDS\t31\t45\t.\t-\t0\tID=c1;Parent=t1\n"
        "##FASTA\n>chr1\nACGT\n"
    )
    assert is_gff(gff)
    (gene,) = read_intervals(gff, Reference(path), RejectionLog())
    assert gene.sequence == reverse_complement(contigs["chr1"][0:100])
    assert gene.fields["Name"] == "first gene"
    (cds,) = read_intervals(gff, Reference(path), RejectionLog(), feature="CDS")
    assert cds.sequence == reverse_complement(contigs["chr1"][10:20] + contigs["chr1"][30:45])
    assert cds.fields["phase"] == "0"
    with pytest.raises(DataError, match="did you mean 'gene'"):
        list(read_intervals(gff, Reference(path), RejectionLog(), feature="genes"))


def test_gtf_and_nonsense_are_named(tmp_path, genome):
    gtf = tmp_path / "x.gtf"
    gtf.write_text('chr1\tx\tgene\t1\t100\t.\t+\t.\tgene_id "a";\n')
    with pytest.raises(DataError, match="GTF"):
        list(read_intervals(gtf, Reference(genome[0]), RejectionLog()))
    gtf.write_text("hello world\n")
    with pytest.raises(DataError, match="no interval"):
        list(read_intervals(gtf, Reference(genome[0]), RejectionLog()))


@pytest.fixture
def vcf(tmp_path, genome, pack):
    _, contigs = genome
    one = contigs["chr1"]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    wrong = other[one[49]]
    rows = [
        ("chr1", 10, "rs1", one[9], other[one[9]]),
        ("chr1", 20, ".", one[19], f"{other[one[19]]},{one[19]}AA"),
        ("chr1", 31, ".", one[30:34], one[30]),
        ("chr1", 50, "bad", wrong, other[wrong]),
        ("chr1", 60, "sv", one[59], "<DEL>"),
        ("chr1", 60, "star", one[59], "*"),
        ("chr1", 60, "bnd", one[59], f"{one[59]}[chr2:5["),
        ("chr1", 60, "none", one[59], "."),
        ("chr3", 5, "lost", "A", "C"),
        ("chr2", 101, "end", contigs["chr2"][100], other[contigs["chr2"][100]]),
    ]
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"
    text += "".join("\t".join(map(str, row)) + "\n" for row in rows)
    return pack(tmp_path / "calls.vcf.gz", text.encode(), "bgzip")


def test_vcf_is_checked_against_the_reference(vcf, genome):
    log = RejectionLog()
    variants = list(read_vcf(vcf, Reference(genome[0]), log))
    assert [(v.pos, v.id) for v in variants if v.id in ("rs1", "end")] == [(10, "rs1"), (101, "end")]
    assert len(variants) == 5  # the second line has two alternatives
    reasons = {r.id: r.reason for r in log.rejected}
    assert "another reference" in reasons["bad"]
    assert all("symbolic" in reasons[name] for name in ("sv", "star", "bnd"))
    assert "no alternative" in reasons["none"]
    assert "chr3" in reasons["lost"]


def test_variant_windows_hold_both_alleles(vcf, genome):
    path, contigs = genome
    pairs = {pair.variant.key: pair for pair in variant_windows(vcf, Reference(path), context=32)}
    for pair in pairs.values():
        variant, before = pair.variant, pair.offset
        after = before + len(variant.ref)
        assert len(pair.reference) == 32
        assert pair.reference in contigs[variant.chrom]
        assert pair.reference[before:after] == variant.ref
        assert pair.alternative == pair.reference[:before] + variant.alt + pair.reference[after:]
    deletion = next(pair for pair in pairs.values() if len(pair.variant.ref) == 4)
    assert len(deletion.alternative) == 29
    assert deletion.offset == 14


def test_scores_average_both_strands(vcf, genome):
    weights = {"A": 1.0, "C": 2.0, "G": 4.0, "T": 8.0}

    def likelihood(sequences: list[str]) -> np.ndarray:
        return np.array([sum(weights[base] for base in sequence) for sequence in sequences])

    pairs = list(variant_windows(vcf, Reference(genome[0]), context=20))
    rows = list(score_variants(likelihood, pairs, batch=2))
    assert [tuple(row) for row in rows] == [COLUMNS] * 5
    forward = [row["score"] for row in score_variants(likelihood, pairs, strands="forward")]
    reverse = [row["score"] for row in score_variants(likelihood, pairs, strands="reverse")]
    assert forward != reverse
    assert [row["score"] for row in rows] == pytest.approx((np.array(forward) + reverse) / 2)
    variant = pairs[0].variant
    assert forward[0] == weights[variant.alt] - weights[variant.ref]
    with pytest.raises(ConfigError, match="strands"):
        list(score_variants(likelihood, pairs, strands="up"))


def test_the_predictor_gives_a_table(vcf, genome):
    class Model:
        def score(self, sequences):
            return np.array([float(len(sequence)) for sequence in sequences])

    variants = Variants(str(vcf), str(genome[0]), context=30, max_rejected=0.9)
    predictor = VariantEffect(variants)
    table = predictor.predict(Model())
    assert tuple(table.columns) == COLUMNS
    assert sorted(table["score"]) == [-3.0, 0.0, 0.0, 0.0, 2.0]
    assert len(predictor.rejections.rejected) == 6
    with pytest.raises(DataError, match="max_rejected"):
        list(Variants(str(vcf), str(genome[0])))
    with pytest.raises(ConfigError, match=r"data\.reference"):
        Variants(str(vcf))
