"""`bimotion leaderboard`: verify, build, serve, export."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bimotion.cli.options import Corpus, Only, Practice, Root, source
from bimotion.cli.terminal import progress
from bimotion.errors import SettingError, printable, some

if TYPE_CHECKING:
    from bimotion.leaderboard.board import Board

app = typer.Typer(
    help="Submissions: check them, make the board and its page.", no_args_is_help=True
)
Submissions = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of submissions: <org>__<model>/<run key>/.")
]
Receipts = Annotated[
    Path | None,
    typer.Option(
        "--receipts",
        metavar="DIR",
        help="Folder of receipts. (default: receipts, beside the folder of submissions)",
    ),
]
Site = Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.")]


class Format(StrEnum):
    """What a board is exported as."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="One submission, or a folder of them.")
    ],
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE", help="From `bimotion labels export`, instead of corpora."
        ),
    ] = None,
    receipts: Receipts = None,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="The one submission is a baseline, bimotion/..., that you made yourself.",
        ),
    ] = False,
    practice: Practice = False,
) -> None:
    """Compute every score again from the predictions and check all that a submission says; exit
    code 1 where any is refused.

    What is found sound gets a receipt, outside of the submission, which holds for these very files,
    and is made ready for the board.
    """
    from bimotion.leaderboard import answer_key, receiving, submission

    one = any((path / name).exists() for name in submission.FILES)
    folders = [path] if one else submission.folders(path)
    if not folders:
        raise SettingError(f"{path}: expected submissions, <org>__<model>/<run key>/, found none")
    if not practice and all(map(submission.is_for_practice, folders)):
        raise SettingError(f"{path}: {submission.PRACTICE}")
    if labels is not None:
        known = answer_key.load(labels)
    else:
        known = answer_key.AnswerKey.of_corpora(
            source(corpora, corpus, only, practice), progress=progress()
        )
    root = Path(os.path.abspath(path)).parents[1] if one else path
    # no `.` or `..` names one
    identities = ["/".join(Path(os.path.abspath(folder)).parts[-2:]) for folder in folders]
    verdicts = receiving.receive(
        root, identities, known, receipts=receipts, practice=practice, baseline=baseline
    )
    refused = sum(not verdict.ok for verdict in verdicts)
    for folder, verdict in zip(folders, verdicts, strict=True):
        print(f"{printable(str(folder))}: {'verified' if verdict.ok else 'REFUSED'}")
        for line in (*verdict.problems, *(f"note: {warning}" for warning in verdict.warnings)):
            print(f"  {line}")
    if refused:
        print(f"{refused} of {len(folders)} submissions refused", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def build(
    submissions: Submissions = Path("leaderboard/submissions"),
    output: Site = Path("site"),
    receipts: Receipts = None,
    practice: Practice = False,
) -> None:
    """Make board.json, its JSON Schema and a page that opens from the disk."""
    from bimotion.io import records
    from bimotion.leaderboard import board, site, submission

    made = board.build(submissions, receipts=receipts, practice=practice)
    print(site.build(made, output))
    _tell_excluded(made, submissions)
    if runs := submission.runs(submissions):
        print(
            f"{len(runs)} of the folders in {printable(str(submissions))} are runs of "
            "`bimotion evaluate`, not submissions: they cannot be verified or ranked; "
            f"`bimotion submit {printable(str(runs[0]))} ...` makes a submission of one",
            file=sys.stderr,
        )
    if records.names_version(output / "leaderboard.json", board.VERSION_FIELD):
        print(
            f"{output / 'leaderboard.json'} is an earlier board, now {board.BOARD_FILE}: remove it",
            file=sys.stderr,
        )


def _tell_excluded(made: "Board", submissions: Path, *, has_practice: bool = True) -> None:
    """Say what does not stand on a board, and why; `has_practice`: the command takes
    --practice."""
    from bimotion.leaderboard import submission

    for one in made.excluded:
        print(f"not on the board: {one.id}: {one.reason}", file=sys.stderr)
    names, where = ", ".join(submission.FILES), printable(str(submissions))
    if others := submission.passed_over(submissions):
        print(
            f"passed over, for they hold none of {names}: "
            f"{some(printable(str(one)) for one in others)}",
            file=sys.stderr,
        )
    if made.is_for_practice and has_practice:
        print(
            "the board is empty: all submissions are for practice, --practice shows them",
            file=sys.stderr,
        )
    if not made.entries and not made.excluded:
        print(
            f"the board is empty: no submissions in {where}: expected "
            f"{where}/<org>__<model>/<run key>/ with {names}",
            file=sys.stderr,
        )


@app.command()
def serve(
    submissions: Submissions = Path("leaderboard/submissions"),
    output: Site = Path("site"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
    receipts: Receipts = None,
    practice: Practice = False,
) -> None:
    """Build, and show the page on this machine alone until Ctrl-C."""
    import functools
    import http.server

    build(submissions, output, receipts, practice)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=output)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


@app.command()
def export(
    submissions: Submissions = Path("leaderboard/submissions"),
    form: Annotated[Format, typer.Option("--format")] = Format.markdown,
    receipts: Receipts = None,
    practice: Practice = False,
) -> None:
    """The board as a table."""
    from bimotion.leaderboard import board
    from bimotion.leaderboard import export as exports

    made = board.build(submissions, receipts=receipts, practice=practice)
    print(exports.export(made, form.value), end="")
    _tell_excluded(made, submissions)


@app.command("hub-results")
def hub_results(
    dataset: Annotated[
        str,
        typer.Argument(metavar="ORG/NAME", help="Dataset repository of the benchmark on the Hub."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path(
        "hub-results"
    ),
    submissions: Annotated[
        Path, typer.Option("--submissions", metavar="DIR", help="Folder of submissions.")
    ] = Path("leaderboard/submissions"),
    receipts: Receipts = None,
) -> None:
    """Evaluation results as the Hub shows them: .eval_results/*.yaml a model, eval.yaml of the
    dataset, model-index."""
    from bimotion.leaderboard import board
    from bimotion.leaderboard import export as exports

    made = board.build(submissions, receipts=receipts)
    for path in exports.write_hub_results(made, dataset, output):
        print(path)
    _tell_excluded(made, submissions, has_practice=False)
