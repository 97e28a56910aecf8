"""What a reader asks of finished runs: comparisons, reports, the feature space."""
