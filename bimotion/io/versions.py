"""The two versions that this package raises by hand; the formats of its files carry their own."""

NUMBERS_VERSION = "2"
"""Raised when a score could move: splits, protocols, features, encoders, training, label maps.
Every run's specification carries it, so results of two versions are never compared."""
CACHE_VERSION = "7"
"""Raised when something in the cache would be made otherwise: indexes, decoded samples, features,
what was heard of clips, entries of the board. The cache is then made anew."""
