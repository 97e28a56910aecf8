"""Paper-shaped tables: Tables 3 to 5 of arXiv 2306.14517 for a result, beside the published
numbers; and what `evaluate --dry-run` and `check-model` print.

Results come as results.record.Result; a Table is plain data, which the command line draws and files
take as Markdown.
"""

from collections.abc import Iterator, Sequence

from bimotion.analysis.human import append_human_rows
from bimotion.io.tables import Table, percent
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import settings as protocol
from bimotion.protocol.published import (
    CELLS,
    DISTANCE_TESTS,
    PUBLISHED,
    PUBLISHED_DISTANCE,
    SYNTHETIC,
)
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results.duplicates import summary
from bimotion.results.record import why_skipped
from bimotion.results.reservations import joined, meanings, reservations, with_mark

ROWS = ("cross-all", "cross-age", "cross-lingual", "in-group")
PAPERS_QUESTION = ("paper", "emotion", True)
"""Split rule, schema and completeness of the results that printed numbers may stand beside."""
MEANS = "weighted F1, %, mean over each cell's corpora"
TABLES = {
    "inference": f"Cross-group inference (Table 3): {MEANS}",
    "augmentation": f"Cross-group augmentation (Table 4): {MEANS}",
    "distance": "Language distance (Table 5): weighted F1, %",
}
"""Method -> title of its table in the paper."""
OLD_NUMBERS = f"not to be held against runs of version {NUMBERS_VERSION}"
BEYOND_THE_PAPER = {
    "extension": "English adults to German, Persian and Urdu (protocol extension)",
    "cantonese": "Into Cantonese",
    "leakage": "Training with one leak or none (protocol leakage)",
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
    crossing.discard("distance")
    tables = [_paper_table(result, method) for method in TABLES if method in crossing]
    if result.track == "zero-shot":
        tables.append(_zero_shot_table(result))
    elif "distance" in methods:
        tables.append(_paper_table(result, "distance"))
    tables += [_plain_table(result, method) for method in BEYOND_THE_PAPER if method in methods]
    tables = tables or [_paper_table(result, "inference")]
    for table in tables:
        table.notes += meanings(text for row in table.rows for text in row)
    tables[-1].notes += warnings(result)
    return tables


def paper_rows(method: str) -> Iterator[tuple[str, list[Setting | None], list[float | None]]]:
    """The rows of Table 3, 4 or 5: a name, the setting of each column, what is printed there."""
    known = protocol.PROTOCOLS[method]
    if method == "distance":
        by_sets = {(setting.training_set, str(setting.test)): setting for setting in known}
        for train, printed in PUBLISHED_DISTANCE.items():
            name = f"{train}@{'+'.join(protocol.DISTANCE_CORPORA)}"
            yield train, [by_sets.get((name, test)) for test in DISTANCE_TESTS], list(printed)
        return
    by_transfer = {(setting.transfer, str(setting.test)): setting for setting in known}
    for transfer in ROWS:
        printed = PUBLISHED[transfer, "inference" if transfer == "in-group" else method]
        yield transfer, [by_transfer[transfer, cell] for cell in CELLS], list(printed)


def _paper_table(result, method: str) -> Table:
    """Table 3, 4 or 5; the printed rows stand below ours, in Table 5 each below its own."""
    of_distance = method == "distance"
    columns = DISTANCE_TESTS if of_distance else (*CELLS, "mean")
    table, beside, notes = Table(TABLES[method], [result.title, *columns]), [], {}
    for name, settings, printed in paper_rows(method):
        name = f"{name} (baseline)" if name == "in-group" else name
        texts = [_number(result, setting.id) if setting else "-" for setting in settings]
        if not of_distance:
            texts.append(_mean_number(result, settings))
            printed.append(_mean(printed))
        table.rows.append([name, *texts])
        for text, twins in twin_rows(result, method, settings):
            texts = [_number(result, setting.id) for setting in twins]
            texts.append(_mean_number(result, twins))
            table.rows.append([f"{name}, {text.partition(':')[0]}", *texts])
            notes[text] = None
        known = ("-" if value is None else f"{value:.2f}" for value in printed)
        beside.append([f"{name}, XLSR-53 as printed", *known])
    if (result.split.rule, result.schema.name, result.data.complete) == PAPERS_QUESTION:
        pairs = zip(table.rows, beside, strict=True)
        table.rows = [row for pair in pairs for row in pair] if of_distance else table.rows + beside
    table.notes.append(_asked(result))
    if not of_distance:
        append_human_rows(table, result.human, synthetic=result.data.synthetic)
    table.notes += notes
    untrained = sorted(
        f"{score.transfer} -> {score.test}/{score.corpus}: {', '.join(score.untrained)}"
        for score in result.scores
        if score.untrained and score.corpus and score.metric == "weighted_f1"
        if score.method == method or score.transfer == "in-group"
    )
    _note_untrained(table, [] if of_distance else untrained)
    return table


def twin_rows(
    result, method: str, settings: Sequence[Setting]
) -> Iterator[tuple[str, list[Setting]]]:
    """Yield what each twin of a row of Table 4 is (`TWINS`), and its settings, where it was run."""
    if method != "augmentation" or any(setting.transfer == "in-group" for setting in settings):
        return
    for kind, text in protocol.TWINS.items():
        twins = [protocol.twin(setting, kind) for setting in settings]
        if result.setting_ids.intersection(setting.id for setting in twins):
            yield text, twins


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
            for metric in ("weighted_f1", "uar"):
                texts.append(_number(result, SettingId.of(score), metric) if score else "-")
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
    marked = reservations(result)
    values = [with_mark(percent(score.value), marked.get(SettingId.of(score))) for score in scores]
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


def _headline(result, setting: SettingId, metric: str = "weighted_f1") -> float | None:
    return result.headline(setting.transfer, setting.method, setting.test, metric, setting.train)


def _number(result, setting: SettingId, metric: str = "weighted_f1") -> str:
    """A headline as text, marked where little is left of it."""
    value = _headline(result, setting, metric)
    return with_mark(percent(value), reservations(result).get(setting))


def _mean_number(result, settings: Sequence[Setting]) -> str:
    """The mean of a row as text, with every mark of its numbers."""
    mean = _mean([_headline(result, setting.id) for setting in settings])
    mark = joined([reservations(result)], [setting.id for setting in settings])
    return with_mark(percent(mean), mark)


def _note_untrained(table: Table, settings: Sequence[str]) -> None:
    """Say which test classes training had no clip of: no prediction of those can be right."""
    if settings:
        table.notes.append(f"classes without any training clip: {'; '.join(settings)}")


def _asked(result) -> str:
    """The question that a table answers, in a line."""
    words = [result.adapt.summary] if result.adapt else []
    words += [f"track {result.track}", f"split {result.split.name}"]
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
    """The notes that a reader must know before believing any row."""
    corpora = result.data.corpora
    incomplete = [
        f"{name} {used.n_found} of {used.n_published}"
        for name, used in corpora.items()
        if not (used.complete or result.data.synthetic)
    ]
    tested = {score.corpus for score in result.scores}
    shared = [name for name, used in corpora.items() if used.speakers_shared and name in tested]
    of_one_class = [
        f"{score.transfer} -> {score.test}, {score.note}"
        for score in result.scores
        if score.note and (score.pooling, score.metric) == ("mean", "weighted_f1")
    ]
    of_one_class += [f"{fit.train}, {fit.note}" for fit in result.fits if fit.note]
    assumed = [name for name, used in corpora.items() if "assumed" in used.age_source]
    heard = summary(result.duplicates)
    version = result.split.version
    notes = {
        SYNTHETIC: result.data.synthetic,
        f"numbers version {version}: {OLD_NUMBERS}": version != NUMBERS_VERSION,
        f"incomplete corpora (usable clips): {', '.join(incomplete)}": incomplete,
        f"test speakers may be in training: {', '.join(shared)}": shared,
        "one class, so these numbers say little: "
        f"{' | '.join(dict.fromkeys(of_one_class))}": of_one_class,
        f"test clips with the samples of a training or validation clip: {'; '.join(heard)}": heard,
        f"ages assumed, not known: {', '.join(assumed)}": assumed,
    }
    return [note for note, is_needed in notes.items() if is_needed]


def adaptation_tables(results: Sequence) -> list[Table]:
    """Results of one question under several adaptation methods, a row each: means over the settings
    of each kind of transfer (in the protocols beyond the paper, on each test cell), of weighted F1
    and of unweighted average recall. Empty where no two of them are of the same settings."""
    settings = [dict.fromkeys(SettingId.of(score) for score in result.scores) for result in results]
    if len(results) < 2 or any(known != settings[0] for known in settings):
        return []
    columns: dict[str, list[SettingId]] = {}
    for setting in settings[0]:
        transfer, method, _, test = setting
        of_the_paper = {"inference": transfer, "augmentation": f"{transfer}/augmentation"}
        name = of_the_paper.get(method, f"{transfer}, {test}")
        columns.setdefault(name, []).append(setting)
    titles = {"weighted_f1": "weighted F1", "uar": "unweighted average recall"}
    tables = [_adaptation_table(results, columns, metric, titles[metric]) for metric in titles]
    first, seeds = results[0], max((result.seeds for result in results), key=len)
    tables[-1].notes = [
        f"{first.adapt.setting}, split {first.split.name}, schema {first.schema.name}, seeds "
        f"{', '.join(map(str, seeds))}; intervals: result.json; which differences are "
        "real: bimotion compare",
        *meanings(text for table in tables for row in table.rows for text in row[3:]),
        *warnings(first),
    ]
    return tables


def _adaptation_table(
    results: Sequence, columns: dict[str, list[SettingId]], metric: str, metric_title: str
) -> Table:
    """A row a method; `columns`: title -> the settings whose mean it shows."""
    table = Table(
        f"Adaptation of {results[0].model.title}: {metric_title}, %, means over settings",
        ["method", "what it is", "target audio"],
    )
    table.header += [f"{name} ({len(same)})" for name, same in columns.items()]
    for result in results:
        adapt, marked = result.adapt, reservations(result)
        row = [adapt.method, adapt.title, "seen" if adapt.target_seen else "not seen"]
        for same in columns.values():
            mean = _mean([_headline(result, setting, metric) for setting in same])
            row.append(with_mark(percent(mean), joined([marked], same)))
        table.rows.append(row)
    return table


def model_check_table(check) -> Table:
    """The table that `check-model` prints (model_check.ModelCheck)."""
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
        "gives": f"hidden states: {check.n_layers}, of {check.dim} numbers each",
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


def _range(sizes: Sequence[int]) -> str:
    """Numbers of several folds: `180`, or `170-180`."""
    return "-".join(map(str, sorted({min(sizes), max(sizes)})))


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
        n_seeds: Trainings of each training set in each fold.
        epochs: Epochs of fine-tuning, at most; None: the encoder stays as it is.
    """
    table = Table("Plan", ["training set", "train", "validation", "test predictions", "settings"])
    by_name: dict[str, list] = {}
    for job in plan.training_sets:
        by_name.setdefault(job.name, []).append(job)
    for name, jobs in by_name.items():
        sizes = [(len(job.train), len(job.validation), len(job.test)) for job in jobs]
        train, validation, test = zip(*sizes, strict=True)
        served = sum(setting.training_set == name for setting in plan.settings)
        table.rows.append([name, _range(train), _range(validation), str(sum(test)), str(served)])
    n_clips, n_trainings = len(plan.rows()), len(plan.training_sets) * n_seeds
    audio, folds = f"{hours:.1f} h of audio", {job.fold for job in plan.training_sets}
    in_folds = f" in {len(folds)} folds" if len(folds) > 1 else ""
    if heard_h is not None and f"{heard_h:.1f}" != f"{hours:.1f}":
        audio += f"; the model hears {heard_h:.1f} h, filled up to its window"
    distinct = f"{len(by_name)} distinct training sets{in_folds} serve " if trains else ""
    table.notes = [f"{distinct}{len(plan.settings)} settings"]
    if plan.skipped:
        table.notes.append(f"{len(plan.skipped)} skipped: {why_skipped(plan.skipped)}")
    if epochs is None:
        heads = f"; then {n_trainings} heads on stored features" if trains else ""
        table.notes.append(
            f"cost: each of {n_clips} clips ({audio}) goes through the model once{heads}"
        )
        return table
    n_heard = sum(len(job.train) + len(job.validation) for job in plan.training_sets)
    visits = n_seeds * epochs * n_heard
    table.notes += [
        f"cost: at most {visits} clip visits (training and validation, {epochs} epochs) "
        f"in {n_trainings} trainings over {n_clips} clips, {audio}",
        f"the paper's recipe takes about {visits / PAPERS_CLIPS_A_SECOND / 3600:.1f} h for so many "
        "visits (XLSR-53, one H200)",
    ]
    return table
