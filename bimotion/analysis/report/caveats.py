"""What a reader must know before believing a number of a run, in plain words, with the counts
behind each."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from bimotion.analysis.compare import Run
from bimotion.analysis.report.document import Caveat
from bimotion.analysis.report.scorebook import Scorebook, name_of, tested_on
from bimotion.io.tables import percent
from bimotion.results.duplicates import summary
from bimotion.results.record import Result, Score

ABSENT = ("missing", "not found")
"""Reasons for clips left out that incomplete corpora tell already."""
FEW_SPEAKERS = 8
"""From so many on, intervals cover what they say (statistics/estimate.py)."""


def caveats(run: Run, book: Scorebook) -> tuple[Caveat, ...]:
    """Of a run, gravest first.

    Example::

        [run] = comparing.load([Path("results/bimotion__prosody/0123456789ab")])
        [caveat.name for caveat in caveats.caveats(run, scorebook.scorebook(run))]
    """
    found = [
        *_of_options(run.result),
        *_of_data(run.result),
        *_of_record(book),
        *_of_few_speakers(book),
        *_of_speaker_facts(run.result, book),
        *_of_classes(run, book),
        *_of_clips(run),
    ]
    return tuple(caveat for caveat in found if caveat is not None)


def _listed(name: str, text: str, numbers: Iterable[str], *, severe: bool = False) -> Caveat | None:
    """A caveat of several lines; None where there is no line."""
    numbers = tuple(numbers)
    return Caveat(name, text, numbers, severe) if numbers else None


def _of_options(result: Result) -> Iterator[Caveat | None]:
    """What was asked for."""
    corpora = result.data.corpora
    yield _listed(
        "SYNTHETIC data",
        "Made by formulas, not people: these numbers say nothing about people.",
        (f"{name}: {used.n_utterances} clips" for name, used in corpora.items() if used.synthetic),
        severe=True,
    )
    if result.limit is not None:
        text = (
            f"At most {result.limit} clips of each corpus, cell and part were used: for trying "
            "out alone."
        )
        yield Caveat("LIMITED run", text, severe=True)
    if result.adapt is not None and result.adapt.target_seen:
        of = {
            "transductive": "all clips of each test cell, those that it is tested on among them",
            "inductive": "clips of the train part of each test cell",
        }
        text = (
            f"{result.adapt.title} adapted the model, without labels, to "
            f"{of[result.adapt.setting]}."
        )
        yield Caveat(
            "Target audio seen",
            f"{text} Compare with runs that were adapted alike, and with method none.",
        )


def _of_data(result: Result) -> Iterator[Caveat | None]:
    """What of the corpora and of the protocol is not in the run, or is odd."""
    corpora = result.data.corpora
    yield _listed(
        "INCOMPLETE corpora",
        "Scores are comparable only with those of runs on the same clips. Usable clips, of "
        "all that are published:",
        (
            f"{name}: {used.n_found} of {used.n_published}"
            for name, used in corpora.items()
            if not used.complete and not used.synthetic
        ),
        severe=True,
    )
    yield _listed(
        "Clips left out",
        "They could not be used, or have no class under this schema:",
        (
            f"{name}: {n} {reason}"
            for name, used in corpora.items()
            for reason, n in used.left_out.items()
            if reason not in ABSENT
        ),
    )
    yield _listed(
        "Odd clips",
        "They were used as they are, but for those whose facts or files disagree; `bimotion "
        "data doctor` names each:",
        (
            f"{name}: {', '.join(f'{n} {kind}' for kind, n in used.oddities.items())}"
            for name, used in corpora.items()
            if used.oddities
        ),
    )
    yield _of_skipped(result)


def _of_skipped(result: Result) -> Caveat | None:
    reasons = Counter(
        reason for skip in result.skipped for reason in dict.fromkeys(skip.reason.split("; "))
    )
    return _listed(
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
    undefined = (
        f"{name_of(setting)}: {metric} of {where}"
        for setting, rows in book.rows.items()
        for (where, metric), score in rows.items()
        if score.value is None
    )
    yield _listed(
        "Undefined scores", "No clip counts in them; shown as a dash, never as 0:", undefined
    )


def _of_few_speakers(book: Scorebook) -> Iterator[Caveat | None]:
    tests = {
        tested_on(setting): score for setting in book.settings if (score := book.score(setting))
    }
    yield _listed(
        "Few speakers",
        f"Fewer than {FEW_SPEAKERS} known speakers: an interval from so few is rough, and "
        "other speakers may fare otherwise.",
        (
            f"{name}: {_people(one)}"
            for name, one in tests.items()
            if 0 < one.n_speakers < FEW_SPEAKERS
        ),
    )
    yield _listed(
        "One speaker",
        "Nothing can be said of other speakers, so there is no interval; in that of a mean "
        "over several corpora or cells its clips are drawn again instead.",
        (
            f"{name}: {_people(one)}"
            for name, one in _scores_of_corpora(book).items()
            if (one.n_speakers, one.n_speaker_unknown) == (1, 0)
        ),
    )


def _of_speaker_facts(result: Result, book: Scorebook) -> Iterator[Caveat | None]:
    """What is unknown, shared or assumed of speakers."""
    yield _listed(
        "Speakers unknown",
        "Intervals draw clips instead, as if each were another speaker's: they are too narrow.",
        (
            f"{name}: {_people(one)}"
            for name, one in _scores_of_corpora(book).items()
            if one.n_speaker_unknown
        ),
    )
    yield _listed(
        "Speakers shared",
        f"Under split {result.split.rule} speakers tested may be heard in training, which "
        "makes a test easier:",
        (f"{name}: {used.speakers_shared}" for name, used in _used(result) if used.speakers_shared),
    )
    assumed = {
        name: used.age_source["assumed"]
        for name, used in _used(result)
        if used.age_source.get("assumed")
    }
    total = sum(used.n_utterances for _, used in _used(result))
    yield _listed(
        "Ages assumed",
        f"For {percent(sum(assumed.values()) / max(total, 1))} % of the clips nobody measured "
        "or stated the speaker's age: it is assumed from how the corpus was made.",
        (
            f"{name}: {n} of {result.data.corpora[name].n_utterances} clips"
            for name, n in assumed.items()
        ),
    )


def _of_classes(run: Run, book: Scorebook) -> Iterator[Caveat | None]:
    untrained = (
        f"{name_of(setting)}, {name}: {', '.join(score.untrained)} "
        f"({percent(score.out_of_label_space)} % of clips have no other class)"
        for setting in book.settings
        for name in book.corpora(setting)
        if (score := book.score(setting, name)) and score.untrained
    )
    yield _listed(
        "Classes never trained",
        "Classes of the test clips that training had no clip of, or the model no output for: "
        "no prediction of them can be right, so these scores measure how labels overlap as "
        "much as how speech is understood.",
        untrained,
    )
    of_one = [
        f"{name_of(setting)}, {name}: {score.note}"
        for setting in book.settings
        for name in book.corpora(setting)
        if (score := book.score(setting, name)) and score.note
    ]
    yield _listed(
        "One class",
        "Of one class in a test set any guess of it is right, and a model that knows one "
        "class guesses no other: such a number says nothing about emotion. Of one class in "
        "validation, nothing can be chosen by it.",
        [
            *of_one,
            *dict.fromkeys(
                f"training set {fit.train}: {fit.note}" for fit in run.result.fits if fit.note
            ),
        ],
    )


def _of_clips(run: Run) -> Iterator[Caveat | None]:
    """Test clips whose label a model may know, or nobody does."""
    yield _listed(
        "Test clips heard in training",
        "Their samples are those of a training or validation clip, to the bit: whoever knows "
        "that clip knows the answer or, under another label, a wrong one:",
        summary(run.result.duplicates),
    )
    clips = run.predictions.drop_duplicates("id")
    unmarked = clips[[not (np.asarray(reference) == 1).any() for reference in clips["reference"]]]
    of_corpora = clips["corpus"].value_counts()
    yield _listed(
        "Clips without a marked emotion",
        "The paper's weighted F1 counts them as the corpus's first class, as its code does; "
        "all other numbers leave them out.",
        (
            f"{name}: {n} of {of_corpora[name]} test clips"
            for name, n in unmarked["corpus"].value_counts().sort_index().items()
        ),
    )


def _scores_of_corpora(book: Scorebook) -> dict[str, Score]:
    return {
        f"{tested_on(setting)}, {name}": score
        for setting in book.settings
        for name in book.corpora(setting)
        if (score := book.score(setting, name))
    }


def _people(score: Score) -> str:
    """How many clips, of how many speakers."""
    known = (
        [f"{score.n_speakers} known speaker{'s' * (score.n_speakers != 1)}"]
        if score.n_speakers
        else []
    )
    if score.n_speaker_unknown:
        known.append(f"{score.n_speaker_unknown} clips of unknown speakers")
    return f"{score.n_utterances} clips, {' and '.join(known)}"


def _used(result: Result) -> list:
    """Corpora with clips in the run."""
    return [(name, used) for name, used in result.data.corpora.items() if used.n_utterances]
