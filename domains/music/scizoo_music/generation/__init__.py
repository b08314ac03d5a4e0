"""Generated music: how it is judged, constrained, and what writes it without a network."""
