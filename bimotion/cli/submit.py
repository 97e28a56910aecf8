"""`bimotion submit` and `bimotion labels export`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress
from bimotion.errors import printable

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
    _note_reservations(folder, organisation, declared)
    with tempfile.TemporaryDirectory() as temporary:
        if dry_run:
            content = submission.prepare(folder, **statement)
            print("\n".join(f"{path}\t{len(data)} bytes" for path, data in content.items()))
        elif to is None:
            print(submission.pack(folder, output, **statement))
        else:
            from bimotion.data.huggingface import client

            packed = submission.pack(folder, Path(temporary), **statement)
            name = packed.relative_to(temporary).as_posix()
            print(client.pull_request(packed, to, f"submissions/{name}", f"Submission {name}"))


def _note_reservations(
    folder: Path, organisation: str | None, trained_on: list[str] | None
) -> None:
    """Say what the submitter should know of the name, the statement and of licences, before
    anything is sent."""
    from bimotion.leaderboard import admission, known_training
    from bimotion.results import record

    result = record.load(folder / record.RESULT_FILE)
    name = result.model.name
    if admission.is_reserved(name.partition("/")[0] if "/" in name else organisation or ""):
        note(
            f"note: {admission.RESERVED}/* is reserved: only whoever keeps a board enters "
            "baselines there (bimotion leaderboard verify --baseline)"
        )
    full_name = name if "/" in name else f"{organisation}/{name}"
    for line in known_training.notes(full_name, trained_on):
        note(f"note: {printable(line)}")
    if closed := admission.restricted(result):
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
