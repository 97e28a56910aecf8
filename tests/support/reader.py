"""A reader of the examples: runs each from its first line to its last, in a process of its own."""

import contextlib
import io
import json
import os
import re
import runpy
import sys
import types
from pathlib import Path

CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def begin(folder: str, environment: dict[str, str]) -> None:
    """Sit down before a copy of the examples; each that follows is run in this process."""
    os.environ |= environment
    os.chdir(folder)
    sys.path.insert(0, folder)


def end() -> None:
    """Leave: processes that joblib keeps for five minutes would keep this one."""
    from joblib.externals import loky

    loky.get_reusable_executor().shutdown()


def run_script(name: str, *arguments: str, **environment: str | None) -> str:
    """Text that a Python file prints."""
    before = [*sys.argv]
    sys.argv = [name, *arguments]
    try:
        with _printed(environment) as printed:
            runpy.run_path(name, run_name="__main__")
    finally:
        sys.argv = before
    return printed.getvalue()


def run_notebook(name: str, **environment: str | None) -> str:
    """Text that a notebook prints and shows; raises what a cell raises."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell(user_module=types.ModuleType("notebook"))
    with _printed(environment) as printed:
        for cell in json.loads(Path(name).read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                done = shell.run_cell("".join(cell["source"]), store_history=False)
                done.raise_error()
                assert shell.user_ns.get("_exit_code", 0) == 0, printed.getvalue()
                shown = getattr(done.result, "data", None)
                if isinstance(shown, str | bytes):  # Markdown, or a picture
                    print(shown)
    return printed.getvalue()


def follow_page(name: str) -> str:
    """Text that the later blocks of a page print, the first of which is the reader of a corpus."""
    from bimotion.corpora import CORPORA

    first, *later = CODE.findall(Path(name).read_text(encoding="utf-8"))
    added: dict[str, object] = {}
    exec(compile(first, name, "exec"), added)
    CORPORA[added["CORPUS"].name] = added["CORPUS"]
    with _printed({}) as printed:
        for block in later:
            exec(compile(block, name, "exec"), {})
    return printed.getvalue()


@contextlib.contextmanager
def _printed(environment: dict[str, str | None]):
    """The standard output of a block that runs under other variables (None: without them)."""
    before = dict(os.environ)
    for variable, value in environment.items():
        os.environ.pop(variable, None)
        if value is not None:
            os.environ[variable] = value
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            yield printed
    finally:
        os.environ.clear()
        os.environ.update(before)
