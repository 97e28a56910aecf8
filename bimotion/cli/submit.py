"""`bimotion submit` and `bimotion labels export`."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from bimotion.cli.options import Corpus, Only, Practice, Root, names, source
from bimotion.cli.terminal import progress

labels = typer.Typer(help="Reference labels, for verification without audio.", no_args_is_help=True)
SUBMISSIONS = Path("leaderboard/submissions")


def submit(
    folder: Annotated[Path, typer.Argument(metavar="RESULT_DIR", help="Folder of a finished run.")],
    contact: Annotated[str | None, typer.Option("--contact", help="Whom to ask about it.")] = None,
    trained_on: Annotated[
        list[str] | None,
        typer.Option(
            "--trained-on",
            metavar="NAMES",
            help="Data that the model saw before this run, e.g. LibriSpeech,IEMOCAP; '' for none. "
            "Not given: not declared.",
        ),
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option("--organisation", help="Whose the model is, if its name does not say."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="ORG/REPO",
            help="Open a pull request on this dataset repository of the Hub.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Without --to: folder of submissions.")
    ] = SUBMISSIONS,
    practice: Practice = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be sent, and stop.")
    ] = False,
) -> None:
    """Pack a result with its predictions and a statement of what the model was trained on; to a
    folder or the Hub."""
    from bimotion.leaderboard import submission

    declared = None if trained_on is None else names([one for one in trained_on if one]) or []
    _warn_of_names(folder, organisation)
    options = {
        "contact": contact,
        "trained_on": declared,
        "organisation": organisation,
        "practice": practice,
    }
    if dry_run:
        for path, content in submission.prepare(folder, **options).items():
            print(f"{path}\t{len(content)} bytes")
        _warn_of_licences(folder)
    elif to is None:
        print(submission.pack(folder, output, **options))
        _warn_of_licences(folder)
    else:
        from bimotion.data.huggingface import client

        with tempfile.TemporaryDirectory() as place:
            packed = submission.pack(folder, Path(place), **options)
            _warn_of_licences(folder)
            name = packed.relative_to(place).as_posix()
            print(client.pull_request(packed, to, f"submissions/{name}", f"Submission {name}"))


def _warn_of_names(folder: Path, organisation: str | None) -> None:
    from bimotion.leaderboard import submission
    from bimotion.results import record

    model = record.load(folder / record.RESULT_FILE).model.name
    if submission.is_reserved(model.partition("/")[0] if "/" in model else organisation or ""):
        print(
            f"note: {submission.RESERVED}/* is reserved: only whoever keeps a board enters "
            "baselines there (bimotion leaderboard verify --baseline)",
            file=sys.stderr,
        )


def _warn_of_licences(folder: Path) -> None:
    from bimotion.leaderboard import submission
    from bimotion.results import record

    if closed := submission.restricted(record.load(folder / record.RESULT_FILE)):
        print(
            "note: the predictions hold reference marks of test clips of "
            f"{', '.join(closed)}, whose licences let nobody publish labels: send them only "
            "where everybody who can read them has these corpora, such as a private "
            "repository",
            file=sys.stderr,
        )


@labels.command("export")
def export_labels(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file, e.g. labels.json.gz.")],
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
) -> None:
    """Write ids, labels and parts (speakers hashed) of complete corpora; labels only where their
    licence allows it."""
    from bimotion.leaderboard import answer_key

    found = answer_key.AnswerKey.of_corpora(source(corpora, corpus, only), progress=progress())
    print(answer_key.export(found, file))
    if found.withheld:
        print(f"without labels, which their licences keep: {', '.join(found.withheld)}")
