"""`bimotion evaluate` and `bimotion score`."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

import bimotion.cli.options as options
from bimotion.cli.options import option, spread
from bimotion.cli.terminal import leads, note, progress, show, verbose, warn_once
from bimotion.cli.workers import Workers
from bimotion.errors import ModelError, SettingError, printable
from bimotion.evaluation.presets import preset_named
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.spec import ModelSpec

SHOWN = 5
"""Differing scores that `score` names."""
MODEL = (
    "Hub id or folder of a transformers audio model, or bimotion/prosody, bimotion/majority, "
    "bimotion/random; may be repeated."
)


@spread
def evaluate(
    model: Annotated[list[str], option(MODEL, "--model", "-m")],
    track: Annotated[
        options.TrackName, option("Frozen, trained whole, or a classifier as it is.")
    ] = "probe",
    *,
    loading: options.BatchedLoading,
    corpora: options.Corpora,
    output: options.Output = Path("results"),
    task: options.Task,
    engine: Workers,
    check_invariance: Annotated[
        bool, option("Record how much a clip's batch changes what the model makes of it.")
    ] = False,
    overwrite: Annotated[bool, option("Run again what is finished.")] = False,
    dry_run: Annotated[bool, option("Print the plan and its cost, and stop.")] = False,
    as_json: options.AsJson = False,
    log: Annotated[bool, option("Log what is done on standard error.", "--verbose", "-v")] = False,
    probe: options.Probe,
    label_map: Annotated[
        Path | None,
        option("JSON: outputs -> emotions.", metavar="FILE", rich_help_panel="Track zero-shot"),
    ] = None,
    training: options.Training,
    save_checkpoints: Annotated[
        bool,
        option(
            "Beside the result.",
            "--save-checkpoints/--no-save-checkpoints",
            rich_help_panel=options.KEEPING,
        ),
    ] = True,
) -> None:
    """Evaluate a model: in-group, cross-group inference, augmentation and language distance over
    all cells."""
    from bimotion.evaluation.tracks import configured, require_taken

    if log:
        verbose()
    questions = task.questions
    methods = _methods(probe, [question["schema"] for question in questions])
    if len(model) * len(questions) * len(methods) > 1:
        warn_once()
    finetune = training.of_track(track, preset_named(task.preset).recipe)
    if dry_run:
        given = vars(probe) | {"adapt": methods[0], "label_map": label_map, "finetune": finetune}
        epochs = training.epochs if track == "finetune" else None
        for spec in map(loading.spec, model):
            require_taken(configured(track, **given), spec)
            _show_plans(spec, track, corpora, task, probe, methods, epochs)
        return
    from bimotion.evaluation import run

    shared = {
        "track": track,
        "output": output,
        "label_map": label_map,
        "finetune": finetune,
        "save_checkpoints": save_checkpoints,
        "check_invariance": check_invariance,
        "overwrite": overwrite,
        "progress": progress(),
        **vars(loading) | corpora.keywords | vars(probe),
    }
    asked = [
        shared | _with_seeds(question, method, methods) | {"adapt": method, "model": name}
        for name, question, method in itertools.product(model, questions, methods)
    ]
    results = []
    for result in run.evaluate_all(asked, engine.made()):
        results.append(result)
        if leads() and not as_json and len(methods) == 1:
            _report(result, output)
    if leads():
        _report_all(results, output, corpora, as_json=as_json, side_by_side=len(methods) > 1)


def _methods(probe: options.Probe, schemas: list[str]) -> list[str | None]:
    """Names of adaptation methods, one for each result; None: no adaptation. Raises SettingError
    before any work for one that has no form for the setting or a schema; `all` are those that have
    one for the setting."""
    from bimotion.adaptation import METHODS, methods_named
    from bimotion.evaluation.tracks.adapted import usable_method

    given = options.names(probe.adapt)
    if given is None:
        return [None]
    is_all = given == ["all"]
    if "all" in given and not is_all:
        raise SettingError(
            f"--adapt: expected all alone, or names of methods, found {', '.join(given)}"
        )
    methods = methods_named(METHODS if is_all else given)
    if is_all and probe.adapt_setting == "inductive":
        if absent := [method.name for method in methods if not method.inductive]:
            note(f"not run, for they have no inductive form: {', '.join(absent)}")
        methods = [method for method in methods if method.inductive]
    setting = probe.adapt_setting or "transductive"
    for method, schema in itertools.product(methods, schemas):
        usable_method(method.name, setting, schema)
    return [method.name for method in methods]


def _with_seeds(asked: dict, method: str | None, methods: list[str | None]) -> dict:
    """Keywords of one result: a method with nothing random, beside others, has the lowest seed."""
    from bimotion.adaptation import METHODS

    seeded = [name for name in methods if name is None or METHODS[name].seeded]
    if not seeded or method in seeded:
        return asked
    return asked | {"seeds": [min(asked["seeds"])]}


def _n_seeds(
    spec: ModelSpec, track: str, asked: dict, method: str | None, methods: list[str | None]
) -> int:
    """Seeds of one result; raises SettingError as the run would where nothing is random."""
    from bimotion.adaptation import METHODS
    from bimotion.evaluation.task import TaskSpec

    seeds = _with_seeds(asked, method, methods)["seeds"]
    is_seeded = METHODS[method].seeded if method else spec.name == "bimotion/random"
    if track != "finetune" and not is_seeded:
        TaskSpec.of(seeds=seeds).require_one_seed(spec.name)
    return len(seeds)


def _show_plans(
    spec: ModelSpec,
    track: str,
    corpora: options.Corpora,
    task: options.Task,
    probe: options.Probe,
    methods: list[str | None],
    epochs: int | None,
) -> None:
    """Print the plan of each question, and what it costs; `epochs`: of track finetune."""
    from bimotion.analysis import paper_tables
    from bimotion.evaluation import plan as planning
    from bimotion.evaluation.task import TaskSpec
    from bimotion.evaluation.tracks import TRACKS
    from bimotion.models.windows import heard_s
    from bimotion.results.run_spec import SplitUsed

    adapts = (probe.adapt_setting or "transductive") if probe.adapt else None
    trains = TRACKS[track].trains
    window = _window(spec)
    tables = []
    for keywords in task.questions:
        question = TaskSpec.of(**{name: keywords[name] for name in keywords if name != "preset"})
        labelled, plan = planning.plan(
            question, corpora.source(), progress(), trains=trains, adapts=adapts
        )
        durations_s = labelled.table.loc[plan.rows(), "duration_s"].to_numpy()
        hours = float(durations_s.sum()) / 3600
        table = paper_tables.plan_table(
            plan,
            hours,
            heard_h=heard_s(durations_s, window) / 3600,
            trains=trains,
            n_seeds=sum(_n_seeds(spec, track, keywords, method, methods) for method in methods),
            epochs=epochs,
        )
        split = SplitUsed(question.split_rule, question.split_seed, NUMBERS_VERSION, question.folds)
        table.title += f": split {split.name}, schema {question.schema}"
        tables.append(table)
    show(*tables)


def _window(spec: ModelSpec):
    """The window that a model hears whatever the clip (models/windows.py); None: it hears the clip,
    or that is not known. Raises SettingError for one that it cannot hear."""
    from bimotion.evaluation.tracks.probe import refuse_idle
    from bimotion.models.weights import configured
    from bimotion.models.windows import window_of

    if spec.is_baseline:
        return refuse_idle(spec)
    try:
        config, extractor, rate = configured(spec)
    except ModelError as error:
        note(f"what the model hears is not known ({error}): the plan counts the clips as they are")
        return None
    return window_of(spec, config, extractor, rate)


def _report(result, output: Path) -> None:
    """Print the tables of a result and where its files lie."""
    from bimotion.analysis import paper_tables
    from bimotion.results import record

    show(*paper_tables.transfer_tables(result))
    _report_skipped(result)
    print(result.folder(output) / record.RESULT_FILE)
    print(result.folder(output) / record.PREDICTIONS_FILE)


def _report_skipped(result) -> None:
    from bimotion.results.record import why_skipped

    print()
    if result.skipped:
        n_settings = len(result.skipped) + len(result.setting_ids)
        reasons = why_skipped(result.skipped)
        print(f"{len(result.skipped)} of {n_settings} settings skipped: {reasons}")


def _report_all(
    results: list, output: Path, corpora: options.Corpora, *, as_json: bool, side_by_side: bool
) -> None:
    """Print what follows on all results: JSON, or their list and a summary; `side_by_side`: tables
    of several adaptation methods, rule by rule."""
    from bimotion.analysis import paper_tables
    from bimotion.results import overview, record

    if as_json:
        texts = ",".join(result.to_json() for result in results)
        print(texts if len(results) == 1 else f"[{texts}]", end="")
        return
    if side_by_side:
        for _, same in itertools.groupby(
            results,
            key=lambda result: (result.model.name, result.split.rule, result.schema.name),
        ):
            methods = list(same)
            show(*paper_tables.adaptation_tables(methods))
            _report_skipped(methods[0])
        for result in results:
            print(result.folder(output) / record.RESULT_FILE)
    print(output / overview.LEADERBOARD_FILE)
    _summarise(results, output, corpora)


def _summarise(results: list, output: Path, corpora: options.Corpora) -> None:
    """Print the results in a few sentences."""
    from bimotion.analysis.runs import load
    from bimotion.analysis.summary import summary

    folders = [result.folder(output) for result in results]
    print(f"\n{summary(load(folders), folders, corpora.source())}")


def score(folder: options.RunFolder, as_json: options.AsJson = False) -> None:
    """Compute the scores of a run again from its predictions, without torch; exit code 1 where any
    differs."""
    from bimotion.analysis import paper_tables
    from bimotion.results import record, rescoring

    result, again = rescoring.rescore(folder)
    if as_json:
        print(again.to_json(), end="")
    else:
        show(*paper_tables.transfer_tables(again))
    if (version := result.split.version) != NUMBERS_VERSION:
        note(
            f"{folder}: made with numbers version {version}; its scores are those that version "
            f"{NUMBERS_VERSION} computes of its predictions, and may differ from the recorded ones"
        )
        return
    if differing := rescoring.differing_scores(result, again):
        differences = printable("; ".join(differing[:SHOWN]))
        note(
            f"{folder}: {len(differing)} recorded scores differ from those of the predictions: "
            f"{differences}{'; ...' * (len(differing) > SHOWN)}"
        )
        raise typer.Exit(1)
    if not as_json:
        print(f"\nall {len(again.scores)} scores are those of {record.RESULT_FILE}")
