"""Readers of the field's file formats; each yields one series at a time."""
