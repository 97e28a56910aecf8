"""Progress of long work: bars with rate and time left on a terminal's standard error, nothing elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class Progress:
    """A reporter that is silent; `Bars` is the one that shows.

    >>> list(Progress().track("ab", total=2, label="letters"))
    ['a', 'b']
    """

    def track(self, items: Iterable[Item], total: int, label: str) -> Iterable[Item]:
        """The items, counted as they pass."""
        return items

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        """Work of unknown length."""
        yield

    def say(self, message: str) -> None:
        """One line about what is going on."""


class Bars(Progress):
    """Bars on standard error while it is a terminal; plain lines from `say` always."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    def track(self, items: Iterable[Item], total: int, label: str) -> Iterable[Item]:
        if not self.console.is_terminal:
            yield from items
            return
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            _rate_column(),
            bars.TimeRemainingColumn(),
        )
        with bars.Progress(*columns, console=self.console, transient=True) as shown:
            yield from shown.track(items, total=total, description=label)

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        if self.console.is_terminal:
            with self.console.status(label):
                yield
        else:
            yield

    def say(self, message: str) -> None:
        print(message, file=sys.stderr)


def _rate_column():
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items a second."""

        def render(self, task) -> Text:
            return Text(f"{task.speed:.0f}/s" if task.speed else "", style="progress.data.speed")

    return Rate()
