"""Judging generated molecules."""
