"""Pictures of music: piano-roll, score, spectrogram."""
