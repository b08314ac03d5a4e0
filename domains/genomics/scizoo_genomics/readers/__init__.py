"""Readers of sequence files: FASTA, FASTQ, GenBank, intervals over a reference, VCF."""
