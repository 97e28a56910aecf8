"""Models: encoders (waveform -> features) and heads (features -> class probabilities)."""
