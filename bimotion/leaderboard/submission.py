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
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from bimotion.corpora import CORPORA
from bimotion.data import splits
from bimotion.errors import RecordError, SettingError
from bimotion.io import files
from bimotion.io.records import Record, json_object, parsed, typed
from bimotion.leaderboard import lookalikes
from bimotion.leaderboard.contamination import contamination
from bimotion.protocol.settings import TRACKS
from bimotion.results import predictions, record, rescoring
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, Result
from bimotion.results.run_folder import RunFolder

SUBMISSION_VERSION = 1
SUBMISSION_FILE = "submission.json"
FILES = (PREDICTIONS_FILE, RESULT_FILE, SUBMISSION_FILE)
MAX_SUBMISSION_BYTES = 1024 * 1024
MAX_NAMES = 1000
MAX_TEXT = 200
MAX_SHOWN = 50_000
MAX_PARAMETERS = 10**15
MAX_CLIPS = 10**7  # of one corpus
RESERVED = "bimotion"
"""Organisation of the baselines, which nobody but the receiver enters."""
BASELINES = ("bimotion/majority", "bimotion/prosody", "bimotion/random")
"""Models of this package: any speech model should beat them."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
"""Of an organisation or a model, as the Hub takes them: nothing that a path or a shell reads
otherwise."""


@dataclass(frozen=True)
class ModelFacts(Record):
    """What a result knows of its model; fields as in Result."""

    name: str
    revision: str | None
    track: str
    n_parameters: int | None


@dataclass(frozen=True)
class Submission(Record):
    """What stands in submission.json.

    organisation    whose model it is: before the `/` of the model's name, else as given
    contact         how to reach the sender; null: not given
    trained_on      corpora and data sets that the model was trained on before this run, in their
                    makers' words; empty: on none; null: not declared
    contamination   test cell -> our corpora in it that `trained_on` names (contamination.py); null
                    where nothing is declared
    fingerprints    file -> SHA-256, hex, of the other two files
    """

    organisation: str
    contact: str | None
    model: ModelFacts
    trained_on: list[str] | None
    contamination: dict[str, list[str]] | None
    fingerprints: dict[str, str]
    submission_version: int = SUBMISSION_VERSION

    def to_json(self) -> str:
        """JSON text, keys in the order of the fields."""
        return (
            json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)
            + "\n"
        )


def prepare(
    result_dir: Path,
    *,
    contact: str | None,
    trained_on: Sequence[str] | None,
    organisation: str | None = None,
    practice: bool = False,
) -> dict[str, bytes]:
    """Path below the folder of submissions -> content, of all that `pack` would write; nothing is
    written.

    `organisation`: of a model whose name has none; `practice`: also a result that is synthetic or
    incomplete. Raises SettingError for a result that no leaderboard takes, RecordError for files
    that break their schema.

    Example::

        for path, content in submission.prepare(folder, contact=None,
        trained_on=["LibriSpeech"]).items():
            print(path, len(content))
    """
    result = record.load(result_dir / RESULT_FILE)
    if reason := why_not(result, practice):
        raise SettingError(f"{result_dir}: {reason}")
    if RunFolder(result_dir).is_unfinished:
        raise SettingError(
            f"{result_dir}: the run is being done again and is not finished: run `bimotion "
            "evaluate` to its end"
        )
    table = io.BytesIO()
    predictions.write(result_dir / PREDICTIONS_FILE, table)
    content = {PREDICTIONS_FILE: table.getvalue(), RESULT_FILE: result.to_json().encode()}
    declared = (
        None if trained_on is None else list(dict.fromkeys(name.strip() for name in trained_on))
    )
    statement = Submission(
        organisation=organisation_of(result.model.name, organisation),
        contact=contact,
        model=facts_of(result),
        trained_on=declared,
        contamination=contamination(declared, rescoring.settings_of(result)),
        fingerprints={name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    )
    if reason := why_malformed(statement):
        raise SettingError(reason)
    content[SUBMISSION_FILE] = statement.to_json().encode()
    folder = folder_of(statement, result)
    return {f"{folder}/{name}": content[name] for name in FILES}


def pack(
    result_dir: Path,
    into: Path,
    *,
    contact: str | None,
    trained_on: Sequence[str] | None,
    organisation: str | None = None,
    practice: bool = False,
) -> Path:
    """Write a submission of a finished result below a folder, whole or not at all; returns its
    folder.

    Raises what `prepare` raises, and SettingError where another submission of this run lies there
    already.

    Example::

        submission.pack(Path("results/lab__model/0123456789ab"), Path("leaderboard/submissions"),
                        contact="me@lab.example", trained_on=["LibriSpeech", "IEMOCAP"])
    """
    content = prepare(
        result_dir,
        contact=contact,
        trained_on=trained_on,
        organisation=organisation,
        practice=practice,
    )
    folder = into / PurePosixPath(next(iter(content))).parent
    if folder.exists():
        there = {path: (into / path).read_bytes() for path in content if (into / path).is_file()}
        if there != content:
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
    sorted; links to folders and hidden ones are no submissions. Raises SettingError where there is
    no such folder."""
    return [place for place in _places(submissions) if _holds_any(place)]


def passed_over(submissions: Path) -> list[Path]:
    """Folders where a submission belongs that hold files but none of FILES, sorted: no submissions,
    such as `projection-<key>` among the runs of a model."""
    found = [place for place in _places(submissions) if not _holds_any(place)]
    return [
        place
        for place in found
        if any(path.is_file() and not path.name.startswith(".") for path in place.iterdir())
    ]


def _places(submissions: Path) -> list[Path]:
    if not submissions.is_dir():
        raise SettingError(f"{submissions}: expected a folder of submissions, found none")
    found = [place for place in submissions.glob("[!.]*/[!.]*") if place.is_dir()]
    return sorted(
        place for place in found if not place.is_symlink() and not place.parent.is_symlink()
    )


def _holds_any(place: Path) -> bool:
    return any(os.path.lexists(place / name) for name in FILES)


def runs(submissions: Path) -> list[Path]:
    """Those of `folders` that are runs of `bimotion evaluate` as it left them: no statement was
    made for them yet."""
    found = folders(submissions)
    return [
        place
        for place in found
        if (place / RESULT_FILE).is_file() and not os.path.lexists(place / SUBMISSION_FILE)
    ]


def load(path: Path) -> Submission:
    """Submission from a `submission.json`; raises RecordError naming the first field that breaks
    the schema."""
    try:
        if path.stat().st_size > MAX_SUBMISSION_BYTES:
            raise RecordError(
                f"{path}: expected at most {MAX_SUBMISSION_BYTES} bytes, found "
                f"{path.stat().st_size}"
            )
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: expected a submission in JSON, found: {error}") from None
    version = content.get("submission_version") if isinstance(content, dict) else None
    if version != SUBMISSION_VERSION:
        raise RecordError(
            f"{path}: expected submission_version {SUBMISSION_VERSION}, found {version!r:.80}"
        )
    try:
        return typed(Submission, content, "submission")
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None


def declared(folder: Path) -> list[str] | None:
    """What the statement of a submission, verified or not, says that the model was trained on;
    None: it does not say, or there is no statement. Raises RecordError."""
    if not os.path.lexists(folder / SUBMISSION_FILE):
        return None
    found = json_object(folder / SUBMISSION_FILE, MAX_SUBMISSION_BYTES).get("trained_on")
    names = [found] if isinstance(found, str) else found
    if names is None or names == [""]:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecordError(
            f"{SUBMISSION_FILE}: trained_on: expected null, a text or a list of texts, found "
            f"{found!a:.80}"
        )
    if odd := [name for name in names if not lookalikes.is_plain(name)]:
        raise RecordError(
            f"{SUBMISSION_FILE}: trained_on: expected printable names, found {odd[0]!a:.80}"
        )
    if sum(map(len, names)) > MAX_NAMES * MAX_TEXT:
        raise RecordError(
            f"{SUBMISSION_FILE}: trained_on: expected at most {MAX_NAMES} names, found more"
        )
    return names


PRACTICE = "made with --practice: verify with --practice"


def is_for_practice(path: Path) -> bool:
    """Whether a submission, or a run, is one that only --practice takes; False where its record
    cannot be read, which `verify` tells."""
    file = path / RESULT_FILE
    try:
        if file.is_symlink() or not file.is_file():
            return False
        result = record.load(file)
    except (OSError, RecordError):
        return False
    return why_not(result) is not None and why_not(result, practice=True) is None


def why_not(result: Result, practice: bool = False) -> str | None:
    """Why no leaderboard takes a result; None where one would. `practice`: one for trying out, of
    any corpora."""
    if result.limit is not None:
        return f"expected all clips, found a run with limit {result.limit}: run it again without"
    if practice:
        return None
    if result.data.synthetic:
        return "expected real corpora, found synthetic data (made by `bimotion data synth`)"
    if not result.data.complete:
        lacking = [
            f"{name} ({used.n_found} of {used.n_published} clips)"
            for name, used in result.data.corpora.items()
            if not used.complete
        ]
        return f"expected complete corpora, found {', '.join(lacking) or 'none'}"
    if result.skipped:
        return (
            f"expected every setting to be run, found {len(result.skipped)} skipped: "
            f"{result.skipped[0].reason}"
        )
    return None


def why_not_shown(result: Result) -> str | None:
    """Why what a page takes from a result as it was sent cannot be shown; None where it can. Texts
    must be printable, at most MAX_SHOWN characters in all (a classifier lists its outputs); names
    of what we have only."""
    for where, known, found in (
        ("track", TRACKS, [result.track]),
        ("split.rule", splits.RULES, [result.split.rule]),
        ("data.corpora", CORPORA, result.data.corpora),
    ):
        if unknown := [name for name in found if name not in known]:
            return f"{where}: expected one of {', '.join(known)}, found {unknown[0]!a:.80}"
    texts = {
        "model.revision": result.model.revision or "",
        "provenance.device": result.provenance.device,
        "provenance.finished": result.provenance.finished,
        "provenance.versions.bimotion": result.provenance.versions.get("bimotion", ""),
        "data.fingerprint": result.data.fingerprint,
        **(
            {f"adapt.{name}": str(value) for name, value in vars(result.adapt).items()}
            if result.adapt
            else {}
        ),
        **{
            f"model.options.{name}": f"{name} {value}"
            for name, value in result.model.options.items()
        },
    }
    for where, text in texts.items():
        if not lookalikes.is_plain(text):
            return f"{where!a:.80}: expected one line of printable characters, found {text!a:.80}"
    if (n_shown := sum(map(len, texts.values()))) > MAX_SHOWN:
        longest = max(texts, key=lambda where: len(texts[where]))
        return (
            f"expected at most {MAX_SHOWN} characters in revision, options, device and so on; "
            f"found {n_shown}, {longest!a:.80}"
        )
    try:
        datetime.fromisoformat(result.provenance.finished)
    except ValueError:
        return (
            "provenance.finished: expected a date and time in ISO 8601, found "
            f"{result.provenance.finished!a:.80}"
        )
    for name, used in result.data.corpora.items():
        if not 0 <= used.n_found <= MAX_CLIPS:
            return (
                f"data.corpora.{name}.n_found: expected 0 to {MAX_CLIPS}, found "
                f"{used.n_found!r:.40}"
            )
    if not 0 <= (result.n_parameters or 0) <= MAX_PARAMETERS:
        return (
            f"n_parameters: expected null or a number from 0 to {MAX_PARAMETERS}, found "
            f"{result.n_parameters!r:.40}"
        )
    return None


def why_malformed(statement: Submission) -> str | None:
    """Why texts of a submission cannot be taken; None where they can. Texts: one line of at most
    MAX_TEXT characters."""
    texts = [
        ("contact", statement.contact),
        *(("trained_on", name) for name in statement.trained_on or ()),
    ]
    for where, text in texts:
        if text is not None and not (
            text == text.strip() and 0 < len(text) <= MAX_TEXT and lookalikes.is_plain(text)
        ):
            return f"{where}: expected one line of 1 to {MAX_TEXT} characters, found {text!r:.80}"
    if len(statement.trained_on or ()) > MAX_NAMES:
        return f"trained_on: expected at most {MAX_NAMES} names, found {len(statement.trained_on)}"
    try:
        if organisation_of(statement.model.name, statement.organisation) == statement.organisation:
            return None
    except SettingError as error:
        return str(error)
    return f"organisation: expected that of {statement.model.name}, found {statement.organisation}"


def organisation_of(model: str, organisation: str | None) -> str:
    """The organisation of a model: named before its `/`, else as given. Raises SettingError, also
    for unsafe names.

    >>> organisation_of("lab/model", None), organisation_of("Model", "lab")
    ('lab', 'lab')
    """
    named, slash, name = model.rpartition("/")
    for part in (name, *((named,) if slash else ())):
        if not _safe(part):
            raise SettingError(
                "model: expected a name (or organisation/name) of letters, digits, '.', '_' "
                f"and '-', found {model!r:.80}"
            )
    if not slash and organisation is None:
        raise SettingError(
            f"model {model} names no organisation: say whose it is (organisation=..., "
            "--organisation)"
        )
    if not slash and not _safe(organisation):
        raise SettingError(
            f"organisation: expected letters, digits, '.', '_' and '-', found {organisation!r:.80}"
        )
    if slash and organisation not in (None, named):
        raise SettingError(
            f"organisation: expected {named}, as the model's name says, found {organisation!r:.80}"
        )
    # a/b__c and a__b/c would lie in one folder
    if "__" in (found := named if slash else organisation):
        raise SettingError(
            "organisation: expected a name without '__', which ends it in a folder's name, found "
            f"{found!r:.80}"
        )
    return found


def is_reserved(organisation: str) -> bool:
    """Whether an organisation is called like this package, or so that it can be mistaken for it.

    >>> is_reserved("Bi-M0tion"), is_reserved(" bimotion."), is_reserved("lab")
    (True, True, False)
    """
    return re.sub(r"[\W_]", "", lookalikes.skeleton(organisation)) == lookalikes.skeleton(RESERVED)


def restricted(result: Result) -> list[str]:
    """Corpora of a result whose licences let nobody publish their labels: its predictions hold the
    marks of test clips."""
    return [
        name
        for name, used in result.data.corpora.items()
        if used.n_utterances and CORPORA[name].card.redistribution == "nothing"
    ]


def facts_of(result: Result) -> ModelFacts:
    """What a result knows of its model."""
    return ModelFacts(result.model.name, result.model.revision, result.track, result.n_parameters)


def folder_of(statement: Submission, result: Result) -> str:
    """Where a submission lies below the folder of submissions:
    `<organisation>__<model>/<run key>`."""
    return f"{statement.organisation}__{result.model.name.rpartition('/')[2]}/{result.key}"


def _safe(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in name and "--" not in name
