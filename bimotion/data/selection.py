"""The clips of some cells, each with its part: what datasets are made of and what runs train and
test on."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bimotion.corpora import corpora_with
from bimotion.corpora.utterance import NO_PART, UNUSABLE, Finding
from bimotion.data import manifest, splits
from bimotion.data.manifest import summary
from bimotion.data.source import CorpusSource
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
    source: CorpusSource,
    cells: Iterable[Cell],
    *,
    split_rule: str = "paper",
    split_seed: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """Clips of cells, of the source's corpora (None: all that have clips in those cells).

    Raises UnknownName, SettingError, CorpusNotFound, CorpusMalformed, and CorpusIncomplete unless
    `allow_missing`.
    """
    cells = [str(cell) for cell in cells]
    source = source.of_corpora(corpora_with(cells, source.corpora))
    found = manifest.build(source, progress=progress)
    if not source.allow_missing:
        found.require_complete(source.corpora)
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
            f"{summary(left_out) or list(source.corpora)}"
        )
    _warn(found, left_out)
    return Selection(found, split, source.corpora, rows)


def _warn(found: manifest.Manifest, left_out: list[Finding]) -> None:
    """Log what is left out, a line a corpus."""
    for finding in left_out:
        if finding.kind == "malformed":
            log.warning("%s: left out: %s", finding.corpus, finding.detail)
    for name in found.corpora:
        if mine := [finding for finding in left_out if finding.corpus == name]:
            log.warning("%s: left out: %s", name, summary(mine))
