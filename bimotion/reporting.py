"""From a finished run to its report: which numbers a reader asks for, in which order, and what is said beside them.

Everything comes from result.json and predictions.parquet, and from pictures that `bimotion project` left beside them; no torch.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bimotion import comparing, groups, tables
from bimotion.caveats import caveats, name_of
from bimotion.comparing import METRIC, Run
from bimotion.errors import RecordError
from bimotion.protocol import Setting
from bimotion.report import Grid, Picture, Report, Section, Value, Whisker
from bimotion.results import Result, Score
from bimotion.scorebook import Scorebook, scorebook
from bimotion.statistics.gaps import Gap, gaps
from bimotion.statistics.intervals import MEAN, rows_of
from bimotion.tables import CELLS, DISTANCE_TESTS, PUBLISHED, PUBLISHED_DISTANCE, ROWS, percent
from bimotion.test_set import test_set

UNIONS = {groups.union(name): name for name in (*map(str, groups.BIMOTION_CELLS), "eng", "zho", "eld", "adu", "all")}
"""Cells -> the short name of their union."""
TABLE_TITLES = {
    "inference": "Table 3, cross-group inference: trained on another cell",
    "augmentation": "Table 4, cross-group augmentation: trained on the cell and others",
}
HEADLINE = "weighted F1, %"
MISSING = Value("-", quiet=True)


def report(run: Run, folder: Path) -> Report:
    """The report of a run; `folder`: where pictures of it may lie, in `projection*/`. Raises RecordError.

    Example::

        folder = Path("results/bimotion__prosody/0123456789ab")
        [run] = comparing.load([folder])
        print(reporting.report(run, folder).markdown(folder))
    """
    book, result = scorebook(run), run.result
    warned = caveats(run, book)
    sections = (
        Section("scores", "Scores", _score_text(result), grids=tuple(_headlines(book, result))),
        Section("caveats", "Before you believe a number", caveats=warned),
        Section("transfer", "Every training set on every test set", _HEAT_TEXT, grids=tuple(_heat_maps(book))),
        Section("labels", "F1 of each label", _LABEL_TEXT, grids=tuple(_label_grids(run, book))),
        Section("confusion", "Confusion matrices", _confusion_text(result), grids=tuple(_confusions(run, book))),
        Section("groups", "Gaps between groups", _GAP_TEXT, grids=(_gap_grid(run), _calibration_grid(run))),
        *_projections(folder),
        Section("provenance", "How it was made", grids=tuple(_provenance(result))),
    )
    stamps = tuple(caveat.name for caveat in warned if caveat.severe)
    return Report(result.model.name, _asked(result), _lead(book), stamps, tuple(one for one in sections if _filled(one)))


def _filled(section: Section) -> bool:
    return bool(section.caveats or section.grids or section.pictures)


def _asked(result: Result) -> str:
    seeds = f"seed{'s' * (len(result.seeds) > 1)} {', '.join(map(str, result.seeds))}"
    cells = f" in {', '.join(result.protocol.cells)}" if result.protocol.cells else ""
    words = [f"track {result.track}", f"split {result.split.rule}", f"schema {result.schema.name}"]
    words += [f"protocol {result.protocol.name}{cells}", seeds, f"run {result.key}", f"finished {result.provenance.finished}"]
    return " · ".join(words)


def _base(book: Scorebook) -> dict[str, Setting]:
    """Cell -> the setting that a model is judged by: trained in the cell that it is tested in, or on nothing."""
    base = [one for one in book.settings if one.corpora is None and one.transfer in ("in-group", "zero-shot")]
    return {str(setting.test): setting for setting in base}


def _lead(book: Scorebook) -> Value | None:
    base = _base(book)
    mean = _mean_value(book, [base.get(cell) for cell in CELLS])
    if mean is MISSING:
        return None
    kind = base[CELLS[0]].transfer
    return Value(mean.text, f"weighted F1 in %, {kind}, mean of the four cells; 95 % interval {mean.detail}")


# --- scores -----------------------------------------------------------------------------------------------------------


def _score_text(result: Result) -> tuple[str, ...]:
    text = (
        "Weighted F1 in %: the unweighted mean over a cell's corpora, each scored over its own labels. Below each number its "
        "95 % interval, for which speakers are drawn again (clips, where no speaker is known)."
    )
    if len(result.seeds) == 1:
        return (text,)
    return (text, f"Numbers are means over {len(result.seeds)} seeds; intervals are of that mean, for these seeds.")


def _headlines(book: Scorebook, result: Result) -> Iterable[Grid]:
    """Tables 3, 4 and 5 beside those of the paper, as far as they were run; what is in none of them as training by test set."""
    methods = list(dict.fromkeys(setting.method for setting in book.settings))
    for method in methods:
        settings = [setting for setting in book.settings if setting.method == method]
        if method in TABLE_TITLES:
            if any(setting.transfer != "in-group" for setting in settings) or methods == ["inference"]:
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
        rows.append([name, *(_score_value(book.score(one)) for one in settings), _mean_value(book, settings)])
        printed = PUBLISHED[transfer, of]
        rows.append(_printed([*printed, sum(printed) / len(printed)]))
    head = [Value(result.model.name), *map(Value, CELLS), Value("mean")]
    ours = ("All means are ours: the printed 57.34 of cross-lingual is not the mean of its row, 69.84.",)
    notes = (_beside_the_paper(result), *(ours if method == "augmentation" else ()))
    return Grid(f"{TABLE_TITLES[method]}; {HEADLINE}", head, rows, notes)


def _distance_grid(book: Scorebook, result: Result) -> Grid:
    found = {(one.train_names, str(one.test)): one for one in book.settings if one.method == "distance"}
    rows = []
    for train, printed in PUBLISHED_DISTANCE.items():
        settings = [found.get((tuple(train.split("+")), test)) for test in DISTANCE_TESTS]
        rows.append([Value(train.replace("+", " + ")), *(_score_value(book.score(one)) for one in settings)])
        rows.append(_printed(printed))
    title = f"Table 5, language distance: ESD and YueMotion alone; {HEADLINE}"
    return Grid(title, [Value("trained on"), *map(Value, DISTANCE_TESTS)], rows, (_beside_the_paper(result),))


def _printed(values: Sequence[float | None]) -> list[Value]:
    shown = [Value("-" if value is None else f"{value:.2f}", quiet=True) for value in values]
    return [Value("XLSR-53, as printed", quiet=True), *shown]


def _beside_the_paper(result: Result) -> str:
    """Whether the paper's numbers may be held against ours."""
    synthetic, data = result.data.synthetic, result.data
    differ = [f"split {result.split.rule} (the paper: by clip)"] if result.split.rule != "paper" else []
    differ += [f"schema {result.schema.name} (the paper: emotion)"] if result.schema.name != "emotion" else []
    differ += ["synthetic data"] if synthetic else ["incomplete corpora"] if not data.complete else []
    differ += [f"limited to {result.limit} clips of each corpus, cell and part"] if result.limit is not None else []
    if differ:
        return f"NOT comparable with the printed rows, which stand for orientation alone: {'; '.join(differ)}."
    return (
        "The printed rows are of fine-tuned XLSR-53 under the same split sizes and schema; which clips they are of is not published."
    )


def _zero_shot_grid(book: Scorebook, result: Result) -> Grid:
    settings = [setting for setting in book.settings if setting.method == "zero-shot"]
    head = [Value(result.model.name)]
    head += [Value(str(one.test), f"of {', '.join(one.corpora)}" if one.corpora else "") for one in settings]
    rows = [[Value("weighted F1"), *(_score_value(book.score(one)) for one in settings)]]
    rows.append([Value("UAR"), *(_score_value(book.score(one, metric="uar")) for one in settings)])
    scores = [book.score(one) for one in settings]
    rows.append([Value("clips outside its classes"), *(Value(percent(one.outside)) if one else MISSING for one in scores)])
    unmapped = result.model.options.get("unmapped")
    notes = (f"Outputs without an emotion of ours: {unmapped}",) if unmapped else ()
    return Grid("Zero-shot: a classifier as it is, trained on nothing here; %", head, rows, notes)


def _score_value(score: Score | None) -> Value:
    if score is None or score.value is None:
        return MISSING
    return Value(percent(score.value), _span(score), whisker=Whisker(score.value, score.low, score.high))


def _mean_value(book: Scorebook, settings: Sequence[Setting | None]) -> Value:
    """Mean over settings, as recorded, with its interval."""
    values = [score.value if (score := book.score(one)) else None for one in settings]
    mean = book.mean(settings)
    if mean is None or None in values:
        return MISSING
    return Value(percent(sum(values) / len(values)), _span(mean), whisker=Whisker.of(mean))


def _span(one) -> str:
    """Interval of a score or a statistic, or why there is none."""
    return one.reason or "no interval" if one.low is None else f"{percent(one.low)}–{percent(one.high)}"


# --- training set by test set -----------------------------------------------------------------------------------------

_HEAT_TEXT = (
    "A row trains, a column tests; %, mean over the cell's corpora. The stronger the colour, the higher, from 0 to 100. Outlined: "
    "trained in the cell that is tested.",
)


def _heat_maps(book: Scorebook) -> Iterable[Grid]:
    """Weighted F1 and UAR: Tables 3 and 4 as one matrix each, then every other method's."""
    methods = list(dict.fromkeys(one.method for one in book.settings if one.method not in ("inference", "augmentation")))
    for names in (("inference", "augmentation"), *((one,) for one in methods)):
        settings = [one for one in book.settings if one.method in names]
        if settings:
            what = "Tables 3 and 4" if len(names) > 1 else names[0]
            yield _matrix(book, settings, METRIC, f"{what}: weighted F1, %")
            yield _matrix(book, settings, "uar", f"{what}: unweighted average recall (UAR), %")


def _matrix(book: Scorebook, settings: Sequence[Setting], metric: str, title: str) -> Grid:
    found = {(one.training_set, str(one.test)): one for one in settings}
    trains = {one.training_set: one for one in sorted(settings, key=lambda one: (one.method != "inference", len(one.train)))}
    tests = list(dict.fromkeys(str(one.test) for one in settings))
    rows = []
    for name, one in trains.items():
        cells = [found.get((name, test)) for test in tests]
        rows.append([_train(one), *(_heat(book.score(setting, metric=metric), setting) for setting in cells)])
    return Grid(title, [Value("trained on"), *(Value(f"on {test}") for test in tests)], rows)


def _train(setting: Setting) -> Value:
    """A training set: the short name of its cells, then the cells, then the corpora where these are not all."""
    if not setting.train:
        return Value("nothing", f"of {', '.join(setting.corpora)}" if setting.corpora else "")
    cells, short = " + ".join(setting.train_names), UNIONS.get(setting.train)
    detail = [cells] if short and len(setting.train) > 1 else []
    return Value(short or cells, "; ".join(detail + ([f"of {', '.join(setting.corpora)}"] if setting.corpora else [])))


def _heat(score: Score | None, setting: Setting | None) -> Value:
    if score is None or score.value is None:
        return MISSING if setting is not None else Value("")
    return Value(percent(score.value), _span(score), share=score.value, ringed=setting.transfer == "in-group")


# --- labels -----------------------------------------------------------------------------------------------------------

_LABEL_TEXT = (
    "Binary F1 of each label in %, for every test set and what was trained for it. Below a label its test clips; of a clip "
    "with several labels the first counts.",
)


def _label_grids(run: Run, book: Scorebook) -> Iterable[Grid]:
    """A table a test set (cell and corpus): rows are settings, columns labels."""
    tests: dict[tuple, list[Setting]] = {}
    for setting in book.settings:
        for corpus in book.corpora(setting):
            tests.setdefault((str(setting.test), corpus), []).append(setting)
    for (cell, corpus), settings in sorted(tests.items(), key=lambda one: _place(one[0])):
        labels = [name for name in run.schema.classes if any(book.score(one, corpus, f"f1_{name}") for one in settings)]
        if labels:
            counts = _clips_of_labels(run, cell, corpus)
            head = [Value("trained on"), *(Value(name, f"{counts.get(name, 0)} clips") for name in labels)]
            rows = [[_trained_for(one), *(_label(book.score(one, corpus, f"f1_{name}"), name) for name in labels)] for one in settings]
            yield Grid(f"{cell}, {corpus}", head, rows)


def _place(test: tuple[str, str]) -> tuple:
    return CELLS.index(test[0]) if test[0] in CELLS else len(CELLS), test


def _trained_for(setting: Setting) -> Value:
    train = _train(setting)
    of = f"{setting.transfer}, {setting.method}" if setting.method not in ("inference", "zero-shot") else setting.transfer
    return Value(train.text, of)


def _label(score: Score | None, name: str) -> Value:
    if score is None or score.value is None:
        return MISSING
    return Value(percent(score.value), "never trained" if name in score.untrained else "", share=score.value)


def _clips_of_labels(run: Run, cell: str, corpus: str) -> dict[str, int]:
    rows = run.predictions[(run.predictions["cell"] == cell) & (run.predictions["corpus"] == corpus)].drop_duplicates("id")
    if rows.empty:
        return {}
    part = test_set(rows, corpus)
    totals = part.confusion().sum(axis=1).tolist()
    return {run.schema.classes[place]: n for place, n in zip(part.candidates, totals, strict=True)}


# --- confusions -------------------------------------------------------------------------------------------------------


def _confusion_text(result: Result) -> tuple[str, ...]:
    text = (
        "A row is what clips are, a column what they were taken for: the share of the row in %, and below it the clips. All "
        "corpora of the cell together, each predicted among its own labels; clips without a marked label are left out, and of "
        "several labels the first counts. Outlined: right."
    )
    several = f"Clips are counted once for each of {len(result.seeds)} seeds."
    return (text, several) if len(result.seeds) > 1 else (text,)


def _confusions(run: Run, book: Scorebook) -> Iterable[Grid]:
    """One a setting; only those of in-group and zero-shot settings are open at once."""
    settings = [one for one in book.settings if one in book.headlines]
    for setting in sorted(settings, key=lambda one: one.transfer not in ("in-group", "zero-shot")):
        parts = [test_set(rows, None) for _, rows in rows_of(run.predictions, setting).groupby("seed")]
        counts, places = sum(part.confusion() for part in parts), parts[0].candidates
        classes = [run.schema.classes[place] for place in places]
        columns = [*classes, "none"] if counts[:, -1].any() else classes
        rows = [
            [Value(name, f"{row.sum()} clips"), *(_counted(n, row.sum(), place == column) for column, n in enumerate(row[: len(columns)]))]
            for place, (name, row) in enumerate(zip(classes, counts, strict=True))
            if row.any()
        ]
        absent = [name for name, row in zip(classes, counts, strict=True) if not row.any()]
        notes = (f"No test clip of {', '.join(absent)}.",) if absent else ()
        folded = setting.transfer not in ("in-group", "zero-shot")
        yield Grid(name_of(setting), [Value("is, taken for"), *map(Value, columns)], rows, notes, folded)


def _counted(n: np.integer, total: np.integer, right: bool) -> Value:
    return Value(f"{100 * n / total:.1f}", str(n), share=float(n / total), ringed=right)


# --- gaps -------------------------------------------------------------------------------------------------------------

_GAP_TEXT = (
    "How far weighted F1 differs between ages and languages, the worst cell, and what another training set keeps of the in-group "
    "score. Differences in points, ratios as they are. A group-blind model recalls every class of every cell equally often and "
    "is tested on the same clips and speakers: a gap inside its band is no evidence that the model treats groups differently.",
)


def _gap_grid(run: Run) -> Grid:
    head = ["what", "value", "95 % interval", "group-blind model, 95 %", "p"]
    rows = []
    for gap in gaps(run.predictions, run.settings, run.schema):
        name, value, interval, *chance = map(Value, comparing.gap_row(gap))
        rows.append([name, value, dataclasses.replace(interval, whisker=_gap_whisker(gap)), *chance])
    if run.schema.exclusive:
        notes = ()
    else:
        notes = ("Cells differ in their labels, which these gaps mix with age and language; under schema valence they do not.",)
    return Grid("Gaps", list(map(Value, head)), rows, notes, prose=True)


def _gap_whisker(gap: Gap) -> Whisker | None:
    scale = {"worst": {}, "transfer": {"end": 1.5, "zero": 1.0}}.get(gap.kind, {"start": -1.0, "zero": 0.0})
    return Whisker.of(gap.interval, chance=(gap.chance.low, gap.chance.high) if gap.chance else None, **scale)


def _calibration_grid(run: Run) -> Grid:
    table = comparing.calibration_table(run)
    return dataclasses.replace(Grid.of(table, folded=True), title="Expected calibration error of the arg-max, in [0, 1]")


# --- projections ------------------------------------------------------------------------------------------------------


def _projections(folder: Path) -> Iterable[Section]:
    """What `bimotion project` left: a picture, and the coverage of test clips by training clips behind it."""
    pictures, grids = [], []
    for path in sorted(folder.glob("projection*/projection.png")):
        pictures.append(Picture(path, path.parent.name))
    for path in sorted(folder.glob("projection*/coverage.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{path}: expected JSON, found: {error}") from None
        grids.append(_facts(f"{path.parent.name}: coverage", content, folded=True))
    if pictures or grids:
        yield Section("projections", "Feature space", pictures=tuple(pictures), grids=tuple(grids))


# --- provenance -------------------------------------------------------------------------------------------------------


def _provenance(result: Result) -> Iterable[Grid]:
    asked = {name: getattr(result, name) for name in ("key", "model", "n_parameters", "track", "split", "schema", "protocol")}
    asked |= {"seeds": result.seeds, "limit": result.limit, "data fingerprint": result.data.fingerprint}
    yield _facts("What was asked", {name: _plain_data(value) for name, value in asked.items()})
    yield _facts("Where and when", _plain_data(result.provenance))
    names = ("clips used", "usable", "published", "complete", "synthetic", "ages known by", "left out", "speakers in several parts")
    rows = [
        [Value(name), *map(Value, map(_said, (
            one.n_utterances, one.n_found, one.n_published, one.complete, one.synthetic, one.age_source, one.left_out,
            one.speakers_shared,
        )))]
        for name, one in result.data.corpora.items()
    ]  # fmt: skip
    yield Grid("Corpora", [Value("corpus"), *map(Value, names)], rows, prose=True)
    fits = [[Value(_said(value)) for value in dataclasses.astuple(fit)] for fit in result.fits]
    title = f"{len(fits)} trainings" if result.track != "zero-shot" else "Predictions"
    head = ["training set", "seed", "training clips", "validation clips", "test predictions", "facts"]
    if fits:
        yield Grid(title, list(map(Value, head)), fits, folded=True, prose=True)
    skipped = [[Value(_said(value)) for value in dataclasses.astuple(one)] for one in result.skipped]
    if skipped:
        head = ["transfer", "method", "trained on", "tested on", "reason"]
        yield Grid(f"{len(skipped)} settings skipped", list(map(Value, head)), skipped, folded=True, prose=True)


def _plain_data(value: object) -> object:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def _facts(title: str, content: object, *, folded: bool = False) -> Grid:
    """Names and values of JSON, nested names with dots."""
    rows = [[Value(name), Value(_said(value))] for name, value in _flat("", content)]
    return Grid(title, [Value("fact"), Value("value")], rows, folded=folded, prose=True)


def _flat(name: str, content: object) -> Iterable[tuple[str, object]]:
    if not isinstance(content, dict) or not content:
        yield name, content
        return
    for key, value in content.items():
        yield from _flat(f"{name}.{key}" if name else str(key), value)


def _said(value: object) -> str:
    """A value of the record in words.

    >>> _said(None), _said(True), _said({"a": 1}), _said(["x", "y"])
    ('-', 'yes', 'a 1', 'x, y')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "-"
    return {None: "-", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)
