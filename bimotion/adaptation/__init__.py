"""The registry of unsupervised adaptation methods: every module of this folder that defines
METHODS. One file a family."""

import importlib
import pkgutil
from collections.abc import Iterable

from bimotion.adaptation.method import SETTINGS, Method
from bimotion.errors import SettingError, UnknownName, known_name

METHODS: dict[str, Method] = {
    method.name: method
    for module in sorted(
        pkgutil.iter_modules(__path__), key=lambda module: (module.name != "none", module.name)
    )
    for method in getattr(importlib.import_module(f"{__name__}.{module.name}"), "METHODS", ())
}


def method_for(name: str, setting: str, schema: str, *, is_exclusive: bool) -> Method:
    """The method of that name, checked for a setting and for a label schema; `is_exclusive`: each
    clip has one class of it.

    Raises UnknownName, and SettingError where the method cannot be used so.

    >>> method_for("coral", "inductive", "valence", is_exclusive=True).title
    'CORAL (Sun et al. 2016)'
    """
    known_name("adaptation method", name, METHODS)
    known_name("adaptation setting", setting, SETTINGS)
    if not is_exclusive:
        raise SettingError(
            f"adapt: expected a schema of exclusive classes, such as valence, found {schema}"
        )
    METHODS[name].require(setting)
    return METHODS[name]


def methods_named(names: Iterable[str]) -> list[Method]:
    """Methods by name, or all of a family by its name, without repeats, in the order asked for.
    Raises UnknownName.

    >>> [method.name for method in methods_named(["coral", "logit-adjust"])]
    ['coral', 'logit-adjust-uniform', 'logit-adjust-em']
    """
    chosen: dict[str, Method] = {}
    for name in names:
        members = {m.name: m for m in METHODS.values() if name in (m.name, m.family)}
        if name in METHODS:
            members = {name: METHODS[name]}
        if not members:
            families = [method.family for method in METHODS.values()]
            raise UnknownName("adaptation method", name, dict.fromkeys((*METHODS, *families)))
        chosen |= members
    return list(chosen.values())
