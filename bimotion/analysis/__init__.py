"""Analyses of finished runs: comparisons, reports, the feature space."""
