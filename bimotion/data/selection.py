"""The clips of some cells, each with its part: what datasets are made of and what runs train and
test on."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from bimotion.corpora import corpora_with
from bimotion.corpora.utterance import NO_PART, UNUSABLE
from bimotion.data import manifest, splits
from bimotion.data.manifest import summary
from bimotion.errors import SettingError
from bimotion.io.progress import Progress
from bimotion.protocol.cells import Cell

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Clips of some cells under a split rule, and what was found on the way.

    wanted   corpora that the cells ask for, found or not
    rows     rows of manifest.table with `cell`, `part`, `speaker_disjoint` (of the split),
             `synthetic`; sorted by id
    """

    manifest: manifest.Manifest
    split: splits.Split
    wanted: tuple[str, ...]
    rows: pd.DataFrame


def select(
    data_dir: str | os.PathLike | None,
    cells: Iterable[Cell],
    *,
    split_rule: str = "paper",
    split_seed: int = 0,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> Selection:
    """Clips of cells below a corpora root, of the named corpora (None: all that have clips in those
    cells).

    Raises UnknownName, SettingError, CorpusNotFound, CorpusMalformed, and CorpusIncomplete unless
    `allow_missing`.
    """
    cells = [str(cell) for cell in cells]
    wanted = corpora_with(cells, corpora)
    found = manifest.build(
        data_dir,
        corpora=wanted,
        locations=locations,
        skip_malformed=allow_missing,
        progress=progress,
    )
    if not allow_missing:
        found.require_complete(wanted)
    split = splits.split(found, split_rule, split_seed)
    rows = found.table.set_index("id", drop=False).join(split.table, how="inner").sort_index()
    rows = rows[rows["cell"].isin(cells)].reset_index(drop=True)
    rows["synthetic"] = rows["corpus"].isin(found.synthetic)
    left_out = [
        finding for finding in found.findings if finding.kind in UNUSABLE or finding.kind in NO_PART
    ]
    left_out += split.findings
    if rows.empty:
        raise SettingError(
            f"expected clips of {', '.join(cells)}, found none that can be used: "
            f"{summary(left_out) or wanted}"
        )
    for finding in left_out:
        if finding.kind == "malformed":
            log.warning("%s: left out: %s", finding.corpus, finding.detail)
    for name in found.corpora:
        if mine := [finding for finding in left_out if finding.corpus == name]:
            log.warning("%s: left out: %s", name, summary(mine))
    return Selection(found, split, tuple(wanted), rows)
