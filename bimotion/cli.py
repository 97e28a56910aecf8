"""The command line: every command, and how errors reach the user."""

import sys

import typer

from bimotion.commands import data, leaderboard
from bimotion.commands.compare import compare
from bimotion.commands.evaluate import evaluate, score
from bimotion.commands.project import coverage, project
from bimotion.commands.publish import publish
from bimotion.commands.report import report
from bimotion.commands.submit import labels, submit
from bimotion.errors import BimotionError

app = typer.Typer(
    help="Speech emotion recognition across languages and age groups: datasets, protocol, evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(evaluate)
app.command()(score)
app.command()(compare)
app.command()(report)
app.command()(project)
app.command()(coverage)
app.command()(submit)
app.command()(publish)
app.add_typer(data.app, name="data")
app.add_typer(labels, name="labels")
app.add_typer(leaderboard.app, name="leaderboard")


def main() -> None:
    """Entry point: errors that users can mend are one message and exit code 2, never a traceback."""
    try:
        app()
    except BimotionError as error:
        _refuse(str(error))
    except OSError as error:  # a full disk, a folder without permission, a file that vanished
        _refuse(f"{error.filename or 'input or output'}: {error.strerror or error}")


def _refuse(message: str) -> None:
    print(f"bimotion: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
