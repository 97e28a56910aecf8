"""The dataset card of a copy: YAML that `load_dataset` and the Hub read, then what a reader must
know of the corpora in it (dataset_card.md.jinja)."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow.parquet as pq
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs

from bimotion.corpora import CORPORA, corpora_with
from bimotion.corpora.card import Card
from bimotion.corpora.utterance import AGE_SOURCES
from bimotion.data import manifest
from bimotion.data.checks import counts
from bimotion.data.huggingface import cards as written
from bimotion.data.huggingface.hub_copy import PERMISSIONS, HubCopy, reasons
from bimotion.data.huggingface.metadata import metadata_of
from bimotion.data.selection import Selection
from bimotion.io import files
from bimotion.io.tables import Table


def text(folder: Path, copy: HubCopy) -> str:
    """The card of a copy whose Parquet files lie in a folder.

    Args:
        folder: Their sizes and a hash of their content go into the card: by it a damaged file is
            told.
        copy: The plan that they were made by.
    """
    chosen = copy.selection
    used = [CORPORA[name].card for name in sorted(chosen.rows["corpus"].unique())]
    cards = [CORPORA[name].card for name in corpora_with(copy.cells)]
    columns = written.section("bimotion", "Columns").splitlines()
    no_audio = [line for line in columns if not line.startswith("| `audio`")]
    sizes = _size_tables(copy)
    by_age = chosen.split.rule == "paper" and sizes
    return written.filled(
        "dataset_card.md.jinja",
        copy=copy,
        split=chosen.split,
        metadata=_metadata(folder, copy, used),
        synthetic=sorted(chosen.manifest.synthetic),
        withheld=reasons(copy.not_free()),
        clips=manifest.fingerprint(chosen.rows),
        files=_digest(folder, copy),
        corpora=_corpora_table(chosen, used),
        absent=", ".join(
            f"[{card.title}]({card.url}) ({card.licence})" for card in cards if card not in used
        ),
        sizes=sizes,
        ages_apart=counts.ages_apart(chosen.manifest) if by_age else [],
        ages=_ages_table(chosen),
        age_sources=AGE_SOURCES,
        faults=[f"{card.title}: {card.faults}" for card in used if card.faults],
        limits=written.section(copy.dataset, "Read before use"),
        columns="\n".join(no_audio if copy.metadata_only else columns),
        citations=dict.fromkeys(card.citation for card in (CORPORA["yuemotion"].card, *used)),
    )


def _digest(folder: Path, copy: HubCopy) -> str:
    """SHA-256 of the content of all Parquet files, 16 hex digits."""
    lines = [f"{files.digest(folder / path)}  {path}\n" for path in copy.shards]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def _metadata(folder: Path, copy: HubCopy, cards: Sequence[Card]) -> str:
    """YAML: configs with their files, features and sizes as the files have them, licences,
    languages."""
    rows = copy.selection.rows
    synthetic = bool(copy.selection.manifest.synthetic)
    languages = rows["language"].unique()
    data = metadata_of(copy.dataset, languages, cards, len(rows), synthetic=synthetic)
    configs, infos = {}, {}
    for config in copy.filled_configs:
        data_files = []
        for part, paths in copy.paths(config).items():
            patterns = sorted({f"{path.partition('/')[0]}/{part}-*.parquet" for path in paths})
            data_files.append({"split": part, "path": patterns})
        configs[config] = {"data_files": data_files}
        infos[config] = _info(folder, config, copy)
    DatasetInfosDict(infos).to_dataset_card_data(data)
    MetadataConfigs(configs).to_dataset_card_data(data)
    return data.to_yaml()


def _info(folder: Path, config: str, copy: HubCopy) -> datasets.DatasetInfo:
    """The facts that `load_dataset` checks: columns, and clips of each part."""
    splits, n_bytes_on_disk = datasets.SplitDict(), 0
    for part, paths in copy.paths(config).items():
        heads = [pq.read_metadata(folder / path) for path in paths]
        groups = [head.row_group(number) for head in heads for number in range(head.num_row_groups)]
        n_bytes = sum(group.total_byte_size for group in groups)
        n_clips = sum(head.num_rows for head in heads)
        splits.add(datasets.SplitInfo(part, num_bytes=n_bytes, num_examples=n_clips))
        n_bytes_on_disk += sum((folder / path).stat().st_size for path in paths)
    return datasets.DatasetInfo(
        config_name=config,
        features=copy.features,
        splits=splits,
        download_size=n_bytes_on_disk,
        dataset_size=sum(split.num_bytes for split in splits.values()),
    )


def _corpora_table(chosen: Selection, cards: Sequence[Card]) -> Table:
    header = ["corpus", "clips", "licence", "may be passed on", "ages", "speakers"]
    table = Table("What is in this copy", header)
    for card in cards:
        rows = chosen.rows[chosen.rows["corpus"] == card.name]
        shared = chosen.split.not_disjoint.get(card.name)
        counted = str(rows["speaker"].nunique() or card.speaker_note)
        speakers = f"{counted}; {f'in several parts: {shared}' if shared else 'kept apart'}"
        ages = f"{'/'.join(sorted(rows['age_source'].unique()))}: {card.age_note}"
        title, clips = f"[{card.title}]({card.url})", f"{len(rows)} of {card.n_utterances}"
        permission = PERMISSIONS[card.redistribution]
        table.rows.append([title, clips, card.licence, permission, ages, speakers])
    table.notes.append(
        "Licences are the corpora's own; who uses a corpus is bound by its licence and cites it."
    )
    return table


def _size_tables(copy: HubCopy) -> list[Table]:
    """The lines of Tables 1 and 2 for the corpora in this copy."""
    corpora, cells = set(copy.selection.rows["corpus"]), set(map(str, copy.cells))
    rule, fold = copy.selection.split.rule, copy.selection.split.fold
    lines = [
        line
        for line in counts.counts(copy.selection.manifest, rule, fold)
        if line.corpus in corpora and line.cell in cells
    ]
    return [table for table in counts.as_tables(lines, rule, fold) if table.rows]


def _ages_table(chosen: Selection) -> Table:
    table = Table("How ages are known: clips", ["cell", *AGE_SOURCES, "speakers known"])
    for cell, rows in chosen.rows.groupby("cell"):
        n_clips = rows["age_source"].value_counts().reindex(list(AGE_SOURCES), fill_value=0)
        table.rows.append([cell, *map(str, n_clips), str(rows["speaker"].nunique())])
    return table
