"""`bimotion compare`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bimotion.cli.options import AsJson, Corpus, Only, Root, names, source
from bimotion.cli.terminal import progress, show
from bimotion.errors import SettingError, some


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders of runs: one or more; unfinished ones are passed over."
        ),
    ],
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    ages: Annotated[
        bool,
        typer.Option(
            "--ages",
            help="Age gaps at 55, 60 and 65 years too; needs the corpora, which hold the ages.",
        ),
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", help="With --ages: go on where clips of the runs are missing there."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Which of some runs is better, and what cannot be separated; gaps between groups; what leakage
    added."""
    from bimotion.analysis import compare as comparing

    runs = comparing.load(folders, progress().say)
    known = None
    if ages:
        from bimotion.data import manifest

        used = names(only) or sorted(
            {name for run in runs for name in run.predictions["corpus"].unique()}
        )
        found = manifest.build(source(corpora, corpus, used, True), progress=progress())
        _require_clips(
            {clip for run in runs for clip in run.predictions["id"]} - set(found.table["id"]),
            allow_missing,
        )
        measured = found.table[found.table["age_source"] == "measured"]
        known = measured.set_index("id")["age_years"]
    tables = comparing.leakage_tables(runs)
    for same in comparing.questions(runs):
        tables += comparing.comparison_tables(same)
    if len(runs) > 1 and not tables:
        comparing.comparison_tables(runs)  # says why they cannot be compared
    for run in runs:
        tables += comparing.group_tables(run, known)
    if as_json:
        print(json.dumps([asdict(table) for table in tables], indent=1))
        return
    show(*tables)


def _require_clips(absent: set[str], allow_missing: bool) -> None:
    """Ages of clips that are missing are unknown: an error, or a warning where the user allows
    it."""
    if not absent:
        return
    text = f"{len(absent)} clips of the runs are not among the corpora: {some(sorted(absent))}"
    if not allow_missing:
        raise SettingError(f"{text}; check --corpora, or leave them out with --allow-missing")
    print(f"{text}; left out of the age gaps", file=sys.stderr)
