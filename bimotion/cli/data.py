"""`bimotion data`: the corpora."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import note, progress, show, show_json
from bimotion.data.rules import DEFAULT_RULE
from bimotion.errors import SettingError
from bimotion.io.bounds import MAX_SEED
from bimotion.io.tables import Table

app = typer.Typer(
    help="The corpora: get, check, count, audit, export, synthesise.", no_args_is_help=True
)
Listen = Annotated[
    bool, option("Decode every clip (finds silence and duplicates).", "--listen/--no-listen")
]
CARD_FIELDS = (
    "name title cells n_utterances licence redistribution url how_to_get obtain citation age_note"
)


@app.command("list")
def list_corpora(as_json: options.AsJson = False) -> None:
    """Say how and under which licence to get each corpus."""
    from bimotion.corpora import CORPORA, EXTENSION_CORPORA

    cards = [corpus.card for corpus in CORPORA.values()]
    if as_json:
        show_json([{name: getattr(card, name) for name in CARD_FIELDS.split()} for card in cards])
        return
    table = Table("Corpora", ["corpus", "cells", "clips", "licence", "how to get it"])
    for card in cards:
        how = f"{card.how_to_get}; by hand: {card.obtain}"
        cells = " ".join(card.cells)
        table.rows.append([card.name, cells, str(card.n_utterances), card.licence, how])
    table.notes.append(f"optional, only for protocol extension: {', '.join(EXTENSION_CORPORA)}")
    show(table)


@app.command()
def download(
    names: Annotated[
        list[str] | None, argument("NAME...", "Of corpora, as `data list` has them.")
    ] = None,
    *,
    to: Annotated[
        Path | None,
        option(
            "Corpora root. (default: $BIMOTION_CORPORA, else ~/.cache/bimotion/corpora)",
            metavar="ROOT",
        ),
    ] = None,
    archives: Annotated[
        list[Path],
        option(
            "Lay out an archive that the corpus's authors sent; may be repeated.",
            "--from",
            metavar="ARCHIVE",
        ),
    ] = (),
    mirror: Annotated[
        list[str],
        option(
            "Fetch URL/CORPUS/PATH instead; or HOST=URL, what stands for a host. May be repeated.",
            metavar="URL",
        ),
    ] = (),
    yes: Annotated[bool, option("Accept the licences.", "--yes")] = False,
    allow_missing: Annotated[
        bool,
        option("Lay out what there is, though files or clips cannot be had.", "--allow-missing"),
    ] = False,
    check: Annotated[
        bool,
        option(
            "Fetch nothing: ask every source for its headers. Exit code 1 on dead links.", "--check"
        ),
    ] = False,
) -> None:
    """Fetch corpora from their own hosts, check every file and lay them out; of those behind a
    form, say the steps. A download that was broken off goes on."""
    from bimotion.cli.downloads import check_links, fetch

    if check:
        check_links(names, mirror)
    else:
        fetch(names, to, archives, mirror, accepts=yes, allow_missing=allow_missing)


@app.command()
@spread
def stats(
    corpora: options.Corpora,
    split_rule: options.Rule = DEFAULT_RULE,
    fold: options.Fold = 0,
    as_json: options.AsJson = False,
) -> None:
    """Count the clips of each part on this disk; with --split-rule paper beside Tables 1 and 2 of
    the paper, difference by difference. Exit code 1 where a corpus is malformed."""
    from bimotion.data import manifest
    from bimotion.data.checks import counts as counting

    # one corpus does not silence the others
    built = manifest.build(corpora.source(allow_missing=True), progress=progress())
    lines = counting.counts(built, split_rule, fold)
    if as_json:
        show_json([line.to_dict() for line in lines])
    else:
        show(*counting.as_tables(lines, split_rule, fold))
        for line in counting.ages_apart(built):
            print(f"age: {line}")
    malformed = [finding for finding in built.findings if finding.kind == "malformed"]
    for finding in malformed:
        note(f"{finding.corpus}: malformed, so not counted: {finding.detail}")
    if malformed and not corpora.allow_missing:
        raise typer.Exit(1)


@app.command()
@spread
def audit(
    corpora: options.Corpora,
    split_rule: options.Rule = DEFAULT_RULE,
    fold: options.Fold = 0,
    listen: Listen = True,
    as_json: options.AsJson = False,
) -> None:
    """List speakers, sentences and audio that parts share; ages and their sources; clips, speakers
    and hours of each cell."""
    from bimotion.data import manifest
    from bimotion.data.checks import audit as auditing

    built = manifest.build(corpora.source(), progress=progress())
    report = auditing.audit(built, split_rule, progress(), listen, fold)
    if as_json:
        show_json(report.to_dict())
    else:
        show(*auditing.as_tables(report))


@app.command()
@spread
def doctor(
    root: Annotated[Path | None, argument("ROOT", "As --corpora.", show_default=False)] = None,
    *,
    corpora: options.Folders,
    listen: Listen = True,
    deep: Annotated[
        bool, option("Read every file again: is it still the one that the cache was made from?")
    ] = False,
    allow_missing: Annotated[
        bool, option("Missing clips and malformed corpora are listed, but leave exit code 0.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check that each corpus is there, whole and sound. Exit code 1 where one is not.

    Corpora that are absent do not count, nor do equal samples under two labels: those are the
    corpus's own fault.
    """
    from bimotion.data.checks import doctor as doctoring

    given = corpora.corpora
    if root is not None and given is not None and root != given:
        raise SettingError(f"expected one ROOT, found {root} and --corpora {given}")
    source = corpora.source(root=root or given)
    diagnoses = doctoring.diagnose(source, progress(), listen=listen, deep=deep)
    if as_json:
        show_json([asdict(diagnosis) | {"state": diagnosis.state} for diagnosis in diagnoses])
    else:
        show(doctoring.as_table(diagnoses))
    # every true copy of CSED has some
    tolerated = {"contradicting"} | ({"missing", "malformed"} if allow_missing else set())
    problems = [finding.kind for diagnosis in diagnoses for finding in diagnosis.problems]
    if not tolerated.issuperset(problems):
        raise typer.Exit(1)


@app.command()
def synth(
    folder: Annotated[Path, argument("DIR", "New or empty folder.")],
    scale: Annotated[float, option("Share of the true corpora's sizes.")] = 0.02,
    seed: Annotated[int, option(None, min=0, max=MAX_SEED)] = 0,
    only: options.Only = (),
) -> None:
    """Make SYNTHETIC corpora in the true raw layouts: not speech of people, for trying things
    out."""
    from bimotion.data.synthetic import layouts

    n_clips = layouts.write(
        folder, scale=scale, seed=seed, corpora=options.names(only), progress=progress()
    )
    print(
        f"{n_clips} SYNTHETIC clips in {folder}: made by formulas, not by people; results on them "
        "enter no leaderboard"
    )


@app.command()
@spread
def export(
    folder: Annotated[Path, argument("DIR", "New or empty folder.")],
    config: Annotated[list[str], option("eng_eld, eng, all, yue_adu, ...; may be repeated.")],
    corpora: options.Corpora,
    split_rule: options.Rule = DEFAULT_RULE,
    fold: options.Fold = 0,
    metadata_only: options.MetadataOnly = False,
    private_use: Annotated[
        bool, option("Also what licences forbid to pass on; keep it to yourself.")
    ] = False,
) -> None:
    """Write a Hub-ready copy (Parquet with 16 kHz FLAC, and a dataset card) that plain load_dataset
    opens."""
    from bimotion.data.huggingface import export as exporting

    paths = exporting.export(
        folder,
        config,
        corpora.source(),
        split_rule=split_rule,
        fold=fold,
        metadata_only=metadata_only,
        private_use=private_use,
        progress=progress(),
    )
    for path in paths:
        print(path)
