"""The age result of a run: recall against age within the corpora that hold both age groups."""

from collections.abc import Sequence

import pandas as pd

from bimotion.analysis.runs import Run
from bimotion.data.source import CorpusSource
from bimotion.data.speaker_facts import WITHIN, speaker_facts
from bimotion.io.tables import Table, p_value, percent, points
from bimotion.protocol.cells import union
from bimotion.results.statistics.ages import AgeResult, Contrast, age_results, speaker_recalls

HEADER = (
    *("corpus", "trained on", "adults + elderly", "recall, adults", "recall, elderly"),
    *("slope, points a decade", "p (Holm)", "elderly less adults, matched", "p (Holm)"),
)
UNIONS = {"+".join(map(str, union(name))): name for name in ("eng", "zho", "eld", "adu", "all")}
"""Training set -> the name of its union of cells."""
CASE_STUDY = "case study"
"""In place of p, of fewer than two speakers in an age group."""


def run_ages(run: Run, source: CorpusSource) -> tuple[list[AgeResult], list[str]]:
    """The age results of a run, and a line for everything that is missing of them."""
    facts, missing = speaker_facts(run.predictions, source)
    results = age_results(run.predictions, facts, run.schema)
    tested = sorted(set(run.predictions["corpus"]) & set(WITHIN))
    if not results and not missing:
        ages = set(run.predictions["cell"][run.predictions["corpus"].isin(tested)].str[-3:])
        why = "protocols inference, augmentation, all and cantonese have such sets"
        if len(ages) == 1:
            why = (
                f"all test clips of the run there are of {'elders' if 'eld' in ages else 'adults'}"
            )
        missing = [
            "no age result: no training set was tested on both age groups of "
            f"{' or '.join(tested or WITHIN)}; {why}"
        ]
    return results, missing


def run_speakers(run: Run, source: CorpusSource) -> dict[tuple[str, str], pd.DataFrame]:
    """(corpus, training set) of each age result of a run -> its speakers, with age and recall."""
    return speaker_recalls(run.predictions, speaker_facts(run.predictions, source)[0], run.schema)


def age_table(run: Run, source: CorpusSource) -> Table:
    """Slope of recall over age and elderly less adult recall of each corpus and training set."""
    results, missing = run_ages(run, source)
    title = f"Age, within corpora: {run.name}, recall of speakers (mean over classes), %"
    return Table(title, HEADER, list(map(age_row, results)), [*missing, *notes(results)])


def age_row(result: AgeResult) -> list[str]:
    """An age result as texts under HEADER."""
    speakers = f"{result.n_adults} + {result.n_elders}"
    texts = [result.corpus, UNIONS.get(result.train, result.train), speakers]
    texts += [percent(result.adults), percent(result.elders)]
    for contrast in (result.slope, result.matched):
        value, interval, p = contrast_texts(contrast)
        texts += [f"{value} ({interval})" if interval else value, p]
    return texts


def contrast_texts(contrast: Contrast) -> tuple[str, str, str]:
    """Value, its interval (empty where there is no test) and the corrected p."""
    value = points(contrast.value)
    if contrast.reach is None:
        return value, "", "-" if contrast.value is None else CASE_STUDY
    low, high = contrast.value - contrast.reach, contrast.value + contrast.reach
    return value, f"{points(low)} to {points(high)}", p_value(contrast.p_holm)


def notes(results: Sequence[AgeResult]) -> list[str]:
    """The sentences below a table of age results."""
    if not results:
        return []
    contrasts = [contrast for result in results for contrast in (result.slope, result.matched)]
    numbers = sorted(
        {contrast.n_permutations for contrast in contrasts if not contrast.exact} - {0}
    )
    counts = [f"{n} random" for n in numbers]
    counts += ["all there are"] * any(contrast.exact for contrast in contrasts)
    tested = ""
    if counts:
        tested = (
            f"p: speakers permuted within genders ({', '.join(counts)}), corrected over the rows "
            "of a column (Holm). "
        )
    texts = [
        "One model, one corpus: old and young say the same sentences. Slope: within genders; "
        "matched: the same gender, sentence and class; in brackets 95 %. "
        f"{tested}The first training set of a corpus is its result, the others show how it depends "
        "on training"
    ]
    unmatched = sorted({result.corpus for result in results if result.matched.value is None})
    if unmatched:
        texts.append(
            f"{', '.join(unmatched)}: elderly and adults share no gender, sentence and class, so "
            "nothing is matched"
        )
    if cases := sorted({r.corpus for r in results if min(r.n_adults, r.n_elders) < 2}):
        texts.append(
            f"{', '.join(cases)}: {CASE_STUDY}, fewer than two speakers in an age group: no test "
            "can tell age from the person"
        )
    return texts
