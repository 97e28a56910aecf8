"""`bimotion leaderboard reproduce`."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.receipts import Receiving
from bimotion.cli.terminal import progress
from bimotion.cli.workers import Workers
from bimotion.errors import SettingError, printable
from bimotion.io.bounds import MAX_SEED


@spread
def reproduce(
    path: Annotated[Path, argument("PATH", "One submission, which was verified.")],
    corpora: options.Chosen,
    sample: Annotated[
        float, option("Share of the training sets, drawn at random.", min=0.001, max=1)
    ] = 1.0,
    draw: Annotated[
        int | None, option("Seed of the draw. (default: a random one)", min=0, max=MAX_SEED)
    ] = None,
    model: Annotated[
        str | None, option("Where its model lies, if not on the Hub.", "--model", "-m")
    ] = None,
    label_map: Annotated[
        Path | None, option("Of a zero-shot run that had one: the same file.", metavar="FILE")
    ] = None,
    trust_remote_code: Annotated[bool, option("Run the model's own code.")] = False,
    device: options.Device = None,
    batch_seconds: Annotated[float | None, option("Of audio in one batch.")] = None,
    *,
    receipts: Receiving,
    engine: Workers,
) -> None:
    """Run a submission again, or a sample of it, and compare the predictions clip by clip; exit
    code 1 where they do not agree.

    What came out is written into its receipt, which is signed again. A run that is broken off goes
    on where it was.
    """
    from bimotion.evaluation import rerun
    from bimotion.leaderboard import admission, receiving, reproduction

    if sample == 1 and draw is not None:
        raise SettingError("--draw: expected with --sample below 1, found it without")
    parts = Path(os.path.abspath(path)).parts
    root = Path(*parts[:-2])
    # a run may take days
    received = receiving.received(root, "/".join(parts[-2:]), **receipts.of_writers(root))
    if sample < 1 and draw is None:
        draw = secrets.randbelow(MAX_SEED + 1)
    again = rerun.rerun(
        received.result,
        corpora.source(),
        rerun.ModelLoading(model, label_map, trust_remote_code, device, batch_seconds),
        engine.made(),
        chosen=lambda names: names if draw is None else reproduction.drawn(names, sample, draw),
        progress=progress(),
    )
    made = reproduction.reproduction_of(
        received.result, received.predictions, draw=draw, **vars(again)
    )
    received.reproduced(made)
    print(f"{printable(str(path))}: {'reproduced' if made.reproduced else 'NOT REPRODUCED'}")
    for line in reproduction.lines(made):
        print(f"  {line}")
    if reason := admission.why_no_commit(received.result):
        print(f"  note: {printable(reason)}")
    if not made.reproduced:
        raise typer.Exit(1)
