"""Caveats that a reader must know before believing a number of a run, in plain words, with the
counts behind each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from bimotion.analysis.paper_tables import OLD_NUMBERS
from bimotion.analysis.report.document import Caveat
from bimotion.analysis.report.scorebook import Scorebook, name_of, tested_on
from bimotion.analysis.runs import Run
from bimotion.io.tables import percent
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.results.duplicates import summary
from bimotion.results.record import CorpusUsed, Result, Score

ABSENT = ("missing", "not found")
"""Reasons for clips left out that incomplete corpora tell already."""
FEW_SPEAKERS = 8
"""Below so many, intervals are wide, and coverage is less even (docs/statistics.md)."""

_AS_OTHERS = "as those of the other corpora do, or by a stated amount where none is known"


def caveats(run: Run, book: Scorebook) -> tuple[Caveat, ...]:
    """The caveats of a run, gravest first.

    Example::

        [run] = runs.load([Path("results/bimotion__prosody/0123456789ab")])
        [caveat.name for caveat in caveats.caveats(run, scorebook.scorebook(run))]
    """
    possible = (
        *_of_options(run.result),
        *_of_data(run.result),
        *_of_record(book),
        *_of_speakers(run.result, book),
        *_of_classes(run, book),
        *_of_clips(run),
    )
    return tuple(caveat for caveat in possible if caveat is not None)


def _listed(name: str, text: str, numbers: Iterable[str], *, severe: bool = False) -> Caveat | None:
    """A caveat of several lines; None where there is no line."""
    numbers = tuple(numbers)
    return Caveat(name, text, numbers, severe) if numbers else None


def _by_corpus(result: Result, line: Callable[[CorpusUsed], object]) -> list[str]:
    """A line a corpus of which there is something to say."""
    corpora = result.data.corpora.items()
    return [f"{name}: {text}" for name, used in corpora if (text := line(used))]


def _of_options(result: Result) -> Iterator[Caveat | None]:
    """Caveats of what was asked for."""
    yield _listed(
        "SYNTHETIC data",
        "Made by formulas, not people: these numbers say nothing about people.",
        _by_corpus(result, lambda used: used.synthetic and f"{used.n_utterances} clips"),
        severe=True,
    )
    if (version := result.split.version) != NUMBERS_VERSION:
        yield Caveat(f"NUMBERS version {version}", f"{OLD_NUMBERS}.".capitalize(), severe=True)
    if result.limit is not None:
        text = f"At most {result.limit} clips of each corpus, cell and part were used: for trying "
        yield Caveat("LIMITED run", f"{text}out alone.", severe=True)
    if result.adapt is not None and result.adapt.target_seen:
        clips = {
            "transductive": "all clips of each test cell, those that it is tested on among them",
            "inductive": "clips of the train part of each test cell",
        }[result.adapt.setting]
        yield Caveat(
            "Target audio seen",
            f"{result.adapt.title} adapted the model, without labels, to {clips}. Compare with "
            "runs that were adapted alike, and with method none.",
        )


def _of_data(result: Result) -> Iterator[Caveat | None]:
    """Caveats of what of the corpora and of the protocol is missing in the run, or is odd."""
    corpora = result.data.corpora
    yield _listed(
        "INCOMPLETE corpora",
        "Scores are comparable only with those of runs on the same clips. Usable clips, of "
        "all that are published:",
        _by_corpus(
            result,
            lambda used: (
                not (used.complete or used.synthetic) and f"{used.n_found} of {used.n_published}"
            ),
        ),
        severe=True,
    )
    left_out = [
        f"{name}: {n} {reason}"
        for name, used in corpora.items()
        for reason, n in used.left_out.items()
        if reason not in ABSENT
    ]
    text = "They could not be used, or have no class under this schema:"
    yield _listed("Clips left out", text, left_out)
    yield _listed(
        "Odd clips",
        "They were used as they are, but for those whose facts or files disagree; `bimotion "
        "data doctor` names each:",
        _by_corpus(
            result, lambda used: ", ".join(f"{n} {kind}" for kind, n in used.oddities.items())
        ),
    )
    reasons = Counter(
        reason for skip in result.skipped for reason in dict.fromkeys(skip.reason.split("; "))
    )
    yield _listed(
        "Settings not run",
        f"{len(result.skipped)} settings of the protocol are missing here. What stood in the "
        "way, and of how many:",
        (f"{reason}: {n}" for reason, n in sorted(reasons.items())),
    )


def _of_record(book: Scorebook) -> Iterator[Caveat | None]:
    text = (
        "These numbers of result.json do not follow from predictions.parquet; bimotion score "
        "computes them again:"
    )
    yield _listed("DOUBTFUL record", text, book.doubtful, severe=True)
    undefined = [
        f"{name_of(setting)}: {metric} of {where}"
        for setting, rows in book.rows.items()
        for (where, metric), score in rows.items()
        if score.value is None
    ]
    text = "No clip counts in them; shown as a dash, never as 0:"
    yield _listed("Undefined scores", text, undefined)


def _of_speakers(result: Result, book: Scorebook) -> Iterator[Caveat | None]:
    """Caveats of how few speakers there are, and what is unknown, shared or assumed of them."""
    tests = {
        tested_on(setting): score for setting in book.settings if (score := book.score(setting))
    }
    of_corpora = {
        f"{tested_on(setting)}, {corpus}": score for setting, corpus, score in book.by_corpus()
    }
    yield _listed(
        "Few speakers",
        f"Fewer than {FEW_SPEAKERS} known speakers: an interval from so few is rough, and "
        "other speakers may fare otherwise.",
        _people(tests, lambda score: 0 < score.n_speakers < FEW_SPEAKERS),
    )
    yield _listed(
        "One speaker",
        f"Nothing was seen of other speakers: intervals take them to differ {_AS_OTHERS}.",
        _people(of_corpora, lambda score: (score.n_speakers, score.n_speaker_unknown) == (1, 0)),
    )
    yield _listed(
        "Speakers unknown",
        f"Intervals rest on a stated number of latent speakers, who differ {_AS_OTHERS}.",
        _people(of_corpora, lambda score: score.n_speaker_unknown),
    )
    yield _listed(
        "Speakers shared",
        f"Under split {result.split.rule} speakers tested may be heard in training, which "
        "makes a test easier:",
        _by_corpus(result, lambda used: used.n_utterances and used.speakers_shared),
    )
    used = [corpus for corpus in result.data.corpora.values() if corpus.n_utterances]
    n_assumed = sum(corpus.age_source.get("assumed", 0) for corpus in used)
    share = n_assumed / max(sum(corpus.n_utterances for corpus in used), 1)
    yield _listed(
        "Ages assumed",
        f"For {percent(share)} % of the clips nobody measured or stated the speaker's age: it is "
        "assumed from how the corpus was made.",
        _by_corpus(result, _assumed_ages),
    )


def _assumed_ages(used: CorpusUsed) -> str:
    n = used.age_source.get("assumed")
    return f"{n} of {used.n_utterances} clips" if n and used.n_utterances else ""


def _people(scores: dict[str, Score], wanted: Callable[[Score], object]) -> Iterator[str]:
    """A line for each score that is wanted: how many clips of how many speakers it is of."""
    for name, score in scores.items():
        n_clips, n, n_unknown = score.n_utterances, score.n_speakers, score.n_speaker_unknown
        people = [f"{n} known speaker{'s' * (n != 1)}"] if n else []
        if n_unknown:
            people.append(f"{n_unknown} of unknown speakers" if n else "unknown speakers")
        if wanted(score):
            yield f"{name}: {n_clips} clip{'s' * (n_clips != 1)}, {' and '.join(people)}"


def _of_classes(run: Run, book: Scorebook) -> Iterator[Caveat | None]:
    scores = [
        (f"{name_of(setting)}, {corpus}", score) for setting, corpus, score in book.by_corpus()
    ]
    yield _listed(
        "Classes never trained",
        "Classes of the test clips that training had no clip of, or the model no output for: "
        "no prediction of them can be right (under the paper's recipe of finetune by chance only), "
        "so these scores measure how labels overlap as much as how speech is understood.",
        (
            f"{name}: {', '.join(score.untrained)} "
            f"({percent(score.out_of_label_space)} % of clips have no other class)"
            for name, score in scores
            if score.untrained
        ),
    )
    notes = [f"{name}: {score.note}" for name, score in scores if score.note]
    of_training = [f"training set {fit.train}: {fit.note}" for fit in run.result.fits if fit.note]
    yield _listed(
        "One class",
        "Of one class in a test set any guess of it is right, and a model that knows one "
        "class guesses no other: such a number says nothing about emotion. Of one class in "
        "validation, nothing can be chosen by it.",
        notes + list(dict.fromkeys(of_training)),
    )


def _of_clips(run: Run) -> Iterator[Caveat | None]:
    """Test clips whose label a model may know, or nobody does."""
    yield _listed(
        "Test clips heard in training",
        "Their samples are those of a training or validation clip, to the bit: whoever knows "
        "that clip knows the answer or, under another label, a wrong one:",
        summary(run.result.duplicates),
    )
    yield _listed(
        "First labels alone",
        "Split paper counts a clip as the paper's code does: one of several emotions as its first "
        "in the order of the schema, and one without any, in weighted F1 alone, as the corpus's "
        "first. Under every other split such a corpus is scored label by label.",
        _several_or_none(run) if run.schema.single_form else (),
    )


def _several_or_none(run: Run) -> Iterator[str]:
    """A line a corpus whose clips have several labels or none."""
    clips = run.predictions.drop_duplicates("id")
    n_labels = clips["reference"].map(lambda reference: int((np.asarray(reference) == 1).sum()))
    for corpus, of_clips in n_labels.groupby(clips["corpus"]):
        n_several, n_none = int((of_clips > 1).sum()), int((of_clips == 0).sum())
        if n_several or n_none:
            numbers = f"{n_several} of {len(of_clips)} test clips of several, {n_none} of none"
            yield f"{corpus}: {numbers}"
