"""Datasets of molecules: the user's own files and the data that packages ship."""
