"""Finished runs in a few sentences that a person can read aloud: what was run, the four cells, the
age result, what cannot be separated, and what to do next."""

import shlex
import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path

from bimotion.analysis import ages
from bimotion.analysis.runs import Run, questions, shared_settings
from bimotion.data.rules import DEFAULT_RULE, n_folds
from bimotion.data.source import CorpusSource
from bimotion.errors import printable, some
from bimotion.io.tables import p_value, points
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.protocol.settings import CROSS, Setting
from bimotion.results.reservations import (
    ASSUMED_AGE,
    ONE_CLASS,
    ONE_SPEAKER,
    reservations,
)
from bimotion.results.statistics import from_predictions
from bimotion.results.statistics.ages import AgeResult
from bimotion.results.statistics.estimate import Estimate, combined, mean_known
from bimotion.results.statistics.from_predictions import Headline
from bimotion.results.statistics.gaps import Gap, gaps
from bimotion.results.statistics.interval import Interval
from bimotion.results.statistics.paired import compare
from bimotion.results.statistics.ranks import SEPARATE_BELOW

COLUMNS, MAX_LINES = 100, 14
SENTENCE_LINES = 3
"""Of any sentence but the last, which is never cut."""
TRACKS = {
    "probe": "frozen, with a regression on its features",
    "finetune": "fine-tuned",
    "zero-shot": "as it is, trained on nothing here",
}
"""Track -> what became of the model."""
UNHEARD = ("bimotion/prosody", "bimotion/majority", "bimotion/random")
"""Baselines, which are no encoders."""
RESERVED = {
    ONE_CLASS: "one class",
    ONE_SPEAKER: "one speaker",
    ASSUMED_AGE: "ages assumed",
}
"""Mark of a number -> why little is left of it; that there is one seed stands in the first
sentence."""
USUAL = {
    "split-rule": DEFAULT_RULE,
    "folds": n_folds(DEFAULT_RULE),
    "schema": "valence",
    "protocol": "all",
}
"""Option of `evaluate` -> its value where it is not given."""
SHOWN = 3
"""Things of one kind that are named; of more, how many there are."""


def summary(
    runs: Sequence[Run],
    folders: Sequence[Path],
    source: CorpusSource,
    *,
    is_compared: bool = False,
) -> str:
    """Runs in at most MAX_LINES lines of COLUMNS columns; a sentence that has no room is left out.

    Args:
        runs: At least one.
        folders: Of the runs, for what to do next.
        source: Where tables of speakers' ages are looked for.
        is_compared: The tables of `bimotion compare` stand above.

    Example::

        folder = Path("results/bimotion__prosody/0123456789ab")
        print(summary(runs.load([folder]), [folder], CorpusSource()))
    """
    if len(runs) == 1:
        sentences, last = _of_one(runs[0], source), f"Next: {_next(runs[0], folders[0], source)}"
    else:
        sentences = _of_several(runs, source)
        words = f"report {folders[0]}" if is_compared else f"compare {_common(folders)}"
        last = f"Next: bimotion {words}{_corpora(source)}"
    closing, lines = _wrapped(last), []
    for wrapped in (_wrapped(sentence, SENTENCE_LINES) for sentence in sentences):
        if len(lines) + len(wrapped) + len(closing) <= MAX_LINES:
            lines += wrapped
    return "\n".join([*lines, *closing])


def _wrapped(sentence: str, most: int | None = None) -> list[str]:
    return textwrap.wrap(
        printable(sentence),
        COLUMNS,
        subsequent_indent="  ",
        max_lines=most,
        placeholder=" ...",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _of_one(run: Run, source: CorpusSource) -> list[str]:
    sentences = [f"In short: {_asked(run)}.", *_warnings(run)]
    if run.result.protocol.name == "leakage":
        return [*sentences, "The table above says what known voices or words are worth."]
    headlines = _headlines(run)
    estimates = {setting: headline.estimate for setting, headline in headlines.items()}
    sentences += [_cells_of_one(run, headlines), *_crossing(estimates)]
    return [*sentences, _age(run, source), _not_separated(run, estimates)]


def _of_several(runs: Sequence[Run], source: CorpusSource) -> list[str]:
    asked = list(dict.fromkeys(map(_question, runs)))
    words = f"{len(runs)} results, track {runs[0].result.track}, {' and '.join(asked)}"
    sentences = [
        f"In short: {words}; weighted F1, trained in the tested cell.",
        *_warnings(runs[0]),
    ]
    for run in runs[:SHOWN]:
        question = f", {_question(run)}" if len(asked) > 1 else ""
        cells = _cells(run, _headlines(run), _plain_score)
        sentences.append(f"{run.result.title}{question}: {cells}.")
    if len(runs) > SHOWN:
        sentences.append(f"{len(runs) - SHOWN} more stand in the tables above.")
    pairs = [pair for same in questions(runs) for pair in combinations(same, 2)]
    held = [_pair(*pair) for pair in pairs[: SHOWN - 1]]
    return [*sentences, *held[:1], _ages(runs[:SHOWN], source), *held[1:]]


def _headlines(run: Run) -> dict[Setting, Headline]:
    settings = [setting for setting in run.settings if setting.leak is None]
    tables = dict(from_predictions.tables_by_seed(run.predictions, settings))
    return from_predictions.headlines(tables, run.schema)


def _asked(run: Run) -> str:
    result, seeds = run.result, run.result.seeds
    track = "a baseline" if result.model.name in UNHEARD else TRACKS[result.track]
    adapted = f", adapted by {result.adapt.name}" if result.adapt else ""
    numbers = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    protocol = f"protocol {result.protocol.name}"
    return f"{result.model.title}, {track}{adapted}; {protocol}, {_question(run)}, {numbers}"


def _question(run: Run) -> str:
    return f"split {run.result.split.name}, schema {run.result.schema.name}"


def _warnings(run: Run) -> list[str]:
    """A sentence that says why the numbers are none of the benchmark; none where they are."""
    result = run.result
    if result.data.synthetic:
        return ["SYNTHETIC data: these numbers say nothing about people."]
    corpora = result.data.corpora.items()
    missing = [
        f"{name} {used.n_found} of {used.n_published}"
        for name, used in corpora
        if not used.complete
    ]
    reasons = []
    if missing:
        reasons.append(f"incomplete corpora (clips: {some(missing, 2)})")
    if result.limit is not None:
        reasons.append(f"at most {result.limit} clips of each corpus, cell and part")
    return [f"No benchmark scores: {'; '.join(reasons)}."] if reasons else []


def _cells_of_one(run: Run, headlines: dict[Setting, Headline]) -> str:
    is_trained = run.result.track != "zero-shot"
    trained = ", trained in the tested cell" if is_trained else ""
    return f"Weighted F1{trained}: {_cells(run, headlines, _score)}."


def _cells(
    run: Run,
    headlines: dict[Setting, Headline],
    text: Callable[[Interval, str], str],
) -> str:
    """The four cells, or those that were tested where none of them was, and their mean."""
    own, marked = _own(headlines), reservations(run.result)
    cells = list(map(str, BIMOTION_CELLS))
    if not set(own) & set(cells):
        cells = list(own)
    shown = {cell: headlines[own[cell]] for cell in cells if cell in own}
    texts = {
        cell: text(headline.interval, marked.get(own[cell].id, ""))
        for cell, headline in shown.items()
    }
    words = [f"{cell} {texts.get(cell, 'not run')}" for cell in cells]
    if len(shown) == len(cells) > 1:
        mean = combined(mean_known, *(headline.estimate for headline in shown.values()))
        words.append(f"mean {text(mean.interval(), '')}")
    return ", ".join(words) or "no cell was tested that was trained"


def _own(settings: Iterable[Setting]) -> dict[str, Setting]:
    """Test cell -> its in-group or zero-shot setting, over all corpora where there is one."""
    own = [setting for setting in settings if setting.transfer in ("in-group", "zero-shot")]
    own.sort(key=lambda setting: setting.corpora is None)
    return {str(setting.test): setting for setting in own}


def _score(interval: Interval, mark: str) -> str:
    """A number in %; in brackets its 95 % interval and why little is left of it."""
    notes = [RESERVED[letter] for letter in mark if letter in RESERVED]
    if interval.low is not None:
        notes.insert(0, f"{100 * interval.low:.0f} to {100 * interval.high:.0f}")
    return _plain_score(interval, mark) + (f" ({', '.join(notes)})" if notes else "")


def _plain_score(interval: Interval, mark: str) -> str:
    return "-" if interval.value is None else f"{100 * interval.value:.1f}"


def _crossing(headlines: dict[Setting, Estimate]) -> list[str]:
    """Means of what was trained on one other cell, a kind of transfer each, in a sentence."""
    values: dict[str, list[float]] = {}
    for setting, estimate in headlines.items():
        value = estimate.interval().value
        is_plain = setting.transfer in CROSS and setting.method in ("inference", "cantonese")
        if is_plain and value is not None:
            values.setdefault(setting.transfer, []).append(value)
    texts = [
        f"{name} {100 * sum(values[name]) / len(values[name]):.1f}"
        for name in CROSS
        if name in values
    ]
    return [f"Trained on one other cell, means: {', '.join(texts)}."] if texts else []


def _age(run: Run, source: CorpusSource) -> str:
    texts, missing = _age_texts(run, source)
    words = [f"{corpus} {text}" for corpus, text in texts.items()]
    words += [line.partition(": expected")[0] for line in missing[:1]]
    return f"Age, points of recall a decade within a corpus: {'; '.join(words)}."


def _ages(runs: Sequence[Run], source: CorpusSource) -> str:
    """The age result of each run in one corpus, one with a test where there is such."""
    known = {run.result.title: _age_texts(run, source)[0] for run in runs}
    corpora = sorted({name for texts in known.values() for name in texts}, key=_is_case)
    if not corpora:
        return "Age: no result; bimotion compare says why."
    texts = [f"{name} {texts[corpora[0]]}" for name, texts in known.items() if corpora[0] in texts]
    return f"Age, points of recall a decade within {corpora[0]}: {'; '.join(texts)}."


def _is_case(corpus: str) -> tuple[bool, str]:
    return corpus == "tess", corpus


def _age_texts(run: Run, source: CorpusSource) -> tuple[dict[str, str], list[str]]:
    """Corpus -> its age result, under its first training set; and what is missing."""
    results, missing = ages.run_ages(run, source)
    first = {result.corpus: result for result in reversed(results)}
    return {corpus: _age_of(result) for corpus, result in sorted(first.items())}, missing


def _age_of(result: AgeResult) -> str:
    slope = result.slope
    if slope.reach is None:
        return f"{points(slope.value)} ({result.n_adults + result.n_elders} speakers, no test)"
    verdict = "cannot be told from chance"
    if slope.p_holm < SEPARATE_BELOW:
        verdict = "worse with age" if slope.value < 0 else "better with age"
    return f"{points(slope.value)} (p {p_value(slope.p_holm)}, {verdict})"


def _not_separated(run: Run, headlines: dict[Setting, Estimate]) -> str:
    """Differences whose 95 % interval holds 0, ratios whose interval holds 1."""
    compared = {
        _compared(gap): gap.interval.low <= (gap.kind == "transfer") <= gap.interval.high
        for gap in gaps(run.predictions, headlines, run.schema, headlines)
        if gap.kind != "worst" and gap.of != "mean" and gap.interval.low is not None
    }
    alike = [of for of, holds in compared.items() if holds]
    if not alike:
        return (
            f"Cannot be separated: none of {len(compared)} comparisons of cells and training sets."
        )
    counts = f"{len(alike)} of {len(compared)} comparisons of cells and training sets"
    return f"Cannot be separated (95 % intervals): {counts}, such as {'; '.join(alike[:2])}."


def _compared(gap: Gap) -> str:
    """The two things that a comparison is of."""
    if gap.kind == "transfer":
        train, _, test = gap.of.partition(" -> ")
        return f"{train} or its own clips as training for {test}"
    return gap.of.replace(" - ", " from ")


def _pair(first: Run, second: Run) -> str:
    """The number of settings in which two runs can be separated."""
    shared = shared_settings([first, second])
    compared = compare(first.predictions, second.predictions, shared, first.schema)
    apart = [
        pair.difference.value > 0
        for pair in compared
        if pair.p_holm is not None and pair.p_holm < SEPARATE_BELOW
    ]
    names = [run.result.title for run in (first, second)]
    alike = f"cannot be separated in {len(compared) - len(apart)} of {len(compared)} settings"
    better = f"better in {sum(apart)} and {len(apart) - sum(apart)}"
    return f"{names[0]} and {names[1]} {alike}{f'; {better}' if apart else ''}."


def _next(run: Run, folder: Path, source: CorpusSource) -> str:
    """The commands that come after one run."""
    result, words = run.result, [f"bimotion report {folder}{_corpora(source)}"]
    if not (result.data.synthetic or result.data.complete):
        words.append("bimotion data list, for the missing corpora")
    elif result.is_seeded and len(result.seeds) == 1:
        words.append("more seeds, on which these numbers depend")
    elif result.track != "zero-shot" and result.model.name not in UNHEARD:
        baseline = f"bimotion evaluate --model bimotion/prosody{_asked_so(run, source)}"
        words.append(f"a baseline beside it, {baseline}, and bimotion compare")
    return "; ".join(words)


def _corpora(source: CorpusSource) -> str:
    """The option that names the folder of the corpora, where one was given."""
    return "" if source.root is None else f" --corpora {shlex.quote(str(source.root))}"


def _asked_so(run: Run, source: CorpusSource) -> str:
    """The options that ask another model the same of the same clips."""
    result = run.result
    given = {
        "split-rule": result.split.rule,
        "folds": result.split.folds,
        "schema": result.schema.name,
        "protocol": result.protocol.name,
        "cells": ",".join(result.protocol.cells or ()) or None,
        "limit": result.limit,
    }
    options = [
        f" --{name} {value}"
        for name, value in given.items()
        if value is not None and value != USUAL.get(name)
    ]
    missing = "" if result.data.complete or result.data.synthetic else " --allow-missing"
    return "".join([_corpora(source), missing, *options])


def _common(folders: Sequence[Path]) -> str:
    """Folders as a command takes them."""
    named = " ".join(map(str, folders))
    return named if len(named) < COLUMNS - 24 else f"{folders[0].parents[1]}/*/*/"
