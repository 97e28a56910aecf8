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
from bimotion.data.rules import DEFAULT_RULE
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.io.progress import Progress
from bimotion.protocol.cells import Cell

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """Clips of some cells under a split rule, and what was seen on the way."""

    manifest: manifest.Manifest
    split: splits.Split
    wanted: tuple[str, ...]
    """Corpora that the cells ask for, on this disk or not."""
    rows: pd.DataFrame
    """Rows of manifest.table with `cell`, `fold`, `only_part`, `speaker_disjoint` (of the split),
    `part` in the fold that was asked for (None: none in that), `synthetic`; sorted by id."""


def select(
    source: CorpusSource,
    cells: Iterable[Cell],
    *,
    split_rule: str = DEFAULT_RULE,
    split_seed: int = 0,
    fold: int = 0,
    progress: Progress | None = None,
) -> Selection:
    """Select the clips of cells, of the source's corpora (None: all with clips in those cells).

    Raises:
        UnknownName: Of a corpus or a split rule.
        SettingError: No corpus or no usable clip is in those cells, or the rule has no such fold.
        CorpusNotFound: No corpus lies below the root.
        CorpusMalformed: Label files cannot be understood.
        CorpusIncomplete: Clips are missing, unless `allow_missing`.
    """
    cells = [str(cell) for cell in cells]
    source = source.of_corpora(corpora_with(cells, source.corpora))
    made = manifest.build(source, progress=progress)
    if not source.allow_missing:
        made.require_complete(source.corpora)
    split = splits.split(made, split_rule, split_seed, fold)
    rows = made.table.set_index("id", drop=False).join(split.table, how="inner").sort_index()
    rows = rows[rows["cell"].isin(cells)].reset_index(drop=True)
    rows["synthetic"] = rows["corpus"].isin(made.synthetic)
    left_out = [finding for finding in made.findings if finding.kind in UNUSABLE | NO_PART]
    left_out += split.findings
    if rows.empty:
        raise SettingError(
            f"expected clips of {', '.join(cells)}, found none that can be used: "
            f"{summary(left_out or made.findings) or 'no clip of ' + ', '.join(source.corpora)}"
        )
    _warn(made, left_out, rows)
    return Selection(made, split, source.corpora, rows)


def _warn(made: manifest.Manifest, left_out: list[Finding], rows: pd.DataFrame) -> None:
    """Log what is left out, a line a corpus, and how many clips are used."""
    n_used = rows["corpus"].value_counts()
    for finding in left_out:
        if finding.kind == "malformed":
            log.warning("%s: left out: %s", finding.corpus, finding.detail)
    for name in made.corpora:
        if mine := [finding for finding in left_out if finding.corpus == name]:
            used = f"{n_used[name]} clips used, " if name in n_used else ""
            log.warning("%s: %sleft out: %s", name, used, summary(mine))
