"""Paper-shaped tables: Tables 3 and 4 of arXiv 2306.14517 for a result, beside the published
numbers.

Results come as results.record.Result; a Table is plain data, which the command line draws and files
take as Markdown.
"""

import itertools
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


def paper_tables(result) -> str:
    """Tables 3, 4 and 5 of arXiv 2306.14517 for a result, as far as they were run, in Markdown.

    Example::

        print(bimotion.paper_tables(bimotion.evaluate("bimotion/prosody", data_dir="/corpora")))
    """
    return "\n\n".join(table.markdown() for table in transfer_tables(result))


def transfer_tables(result) -> list[Table]:
    """Tables 3 (inference), 4 (augmentation), 5 (distance) and those beyond the paper of a result,
    as far as they were run."""
    run = [method for method in ("inference", "augmentation") if _was_run(result, method)]
    tables = [_transfer_table(result, method) for method in run]
    if result.track == "zero-shot":
        tables.append(_zero_shot_table(result))
    elif any(score.method == "distance" for score in result.scores):
        tables.append(_distance_table(result))
    methods = {score.method for score in result.scores}
    tables += [_plain_table(result, method) for method in BEYOND_THE_PAPER if method in methods]
    tables = tables or [_transfer_table(result, "inference")]
    tables[-1].notes += warnings(result)
    return tables


def _was_run(result, method: str) -> bool:
    return any(score.method == method and score.transfer != "in-group" for score in result.scores)


def _transfer_table(result, method: str) -> Table:
    scores = {
        transfer: [
            result.headline(transfer, "inference" if transfer == "in-group" else method, cell)
            for cell in CELLS
        ]
        for transfer in ROWS
    }
    number = {"inference": 3, "augmentation": 4}[method]
    title = f"Cross-group {method} (Table {number}): weighted F1, %, mean over each cell's corpora"
    table = Table(title, [result.title, *CELLS, "mean"])
    for transfer, values in scores.items():
        used = "inference" if transfer == "in-group" else method
        shown = [
            percent(value) + _mark(result, transfer, used, cell)
            for cell, value in zip(CELLS, values, strict=True)
        ]
        table.rows.append([_row_name(transfer), *shown, percent(_mean(values))])
    if (result.split.rule, result.schema.name, result.data.complete) == ("paper", "emotion", True):
        for transfer in ROWS:
            printed = PUBLISHED[transfer, "inference" if transfer == "in-group" else method]
            table.rows.append(
                [
                    f"{_row_name(transfer)}, XLSR-53 as printed",
                    *(f"{p:.2f}" for p in printed),
                    f"{_mean(printed):.2f}",
                ]
            )
    table.notes.append(_asked(result))
    if unseen := _untrained(result, method):
        table.notes.append(f"classes without any training clip: {'; '.join(unseen)}")
    return table


def _mark(
    result, transfer: str, method: str, test: str, train: tuple[str, ...] | None = None
) -> str:
    """What stands beside a number that says little."""
    asked = (transfer, method, test, "weighted_f1", "mean")
    rows = (
        s for s in result.scores if (s.transfer, s.method, s.test, s.metric, s.pooling) == asked
    )
    return ONE_CLASS * any(
        score.note for score in rows if train is None or tuple(score.train) == tuple(train)
    )


def _untrained(result, method: str) -> list[str]:
    """Settings of a table whose test classes were not all trained: no prediction of those can be
    right."""
    return sorted(
        f"{score.transfer} -> {score.test}/{score.corpus}: {', '.join(score.untrained)}"
        for score in result.scores
        if score.untrained and score.corpus and score.metric == "weighted_f1"
        if score.method == method or score.transfer == "in-group"
    )


def _asked(result) -> str:
    """What a table is of, in a line."""
    seeds = f"seed{'s' if len(result.seeds) > 1 else ''} {', '.join(map(str, result.seeds))}"
    limit = (
        f", LIMITED to {result.limit} clips of each corpus, cell and part"
        if result.limit is not None
        else ""
    )
    adapted = f"{result.adapt.summary}, " if result.adapt else ""
    asked = f"track {result.track}, split {result.split.rule}, schema {result.schema.name}"
    return f"{adapted}{asked}, {seeds}, run {result.key}{limit}"


def _distance_table(result) -> Table:
    """Table 5: a row a training set, a column a test language."""
    table = Table("Language distance (Table 5): weighted F1, %", [result.title, *DISTANCE_TESTS])
    for train, printed in PUBLISHED_DISTANCE.items():
        cells = tuple(train.split("+"))
        transfers = ["in-group" if cells == (test,) else "cross-lingual" for test in DISTANCE_TESTS]
        found = [
            result.headline(transfer, "distance", test, train=cells)
            for transfer, test in zip(transfers, DISTANCE_TESTS, strict=True)
        ]
        marks = [
            _mark(result, transfer, "distance", test, cells)
            for transfer, test in zip(transfers, DISTANCE_TESTS, strict=True)
        ]
        table.rows.append(
            [train, *(percent(value) + mark for value, mark in zip(found, marks, strict=True))]
        )
        if (result.split.rule, result.schema.name, result.data.complete) == (
            "paper",
            "emotion",
            True,
        ):
            table.rows.append(
                [
                    f"{train}, XLSR-53 as printed",
                    *("-" if value is None else f"{value:.2f}" for value in printed),
                ]
            )
    table.notes.append(_asked(result))
    return table


BEYOND_THE_PAPER = {
    "extension": "English adults to German, Persian and Urdu (protocol extension)",
    "cantonese": "Into Cantonese (protocol cantonese)",
}
"""Method -> title of its table."""


def _plain_table(result, method: str) -> Table:
    """A row a training set, a column a test cell, with its unweighted average recall beside it."""
    headlines = [
        score for score in result.scores if (score.metric, score.pooling) == ("weighted_f1", "mean")
    ]
    mine = {
        (tuple(score.train), score.test): score for score in headlines if score.method == method
    }
    trains, tests = (list(dict.fromkeys(names)) for names in zip(*mine, strict=True))
    title = f"{BEYOND_THE_PAPER[method]}: weighted F1 and UAR, %, mean over each cell's corpora"
    table = Table(title, [result.title, *(name for test in tests for name in (test, "UAR"))])
    for train in trains:
        shown = []
        for test, metric in itertools.product(tests, ("weighted_f1", "uar")):
            asked = (mine[train, test].transfer, method, test) if (train, test) in mine else None
            value = asked and result.headline(*asked, metric, train)
            shown.append(percent(value) + (_mark(result, *asked, train) if asked else ""))
        table.rows.append(["+".join(train), *shown])
    table.notes.append(_asked(result))
    untrained = {
        f"{'+'.join(train)} -> {test}": score.untrained
        for (train, test), score in mine.items()
        if score.untrained
    }
    if untrained:
        shown = "; ".join(f"{name}: {', '.join(classes)}" for name, classes in untrained.items())
        table.notes.append(f"classes without any training clip: {shown}")
    return table


def _zero_shot_table(result) -> Table:
    """A classifier as it is: a column a test set, and the share of its clips that the classifier
    has no class for."""
    found = [s for s in result.scores if (s.metric, s.pooling) == ("weighted_f1", "mean")]
    names = {
        "weighted F1": [percent(score.value) + ONE_CLASS * bool(score.note) for score in found],
        "clips outside its classes": [percent(score.out_of_label_space) for score in found],
    }
    table = Table(
        "Zero-shot: %, mean over each cell's corpora", [result.title, *_test_names(result, found)]
    )
    table.rows += [[name, *values] for name, values in names.items()]
    if unmapped := result.model.options.get("unmapped"):
        table.notes.append(f"outputs without an emotion of ours: {unmapped}")
    table.notes.append(_asked(result))
    return table


def _test_names(result, found: list) -> list[str]:
    """Cells; one that comes twice is, the second time, the one that language distance tests: of
    some corpora only."""
    seen: set[str] = set()
    names = []
    for score in found:
        names.append(f"{score.test} (distance)" if score.test in seen else score.test)
        seen.add(score.test)
    return names


def _row_name(transfer: str) -> str:
    return "in-group (baseline)" if transfer == "in-group" else transfer


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of a full row; None where any is missing, so that means stay comparable."""
    return None if None in values else sum(values) / len(values)


def warnings(result) -> list[str]:
    """What a reader must know before believing any row."""
    notes = []
    corpora = result.data.corpora
    if result.data.synthetic:
        notes.append(SYNTHETIC)
    elif not result.data.complete:
        parts = [
            f"{name} {used.n_found} of {used.n_published}"
            for name, used in corpora.items()
            if not used.complete
        ]
        notes.append(f"incomplete corpora (usable clips): {', '.join(parts)}")
    tested = {score.corpus for score in result.scores}
    if shared := [
        name for name, used in corpora.items() if used.speakers_shared and name in tested
    ]:
        notes.append(f"test speakers may be in training: {', '.join(shared)}")
    few = {
        f"{score.transfer} -> {score.test}, {score.note}": None
        for score in result.scores
        if score.note and score.pooling == "mean"
    }
    few |= {f"{fit.train}, {fit.note}": None for fit in result.fits if fit.note}
    if few:
        notes.append(f"one class, so these numbers say little: {' | '.join(few)}")
    if heard := summary(result.duplicates):
        notes.append(
            f"test clips with the samples of a training or validation clip: {'; '.join(heard)}"
        )
    if assumed := [name for name, used in corpora.items() if "assumed" in used.age_source]:
        notes.append(f"ages assumed, not known: {', '.join(assumed)}")
    return notes


def adaptation_tables(results: Sequence) -> list[Table]:
    """Results of one question under several adaptation methods, a row each: means over the settings
    of each kind of transfer (in the protocols beyond the paper, on each test cell), of weighted F1
    and of unweighted average recall. Empty where no two of them are of the same settings."""
    settings = [dict.fromkeys(SettingId.of(score) for score in result.scores) for result in results]
    if len(results) < 2 or any(one != settings[0] for one in settings):
        return []
    columns: dict[str, list[tuple]] = {}
    for setting in settings[0]:
        transfer, method, _, test = setting
        name = {"inference": transfer, "augmentation": f"{transfer}/{method}"}.get(
            method, f"{transfer}, {test}"
        )
        columns.setdefault(name, []).append(setting)
    tables = []
    for metric, said in (("weighted_f1", "weighted F1"), ("uar", "unweighted average recall")):
        table = Table(
            f"Adaptation of {results[0].model.name}: {said}, %, means over settings",
            ["method", "what it is", "target audio"],
        )
        table.header = [*table.header, *(f"{name} ({len(same)})" for name, same in columns.items())]
        for result in results:
            values = [
                _mean(
                    [
                        result.headline(transfer, method, test, metric, train)
                        for transfer, method, train, test in same
                    ]
                )
                for same in columns.values()
            ]
            seen = "seen" if result.adapt.target_seen else "not seen"
            table.rows.append(
                [result.adapt.method, result.adapt.title, seen, *map(percent, values)]
            )
        tables.append(table)
    one = results[0]
    tables[-1].notes = [
        f"{one.adapt.setting}, split {one.split.rule}, schema {one.schema.name}, seeds "
        f"{', '.join(map(str, one.seeds))}; intervals: result.json; which differences are "
        "real: bimotion compare",
        *warnings(one),
    ]
    return tables


def model_check_table(found) -> Table:
    """What `check-model` found (model_check.ModelCheck)."""
    table = Table(found.model, ["", ""])
    size = "" if found.n_parameters is None else f", {found.n_parameters / 1e6:.1f} M parameters"
    weights = "none" if found.weights_format is None else f"{found.weights_format}, run in "
    weights += (
        ""
        if found.weights_format is None
        else ("bfloat16" if found.device.startswith("cuda") else "float32")
    )
    table.rows += [
        ["family", f"{found.family}: {found.part}{size}"],
        ["weights", weights + (", with code of its own" if found.trusted_remote_code else "")],
        [
            "hears",
            f"{found.sample_rate_hz} Hz, "
            f"{'any length' if found.window_s is None else f'{found.window_s:g} s at once'}",
        ],
        ["gives", f"{found.n_layers} hidden states of {found.dim} numbers"],
        ["batches", found.padding],
        *(
            [f"clip of {name}" if name != "silence" else name, text]
            for name, text in found.clips.items()
        ),
        ["alone or together", f"features differ by at most {found.largest_difference:.1e}"],
        [
            "speed here",
            f"{found.clips_a_second:.1f} clips of 2 s a second, {found.realtime_factor:.1f} x "
            f"real time ({found.device})",
        ],
        [
            "probe, whole protocol",
            f"{found.protocol_clips} clips once: about {found.probe_hours:.1f} h here",
        ],
    ]
    if found.finetune_clip_visits is not None:
        table.rows.append(
            [
                "finetune, whole protocol",
                f"at most {found.finetune_clip_visits} clip visits (20 epochs, one seed)",
            ]
        )
    return table


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
    """Distinct training sets of a plan (plan.RunPlan), the settings that each serves, and what it
    costs.

    `hours`: of audio in all clips that are used; `heard_h`: what the model hears of them, windows
    filled up with silence (None: not known); `epochs`: of fine-tuning, at most; None: the encoder
    stays as it is.
    """
    table = Table("Plan", ["training set", "train", "validation", "test predictions", "settings"])
    for one in plan.training_sets:
        served = sum(setting.training_set == one.name for setting in plan.settings)
        table.rows.append(
            [
                one.name,
                *(str(len(rows)) for rows in (one.train, one.validation, one.test)),
                str(served),
            ]
        )
    distinct = f"{len(plan.training_sets)} distinct training sets serve " if trains else ""
    table.notes.append(f"{distinct}{len(plan.settings)} settings; {len(plan.skipped)} skipped")
    n_clips, audio = len(plan.rows()), f"{hours:.1f} h of audio"
    if heard_h is not None and f"{heard_h:.1f}" != f"{hours:.1f}":
        audio += f"; the model hears {heard_h:.1f} h, because its window is of one length"
    if epochs is None:
        heads = (
            f"; then {len(plan.training_sets) * n_seeds} heads on stored features" if trains else ""
        )
        table.notes.append(
            f"cost: each of {n_clips} clips ({audio}) goes through the model once{heads}"
        )
    else:
        visits = (
            n_seeds
            * epochs
            * sum(len(one.train) + len(one.validation) for one in plan.training_sets)
        )
        trainings, theirs = len(plan.training_sets) * n_seeds, visits / PAPERS_CLIPS_A_SECOND / 3600
        table.notes += [
            f"cost: at most {visits} clip visits (training and validation, {epochs} epochs) "
            f"in {trainings} trainings over {n_clips} clips, {audio}",
            f"the paper's recipe takes about {theirs:.1f} h for so many visits (XLSR-53, one H200)",
        ]
    return table
