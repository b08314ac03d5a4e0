"""What the contract suite (``python -m scizoo.testing genomics``) needs to know of this domain."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from scizoo.testing import BadFile, Examples


def _sequences(count: int = 40, length: int = 90) -> list[tuple[str, bool]]:
    """Random sequences, rich in G and C or poor in them by turns; no two are alike."""
    draw = random.Random(0)
    weights = {True: (1, 4, 4, 1), False: (4, 1, 1, 4)}
    return [
        ("".join(draw.choices("ACGT", weights[number % 2 == 0], k=length)), number % 2 == 0)
        for number in range(count)
    ]


def _table(header: str, row: Callable[[str, bool], str], *settings: str) -> Callable[[Path], Sequence[str]]:
    def write(folder: Path) -> Sequence[str]:
        path = folder / "tiny.csv"
        lines = [header, *(f"{sequence},{row(sequence, rich)}" for sequence, rich in _sequences())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"data.path={path}", "data.input=seq", *settings]

    return write


def _variants(folder: Path) -> Sequence[str]:
    """A genome of one contig, and two variants of it."""
    contig = "".join(sequence for sequence, _ in _sequences(4))
    (folder / "genome.fasta").write_text(f">c1\n{contig}\n", encoding="ascii")
    other = {"A": "C", "C": "A", "G": "T", "T": "G"}
    rows = [
        f"c1\t{place}\t.\t{contig[place - 1]}\t{other[contig[place - 1]]}\t.\t.\t." for place in (50, 200)
    ]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    (folder / "variants.vcf").write_text("\n".join([header, *rows]) + "\n", encoding="ascii")
    return [f"data.path={folder}/variants.vcf", f"data.reference={folder}/genome.fasta", "data.context=64"]


def _gc(sequence: str) -> float:
    return (sequence.count("G") + sequence.count("C")) / len(sequence)


_CLASSES = "genomics/classification"
_GOOD = "\n".join(f">r{n} label={'ab'[rich]}\n{sequence}" for n, (sequence, rich) in enumerate(_sequences()))

EXAMPLES = Examples(
    inputs=tuple(sequence for sequence, _ in _sequences(6)),
    own_data={
        _CLASSES: _table("seq,label", lambda _, rich: "rich" if rich else "poor", "data.target=label"),
        "genomics/multilabel": _table(
            "seq,rich,begins_at",
            lambda sequence, rich: f"{int(rich)},{int(sequence[0] in 'AT')}",
            "data.target=[rich,begins_at]",
        ),
        "genomics/regression": _table("seq,gc", lambda sequence, _: f"{_gc(sequence):.4f}", "data.target=gc"),
        "genomics/variant-effect": _variants,
    },
    bad_files=(
        BadFile(_CLASSES, "empty.fasta", b"", ("is empty",)),
        BadFile(_CLASSES, "letter.fasta", b"Dear colleague,\nthe sequences follow.\n", ("Dear colleague",)),
        BadFile(_CLASSES, "binary.fasta", bytes(range(256)) * 8, ("binary",)),
        BadFile(_CLASSES, "half.fasta.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\3abc", ("damaged", "copy or download")),
        BadFile(
            _CLASSES, "protein.fasta", b">p53 label=a\nMEEPQSDPSVEPPLSQETFSDLWKLLPEN\n", ("protein", "p53")
        ),
        BadFile(
            _CLASSES,
            "one_bad.fasta",
            f"{_GOOD}\n>odd label=a\nACGT?!ACGT\n".encode(),
            ("record 'odd'", "record 41", "rejected.csv", "max_rejected"),
        ),
        BadFile(
            _CLASSES, "twice.fasta", f"{_GOOD}\n>r3 label=a\nACGTACGTAC\n".encode(), ("'r3'", "record 4 ")
        ),
        BadFile(_CLASSES, "columns.csv", b"seq,class\nACGT,a\n", ("'sequence'", "seq")),
        BadFile(_CLASSES, "calls.fasta", b"##fileformat=VCFv4.2\n", ("VCF", "variant-effect")),
    ),
    model=("tokenizer=genomics/kmer3", "backbone=modernbert-tiny"),
    settings={"genomics/codon-tiny": ("data.cluster=false",)},  # clustering takes longer than all the rest
)
