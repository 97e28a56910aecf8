"""A group of cells as a Hugging Face dataset: typed features, Arrow rows, and the builder behind
`load_dataset`.

Rows point at the sound files where they lie; nothing is copied. Where torchcodec can decode (it
needs FFmpeg's libraries) the audio column decodes as usual on the Hub, mono at 16 kHz; elsewhere it
is `{"path", "bytes"}`, for `bimotion.decode`.
"""

import hashlib
import importlib.util
import inspect
import io
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
from datasets.builder import Key

from bimotion.corpora import CORPORA, PAPER_CORPORA
from bimotion.corpora.utterance import AGE_SOURCES, GENDERS, PARTS
from bimotion.data.huggingface.register import NOT_TAKEN, refuse_options
from bimotion.data.rules import DEFAULT_RULE
from bimotion.data.selection import Selection, select
from bimotion.data.source import CorpusSource
from bimotion.errors import UnknownName
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import cells
from bimotion.protocol.labels import EMOTIONS, SCHEMAS, multi_hot, soft_label

log = logging.getLogger(__name__)

DATASET_VERSION = "3.0.0"
CONFIGS = {
    "bimotion": (*map(str, cells.BIMOTION_CELLS), "eng", "zho", "eld", "adu", "all"),
    "yuemotion": ("yue_adu", "yue_eld", "yue"),
}
"""Dataset -> its configs, each a union of cells (groups.union)."""
SHARDS = 16  # of a part, where it has that many rows: workers of a DataLoader share them
MOST_ROWS_A_SHARD = 2000
CELLS = [str(cell) for cell in (*cells.BIMOTION_CELLS, *cells.YUEMOTION_CELLS)]
LANGUAGES = list(dict.fromkeys(name.partition("_")[0] for name in CELLS))
NO_LABEL = "none"
"""Last class of `label` and `valence`: a clip without an emotion, without a valence. A class and
not a null: training code takes numbers only."""
SINGLE_LABELS = (*EMOTIONS, NO_LABEL)
VALENCES = (*SCHEMAS["valence"].classes, NO_LABEL)


@cache
def torchcodec_works() -> bool:
    """True where `datasets` can decode sound with torchcodec here, tried on a made-up wav once a
    process.

    An import proves nothing: FFmpeg's libraries, or its match of torch, may be missed at the first
    decode only.
    """
    if importlib.util.find_spec("torchcodec") is None:
        return False
    try:
        samples = datasets.Audio(sampling_rate=SAMPLE_RATE_HZ, num_channels=1).decode_example(
            _tenth_of_a_second()
        )
        return samples.get_all_samples().data.shape == (1, SAMPLE_RATE_HZ // 10)
    # of the loader, torch or FFmpeg, by version: whatever it is, ours decodes
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        log.warning(
            "torchcodec is installed but cannot decode (%s: %s): the audio column is {path, "
            "bytes}, for bimotion.decode",
            type(error).__name__,
            reason,
        )
        return False


def _tenth_of_a_second() -> dict:
    import soundfile

    wav = io.BytesIO()
    soundfile.write(
        wav, np.zeros((SAMPLE_RATE_HZ // 10, 2), np.float32), SAMPLE_RATE_HZ, format="WAV"
    )
    return {"bytes": wav.getvalue(), "path": None}


def features(decode: bool) -> datasets.Features:
    """Columns of a row: every field of `utterance.Utterance`, what the audio header says, cell and
    split facts."""
    text, emotion = datasets.Value("string"), datasets.ClassLabel(names=list(EMOTIONS))
    return datasets.Features(
        {
            "id": text,
            "audio": datasets.Audio(sampling_rate=SAMPLE_RATE_HZ, num_channels=1, decode=decode),
            "label": datasets.ClassLabel(names=list(SINGLE_LABELS)),
            "emotions": datasets.List(emotion),
            "labels": datasets.List(datasets.Value("int8"), length=len(EMOTIONS)),
            "labels_mask": datasets.List(datasets.Value("int8"), length=len(EMOTIONS)),
            "valence": datasets.ClassLabel(names=list(VALENCES)),
            "native_label": text,
            "annotated": datasets.List(emotion),
            "soft_label": datasets.List(datasets.Value("float32")),
            "votes": datasets.List(datasets.List(emotion)),
            "corpus": datasets.ClassLabel(names=list(PAPER_CORPORA)),
            "cell": datasets.ClassLabel(names=CELLS),
            "language": datasets.ClassLabel(names=LANGUAGES),
            "age_group": datasets.ClassLabel(names=list(cells.AGE_GROUPS)),
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
    """Rows of a Selection and their audio structs as an Arrow table with the schema of
    `features`."""
    annotated = {name: corpus.card.emotions for name, corpus in CORPORA.items()}
    masks = {name: multi_hot(emotions).tolist() for name, emotions in annotated.items()}
    columns = {
        "audio": list(audio),
        "label": [single_label(names) for names in rows["emotions"]],
        "emotions": [list(map(EMOTIONS.index, names)) for names in rows["emotions"]],
        "labels": [multi_hot(names).tolist() for names in rows["emotions"]],
        "labels_mask": [masks[corpus] for corpus in rows["corpus"]],
        "valence": [_valence(names) for names in rows["emotions"]],
        "annotated": [list(map(EMOTIONS.index, annotated[corpus])) for corpus in rows["corpus"]],
        "soft_label": [None if votes is None else soft_label(votes) for votes in rows["votes"]],
        "votes": [
            votes if votes is None else [list(map(EMOTIONS.index, names)) for names in votes]
            for votes in rows["votes"]
        ],
        "speaker_unknown_because": [
            CORPORA[corpus].card.speaker_note if pd.isna(speaker) else None
            for corpus, speaker in zip(rows["corpus"], rows["speaker"], strict=True)
        ],
    }
    typed = features(decode=False)
    for name in typed.keys() - columns.keys():
        values = [None if pd.isna(value) else value for value in rows[name]]
        if isinstance(typed[name], datasets.ClassLabel):
            numbers = {value: number for number, value in enumerate(typed[name].names)}
            values = [numbers.get(value) for value in values]
        columns[name] = values
    schema = typed.arrow_schema
    arrays = [pa.array(columns[name], schema.field(name).type) for name in schema.names]
    return pa.table(arrays, schema=schema)


def single_label(emotions: Iterable[str]) -> int:
    """The number in SINGLE_LABELS of the first emotion in label order, as in the reference of the
    paper's single form; or of NO_LABEL.

    >>> SINGLE_LABELS[single_label(["surprise", "happiness"])], SINGLE_LABELS[single_label([])]
    ('happiness', 'none')
    """
    return min(map(EMOTIONS.index, emotions), default=SINGLE_LABELS.index(NO_LABEL))


def _valence(emotions: Iterable[str]) -> int:
    schema = SCHEMAS["valence"]
    return VALENCES.index(NO_LABEL if schema.left_out(emotions) else schema.annotated(emotions)[0])


def cache_key(selection: Selection, facts: Iterable[object]) -> str:
    """A hash that changes with the corpora's folders and states, the options and the shape of the
    rows; 16 hex digits."""
    versions = [
        DATASET_VERSION,
        NUMBERS_VERSION,
        torchcodec_works(),
        *(SCHEMAS[name].version for name in ("emotion", "valence")),
    ]
    cards = [(name, CORPORA[name].card.emotions) for name in selection.manifest.corpora]
    facts = [versions, cards, sorted(selection.manifest.states.items()), *facts]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


_BUILDER_OPTIONS = frozenset(inspect.signature(datasets.DatasetBuilder).parameters) - {
    "config_kwargs"
}


@dataclass
class Config(datasets.BuilderConfig):
    """The options of a config; see `selection.select`."""

    split_rule: str = DEFAULT_RULE
    split_seed: int = 0
    fold: int = 0
    only: list[str] | None = None
    locations: dict[str, str] | None = None
    allow_missing: bool = False
    version: datasets.Version = field(default_factory=lambda: datasets.Version(DATASET_VERSION))


OPTIONS = {
    name: getattr(Config(), name)
    for name in Config.__annotations__
    if name not in datasets.BuilderConfig.__dataclass_fields__
}
"""Options of a config and their defaults."""


class Builder(datasets.ArrowBasedBuilder):
    """Train, validation and test parts of a config, from raw corpora on disk."""

    BUILDER_CONFIG_CLASS = Config
    DATASET = "bimotion"

    def __init__(self, *, config_name: str | None = None, data_dir: str | None = None, **options):
        if config_name not in CONFIGS[self.DATASET]:
            raise UnknownName(f"config of {self.DATASET}", config_name, CONFIGS[self.DATASET])
        # an empty table of files comes with every call of `datasets`
        if not options.get("data_files"):
            options.pop("data_files", None)
        asked = {
            name: value
            for name, value in options.items()
            if name in NOT_TAKEN or name not in _BUILDER_OPTIONS
        }
        refuse_options(self.DATASET, asked, OPTIONS)
        given = {name: options.get(name) for name in OPTIONS if options.get(name) is not None}
        chosen = OPTIONS | given
        where = {name: chosen[name] for name in ("only", "locations", "allow_missing")}
        self.selection = select(
            CorpusSource.of(data_dir, **where),
            cells.union(config_name),
            split_rule=chosen["split_rule"],
            split_seed=chosen["split_seed"],
            fold=chosen["fold"],
        )
        key = cache_key(self.selection, [sorted(chosen.items())])
        options["config_id"] = f"{config_name}-{key}"
        super().__init__(config_name=config_name, data_dir=data_dir, **options)

    def _info(self) -> datasets.DatasetInfo:
        titles = [CORPORA[name].card for name in self.selection.manifest.corpora]
        return datasets.DatasetInfo(
            description=f"{self.DATASET}, {self.config.name}: emotional speech from "
            f"{', '.join(card.title for card in titles)}",
            features=features(decode=torchcodec_works()),
            license="; ".join(f"{card.title}: {card.licence}" for card in titles),
            citation="\n".join(card.citation for card in titles),
        )

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        # `datasets` cannot read an empty split back: parts without a clip (of incomplete corpora)
        # are not offered
        n_rows = self.selection.rows["part"].value_counts()
        return [
            datasets.SplitGenerator(
                name=part, gen_kwargs={"part": part, "shards": _shards(int(n_rows[part]))}
            )
            for part in PARTS
            if part in n_rows
        ]

    def _generate_tables(
        self, part: str, shards: list[tuple[int, int]]
    ) -> Iterator[tuple[Key, pa.Table]]:
        rows = self.selection.rows[self.selection.rows["part"] == part]
        for number, (start, stop) in enumerate(shards):
            block = rows.iloc[start:stop]
            paths = map(self.selection.manifest.path, block["corpus"], block["path"])
            sounds = ({"bytes": None, "path": str(path)} for path in paths)
            yield Key(number, 0), arrow_rows(block, sounds)


def _shards(n_rows: int) -> list[tuple[int, int]]:
    """Rows of each shard as (start, stop), in order. `datasets` deals out the items of a list to
    workers and processes."""
    size = min(MOST_ROWS_A_SHARD, -(-n_rows // SHARDS))
    return [(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def decode(audio: dict | object) -> np.ndarray:
    """Decode an `audio` value of a row, whether or not torchcodec is there.

    Clips of other rates than 16 kHz differ a little between the two: torchcodec resamples with
    FFmpeg, we with soxr.

    Args:
        audio: The value.

    Returns:
        Mono float32 at 16 kHz, shape (n_samples,).

    Example::

        row = bimotion.load_dataset("bimotion", "eng_eld")["test"][0]
        waveform = bimotion.decode(row["audio"])
    """
    from bimotion.io import audio as reader

    if isinstance(audio, dict):
        return reader.decode(audio.get("bytes") or Path(audio["path"]))
    return audio.get_all_samples().data.mean(dim=0).numpy()
