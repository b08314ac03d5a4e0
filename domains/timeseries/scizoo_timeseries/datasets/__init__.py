"""Datasets: forecast windows, labelled series, anomalies, gaps to fill, and the pre-training corpus."""
