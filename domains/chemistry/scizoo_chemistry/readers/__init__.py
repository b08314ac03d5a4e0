"""Readers of the formats that hold molecules; each yields entries and tells a log what it could not read."""
