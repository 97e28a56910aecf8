"""The scores of a report: tables in the shape of the paper's, beside the paper's, and heat maps of
training set by test set."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bimotion.analysis.human import HUMAN_NOTE, human_rows
from bimotion.analysis.leakage import leakage_table
from bimotion.analysis.paper_tables import paper_rows, twin_rows
from bimotion.analysis.report.charts import transfers
from bimotion.analysis.report.document import MISSING, Grid, Section, Value, Whisker
from bimotion.analysis.report.scorebook import Scorebook, trained_on
from bimotion.analysis.runs import METRIC, Run
from bimotion.io.tables import percent
from bimotion.protocol.published import CELLS, DISTANCE_TESTS
from bimotion.protocol.settings import TWINS, Setting
from bimotion.results.record import Result, Score
from bimotion.results.reservations import meanings
from bimotion.results.statistics.interval import Interval

TABLE_TITLES = {
    "inference": "Table 3, cross-group inference: trained on another cell",
    "augmentation": "Table 4, cross-group augmentation: trained on the cell and others",
    "distance": "Table 5, language distance: ESD and YueMotion alone",
}
TABLE_OF_METHOD = {
    "inference": "Tables 3 and 4",
    "augmentation": "Tables 3 and 4",
    "distance": "Table 5",
}
HEADLINE = "weighted F1, %"
MATRIX_KEY = (
    "Row: trained on; column: tested on; below a score its 95 % interval. Outlined: trained and "
    "tested on the same cell."
)


def lead(book: Scorebook, result: Result) -> Value | None:
    """Mean weighted F1 of the four cells, each trained in itself or on nothing, and where that was
    adapted on the other language, which is what adaptation is for; None where one is missing."""
    chosen = {}
    for setting in book.settings:
        crosses = (setting.transfer, setting.method) == ("cross-lingual", "inference")
        own = setting.transfer in ("in-group", "zero-shot") and setting.corpora is None
        if crosses if result.adapt else own:
            chosen[str(setting.test)] = setting
    mean = _mean_value(book, [chosen.get(cell) for cell in CELLS])
    if mean is MISSING:
        return None
    kind = chosen[CELLS[0]].transfer
    return Value(
        mean.text,
        f"weighted F1 in %, {kind}, mean of the four cells; 95 % interval {mean.detail}",
        mark=mean.mark,
    )


def scores(run: Run, book: Scorebook) -> Section:
    """Tables 3, 4 and 5 beside those of the paper, as far as they were run."""
    text = (
        "Weighted F1 in %: the unweighted mean over a cell's corpora, each scored over its "
        "own labels. With each number its 95 % interval over speakers (whose number is stated, "
        "where none is known).",
    )
    if (n_seeds := len(run.result.seeds)) > 1:
        text += (f"Numbers are means over {n_seeds} seeds, and intervals are over seeds too.",)
    grids, premium = list(map(_explained, _headlines(book, run.result))), leakage_table(run)
    grids += [Grid.of(premium)] if premium else []
    return Section("scores", "Scores", text, grids=tuple(grids))


def transfer(book: Scorebook) -> Section:
    """Training set by test set, as heat maps: weighted F1 and UAR, Tables 3 and 4 as one matrix
    each, then those of every other method that trains."""
    text = (
        "A row trains, a column tests; %, mean over the cell's corpora. The stronger the "
        "colour, the higher, from 0 to 100. Outlined: trained in the cell that is tested."
    )
    together: dict[str, list[Setting]] = {}
    for setting in book.settings:
        if setting.train:
            title = TABLE_OF_METHOD.get(setting.method, setting.method)
            together.setdefault(title, []).append(setting)
    metrics = {METRIC: HEADLINE, "uar": "unweighted average recall (UAR), %"}
    grids = [
        _matrix(book, settings, metric, f"{title}: {metric_title}")
        for title, settings in together.items()
        for metric, metric_title in metrics.items()
    ]
    return Section(
        "transfer",
        "Every training set on every test set",
        (text,),
        grids=tuple(map(_explained, grids)),
        drawings=tuple(transfers.drawings(book)),
    )


def _headlines(book: Scorebook, result: Result) -> Iterable[Grid]:
    """Tables 3, 4 and 5; other methods as training by test set."""
    by_method: dict[str, list[Setting]] = {}
    for setting in book.settings:
        by_method.setdefault(setting.method, []).append(setting)
    for method, settings in by_method.items():
        if method in TABLE_TITLES:
            crosses = any(setting.transfer != "in-group" for setting in settings)
            if crosses or method == "distance" or list(by_method) == ["inference"]:
                yield _paper_grid(book, result, method)
        elif method == "zero-shot":
            yield _zero_shot_grid(book, result, settings)
        elif method not in TWINS:  # of which Table 4 has the rows
            yield _matrix(book, settings, METRIC, f"{method}: {HEADLINE}")


def _paper_grid(book: Scorebook, result: Result, method: str) -> Grid:
    """Table 3, 4 or 5, the printed row below each of ours."""
    rows, notes, of_distance = [], [_beside_the_paper(result)], method == "distance"
    twin_notes: dict[str, None] = {}
    for name, settings, printed in paper_rows(method):
        values = [_score_value(book, setting) for setting in settings]
        if not of_distance:
            values.append(_mean_value(book, settings))
            printed.append(sum(printed) / len(printed))
        first = Value(name.replace("+", " + "), "baseline" if name == "in-group" else "")
        rows.append([first, *values])
        for text, twins in twin_rows(result, method, settings):
            of_twins, twin = [_score_value(book, setting) for setting in twins], text.partition(":")
            rows.append([Value(name, twin[0]), *of_twins, _mean_value(book, twins)])
            twin_notes[f"{text[0].upper()}{text[1:]}."] = None
        rows.append(_printed(printed))
    if human := [] if of_distance else human_rows(result.human):
        rows += [[*map(Value, row), MISSING] for row in human]
        notes.append(f"{HUMAN_NOTE}.")
    notes += twin_notes
    if method == "augmentation":
        notes.append(
            "All means are ours: the printed 57.34 of cross-lingual is not the mean of its row, "
            "69.84."
        )
    head = ("trained on", *DISTANCE_TESTS) if of_distance else (result.title, *CELLS, "mean")
    return Grid(f"{TABLE_TITLES[method]}; {HEADLINE}", list(map(Value, head)), rows, tuple(notes))


def _printed(values: Sequence[float | None]) -> list[Value]:
    texts = ["-" if value is None else f"{value:.2f}" for value in values]
    return [Value(text, quiet=True) for text in ("XLSR-53, as printed", *texts)]


def _beside_the_paper(result: Result) -> str:
    """A sentence on whether the paper's numbers may be held against ours."""
    differences = {
        f"split {result.split.rule} (the paper: by clip)": result.split.rule != "paper",
        f"schema {result.schema.name} (the paper: emotion)": result.schema.name != "emotion",
        "synthetic data": result.data.synthetic,
        "incomplete corpora": not (result.data.synthetic or result.data.complete),
        f"limited to {result.limit} clips of each corpus, cell and part": result.limit is not None,
    }
    if any(differences.values()):
        return (
            "NOT comparable with the printed rows, which stand for orientation alone: "
            f"{'; '.join(text for text, differs in differences.items() if differs)}."
        )
    return (
        "The printed rows are of fine-tuned XLSR-53, under the same split sizes and schema; "
        "its very clips are not published."
    )


def _zero_shot_grid(book: Scorebook, result: Result, settings: Sequence[Setting]) -> Grid:
    tests = [Value(str(setting.test), _corpora_of(setting)) for setting in settings]
    rows = [
        [Value(name), *(_score_value(book, setting, metric) for setting in settings)]
        for name, metric in (("weighted F1", METRIC), ("UAR", "uar"))
    ]
    scores = [book.score(setting) for setting in settings]
    shares = [Value(percent(score.out_of_label_space)) if score else MISSING for score in scores]
    rows.append([Value("clips outside its classes"), *shares])
    unmapped = result.model.options.get("unmapped")
    notes = (f"Outputs without an emotion of ours: {unmapped}",) if unmapped else ()
    title = "Zero-shot: a classifier as it is, trained on nothing here; %"
    return Grid(title, [Value(result.title), *tests], rows, notes)


def _score_value(book: Scorebook, setting: Setting | None, metric: str = METRIC) -> Value:
    score = book.score(setting, metric=metric)
    if score is None or score.value is None:
        return MISSING
    return Value(
        percent(score.value),
        _detail(score),
        whisker=Whisker.of(score),
        mark=book.mark([setting.id]),
    )


def _mean_value(book: Scorebook, settings: Sequence[Setting | None]) -> Value:
    """Mean over settings, as recorded, with its interval."""
    values = [score.value if (score := book.score(setting)) else None for setting in settings]
    mean = book.mean(settings)
    if mean is None or None in values:
        return MISSING
    return Value(
        percent(sum(values) / len(values)),
        _span(mean),
        whisker=Whisker.of(mean),
        mark=book.mark(setting.id for setting in settings if setting),
    )


def _detail(score: Score) -> str:
    return f"{_span(score)}; {score.note}" if score.note else _span(score)


def _span(interval: Score | Interval) -> str:
    """The interval of a score or a statistic, or why there is none."""
    if interval.low is None:
        return interval.reason or "no interval"
    return f"{percent(interval.low)}–{percent(interval.high)}"


def _matrix(book: Scorebook, settings: Sequence[Setting], metric: str, title: str) -> Grid:
    by_sets = {(setting.training_set, str(setting.test)): setting for setting in settings}
    of_one_cell_first = sorted(
        settings, key=lambda setting: (setting.method != "inference", len(setting.train))
    )
    trains = {setting.training_set: setting for setting in of_one_cell_first}
    tests = list(dict.fromkeys(str(setting.test) for setting in settings))
    rows = []
    for name, trained in trains.items():
        cells = [by_sets.get((name, test)) for test in tests]
        heats = [_heat(book, setting, metric) for setting in cells]
        rows.append([_training_set(trained), *heats])
    head = [Value("trained on"), *(Value(f"on {test}") for test in tests)]
    return Grid(title, head, rows, key=MATRIX_KEY)


def _training_set(setting: Setting) -> Value:
    """The name of its cells, then the cells, then the corpora where these are not all."""
    name, cells = trained_on(setting), " + ".join(setting.train_names)
    details = [cells if cells != name else "", _corpora_of(setting)]
    return Value(name, "; ".join(filter(None, details)))


def _corpora_of(setting: Setting) -> str:
    return f"of {', '.join(setting.corpora)}" if setting.corpora else ""


def _heat(book: Scorebook, setting: Setting | None, metric: str) -> Value:
    score = book.score(setting, metric=metric)
    if score is None or score.value is None:
        return MISSING if setting is not None else Value("")
    return Value(
        percent(score.value),
        _detail(score),
        share=score.value,
        ringed=setting.transfer == "in-group",
        mark=book.mark([setting.id]),
    )


def _explained(grid: Grid) -> Grid:
    """The table with the meaning of its marks below it."""
    shown = meanings(value.mark for row in grid.rows for value in row)
    return replace(grid, notes=(*grid.notes, *shown))
