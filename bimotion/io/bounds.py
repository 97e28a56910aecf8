"""Numbers and lists that a user gives: checked before anything is done with them."""

from collections.abc import Iterable

from bimotion.errors import SettingError

MAX_SEED = 2**32 - 1  # NumPy's generators take no larger seed
MAX_COUNT = 10**9  # of clips, neighbours and the like: more than any corpus has, and no overflow


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """The value, an int from `low` to `high`; raises SettingError.

    >>> whole_number("limit", 20, 1, MAX_COUNT)
    20
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingError(
            f"{name}: expected a whole number from {low} to {high}, found {_short(value)}"
        )
    return value


def real_number(
    name: str, value: object, low: float, high: float, *, above: bool = False, below: bool = False
) -> float:
    """The value, a finite number from `low` (`above`: above it) to `high` (`below`: below it);
    raises SettingError.

    >>> real_number("dropout", 0.1, 0, 1, below=True)
    0.1
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_inside = (
        is_number
        and low <= value <= high
        and not (above and value == low)
        and not (below and value == high)
    )
    if not is_inside:  # NaN is inside of nothing
        start = f"above {low}" if above else f"from {low}"
        end = f"below {high}" if below else f"up to {high}"
        raise SettingError(f"{name}: expected a number {start} and {end}, found {_short(value)}")
    return value


def flag(name: str, value: object) -> bool:
    """The value, True or False; raises SettingError, for any other counts as one of them.

    >>> flag("overwrite", True)
    True
    """
    if not isinstance(value, bool):
        raise SettingError(f"{name}: expected True or False, found {_short(value)}")
    return value


def one_or_more(value: object) -> list:
    """The values of a list, in its order; a single name or number stands for a list of one.

    >>> one_or_more("eng_eld"), one_or_more(0), one_or_more(("tess", "csed"))
    (['eng_eld'], [0], ['tess', 'csed'])
    """
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _short(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a number of over 20 digits"  # str() of a very long one raises
    return repr(value)[:80]
