"""A Hub-ready copy of configs: Parquet files a cell and part, and a card that plain `load_dataset` reads."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion import audio, files, groups, splits
from bimotion.corpora import CORPORA
from bimotion.dataset import CONFIGS, arrow_rows, features
from bimotion.errors import LicenceError, SettingError, UnknownName
from bimotion.groups import Cell
from bimotion.progress import Progress
from bimotion.selection import Selection, select
from bimotion.utterance import PARTS

ROWS_A_GROUP = 100  # small row groups: the Hub's viewer and streaming read them one at a time
SHARD_HOURS = 5.0  # of sound: about 400 MB of FLAC


@dataclass(frozen=True)
class Plan:
    """What is exported: configs of one dataset, as cells, and how."""

    dataset: str
    configs: tuple[str, ...]
    cells: tuple[Cell, ...]
    metadata_only: bool


def export(
    folder: str | os.PathLike,
    configs: Iterable[str],
    *,
    data_dir: str | os.PathLike | None = None,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    split_rule: str = "paper",
    metadata_only: bool = False,
    private_use: bool = False,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write configs to a new or empty folder, whole or not at all; returns the paths.

    Each cell is stored once, `<cell>/<part>-00000-of-00003.parquet`; a union config names the files of its cells. Audio is
    embedded as 16 kHz mono FLAC, or left out. Raises LicenceError for corpora that may not be passed on (unless
    `private_use`), SettingError for a folder in use, and what `select` raises.

    Example::

        export("copy", ["yue"], data_dir="/corpora")
        datasets.load_dataset("copy", "yue", split="test")       # needs no bimotion
    """
    folder, progress = Path(folder), progress or Progress()
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise SettingError(f"expected a new or empty folder, {folder} {'is a file' if folder.is_file() else 'holds files'}")
    plan = _plan(list(configs), metadata_only)
    chosen = select(
        data_dir,
        plan.cells,
        split_rule=split_rule,
        corpora=corpora,
        locations=locations,
        allow_missing=allow_missing,
        progress=progress,
    )
    if not private_use:
        _refuse_forbidden(chosen, metadata_only)
    with files.folder_written(folder) as temporary:
        written = [path for cell in plan.cells for path in _write_cell(temporary, chosen, cell, plan, progress)]
        if not written:
            raise SettingError(f"expected clips of {', '.join(plan.configs)}, found none")
        card = temporary / "README.md"
        card.write_text(_card(plan, chosen, private_use), encoding="utf-8")
    return [folder / path.relative_to(temporary) for path in (*written, card)]


def _plan(configs: Sequence[str], metadata_only: bool) -> Plan:
    owners = {config: dataset for dataset, known in CONFIGS.items() for config in known}
    if unknown := [config for config in configs if config not in owners]:
        raise UnknownName("config", unknown[0], owners)
    if len(found := {owners[config] for config in configs}) != 1:
        raise SettingError(
            f"expected configs of one dataset, found {', '.join(configs) or 'none'} of {' and '.join(sorted(found))}"
        )
    cells = dict.fromkeys(cell for config in configs for cell in groups.union(config))
    return Plan(found.pop(), tuple(dict.fromkeys(configs)), tuple(cells), metadata_only)


def _refuse_forbidden(chosen: Selection, metadata_only: bool) -> None:
    allowed = {"audio", "labels"} if metadata_only else {"audio"}
    used = [CORPORA[name].card for name in chosen.rows.loc[~chosen.rows["synthetic"], "corpus"].unique()]
    if forbidden := [card for card in used if card.redistribution not in allowed]:
        reasons = "; ".join(f"{card.name} ({card.licence}: {_PERMISSION[card.redistribution]})" for card in forbidden)
        raise LicenceError(
            f"licences forbid to pass these on: {reasons}. Leave them out (--only ...), export --metadata-only where labels "
            "are free, or keep the copy to yourself (--private-use)"
        )


_PERMISSION = {"labels": "labels only, no converted sound", "nothing": "neither sound nor labels"}


def _write_cell(folder: Path, chosen: Selection, cell: Cell, plan: Plan, progress: Progress) -> Iterator[Path]:
    for part in PARTS:
        rows = chosen.rows[(chosen.rows["cell"] == str(cell)) & (chosen.rows["part"] == part)]
        n_shards = max(1, round(rows["duration_s"].sum() / 3600 / SHARD_HOURS))
        for number in range(n_shards if len(rows) else 0):
            shard = rows.iloc[number::n_shards]
            path = folder / str(cell) / f"{part}-{number:05}-of-{n_shards:05}.parquet"
            _write_shard(path, shard, chosen, plan, progress)
            yield path


def _write_shard(path: Path, rows: pd.DataFrame, chosen: Selection, plan: Plan, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = exported_features(plan.metadata_only).arrow_schema
    starts = range(0, len(rows), ROWS_A_GROUP)
    with pq.ParquetWriter(path, schema) as writer:
        for start in progress.track(starts, len(starts), f"writing {path.parent.name}/{path.name}"):
            block = rows.iloc[start : start + ROWS_A_GROUP]
            clips = zip(block["id"], block["corpus"], block["path"], strict=True)
            sounds = ({"bytes": None, "path": None} if plan.metadata_only else _flac(chosen, *clip) for clip in clips)
            table = arrow_rows(block, sounds)
            writer.write_table(pa.table([table[name] for name in schema.names], schema=schema))


def exported_features(metadata_only: bool) -> datasets.Features:
    """Columns of an exported row: `audio` decodes as usual on the Hub; without sound there is no such column."""
    columns = features(decode=True)
    if metadata_only:
        del columns["audio"]
    return columns


def _flac(chosen: Selection, identifier: str, corpus: str, path: str) -> dict:
    name = f"{identifier.partition('/')[2]}.flac"
    return {"bytes": audio.flac_bytes(audio.decode(chosen.manifest.path(corpus, path))), "path": name}


def _card(plan: Plan, chosen: Selection, private_use: bool) -> str:
    """Dataset card: YAML configs that `load_dataset` reads, then what a reader must know of each corpus."""
    cards = [CORPORA[name].card for name in sorted(chosen.rows["corpus"].unique())]
    present = {(str(cell), part) for cell, part in zip(chosen.rows["cell"], chosen.rows["part"], strict=True)}
    lines = ["---", f"pretty_name: {plan.dataset}", "task_categories:", "- audio-classification", "language:"]
    lines += [f"- {language}" for language in sorted({cell.language for cell in plan.cells})]
    lines += ["tags:", "- speech-emotion-recognition", "configs:"]
    for config in plan.configs:
        lines += [f"- config_name: {config}", "  data_files:"]
        for part in PARTS:
            patterns = [f"{cell}/{part}-*.parquet" for cell in groups.union(config) if (str(cell), part) in present]
            if patterns:
                lines += [f"  - split: {part}", "    path:", *(f"    - {name}" for name in patterns)]
    lines += ["---", "", f"# {plan.dataset}", ""]
    if chosen.manifest.synthetic:
        lines += ["**SYNTHETIC: made by formulas, not by people.**", ""]
    if private_use:
        lines += ["**For private use: licences of corpora below forbid passing this copy on.**", ""]
    lines += [
        f"Split rule `{chosen.split.rule}`, version {splits.SPLIT_VERSION}, seed {chosen.split.seed}; made from raw corpora",
        "by `bimotion data export`. Ages: measured (recorded per speaker), stated (in the corpus's description) or assumed",
        "(set by the BiMotion paper, arXiv 2306.14517); see the column `age_source`.",
        "",
        "| corpus | clips | licence | ages | speakers | cite |",
        "|---|---|---|---|---|---|",
    ]
    for card in cards:
        n_clips = int((chosen.rows["corpus"] == card.name).sum())
        shared = chosen.split.not_disjoint.get(card.name)
        speakers = f"in several parts: {shared}" if shared else "kept apart"
        facts = (card.title, f"{n_clips} of {card.n_utterances}", card.licence, card.age_note, speakers, card.citation)
        lines.append(f"| {' | '.join(facts)} |")
    return "\n".join(lines) + "\n"
