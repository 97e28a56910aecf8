"""Every package that the code imports is declared in pyproject.toml, and pinned in
requirements.txt."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from bimotion.results import provenance

REPOSITORY = Path(__file__).parents[1]
PROVIDERS = packages_distributions()
TOOLS = ("dev", "docs")
"""Extras that no code of the package imports: for tests, and for the site."""
IMPORTED_BY_OTHERS = {"torchcodec"}  # by `datasets`, where it is there


def imported(folder: str) -> set[str]:
    """Top-level names of third-party packages that files below a folder import."""
    names = set()
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"bimotion"}


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def declared_packages(extras: bool) -> set[str]:
    """Names of the dependencies in pyproject.toml, those of extras (but TOOLS) included or not."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    items = list(project["dependencies"])
    if extras:
        optional = project["optional-dependencies"]
        items += [item for name in optional if name not in TOOLS for item in optional[name]]
    return {normal(re.split(r"[\[>]", item)[0]) for item in items}


def test_imports_are_declared_and_pinned():
    declared = declared_packages(extras=True)
    pinned = {
        normal(line.split("==")[0])
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if "==" in line
    }
    needed = {normal(PROVIDERS[name][0]) for name in imported("bimotion") | imported("loaders")}
    assert needed - declared == set()
    assert needed <= pinned


def test_a_record_names_versions_of_packages_that_every_install_has():
    assert set(provenance.PACKAGES) <= {"bimotion"} | declared_packages(extras=False)


def test_nothing_is_declared_in_vain():
    """A package that no code imports any more is a download for nothing."""
    names = {
        normal(package)
        for name in imported("bimotion") | imported("loaders")
        for package in PROVIDERS.get(name, ())
    }
    assert declared_packages(extras=True) - names == IMPORTED_BY_OTHERS
