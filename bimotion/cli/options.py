"""Options that several commands take, each declared once.

A data class of options stands for all of them in the signature of a command: `spread` makes the
command line from its fields. Names of registries are written out here, so that `--help` loads none
of them; a test keeps them equal.
"""

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

import typer

from bimotion.data.rules import DEFAULT_RULE
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation.presets import preset_named
from bimotion.io.bounds import MAX_COUNT, MAX_SEED
from bimotion.models.spec import ModelSpec

TrackName = Literal["probe", "finetune", "zero-shot"]
AdaptSetting = Literal["transductive", "inductive"]
ProtocolName = Literal[
    "all",
    "distance",
    "in-group",
    "inference",
    "augmentation",
    "augmentation-matched",
    "extension",
    "cantonese",
    "leakage",
    "paper",
]
SplitRule = Literal["paper", "disjoint", "folds"]
PresetName = Literal["benchmark", "paper"]
SchemaName = Literal["emotion", "valence", "four"]
RecipeName = Literal["benchmark", "paper"]
AdamW = Literal["torch", "transformers"]
Precision = Literal["bf16", "fp16", "fp32"]
RULES = (
    "folds: cross-validation, everybody is tested; paper: the published sizes; disjoint: speakers "
    "kept apart."
)
CLASSES = "emotion: each corpus's own; valence: three; four: angry, happiness, neutral, sadness."
# panels of their own: choices, and pairs of flags, would cut the other names at 80 columns
RECIPE = "Track finetune: recipe"
PARTS = "Track finetune: parts of the recipe"
KEEPING = "Track finetune: checkpoints"
WINDOW = {"metavar": "model|clip|SECONDS"}


def option(text: str | None, *names: str, **settings: Any) -> typer.models.OptionInfo:
    """An option with its help; without names it has that of its parameter."""
    return typer.Option(*names, help=text, **settings)


def argument(metavar: str | None, text: str, **settings: Any) -> typer.models.ArgumentInfo:
    """A positional argument with its help."""
    return typer.Argument(metavar=metavar, help=text, **settings)


def spread(command: Callable) -> Callable:
    """A command whose parameters of data classes become one option for each field; a boolean
    without names is a flag that has no opposite."""
    bundles, parameters = {}, []
    for parameter in inspect.signature(command).parameters.values():
        declared, panel = [parameter], None
        if is_dataclass(parameter.annotation):
            bundle = bundles[parameter.name] = parameter.annotation
            panel = getattr(bundle, "panel", None)
            declared = [
                parameter.replace(name=field.name, default=field.default, annotation=field.type)
                for field in fields(bundle)
            ]
        parameters += [_described(item, panel) for item in declared]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: bundle(**{field.name: given.pop(field.name) for field in fields(bundle)})
            for name, bundle in bundles.items()
        }
        command(**given, **made)

    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _described(parameter: inspect.Parameter, panel: str | None) -> inspect.Parameter:
    """A parameter by keyword with its option, in a panel unless that names its own."""
    kind, info = parameter.annotation, typer.Option()
    if get_origin(kind) is Annotated:
        kind, info = get_args(kind)
    info = copy(info)
    info.rich_help_panel = info.rich_help_panel or panel
    if kind is bool and info.default is ...:  # in Annotated the first name stands there
        info.param_decls = (f"--{parameter.name.replace('_', '-')}",)
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info])


RunFolder = Annotated[
    Path, argument("DIR", "Folder of a run: result.json and predictions.parquet.")
]
Output = Annotated[Path, option("Folder for results.", "--output", "-o")]
AsJson = Annotated[bool, option("Print JSON.", "--json")]
AllowMissing = Annotated[bool, option("Go on without corpora or clips that are missing.")]
Practice = Annotated[
    bool, option("Synthetic and incomplete data too, marked: only for trying out.")
]
MetadataOnly = Annotated[bool, option("Everything but the sound.")]
Only = Annotated[
    list[str],
    option("Use only these corpora, e.g. --only tess --only csed or tess,csed.", metavar="NAME"),
]
Rule = Annotated[SplitRule, option(RULES)]
Fold = Annotated[int, option("Of --split-rule folds: which clips are tested.", min=0, max=4)]
Device = Annotated[str | None, option("cpu, cuda, cuda:1, ... (default: cuda if there is one)")]


@dataclass(frozen=True)
class Folders:
    """The folders of the corpora."""

    only: ClassVar = ()
    allow_missing: ClassVar = False

    corpora: Annotated[
        Path | None,
        option("Folder with one sub-folder a corpus. (default: $BIMOTION_CORPORA)", metavar="ROOT"),
    ] = None
    corpus: Annotated[
        list[str],
        option("Where one corpus lies, if not below ROOT; may be repeated.", metavar="NAME=PATH"),
    ] = ()

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of the public calls; raises SettingError."""
        return {
            "data_dir": self.corpora,
            "only": names(self.only),
            "locations": locations(self.corpus),
            "allow_missing": self.allow_missing,
        }

    def source(self, **changes: Any) -> CorpusSource:
        """The corpora of these options; raises SettingError."""
        return replace(CorpusSource.of(**self.keywords), **changes)


@dataclass(frozen=True)
class Chosen(Folders):
    """The folders of the corpora, and which of them are used."""

    only: Only = ()


@dataclass(frozen=True)
class Corpora(Chosen):
    """Corpora of which some, or some clips, may be missing."""

    allow_missing: AllowMissing = False


@dataclass(frozen=True)
class Loading:
    """The model of a command: how it is loaded."""

    panel: ClassVar = "The model"

    revision: Annotated[str | None, option("Branch, tag or commit of the model on the Hub.")] = None
    trust_remote_code: Annotated[bool, option("Run the model's own code (recorded).")] = False
    require_safetensors: Annotated[bool, option("Refuse pickled weights.")] = False
    device: Device = None
    window: Annotated[
        str, option("Of Whisper, AST: their own, the clip and 1 s, or at least so long.", **WINDOW)
    ] = "model"

    def spec(self, model: str) -> ModelSpec:
        """The model of that name, loaded so."""
        return ModelSpec(model, **vars(self))


@dataclass(frozen=True)
class BatchedLoading(Loading):
    """The same of a model that is run over many clips."""

    batch_seconds: Annotated[
        float | None, option("Of audio in one batch. (default: 80 on a CPU, 800 on a GPU)")
    ] = None


@dataclass(frozen=True)
class Question:
    """The question that a model is asked."""

    split_rule: Rule = DEFAULT_RULE
    split_seed: Annotated[int, option("Deal clips or speakers again.", min=0, max=MAX_SEED)] = 0
    schema: Annotated[SchemaName, option(CLASSES)] = "valence"
    limit: Annotated[
        int | None,
        option(
            "At most N clips of each corpus, cell and part; not submittable.", min=1, max=MAX_COUNT
        ),
    ] = None


@dataclass(frozen=True)
class Task(Question):
    """The question of a run, or several: under both older split rules, under both schemas."""

    preset: Annotated[
        PresetName,
        option("benchmark: split folds, schema valence; paper: as the paper. Options override it."),
    ] = "benchmark"
    protocol: Annotated[
        ProtocolName | None, option("Which settings to run. (default: the preset's)")
    ] = None
    cells: Annotated[list[str], option("Test only in these cells, e.g. eng_eld,zho_eld.")] = ()
    split_rule: Annotated[
        Literal[SplitRule, "both"] | None,
        option(f"{RULES} both: paper and disjoint. (default: the preset's)"),
    ] = None
    folds: Annotated[int | None, option("Only the first N of five folds.", min=1, max=5)] = None
    schema: Annotated[
        Literal[SchemaName, "both"] | None,
        option(f"{CLASSES} both: valence and emotion. (default: the preset's)"),
    ] = None
    seeds: Annotated[
        str | None, option("Of whatever is random, such as a training: 0,1,2. (default: 0)")
    ] = None

    @property
    def questions(self) -> list[dict[str, Any]]:
        """Keywords of `bimotion.evaluate`, for one result each; raises SettingError."""
        preset = preset_named(self.preset)
        rule, schema = self.split_rule or preset.split_rule, self.schema or preset.schema
        lists = {
            "protocol": self.protocol or preset.protocol,
            "cells": names(self.cells),
            "seeds": list(preset.seeds) if self.seeds is None else numbers(self.seeds),
        }
        return [
            vars(self) | lists | {"split_rule": one_rule, "schema": one_schema}
            for one_rule in (("paper", "disjoint") if rule == "both" else (rule,))
            for one_schema in (("valence", "emotion") if schema == "both" else (schema,))
        ]


@dataclass(frozen=True)
class Probe:
    """Options of track `probe`; the other tracks refuse them."""

    panel: ClassVar = "Track probe"

    adapt: Annotated[
        list[str],
        option(
            "Unsupervised methods in place of the head, e.g. none,coral,nnpm (nnpm: a "
            "reconstruction); all of them: all. One result each.",
            metavar="METHODS",
        ),
    ] = ()
    adapt_setting: Annotated[
        AdaptSetting | None,
        option(
            "Adapted to all clips of the test cell, or to its train part. (default: transductive)"
        ),
    ] = None


@dataclass(frozen=True)
class Training:
    """Fields of FinetuneOptions, under the names that transformers gives them; None: as the recipe
    says."""

    panel: ClassVar = "Track finetune"

    recipe: Annotated[
        RecipeName | None,
        option("paper: exactly as its code. (default: the preset's)", rich_help_panel=RECIPE),
    ] = None
    learning_rate: float = 5e-5
    dropout: float = 0.1
    epochs: Annotated[int, option(None, "--num-train-epochs")] = 20
    patience: Annotated[
        int, option("Epochs without a better loss.", "--early-stopping-patience")
    ] = 5
    batch_size: Annotated[int, option("Clips, over all processes.")] = 8
    gradient_accumulation: Annotated[int, option(None, "--gradient-accumulation-steps")] = 1
    warmup_steps: int = 0
    max_gradient_norm: Annotated[float, option(None, "--max-grad-norm")] = 1.0
    freeze_feature_encoder: Annotated[bool, option(None)] = False
    lora_rank: Annotated[int | None, option("Only low-rank updates (extra: peft).")] = None
    weight_decay: Annotated[float | None, option("(default: 0.01; paper: 0)")] = None
    adamw: Annotated[
        AdamW | None,
        option("Of which library. (default: torch; paper: transformers)", rich_help_panel=RECIPE),
    ] = None
    precision: Annotated[
        Precision | None,
        option("On GPUs. (default: bf16; paper: fp16)", rich_help_panel=RECIPE),
    ] = None
    loss_over_labels: Annotated[
        bool | None,
        option(
            "Divide the loss by labels too. (paper)",
            "--loss-over-labels/--loss-over-clips",
            rich_help_panel=PARTS,
        ),
    ] = None
    raw_amplitude: Annotated[
        bool | None,
        option("Scale no waveform. (paper)", "--raw-amplitude/--scaled", rich_help_panel=PARTS),
    ] = None
    silence_untrained: Annotated[
        bool | None,
        option(
            "Never predict what no clip trains. (benchmark)",
            "--silence-untrained/--random-untrained",
            rich_help_panel=PARTS,
        ),
    ] = None
    similar_lengths: Annotated[
        bool | None,
        option(
            "Batches of similar lengths. (benchmark)",
            "--similar-lengths/--random-batches",
            rich_help_panel=PARTS,
        ),
    ] = None
    whole_clips: Annotated[
        bool | None,
        option("Cut none at 30 s. (paper)", "--whole-clips/--windows", rich_help_panel=PARTS),
    ] = None

    def of_track(self, track: str, recipe: str = "benchmark"):
        """FinetuneOptions of track `finetune`, None for the others; raises SettingError where the
        user gave any of them to another track. `recipe`: where none is given."""
        from bimotion.models.recipe import FinetuneOptions

        given = {name: value for name, value in vars(self).items() if value is not None}
        plain = FinetuneOptions(recipe=recipe)
        options = FinetuneOptions(**{"recipe": recipe} | given)
        if track == "finetune":
            return options
        if changed := [name for name in given if given[name] != getattr(plain, name)]:
            raise SettingError(f"{changed[0]}: expected with track finetune, found track {track}")
        return None


def numbers(text: str) -> list[int]:
    """Seeds from `0,1,2`."""
    items = [item.strip() for item in text.split(",")]
    if not all(item.isascii() and item.isdigit() and len(item) <= 10 for item in items):
        raise SettingError(
            f"--seeds: expected whole numbers such as 0,1,2, each below 2**32, found {text[:80]!r}"
        )
    return [int(item) for item in items]


def names(given: list[str]) -> list[str] | None:
    """Names from an option that may be repeated and may hold several with commas.

    Returns:
        The names; None where the option was not given.

    Raises:
        SettingError: It was given without a name: a variable of the shell that is not set must not
            mean everything.

    >>> names(["a, b", "c"])
    ['a', 'b', 'c']
    """
    parts = [name.strip() for item in given for name in item.split(",") if name.strip()]
    if given and not parts:
        raise SettingError(
            f"expected a name, or several with commas, found an empty option {given[0]!r}"
        )
    return parts or None


def locations(given: list[str]) -> dict[str, str]:
    """Corpus -> path, from NAME=PATH; raises SettingError."""
    paths: dict[str, str] = {}
    for item in given:
        name, _, path = item.partition("=")
        if not path or name in paths:
            raise SettingError(
                "--corpus: expected NAME=PATH once for a corpus, such as tess=/data/TESS, found "
                f"{item!r}"
            )
        paths[name] = path
    return paths
