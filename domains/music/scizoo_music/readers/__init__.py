"""Readers of the field's file formats."""
