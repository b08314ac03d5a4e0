"""Metrics, intervals, baselines, calibration, subgroup and leakage audits, the verdict and the report."""
