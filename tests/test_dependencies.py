"""Every package that the code imports is declared in pyproject.toml, and pinned in requirements.txt."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


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


def test_imports_are_declared_and_pinned():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = [item for name, items in project["optional-dependencies"].items() if name != "dev" for item in items]
    declared = {normal(item.split(">")[0]) for item in [*project["dependencies"], *extras]}
    pinned = {
        normal(line.split("==")[0]) for line in (REPOSITORY / "requirements.txt").read_text().splitlines() if "==" in line
    }
    providers = packages_distributions() | {"torchcodec": ["torchcodec"]}
    needed = {normal(providers[name][0]) for name in imported("bimotion") | imported("loaders")}
    assert needed - declared == set()
    assert needed - {"torchcodec"} <= pinned
