"""`bimotion project` and `bimotion coverage`."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bimotion.cli.options import (
    AllowMissing,
    AsJson,
    Corpus,
    Device,
    HeadName,
    Only,
    RequireSafetensors,
    Revision,
    Root,
    Rule,
    SchemaName,
    SplitRule,
    TrackName,
    TrustRemoteCode,
    names,
    source,
)
from bimotion.cli.terminal import progress, show
from bimotion.errors import SettingError
from bimotion.io.bounds import MAX_COUNT, MAX_SEED

Neighbours = Annotated[
    int,
    typer.Option(
        "--neighbours",
        "-k",
        min=1,
        max=MAX_COUNT,
        help="Nearest neighbours that coverage looks at.",
    ),
]


def project(
    model: Annotated[str, typer.Option("--model", "-m", help="As of `bimotion evaluate`.")],
    train: Annotated[
        list[str],
        typer.Option("--train", help="Training sets, a panel each, e.g. yue,yue+zho,yue+eng."),
    ],
    test: Annotated[
        str, typer.Option("--test", help="Cell or union that is tested, e.g. yue_adu.")
    ],
    classes: Annotated[
        list[str],
        typer.Option("--classes", help="Show these alone, e.g. happiness,sadness,neutral."),
    ] = (),
    track: Annotated[
        TrackName, typer.Option("--track", help="probe or finetune")
    ] = TrackName.probe,
    head: Annotated[
        HeadName | None, typer.Option("--head", help="Of track probe. (default: layers)")
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="DIR",
            help="Folder of a finished run: its track, head and training options.",
        ),
    ] = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    require_safetensors: RequireSafetensors = False,
    device: Device = None,
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.")] = Path(
        "results"
    ),
    split_rule: Rule = SplitRule.paper,
    split_seed: Annotated[
        int, typer.Option("--split-seed", min=0, max=MAX_SEED, help="Deal clips or speakers again.")
    ] = 0,
    schema: Annotated[
        SchemaName, typer.Option("--schema", help="Classes: each corpus's emotions, or valence.")
    ] = SchemaName.emotion,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=MAX_SEED, help="Of the head or the training, and of the map."
        ),
    ] = 0,
    neighbours: Neighbours = 5,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, max=MAX_COUNT, help="At most N clips of each corpus, cell and part."
        ),
    ] = None,
    allow_missing: AllowMissing = False,
    as_json: AsJson = False,
) -> None:
    """Draw test clips over training sets in a model's feature space (Figures 2 and 3), and measure
    how these cover them."""
    from bimotion.analysis.feature_space import project as projecting
    from bimotion.analysis.feature_space import record
    from bimotion.evaluation.task import TaskSpec
    from bimotion.models.spec import ModelSpec

    view = projecting.project(
        ModelSpec(model, revision, trust_remote_code, device, None, require_safetensors),
        projecting.ViewSpec(tuple(names(train) or ()), test, names(classes), neighbours),
        TaskSpec.of(
            split_rule=split_rule.value,
            split_seed=split_seed,
            schema=schema.value,
            seeds=seed,
            limit=limit,
        ),
        source(corpora, corpus, only, allow_missing),
        track=_track(track, head, like),
        output=output,
        progress=progress(),
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(view), indent=1, ensure_ascii=False))
        return
    show(record.table(view))
    for reason, n in view.left_out.items():
        print(f"not shown: {n} clips of {reason}")
    for path in record.files_of(view, output):
        print(path)


def _track(track: TrackName, head: HeadName | None, like: Path | None):
    """The track with its options, or that of a finished run; raises SettingError where both are
    given."""
    from bimotion.evaluation.tracks import TRACKS, configured
    from bimotion.results import rescoring

    if like is None:
        return configured(track.value, head=head and head.value)
    if head is not None or track is not TrackName.probe:
        raise SettingError("--like: expected without --track and --head, which it says itself")
    found = rescoring.read_result(like)
    if found.adapt is not None:
        print(
            f"{like}: adapted ({found.adapt.name}); shown are the features before adaptation",
            file=sys.stderr,
        )
    return TRACKS[found.track].recorded(found.model)


def coverage(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished run.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Where its model lies, if not on the Hub.")
    ] = None,
    device: Device = None,
    corpora: Root = None,
    corpus: Corpus = (),
    neighbours: Neighbours = 5,
    as_json: AsJson = False,
) -> None:
    """Whether coverage of the test by the training clips, or closeness of languages, goes with
    better scores in a run."""
    from bimotion.analysis.feature_space import gains, gains_tables

    found = gains.gains(
        folder,
        source(corpora, corpus),
        model=model,
        k=neighbours,
        device=device,
        progress=progress(),
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False))
        return
    show(*gains_tables.tables_of(found))
    print(folder / gains.GAINS_FILE)
