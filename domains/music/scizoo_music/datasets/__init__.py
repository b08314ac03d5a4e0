"""Datasets: own files, tunes and chorales that come with music21, benchmarks."""
