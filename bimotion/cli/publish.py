"""`bimotion publish`."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from bimotion.cli.options import (
    AllowMissing,
    AsJson,
    Corpus,
    Only,
    Root,
    Rule,
    SplitRule,
    source,
)
from bimotion.cli.terminal import progress


class Dataset(StrEnum):
    """What can be published."""

    bimotion = "bimotion"
    yuemotion = "yuemotion"


def publish(
    dataset: Annotated[Dataset, typer.Argument(help="Which builder's configs.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="ORG/NAME", help="Dataset repository; made if it is not there."
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make it a private repository.")
    ] = False,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Everything but the sound.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List every file, send nothing.")
    ] = False,
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    split_rule: Rule = SplitRule.paper,
    allow_missing: AllowMissing = False,
    as_json: AsJson = False,
) -> None:
    """Send Parquet and a dataset card to the Hub; refuses what licences forbid; goes on after a
    failure."""
    from bimotion.data.huggingface import publish as publishing

    made = publishing.publish(
        dataset.value,
        to,
        source(corpora, corpus, only, allow_missing),
        split_rule=split_rule.value,
        private=private,
        metadata_only=metadata_only,
        dry_run=dry_run,
        progress=progress(),
    )
    if as_json:
        print(json.dumps(asdict(made) | {"folder": made.folder and str(made.folder)}, indent=1))
        return
    for file in made.files:
        print(f"{file.path}\t{file.n_bytes} bytes")
    print(made.address or f"dry run: nothing was sent; the files lie in {made.folder}")
