"""A Hub-ready copy of configs: Parquet files a cell and part, and a card that plain `load_dataset`
reads."""

import hashlib
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from bimotion.corpora import CORPORA, corpora_with
from bimotion.corpora.card import Card
from bimotion.corpora.utterance import AGE_SOURCES, PARTS
from bimotion.data import manifest
from bimotion.data.checks import counts
from bimotion.data.huggingface import cards as written
from bimotion.data.huggingface.builder import CONFIGS, arrow_rows, features
from bimotion.data.selection import Selection, select
from bimotion.data.source import CorpusSource
from bimotion.errors import LicenceError, SettingError, UnknownName
from bimotion.io import audio, files
from bimotion.io.progress import Progress, default_progress
from bimotion.io.tables import Table
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell

CARD_FILE = "README.md"
ROWS_A_GROUP = 100  # small row groups: the Hub's viewer and streaming read them one at a time
SHARD_HOURS = 5.0  # of sound: about 400 MB of FLAC


@dataclass(frozen=True)
class ExportPlan:
    """What is exported: configs of one dataset, as cells, and whether without sound."""

    dataset: str
    configs: tuple[str, ...]
    cells: tuple[Cell, ...]
    metadata_only: bool


def export(
    folder: str | os.PathLike,
    configs: Iterable[str],
    source: CorpusSource,
    *,
    split_rule: str = "paper",
    metadata_only: bool = False,
    private_use: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write configs to a new or empty folder, whole or not at all; returns the paths.

    Each cell is stored once, `<cell>/<part>-00000-of-00003.parquet`; a union config names the files
    of its cells. Audio is embedded as 16 kHz mono FLAC, or left out. A folder that holds this very
    export already stays as it is. Raises LicenceError for corpora that may not be passed on (unless
    `private_use`), SettingError for a folder that holds anything else, and what `select` raises.

    Example::

        export("copy", ["yue"], CorpusSource.of("/corpora"))
        datasets.load_dataset("copy", "yue", split="test")       # needs no bimotion
    """
    folder, progress = Path(folder), progress or default_progress()
    files.require_writable(folder.parent)
    in_use = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if in_use and not (folder / CARD_FILE).is_file():
        raise SettingError(
            f"expected a new or empty folder, {folder} "
            f"{'holds files' if folder.is_dir() else 'is a file'}"
        )
    plan = planned(configs, metadata_only)
    chosen = select(source, plan.cells, split_rule=split_rule, progress=progress)
    if not private_use and (withheld := not_free(chosen, metadata_only)):
        raise LicenceError(
            f"licences forbid to pass these on: {reasons(withheld)}. Leave them out (--only "
            "...), export --metadata-only where labels are free, or keep the copy to "
            "yourself (--private-use)"
        )
    if not in_use:
        return write(folder, plan, chosen, progress)
    if not (is_complete(folder, plan, chosen) and _is_newer(folder / CARD_FILE, chosen)):
        raise SettingError(
            f"expected a new or empty folder, or this very export, finished; {folder} holds "
            "something else, such as an export of other options, or of files that have "
            "changed since: remove it, or name another folder"
        )
    progress.say(f"already there, complete: {folder}")
    return _paths(folder, plan, chosen)


def _is_newer(card: Path, chosen: Selection) -> bool:
    """Whether no clip has changed since a card was written: its content, or the time of it, which
    copying can set back."""
    clips = zip(chosen.rows["corpus"], chosen.rows["path"], strict=True)
    found = [chosen.manifest.path(*clip).stat() for clip in clips]
    return max(max(one.st_mtime_ns, one.st_ctime_ns) for one in found) <= card.stat().st_mtime_ns


def planned(configs: Iterable[str], metadata_only: bool) -> ExportPlan:
    """Plan of configs; raises UnknownName, SettingError unless they are of one dataset."""
    configs = list(configs)
    owners = {config: dataset for dataset, known in CONFIGS.items() for config in known}
    if unknown := [config for config in configs if config not in owners]:
        raise UnknownName("config", unknown[0], owners)
    if len(found := {owners[config] for config in configs}) != 1:
        raise SettingError(
            f"expected configs of one dataset, found {', '.join(configs) or 'none'} of "
            f"{' and '.join(sorted(found))}"
        )
    cells = dict.fromkeys(cell for config in configs for cell in groups.union(config))
    return ExportPlan(found.pop(), tuple(dict.fromkeys(configs)), tuple(cells), metadata_only)


def not_free(chosen: Selection, metadata_only: bool) -> list[Card]:
    """Corpora of a selection of which nobody may pass on what would be exported; synthetic ones are
    free."""
    free = {"audio", "labels"} if metadata_only else {"audio"}
    used = [
        CORPORA[name].card for name in chosen.rows.loc[~chosen.rows["synthetic"], "corpus"].unique()
    ]
    return [card for card in used if card.redistribution not in free]


def reasons(cards: Iterable[Card]) -> str:
    """`tess (CC-BY-NC-ND-4.0: labels only, no converted sound)`: corpora with what their licences
    give."""
    return "; ".join(
        f"{card.name} ({card.licence}: {_PERMISSION[card.redistribution]})" for card in cards
    )


_PERMISSION = {
    "audio": "sound and labels",
    "labels": "labels only, no converted sound",
    "nothing": "neither sound nor labels",
}


def write(
    folder: Path, plan: ExportPlan, chosen: Selection, progress: Progress | None = None
) -> list[Path]:
    """Write a planned selection to a folder that is not there yet, whole or not at all; returns the
    paths.

    The caller answers for the licences. Raises SettingError where the selection has no clip of the
    plan.
    """
    progress = progress or default_progress()
    shards = list(_shards(plan, chosen))
    if not shards:
        raise SettingError(f"expected clips of {', '.join(plan.configs)}, found none")
    with files.folder_written(folder) as temporary:
        for path, rows in shards:
            _write_shard(temporary / path, rows, chosen, plan, progress)
        (temporary / CARD_FILE).write_text(_card(temporary, plan, chosen), encoding="utf-8")
    return _paths(folder, plan, chosen)


def is_complete(folder: Path, plan: ExportPlan, chosen: Selection) -> bool:
    """Whether a folder holds what `write` wrote there: every file, byte by byte as the card says,
    and that very card."""
    try:
        if not all(path.is_file() for path in _paths(folder, plan, chosen)):
            return False
        return (folder / CARD_FILE).read_text(encoding="utf-8") == _card(folder, plan, chosen)
    except (OSError, ValueError, pa.ArrowException):  # cannot be read, no text, no Parquet
        return False


def _paths(folder: Path, plan: ExportPlan, chosen: Selection) -> list[Path]:
    return [*(folder / path for path, _ in _shards(plan, chosen)), folder / CARD_FILE]


def _shards(plan: ExportPlan, chosen: Selection) -> Iterator[tuple[str, pd.DataFrame]]:
    """Path of each file below the folder, and the clips in it."""
    for cell, part in itertools.product(plan.cells, PARTS):
        rows = chosen.rows[(chosen.rows["cell"] == str(cell)) & (chosen.rows["part"] == part)]
        n_shards = max(1, round(rows["duration_s"].sum() / 3600 / SHARD_HOURS))
        for number in range(n_shards if len(rows) else 0):
            yield f"{cell}/{part}-{number:05}-of-{n_shards:05}.parquet", rows.iloc[number::n_shards]


def _write_shard(
    path: Path, rows: pd.DataFrame, chosen: Selection, plan: ExportPlan, progress: Progress
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = exported_features(plan.metadata_only).arrow_schema
    starts = range(0, len(rows), ROWS_A_GROUP)
    with pq.ParquetWriter(path, schema) as writer:
        for start in progress.track(
            starts, len(starts), f"writing {path.parent.name}/{path.name}", "row groups"
        ):
            block = rows.iloc[start : start + ROWS_A_GROUP]
            clips = zip(block["id"], block["corpus"], block["path"], strict=True)
            sounds = (
                {"bytes": None, "path": None} if plan.metadata_only else _flac(chosen, *clip)
                for clip in clips
            )
            table = arrow_rows(block, sounds)
            writer.write_table(pa.table([table[name] for name in schema.names], schema=schema))


def exported_features(metadata_only: bool) -> datasets.Features:
    """Columns of an exported row: `audio` decodes as usual on the Hub; without sound there is no
    such column."""
    columns = features(decode=True)
    if metadata_only:
        del columns["audio"]
    return columns


def _flac(chosen: Selection, identifier: str, corpus: str, path: str) -> dict:
    name = f"{identifier.partition('/')[2]}.flac"
    return {
        "bytes": audio.flac_bytes(audio.decode(chosen.manifest.path(corpus, path))),
        "path": name,
    }


def _card(folder: Path, plan: ExportPlan, chosen: Selection) -> str:
    """Dataset card: YAML that `load_dataset` and the Hub read, then what a reader must know of the
    corpora in it."""
    cards = [CORPORA[name].card for name in sorted(chosen.rows["corpus"].unique())]
    absent = [
        CORPORA[name].card for name in corpora_with(plan.cells) if CORPORA[name].card not in cards
    ]
    lines = ["---", _metadata(folder, plan, chosen, cards), "---", "", f"# {plan.dataset}", ""]
    if chosen.manifest.synthetic:
        lines += [
            f"**SYNTHETIC: {', '.join(sorted(chosen.manifest.synthetic))}: made by formulas, not "
            "by people.**",
            "",
        ]
    if withheld := not_free(chosen, plan.metadata_only):
        lines += [
            f"**For private use: licences forbid to pass this copy on: {reasons(withheld)}.**",
            "",
        ]
    lines += [
        "Emotional speech of adults (20-59 years) and elders (60 and over), as in "
        "Cahyawijaya et al. 2023, Cross-Lingual",
        "Cross-Age Group Adaptation for Low-Resource Elderly Speech Emotion Recognition, "
        "arXiv 2306.14517; made from raw",
        "corpora by `bimotion`, "
        f"{'without sound' if plan.metadata_only else 'sound as mono FLAC at 16 kHz'}.",
        f"Split rule `{chosen.split.rule}`, version {NUMBERS_VERSION}, seed "
        f"{chosen.split.seed}; fingerprint of the clips "
        f"`{manifest.fingerprint(chosen.rows)}`, of the files "
        f"`{_digest(folder, plan, chosen)}`.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'ds = load_dataset("org/name", "{_filled(folder, plan)[0]}")  # this repository, or '
        "a folder with these files",
        "```",
        "",
    ]
    sections = {
        "Corpora and licences": [_corpora_table(chosen, cards).markdown(), *_left_out(absent)],
        "Sizes": _size_tables(plan, chosen),
        "Ages": [
            _ages_table(chosen).markdown(),
            "\n".join(f"- {name}: {meaning}" for name, meaning in AGE_SOURCES.items()),
        ],
        "Known limits": [_section(plan.dataset, "Read before use")],
        "Columns": [_columns(plan.metadata_only)],
        "Citation": [_citations(cards)],
    }
    for title, paragraphs in sections.items():
        lines += [f"## {title}", "", *(f"{text}\n" for text in paragraphs)] if paragraphs else []
    return "\n".join(lines).rstrip() + "\n"


def _digest(folder: Path, plan: ExportPlan, chosen: Selection) -> str:
    """Of the content of all Parquet files, 16 hex digits: by it a damaged file is told
    (`is_complete`)."""
    lines = [f"{files.digest(folder / path)}  {path}\n" for path, _ in _shards(plan, chosen)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _filled(folder: Path, plan: ExportPlan) -> list[str]:
    """Configs with a file: of those without a corpus there is nothing to load."""
    return [
        config
        for config in plan.configs
        if any((folder / str(cell)).is_dir() for cell in groups.union(config))
    ]


_HUB_LICENCES = {
    "ODbL-1.0": "odbl",
    "Apache-2.0": "apache-2.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-ND-4.0": "cc-by-nc-nd-4.0",
}
"""Licence of a card -> what the Hub calls it; others are `other` there."""


def _metadata(folder: Path, plan: ExportPlan, chosen: Selection, cards: Sequence[Card]) -> str:
    """YAML: configs with their files, features and sizes as the files have them, licences,
    languages."""
    licences = sorted({_HUB_LICENCES.get(card.licence, "other") for card in cards})
    n_clips = len(chosen.rows)
    sizes = {1000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K"}
    data = DatasetCardData(
        pretty_name=plan.dataset,
        language=sorted(chosen.rows["language"].unique()),
        license=licences[0] if len(licences) == 1 else licences,
        license_name="per-corpus" if "other" in licences else None,
        task_categories=["audio-classification"],
        size_categories=[
            next((name for limit, name in sizes.items() if n_clips < limit), "100K<n<1M")
        ],
        tags=["speech-emotion-recognition", *(["synthetic"] if chosen.manifest.synthetic else [])],
    )
    configs, infos = {}, {}
    for config in _filled(folder, plan):
        paths = {
            part: [
                path
                for cell in groups.union(config)
                for path in sorted(folder.glob(f"{cell}/{part}-*"))
            ]
            for part in PARTS
        }
        patterns = {
            part: sorted({f"{path.parent.name}/{part}-*.parquet" for path in paths[part]})
            for part in PARTS
        }
        configs[config] = {
            "data_files": [
                {"split": part, "path": found} for part, found in patterns.items() if found
            ]
        }
        infos[config] = _info(
            config, {part: found for part, found in paths.items() if found}, plan.metadata_only
        )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    MetadataConfigs(configs).to_dataset_card_data(data)
    return data.to_yaml()


def _info(config: str, paths: dict[str, list[Path]], metadata_only: bool) -> datasets.DatasetInfo:
    """What `load_dataset` checks: columns, and clips of each part."""
    splits_of = datasets.SplitDict()
    for part, found in paths.items():
        heads = [pq.read_metadata(path) for path in found]
        n_bytes = sum(
            head.row_group(number).total_byte_size
            for head in heads
            for number in range(head.num_row_groups)
        )
        splits_of.add(
            datasets.SplitInfo(
                part, num_bytes=n_bytes, num_examples=sum(head.num_rows for head in heads)
            )
        )
    return datasets.DatasetInfo(
        config_name=config,
        features=exported_features(metadata_only),
        splits=splits_of,
        download_size=sum(path.stat().st_size for found in paths.values() for path in found),
        dataset_size=sum(one.num_bytes for one in splits_of.values()),
    )


def _corpora_table(chosen: Selection, cards: Sequence[Card]) -> Table:
    table = Table(
        "What is in this copy",
        ["corpus", "clips", "licence", "may be passed on", "ages", "speakers"],
    )
    for card in cards:
        rows = chosen.rows[chosen.rows["corpus"] == card.name]
        shared, n_speakers = chosen.split.not_disjoint.get(card.name), rows["speaker"].nunique()
        counted = f"{n_speakers}" if n_speakers else card.speaker_note
        speakers = f"{counted}; {f'in several parts: {shared}' if shared else 'kept apart'}"
        ages = f"{'/'.join(sorted(rows['age_source'].unique()))}: {card.age_note}"
        clips = f"{len(rows)} of {card.n_utterances}"
        table.rows.append(
            [
                f"[{card.title}]({card.url})",
                clips,
                card.licence,
                _PERMISSION[card.redistribution],
                ages,
                speakers,
            ]
        )
    table.notes.append(
        "Licences are the corpora's own; who uses a corpus is bound by its licence and cites it."
    )
    return table


def _left_out(absent: Sequence[Card]) -> list[str]:
    if not absent:
        return []
    names = ", ".join(f"[{card.title}]({card.url}) ({card.licence})" for card in absent)
    return [f"Not in this copy, though the configs' cells have clips of them: {names}."]


def _size_tables(plan: ExportPlan, chosen: Selection) -> list[str]:
    """Tables 1 and 2 for the corpora in this copy, beside the paper's numbers."""
    corpora, cells = set(chosen.rows["corpus"]), set(map(str, plan.cells))
    lines = [
        one
        for one in counts.counts(chosen.manifest, chosen.split.rule)
        if one.corpus in corpora and one.cell in cells
    ]
    tables = [table for table in counts.as_tables(lines) if table.rows]
    if not tables:
        return []
    notes = [
        "Clips as counted on the disk that this copy was made from, in brackets the difference "
        "from the paper."
    ]
    apart = counts.ages_apart(chosen.manifest) if chosen.split.rule == "paper" else []
    if apart:
        notes.append(
            "The paper's cell is not that of the speaker's age for:\n\n"
            + "\n".join(f"- {line}" for line in apart)
        )
    return [*(table.markdown() for table in tables), *notes]


def _ages_table(chosen: Selection) -> Table:
    table = Table("How ages are known: clips", ["cell", *AGE_SOURCES, "speakers known"])
    for cell, rows in chosen.rows.groupby("cell"):
        found = Counter(rows["age_source"])
        table.rows.append(
            [cell, *(str(found[name]) for name in AGE_SOURCES), str(rows["speaker"].nunique())]
        )
    return table


def _citations(cards: Sequence[Card]) -> str:
    the_paper = CORPORA["yuemotion"].card.citation
    return "\n".join(
        f"- {text}" for text in dict.fromkeys([the_paper, *(card.citation for card in cards)])
    )


def _section(dataset: str, title: str) -> str:
    """A paragraph of the written card of a dataset (`loaders/bimotion.md`): what stands under a
    bold title."""
    return re.search(
        rf"^\*\*{title}\*\*\n\n(.*?)(?:\n\n|\Z)", written.card(dataset), re.DOTALL | re.MULTILINE
    )[1].strip()


def _columns(metadata_only: bool) -> str:
    table = _section("bimotion", "Columns")
    return "\n".join(
        line for line in table.splitlines() if not (metadata_only and line.startswith("| `audio`"))
    )
