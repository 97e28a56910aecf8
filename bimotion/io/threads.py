"""Work on all cores whose results are the same bytes on any number of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def one_thread_each() -> AbstractContextManager:
    """Linear algebra in one thread meanwhile: how a sum is shared out moves its last digits."""
    import scipy.linalg  # noqa: F401 - a library that is loaded later would not be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results of all items, in order; a thread a core, each with `one_thread_each`.

    >>> in_threads(abs, [-1, 2])
    [1, 2]
    """
    from joblib import Parallel, cpu_count, delayed

    with one_thread_each():
        workers = Parallel(n_jobs=min(cpu_count(), len(items)), prefer="threads")
        return workers(delayed(function)(item) for item in items)
