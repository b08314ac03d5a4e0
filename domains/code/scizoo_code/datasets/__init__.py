"""Datasets: source trees, functions, problems."""
