"""Work done a few items ahead of the one that needs it, in threads: decoding while a model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def ahead(make: Callable[[Item], Made], items: Iterable[Item], n: int = 3, workers: int = 1) -> Iterator[Made]:
    """make(item) of all items in order, `n` of them made or being made before they are asked for; its errors come in place.

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
