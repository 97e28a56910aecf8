"""`bimotion publish`."""

from dataclasses import asdict
from typing import Annotated, Literal

import bimotion.cli.options as options
from bimotion.cli.options import argument, option, spread
from bimotion.cli.terminal import progress, show_json
from bimotion.data.rules import DEFAULT_RULE


@spread
def publish(
    dataset: Annotated[
        Literal["bimotion", "yuemotion"], argument(None, "Which builder's configs.")
    ],
    to: Annotated[str, option("Dataset repository; made if missing.", metavar="ORG/NAME")],
    private: Annotated[bool, option("Make it a private repository.")] = False,
    metadata_only: options.MetadataOnly = False,
    dry_run: Annotated[bool, option("List every file, send nothing.")] = False,
    *,
    corpora: options.Corpora,
    split_rule: options.Rule = DEFAULT_RULE,
    fold: options.Fold = 0,
    as_json: options.AsJson = False,
) -> None:
    """Send Parquet and a dataset card to the Hub; refuses what licences forbid; goes on after a
    failure."""
    from bimotion.data.huggingface import publish as publishing

    published = publishing.publish(
        dataset,
        to,
        corpora.source(),
        split_rule=split_rule,
        fold=fold,
        private=private,
        metadata_only=metadata_only,
        dry_run=dry_run,
        progress=progress(),
    )
    folder = published.folder
    if as_json:
        show_json(asdict(published) | {"folder": folder and str(folder)})
        return
    for file in published.files:
        print(f"{file.path}\t{file.n_bytes} bytes")
    print(published.address or f"dry run: nothing was sent; the files lie in {folder}")
