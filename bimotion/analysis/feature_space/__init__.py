"""Clips of two cells in the feature space of a model: pictures, coverage, gains."""
