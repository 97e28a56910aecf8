"""A group of cells as a Hugging Face dataset: typed features, Arrow rows, and the builder behind `load_dataset`.

Rows point at the sound files where they lie; nothing is copied. Without torchcodec (and FFmpeg) the audio column is
`{"path", "bytes"}`, for `bimotion.decode`; with them it decodes as usual on the Hub, mono at 16 kHz.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
from datasets.builder import Key

from bimotion import groups, splits
from bimotion.audio import SAMPLE_RATE_HZ
from bimotion.corpora import CORPORA, PAPER_CORPORA
from bimotion.errors import UnknownName
from bimotion.labels import EMOTIONS, SCHEMAS, multi_hot
from bimotion.selection import Selection, select
from bimotion.utterance import AGE_SOURCES, GENDERS, PARTS

DATASET_VERSION = "1.0.0"
CONFIGS = {
    "bimotion": (*map(str, groups.BIMOTION_CELLS), "eng", "zho", "eld", "adu", "all"),
    "yuemotion": ("yue_adu", "yue_eld", "yue"),
}
"""Dataset -> its configs, each a union of cells (groups.union)."""
ROWS_A_TABLE = 2000
CELLS = [str(cell) for cell in (*groups.BIMOTION_CELLS, *groups.YUEMOTION_CELLS)]
LANGUAGES = list(dict.fromkeys(name.partition("_")[0] for name in CELLS))
VALENCES = SCHEMAS["valence"].classes


@cache
def torchcodec_works() -> bool:
    """Whether torchcodec can be imported: it needs FFmpeg's libraries and its own match of torch."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return False
    return True


def features(decode: bool) -> datasets.Features:
    """Columns of a row: every field of `utterance.Utterance`, what the audio header says, cell and split facts."""
    text, emotion = datasets.Value("string"), datasets.ClassLabel(names=list(EMOTIONS))
    return datasets.Features(
        {
            "id": text,
            "audio": datasets.Audio(sampling_rate=SAMPLE_RATE_HZ, num_channels=1, decode=decode),
            "emotions": datasets.List(emotion),
            "labels": datasets.List(datasets.Value("int8"), length=len(EMOTIONS)),
            "labels_mask": datasets.List(datasets.Value("int8"), length=len(EMOTIONS)),
            "valence": datasets.ClassLabel(names=list(VALENCES)),
            "native_label": text,
            "annotated": datasets.List(emotion),
            "corpus": datasets.ClassLabel(names=list(PAPER_CORPORA)),
            "cell": datasets.ClassLabel(names=CELLS),
            "language": datasets.ClassLabel(names=LANGUAGES),
            "age_group": datasets.ClassLabel(names=list(groups.AGE_GROUPS)),
            "age_years": datasets.Value("float32"),
            "age_source": datasets.ClassLabel(names=list(AGE_SOURCES)),
            "gender": datasets.ClassLabel(names=list(GENDERS)),
            "speaker": text,
            "speaker_unknown_because": text,
            "speaker_disjoint": datasets.Value("bool"),
            "sentence": text,
            "duration_s": datasets.Value("float32"),
            "path": text,
            "official_split": text,
            "synthetic": datasets.Value("bool"),
        }
    )


def arrow_rows(rows: pd.DataFrame, audio: Iterable[dict]) -> pa.Table:
    """Rows of a Selection and their audio structs as an Arrow table with the schema of `features`."""
    schema = features(decode=False).arrow_schema
    annotated = {name: list(corpus.card.emotions) for name, corpus in CORPORA.items()}
    cards = {name: corpus.card for name, corpus in CORPORA.items()}
    columns = {
        "audio": list(audio),
        "emotions": [[EMOTIONS.index(name) for name in names] for names in rows["emotions"]],
        "labels": [multi_hot(names).tolist() for names in rows["emotions"]],
        "labels_mask": [multi_hot(annotated[name]).tolist() for name in rows["corpus"]],
        "valence": [_valence(names) for names in rows["emotions"]],
        "annotated": [[EMOTIONS.index(name) for name in annotated[corpus]] for corpus in rows["corpus"]],
        "speaker_unknown_because": [
            cards[corpus].speaker_note if pd.isna(speaker) else None
            for corpus, speaker in zip(rows["corpus"], rows["speaker"], strict=True)
        ],
    }
    closed = {
        "corpus": PAPER_CORPORA,
        "cell": CELLS,
        "language": LANGUAGES,
        "age_group": groups.AGE_GROUPS,
        "age_source": AGE_SOURCES,
        "gender": GENDERS,
    }
    for name, names in closed.items():
        places = {value: place for place, value in enumerate(names)}
        columns[name] = [places.get(value) for value in rows[name]]
    for name in schema.names:
        if name not in columns:
            columns[name] = [None if pd.isna(value) else value for value in rows[name]]
    return pa.table([pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema)


def _valence(emotions: Iterable[str]) -> int | None:
    schema = SCHEMAS["valence"]
    return None if schema.left_out(emotions) else VALENCES.index(schema.annotated(emotions)[0])


def cache_key(selection: Selection, facts: Iterable[object]) -> str:
    """Changes with the corpora's folders and states, the options and the shape of the rows; 16 hex digits."""
    versions = [
        DATASET_VERSION,
        splits.SPLIT_VERSION,
        torchcodec_works(),
        *(SCHEMAS[name].version for name in ("emotion", "valence")),
    ]
    cards = [(name, CORPORA[name].card.emotions) for name in selection.manifest.corpora]
    facts = [versions, cards, sorted(selection.manifest.states.items()), *facts]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


OPTIONS = {"split_rule": "paper", "split_seed": 0, "corpora": None, "locations": None, "allow_missing": False}
"""Options of a config and their defaults; see `selection.select`."""


@dataclass
class Config(datasets.BuilderConfig):
    """Options of a config; see `selection.select`."""

    split_rule: str = OPTIONS["split_rule"]
    split_seed: int = OPTIONS["split_seed"]
    corpora: list[str] | None = OPTIONS["corpora"]
    locations: dict[str, str] | None = OPTIONS["locations"]
    allow_missing: bool = OPTIONS["allow_missing"]
    version: datasets.Version = field(default_factory=lambda: datasets.Version(DATASET_VERSION))


class Builder(datasets.ArrowBasedBuilder):
    """Train, validation and test parts of a config, from raw corpora on disk."""

    BUILDER_CONFIG_CLASS = Config
    DATASET = "bimotion"

    def __init__(self, *, config_name: str | None = None, data_dir: str | None = None, **options):
        if config_name not in CONFIGS[self.DATASET]:
            raise UnknownName(f"config of {self.DATASET}", config_name, CONFIGS[self.DATASET])
        given = {name: value for name, value in options.items() if name in OPTIONS and value is not None}
        chosen = OPTIONS | given
        self.selection = select(data_dir, groups.union(config_name), **chosen)
        options["config_id"] = f"{config_name}-{cache_key(self.selection, [sorted(chosen.items())])}"
        super().__init__(config_name=config_name, data_dir=data_dir, **options)

    def _info(self) -> datasets.DatasetInfo:
        titles = [CORPORA[name].card for name in self.selection.manifest.corpora]
        return datasets.DatasetInfo(
            description=f"{self.DATASET}, {self.config.name}: emotional speech from {', '.join(card.title for card in titles)}",
            features=features(decode=torchcodec_works()),
            license="; ".join(f"{card.title}: {card.licence}" for card in titles),
            citation="\n".join(card.citation for card in titles),
        )

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        # `datasets` cannot read an empty split back: parts without a clip (of incomplete corpora) are not offered
        filled = set(self.selection.rows["part"])
        return [datasets.SplitGenerator(name=part, gen_kwargs={"part": part}) for part in PARTS if part in filled]

    def _generate_tables(self, part: str) -> Iterator[tuple[Key, pa.Table]]:
        rows = self.selection.rows[self.selection.rows["part"] == part]
        for number, start in enumerate(range(0, len(rows), ROWS_A_TABLE)):
            block = rows.iloc[start : start + ROWS_A_TABLE]
            paths = (self.selection.manifest.path(*place) for place in zip(block["corpus"], block["path"], strict=True))
            yield Key(0, number), arrow_rows(block, ({"bytes": None, "path": str(path)} for path in paths))


def decode(audio: dict | object) -> np.ndarray:
    """Mono float32 waveform at 16 kHz, shape (n_samples,), of an `audio` value of a row, whether or not torchcodec is there.

    Example::

        row = bimotion.load_dataset("bimotion", "eng_eld")["test"][0]
        waveform = bimotion.decode(row["audio"])
    """
    from bimotion import audio as reader

    if isinstance(audio, dict):
        return reader.decode(audio.get("bytes") or Path(audio["path"]))
    return audio.get_all_samples().data.mean(dim=0).numpy()
