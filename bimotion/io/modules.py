"""Registries that fill themselves: to add a corpus, a method or a track is to add one file."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

Kind = TypeVar("Kind", bound=type)


def modules_of(package: str) -> Iterator[ModuleType]:
    """The modules of a package, imported, in the order of their names.

    >>> "bimotion.io.bounds" in [module.__name__ for module in modules_of("bimotion.io")]
    True
    """
    folder = importlib.import_module(package).__path__
    for name in sorted(info.name for info in pkgutil.iter_modules(folder)):
        yield importlib.import_module(f"{package}.{name}")


def discover(package: str, base: Kind, *, first: str) -> dict[str, Kind]:
    """The classes below `base` that modules of a package define, by their `name`; one of them
    before all others."""
    kinds = [
        kind
        for module in modules_of(package)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == module.__name__
    ]
    named = {kind.name: kind for kind in kinds if kind is not base}
    return {first: named[first]} | dict(sorted(named.items()))
