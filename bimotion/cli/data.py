"""`bimotion data`: the corpora."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bimotion.cli.options import (
    AllowMissing,
    AsJson,
    Corpus,
    Listen,
    Only,
    Root,
    Rule,
    SplitRule,
    names,
    source,
)
from bimotion.cli.terminal import progress, show
from bimotion.errors import SettingError
from bimotion.io.bounds import MAX_SEED

app = typer.Typer(
    help="The corpora: get, check, count, audit, export, synthesise.", no_args_is_help=True
)


@app.command("list")
def list_corpora(as_json: AsJson = False) -> None:
    """Where and under which licence to get each corpus."""
    from bimotion.corpora import CORPORA, EXTENSION_CORPORA
    from bimotion.io.tables import Table

    cards = [corpus.card for corpus in CORPORA.values()]
    if as_json:
        keys = (
            "name",
            "title",
            "cells",
            "n_utterances",
            "licence",
            "redistribution",
            "url",
            "obtain",
            "citation",
            "age_note",
        )
        print(json.dumps([{key: getattr(card, key) for key in keys} for card in cards], indent=1))
        return
    table = Table("Corpora", ["corpus", "cells", "clips", "licence", "how to get it"])
    for card in cards:
        how = f"{card.obtain}: {card.url}"
        table.rows.append(
            [card.name, " ".join(card.cells), str(card.n_utterances), card.licence, how]
        )
    table.notes.append(f"optional, for protocol extension alone: {', '.join(EXTENSION_CORPORA)}")
    show(table)


@app.command()
def stats(
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    allow_missing: AllowMissing = False,
    as_json: AsJson = False,
) -> None:
    """Tables 1 and 2 of the paper, counted on this disk, difference by difference. Exit code 1
    where a corpus is malformed."""
    from dataclasses import asdict

    from bimotion.data import manifest
    from bimotion.data.checks import counts as counting

    # one corpus does not silence the others
    found = manifest.build(source(corpora, corpus, only, True), progress=progress())
    lines = counting.counts(found, split_rule.value)
    if as_json:
        print(
            json.dumps([asdict(line) | {"difference": line.difference} for line in lines], indent=1)
        )
    else:
        show(*counting.as_tables(lines))
        for line in counting.ages_apart(found):
            print(f"age: {line}")
    malformed = [finding for finding in found.findings if finding.kind == "malformed"]
    for finding in malformed:
        print(f"{finding.corpus}: malformed, so not counted: {finding.detail}", file=sys.stderr)
    if malformed and not allow_missing:
        raise typer.Exit(1)


@app.command()
def audit(
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    listen: Listen = True,
    allow_missing: AllowMissing = False,
    as_json: AsJson = False,
) -> None:
    """Speakers, sentences and audio that parts share; ages and their sources; clips, speakers and
    hours of each cell."""
    from bimotion.data import manifest
    from bimotion.data.checks import audit as auditing

    made = manifest.build(source(corpora, corpus, only, allow_missing), progress=progress())
    found = auditing.audit(made, split_rule.value, progress(), listen)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
        return
    show(*auditing.as_tables(found))


@app.command()
def doctor(
    root: Annotated[
        Path | None, typer.Argument(metavar="ROOT", help="As --corpora.", show_default=False)
    ] = None,
    corpora: Root = None,
    corpus: Corpus = (),
    listen: Listen = True,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Read every file again: is it still the one that the cache was made from?",
        ),
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Missing clips and malformed corpora are listed, but leave exit code 0.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Is each corpus there, whole and sound? Exit code 1 where one is not.

    Corpora that are absent do not count, nor do equal samples under two labels: those are the
    corpus's own fault.
    """
    from dataclasses import asdict

    from bimotion.data.checks import doctor as doctoring

    asked = source(_one_root(root, corpora), corpus)
    diagnoses = doctoring.diagnose(asked, progress(), listen=listen, deep=deep)
    if as_json:
        print(
            json.dumps(
                [asdict(diagnosis) | {"state": diagnosis.state} for diagnosis in diagnoses],
                indent=1,
            )
        )
    else:
        show(doctoring.as_table(diagnoses))
    # every true copy of CSED has some
    tolerated = {"contradicting"} | ({"missing", "malformed"} if allow_missing else set())
    if any(
        finding.kind not in tolerated for diagnosis in diagnoses for finding in diagnosis.problems
    ):
        raise typer.Exit(1)


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    scale: Annotated[
        float, typer.Option("--scale", help="Share of the true corpora's sizes.")
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED)] = 0,
    only: Only = (),
) -> None:
    """Make SYNTHETIC corpora in the true raw layouts: not speech of people, for trying things
    out."""
    from bimotion.data.synthetic import layouts

    n_clips = layouts.write(
        folder, scale=scale, seed=seed, corpora=names(only), progress=progress()
    )
    print(
        f"{n_clips} SYNTHETIC clips in {folder}: made by formulas, not by people; results on them "
        "enter no leaderboard"
    )


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    config: Annotated[
        list[str],
        typer.Option("--config", help="eng_eld, eng, all, yue_adu, ...; may be repeated."),
    ],
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Everything but the sound.")
    ] = False,
    private_use: Annotated[
        bool,
        typer.Option(
            "--private-use", help="Also what licences forbid to pass on; keep it to yourself."
        ),
    ] = False,
    allow_missing: AllowMissing = False,
) -> None:
    """Write a Hub-ready copy (Parquet with 16 kHz FLAC, and a dataset card) that plain load_dataset
    opens."""
    from bimotion.data.huggingface import export as exporting

    paths = exporting.export(
        folder,
        config,
        source(corpora, corpus, only, allow_missing),
        split_rule=split_rule.value,
        metadata_only=metadata_only,
        private_use=private_use,
        progress=progress(),
    )
    for path in paths:
        print(path)


def _one_root(positional: Path | None, option: Path | None) -> Path | None:
    """The root, which may be given either way; raises SettingError where both are given and
    differ."""
    if positional is not None and option is not None and positional != option:
        raise SettingError(f"expected one ROOT, found {positional} and --corpora {option}")
    return positional or option
