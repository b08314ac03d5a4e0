"""Tokenizers of molecules: atom-level SMILES, SELFIES, byte pairs, graphs."""
