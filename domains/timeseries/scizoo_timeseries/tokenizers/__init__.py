"""Tokenizers: patches of scaled values, and values in bins."""
