from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scizoo.data.records import RejectionLog
from scizoo.errors import DataError
from scizoo_genomics.alphabet import BadSequenceError, normalise, reverse_complement, reverse_complements
from scizoo_genomics.readers.detect import sequence_format
from scizoo_genomics.readers.fasta import read_fasta
from scizoo_genomics.readers.fastq import read_fastq
from scizoo_genomics.readers.genbank import read_genbank

IUPAC = "ACGTRYSWKMBDHVN"
PACKED = pytest.mark.parametrize("how", ["plain", "gzip", "bgzip"])


def fasta(path: Path, **options):
    log = RejectionLog()
    return list(read_fasta(path, log, **options)), log


@PACKED
def test_fasta_in_every_packing(tmp_path, pack, how):
    path = pack(tmp_path / "data.bin", b">a first one\nACGT\nacgu\n>b\nNRYK\n", how)
    entries, log = fasta(path)
    assert [(e.id, e.description, e.sequence) for e in entries] == [
        ("a", "first one", "ACGTACGT"),
        ("b", "", "NRYK"),
    ]
    assert not log.rejected
    assert entries[1].source == "data.bin, record 2"
    assert sequence_format(path) == "fasta"


@pytest.mark.parametrize(
    "text",
    [
        b">a x\r\nAC\r\nGT\r\n>b\r\nTT\r\n",
        b">a x\nAC\nGT\n>b\nTT",
        b"\n  \n>a x\nACGT\n\n\n>b\nT T\n\n",
        b"\xef\xbb\xbf>a x\nACGT\n>b\nTT\n",
        b";comment\n>a x\nAC\n;inside\nGT\n>b\nTT\n",
        b">a x\rACGT\r>b\rTT\r",
    ],
    ids=["crlf", "no-newline-at-end", "blank-lines", "byte-order-mark", "comments", "lone-returns"],
)
def test_fasta_layouts_give_the_same_records(tmp_path, text):
    path = tmp_path / "x.fa"
    path.write_bytes(text)
    entries, log = fasta(path)
    assert [(e.id, e.sequence) for e in entries] == [("a", "ACGT"), ("b", "TT")]
    assert not log.rejected


def test_fasta_records_across_block_borders(tmp_path, monkeypatch, dna):
    monkeypatch.setattr("scizoo.data.opening._BLOCK", 7)
    expected = [(f"s{i}", dna(i * 3 + 1, i)) for i in range(20)]
    path = tmp_path / "x.fa"
    path.write_text("".join(f">{id}\n{seq[:4]}\n{seq[4:]}\n" for id, seq in expected))
    assert [(e.id, e.sequence) for e in fasta(path)[0]] == expected


def test_fasta_is_lazy(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\n" * 1_000_000)
    entries = read_fasta(path, RejectionLog())
    assert next(entries).id == "a"
    entries.close()


def test_soft_mask_is_kept_as_a_share(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text(">a\nACGTacgtac\n>b\nACGT\n")
    entries, _ = fasta(path, keep_mask=True)
    assert [e.fields["soft_masked"] for e in entries] == [0.6, 0.0]


def test_header_words_become_fields(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text('>a organism="E. coli" label=7\nACGT\n')
    assert fasta(path)[0][0].fields == {"organism": "E. coli", "label": "7"}


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("ACGTEFIL", "amino acids"),
        ("MKVSTAAGKMMRSVKWYY", "protein"),
        ("AC-GT", "gaps"),
        ("ACGT1", "'1'"),
        ("", "empty"),
    ],
)
def test_bad_records_are_rejected_one_by_one(tmp_path, sequence, words):
    path = tmp_path / "x.fa"
    path.write_text(f">good\nACGT\n>bad\n{sequence}\n>fine\nACGT\n")
    entries, log = fasta(path)
    assert [e.id for e in entries] == ["good", "fine"]
    assert [r.id for r in log.rejected] == ["bad"]
    assert words in log.rejected[0].reason
    assert log.rejected[0].source == "x.fa, record 2"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"just some words\nand more\n", "no sequence file"),
        (b"\x00\x01\x02ACGT" * 50, "binary"),
        (b"\x1f\x8b\x08\x00broken", "damaged"),
        (b"PK\x03\x04zip", "zip archive"),
        (b"BAM\x01rest", "samtools"),
        (b"##fileformat=VCFv4.2\n#CHROM\n", "VCF"),
        (b"##gff-version 3\n", "GFF3"),
        (b"@HD\tVN:1.6\n", "no sequence file"),
    ],
)
def test_files_that_are_no_sequences(tmp_path, content, words):
    path = tmp_path / "x.fasta"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        sequence_format(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_truncated_gzip_is_one_message(tmp_path, pack, dna):
    whole = pack(tmp_path / "x.gz", f">a\n{dna(200_000)}\n".encode(), "gzip").read_bytes()
    path = tmp_path / "cut.fa.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        fasta(path)


def test_a_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "reads.fasta").write_text(">a\nA\n")
    with pytest.raises(DataError, match=r"did you mean 'reads\.fasta'"):
        fasta(tmp_path / "raeds.fasta")
    with pytest.raises(DataError, match="is a folder"):
        fasta(tmp_path)


def test_an_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "x.fa"
    path.write_text(">a\nA\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read what others may not
    with pytest.raises(DataError, match="permission"):
        fasta(path)


@PACKED
def test_fastq_in_every_packing(tmp_path, pack, how):
    path = pack(tmp_path / "reads", b"@r1 lane=2\nACGN\n+\nIIII\n@r2\nuu\n+r2\n!~\n", how)
    log = RejectionLog()
    entries = list(read_fastq(path, log))
    assert [(e.id, e.sequence) for e in entries] == [("r1", "ACGN"), ("r2", "TT")]
    assert entries[0].fields == {"quality": "IIII", "mean_quality": 40.0}
    assert not log.rejected


def test_fastq_bad_reads(tmp_path):
    path = tmp_path / "x.fq"
    path.write_text("@a\nACGT\n+\nIII\n@b\nACGT\n+\nIIII\n@c\nACGX\n+\nIIII\n@d\nAC\n+\n")
    log = RejectionLog()
    assert [e.id for e in read_fastq(path, log)] == ["b"]
    assert {r.id: r.reason.split()[0] for r in log.rejected} == {"a": "4", "c": "holds", "d": "the"}


def test_fastq_out_of_step(tmp_path):
    path = tmp_path / "x.fq"
    path.write_text("@a\nACGT\n+\nIIII\nACGT\n+\nIIII\n@b\n")
    with pytest.raises(DataError, match="line 5"):
        list(read_fastq(path, RejectionLog()))


@pytest.fixture
def genbank_text(dna) -> bytes:
    from io import StringIO

    from Bio import SeqIO
    from Bio.Seq import Seq
    from Bio.SeqFeature import CompoundLocation, SeqFeature, SimpleLocation
    from Bio.SeqRecord import SeqRecord

    sequence = dna(120, 3)
    record = SeqRecord(
        Seq(sequence),
        id="chr1.1",
        name="chr1",
        annotations={"molecule_type": "DNA", "organism": "Test organism"},
    )
    spliced = CompoundLocation([SimpleLocation(0, 9, 1), SimpleLocation(30, 39, 1)])
    for location, tag in ((spliced, "g1"), (SimpleLocation(60, 90, -1), "g2")):
        record.features.append(
            SeqFeature(location, type="CDS", qualifiers={"locus_tag": [tag], "product": ["p"]})
        )
    out = StringIO()
    SeqIO.write(record, out, "genbank")
    return out.getvalue().encode()


@PACKED
def test_genbank_features_are_spliced_and_on_their_strand(tmp_path, pack, how, genbank_text, dna):
    path = pack(tmp_path / "x", genbank_text, how)
    whole = dna(120, 3)
    assert sequence_format(path) == "genbank"
    (record,) = read_genbank(path, RejectionLog())
    assert (record.id, record.sequence, record.fields["organism"]) == ("chr1.1", whole, "Test organism")
    first, second = read_genbank(path, RejectionLog(), feature="CDS")
    assert (first.id, first.sequence) == ("g1", whole[0:9] + whole[30:39])
    assert (second.id, second.sequence) == ("g2", reverse_complement(whole[60:90]))
    assert (second.fields["start"], second.fields["end"], second.fields["strand"]) == (60, 90, "-")


def test_genbank_mishaps(tmp_path, genbank_text):
    path = tmp_path / "x.gb"
    path.write_bytes(genbank_text)
    with pytest.raises(DataError, match="no feature of type 'tRNA'"):
        list(read_genbank(path, RejectionLog(), feature="tRNA"))
    path.write_bytes(genbank_text.split(b"ORIGIN")[0] + b"CONTIG      join(A:1..120)\n//\n")
    log = RejectionLog()
    assert list(read_genbank(path, log)) == []
    assert "no sequence" in log.rejected[0].reason


@given(st.text(alphabet=IUPAC, min_size=1), st.integers(1, 10))
def test_layout_and_case_do_not_change_a_sequence(sequence, width):
    wrapped = (
        "\r\n".join(sequence[i : i + width] for i in range(0, len(sequence), width)).lower().replace("t", "u")
    )
    if sum(base not in "ACGTN" for base in sequence) > len(sequence) / 2 and len(sequence) >= 8:
        with pytest.raises(BadSequenceError):
            normalise(wrapped.encode())
    else:
        assert normalise(wrapped.encode()) == sequence


@given(st.lists(st.text(alphabet=IUPAC)))
def test_reverse_complement_is_its_own_inverse_and_batches_agree(sequences):
    others = reverse_complements(sequences)
    assert others == [reverse_complement(sequence) for sequence in sequences]
    assert reverse_complements(others) == sequences


def test_reverse_complement_agrees_with_biopython():
    from Bio.Seq import Seq

    assert reverse_complement(IUPAC) == str(Seq(IUPAC).reverse_complement())
