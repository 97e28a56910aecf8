"""Marks of what looks odd of an entry: facts that a reader should see, each with its figure, its
threshold and what else than deceit explains it.

A mark is no verdict: it excludes nothing and changes no rank and no status. What needs only the
submission is computed once (scored.py); what needs other entries when the board is made, and then
only recomputed entries count as others: nobody is marked by what a stranger merely claims.

Thresholds are those that fewer than 1 % of honest entries (or pairs) reach in
benchmarks/oddities.py, with a margin, for its material is narrow (docs/statistics.md).
"""

from collections.abc import Mapping
from statistics import median

import numpy as np
import pandas as pd

from bimotion.leaderboard.entry import BASE, Entry, Oddity
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set
from bimotion.results.statistics import shared_errors
from bimotion.results.statistics.calibration import ConfidenceRanking, confidence_ranking
from bimotion.results.statistics.estimate import Estimate, combined
from bimotion.results.statistics.shared_errors import ErrorPair, Errors

MIN_CONFIDENCE_AREA = 0.95
MIN_WRONG = 20
"""Right, and wrong, decisions below which their confidence says nothing."""
MIN_TRANSFER_GAIN = 0.1
BEYOND_DOUBT = 0.001
"""The largest p-value of a difference that a mark speaks of."""
MIN_SHARED_ERRORS = 0.95
MIN_POSSIBLE = 40
"""Same errors that two entries could make beyond chance, below which they are not compared."""
MIN_LEAD = 0.5
MIN_OTHER_MODELS = 5
"""Recomputed models but baselines, in a class, beside the one that leads it."""
MIN_RUNS = 4
MAX_NAMED = 5
"""Names of other entries in an explanation."""
THRESHOLDS = (MIN_CONFIDENCE_AREA, MIN_WRONG, MIN_TRANSFER_GAIN, BEYOND_DOUBT)
"""Those by which an entry is marked before it is kept."""


# --- by the submission itself -------------------------------------------------------------------


def of_submission(
    tables: Mapping[Setting, list[pd.DataFrame]],
    means: Mapping[Setting, Estimate],
    schema: LabelSchema,
) -> list[Oddity]:
    """The marks that need only the submission.

    Args:
        tables: predictions of each setting, a table a seed.
        means: the score of each setting.
        schema: of the labels.
    """
    return [*_confident(confidence(tables, schema)), *_transferring(transfer_gain(means))]


def confidence(
    tables: Mapping[Setting, list[pd.DataFrame]], schema: LabelSchema
) -> ConfidenceRanking | None:
    """The ranking of decisions by confidence (confidence_ranking), within corpora and seeds, in the
    settings that an entry is ranked by; counts are those of one seed."""
    n_seeds = max((len(of_seeds) for of_seeds in tables.values()), default=1)
    ranking = confidence_ranking(
        part
        for setting, of_seeds in tables.items()
        if f"{setting.transfer}/{setting.method}" in BASE
        for table in of_seeds
        for part in test_set(table, schema).by_corpus.values()
    )
    if ranking is None:
        return None
    n_right, n_wrong = ranking.n_right // n_seeds, ranking.n_wrong // n_seeds
    return ConfidenceRanking(ranking.area, n_right, n_wrong)


def _confident(ranking: ConfidenceRanking | None) -> list[Oddity]:
    if ranking is None or min(ranking.n_right, ranking.n_wrong) < MIN_WRONG:
        return []
    if ranking.area < MIN_CONFIDENCE_AREA:
        return []
    explanation = (
        f"in {100 * ranking.area:.1f} % of the pairs of a right and a wrong decision the right one "
        f"is more confident ({ranking.n_right} right, {ranking.n_wrong} wrong). Innocent where "
        "clips are either clear or hopeless"
    )
    return [_oddity("confidence", ranking.area, MIN_CONFIDENCE_AREA, explanation)]


def transfer_gain(means: Mapping[Setting, Estimate]) -> tuple[Setting, float] | None:
    """The setting that is better than training in the cell that is tested beyond doubt, and by the
    most; and by how much. None: there is none.

    Only training sets of one other cell: those that hold the tested one too are better for a good
    reason, and so is, less often, one with many more clips.
    """
    own = {setting.test: mean for setting, mean in means.items() if _is_in_group(setting)}
    gains = [
        (setting, combined(np.subtract, mean, own[setting.test]).spread)
        for setting, mean in means.items()
        if _is_of_another_cell(setting) and setting.test in own
    ]
    beyond_doubt = [
        (setting, spread.estimate)
        for setting, spread in gains
        if spread.estimate > 0 and spread.p_value() * len(gains) <= BEYOND_DOUBT
    ]
    return max(beyond_doubt, key=lambda gain: (gain[1], str(gain[0].id)), default=None)


def _is_in_group(setting: Setting) -> bool:
    return (setting.transfer, setting.method) == ("in-group", "inference")


def _is_of_another_cell(setting: Setting) -> bool:
    is_transfer = setting.transfer != "in-group" and setting.method == "inference"
    return is_transfer and setting.corpora is None


def _transferring(gain: tuple[Setting, float] | None) -> list[Oddity]:
    if gain is None or gain[1] < MIN_TRANSFER_GAIN:
        return []
    setting, difference = gain
    trained = "+".join(setting.train_names)
    explanation = (
        f"trained on {trained} it is better on {setting.test} than trained there, by "
        f"{100 * difference:.1f} points, which chance does not explain (p < {BEYOND_DOUBT}, "
        "corrected over transfers). Innocent where the other cell has many more clips, or the "
        "cell's own labels are poor"
    )
    return [_oddity("better across", difference, MIN_TRANSFER_GAIN, explanation)]


# --- among others -------------------------------------------------------------------------------


def among(
    entries: Mapping[str, Entry],
    ranked: Mapping[str, Estimate | None],
    errors: Mapping[str, Errors],
) -> dict[str, list[Oddity]]:
    """Entry -> the marks that need the others; only of entries that have such.

    Args:
        entries: id -> entry.
        ranked: id -> the estimate that it is ranked by; None without all cells.
        errors: id -> its wrong decisions.
    """
    odd: dict[str, list[Oddity]] = {}
    by_class: dict[str, list[str]] = {}
    for identity in sorted(entries):
        by_class.setdefault(entries[identity].comparable, []).append(identity)
    known = {identity: ranked[identity] for identity in entries if ranked[identity] is not None}
    for members in by_class.values():
        group = {identity: entries[identity] for identity in members}
        for of_kind in (_leading(group, known), _repeated(group)):
            for identity, oddity in of_kind.items():
                odd.setdefault(identity, []).append(oddity)
    for identity, oddity in _erring(entries, errors).items():
        odd.setdefault(identity, []).append(oddity)
    return odd


def lead(own: float, other: float) -> float:
    """The share of the error of another model that is gone.

    >>> round(lead(0.9, 0.8), 9)
    0.5
    """
    return (own - other) / (1 - other) if other < 1 else 0.0


def _leading(entries: Mapping[str, Entry], known: Mapping[str, Estimate]) -> dict[str, Oddity]:
    """Entries of one class that are far above the best other model."""
    odd = {}
    compared = [
        identity
        for identity, entry in entries.items()
        if entry.flags.is_recomputed and not entry.flags.baseline and identity in known
    ]
    compared.sort(key=lambda identity: (-known[identity].estimate, identity))
    for identity, entry in entries.items():
        rivals = [other for other in compared if not _is_of_model(entry, entries[other])]
        n_models = len({entries[other].full_name.casefold() for other in rivals})
        if identity not in known or n_models < MIN_OTHER_MODELS:
            continue
        own, best = known[identity], known[rivals[0]]
        figure = lead(own.estimate, best.estimate)
        p = combined(np.subtract, own, best).spread.p_value()
        if not (figure >= MIN_LEAD and p <= BEYOND_DOUBT):  # nor where either is undefined
            continue
        explanation = (
            f"{100 * own.estimate:.1f}, and the best of {n_models} other models, "
            f"{entries[rivals[0]].full_name}, {100 * best.estimate:.1f}: {100 * figure:.0f} % of "
            "its error is gone. Innocent where a much better model stands among weak ones"
        )
        odd[identity] = _oddity("margin", figure, MIN_LEAD, explanation)
    return odd


def _repeated(entries: Mapping[str, Entry]) -> dict[str, Oddity]:
    """Entries of one class of which the model has many."""
    runs: dict[tuple, list[str]] = {}
    for identity, entry in entries.items():
        if entry.flags.is_recomputed:  # nobody is marked by what a stranger claims
            runs.setdefault(_model(entry), []).append(identity)
    odd = {}
    for identities in runs.values():
        if len(identities) < MIN_RUNS or entries[identities[0]].flags.baseline:
            continue
        means = [entries[identity].base for identity in identities]
        values = sorted(mean.value for mean in means if mean and mean.value is not None)
        spread = ""
        if len(values) > 1:
            ends = f"{100 * values[0]:.1f} to {100 * values[-1]:.1f}"
            spread = f", with means of {ends} (median {100 * median(values):.1f})"
        explanation = (
            f"{len(identities)} entries of this model stand in this class{spread}: the best of "
            "several runs is better than a run is. Innocent where options of a model are compared"
        )
        for identity in identities:
            odd[identity] = _oddity("many runs", len(identities), MIN_RUNS, explanation)
    return odd


def _erring(entries: Mapping[str, Entry], errors: Mapping[str, Errors]) -> dict[str, Oddity]:
    """Entries whose errors are those of another model."""
    pairs = shared_errors.sharing(
        {identity: errors[identity] for identity in sorted(entries)},
        agreement=MIN_SHARED_ERRORS,
        n_possible=MIN_POSSIBLE,
        is_asked=lambda first, second: not _is_of_model(entries[first], entries[second]),
    )
    of_entry: dict[str, list[tuple[str, ErrorPair]]] = {}
    for pair in pairs:
        for identity, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if entries[other].flags.is_recomputed:
                of_entry.setdefault(identity, []).append((other, pair))
    return {
        identity: _same_errors([(entries[other].full_name, pair) for other, pair in alike])
        for identity, alike in of_entry.items()
    }


def _same_errors(pairs: list[tuple[str, ErrorPair]]) -> Oddity:
    closest = max(pairs, key=lambda pair: pair[1].agreement)[1]
    names = sorted({name for name, _ in pairs})
    listed = ", ".join(names[:MAX_NAMED]) + (" and others" if len(names) > MAX_NAMED else "")
    explanation = (
        f"errs on the same clips in the same way as {listed}: agreement of errors "
        f"{closest.agreement:.2f}, {closest.n_same} the same of {closest.n_possible} that could "
        "be. Who has it of whom this does not say. Innocent where both are versions of one model"
    )
    return _oddity("shared errors", closest.agreement, MIN_SHARED_ERRORS, explanation)


def _model(entry: Entry) -> tuple[str, str | None]:
    return entry.full_name.casefold(), entry.adapt and entry.adapt.method


def _is_of_model(entry: Entry, other: Entry) -> bool:
    return entry.full_name.casefold() == other.full_name.casefold()


def _oddity(kind: str, figure: float, threshold: float, explanation: str) -> Oddity:
    return Oddity(kind, round(float(figure), 4), float(threshold), explanation)
