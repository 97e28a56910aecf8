"""`bimotion compare`."""

from pathlib import Path
from typing import Annotated

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress, show, show_json
from bimotion.errors import SettingError, some


@spread
def compare(
    folders: Annotated[
        list[Path],
        argument("DIR...", "Folders of runs: one or more; unfinished ones are passed over."),
    ],
    corpora: options.Chosen,
    ages: Annotated[
        bool, option("Age gaps at 55, 60 and 65 years too; needs the corpora, which hold the ages.")
    ] = False,
    allow_missing: Annotated[
        bool, option("With --ages: go on where clips of the runs are missing there.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare runs: which is better, and what cannot be separated; gaps between groups; what
    leakage added."""
    from bimotion.analysis import compare as comparing
    from bimotion.analysis import pairs
    from bimotion.analysis import runs as finished

    runs = finished.load(folders, progress().say)
    known = _ages(runs, corpora, allow_missing) if ages else None
    tables = comparing.leakage_tables(runs)
    for same in finished.questions(runs):
        tables += pairs.comparison_tables(same)
    if len(runs) > 1 and not tables:
        pairs.comparison_tables(runs)  # says why they cannot be compared
    for run in runs:
        tables += comparing.group_tables(run, known)
    if as_json:
        show_json(tables)
    else:
        show(*tables)


def _ages(runs: list, corpora: options.Chosen, allow_missing: bool):
    """Clip id -> measured age in years. Ages of clips that are missing are unknown: an error, or a
    warning where the user allows it."""
    from bimotion.data import manifest

    used = {name for run in runs for name in run.predictions["corpus"].unique()}
    asked = corpora.source(allow_missing=True)
    table = manifest.build(
        asked if asked.corpora else asked.of_corpora(sorted(used)), progress=progress()
    ).table
    if absent := {clip for run in runs for clip in run.predictions["id"]} - set(table["id"]):
        text = f"{len(absent)} clips of the runs are not among the corpora: {some(sorted(absent))}"
        if not allow_missing:
            raise SettingError(f"{text}; check --corpora, or leave them out with --allow-missing")
        note(f"{text}; left out of the age gaps")
    measured = table[table["age_source"] == "measured"]
    return measured.set_index("id")["age_years"]
