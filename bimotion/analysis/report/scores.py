"""The scores of a report: tables in the shape of the paper's, beside the paper's, and heat maps of
training set by test set."""

from collections.abc import Iterable, Sequence

from bimotion.analysis.compare import METRIC, Run
from bimotion.analysis.paper_tables import ROWS
from bimotion.analysis.report.document import MISSING, Grid, Section, Value, Whisker
from bimotion.analysis.report.scorebook import Scorebook, trained_on
from bimotion.io.tables import percent
from bimotion.protocol.published import CELLS, DISTANCE_TESTS, PUBLISHED, PUBLISHED_DISTANCE
from bimotion.protocol.settings import Setting
from bimotion.results.record import Result, Score
from bimotion.results.statistics.estimate import Interval

TABLE_TITLES = {
    "inference": "Table 3, cross-group inference: trained on another cell",
    "augmentation": "Table 4, cross-group augmentation: trained on the cell and others",
}
HEADLINE = "weighted F1, %"


def _base(book: Scorebook) -> dict[str, Setting]:
    """Cell -> the setting that a model is judged by: trained in the cell that it is tested in, or
    on nothing."""
    base = [
        one
        for one in book.settings
        if one.corpora is None and one.transfer in ("in-group", "zero-shot")
    ]
    return {str(setting.test): setting for setting in base}


def lead(book: Scorebook, result: Result) -> Value | None:
    """Mean weighted F1 of the four cells, each trained in itself or on nothing, and where that was
    adapted on the other language, which is what adaptation is for; None where one is missing."""
    crossing = {
        str(one.test): one
        for one in book.settings
        if (one.transfer, one.method) == ("cross-lingual", "inference")
    }
    chosen = crossing if result.adapt else _base(book)
    mean = _mean_value(book, [chosen.get(cell) for cell in CELLS])
    if mean is MISSING:
        return None
    kind = chosen[CELLS[0]].transfer
    return Value(
        mean.text, f"weighted F1 in %, {kind}, mean of the four cells; 95 % interval {mean.detail}"
    )


def scores(run: Run, book: Scorebook) -> Section:
    """Tables 3, 4 and 5 beside those of the paper, as far as they were run."""
    return Section("scores", "Scores", _text(run.result), grids=tuple(_headlines(book, run.result)))


def transfer(book: Scorebook) -> Section:
    """Training set by test set, as heat maps."""
    text = (
        "A row trains, a column tests; %, mean over the cell's corpora. The stronger the "
        "colour, the higher, from 0 to 100. Outlined: trained in the cell that is tested."
    )
    return Section(
        "transfer", "Every training set on every test set", (text,), grids=tuple(_heat_maps(book))
    )


def _text(result: Result) -> tuple[str, ...]:
    text = (
        "Weighted F1 in %: the unweighted mean over a cell's corpora, each scored over its "
        "own labels. With each number its 95 % interval, for which speakers are drawn again "
        "(clips, where no speaker is known)."
    )
    if len(result.seeds) == 1:
        return (text,)
    return (
        text,
        f"Numbers are means over {len(result.seeds)} seeds; intervals are of that mean, for these "
        "seeds.",
    )


def _headlines(book: Scorebook, result: Result) -> Iterable[Grid]:
    """Tables 3, 4 and 5; other methods as training by test set."""
    methods = list(dict.fromkeys(setting.method for setting in book.settings))
    for method in methods:
        settings = [setting for setting in book.settings if setting.method == method]
        if method in TABLE_TITLES:
            if any(setting.transfer != "in-group" for setting in settings) or methods == [
                "inference"
            ]:
                yield _transfer_grid(book, result, method)
        elif method == "distance":
            yield _distance_grid(book, result)
        elif method == "zero-shot":
            yield _zero_shot_grid(book, result)
        else:
            yield _matrix(book, settings, METRIC, f"{method}: {HEADLINE}")


def _transfer_grid(book: Scorebook, result: Result, method: str) -> Grid:
    found = {(one.transfer, one.method, str(one.test)): one for one in book.settings}
    rows = []
    for transfer in ROWS:
        of = "inference" if transfer == "in-group" else method
        settings = [found.get((transfer, of, cell)) for cell in CELLS]
        name = Value(transfer, "baseline" if transfer == "in-group" else "")
        rows.append(
            [
                name,
                *(_score_value(book.score(one)) for one in settings),
                _mean_value(book, settings),
            ]
        )
        printed = PUBLISHED[transfer, of]
        rows.append(_printed([*printed, sum(printed) / len(printed)]))
    head = [Value(result.title), *map(Value, CELLS), Value("mean")]
    ours = (
        "All means are ours: the printed 57.34 of cross-lingual is not the mean of its row, 69.84.",
    )
    notes = (_beside_the_paper(result), *(ours if method == "augmentation" else ()))
    return Grid(f"{TABLE_TITLES[method]}; {HEADLINE}", head, rows, notes)


def _distance_grid(book: Scorebook, result: Result) -> Grid:
    found = {
        (one.train_names, str(one.test)): one for one in book.settings if one.method == "distance"
    }
    rows = []
    for train, printed in PUBLISHED_DISTANCE.items():
        settings = [found.get((tuple(train.split("+")), test)) for test in DISTANCE_TESTS]
        rows.append(
            [Value(train.replace("+", " + ")), *(_score_value(book.score(one)) for one in settings)]
        )
        rows.append(_printed(printed))
    title = f"Table 5, language distance: ESD and YueMotion alone; {HEADLINE}"
    return Grid(
        title,
        [Value("trained on"), *map(Value, DISTANCE_TESTS)],
        rows,
        (_beside_the_paper(result),),
    )


def _printed(values: Sequence[float | None]) -> list[Value]:
    shown = [Value("-" if value is None else f"{value:.2f}", quiet=True) for value in values]
    return [Value("XLSR-53, as printed", quiet=True), *shown]


def _beside_the_paper(result: Result) -> str:
    """Whether the paper's numbers may be held against ours."""
    synthetic, data = result.data.synthetic, result.data
    differ = (
        [f"split {result.split.rule} (the paper: by clip)"] if result.split.rule != "paper" else []
    )
    differ += (
        [f"schema {result.schema.name} (the paper: emotion)"]
        if result.schema.name != "emotion"
        else []
    )
    differ += (
        ["synthetic data"] if synthetic else ["incomplete corpora"] if not data.complete else []
    )
    differ += (
        [f"limited to {result.limit} clips of each corpus, cell and part"]
        if result.limit is not None
        else []
    )
    if differ:
        return (
            "NOT comparable with the printed rows, which stand for orientation alone: "
            f"{'; '.join(differ)}."
        )
    return (
        "The printed rows are of fine-tuned XLSR-53, under the same split sizes and schema; "
        "its very clips are not published."
    )


def _zero_shot_grid(book: Scorebook, result: Result) -> Grid:
    settings = [setting for setting in book.settings if setting.method == "zero-shot"]
    head = [Value(result.title)]
    head += [
        Value(str(one.test), f"of {', '.join(one.corpora)}" if one.corpora else "")
        for one in settings
    ]
    rows = [[Value("weighted F1"), *(_score_value(book.score(one)) for one in settings)]]
    rows.append([Value("UAR"), *(_score_value(book.score(one, metric="uar")) for one in settings)])
    scores = [book.score(one) for one in settings]
    rows.append(
        [
            Value("clips outside its classes"),
            *(Value(percent(one.out_of_label_space)) if one else MISSING for one in scores),
        ]
    )
    unmapped = result.model.options.get("unmapped")
    notes = (f"Outputs without an emotion of ours: {unmapped}",) if unmapped else ()
    return Grid("Zero-shot: a classifier as it is, trained on nothing here; %", head, rows, notes)


def _score_value(score: Score | None) -> Value:
    if score is None or score.value is None:
        return MISSING
    return Value(
        percent(score.value), _detail(score), whisker=Whisker(score.value, score.low, score.high)
    )


def _mean_value(book: Scorebook, settings: Sequence[Setting | None]) -> Value:
    """Mean over settings, as recorded, with its interval."""
    values = [score.value if (score := book.score(one)) else None for one in settings]
    mean = book.mean(settings)
    if mean is None or None in values:
        return MISSING
    return Value(percent(sum(values) / len(values)), _span(mean), whisker=Whisker.of(mean))


def _detail(score: Score) -> str:
    return f"{_span(score)}; {score.note}" if score.note else _span(score)


def _span(one: Score | Interval) -> str:
    """Interval of a score or a statistic, or why there is none."""
    return (
        one.reason or "no interval"
        if one.low is None
        else f"{percent(one.low)}–{percent(one.high)}"
    )


def _heat_maps(book: Scorebook) -> Iterable[Grid]:
    """Weighted F1 and UAR: Tables 3 and 4 as one matrix each, then those of every other method that
    trains."""
    names = {"inference": "Tables 3 and 4", "augmentation": "Tables 3 and 4", "distance": "Table 5"}
    together: dict[str, list[Setting]] = {}
    for setting in book.settings:
        if setting.train:
            together.setdefault(names.get(setting.method, setting.method), []).append(setting)
    for what, settings in together.items():
        yield _matrix(book, settings, METRIC, f"{what}: weighted F1, %")
        yield _matrix(book, settings, "uar", f"{what}: unweighted average recall (UAR), %")


def _matrix(book: Scorebook, settings: Sequence[Setting], metric: str, title: str) -> Grid:
    found = {(one.training_set, str(one.test)): one for one in settings}
    trains = {
        one.training_set: one
        for one in sorted(settings, key=lambda one: (one.method != "inference", len(one.train)))
    }
    tests = list(dict.fromkeys(str(one.test) for one in settings))
    rows = []
    for name, one in trains.items():
        cells = [found.get((name, test)) for test in tests]
        rows.append(
            [
                training_set(one),
                *(_heat(book.score(setting, metric=metric), setting) for setting in cells),
            ]
        )
    return Grid(title, [Value("trained on"), *(Value(f"on {test}") for test in tests)], rows)


def training_set(setting: Setting) -> Value:
    """A training set: the name of its cells, then the cells, then the corpora where these are not
    all."""
    name, cells = trained_on(setting), " + ".join(setting.train_names)
    detail = [cells] if cells != name else []
    return Value(
        name, "; ".join(detail + ([f"of {', '.join(setting.corpora)}"] if setting.corpora else []))
    )


def _heat(score: Score | None, setting: Setting | None) -> Value:
    if score is None or score.value is None:
        return MISSING if setting is not None else Value("")
    return Value(
        percent(score.value),
        _detail(score),
        share=score.value,
        ringed=setting.transfer == "in-group",
    )
