"""`bimotion submit` and `bimotion labels export`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress

labels = typer.Typer(help="Reference labels, for verification without audio.", no_args_is_help=True)
SUBMISSIONS = Path("leaderboard/submissions")


@spread
def submit(
    folder: Annotated[Path, argument("RESULT_DIR", "Folder of a finished run.")],
    contact: Annotated[str | None, option("Whom to ask about it.")] = None,
    trained_on: Annotated[
        list[str] | None,
        option(
            "Data that the model saw before this run, e.g. LibriSpeech,IEMOCAP; '' for none. "
            "Not given: not declared.",
            metavar="NAMES",
        ),
    ] = None,
    organisation: Annotated[
        str | None, option("Whose the model is, if its name does not say.")
    ] = None,
    to: Annotated[
        str | None,
        option("Open a pull request on this dataset repository of the Hub.", metavar="ORG/REPO"),
    ] = None,
    output: Annotated[
        Path, option("Without --to: folder of submissions.", "--output", "-o")
    ] = SUBMISSIONS,
    practice: options.Practice = False,
    dry_run: Annotated[bool, option("List what would be sent, and stop.")] = False,
) -> None:
    """Pack a result with its predictions and a statement of what the model was trained on; to a
    folder or the Hub."""
    from bimotion.leaderboard import submission

    declared = None if trained_on is None else options.names(list(filter(None, trained_on))) or []
    statement = {
        "contact": contact,
        "trained_on": declared,
        "organisation": organisation,
        "practice": practice,
    }
    _note_reserved_name(folder, organisation)
    with tempfile.TemporaryDirectory() as temporary:
        if dry_run:
            content = submission.prepare(folder, **statement)
            lines = [f"{path}\t{len(data)} bytes" for path, data in content.items()]
        else:
            packed = submission.pack(folder, Path(temporary) if to else output, **statement)
            lines = [packed]
        _note_licences(folder)
        if to and not dry_run:
            from bimotion.data.huggingface import client

            name = packed.relative_to(temporary).as_posix()
            lines = [client.pull_request(packed, to, f"submissions/{name}", f"Submission {name}")]
        print(*lines, sep="\n")


def _note_reserved_name(folder: Path, organisation: str | None) -> None:
    from bimotion.leaderboard import admission
    from bimotion.results import record

    model = record.load(folder / record.RESULT_FILE).model.name
    if admission.is_reserved(model.partition("/")[0] if "/" in model else organisation or ""):
        note(
            f"note: {admission.RESERVED}/* is reserved: only whoever keeps a board enters "
            "baselines there (bimotion leaderboard verify --baseline)"
        )


def _note_licences(folder: Path) -> None:
    from bimotion.leaderboard import admission
    from bimotion.results import record

    if closed := admission.restricted(record.load(folder / record.RESULT_FILE)):
        note(
            "note: the predictions hold reference marks of test clips of "
            f"{', '.join(closed)}, whose licences let nobody publish labels: send them only "
            "where everybody who can read them has these corpora, such as a private repository"
        )


@labels.command("export")
@spread
def export_labels(
    file: Annotated[Path, argument("FILE", "New file, e.g. labels.json.gz.")],
    corpora: options.Chosen,
) -> None:
    """Write ids, labels and parts (speakers hashed) of complete corpora; labels only where their
    licence allows it."""
    from bimotion.leaderboard import labels_file
    from bimotion.leaderboard.answer_key import AnswerKey

    key = AnswerKey.of_corpora(corpora.source(), progress=progress())
    print(labels_file.export(key, file))
    if withheld := labels_file.withheld(key):
        print(f"without labels, which their licences keep: {', '.join(withheld)}")
