"""The bytes that weights in torch's old form (no zip: pickles, then numbers) declare, read without
running anything: torch would take the memory before it looks at the file's size."""

import pickle
from pathlib import Path

from bimotion.errors import ModelError

MAX_PICKLED_BYTES = 8 * 1024 * 1024  # a model of a thousand tensors has some 200,000
_MAGIC = 0x1950A86A20F9469CFC6C
_SIZE_BYTES = 8  # before the numbers of each storage
_NUMBER_BYTES = {  # of one number of a storage
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


class _Inert:
    """Stands for everything that a pickle names, makes or fills; does nothing."""

    def __init__(self, *_arguments):
        pass

    def __setitem__(self, key, value):
        pass

    def __setstate__(self, state):
        pass


class _Bounded:
    """A stream of which not more than MAX_PICKLED_BYTES can be asked for."""

    def __init__(self, stream):
        self.stream, self.left = stream, MAX_PICKLED_BYTES

    def read(self, n_bytes: int) -> bytes:
        self.left -= n_bytes
        if self.left < 0:
            raise ValueError("too many bytes")
        return self.stream.read(n_bytes)

    def readline(self) -> bytes:
        line = self.stream.readline(self.left)
        self.left -= len(line)
        return line


class _Unpickler(pickle._Unpickler):
    """Reads a pickle of torch and notes its storages; Python's own, for it allocates only what it
    has read. It knows no byte arrays, which would be allocated by their declared size."""

    dispatch = pickle._Unpickler.dispatch.copy()
    del dispatch[pickle.BYTEARRAY8[0]]

    def __init__(self, stream: _Bounded):
        super().__init__(stream)
        self.storages: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> type:
        return type(name, (_Inert,), {})

    def persistent_load(self, reference: tuple) -> _Inert:
        _, kind, key, _, n_numbers, *_ = reference
        size = _NUMBER_BYTES.get(kind.__name__.removesuffix("Storage"), 1)
        self.storages[key] = max(self.storages.get(key, 0), n_numbers * size)
        return _Inert()


def check(path: Path) -> None:
    """Raise ModelError where the file has less bytes than the numbers that it declares, as one that
    is cut short does."""
    try:
        declared = _declared_bytes(path)
    except Exception:  # whatever broken pickles make the unpickler raise
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
        bounded = _Bounded(stream)
        if _Unpickler(bounded).load() != _MAGIC:
            return 0  # a pickle, but not of torch: refused by what it holds
        for _ in ("protocol", "system"):
            _Unpickler(bounded).load()
        tensors = _Unpickler(bounded)
        tensors.load()
        _Unpickler(bounded).load()  # names of the storages
        return stream.tell() + sum(_SIZE_BYTES + n for n in tensors.storages.values())
