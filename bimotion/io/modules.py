"""Registries that fill themselves: to add a corpus, a method or a track is to add one file."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def modules_of(package: str) -> Iterator[ModuleType]:
    """The modules of a package, imported, in the order of their names.

    >>> "bimotion.io.bounds" in [module.__name__ for module in modules_of("bimotion.io")]
    True
    """
    folder = importlib.import_module(package).__path__
    for name in sorted(found.name for found in pkgutil.iter_modules(folder)):
        yield importlib.import_module(f"{package}.{name}")
