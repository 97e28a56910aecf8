"""The command line: parse, one call, print. Heavy imports happen inside the commands, so that --help is instant."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bimotion.errors import BimotionError, SettingError

app = typer.Typer(
    help="Speech emotion recognition across languages and age groups: datasets, protocol, evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(help="The corpora: get, check, count, audit, export, synthesise.", no_args_is_help=True)
app.add_typer(data, name="data")


class SplitRule(StrEnum):
    paper = "paper"
    disjoint = "disjoint"


class SchemaName(StrEnum):
    emotion = "emotion"
    valence = "valence"


class TrackName(StrEnum):
    probe = "probe"


class HeadName(StrEnum):
    layers = "layers"
    logistic = "logistic"


class ProtocolName(StrEnum):
    all = "all"
    distance = "distance"
    in_group = "in-group"
    inference = "inference"
    augmentation = "augmentation"


Root = Annotated[
    Path | None,
    typer.Option("--corpora", metavar="ROOT", help="Folder with one sub-folder a corpus. [default: $BIMOTION_CORPORA]"),
]
Corpus = Annotated[
    list[str],
    typer.Option("--corpus", metavar="NAME=PATH", help="Where one corpus lies, if not below ROOT; may be repeated."),
]
Only = Annotated[
    list[str],
    typer.Option("--only", metavar="NAME", help="Use these corpora alone, e.g. --only tess --only csed or tess,csed."),
]
Rule = Annotated[SplitRule, typer.Option("--split-rule", help="paper: the published sizes; disjoint: speakers kept apart.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Go on without corpora or clips that are not there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Listen = Annotated[bool, typer.Option("--listen/--no-listen", help="Decode every clip (finds silence and duplicates).")]


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Hub id or folder of a transformers audio model, or bimotion/prosody, bimotion/majority, bimotion/random.",
        ),
    ],
    track: Annotated[TrackName, typer.Option("--track", help="How the model is used.")] = TrackName.probe,
    head: Annotated[
        HeadName,
        typer.Option("--head", help="Of a probe: learned layer weighting + linear, or logistic regression on the best layer."),
    ] = HeadName.layers,
    revision: Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit of the model on the Hub.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the model's own code (recorded).")
    ] = False,
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.")] = Path("results"),
    protocol: Annotated[ProtocolName, typer.Option("--protocol", help="Which settings to run.")] = ProtocolName.all,
    cells: Annotated[list[str], typer.Option("--cells", help="Test in these cells alone, e.g. eng_eld,zho_eld.")] = (),
    split_rule: Rule = SplitRule.paper,
    split_seed: Annotated[int, typer.Option("--split-seed", min=0, help="Deal clips or speakers again.")] = 0,
    schema: Annotated[
        SchemaName, typer.Option("--schema", help="Classes: each corpus's emotions, or valence.")
    ] = SchemaName.emotion,
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds of the model, e.g. 0,1,2.")] = "0",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most N clips of each corpus, cell and part; not submittable.")
    ] = None,
    allow_missing: AllowMissing = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Run again what is finished.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model: in-group, cross-group inference, augmentation and language distance over all cells."""
    from bimotion import leaderboard, results, runner, tables

    asked = {
        "data_dir": corpora,
        "protocol_name": protocol.value,
        "cells": _names(cells),
        "split_rule": split_rule.value,
        "split_seed": split_seed,
        "schema": schema.value,
        "corpora": _names(only),
        "locations": _locations(corpus),
        "limit": limit,
        "allow_missing": allow_missing,
        "progress": _progress(),
    }
    if dry_run:
        _show(tables.plan_table(runner.dry_run(**asked)))
        return
    result, folder = runner.evaluate(
        model,
        track=track.value,
        output=output,
        seeds=_numbers(seeds),
        head=head.value,
        revision=revision,
        trust_remote_code=trust_remote_code,
        overwrite=overwrite,
        **asked,
    )
    if as_json:
        print(result.to_json(), end="")
        return
    _show(*tables.transfer_tables(result))
    if result.skipped:
        reasons = sorted({reason for skip in result.skipped for reason in skip.reason.split("; ")})
        print(f"{len(result.skipped)} of {len(result.skipped) + _n_settings(result)} settings skipped: {'; '.join(reasons)}")
    for path in (folder / results.RESULT_FILE, folder / results.PREDICTIONS_FILE, output / leaderboard.LEADERBOARD_FILE):
        print(path)


def _numbers(text: str) -> list[int]:
    """Seeds from `0,1,2`."""
    if not all(item.strip().isdigit() for item in text.split(",")):
        raise SettingError(f"--seeds: expected whole numbers such as 0,1,2, found {text!r}")
    return [int(item) for item in text.split(",")]


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run: result.json and predictions.parquet.")],
    as_json: AsJson = False,
) -> None:
    """Compute the scores of a run again from its predictions, without torch; exit code 1 where any differs."""
    from bimotion import rescoring, tables

    result, again = rescoring.rescore(folder)
    if as_json:
        print(again.to_json(), end="")
    else:
        _show(*tables.transfer_tables(again))
    if again.scores != result.scores:
        print(f"{folder}: the recorded scores differ from those of the predictions", file=sys.stderr)
        raise typer.Exit(1)


def _n_settings(result) -> int:
    return len({(score.transfer, score.method, score.test) for score in result.scores})


@data.command("list")
def list_corpora(as_json: AsJson = False) -> None:
    """Where and under which licence to get each corpus."""
    from bimotion.corpora import CORPORA
    from bimotion.tables import Table

    cards = [corpus.card for corpus in CORPORA.values()]
    if as_json:
        keys = ("name", "title", "cells", "n_utterances", "licence", "redistribution", "url", "obtain", "citation", "age_note")
        print(json.dumps([{key: getattr(card, key) for key in keys} for card in cards], indent=1))
        return
    table = Table("Corpora", ["corpus", "cells", "clips", "licence", "how to get it"])
    for card in cards:
        how = f"{card.obtain}: {card.url}"
        table.rows.append([card.name, " ".join(card.cells), str(card.n_utterances), card.licence, how])
    _show(table)


@data.command()
def stats(
    corpora: Root = None, corpus: Corpus = (), only: Only = (), split_rule: Rule = SplitRule.paper, as_json: AsJson = False
) -> None:
    """Tables 1 and 2 of the paper, counted on this disk, difference by difference."""
    from dataclasses import asdict

    from bimotion import stats as counting

    found = _manifest(corpora, corpus, only)
    lines = counting.counts(found, split_rule.value)
    if as_json:
        print(json.dumps([asdict(line) | {"difference": line.difference} for line in lines], indent=1))
        return
    _show(*counting.as_tables(lines))
    for line in counting.ages_apart(found):
        print(f"age: {line}")


@data.command()
def audit(
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    listen: Listen = True,
    as_json: AsJson = False,
) -> None:
    """Speakers, sentences and audio that parts share; ages and their sources; clips, speakers and hours of each cell."""
    from bimotion import audit as auditing

    found = auditing.audit(_manifest(corpora, corpus, only), split_rule.value, _progress(), listen)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
        return
    _show(*auditing.as_tables(found))


@data.command()
def doctor(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder with one sub-folder a corpus.")],
    corpus: Corpus = (),
    listen: Listen = True,
    as_json: AsJson = False,
) -> None:
    """Is each corpus there, whole and sound? Exit code 1 where one is not (corpora that are absent do not count)."""
    from dataclasses import asdict

    from bimotion import doctor as doctoring

    diagnoses = doctoring.diagnose(root, _progress(), locations=_locations(corpus), listen=listen)
    if as_json:
        print(json.dumps([asdict(diagnosis) | {"state": diagnosis.state} for diagnosis in diagnoses], indent=1))
    else:
        _show(doctoring.as_table(diagnoses))
    if any(diagnosis.problems for diagnosis in diagnoses):
        raise typer.Exit(1)


@data.command()
def synth(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    scale: Annotated[float, typer.Option("--scale", help="Share of the true corpora's sizes.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    only: Only = (),
) -> None:
    """Make SYNTHETIC corpora in the true raw layouts: not speech of people, for trying things out."""
    from bimotion.synth import layouts

    n_clips = layouts.write(folder, scale=scale, seed=seed, corpora=_names(only), progress=_progress())
    print(f"{n_clips} SYNTHETIC clips in {folder}: made by formulas, not by people; results on them enter no leaderboard")


@data.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    config: Annotated[list[str], typer.Option("--config", help="eng_eld, eng, all, yue_adu, ...; may be repeated.")],
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="Everything but the sound.")] = False,
    private_use: Annotated[
        bool, typer.Option("--private-use", help="Also what licences forbid to pass on; keep it to yourself.")
    ] = False,
    allow_missing: AllowMissing = False,
) -> None:
    """Write a Hub-ready copy (Parquet with 16 kHz FLAC, and a dataset card) that plain load_dataset opens."""
    from bimotion import export as exporting

    paths = exporting.export(
        folder,
        config,
        data_dir=corpora,
        corpora=_names(only),
        locations=_locations(corpus),
        split_rule=split_rule.value,
        metadata_only=metadata_only,
        private_use=private_use,
        allow_missing=allow_missing,
        progress=_progress(),
    )
    for path in paths:
        print(path)


def _manifest(root, corpus: list[str], only: list[str]):
    from bimotion import manifest

    return manifest.build(root, corpora=_names(only), locations=_locations(corpus), progress=_progress())


def _names(only: list[str]) -> list[str] | None:
    return [name for item in only for name in item.split(",") if name] or None


def _locations(corpus: list[str]) -> dict[str, str]:
    places: dict[str, str] = {}
    for item in corpus:
        name, _, path = item.partition("=")
        if not path or name in places:
            raise SettingError(f"--corpus: expected NAME=PATH once for a corpus, such as tess=/data/TESS, found {item!r}")
        places[name] = path
    return places


def _progress():
    from bimotion.progress import Bars

    return Bars()


def _show(*tables) -> None:
    """Tables in colour on a terminal; as Markdown where the output is piped, so that nothing is cut to a width."""
    if not sys.stdout.isatty():
        print("\n\n".join(table.markdown() for table in tables))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for table in tables:
        shown = Table(title=table.title, title_justify="left", caption="\n".join(table.notes), caption_justify="left")
        for column in table.header:
            shown.add_column(column, overflow="fold")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)


def main() -> None:
    """Entry point: errors that users can mend are one message and exit code 2, never a traceback."""
    try:
        app()
    except BimotionError as error:
        _refuse(str(error))
    except OSError as error:  # a full disk, a folder without permission, a file that vanished
        _refuse(f"{error.filename or 'input or output'}: {error.strerror or error}")


def _refuse(message: str) -> None:
    print(f"bimotion: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
