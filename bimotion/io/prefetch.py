"""Work done a few items ahead of the one that needs it, in threads: decoding while a model
computes."""

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(
    make: Callable[[Item], Made], items: Iterable[Item], n: int = 3, workers: int = 1
) -> Iterator[Made]:
    """make(item) of all items in order, `n` of them made or being made before they are asked for;
    its errors come in place.

    >>> list(ahead(lambda n: n * n, range(5)))
    [0, 1, 4, 9, 16]
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def cancelled_quietly(results: Generator[Item, None, None]) -> Iterator[Item]:
    """Results of joblib; where they are not all asked for, for something else went wrong, the rest
    is cancelled without a word.

    >>> list(cancelled_quietly(n for n in range(3)))
    [0, 1, 2]
    """
    try:
        for result in results:  # noqa: UP028  (`yield from` would close them first)
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.close()
