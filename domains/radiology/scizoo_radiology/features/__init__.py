"""Features of pictures for the classical baselines."""
