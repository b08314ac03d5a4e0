"""Tokenizers: pieces, ABC text and sound to what models take."""
