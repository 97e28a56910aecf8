"""`bimotion evaluate` and `bimotion score`."""

import itertools
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from bimotion.cli.options import (
    MODEL_PANEL,
    AdaptSetting,
    AllowMissing,
    AsJson,
    Corpus,
    Device,
    HeadName,
    Only,
    ProtocolName,
    RequireSafetensors,
    Revision,
    Root,
    SchemaName,
    SplitRules,
    TrackName,
    TrustRemoteCode,
    locations,
    names,
    numbers,
    source,
)
from bimotion.cli.terminal import leads, progress, show, verbose, warn_once
from bimotion.errors import ModelError, SettingError
from bimotion.io.bounds import MAX_COUNT, MAX_SEED

MODEL = (
    "Hub id or folder of a transformers audio model, or bimotion/prosody, bimotion/majority, "
    "bimotion/random."
)
TRAINING = "Track finetune"
# pairs of flags would cut the names of the others at 80 columns
KEEPING = "Track finetune: precision and checkpoints"


def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL)],
    track: Annotated[
        TrackName, typer.Option("--track", help="frozen, trained whole, or a classifier as it is")
    ] = TrackName.probe,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    require_safetensors: RequireSafetensors = False,
    device: Device = None,
    batch_seconds: Annotated[
        float | None,
        typer.Option(
            "--batch-seconds",
            rich_help_panel=MODEL_PANEL,
            help="Of audio in one batch. (default: 80 on a CPU, 800 on a GPU)",
        ),
    ] = None,
    corpora: Root = None,
    corpus: Corpus = (),
    only: Only = (),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.")] = Path(
        "results"
    ),
    protocol: Annotated[
        ProtocolName, typer.Option("--protocol", help="Which settings to run.")
    ] = ProtocolName.all,
    cells: Annotated[
        list[str], typer.Option("--cells", help="Test in these cells alone, e.g. eng_eld,zho_eld.")
    ] = (),
    split_rule: Annotated[
        SplitRules,
        typer.Option(
            "--split-rule", help="paper: the published sizes; disjoint: speakers kept apart; both."
        ),
    ] = SplitRules.paper,
    split_seed: Annotated[
        int, typer.Option("--split-seed", min=0, max=MAX_SEED, help="Deal clips or speakers again.")
    ] = 0,
    schema: Annotated[
        SchemaName,
        typer.Option(
            "--schema", help="Classes: each corpus's emotions; valence; angry, happy, neutral, sad."
        ),
    ] = SchemaName.emotion,
    seeds: Annotated[
        str, typer.Option("--seeds", help="Seeds of the head or the training, e.g. 0,1,2.")
    ] = "0",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            max=MAX_COUNT,
            help="At most N clips of each corpus, cell and part; not submittable.",
        ),
    ] = None,
    allow_missing: AllowMissing = False,
    check_invariance: Annotated[
        bool,
        typer.Option(
            "--check-invariance",
            help="Record how much a clip's batch changes what the model makes of it.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Run again what is finished.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost, and stop.")
    ] = False,
    as_json: AsJson = False,
    log: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what is done on standard error.")
    ] = False,
    head: Annotated[
        HeadName | None,
        typer.Option(
            "--head",
            rich_help_panel="Track probe",
            help="layers: learned layer weighting + linear; logistic: regression on the best "
            "layer. (default: layers)",
        ),
    ] = None,
    adapt: Annotated[
        list[str],
        typer.Option(
            "--adapt",
            metavar="METHODS",
            rich_help_panel="Track probe",
            help="Unsupervised methods in place of the head, e.g. none,coral,nnpm (nnpm: a "
            "reconstruction); all of them: all. One result each.",
        ),
    ] = (),
    adapt_setting: Annotated[
        AdaptSetting | None,
        typer.Option(
            "--adapt-setting",
            rich_help_panel="Track probe",
            help="Adapted to all clips of the test cell, or to its train part. (default: "
            "transductive)",
        ),
    ] = None,
    label_map: Annotated[
        Path | None,
        typer.Option(
            "--label-map",
            metavar="FILE",
            rich_help_panel="Track zero-shot",
            help="JSON: outputs -> emotions.",
        ),
    ] = None,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", rich_help_panel=TRAINING)
    ] = 5e-5,
    dropout: Annotated[float, typer.Option("--dropout", rich_help_panel=TRAINING)] = 0.1,
    epochs: Annotated[int, typer.Option("--num-train-epochs", rich_help_panel=TRAINING)] = 20,
    patience: Annotated[
        int,
        typer.Option(
            "--early-stopping-patience",
            rich_help_panel=TRAINING,
            help="Epochs without a better loss.",
        ),
    ] = 5,
    batch_size: Annotated[
        int,
        typer.Option("--batch-size", rich_help_panel=TRAINING, help="Clips, over all processes."),
    ] = 8,
    gradient_accumulation: Annotated[
        int, typer.Option("--gradient-accumulation-steps", rich_help_panel=TRAINING)
    ] = 1,
    warmup_steps: Annotated[int, typer.Option("--warmup-steps", rich_help_panel=TRAINING)] = 0,
    weight_decay: Annotated[float, typer.Option("--weight-decay", rich_help_panel=TRAINING)] = 0.01,
    max_gradient_norm: Annotated[
        float, typer.Option("--max-grad-norm", rich_help_panel=TRAINING)
    ] = 1.0,
    freeze_feature_encoder: Annotated[
        bool, typer.Option("--freeze-feature-encoder", rich_help_panel=TRAINING)
    ] = False,
    lora_rank: Annotated[
        int | None,
        typer.Option(
            "--lora-rank", rich_help_panel=TRAINING, help="Low-rank updates alone (extra: peft)."
        ),
    ] = None,
    bf16: Annotated[
        bool | None,
        typer.Option("--bf16/--no-bf16", rich_help_panel=KEEPING, help="(default: on GPUs)"),
    ] = None,
    save_checkpoints: Annotated[
        bool,
        typer.Option(
            "--save-checkpoints/--no-save-checkpoints",
            rich_help_panel=KEEPING,
            help="Beside the result.",
        ),
    ] = True,
) -> None:
    """Evaluate a model: in-group, cross-group inference, augmentation and language distance over
    all cells."""
    asked = SimpleNamespace(**locals())
    if log:
        verbose()
    rules = ["paper", "disjoint"] if split_rule == "both" else [split_rule]
    methods = _methods(adapt, adapt_setting)
    if dry_run:
        _show_plans(asked, rules, len(methods))
        return
    if len(rules) * len(methods) > 1:
        warn_once()
    found = []
    for rule, method in itertools.product(rules, methods):
        found.append(_evaluated(asked, rule, method))
        if leads() and not as_json and len(methods) == 1:
            _report(found[-1], found[-1].folder(output))
    if leads():
        _print_all(found, rules, output, as_json=as_json)


_AS_THEY_ARE = (
    "track",
    "output",
    "protocol",
    "split_seed",
    "schema",
    "head",
    "adapt_setting",
    "label_map",
    "save_checkpoints",
    "revision",
    "trust_remote_code",
    "require_safetensors",
    "device",
    "batch_seconds",
    "limit",
    "allow_missing",
    "check_invariance",
    "overwrite",
)
"""Options that are keywords of `bimotion.evaluate` of the same name."""


def _evaluated(asked: SimpleNamespace, rule: str, method: str | None):
    """The result of one split rule and adaptation method."""
    from bimotion.evaluation import run

    return run.evaluate(
        asked.model,
        data_dir=asked.corpora,
        only=names(asked.only),
        locations=locations(asked.corpus),
        cells=names(asked.cells),
        seeds=numbers(asked.seeds),
        split_rule=rule,
        adapt=method,
        finetune=_training(asked),
        progress=progress(),
        **{name: getattr(asked, name) for name in _AS_THEY_ARE},
    )


def _print_all(found: list, rules: list[str], output: Path, *, as_json: bool) -> None:
    from bimotion.results import overview

    if as_json:
        texts = [result.to_json() for result in found]
        print(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]", end="")
        return
    if len(found) > len(rules):
        _report_methods(found, rules, output)
    print(output / overview.LEADERBOARD_FILE)


def _methods(adapt: list[str], setting: str | None) -> list[str | None]:
    """Names of adaptation methods, one for each result; None: no adaptation. Raises SettingError
    before any work for one that has no form for the setting; `all` are those that have."""
    from bimotion.adaptation import METHODS, methods_named

    asked = names(adapt)
    if asked is None:
        return [None]
    if "all" in asked and len(asked) > 1:
        raise SettingError(
            f"--adapt: expected all alone, or names of methods, found {', '.join(asked)}"
        )
    found = methods_named(METHODS if asked == ["all"] else asked)
    if asked == ["all"] and setting == "inductive":
        if absent := [method.name for method in found if not method.inductive]:
            print(f"not run, for they have no inductive form: {', '.join(absent)}", file=sys.stderr)
        found = [method for method in found if method.inductive]
    for method in found:
        method.require(setting or "transductive")
    return [method.name for method in found]


def _training(asked: SimpleNamespace):
    """FinetuneOptions of track `finetune`; for other tracks None, and an error where the user gave
    any."""
    from bimotion.models.training import FinetuneOptions

    given = {field.name: getattr(asked, field.name) for field in fields(FinetuneOptions)}
    options, plain = FinetuneOptions(**given), FinetuneOptions()
    if asked.track == "finetune":
        return options
    changed = [name for name in given if getattr(options, name) != getattr(plain, name)]
    if changed:
        raise SettingError(f"{changed[0]}: expected with track finetune, found track {asked.track}")
    return None


def _show_plans(asked: SimpleNamespace, rules: list[str], n_methods: int) -> None:
    from bimotion.analysis import paper_tables
    from bimotion.evaluation import plan as planning
    from bimotion.evaluation.task import TaskSpec
    from bimotion.evaluation.tracks import TRACKS
    from bimotion.models.inputs import heard_s
    from bimotion.models.spec import ModelSpec

    adapts = (asked.adapt_setting or "transductive") if asked.adapt else None
    trains = TRACKS[asked.track].trains
    where = source(asked.corpora, asked.corpus, asked.only, asked.allow_missing)
    window, rate = _window(ModelSpec(asked.model, asked.revision, asked.trust_remote_code))
    for rule in rules:
        task = TaskSpec.of(
            protocol=asked.protocol,
            cells=names(asked.cells),
            split_rule=rule,
            split_seed=asked.split_seed,
            schema=asked.schema,
            seeds=numbers(asked.seeds),
            limit=asked.limit,
        )
        labelled, plan = planning.plan(task, where, progress(), trains=trains, adapts=adapts)
        durations_s = labelled.table.loc[plan.rows(), "duration_s"].to_numpy()
        hours = float(durations_s.sum()) / 3600
        table = paper_tables.plan_table(
            plan,
            hours,
            heard_h=hours if window is None else heard_s(durations_s, window, rate) / 3600,
            trains=trains,
            n_seeds=len(task.seeds) * n_methods,
            epochs=asked.epochs if asked.track == "finetune" else None,
        )
        show(table)


def _window(spec) -> tuple[int | None, int]:
    """Samples and rate of the one window that a model hears, whatever the clip; (None, 1): it hears
    the clip, or who knows."""
    from bimotion.models.inputs import fixed_window
    from bimotion.models.weights import configured

    if spec.is_baseline:
        return None, 1
    try:
        config, extractor, rate = configured(spec)
    except ModelError as error:
        print(
            f"what the model hears is not known ({error}): the plan counts the clips as they are",
            file=sys.stderr,
        )
        return None, 1
    return fixed_window(config, extractor, rate), rate


def _report(result, folder: Path) -> None:
    from bimotion.analysis import paper_tables
    from bimotion.results import record

    show(*paper_tables.transfer_tables(result))
    _report_skipped(result)
    print(folder / record.RESULT_FILE)
    print(folder / record.PREDICTIONS_FILE)


def _report_skipped(result) -> None:
    if result.skipped:
        reasons = sorted({reason for skip in result.skipped for reason in skip.reason.split("; ")})
        n_run = len(result.setting_ids)
        print(
            f"{len(result.skipped)} of {len(result.skipped) + n_run} settings skipped: "
            f"{'; '.join(reasons)}"
        )


def _report_methods(found: list, rules: list[str], output: Path) -> None:
    """Results of several adaptation methods side by side, rule by rule."""
    from bimotion.analysis import paper_tables
    from bimotion.results import record

    for rule in rules:
        same = [result for result in found if result.split.rule == rule]
        show(*paper_tables.adaptation_tables(same))
        _report_skipped(same[0])
    for result in found:
        print(result.folder(output) / record.RESULT_FILE)


def score(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of a run: result.json and predictions.parquet."),
    ],
    as_json: AsJson = False,
) -> None:
    """Compute the scores of a run again from its predictions, without torch; exit code 1 where any
    differs."""
    from bimotion.analysis import paper_tables
    from bimotion.results import rescoring

    result, again = rescoring.rescore(folder)
    if as_json:
        print(again.to_json(), end="")
    else:
        show(*paper_tables.transfer_tables(again))
    if again.scores != result.scores:
        print(
            f"{folder}: the recorded scores differ from those of the predictions", file=sys.stderr
        )
        raise typer.Exit(1)
