"""Tokenizers of nucleic acids: single nucleotide, k-mer, codon, byte-pair encoding."""
