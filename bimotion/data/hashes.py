"""The order of names that every random choice of a split is made by."""

import hashlib


def hash_of(name: str, seed: int) -> str:
    """The key that names are ordered by: of a clip (its id) or a speaker."""
    return hashlib.sha256(f"1|{seed}|{name}".encode()).hexdigest()
