"""A neural codec: sound to a few numbers a frame (residual vector quantisation) and back."""
