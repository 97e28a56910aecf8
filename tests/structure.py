"""The architecture in figures: `python -m tests.structure [ROOM]` prints them, and broken rules.

Lines of code are those that hold a token of the program: no blank line, comment or docstring.
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bimotion"
LAYERS = [  # rooms, from the ground up: each imports those below it, none beside it
    {"errors"},
    {"io", "protocol"},
    {"corpora", "models", "results"},
    {"data", "adaptation"},
    {"evaluation"},
    {"analysis", "leaderboard", "loaders"},
    {"cli"},
]
MAX_ROOMS = 13  # twelve and the exceptions
MAX_PAIRS = 50
MAX_FUNCTION_LINES = 40  # without the signature and the docstring
MAX_PARAMETERS = 8
MAX_MODULE_LINES = 400
PUBLIC_CALLS = {"evaluate", "load_dataset", "publish"}  # their keywords are the interface
EVERYDAY_WORDS = """
found one place said told strange claims marks deal dealt outside derived floor intake lookahead
papers others standing Material Request Outcome TestSet Comparable Standing Marks Ranks Statistic
Draws
"""
POOR_OPENINGS = {"Of", "What", "Whether", "How", "As", "Where", "Whose", "Who", "Which", "That"}


class Finding(NamedTuple):
    """A finding: file below the root, line, what it is."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def files(*tops: str) -> list[Path]:
    """Python files below folders of the repository."""
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    """The dotted name of a file of the package; loaders count as `bimotion.loaders`."""
    if path.parent == ROOT / "loaders":
        return f"bimotion.loaders.{path.stem}"
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def sources() -> dict[str, Path]:
    """Module name -> file, of the package and its loaders."""
    loaders = [path for path in files("loaders") if not path.name.startswith("_")]
    return {module_name(path): path for path in [*files("bimotion"), *loaders]}


@cache
def imports(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name in sources() and name != "bimotion"}


def in_cycles() -> list[str]:
    """Modules that import each other in a circle."""
    graph = {name: imports(path) for name, path in sources().items()}
    settled: set[str] = set()
    while ready := {
        name for name in graph if name not in settled and graph[name] <= settled | {name}
    }:
        settled |= ready
    return sorted(set(graph) - settled)


def room_pairs() -> set[tuple[str, str]]:
    """(importing room, imported room): folders and files at the top of the package."""
    rooms = {
        name: name.split(".")[1]
        for name in sources()
        if "." in name and name != "bimotion.__main__"
    }
    pairs = {
        (room, rooms[name]) for user, room in rooms.items() for name in imports(sources()[user])
    }
    return {(user, room) for user, room in pairs if user != room}


def upward_imports() -> list[tuple[str, str]]:
    """Pairs of rooms where the importing one does not stand above the imported one."""
    height = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    return sorted(pair for pair in room_pairs() if height[pair[1]] >= height[pair[0]])


def rooms_at_the_top() -> set[str]:
    """Folders and files at the top of the package."""
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    } - {"__init__", "__main__"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Every function of a file, methods and inner ones too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return node.end_lineno - body[0].lineno + 1 if body else 0


def _is_command(path: Path, node: ast.FunctionDef) -> bool:
    return "cli" in path.parts and bool(node.decorator_list)


def long_functions(path: Path) -> list[Finding]:
    """Functions that do not fit on a screen."""
    return [
        Finding(str(path.relative_to(ROOT)), node.lineno, f"{node.name} has {n_lines} lines")
        for node in functions(path)
        if (n_lines := body_lines(node)) > MAX_FUNCTION_LINES
    ]


def wide_functions(path: Path) -> list[Finding]:
    """Functions of many parameters, but for public calls and commands, where these are options."""
    wide = []
    for node in functions(path):
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if len(parameters) > MAX_PARAMETERS and not (
            node.name in PUBLIC_CALLS or _is_command(path, node)
        ):
            text = f"{node.name} has {len(parameters)} parameters"
            wide.append(Finding(str(path.relative_to(ROOT)), node.lineno, text))
    return wide


def banned_names(path: Path) -> list[Finding]:
    """Variables, parameters, fields and functions whose name is an everyday word."""
    banned = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            name = node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = node.name
        else:
            continue
        if name.lstrip("_") in EVERYDAY_WORDS.split():
            banned.append(Finding(str(path.relative_to(ROOT)), node.lineno, f"name `{name}`"))
    return banned


def poor_docstrings(path: Path) -> list[Finding]:
    """Docstrings that open as half a sentence, where an imperative or `The` is expected."""
    poor = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            opening = (ast.get_docstring(node) or "").split(" ")[0].rstrip(",:")
            if opening in POOR_OPENINGS:
                name, line = getattr(node, "name", path.stem), getattr(node, "lineno", 1)
                text = f"{name}: docstring opens with `{opening}`"
                poor.append(Finding(str(path.relative_to(ROOT)), line, text))
    return poor


def code_lines(path: Path) -> int:
    """Lines of a file that hold code."""
    skipped = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in skipped:
            lines |= set(range(token.start[0], token.end[0] + 1 if token.string else token.end[0]))
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def all_lines(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def large_modules(path: Path) -> list[Finding]:
    """Files that no reader holds in mind."""
    n_lines = all_lines(path)
    text = f"{n_lines} lines"
    name = str(path.relative_to(ROOT))
    return [Finding(name, 1, text)] if n_lines > MAX_MODULE_LINES else []


RULES = (long_functions, wide_functions, large_modules, banned_names, poor_docstrings)


def broken(rule: Callable[[Path], list[Finding]], *tops: str) -> Counter[str]:
    """The number of places that break a rule, by room: `bimotion/data`, `tests/data`."""
    findings = [finding for path in files(*tops) for finding in rule(path)]
    return Counter("/".join(Path(finding.path).parts[:2]) for finding in findings)


def main() -> None:
    """Print the figures, and every place that breaks a rule."""
    room = sys.argv[1] if len(sys.argv) > 1 else None
    print(f"rooms {len(rooms_at_the_top())}, pairs of rooms {len(room_pairs())}")
    print(f"in cycles {in_cycles()}, upward imports {upward_imports()}")
    for name, tops in (("product", ("bimotion", "loaders")), ("tests", ("tests",))):
        paths = files(*tops)
        per_room: Counter[str] = Counter()
        for path in paths:
            per_room[path.relative_to(ROOT).parts[min(1, len(path.parts))]] += code_lines(path)
        n_code, n_all = sum(per_room.values()), sum(map(all_lines, paths))
        print(f"{name}: {n_code} lines of code, {n_all} with docstrings, comments and blank lines")
        print("   ", ", ".join(f"{part} {n}" for part, n in per_room.most_common(14)))
        shown = [p for p in paths if room is None or room in p.relative_to(ROOT).parts]
        for rule in RULES:
            findings = [finding for path in shown for finding in rule(path)]
            print(f"  {rule.__name__}: {len(findings)}")
            for finding in findings if room else ():
                print(f"    {finding}")


if __name__ == "__main__":
    main()
