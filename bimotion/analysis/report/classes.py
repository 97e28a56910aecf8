"""The part of a report on single labels: their F1, and what they were taken for."""

from collections.abc import Iterable

from bimotion.analysis.report.charts import labels as bars
from bimotion.analysis.report.document import MISSING, Grid, Section, Value
from bimotion.analysis.report.scorebook import Scorebook, name_of, trained_on
from bimotion.analysis.runs import Run
from bimotion.io.drawing import Drawing
from bimotion.io.tables import percent
from bimotion.protocol.published import CELLS
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set, with_class
from bimotion.results.record import Score
from bimotion.results.statistics.from_predictions import rows_of

CONFUSION_KEY = (
    "Row: what clips are; column: what they were taken for; share of the row in %, below it the "
    "clips. Outlined: right."
)
METRICS_OF_LABELS = {"f1": "", "ap": ": AP, %", "auc": ": AUC, %"}
"""Metric -> what its table adds to the name of the test set."""


def labels(run: Run, book: Scorebook) -> Section:
    """F1 of each label, a table a test set."""
    text = (
        "Binary F1 of each label in %, for every test set and what was trained for it. Below "
        f"a label its test clips; {_several(run)}."
    )
    grids, drawings = tuple(_label_grids(run, book)), tuple(_label_drawings(run, book))
    return Section("labels", "F1 of each label", (text,), grids=grids, drawings=drawings)


def _several(run: Run) -> str:
    if run.schema.single_form:
        return "of a clip with several labels the first counts"
    return (
        "a corpus whose clips have several labels or none is scored label by label, and has the "
        "average precision (AP) and the area under the ROC curve (AUC) of each, too"
    )


def confusions(run: Run, book: Scorebook) -> Section:
    """A confusion matrix a setting; only those of in-group and zero-shot settings are open at
    once."""
    text = (
        "A row is what clips are, a column what they were taken for: the share of the row in "
        "%, and below it the clips. All corpora of the cell together, each predicted among "
        "its own labels; clips without a marked label are left out, and of several labels "
        f"{'the first counts' if run.schema.single_form else 'too'}. Outlined: right.",
    )
    if (n_seeds := len(run.result.seeds)) > 1:
        text += (f"Clips are counted once for each of {n_seeds} seeds.",)
    settings = sorted(book.headlines, key=_is_folded)
    grids = tuple(_confusion(run, setting) for setting in settings)
    return Section("confusion", "Confusion matrices", text, grids=grids)


def _label_drawings(run: Run, book: Scorebook) -> Iterable[Drawing]:
    """Bars a test set (cell and corpus), of what was trained in the cell, else of the first."""
    for (cell, corpus), settings in _tests(book).items():
        own = [setting for setting in settings if not _is_folded(setting)]
        shown = (own or settings)[0]
        known = ((name, book.score(shown, corpus, f"f1_{name}")) for name in run.schema.classes)
        if scores := {name: score for name, score in known if score is not None}:
            title = f"{cell}, {corpus}; trained on {trained_on(shown)}"
            clips = _clips_of_labels(run, cell, corpus)
            yield bars.drawing_of(f"label-bars-{cell}-{corpus}", title, scores, clips)


def _tests(book: Scorebook) -> dict[tuple[str, str], list[Setting]]:
    """Test set (cell and corpus) -> its settings, cells in the order of the protocol."""
    tests: dict[tuple[str, str], list[Setting]] = {}
    for setting in book.settings:
        for corpus in book.corpora(setting):
            settings = tests.setdefault((str(setting.test), corpus), [])
            # what trains on nothing says the same of these clips in every setting
            if setting.train or not settings:
                settings.append(setting)
    order = {cell: number for number, cell in enumerate(CELLS)}
    names = sorted(tests, key=lambda test: (order.get(test[0], len(CELLS)), test))
    return {name: tests[name] for name in names}


def _label_grids(run: Run, book: Scorebook) -> Iterable[Grid]:
    """A table a test set: rows are settings, columns labels."""
    for (cell, corpus), settings in _tests(book).items():
        counts = _clips_of_labels(run, cell, corpus)
        for metric, title in METRICS_OF_LABELS.items():
            scores = {
                setting: {
                    name: book.score(setting, corpus, f"{metric}_{name}")
                    for name in run.schema.classes
                }
                for setting in settings
            }
            names = [
                name
                for name in run.schema.classes
                if any(by_name[name] for by_name in scores.values())
            ]
            head = [Value(name, f"{counts.get(name, 0)} clips") for name in names]
            rows = [
                [trained_for(setting), *(_label(by_name[name], name) for name in names)]
                for setting, by_name in scores.items()
            ]
            if names:
                grid_title = f"{cell}, {corpus}{title}"
                shown = title.removeprefix(": ").removesuffix(", %") or "F1"
                key = f"{shown} of each label in %; a row a training set"
                head = [Value("trained on"), *head]
                yield Grid(grid_title, head, rows, folded=bool(title), key=key)


def trained_for(setting: Setting) -> Value:
    """The training set of a setting, and how it relates to the test set."""
    plain = setting.method in ("inference", "zero-shot")
    relation = setting.transfer if plain else f"{setting.transfer}, {setting.method}"
    return Value(trained_on(setting), relation)


def _label(score: Score | None, name: str) -> Value:
    if score is None or score.value is None:
        return MISSING
    unable = "never trained" if score.train else "no output"
    return Value(percent(score.value), unable if name in score.untrained else "", share=score.value)


def _clips_of_labels(run: Run, cell: str, corpus: str) -> dict[str, int]:
    table = run.predictions
    rows = table[(table["cell"] == cell) & (table["corpus"] == corpus)].drop_duplicates("id")
    if (rows := with_class(rows, run.schema)).empty:
        return {}
    totals = test_set(rows, run.schema).decisions[0].sum(axis=0).tolist()
    return dict(zip(run.schema.classes, totals, strict=True))


def _is_folded(setting: Setting) -> bool:
    return setting.transfer not in ("in-group", "zero-shot")


def _confusion(run: Run, setting: Setting) -> Grid:
    by_seed = rows_of(run.predictions, setting).groupby("seed")
    parts = [test_set(rows, run.schema) for _, rows in by_seed]
    counts = sum(part.confusion() for part in parts)
    classes = [run.schema.classes[label] for label in parts[0].candidates]
    columns = [*classes, "none"] if counts[:, -1].any() else classes
    rows, absent = [], []
    for right, (name, row) in enumerate(zip(classes, counts.tolist(), strict=True)):
        if not (total := sum(row)):
            absent.append(name)
            continue
        cells = [
            Value(f"{100 * n / total:.1f}", str(n), share=n / total, ringed=column == right)
            for column, n in enumerate(row[: len(columns)])
        ]
        rows.append([Value(name, f"{total} clips"), *cells])
    notes = (f"No test clip of {', '.join(absent)}.",) if absent else ()
    head = [Value("is, taken for"), *map(Value, columns)]
    return Grid(name_of(setting), head, rows, notes, _is_folded(setting), CONFUSION_KEY)
