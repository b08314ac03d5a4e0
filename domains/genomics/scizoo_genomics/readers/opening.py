"""Opening files of sequences and their annotation: what is surely something else is told apart."""

from __future__ import annotations

from functools import partial

from scizoo.data import opening

FOREIGN: opening.Foreign = {
    **opening.FOREIGN,
    b"BAM\x01": ("a BAM alignment", "turn it into FASTQ: samtools fastq FILE.bam > FILE.fastq"),
    b"BCF\x02": ("a BCF file", "turn it into VCF: bcftools view FILE.bcf > FILE.vcf"),
    b"CRAM": ("a CRAM alignment", "turn it into FASTQ: samtools fastq FILE.cram > FILE.fastq"),
}

head = partial(opening.head, expected="FASTA, FASTQ, GenBank, CSV or Parquet", foreign=FOREIGN)
blocks = partial(opening.blocks, foreign=FOREIGN)
lines = partial(opening.lines, foreign=FOREIGN)
