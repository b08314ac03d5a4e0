"""Tokenizers of source code."""
