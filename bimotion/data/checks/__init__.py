"""Checks of a copy of the corpora: its faults, and its contents."""
