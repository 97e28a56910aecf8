"""What the receiver of a submission holds it against: which clips every test set has, their marks,
their speakers.

Built from corpora on disk, or from a labels file made of them (`export`, `load`), which needs no
sound. The file names no speaker (hashes, so that clips of one speaker still go together;
pseudonyms, for who has a list of speakers can make them) and gives labels only where the corpus's
licence lets them be passed on. For the other corpora it holds what the rosters publish anyway (ids,
parts), and of every test part one hash over ids and marks: wrong marks are found out, none are
told.
"""

import dataclasses
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA, corpora_of
from bimotion.corpora.utterance import AGE_SOURCES, PARTS
from bimotion.data import manifest, splits
from bimotion.data.source import CorpusSource
from bimotion.data.splits import RULES
from bimotion.errors import BimotionError, CorpusError, RecordError, SettingError, UnknownName
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.io.records import Record, parsed, typed
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS, LabelSchema, check_emotions

REFERENCE_VERSION = 1
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_TEXT_BYTES = 64 * 1024 * 1024
MAX_CLIPS = 1_000_000
_OTHERWISE = "References are of whole corpora: name those (--only)"
_SALT = "bimotion-speaker-1"
_SYMBOLS = np.frombuffer(b"-01", "S1")  # of the marks -1, 0, 1


@dataclass(frozen=True)
class Deal(Record):
    """Clips of one corpus and cell under a split rule and schema: those that have a class.

    n            part -> clips
    age_source   how ages are known -> clips
    trained      classes with a positive training clip
    marks        hash of the ids and marks of the test part (marks_hash)
    """

    n: dict[str, int]
    age_source: dict[str, int]
    trained: list[str]
    marks: str


@dataclass(frozen=True)
class AnswerKey:
    """Reference clips of some corpora under every split rule, seed 0.

    table          index: id, sorted; columns corpus, speaker (hash, or None), emotions (joined by
                   `+`; None: not given), and for every rule cell_<rule>, part_<rule> (None: in
                   none)
    deals          `corpus/rule/schema/cell` -> Deal
    fingerprints   what `fingerprint` is asked for -> its answer
    manifest       fingerprint of all usable utterances that this was made of
    practice       made of synthetic or incomplete corpora
    utterances     rows of the manifest, where the corpora are at hand
    """

    table: pd.DataFrame
    deals: dict[str, Deal]
    fingerprints: dict[str, str]
    manifest: str
    practice: bool
    utterances: pd.DataFrame | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of_corpora(
        cls,
        source: CorpusSource,
        *,
        progress: Progress | None = None,
    ) -> "AnswerKey":
        """Of the corpora of a source, each complete and real: of all that it names; where it names
        none, of those that are found.

        With `allow_missing` it is for practice: also of synthetic and incomplete ones. Raises what
        manifest.build raises, CorpusIncomplete, SettingError.

        Example::

            reference = AnswerKey.of_corpora(CorpusSource.of("/corpora"))
            verification.verify(Path("leaderboard/submissions/lab__model/0123456789ab"),
            reference).problems
        """
        found = manifest.build(source, otherwise=_OTHERWISE, progress=progress)
        practice = source.allow_missing
        if not practice:
            found.require_complete(source.corpora or found.corpora, otherwise=_OTHERWISE)
            if found.synthetic:
                raise SettingError(
                    "expected real corpora, found synthetic ones: "
                    f"{', '.join(sorted(found.synthetic))}"
                )
        utterances = found.table.set_index("id", drop=False)
        emotions = ["+".join(one) for one in utterances["emotions"]]
        speakers = [
            None if one is None or one != one else speaker_hash(one)
            for one in utterances["speaker"]
        ]
        table = pd.DataFrame(
            {"corpus": utterances["corpus"], "speaker": speakers, "emotions": emotions},
            dtype=object,
        )
        for rule in RULES:
            placed = _placed(found, rule, practice).reindex(table.index).astype(object)
            table[[f"cell_{rule}", f"part_{rule}"]] = placed.where(placed.notna(), None)
        deals: dict[str, Deal] = {}
        for rule in RULES:
            for schema in SCHEMAS.values():
                clips = table.assign(
                    marks=_marks(table, schema), age_source=utterances["age_source"]
                )
                clips = clips[clips[f"part_{rule}"].notna() & clips["marks"].notna()]
                for (corpus, cell), rows in clips.groupby(["corpus", f"cell_{rule}"]):
                    deals[f"{corpus}/{rule}/{schema.name}/{cell}"] = _deal(
                        rows, f"part_{rule}", schema
                    )
        return cls(table, deals, {}, found.fingerprint, practice, utterances)

    @cached_property
    def corpora(self) -> list[str]:
        """Names, in the order of the registry."""
        there = set(self.table["corpus"])
        return [name for name in CORPORA if name in there]

    @cached_property
    def unlabelled(self) -> list[str]:
        """Corpora without labels here."""
        return sorted(self.table.loc[self.table["emotions"].isna(), "corpus"].unique())

    @property
    def withheld(self) -> list[str]:
        """Corpora that `export` leaves without labels."""
        return [
            name
            for name in self.corpora
            if CORPORA[name].card.redistribution == "nothing" or name in self.unlabelled
        ]

    def only(self, corpora: Iterable[str]) -> "AnswerKey":
        """The same of some of its corpora."""
        names = set(corpora)
        deals = {key: deal for key, deal in self.deals.items() if key.partition("/")[0] in names}
        return dataclasses.replace(
            self, table=self.table[self.table["corpus"].isin(names)], deals=deals
        )

    def deals_of(
        self, rule: str, schema: str, cell: object, corpora: Iterable[str] | None = None
    ) -> dict[str, Deal]:
        """Corpus -> Deal of one cell, of those corpora (None: all) that have clips there."""
        names = self.corpora if corpora is None else corpora
        return {
            name: deal
            for name in names
            if (deal := self.deals.get(f"{name}/{rule}/{schema}/{cell}"))
        }

    def test_clips(
        self, rule: str, schema: LabelSchema, cell: object, corpora: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Test part of a cell: index id; columns cell, corpus, speaker, marks (a text of `-`, 0 and
        1; None: withheld).

        Clips without a class are left out; where labels are withheld and not every clip need have
        one, all are there.
        """
        rows = self.table[
            (self.table[f"cell_{rule}"] == str(cell)) & (self.table[f"part_{rule}"] == "test")
        ]
        if corpora is not None:
            rows = rows[rows["corpus"].isin(list(corpora))]
        marks = _marks(rows, schema)
        kept = (
            np.array([mark is not None for mark in marks], bool)
            | rows["emotions"].isna().to_numpy()
        )
        found = pd.DataFrame(
            {
                "cell": str(cell),
                "corpus": rows["corpus"],
                "speaker": rows["speaker"],
                "marks": marks,
            }
        )
        return found[kept].astype(object)

    def fingerprint(
        self, rule: str, schema: LabelSchema, cells: Iterable[object], corpora: Iterable[str]
    ) -> str | None:
        """manifest.fingerprint of what a run over some cells and corpora uses; None where a labels
        file does not say."""
        cells, corpora = sorted(map(str, cells)), sorted(corpora)
        key = _asked(rule, schema, cells, corpora)
        if key not in self.fingerprints and self.utterances is not None:
            rows = self.table[
                self.table["corpus"].isin(corpora) & self.table[f"cell_{rule}"].isin(cells)
            ]
            rows = rows[rows[f"part_{rule}"].notna()]
            used = rows.index[[mark is not None for mark in _marks(rows, schema)]]
            self.fingerprints[key] = manifest.fingerprint(self.utterances.loc[used])
        return self.fingerprints.get(key)


def _asked(rule: str, schema: LabelSchema, cells: Iterable[object], corpora: Iterable[str]) -> str:
    return f"{rule}/{schema.name}/{'+'.join(sorted(map(str, cells)))}/{'+'.join(sorted(corpora))}"


def speaker_hash(speaker: str) -> str:
    """12 hex digits that stand for a speaker, the same in every labels file."""
    return hashlib.sha256(f"{_SALT}|{speaker}".encode()).hexdigest()[:12]


def marks_text(reference: np.ndarray) -> list[str]:
    """Rows of a reference, int8 (n, n_classes), as texts.

    >>> marks_text(np.array([[1, 0, -1]], np.int8))
    ['10-']
    """
    symbols = np.ascontiguousarray(_SYMBOLS[np.asarray(reference, np.int64) + 1])
    return symbols.view(f"S{symbols.shape[1]}").ravel().astype(str).tolist()


def marks_hash(clips: Iterable[tuple[str, str]]) -> str:
    """Of a test part: of its ids and marks, in any order."""
    return hashlib.sha256(
        "".join(f"{name}\t{marks}\n" for name, marks in sorted(clips)).encode()
    ).hexdigest()


def _placed(found: manifest.Manifest, rule: str, practice: bool) -> pd.DataFrame:
    """Cell and part of each utterance; empty where, for practice, a corpus is too incomplete for
    the rule."""
    try:
        return splits.split(found, rule).table[["cell", "part"]]
    except CorpusError:
        if not practice:
            raise
        return pd.DataFrame(columns=["cell", "part"], dtype=object)


def _marks(rows: pd.DataFrame, schema: LabelSchema) -> list[str | None]:
    """Marks of clips (columns corpus, emotions) as text; None: no class under the schema, or
    withheld."""

    @cache
    def marks(corpus: str, emotions: str | None) -> str | None:
        names = None if emotions is None else [name for name in emotions.split("+") if name]
        annotated = CORPORA[corpus].card.emotions
        if names is None or schema.left_out(names, annotated) is not None:
            return None
        return marks_text(schema.reference(names, annotated)[None])[0]

    return [
        marks(corpus, emotions)
        for corpus, emotions in zip(rows["corpus"], rows["emotions"], strict=True)
    ]


def _deal(rows: pd.DataFrame, part: str, schema: LabelSchema) -> Deal:
    test, train = rows[rows[part] == "test"], rows[rows[part] == "train"]
    counts = {
        name: {str(k): int(n) for k, n in rows[name].value_counts().sort_index().items()}
        for name in (part, "age_source")
    }
    trained = [
        name
        for place, name in enumerate(schema.classes)
        if any(marks[place] == "1" for marks in train["marks"].unique())
    ]
    return Deal(
        counts[part],
        counts["age_source"],
        trained,
        marks_hash(zip(test.index, test["marks"], strict=True)),
    )


@dataclass(frozen=True)
class _Clips(Record):
    """One corpus in a labels file. columns: name -> values joined by line breaks, an empty one for
    None."""

    labels: bool
    columns: dict[str, str]


@dataclass(frozen=True)
class _File(Record):
    """A labels file: Reference as JSON."""

    reference_version: int
    split_version: str
    schema_versions: dict[str, str]
    manifest: str
    corpora: dict[str, _Clips]
    deals: dict[str, Deal]
    fingerprints: dict[str, str]


_COLUMNS = (
    "id",
    "speaker",
    "emotions",
    *(f"{kind}_{rule}" for rule in RULES for kind in ("cell", "part")),
)


def export(reference: AnswerKey, path: Path) -> Path:
    """Write the labels file (JSON, gzip; the same bytes for the same corpora); returns its path.

    It has the data fingerprints of whole protocols only. Raises SettingError for synthetic corpora.

    Example::

        reference.export(AnswerKey.of_corpora(CorpusSource.of("/corpora")), Path("labels.json.gz"))
    """
    if reference.practice:
        raise SettingError(
            "expected a reference of real and complete corpora, found one for practice"
        )
    blocks, withheld, fingerprints = {}, reference.withheld, {}
    for name in protocol.PROTOCOLS:
        settings = protocol.settings(name)
        cells, corpora = (
            {cell for s in settings for cell in (*s.train, s.test)},
            corpora_of(settings),
        )
        for rule in RULES if set(corpora) <= set(reference.corpora) else ():
            for schema in SCHEMAS.values():
                key = _asked(rule, schema, cells, corpora)
                fingerprints[key] = reference.fingerprint(rule, schema, cells, corpora)
    for corpus in reference.corpora:
        rows = reference.table[reference.table["corpus"] == corpus].reset_index(names="id")
        labels = corpus not in withheld
        if not labels:
            rows["emotions"] = None
        columns = {
            name: "\n".join("" if value is None else value for value in rows[name])
            for name in _COLUMNS
        }
        blocks[corpus] = _Clips(labels, columns)
    content = _File(
        REFERENCE_VERSION,
        NUMBERS_VERSION,
        _schema_versions(),
        reference.manifest,
        blocks,
        dict(sorted(reference.deals.items())),
        dict(sorted(fingerprints.items())),
    )
    text = json.dumps(dataclasses.asdict(content), ensure_ascii=False, indent=1) + "\n"
    with files.written(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def load(path: Path) -> AnswerKey:
    """Reference of a labels file; raises RecordError naming the first thing that breaks the
    schema."""
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
        content = parsed(text)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise RecordError(
            f"{path}: expected a labels file (JSON, gzip), found: "
            f"{error if path.exists() else 'nothing'}"
        ) from None
    version = content.get("reference_version") if isinstance(content, dict) else None
    if version != REFERENCE_VERSION:
        raise RecordError(
            f"{path}: expected reference_version {REFERENCE_VERSION}, found {version!r:.80}"
        )
    try:
        return _checked(typed(_File, content, "labels"))
    except BimotionError as error:
        raise RecordError(f"{path}: {error}") from None


def _checked(found: _File) -> AnswerKey:
    ours, theirs = (
        (NUMBERS_VERSION, _schema_versions()),
        (found.split_version, found.schema_versions),
    )
    if ours != theirs:
        raise RecordError(
            f"expected split and schema versions {ours}, found {theirs}: export it again with "
            "this bimotion"
        )
    table = (
        pd.concat([_table(corpus, block) for corpus, block in found.corpora.items()])
        if found.corpora
        else pd.DataFrame()
    )
    if table.empty or not table.index.is_unique:
        raise RecordError(
            "labels.corpora: expected clips with ids of their own, found none or two of one id"
        )
    names = [f"{c}/{r}/{s}/" for c in found.corpora for r in RULES for s in SCHEMAS]
    for key, deal in found.deals.items():
        corpus, rule, schema, cell = key.split("/") if key.count("/") == 3 else ("", "", "", "")
        if f"{corpus}/{rule}/{schema}/" not in names:
            raise RecordError(f"labels.deals: expected corpus/rule/schema/cell, found {key!r:.80}")
        Cell.parse(cell)
        whole = (
            (deal.n, PARTS),
            (deal.age_source, AGE_SOURCES),
            (dict.fromkeys(deal.trained, 0), SCHEMAS[schema].classes),
        )
        if any(
            not set(counts) <= set(known) or min(counts.values(), default=0) < 0
            for counts, known in whole
        ):
            raise RecordError(
                f"labels.deals.{key}: expected counts of parts and age sources, and classes; "
                f"found {deal!r:.200}"
            )
    return AnswerKey(
        table.sort_index(), found.deals, found.fingerprints, found.manifest, practice=False
    )


def _table(corpus: str, block: _Clips) -> pd.DataFrame:
    where = f"labels.corpora.{corpus}"
    if corpus not in CORPORA:
        raise UnknownName("corpus", corpus, CORPORA)
    if set(block.columns) != set(_COLUMNS):
        raise RecordError(
            f"{where}.columns: expected {', '.join(_COLUMNS)}, found "
            f"{', '.join(block.columns)!r:.200}"
        )
    if max(values.count("\n") for values in block.columns.values()) >= MAX_CLIPS:
        raise RecordError(f"{where}.columns: expected at most {MAX_CLIPS} clips, found more")
    columns = {
        name: [value or None for value in block.columns[name].split("\n")] for name in _COLUMNS
    }
    if len({len(values) for values in columns.values()}) != 1:
        raise RecordError(
            f"{where}.columns: expected as many values in each, found "
            f"{[len(v) for v in columns.values()]}"
        )
    if strange := [
        name for name in columns["id"] if name is None or not name.startswith(f"{corpus}/")
    ]:
        raise RecordError(
            f"{where}.columns.id: expected ids that begin with {corpus}/, found {strange[0]!r:.80}"
        )
    for name in RULES:
        for cell in sorted(set(columns[f"cell_{name}"]) - {None}):
            Cell.parse(cell)
        if strange := sorted(set(columns[f"part_{name}"]) - {None, *PARTS}):
            raise UnknownName("part", strange[0][:80], PARTS)
    if not block.labels and any(columns["emotions"]):
        raise RecordError(f"{where}: expected no emotions where labels is false")
    if block.labels:
        columns["emotions"] = [value or "" for value in columns["emotions"]]
        for value in sorted(set(columns["emotions"])):
            check_emotions(name for name in value.split("+") if name)
    return pd.DataFrame(columns | {"corpus": corpus}, dtype=object).set_index("id")


def _schema_versions() -> dict[str, str]:
    return {schema.name: schema.version for schema in SCHEMAS.values()}
