"""Records, splits, the tokenised cache, packing and batching, the resumable loader."""
