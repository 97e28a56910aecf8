"""Predictions -> scores with intervals -> result.json. No torch and no corpora."""
