"""A Hub-ready copy of configs: Parquet files a cell and part, and a card that plain `load_dataset`
reads."""

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.data.huggingface import dataset_card
from bimotion.data.huggingface.builder import arrow_rows
from bimotion.data.huggingface.hub_copy import HubCopy, reasons
from bimotion.data.rules import DEFAULT_RULE
from bimotion.data.source import CorpusSource
from bimotion.errors import LicenceError, SettingError
from bimotion.io import audio, files
from bimotion.io.progress import Progress, default_progress

CARD_FILE = "README.md"
ROWS_A_GROUP = 100  # small row groups: the Hub's viewer and streaming read them one at a time


def export(
    folder: str | os.PathLike,
    configs: Iterable[str],
    source: CorpusSource,
    *,
    split_rule: str = DEFAULT_RULE,
    fold: int = 0,
    metadata_only: bool = False,
    private_use: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write configs to a new or empty folder, whole or not at all.

    Each cell is stored once, `<cell>/<part>-00000-of-00003.parquet`; a union config names the files
    of its cells. Audio is embedded as 16 kHz mono FLAC. A folder that holds this very export
    already stays as it is.

    Args:
        folder: New or empty.
        configs: Of one dataset.
        source: Where the corpora lie.
        split_rule: paper, disjoint or folds.
        fold: Of split rule `folds`: which clips are tested.
        metadata_only: Leave the sound out.
        private_use: Allow corpora that may not be passed on.
        progress: Shows how far it is.

    Returns:
        The paths of the files, the card last.

    Raises:
        LicenceError: A corpus may not be passed on.
        SettingError: The folder holds anything else.

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
    copy = HubCopy.planned(
        configs,
        source,
        split_rule=split_rule,
        fold=fold,
        metadata_only=metadata_only,
        progress=progress,
    )
    if not private_use and (withheld := copy.not_free()):
        raise LicenceError(
            f"licences forbid to pass these on: {reasons(withheld)}. Leave them out (--only "
            "...), export --metadata-only where labels are free, or keep the copy to "
            "yourself (--private-use)"
        )
    if not in_use:
        return write(folder, copy, progress)
    if not (is_complete(folder, copy) and _is_newer(folder / CARD_FILE, copy)):
        raise SettingError(
            f"expected a new or empty folder, or this very export, finished; {folder} holds "
            "something else, such as an export of other options, or of files that have "
            "changed since: remove it, or name another folder"
        )
    progress.say(f"already there, complete: {folder}")
    return _paths(folder, copy)


def _is_newer(card: Path, copy: HubCopy) -> bool:
    """True where no clip has changed since a card was written: its content, or the time of it,
    which copying can set back."""
    rows = copy.selection.rows
    for path in map(copy.selection.manifest.path, rows["corpus"], rows["path"]):
        status = path.stat()
        if max(status.st_mtime_ns, status.st_ctime_ns) > card.stat().st_mtime_ns:
            return False
    return True


def write(folder: Path, copy: HubCopy, progress: Progress) -> list[Path]:
    """Write a planned copy to a folder that does not exist yet, whole or not at all; returns the
    paths.

    The caller answers for the licences. Raises SettingError where the copy has no clip.
    """
    if not copy.shards:
        raise SettingError(f"expected clips of {', '.join(copy.configs)}, found none")
    with files.folder_written(folder) as temporary:
        for path, rows in copy.shards.items():
            _write_shard(temporary / path, rows, copy, progress)
        (temporary / CARD_FILE).write_text(dataset_card.text(temporary, copy), encoding="utf-8")
    return _paths(folder, copy)


def is_complete(folder: Path, copy: HubCopy) -> bool:
    """True where a folder holds what `write` wrote there: every file, byte by byte as the card
    says, and that very card."""
    try:
        if not all(path.is_file() for path in _paths(folder, copy)):
            return False
        return (folder / CARD_FILE).read_text(encoding="utf-8") == dataset_card.text(folder, copy)
    except (OSError, ValueError, pa.ArrowException):  # cannot be read, no text, no Parquet
        return False


def _paths(folder: Path, copy: HubCopy) -> list[Path]:
    return [folder / path for path in (*copy.shards, CARD_FILE)]


def _write_shard(path: Path, rows: pd.DataFrame, copy: HubCopy, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = copy.features.arrow_schema
    starts, label = range(0, len(rows), ROWS_A_GROUP), f"writing {path.parent.name}/{path.name}"
    with pq.ParquetWriter(path, schema) as writer:
        for start in progress.track(starts, len(starts), label, "row groups"):
            block = rows.iloc[start : start + ROWS_A_GROUP]
            table = arrow_rows(block, [_sound(copy, *clip) for clip in _clips(block)])
            writer.write_table(table.select(schema.names).cast(schema))


def _clips(block: pd.DataFrame) -> Iterable[tuple[str, str, str]]:
    return zip(block["id"], block["corpus"], block["path"], strict=True)


def _sound(copy: HubCopy, identifier: str, corpus: str, path: str) -> dict:
    if copy.metadata_only:
        return {"bytes": None, "path": None}
    waveform = audio.decode(copy.selection.manifest.path(corpus, path))
    name = f"{identifier.partition('/')[2]}.flac"
    return {"bytes": audio.flac_bytes(waveform), "path": name}
