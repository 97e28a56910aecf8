"""`bimotion compare`."""

from pathlib import Path
from typing import Annotated

import bimotion.cli.options as options
from bimotion.cli.options import argument, spread
from bimotion.cli.terminal import progress, show, show_json


@spread
def compare(
    folders: Annotated[
        list[Path],
        argument("DIR...", "Folders of runs: one or more; unfinished ones are passed over."),
    ],
    corpora: options.Folders,
    as_json: options.AsJson = False,
) -> None:
    """Compare runs: what age does within corpora; which is better, and what cannot be separated;
    differences between cells; what leakage added."""
    from bimotion.analysis import compare as comparing
    from bimotion.analysis import pairs
    from bimotion.analysis import runs as finished
    from bimotion.analysis.ages import age_table
    from bimotion.analysis.groups import group_tables

    runs = finished.load(folders, progress().say)
    tables = comparing.leakage_tables(runs)
    for same in finished.questions(runs):
        tables += pairs.comparison_tables(same)
    if len(runs) > 1 and not tables:
        pairs.comparison_tables(runs)  # says why they cannot be compared
    for run in runs:
        tables += group_tables(run)
    source = corpora.source()
    tables = [*(age_table(run, source) for run in runs), *tables]
    if as_json:
        show_json(tables)
    else:
        show(*tables)
