"""Classical baselines of music."""
