"""Datasets of nucleic acids: the user's own files and the data that packages ship."""
