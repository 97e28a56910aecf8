"""The split rules by name, and the order in which they deal clips and speakers: what can be asked
without reading a clip."""

import hashlib

from bimotion.errors import SettingError
from bimotion.io.bounds import whole_number

RULES = ("paper", "disjoint", "folds")
DEFAULT_RULE = "folds"
"""The rule where none is asked for, of runs and of datasets."""
N_FOLDS = 5


def n_folds(rule: str) -> int:
    """The number of folds of a rule: one where there is no cross-validation."""
    return N_FOLDS if rule == "folds" else 1


def require_fold(rule: str, fold: int) -> None:
    """Raise SettingError for a fold that a rule lacks."""
    if n_folds(rule) == 1 and fold != 0:
        raise SettingError(
            f"fold: expected with split rule folds only, found {fold!r} with split rule {rule}"
        )
    whole_number("fold", fold, 0, n_folds(rule) - 1)


def hash_of(name: str, seed: int) -> str:
    """The key that names are ordered by: of a clip (its id) or a speaker."""
    return hashlib.sha256(f"1|{seed}|{name}".encode()).hexdigest()
