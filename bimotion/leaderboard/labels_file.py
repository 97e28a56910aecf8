"""A labels file: an answer key as JSON, gzip, for keepers who have no sound.

It names no speaker (hashes, so that clips of one speaker still go together; pseudonyms, for who has
a list of speakers can make them) and gives labels only where the corpus's licence lets them be
passed on. For the other corpora it holds what the rosters publish anyway (ids, parts), and of every
test part one hash over ids and labels: wrong labels are found out, none are told.

The answer key of a hidden test has labels of all corpora, those that participants were given and
the true ones: it is private, says so of itself, and is written so that only its owner can read it.
"""

import gzip
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import TypeAdapter

from bimotion.corpora import CORPORA, corpora_of
from bimotion.corpora.utterance import PARTS
from bimotion.data.rules import N_FOLDS, RULES, n_folds
from bimotion.errors import BimotionError, RecordError, SettingError, UnknownName
from bimotion.io import files
from bimotion.io.records import Record, from_json
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.leaderboard.answer_key import AnswerKey, fingerprint_key
from bimotion.leaderboard.assignments import Assignment, Splits, in_fold
from bimotion.leaderboard.hidden_test import NOTICE, HiddenTest
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS, check_emotions

REFERENCE_VERSION = 2
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_CLIPS = 1_000_000
SCHEMA_VERSIONS = {schema.name: schema.version for schema in SCHEMAS.values()}
COLUMNS = (
    "id",
    "speaker",
    "emotions",
    *(f"{kind}_{rule}" for rule in RULES for kind in ("cell", "part")),
    "fold",
)
HIDDEN_COLUMN = "true_emotions"


@dataclass(frozen=True)
class _Clips(Record):
    """The clips of one corpus."""

    labels: bool
    """Whether emotions are given."""
    columns: dict[Literal[*COLUMNS, HIDDEN_COLUMN], str]
    """Name -> values joined by line breaks, an empty one for None; HIDDEN_COLUMN in the answer key
    of a hidden test only."""


@dataclass(frozen=True)
class _LabelsFile(Record):
    """An AnswerKey as JSON; its fields are those of AnswerKey."""

    added: ClassVar = frozenset({"hidden"})

    reference_version: Literal[2]
    split_version: str
    schema_versions: dict[str, str]
    manifest: str
    corpora: dict[str, _Clips]
    deals: dict[str, Assignment]
    fingerprints: dict[str, str]
    hidden: Literal[NOTICE] | None = None
    """Of a hidden test; None, and not written, of any other answer key."""


def withheld(answer_key: AnswerKey) -> list[str]:
    """Corpora that `export` leaves without labels; none of a hidden test, which stays with its
    host."""
    if answer_key.hidden is not None:
        return []
    return [
        name
        for name in answer_key.corpora
        if CORPORA[name].card.redistribution == "nothing" or name in answer_key.unlabelled
    ]


def export(answer_key: AnswerKey, path: Path) -> Path:
    """Write the labels file, the same bytes for the same corpora; return its path.

    It has the data fingerprints of whole protocols only, and, of a hidden test, of single cells.

    Raises:
        SettingError: for synthetic or incomplete corpora.

    Example::

        answer_key = AnswerKey.of_corpora(CorpusSource.of("/corpora"))
        labels_file.export(answer_key, Path("labels.json.gz"))
    """
    if answer_key.practice:
        raise SettingError(
            "expected an answer key of real and complete corpora, found one for practice"
        )
    content = _LabelsFile(
        reference_version=REFERENCE_VERSION,
        split_version=NUMBERS_VERSION,
        schema_versions=SCHEMA_VERSIONS,
        manifest=answer_key.manifest,
        corpora={corpus: _clips_of(answer_key, corpus) for corpus in answer_key.corpora},
        deals=dict(sorted(answer_key.assignments.items())),
        fingerprints=dict(sorted(_fingerprints(answer_key).items())),
        hidden=None if answer_key.hidden is None else NOTICE,
    )
    text = TypeAdapter(_LabelsFile).dump_json(content, indent=1, by_alias=True, exclude_none=True)
    with files.written(path, private=answer_key.hidden is not None) as temporary:
        temporary.write_bytes(gzip.compress(text + b"\n", mtime=0))
    return path


def _fingerprints(answer_key: AnswerKey) -> dict[str, str]:
    """Those of every protocol whose corpora are all there, and of every cell in which a hidden test
    may be held."""
    fingerprints, asked = {}, [protocol.settings(name) for name in protocol.PROTOCOLS]
    if answer_key.hidden is not None:
        tested = {setting.test for setting in protocol.settings("in-group")}
        asked += [protocol.settings("in-group", [cell]) for cell in sorted(tested)]
    for settings in asked:
        cells = {cell for setting in settings for cell in (*setting.train, setting.test)}
        corpora = corpora_of(settings)
        for rule in RULES if set(corpora) <= set(answer_key.corpora) else ():
            for schema in SCHEMAS.values():
                key = fingerprint_key(rule, schema, cells, corpora)
                fingerprints[key] = answer_key.fingerprint(rule, schema, cells, corpora)
    return fingerprints


def _clips_of(answer_key: AnswerKey, corpus: str) -> _Clips:
    rows = answer_key.only([corpus]).with_splits().reset_index(names="id")
    labels = corpus not in withheld(answer_key)
    if not labels:
        rows["emotions"] = None
    names = COLUMNS
    if answer_key.hidden is not None:
        rows[HIDDEN_COLUMN] = answer_key.hidden.emotions.reindex(rows["id"]).to_numpy()
        names = (*COLUMNS, HIDDEN_COLUMN)
    columns = {name: "\n".join(value or "" for value in rows[name]) for name in names}
    return _Clips(labels=labels, columns=columns)


def load(path: Path) -> AnswerKey:
    """The answer key of a labels file.

    Raises:
        RecordError: naming the first thing that breaks the schema.
    """
    try:
        with gzip.open(path) as file:
            if (
                path.stat().st_size > MAX_FILE_BYTES
                or len(text := file.read(MAX_TEXT_BYTES + 1)) > MAX_TEXT_BYTES
            ):
                raise RecordError(
                    f"{path}: expected at most {MAX_FILE_BYTES} bytes, {MAX_TEXT_BYTES} unpacked; "
                    "found more"
                )
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(
            f"{path}: expected a labels file (JSON, gzip), found: "
            f"{error if path.exists() else 'nothing'}"
        ) from None
    try:
        content = from_json(_LabelsFile, text, "labels", f"{path}: ")
    except RecordError as error:
        advice = ": export it again with this bimotion" * ("reference_version" in str(error))
        raise RecordError(f"{error}{advice}") from None
    try:
        return _checked(content)
    except BimotionError as error:
        raise RecordError(f"{path}: {error}") from None


def _checked(content: _LabelsFile) -> AnswerKey:
    ours = (NUMBERS_VERSION, SCHEMA_VERSIONS)
    if ours != (theirs := (content.split_version, content.schema_versions)):
        raise RecordError(
            f"expected split and schema versions {ours}, found {theirs}: export it again with "
            "this bimotion"
        )
    names = COLUMNS if content.hidden is None else (*COLUMNS, HIDDEN_COLUMN)
    tables = [_table(corpus, clips, names) for corpus, clips in content.corpora.items()]
    table = pd.concat(tables) if tables else pd.DataFrame()
    if table.empty or not table.index.is_unique:
        raise RecordError(
            "labels.corpora: expected clips with ids of their own, found none or two of one id"
        )
    known = {in_fold(rule, fold) for rule in RULES for fold in range(n_folds(rule))}
    for key, assignment in content.deals.items():
        corpus, rule, schema, cell = key.split("/") if key.count("/") == 3 else [""] * 4
        if corpus not in content.corpora or rule not in known or schema not in SCHEMAS:
            raise RecordError(f"labels.deals: expected corpus/rule/schema/cell, found {key!r:.80}")
        Cell.parse(cell)
        if unknown := set(assignment.trained) - set(SCHEMAS[schema].classes):
            raise UnknownName("class", min(unknown)[:80], SCHEMAS[schema].classes)
    table, hidden = table.sort_index(), None
    table.index = table.index.astype(object)  # as in AnswerKey.of_corpora
    if content.hidden is not None:
        hidden = HiddenTest(table.pop(HIDDEN_COLUMN))
    return AnswerKey(
        table=table[["corpus", "speaker", "emotions"]],
        splits=Splits(partial(_split_of, table)),
        assignments=content.deals,
        fingerprints=content.fingerprints,
        manifest_of_file=content.manifest,
        practice=False,
        hidden=hidden,
    )


def _split_of(table: pd.DataFrame, rule: str) -> pd.DataFrame:
    names = {f"cell_{rule}": "cell", f"part_{rule}": "part", "fold": "fold"}
    return table[list(names)].rename(columns=names)


def _table(corpus: str, clips: _Clips, names: tuple[str, ...]) -> pd.DataFrame:
    where = f"labels.corpora.{corpus}"
    if corpus not in CORPORA:
        raise UnknownName("corpus", corpus[:80], CORPORA)
    if other := set(names) ^ set(clips.columns):
        raise RecordError(
            f"{where}.columns: expected {', '.join(names)}, missing or too many: "
            f"{', '.join(sorted(other))}"
        )
    lengths = [values.count("\n") + 1 for values in clips.columns.values()]
    if max(lengths) > MAX_CLIPS or len(set(lengths)) > 1:
        raise RecordError(
            f"{where}.columns: expected as many values in each, at most {MAX_CLIPS}; found "
            f"{lengths}"
        )
    columns = {name: [value or None for value in clips.columns[name].split("\n")] for name in names}
    for clip in columns["id"]:
        if clip is None or not clip.startswith(f"{corpus}/"):
            raise RecordError(
                f"{where}.columns.id: expected ids that begin with {corpus}/, found {clip!r:.80}"
            )
    for rule in RULES:
        for cell in sorted(set(columns[f"cell_{rule}"]) - {None}):
            Cell.parse(cell)
        if unknown := sorted(set(columns[f"part_{rule}"]) - {None, *PARTS}):
            raise UnknownName("part", unknown[0][:80], PARTS)
    if unknown := sorted(set(columns["fold"]) - {None, *map(str, range(N_FOLDS))}):
        raise RecordError(f"{where}.columns.fold: expected 0 to 4, found {unknown[0][:80]!r}")
    labels = [name for name in ("emotions", HIDDEN_COLUMN) if name in columns]
    if not clips.labels and any(any(columns[name]) for name in labels):
        raise RecordError(f"{where}: expected no emotions where labels is false")
    for name in labels if clips.labels else ():
        columns[name] = [value or "" for value in columns[name]]
        for value in sorted(set(columns[name])):
            check_emotions(emotion for emotion in value.split("+") if emotion)
    return pd.DataFrame(columns | {"corpus": corpus}, dtype=object).set_index("id")
