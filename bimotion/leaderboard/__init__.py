"""Submission -> verified -> board -> page."""
