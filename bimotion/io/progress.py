"""Progress of long work: a bar on a terminal or in a notebook, a line now and then where output is
written to a file."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
LINE_EVERY_S = 60.0
VERBOSE_LINE_EVERY_S = 10.0


class Progress:
    """A reporter that is silent; `Bars` and `Lines` are those that show, on this machine: sent to
    another process, either is silent.

    >>> list(Progress().track("ab", total=2, label="letters"))
    ['a', 'b']
    """

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        """The items, counted as they pass; `unit` names what is counted."""
        return items

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        """Work of unknown length."""
        yield

    def say(self, message: str) -> None:
        """One line about what is going on."""

    def __reduce__(self) -> tuple:
        return Progress, ()


class Bars(Progress):
    """Bars with count, rate and time left, in a notebook or on a terminal's standard error."""

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        look = {"unit": f" {unit}", "leave": False, "dynamic_ncols": True}
        with warnings.catch_warnings():
            # a notebook without ipywidgets: the bar is text there, which is no fault
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            bar = tqdm(items, label, total, file=sys.stderr, **look)
        yield from bar

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        for _ in self.track(range(1), 1, label, unit="steps"):
            yield

    def say(self, message: str) -> None:
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)


class Lines(Progress):
    """A line on standard error every `every_s` seconds while a work goes on, from a thread of its
    own: for logs of batch jobs.

    Work that ends within `every_s` seconds prints nothing.
    """

    def __init__(self, every_s: float = LINE_EVERY_S):
        self.every_s = every_s

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        n_done = 0

        def state(elapsed_s: float) -> str:
            text = f"{label}: {n_done} of {total} {unit}"
            if not n_done:
                return f"{text}, {duration(elapsed_s)} so far"
            rate = n_done / elapsed_s
            if n_done > total:  # a total that nobody knew
                return f"{label}: {n_done} {unit}, {rate:.3g}/s"
            return f"{text}, {rate:.3g}/s, {duration((total - n_done) / rate)} left"

        with self._lines(state):
            for item in items:
                yield item
                n_done += 1

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        with self._lines(lambda elapsed_s: f"{label}: {duration(elapsed_s)} so far"):
            yield

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    @contextmanager
    def _lines(self, state: Callable[[float], str]) -> Iterator[None]:
        """Print the state of a work, made from the seconds that it has taken, until the block
        ends."""
        started, ended = time.monotonic(), threading.Event()

        def report() -> None:
            while not ended.wait(self.every_s):
                self.say(state(time.monotonic() - started))

        thread = threading.Thread(target=report, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()  # none is left to the exit of the interpreter


def duration(seconds: float) -> str:
    """A time that a person can read.

    >>> duration(40), duration(400), duration(8000)
    ('40 s', '6 min 40 s', '2 h 13 min')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def default_progress(verbose: bool = False) -> Progress:
    """The progress of this process: a bar in notebooks and on terminals, a line a minute elsewhere
    (every 10 s when `verbose`), nothing in processes that only train along with the first, or that
    have no standard error."""
    if os.environ.get("RANK", "0") != "0" or sys.stderr is None:
        return Progress()
    if sys.stderr.isatty() or _in_notebook():
        return Bars()
    return Lines(VERBOSE_LINE_EVERY_S if verbose else LINE_EVERY_S)


def _in_notebook() -> bool:
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and "IPKernelApp" in getattr(get_ipython(), "config", {})
