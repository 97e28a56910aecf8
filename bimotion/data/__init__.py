"""Utterances -> the clips of a run: locate, index, split, select, cache."""
