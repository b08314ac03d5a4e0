"""Datasets: the user's own files, and public sets with their licence and citation."""
