"""What a report says of single labels: their F1, and what they were taken for."""

from collections.abc import Iterable

import numpy as np

from bimotion.analysis.compare import Run
from bimotion.analysis.report.document import MISSING, Grid, Section, Value
from bimotion.analysis.report.scorebook import Scorebook, name_of, trained_on
from bimotion.io.tables import percent
from bimotion.protocol.published import CELLS
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import Result, Score
from bimotion.results.statistics.bootstrap import rows_of


def labels(run: Run, book: Scorebook) -> Section:
    """F1 of each label, a table a test set."""
    text = (
        "Binary F1 of each label in %, for every test set and what was trained for it. Below "
        "a label its test clips; of a clip with several labels the first counts."
    )
    return Section("labels", "F1 of each label", (text,), grids=tuple(_label_grids(run, book)))


def confusions(run: Run, book: Scorebook) -> Section:
    """A confusion matrix a setting; only those of in-group and zero-shot settings are open at
    once."""
    return Section(
        "confusion",
        "Confusion matrices",
        _confusion_text(run.result),
        grids=tuple(_confusions(run, book)),
    )


def _label_grids(run: Run, book: Scorebook) -> Iterable[Grid]:
    """A table a test set (cell and corpus): rows are settings, columns labels."""
    tests: dict[tuple, list[Setting]] = {}
    for setting in book.settings:
        for corpus in book.corpora(setting):
            settings = tests.setdefault((str(setting.test), corpus), [])
            # what trains on nothing says the same of these clips in every setting
            if setting.train or not settings:
                settings.append(setting)
    for (cell, corpus), settings in sorted(tests.items(), key=lambda one: _place(one[0])):
        labels = [
            name
            for name in run.schema.classes
            if any(book.score(one, corpus, f"f1_{name}") for one in settings)
        ]
        if labels:
            counts = _clips_of_labels(run, cell, corpus)
            head = [
                Value("trained on"),
                *(Value(name, f"{counts.get(name, 0)} clips") for name in labels),
            ]
            rows = [
                [
                    trained_for(one),
                    *(_label(book.score(one, corpus, f"f1_{name}"), name) for name in labels),
                ]
                for one in settings
            ]
            yield Grid(f"{cell}, {corpus}", head, rows)


def _place(test: tuple[str, str]) -> tuple:
    return CELLS.index(test[0]) if test[0] in CELLS else len(CELLS), test


def trained_for(setting: Setting) -> Value:
    """What was trained for a test set, and how it relates to it."""
    of = (
        f"{setting.transfer}, {setting.method}"
        if setting.method not in ("inference", "zero-shot")
        else setting.transfer
    )
    return Value(trained_on(setting), of)


def _label(score: Score | None, name: str) -> Value:
    if score is None or score.value is None:
        return MISSING
    unable = "never trained" if score.train else "no output"
    return Value(percent(score.value), unable if name in score.untrained else "", share=score.value)


def _clips_of_labels(run: Run, cell: str, corpus: str) -> dict[str, int]:
    rows = run.predictions[
        (run.predictions["cell"] == cell) & (run.predictions["corpus"] == corpus)
    ].drop_duplicates("id")
    if rows.empty:
        return {}
    part = test_set(rows, corpus)
    totals = part.confusion().sum(axis=1).tolist()
    return {run.schema.classes[place]: n for place, n in zip(part.candidates, totals, strict=True)}


def _confusion_text(result: Result) -> tuple[str, ...]:
    text = (
        "A row is what clips are, a column what they were taken for: the share of the row in "
        "%, and below it the clips. All corpora of the cell together, each predicted among "
        "its own labels; clips without a marked label are left out, and of several labels "
        "the first counts. Outlined: right."
    )
    several = f"Clips are counted once for each of {len(result.seeds)} seeds."
    return (text, several) if len(result.seeds) > 1 else (text,)


def _confusions(run: Run, book: Scorebook) -> Iterable[Grid]:
    settings = [one for one in book.settings if one in book.headlines]
    for setting in sorted(settings, key=lambda one: one.transfer not in ("in-group", "zero-shot")):
        parts = [
            test_set(rows, None) for _, rows in rows_of(run.predictions, setting).groupby("seed")
        ]
        counts, places = sum(part.confusion() for part in parts), parts[0].candidates
        classes = [run.schema.classes[place] for place in places]
        columns = [*classes, "none"] if counts[:, -1].any() else classes
        rows = [
            [
                Value(name, f"{row.sum()} clips"),
                *(
                    _counted(n, row.sum(), place == column)
                    for column, n in enumerate(row[: len(columns)])
                ),
            ]
            for place, (name, row) in enumerate(zip(classes, counts, strict=True))
            if row.any()
        ]
        absent = [name for name, row in zip(classes, counts, strict=True) if not row.any()]
        notes = (f"No test clip of {', '.join(absent)}.",) if absent else ()
        folded = setting.transfer not in ("in-group", "zero-shot")
        yield Grid(
            name_of(setting), [Value("is, taken for"), *map(Value, columns)], rows, notes, folded
        )


def _counted(n: np.integer, total: np.integer, right: bool) -> Value:
    return Value(f"{100 * n / total:.1f}", str(n), share=float(n / total), ringed=right)
