"""Features of pieces and sounds, for the classical baselines."""
