"""`bimotion submit` and `bimotion labels export`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress
from bimotion.errors import SettingError, printable

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
    without_labels: Annotated[
        bool,
        option("Predictions only: for a hidden test, or where a licence keeps labels unpublished."),
    ] = False,
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
        "labels": not without_labels,
    }
    _note_reservations(folder, organisation, declared, without_labels)
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
    folder: Path,
    organisation: str | None,
    trained_on: list[str] | None,
    without_labels: bool,
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
    for line in known_training.notes(admission.full_name(name, organisation), trained_on):
        note(f"note: {printable(line)}")
    closed = admission.restricted(result)
    if without_labels:
        note(
            "note: without labels and scores: whoever has the answer key computes them; the "
            "predictions may be published"
        )
    elif closed:
        note(
            "note: the predictions hold reference marks of test clips of "
            f"{', '.join(closed)}, whose licences let nobody publish labels: send them only "
            "where everybody who can read them has these corpora, such as a private repository; "
            "or send predictions only, by --without-labels"
        )


@labels.command("export")
@spread
def export_labels(
    file: Annotated[Path, argument("FILE", "New file, e.g. labels.json.gz.")],
    corpora: options.Chosen,
    hidden: Annotated[
        bool, option("The private answer key of a hidden test: labels of all corpora.")
    ] = False,
    given_out: Annotated[
        Path | None,
        option("With --hidden: the corpora as participants have them.", metavar="ROOT"),
    ] = None,
) -> None:
    """Write ids, labels and parts (speakers hashed) of complete corpora; labels only where their
    licence allows it, or for a hidden test."""
    from bimotion.data.source import CorpusSource
    from bimotion.leaderboard import labels_file
    from bimotion.leaderboard.answer_key import AnswerKey

    if given_out is not None and not hidden:
        raise SettingError("--given-out: expected with --hidden only")
    key = AnswerKey.of_corpora(corpora.source(), progress=progress())
    if hidden:
        source = CorpusSource.of(given_out, key.corpora)
        given = key if given_out is None else AnswerKey.of_corpora(source, progress=progress())
        key = given.hiding(key)
        note(f"{labels_file.NOTICE}; `labels export` without --hidden makes what others may have")
    print(labels_file.export(key, file))
    if withheld := labels_file.withheld(key):
        print(f"without labels, which their licences keep: {', '.join(withheld)}")
