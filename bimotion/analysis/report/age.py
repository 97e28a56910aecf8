"""The part of a report on age: recall against age within corpora, which it leads with."""

from collections.abc import Sequence

from bimotion.analysis import ages
from bimotion.analysis.report.charts import speakers
from bimotion.analysis.report.document import Grid, Section, Value, Whisker
from bimotion.analysis.runs import Run
from bimotion.data.source import CorpusSource
from bimotion.io.drawing import Drawing
from bimotion.results.statistics.ages import AgeResult


def age(run: Run, source: CorpusSource) -> Section:
    """Slopes and matched differences with their permutation tests, drawn; or what is missing."""
    results, missing = ages.run_ages(run, source)
    text = (
        "Only within a corpus do old and young say the same sentences under the same microphones. "
        "Recall of speakers, mean over classes.",
        *missing,
    )
    reach = max((end for result in results for end in _ends(result)), default=0.0) or 1.0
    rows = [_row(result, reach) for result in results]
    is_drawn = any(value.whisker for row in rows for value in row)
    drawn = f"Drawn from {-100 * reach:+.0f} to {100 * reach:+.0f} points."
    grids = [
        Grid(
            "Recall by age within corpora, %",
            list(map(Value, (*ages.HEADER[:6], ages.HEADER[7]))),
            rows,
            (*ages.notes(results), *[drawn] * is_drawn),
        )
    ]
    drawings = _drawings(run, source, results)
    return Section("age", "Age", text, grids=tuple(grids if rows else ()), drawings=drawings)


def _drawings(run: Run, source: CorpusSource, results: Sequence[AgeResult]) -> tuple[Drawing, ...]:
    """Speakers against age, under the first training set of each corpus, which is its result."""
    of_corpora = {result.corpus: result for result in reversed(results)}
    known = ages.run_speakers(run, source) if results else {}
    return tuple(
        speakers.drawing_of(f"age-{corpus}", result, known[corpus, result.train])
        for corpus, result in sorted(of_corpora.items())
    )


def _row(result: AgeResult, reach: float) -> list[Value]:
    row = list(map(Value, ages.age_row(result)[:5]))
    for contrast in (result.slope, result.matched):
        value, interval, p = ages.contrast_texts(contrast)
        if contrast.reach is None:
            row.append(Value(value, p))
            continue
        low, high = contrast.value - contrast.reach, contrast.value + contrast.reach
        whisker = Whisker(contrast.value, low, high, start=-reach, end=reach, zero=0.0)
        row.append(Value(value, f"{interval}; p {p}", whisker=whisker))
    return row


def _ends(result: AgeResult) -> list[float]:
    """The farthest from 0 that each contrast is drawn."""
    return [
        abs(contrast.value) + (contrast.reach or 0)
        for contrast in (result.slope, result.matched)
        if contrast.value is not None
    ]
