"""Failures of libraries, each as one line for a user."""

from collections.abc import Iterator
from contextlib import contextmanager

from bimotion.errors import ModelError

_CODE = (
    "more than tensors: its pickle would run code, which is never done; ask its authors for "
    "safetensors"
)


def out_of_memory(error: BaseException) -> bool:
    """True where an error says that memory, of whatever kind, is full."""
    kinds = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    words = ("out of memory", "allocate memory", "ALLOC_FAILED")
    return kinds or any(part in str(error) for part in words)


def first_sentence(error: BaseException) -> str:
    """The part of a message that a user can use."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


@contextmanager
def explained(model: str, expected: str) -> Iterator[None]:
    """Turn whatever a library raises into a ModelError, and keep it from printing: what matters is
    checked here."""
    from transformers.utils import logging as library

    level, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{model}: has code of its own, which runs only with --trust-remote-code"
            ) from error
        is_code = "weights only load failed" in str(error).lower()
        reason = _CODE if is_code else first_sentence(error)
        raise ModelError(f"{model}: expected {expected}, found: {reason}") from error
    finally:
        library.set_verbosity(level)
        (library.enable_progress_bar if bars else library.disable_progress_bar)()
