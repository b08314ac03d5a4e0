"""Sound: recordings as arrays, their synthesis, features, spectrograms and codec."""
