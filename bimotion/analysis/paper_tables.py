"""Paper-shaped tables: Tables 3 to 5 of arXiv 2306.14517 for a result, beside the published
numbers; and what `evaluate --dry-run` and `check-model` print.

Results come as results.record.Result; a Table is plain data, which the command line draws and files
take as Markdown.
"""

from collections.abc import Sequence

from bimotion.io.tables import Table, percent
from bimotion.protocol.published import (
    CELLS,
    DISTANCE_TESTS,
    PUBLISHED,
    PUBLISHED_DISTANCE,
    SYNTHETIC,
)
from bimotion.protocol.settings import SettingId
from bimotion.results.duplicates import summary

ONE_CLASS = " (one class)"
"""Beside a number of a test set of one class, or of a model that can predict one; `warnings` say
which."""
ROWS = ("cross-all", "cross-age", "cross-lingual", "in-group")
TRANSFER_TABLES = {"inference": 3, "augmentation": 4}
"""Method -> number of the paper's table."""
BEYOND_THE_PAPER = {
    "extension": "English adults to German, Persian and Urdu (protocol extension)",
    "cantonese": "Into Cantonese (protocol cantonese)",
}
"""Method -> title of its table."""


def paper_tables(result) -> str:
    """Tables 3, 4 and 5 of arXiv 2306.14517 for a result, as far as they were run, in Markdown.

    Example::

        print(bimotion.paper_tables(bimotion.evaluate("bimotion/prosody", data_dir="/corpora")))
    """
    return "\n\n".join(table.markdown() for table in transfer_tables(result))


def transfer_tables(result) -> list[Table]:
    """Tables 3 (inference), 4 (augmentation), 5 (distance) and those beyond the paper of a result,
    as far as they were run."""
    methods = {score.method for score in result.scores}
    crossing = {score.method for score in result.scores if score.transfer != "in-group"}
    tables = [_transfer_table(result, name) for name in TRANSFER_TABLES if name in crossing]
    if result.track == "zero-shot":
        tables.append(_zero_shot_table(result))
    elif "distance" in methods:
        tables.append(_distance_table(result))
    tables += [_plain_table(result, method) for method in BEYOND_THE_PAPER if method in methods]
    tables = tables or [_transfer_table(result, "inference")]
    tables[-1].notes += warnings(result)
    return tables


def _transfer_table(result, method: str) -> Table:
    title = f"Cross-group {method} (Table {TRANSFER_TABLES[method]})"
    table = Table(f"{title}: weighted F1, %, mean over each cell's corpora", [])
    table.header = [result.title, *CELLS, "mean"]
    printed_rows = []
    for transfer in ROWS:
        baseline = transfer == "in-group"
        name = "in-group (baseline)" if baseline else transfer
        how = (transfer, "inference" if baseline else method)
        texts = [_number(result, (*how, cell)) for cell in CELLS]
        mean = _mean([result.headline(*how, cell) for cell in CELLS])
        table.rows.append([name, *texts, percent(mean)])
        printed = PUBLISHED[how]
        printed_rows.append(_printed_row(name, [*printed, _mean(printed)]))
    if _is_the_papers_question(result):
        table.rows += printed_rows
    table.notes.append(_asked(result))
    untrained = sorted(
        f"{score.transfer} -> {score.test}/{score.corpus}: {', '.join(score.untrained)}"
        for score in result.scores
        if score.untrained and score.corpus and score.metric == "weighted_f1"
        if score.method == method or score.transfer == "in-group"
    )
    _note_untrained(table, untrained)
    return table


def _distance_table(result) -> Table:
    """Table 5: a row a training set, a column a test language."""
    table = Table("Language distance (Table 5): weighted F1, %", [result.title, *DISTANCE_TESTS])
    for train, printed in PUBLISHED_DISTANCE.items():
        cells, texts = tuple(train.split("+")), []
        for test in DISTANCE_TESTS:
            transfer = "in-group" if cells == (test,) else "cross-lingual"
            texts.append(_number(result, (transfer, "distance", test), train=cells))
        table.rows.append([train, *texts])
        if _is_the_papers_question(result):
            table.rows.append(_printed_row(train, printed))
    table.notes.append(_asked(result))
    return table


def _plain_table(result, method: str) -> Table:
    """A row a training set, a column a test cell, with its unweighted average recall beside it."""
    scores = {
        (tuple(score.train), score.test): score
        for score in _headlines(result)
        if score.method == method
    }
    trains, tests = (list(dict.fromkeys(names)) for names in zip(*scores, strict=True))
    title = f"{BEYOND_THE_PAPER[method]}: weighted F1 and UAR, %, mean over each cell's corpora"
    table = Table(title, [result.title, *(name for test in tests for name in (test, "UAR"))])
    for train in trains:
        texts = []
        for test in tests:
            score = scores.get((train, test))
            setting = score and (score.transfer, method, test)
            for metric in ("weighted_f1", "uar"):
                texts.append(_number(result, setting, metric, train) if setting else "-")
        table.rows.append(["+".join(train), *texts])
    table.notes.append(_asked(result))
    settings = {
        f"{'+'.join(train)} -> {test}: {', '.join(score.untrained)}": None
        for (train, test), score in scores.items()
        if score.untrained
    }
    _note_untrained(table, settings)
    return table


def _zero_shot_table(result) -> Table:
    """A classifier as it is: a column a test set, and the share of its clips that the classifier
    has no class for."""
    scores = _headlines(result)
    names: list[str] = []
    for score in scores:  # a cell that comes twice is, then, what language distance tests of it
        names.append(f"{score.test} (distance)" if score.test in names else score.test)
    table = Table("Zero-shot: %, mean over each cell's corpora", [result.title, *names])
    values = [percent(score.value) + ONE_CLASS * bool(score.note) for score in scores]
    table.rows = [
        ["weighted F1", *values],
        ["clips outside its classes", *(percent(score.out_of_label_space) for score in scores)],
    ]
    if unmapped := result.model.options.get("unmapped"):
        table.notes.append(f"outputs without an emotion of ours: {unmapped}")
    table.notes.append(_asked(result))
    return table


def _headlines(result) -> list:
    """Scores in weighted F1, the mean over a cell's corpora."""
    return [
        score for score in result.scores if (score.metric, score.pooling) == ("weighted_f1", "mean")
    ]


def _number(result, setting: tuple[str, str, str], metric="weighted_f1", train=None) -> str:
    """A headline as text, marked where it says little; `setting`: transfer, method and test."""
    text = percent(result.headline(*setting, metric, train))
    says_little = any(
        score.note
        for score in _headlines(result)
        if (score.transfer, score.method, score.test) == setting
        if train is None or tuple(score.train) == train
    )
    return text + ONE_CLASS * says_little


def _is_the_papers_question(result) -> bool:
    """Whether the printed numbers may stand beside those of a result."""
    asked = (result.split.rule, result.schema.name, result.data.complete)
    return asked == ("paper", "emotion", True)


def _printed_row(name: str, values: Sequence[float | None]) -> list[str]:
    texts = ("-" if value is None else f"{value:.2f}" for value in values)
    return [f"{name}, XLSR-53 as printed", *texts]


def _note_untrained(table: Table, settings: Sequence[str]) -> None:
    """Say which test classes training had no clip of: no prediction of those can be right."""
    if settings:
        table.notes.append(f"classes without any training clip: {'; '.join(settings)}")


def _asked(result) -> str:
    """What a table is of, in a line."""
    words = [result.adapt.summary] if result.adapt else []
    words += [f"track {result.track}", f"split {result.split.rule}"]
    words.append(f"schema {result.schema.name}")
    words.append(f"seed{'s' * (len(result.seeds) > 1)} {', '.join(map(str, result.seeds))}")
    words.append(f"run {result.key}")
    if result.limit is not None:
        words.append(f"LIMITED to {result.limit} clips of each corpus, cell and part")
    return ", ".join(words)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of a full row; None where any is missing, so that means stay comparable."""
    return None if None in values else sum(values) / len(values)


def warnings(result) -> list[str]:
    """What a reader must know before believing any row."""
    corpora = result.data.corpora
    incomplete = [
        f"{name} {used.n_found} of {used.n_published}"
        for name, used in corpora.items()
        if not (used.complete or result.data.synthetic)
    ]
    tested = {score.corpus for score in result.scores}
    shared = [name for name, used in corpora.items() if used.speakers_shared and name in tested]
    of_one_class = {
        f"{score.transfer} -> {score.test}, {score.note}": None
        for score in result.scores
        if score.note and score.pooling == "mean"
    }
    of_one_class |= {f"{fit.train}, {fit.note}": None for fit in result.fits if fit.note}
    assumed = [name for name, used in corpora.items() if "assumed" in used.age_source]
    notes = [SYNTHETIC] if result.data.synthetic else []
    for text, names, separator in (
        ("incomplete corpora (usable clips)", incomplete, ", "),
        ("test speakers may be in training", shared, ", "),
        ("one class, so these numbers say little", of_one_class, " | "),
        (
            "test clips with the samples of a training or validation clip",
            summary(result.duplicates),
            "; ",
        ),
        ("ages assumed, not known", assumed, ", "),
    ):
        if names:
            notes.append(f"{text}: {separator.join(names)}")
    return notes


def adaptation_tables(results: Sequence) -> list[Table]:
    """Results of one question under several adaptation methods, a row each: means over the settings
    of each kind of transfer (in the protocols beyond the paper, on each test cell), of weighted F1
    and of unweighted average recall. Empty where no two of them are of the same settings."""
    settings = [dict.fromkeys(SettingId.of(score) for score in result.scores) for result in results]
    if len(results) < 2 or any(others != settings[0] for others in settings):
        return []
    columns: dict[str, list[SettingId]] = {}
    for setting in settings[0]:
        transfer, method, _, test = setting
        of_the_paper = {"inference": transfer, "augmentation": f"{transfer}/augmentation"}
        name = of_the_paper.get(method, f"{transfer}, {test}")
        columns.setdefault(name, []).append(setting)
    titles = {"weighted_f1": "weighted F1", "uar": "unweighted average recall"}
    tables = [_adaptation_table(results, columns, metric, titles[metric]) for metric in titles]
    first = results[0]
    tables[-1].notes = [
        f"{first.adapt.setting}, split {first.split.rule}, schema {first.schema.name}, seeds "
        f"{', '.join(map(str, first.seeds))}; intervals: result.json; which differences are "
        "real: bimotion compare",
        *warnings(first),
    ]
    return tables


def _adaptation_table(
    results: Sequence, columns: dict[str, list[SettingId]], metric: str, metric_title: str
) -> Table:
    """A row a method; `columns`: title -> the settings whose mean it shows."""
    table = Table(
        f"Adaptation of {results[0].model.name}: {metric_title}, %, means over settings",
        ["method", "what it is", "target audio"],
    )
    table.header += [f"{name} ({len(same)})" for name, same in columns.items()]
    for result in results:
        adapt = result.adapt
        row = [adapt.method, adapt.title, "seen" if adapt.target_seen else "not seen"]
        for same in columns.values():
            values = [
                result.headline(transfer, method, test, metric, train)
                for transfer, method, train, test in same
            ]
            row.append(percent(_mean(values)))
        table.rows.append(row)
    return table


def model_check_table(check) -> Table:
    """What `check-model` prints (model_check.ModelCheck)."""
    n, weights = check.n_parameters, "none"
    if check.weights_format is not None:
        number_format = "bfloat16" if check.device.startswith("cuda") else "float32"
        weights = f"{check.weights_format}, run in {number_format}"
    window = "any length" if check.window_s is None else f"{check.window_s:g} s at once"
    speed = (
        f"{check.clips_a_second:.1f} clips of 2 s a second, {check.realtime_factor:.1f} x real "
        f"time ({check.device})"
    )
    size = "" if n is None else f", {n / 1e6:.1f} M parameters"
    facts = {
        "family": f"{check.family}: {check.part}{size}",
        "weights": weights + (", with code of its own" if check.trusted_remote_code else ""),
        "hears": f"{check.sample_rate_hz} Hz, {window}",
        "gives": f"{check.n_layers} hidden states of {check.dim} numbers",
        "batches": check.padding,
    }
    for name, text in check.clips.items():
        facts["silence" if name == "silence" else f"clip of {name}"] = text
    facts["alone or together"] = f"features differ by at most {check.largest_difference:.1e}"
    facts["speed here"] = speed
    facts["probe, whole protocol"] = (
        f"{check.protocol_clips} clips once: about {check.probe_hours:.1f} h here"
    )
    if (visits := check.finetune_clip_visits) is not None:
        facts["finetune, whole protocol"] = f"at most {visits} clip visits (20 epochs, one seed)"
    return Table(check.model, ["", ""], [list(fact) for fact in facts.items()])


PAPERS_CLIPS_A_SECOND = 35.6
"""Training clips a second of the paper's recipe with XLSR-53: fp16, gradient checkpointing, batches
of 8 in random order, as we measured it on one NVIDIA H200 (2026-11-20)."""


def plan_table(
    plan,
    hours: float,
    *,
    heard_h: float | None = None,
    trains: bool = True,
    n_seeds: int = 1,
    epochs: int | None = None,
) -> Table:
    """The distinct training sets of a plan, the settings that each serves, and what it costs.

    Args:
        plan: The plan (evaluation.plan.RunPlan).
        hours: Audio in all clips that are used.
        heard_h: What the model hears of them, windows filled up with silence; None: not known.
        trains: Whether the track trains at all.
        n_seeds: Trainings of each training set.
        epochs: Epochs of fine-tuning, at most; None: the encoder stays as it is.
    """
    table = Table("Plan", ["training set", "train", "validation", "test predictions", "settings"])
    for job in plan.training_sets:
        sizes = (str(len(rows)) for rows in (job.train, job.validation, job.test))
        served = sum(setting.training_set == job.name for setting in plan.settings)
        table.rows.append([job.name, *sizes, str(served)])
    n_clips, n_sets, audio = len(plan.rows()), len(plan.training_sets), f"{hours:.1f} h of audio"
    if heard_h is not None and f"{heard_h:.1f}" != f"{hours:.1f}":
        audio += f"; the model hears {heard_h:.1f} h, because its window is of one length"
    distinct = f"{n_sets} distinct training sets serve " if trains else ""
    table.notes = [f"{distinct}{len(plan.settings)} settings; {len(plan.skipped)} skipped"]
    if epochs is None:
        heads = f"; then {n_sets * n_seeds} heads on stored features" if trains else ""
        table.notes.append(
            f"cost: each of {n_clips} clips ({audio}) goes through the model once{heads}"
        )
        return table
    n_heard = sum(len(job.train) + len(job.validation) for job in plan.training_sets)
    visits = n_seeds * epochs * n_heard
    table.notes += [
        f"cost: at most {visits} clip visits (training and validation, {epochs} epochs) "
        f"in {n_sets * n_seeds} trainings over {n_clips} clips, {audio}",
        f"the paper's recipe takes about {visits / PAPERS_CLIPS_A_SECOND / 3600:.1f} h for so many "
        "visits (XLSR-53, one H200)",
    ]
    return table
