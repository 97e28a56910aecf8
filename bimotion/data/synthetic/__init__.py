"""Synthetic speech-like corpora in the true raw layouts, with a known cross-group structure."""
