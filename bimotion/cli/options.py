"""Options that several commands take, and what their text means."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError


class SplitRule(StrEnum):
    """How clips are dealt into parts."""

    paper = "paper"
    disjoint = "disjoint"


class SplitRules(StrEnum):
    """One rule, or both side by side."""

    paper = "paper"
    disjoint = "disjoint"
    both = "both"


class SchemaName(StrEnum):
    """Label schemas."""

    emotion = "emotion"
    valence = "valence"
    four = "four"


class TrackName(StrEnum):
    """How a model is used."""

    probe = "probe"
    finetune = "finetune"
    zero_shot = "zero-shot"


class HeadName(StrEnum):
    """Heads of a probe."""

    layers = "layers"
    logistic = "logistic"


class AdaptSetting(StrEnum):
    """What a method is adapted to."""

    transductive = "transductive"
    inductive = "inductive"


class ProtocolName(StrEnum):
    """Named lists of settings."""

    all = "all"
    distance = "distance"
    in_group = "in-group"
    inference = "inference"
    augmentation = "augmentation"
    extension = "extension"
    cantonese = "cantonese"


Root = Annotated[
    Path | None,
    typer.Option(
        "--corpora",
        metavar="ROOT",
        help="Folder with one sub-folder a corpus. (default: $BIMOTION_CORPORA)",
    ),
]
Corpus = Annotated[
    list[str],
    typer.Option(
        "--corpus",
        metavar="NAME=PATH",
        help="Where one corpus lies, if not below ROOT; may be repeated.",
    ),
]
Only = Annotated[
    list[str],
    typer.Option(
        "--only",
        metavar="NAME",
        help="Use these corpora alone, e.g. --only tess --only csed or tess,csed.",
    ),
]
Rule = Annotated[
    SplitRule,
    typer.Option("--split-rule", help="paper: the published sizes; disjoint: speakers kept apart."),
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Go on without corpora or clips that are not there.")
]
Practice = Annotated[
    bool,
    typer.Option(
        "--practice", help="Synthetic and incomplete data too, marked: for trying out alone."
    ),
]
MODEL_PANEL = "The model"
Revision = Annotated[
    str | None,
    typer.Option(
        "--revision",
        rich_help_panel=MODEL_PANEL,
        help="Branch, tag or commit of the model on the Hub.",
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        rich_help_panel=MODEL_PANEL,
        help="Run the model's own code (recorded).",
    ),
]
RequireSafetensors = Annotated[
    bool,
    typer.Option(
        "--require-safetensors",
        rich_help_panel=MODEL_PANEL,
        help="Refuse pickled weights, though no code of theirs would run.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        rich_help_panel=MODEL_PANEL,
        help="cpu, cuda, cuda:1, ... (default: cuda if there is one)",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Listen = Annotated[
    bool,
    typer.Option("--listen/--no-listen", help="Decode every clip (finds silence and duplicates)."),
]


def numbers(text: str) -> list[int]:
    """Seeds from `0,1,2`."""
    items = [item.strip() for item in text.split(",")]
    if not all(item.isascii() and item.isdigit() and len(item) <= 10 for item in items):
        raise SettingError(
            f"--seeds: expected whole numbers such as 0,1,2, each below 2**32, found {text[:80]!r}"
        )
    return [int(item) for item in items]


def names(only: list[str]) -> list[str] | None:
    """Names from an option that may be repeated and may hold several with commas; None where it was
    not given. Raises SettingError where it was, without a name: a variable of the shell that is not
    set must not mean everything.

    >>> names(["a, b", "c"])
    ['a', 'b', 'c']
    """
    found = [name.strip() for item in only for name in item.split(",") if name.strip()]
    if only and not found:
        raise SettingError(
            f"expected a name, or several with commas, found an empty option {only[0]!r}"
        )
    return found or None


def source(
    corpora: Path | None, corpus: list[str], only: list[str] = (), allow_missing: bool = False
) -> CorpusSource:
    """Of the options --corpora, --corpus, --only and --allow-missing; raises SettingError."""
    return CorpusSource.of(corpora, names(only), locations(corpus), allow_missing)


def locations(corpus: list[str]) -> dict[str, str]:
    """Corpus -> path, from NAME=PATH; raises SettingError."""
    places: dict[str, str] = {}
    for item in corpus:
        name, _, path = item.partition("=")
        if not path or name in places:
            raise SettingError(
                "--corpus: expected NAME=PATH once for a corpus, such as tess=/data/TESS, found "
                f"{item!r}"
            )
        places[name] = path
    return places
