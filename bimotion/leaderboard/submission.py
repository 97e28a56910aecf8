"""A submission: a finished result with its predictions, and what its makers say of the model, in
one folder.

<into>/<organisation>__<model>/<run key>/
    result.json           as `bimotion evaluate` wrote it
    predictions.parquet   written anew in one fixed shape (predictions.py)
    submission.json       Submission: contact, model, training data declared, contamination,
                          fingerprints of the other two
"""

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import JsonValue

from bimotion.errors import RecordError, SettingError
from bimotion.io import files
from bimotion.io.records import Record, from_json, read_bytes, read_record
from bimotion.leaderboard import admission, lookalikes
from bimotion.leaderboard.admission import organisation_of, why_not_taken
from bimotion.leaderboard.contamination import contamination
from bimotion.results import predictions, record, rescoring
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, Result
from bimotion.results.run_folder import RunFolder

SUBMISSION_FILE = "submission.json"
FILES = (PREDICTIONS_FILE, RESULT_FILE, SUBMISSION_FILE)
MAX_SUBMISSION_BYTES = 1024 * 1024
OF_LABELS = ("scores", "human", "duplicates")
"""Lists of a result that are made from labels: empty in a submission without labels."""
MAX_NAMES = 1000
MAX_TEXT = 200


@dataclass(frozen=True)
class ModelFacts(Record):
    """The facts of a model that its result knows; fields as there."""

    name: str
    revision: str | None
    track: str
    n_parameters: int | None


@dataclass(frozen=True)
class Submission(Record):
    """The content of submission.json."""

    organisation: str
    """Whose model it is: before the `/` of the model's name, else as given."""
    contact: str | None
    """How to reach the submitter; null: not given."""
    model: ModelFacts
    """As in the result."""
    trained_on: list[str] | None
    """Corpora and data sets that the model was trained on before this run, in their makers' words;
    empty: on none; null: not declared."""
    contamination: dict[str, list[str]] | None
    """Test cell -> our corpora in it that `trained_on` names; null where nothing is declared."""
    fingerprints: dict[str, str]
    """File -> SHA-256, hex, of the other two files."""
    submission_version: Literal[1] = 1
    """Of this record."""

    def to_json(self) -> str:
        """JSON text, keys in the order of the fields."""
        content = dataclasses.asdict(self)
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def prepare(
    result_dir: Path,
    *,
    contact: str | None,
    trained_on: Sequence[str] | None,
    organisation: str | None = None,
    practice: bool = False,
    labels: bool = True,
) -> dict[str, bytes]:
    """Make all that `pack` would write; nothing is written.

    Args:
        result_dir: folder of a finished run.
        contact: how to reach the submitter.
        trained_on: what the model was trained on before; None: not declared.
        organisation: of a model whose name has none.
        practice: also take a result that is synthetic or incomplete.
        labels: with the labels of the test clips; else predictions only, and a result without what
            was made from labels: whoever has the answer key computes it.

    Returns:
        Path below the folder of submissions -> content.

    Raises:
        SettingError: for a result that no leaderboard takes.
        RecordError: for files that break their schema.

    Example::

        content = submission.prepare(folder, contact=None, trained_on=["LibriSpeech"])
    """
    result = record.load(result_dir / RESULT_FILE)
    if reason := why_not_taken(result, practice):
        raise SettingError(f"{result_dir}: {reason}")
    if RunFolder(result_dir).is_unfinished:
        raise SettingError(
            f"{result_dir}: the run is being done again and is not finished: run `bimotion "
            "evaluate` to its end"
        )
    if not labels:
        result = dataclasses.replace(result, **{name: [] for name in OF_LABELS})
    table = io.BytesIO()
    predictions.write(result_dir / PREDICTIONS_FILE, table, labels=labels)
    content = {PREDICTIONS_FILE: table.getvalue(), RESULT_FILE: result.to_json().encode()}
    names = None if trained_on is None else list(dict.fromkeys(map(str.strip, trained_on)))
    statement = Submission(
        organisation=organisation_of(result.model.name, organisation),
        contact=contact,
        model=facts_of(result),
        trained_on=names,
        contamination=contamination(names, rescoring.settings_of(result)),
        fingerprints={name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    )
    if reason := why_malformed(statement):
        raise SettingError(reason)
    content[SUBMISSION_FILE] = statement.to_json().encode()
    folder = folder_of(statement, result)
    return {f"{folder}/{name}": content[name] for name in FILES}


def pack(result_dir: Path, into: Path, **options) -> Path:
    """Write a submission of a finished result, whole or not at all; return its folder.

    Args:
        result_dir: folder of a finished run.
        into: folder of submissions.
        options: those of `prepare`.

    Raises:
        SettingError: as `prepare`, and where another submission of this run lies there already.
        RecordError: as `prepare`.

    Example::

        submission.pack(Path("results/lab__model/0123456789ab"), Path("leaderboard/submissions"),
                        contact="me@lab.example", trained_on=["LibriSpeech", "IEMOCAP"])
    """
    content = prepare(result_dir, **options)
    folder = into / PurePosixPath(next(iter(content))).parent
    if folder.exists():
        present = {path: (into / path).read_bytes() for path in content if (into / path).is_file()}
        if present != content:
            raise SettingError(
                f"{folder}: expected nothing, found another submission of this run; remove it first"
            )
        return folder
    with files.folder_written(folder) as temporary:
        for path, data in content.items():
            (temporary / PurePosixPath(path).name).write_bytes(data)
    return folder


def folders(submissions: Path) -> list[Path]:
    """Every `<org>__<model>/<run key>` below a folder that holds one of FILES, whatever it is,
    sorted; links to folders and hidden ones are no submissions.

    Raises:
        SettingError: where there is no such folder.
    """
    return [folder for folder in _run_folders(submissions) if _holds_any(folder)]


def passed_over(submissions: Path) -> list[Path]:
    """Folders where a submission belongs that hold files but none of FILES, sorted: no submissions,
    such as `projection-<key>` among the runs of a model."""
    return [
        folder
        for folder in _run_folders(submissions)
        if not _holds_any(folder)
        and any(path.is_file() and not path.name.startswith(".") for path in folder.iterdir())
    ]


def runs(submissions: Path) -> list[Path]:
    """Those of `folders` that are runs of `bimotion evaluate` as it left them: no statement was
    made for them yet."""
    return [
        folder
        for folder in folders(submissions)
        if (folder / RESULT_FILE).is_file() and not os.path.lexists(folder / SUBMISSION_FILE)
    ]


def _run_folders(submissions: Path) -> list[Path]:
    if not submissions.is_dir():
        raise SettingError(f"{submissions}: expected a folder of submissions, found none")
    return sorted(
        folder
        for folder in submissions.glob("[!.]*/[!.]*")
        if folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink()
    )


def _holds_any(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in FILES)


def load(path: Path) -> Submission:
    """The statement in a `submission.json`.

    Raises:
        RecordError: naming the first field that breaks the schema.
    """
    return read_record(Submission, path, MAX_SUBMISSION_BYTES, "submission")


def declared(folder: Path) -> list[str] | None:
    """The names that the statement of a submission, verified or not, says that the model was
    trained on; None: it does not say, or there is no statement.

    Raises:
        RecordError: for a statement that is not JSON, or names that cannot be shown.
    """
    where = f"{SUBMISSION_FILE}: trained_on"
    trained_on = from_json(str | list[str] | None, json.dumps(_stated(folder, "trained_on")), where)
    names = [trained_on] if isinstance(trained_on, str) else trained_on
    if names is None or names == [""]:
        return None
    if odd := [name for name in names if not lookalikes.is_plain(name)]:
        raise RecordError(f"{where}: expected printable names, found {odd[0]!a:.80}")
    if long := [name for name in names if len(name) > MAX_TEXT]:
        raise RecordError(
            f"{where}: expected names of at most {MAX_TEXT} characters, found {long[0]!a:.80}..."
        )
    if len(names) > MAX_NAMES:
        raise RecordError(f"{where}: expected at most {MAX_NAMES} names, found {len(names)}")
    return names


def full_name(folder: Path, result: Result) -> str:
    """The name of a submission's model, with the organisation that its statement, verified or not,
    gives where the name has none.

    Raises:
        RecordError: for a statement that is not JSON.
    """
    organisation = _stated(folder, "organisation")
    return admission.full_name(
        result.model.name, organisation if isinstance(organisation, str) else None
    )


def named(statement: Submission) -> str:
    """The name of a statement's model, with its organisation.

    Example::

        named(statement)        # "lab/model"
    """
    return admission.full_name(statement.model.name, statement.organisation)


def _stated(folder: Path, field: str) -> JsonValue:
    """A field of a statement that may break its schema; None: it has none, or there is no
    statement."""
    path = folder / SUBMISSION_FILE
    if not os.path.lexists(path):
        return None
    text = read_bytes(path, MAX_SUBMISSION_BYTES)
    return from_json(dict[str, JsonValue], text, SUBMISSION_FILE).get(field)


def why_malformed(statement: Submission) -> str | None:
    """Say why texts of a submission cannot be taken; None where they can. Texts are one line of at
    most MAX_TEXT characters."""
    names = statement.trained_on or ()
    for where, text in [("contact", statement.contact), *(("trained_on", name) for name in names)]:
        if text is not None and not (
            text == text.strip() and 0 < len(text) <= MAX_TEXT and lookalikes.is_plain(text)
        ):
            return f"{where}: expected one line of 1 to {MAX_TEXT} characters, found {text!r:.80}"
    if len(names) > MAX_NAMES:
        return f"trained_on: expected at most {MAX_NAMES} names, found {len(names)}"
    try:
        organisation_of(statement.model.name, statement.organisation)
    except SettingError as error:
        return str(error)
    return None


def facts_of(result: Result) -> ModelFacts:
    """The facts of a result's model."""
    model = result.model
    return ModelFacts(
        name=model.name,
        revision=model.revision,
        track=result.track,
        n_parameters=result.n_parameters,
    )


def folder_of(statement: Submission, result: Result) -> str:
    """The folder of a submission below that of submissions: `<organisation>__<model>/<run key>`."""
    return f"{statement.organisation}__{result.model.name.rpartition('/')[2]}/{result.key}"
