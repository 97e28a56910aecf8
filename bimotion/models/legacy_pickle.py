"""The bytes that weights in torch's old form (no zip: pickles, then numbers) declare.

Opcodes are read and nothing is run: torch would take the memory before it looks at the file's size.
"""

from pathlib import Path
from pickletools import genops
from typing import NamedTuple

from bimotion.errors import ModelError

MAX_OPCODES = 5_000_000  # a model of a thousand tensors has about 30,000
_MAGIC = 0x1950A86A20F9469CFC6C
_HEADS = 3  # pickles before that of the tensors: magic number, protocol, system
_SIZE_BYTES = 8  # before the numbers of each storage
_BYTES = {  # of one number of a storage
    "ComplexDouble": 16,
    "Double": 8,
    "Long": 8,
    "ComplexFloat": 8,
    "Float": 4,
    "Int": 4,
    "Half": 2,
    "BFloat16": 2,
    "Short": 2,
}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG")
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT", "PUT"), ("BINGET", "LONG_BINGET", "GET")
_ENDS = ("APPENDS", "SETITEMS", "LIST", "DICT")
"""Operations that take all that was put since the last mark, and leave nothing of it."""


class _Class(NamedTuple):
    """A class that a pickle names, such as that of a storage."""

    name: str


def check(path: Path) -> None:
    """Raise ModelError where the file has less bytes than the numbers that it declares, as one that
    is cut short does."""
    try:
        declared = _declared_bytes(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError):
        raise ModelError(
            f"{path}: expected weights, found pickles that are cut short or broken: download it "
            "again"
        ) from None
    if declared > (n_bytes := path.stat().st_size):
        raise ModelError(
            f"{path}: expected weights of {declared} bytes, as it declares, found {n_bytes}: it is "
            "cut short: download it again"
        )


def _declared_bytes(path: Path) -> int:
    """All storages together, and the pickles before them."""
    with path.open("rb") as stream:
        left = MAX_OPCODES
        first = [argument for _, (_, argument, _) in zip(range(9), genops(stream), strict=False)]
        if _MAGIC not in first:
            return 0  # a pickle, but not of torch: refused by what it holds
        for _ in range(_HEADS - 1):
            left -= sum(1 for _ in zip(range(left), genops(stream), strict=False))
        storages = _storages(stream, left)
        sum(1 for _ in zip(range(left), genops(stream), strict=False))  # their names
        n_pickled = stream.tell()
    return n_pickled + sum(_SIZE_BYTES + _n_bytes(storage) for storage in storages)


def _storages(stream, max_opcodes: int) -> set[tuple]:
    """The storages of the next pickle, each as kind, class, name, device and size."""
    frames: list[list] = [[]]
    memo: dict[int, object] = {}
    storages = set()
    for number, (operation, argument, _) in enumerate(genops(stream)):
        if number > max_opcodes:
            raise ValueError("too many opcodes")
        name = operation.name
        if name == "MARK":
            frames.append([])
        elif name == "TUPLE":
            value = tuple(frames.pop())
            frames[-1].append(value)
        elif name in _ENDS:
            frames.pop()
        elif name in _PUTS:
            memo[argument] = frames[-1][-1] if frames[-1] else None
        elif name in _GETS:
            frames[-1].append(memo.get(argument))
        elif name == "BINPERSID":
            storages.add(frames[-1][-1])
        elif name == "GLOBAL":
            frames[-1].append(_Class(argument))
        elif name in _NUMBERS or isinstance(argument, str):
            frames[-1].append(argument)
        elif name not in ("PROTO", "STOP"):
            frames[-1].append(None)  # whatever it is, it is no number
    return storages


def _n_bytes(storage: tuple) -> int:
    kinds = [part.name for part in storage if isinstance(part, _Class)]
    kind = kinds[0].rpartition(" ")[2].removesuffix("Storage") if kinds else ""
    numbers = [part for part in storage if isinstance(part, int)]
    return max(numbers) * _BYTES.get(kind, 1)
