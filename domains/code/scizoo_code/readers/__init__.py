"""Readers: bytes of a source file to text and what is known of it."""
