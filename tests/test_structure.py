"""The architecture as rules: who may import whom, what a light command may load, what every public
name carries."""

import ast
import importlib
import pkgutil
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import bimotion
from tests import structure

PACKAGE = Path(bimotion.__file__).parent
SOURCES = structure.sources()
NEED_RAY = {"bimotion.evaluation.cluster", "bimotion.evaluation.worker"}
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "sklearn",
    "pandas",
    "pyarrow",
    "pydantic",
    "soundfile",
    "cryptography",
    "umap",
    "matplotlib",
)


def test_imports_form_no_circle():
    assert structure.in_cycles() == []


def test_imports_only_go_down():
    rooms = structure.rooms_at_the_top()
    assert rooms == {room for layer in structure.LAYERS for room in layer}
    assert len(rooms) <= structure.MAX_ROOMS
    assert structure.upward_imports() == []
    assert len(structure.room_pairs()) <= structure.MAX_PAIRS


def loaded_by(code: str) -> set[str]:
    report = "import sys; print(*[name for name in sys.modules if '.' not in name])"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_importing_the_package_and_the_command_line_loads_nothing_heavy():
    assert loaded_by("import bimotion, bimotion.cli").isdisjoint(HEAVY)


def test_scoring_and_the_leaderboard_need_no_torch():
    modules = (
        "results.scoring",
        "results.overview",
        "analysis.paper_tables",
        "analysis.report.html",
    )
    code = "import " + ", ".join(f"bimotion.{name}" for name in modules)
    assert loaded_by(code).isdisjoint(("torch", "transformers", "datasets", "soundfile"))


def test_help_is_instant():
    """It costs little more than the libraries that draw it, of which pandas would be three times
    the cost."""

    def cost_of(*command: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    commands = {
        "help": ("-m", "bimotion", "--help"),
        "libraries": ("-c", "import typer.rich_utils"),
    }
    costs = [{name: cost_of(*command) for name, command in commands.items()} for _ in range(3)]
    help_, libraries = (min(cost[name] for cost in costs) for name in commands)
    assert help_ < 2.5 * libraries


TIMES = re.compile(r"time\(|counter\(|monotonic\(|\bseconds\b|\btimes\b|\w_s\b|elapsed")


def test_tests_compare_times_with_times_and_no_number_of_seconds():
    """A machine may be slow or busy: costs are ratios measured in one test; only what hangs is
    waited for in seconds."""
    limits = []
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        tree = structure.parsed(path)
        compared = [
            node
            for part in ast.walk(tree)
            if isinstance(part, ast.Assert)
            for node in ast.walk(part.test)
        ]
        for node in compared:
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Lt, ast.LtE)):
                is_number = not any(
                    isinstance(part, (ast.Name, ast.Call)) for part in ast.walk(node.comparators[0])
                )
                if is_number and TIMES.search(ast.unparse(node.left)):
                    limits.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
        waits = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg == "timeout"
        ]
        for value in waits:
            if isinstance(value, ast.Constant) and 0 < (value.value or 0) < 600:
                limits.append(f"{path.name}:{value.lineno}: timeout={value.value}")
    assert limits == []


def test_public_names_are_the_listed_ones_and_importable():
    assert set(bimotion.__all__) == set(dir(bimotion))
    assert all(getattr(bimotion, name) is not None for name in bimotion.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bimotion.nonsense


def test_type_checkers_see_every_public_name_where_it_comes_from():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {alias.asname: (node.module, alias.name) for node in block.body for alias in node.names}
    assert seen == {name: (module, name) for name, module in bimotion._PUBLIC.items()}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_examples_in_docstrings_run(name):
    import doctest

    if name in NEED_RAY:
        pytest.importorskip("ray", reason="the extra cluster is not installed")
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_public_functions_and_classes_are_documented(name):
    tree = ast.parse(SOURCES[name].read_text())
    undocumented = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert undocumented in ([], ["main"]) or name == "bimotion.cli"


@pytest.mark.parametrize("rule", structure.RULES, ids=lambda rule: rule.__name__)
def test_rules_of_the_house(rule):
    """Functions on a screen, few parameters, files that a reader holds in mind, the field's words,
    docstrings that are sentences: of the package, its loaders and its tests."""
    assert structure.broken(rule, "bimotion", "loaders", "tests") == {}


def test_no_pickle_and_no_bare_except():
    for path in SOURCES.values():
        text = path.read_text()
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path
        assert not any(
            isinstance(node, ast.ExceptHandler) and node.type is None
            for node in ast.walk(ast.parse(text))
        ), path


def test_every_package_is_installed():
    installed = {module.name for module in pkgutil.walk_packages(bimotion.__path__, "bimotion.")}
    assert {
        "bimotion.corpora.tess",
        "bimotion.models.prosody",
        "bimotion.data.synthetic.layouts",
    } <= installed
