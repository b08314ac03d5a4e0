"""Metrics, intervals, baselines, calibration, audits and the report."""
