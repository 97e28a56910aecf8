"""The command line: every command, and how errors reach the user."""

import gc
import logging
import os
import sys
from typing import Annotated, TextIO

import typer

from bimotion.cli import data, leaderboard
from bimotion.cli.check_model import check_model
from bimotion.cli.compare import compare
from bimotion.cli.evaluate import evaluate, score
from bimotion.cli.project import coverage, project
from bimotion.cli.publish import publish
from bimotion.cli.report import report
from bimotion.cli.submit import labels, submit
from bimotion.cli.terminal import note
from bimotion.errors import BimotionError
from bimotion.io.hub import check_endpoint_at_import

ENVIRONMENT = """Environment variables:

BIMOTION_CORPORA: folder with one sub-folder a corpus, where --corpora is not given (default:
corpora in BIMOTION_CACHE).

BIMOTION_CACHE: folder of indices and features, safe to delete but for its corpora (default:
$XDG_CACHE_HOME/bimotion, else ~/.cache/bimotion).

BIMOTION_SIGNING_KEY: private key that signs receipts, where --sign is not given.

HF_HOME, HF_TOKEN, HF_HUB_OFFLINE: as everywhere with the Hugging Face Hub."""
GO_ON = ("evaluate", "project", "coverage", "publish", "download")
"""Commands that keep what they have done and go on from there when they are called again."""
KEPT = "what is done is kept: the same command goes on from there"
NOTHING_HALF = "no half-written file is left"
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class _Commands(typer.core.TyperGroup):
    """The commands, of whose refused values no message begins with the name of a Python class."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=_Commands,
    help="Speech emotion recognition across languages and age groups: datasets, protocol, "
    "evaluation.",
    epilog=ENVIRONMENT,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (evaluate, score, check_model, compare, report, project, coverage, submit, publish):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(labels, name="labels")
app.add_typer(leaderboard.app, name="leaderboard")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from bimotion import __version__

        print(f"bimotion {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: errors that users can mend are one message and exit code 2, never a
    traceback."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere(number))
        # any encoding shows what it can, and the rest as \\u2192
        getattr(sys, name).reconfigure(errors="backslashreplace")
    # tables of clips are many small objects in no cycle: looking for cycles took 0.4 s of 6
    gc.set_threshold(100_000)
    # Arrow's own pools keep what is freed: a verification took 60 MB more, and no less time
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # of each retry; what comes of them is one line of ours
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    check_endpoint_at_import()
    try:
        app()
    except BimotionError as error:
        _refuse(error)
    except OSError as error:  # a full disk, a folder without permission, a file that vanished
        _refuse(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except MemoryError:
        _refuse("this machine has not enough free memory for it")
    except UnicodeEncodeError as error:  # Parquet, Arrow and HTML hold UTF-8 only
        _refuse(
            f"expected names that are UTF-8 text, found {error.object[:200]!r}: rename the file "
            "or folder"
        )
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            goes_on = any(word in GO_ON for word in sys.argv[1:3])
            note(f"bimotion: stopped by Ctrl-C; {KEPT if goes_on else NOTHING_HALF}")
        raise


def _nowhere(number: int) -> TextIO:
    """A stream in place of one that whoever started this process has closed: of workers too, and
    no other file takes its number."""
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(opened, True)
    else:
        os.dup2(opened, number)
        os.close(opened)
    return os.fdopen(number, "w", encoding="utf-8")


def _refuse(message: object) -> None:
    note(f"bimotion: {message}")
    sys.exit(2)
