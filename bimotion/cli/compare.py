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
    from bimotion.analysis import pairs
    from bimotion.analysis import runs as finished
    from bimotion.analysis.ages import age_table
    from bimotion.analysis.groups import group_tables
    from bimotion.analysis.human import human_tables
    from bimotion.analysis.leakage import leakage_table
    from bimotion.analysis.summary import summary

    runs = finished.load(folders, progress().say)
    tables, questions = [], finished.questions(runs)
    for same in questions:
        tables += pairs.comparison_tables(same)
    if len(runs) > 1 and not tables:
        pairs.comparison_tables(runs)  # says why they cannot be compared
    for run in runs:
        premium = leakage_table(run)
        tables += [premium] if premium else group_tables(run)
    tables += pairs.alone_tables(questions)
    source = corpora.source()
    of_cells = [run for run in runs if run.result.protocol.name != "leakage"]
    ages = (age_table(run, source) for run in of_cells)
    tables = [*ages, *human_tables(of_cells), *tables]
    if as_json:
        show_json(tables)
    else:
        show(*tables)
        if len(runs) > 1:
            print(f"\n{summary(runs, folders, source, is_compared=True)}")
