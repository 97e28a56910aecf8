"""The effect of age on recognition, within corpora that hold both age groups.

Only there do old and young say the same sentences under the same microphones, to one model that is
trained once. A speaker counts once, by recall: the mean over classes of the share of clips whose
arg-max is right. Two questions, each with a permutation test over speakers (Fisher 1935; random
permutations counted as Phipson and Smyth do, 2010, doi 10.2202/1544-6115.1585):

- slope: least squares of recall on age, both centred within gender; ages are permuted among
  speakers of a gender.
- matched: elderly less adult recall in each (gender, sentence, class) that both have, weighted by
  elderly clips, averaged over classes; age groups are permuted among speakers of a gender.

P-values are corrected for the corpora and training sets of a run that one question is asked of
(Holm 1979). The interval, of one test by itself, is the value -+ the largest size that the test
does not reject at 0.05: it excludes 0 where that test rejects, and is wide where the effect is
large. Two women say nothing of age in others: of fewer than two speakers in an age group there is
no test, only the numbers.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.clip_predictions import test_set, with_class
from bimotion.results.statistics.counts import ratio
from bimotion.results.statistics.paired import holm

N_PERMUTATIONS = 9999
MAX_EXACT = 5040
"""So many permutations, or fewer, are all tried."""
DECADE_YEARS = 10


@dataclass(frozen=True)
class Contrast:
    """A difference of recalls by age and its permutation test."""

    value: float | None
    """In [-1, 1], a decade or elderly less adult; null: not defined by these speakers."""
    reach: float | None
    """The largest size with a p above 0.05; null where there is no test."""
    p: float | None
    """Two-sided; null where there is no test."""
    n_permutations: int
    """Tried, the observed one not counted where they are random; 0: no test."""
    exact: bool
    """These are all there are."""
    p_holm: float | None = None
    """Corrected over all corpora and training sets of the run that the same is asked of."""


@dataclass(frozen=True)
class AgeResult:
    """One corpus under one training set that is tested on both of its age groups."""

    corpus: str
    """Name of the corpus."""
    train: str
    """Setting.training_set."""
    n_adults: int
    """Speakers."""
    n_elders: int
    """Speakers."""
    adults: float | None
    """Mean recall over adult speakers."""
    elders: float | None
    """Mean recall over elderly speakers."""
    slope: Contrast
    """Change of recall a decade of age, within genders."""
    matched: Contrast
    """Elderly less adult, matched by gender and sentence."""


def age_results(
    predictions: pd.DataFrame,
    facts: pd.DataFrame,
    schema: LabelSchema,
    *,
    permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> list[AgeResult]:
    """The age result of every corpus and training set that was tested on both age groups, the
    largest training set of both age groups first.

    Args:
        predictions: As in scoring.py; several seeds are averaged.
        facts: Index id, columns age_years, gender, sentence (data/speaker_facts.py).
    """
    results = [
        _result(corpus, train, _clips(rows, schema).join(facts, on="id"), permutations, seed)
        for corpus, train, rows in _of_both_ages(predictions, facts, schema)
    ]
    return _corrected(_corrected(results, "slope"), "matched")


def speaker_recalls(
    predictions: pd.DataFrame, facts: pd.DataFrame, schema: LabelSchema
) -> dict[tuple[str, str], pd.DataFrame]:
    """(corpus, training set) of each age result -> its speakers: index speaker, columns age,
    gender, is_elder, recall.

    Args:
        predictions: As of `age_results`, as are `facts`.
    """
    return {
        (corpus, train): _speakers(_clips(rows, schema).join(facts, on="id"))
        for corpus, train, rows in _of_both_ages(predictions, facts, schema)
    }


def _of_both_ages(
    predictions: pd.DataFrame, facts: pd.DataFrame, schema: LabelSchema
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Corpus, training set and rows of all that was tested on both age groups of a corpus."""
    known = predictions[predictions["id"].isin(facts.index)]
    for corpus, of_corpus in known.groupby("corpus", sort=True):
        trained = dict(list(of_corpus.groupby("train", sort=False)))
        for train in sorted(trained, key=_order):
            rows = with_class(trained[train], schema)
            if len(set(rows["cell"].str[-3:])) == 2:
                yield corpus, train, rows


def _corrected(results: list[AgeResult], name: str) -> list[AgeResult]:
    """With p-values corrected within one question, that is one column of a table."""
    contrasts = [getattr(result, name) for result in results]
    p_values = holm([contrast.p for contrast in contrasts])
    return [
        replace(result, **{name: replace(contrast, p_holm=p)})
        for result, contrast, p in zip(results, contrasts, p_values, strict=True)
    ]


def _order(train: str) -> tuple:
    """Training sets of both age groups first, of many cells before few."""
    return not ("eld" in train and "adu" in train), -train.count("+"), train


def _clips(rows: pd.DataFrame, schema: LabelSchema) -> pd.DataFrame:
    """A row a clip: id, speaker, whether the speaker is elderly, class, and the share of seeds that
    were right."""
    part = test_set(rows, schema)
    table = rows[["id", "speaker"]].assign(
        is_elder=rows["cell"].str.endswith("eld"),
        target=part.targets,
        hit=part.targets == part.predictions,
    )
    columns = ["id", "speaker", "is_elder", "target"]
    return table.groupby(columns, as_index=False)["hit"].mean()


def _speakers(clips: pd.DataFrame) -> pd.DataFrame:
    """Index speaker; age group, age, gender, and recall: the mean over classes."""
    speakers = clips.groupby("speaker").agg(
        is_elder=("is_elder", lambda groups: groups.mean() > 0.5),
        age=("age_years", "mean"),
        gender=("gender", "first"),
    )
    by_class = clips.groupby(["speaker", "target"])["hit"].mean()
    return speakers.assign(recall=by_class.groupby("speaker").mean().reindex(speakers.index))


def _result(
    corpus: str, train: str, clips: pd.DataFrame, permutations: int, seed: int
) -> AgeResult:
    speakers = _speakers(clips)
    recall = speakers["recall"].to_numpy()
    is_elder = speakers["is_elder"].to_numpy(bool)
    n_elders, n_adults = int(is_elder.sum()), int((~is_elder).sum())
    generator = np.random.default_rng([seed, 3])
    if min(n_elders, n_adults) < 2:
        permutations = 0
    return AgeResult(
        corpus=corpus,
        train=train,
        n_adults=n_adults,
        n_elders=n_elders,
        adults=float(recall[~is_elder].mean()) if n_adults else None,
        elders=float(recall[is_elder].mean()) if n_elders else None,
        slope=_slope(speakers, recall, permutations, generator),
        matched=_matched(clips, speakers, permutations, generator),
    )


def _slope(
    speakers: pd.DataFrame, recall: np.ndarray, permutations: int, generator: np.random.Generator
) -> Contrast:
    genders = speakers["gender"]
    centred = {
        name: (values - values.groupby(genders.to_numpy()).transform("mean")).to_numpy()
        for name, values in (("age", speakers["age"].astype(float)), ("recall", pd.Series(recall)))
    }
    spread = (centred["age"] ** 2).sum() / DECADE_YEARS
    if spread < 1e-9:
        return _tested(None, None, exact=False)
    orders, exact = _orders(genders.to_numpy(), permutations, generator)
    value = float(centred["age"] @ centred["recall"] / spread)
    if orders is None:
        return _tested(value, None, exact=False)
    return _tested(value, centred["age"][orders] @ centred["recall"] / spread, exact=exact)


def _matched(
    clips: pd.DataFrame,
    speakers: pd.DataFrame,
    permutations: int,
    generator: np.random.Generator,
) -> Contrast:
    strata = clips.groupby(["target", "gender", "sentence"], sort=True)
    numbers = strata.ngroup().to_numpy()
    classes = clips.groupby(numbers)["target"].first().to_numpy()
    rows = speakers.index.get_indexer(clips["speaker"])
    shape = (len(speakers), len(classes))
    hits, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(hits, (rows, numbers), clips["hit"].to_numpy(float))
    np.add.at(counts, (rows, numbers), 1)
    is_elder = speakers["is_elder"].to_numpy(bool)
    value = float(_difference(is_elder[None], hits, counts, classes)[0])
    groups, exact = _groups(is_elder, speakers["gender"].to_numpy(), permutations, generator)
    if math.isnan(value) or groups is None:
        return _tested(None if math.isnan(value) else value, None, exact=False)
    parts = np.array_split(groups, max(1, len(groups) * len(classes) // 2_000_000))
    permuted = [_difference(part, hits, counts, classes) for part in parts]
    return _tested(value, np.concatenate(permuted), exact=exact)


def _difference(
    is_elder: np.ndarray, hits: np.ndarray, counts: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Elderly less adult recall of several assignments of age groups, shape (n, n_speakers) ->
    (n,): mean over classes of that of their strata, weighted by elderly clips; nan where no stratum
    has both."""
    chosen = is_elder.astype(float)
    elder_hits, elder_counts = chosen @ hits, chosen @ counts
    adult_hits, adult_counts = hits.sum(axis=0) - elder_hits, counts.sum(axis=0) - elder_counts
    weights = np.where((elder_counts > 0) & (adult_counts > 0), elder_counts, 0)
    differences = elder_hits / np.maximum(elder_counts, 1) - adult_hits / np.maximum(
        adult_counts, 1
    )
    of_class = (classes[:, None] == np.unique(classes)).astype(float)
    by_class = ratio((weights * differences) @ of_class, weights @ of_class)
    known = ~np.isnan(by_class)
    return ratio(np.where(known, by_class, 0).sum(axis=1), known.sum(axis=1))


def _tested(value: float | None, permuted: np.ndarray | None, *, exact: bool) -> Contrast:
    if value is None or permuted is None:
        return Contrast(value, None, None, 0, False)
    sizes = np.round(np.abs(permuted[~np.isnan(permuted)]), 9)  # equal ones, to the last digit
    n = len(sizes)
    if not exact:  # the observed order is one of those that could have been
        sizes = np.append(sizes, round(abs(value), 9))
    p = float(np.mean(sizes >= round(abs(value), 9)))
    largest_accepted = np.sort(sizes)[-1 - len(sizes) // 20]
    return Contrast(value, float(largest_accepted), p, n, exact)


def _members(genders: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(genders == gender) for gender in sorted(set(genders))]


def _orders(
    genders: np.ndarray, permutations: int, generator: np.random.Generator
) -> tuple[np.ndarray | None, bool]:
    """Orders of speakers that change places within genders, int (n, n_speakers), and whether these
    are all."""
    members = _members(genders)
    if not permutations:
        return None, False
    if math.prod(math.factorial(len(rows)) for rows in members) > MAX_EXACT:
        return _random_orders(members, permutations, generator), False
    every = itertools.product(*(itertools.permutations(rows) for rows in members))
    moved = [list(itertools.chain.from_iterable(order)) for order in every]
    orders = np.empty((len(moved), len(genders)), int)
    orders[:, np.concatenate(members)] = moved
    return orders, True


def _random_orders(
    members: list[np.ndarray], permutations: int, generator: np.random.Generator
) -> np.ndarray:
    orders = np.empty((permutations, sum(map(len, members))), int)
    for rows in members:
        orders[:, rows] = generator.permuted(np.tile(rows, (permutations, 1)), axis=1)
    return orders


def _groups(
    is_elder: np.ndarray, genders: np.ndarray, permutations: int, generator: np.random.Generator
) -> tuple[np.ndarray | None, bool]:
    """Age groups dealt again among speakers of a gender, bool (n, n_speakers), and whether these
    are all."""
    members = _members(genders)
    n_elders = [int(is_elder[rows].sum()) for rows in members]
    if not permutations:
        return None, False
    counts = [math.comb(len(rows), n) for rows, n in zip(members, n_elders, strict=True)]
    if math.prod(counts) > MAX_EXACT:
        return is_elder[_random_orders(members, permutations, generator)], False
    return np.stack(list(_every_group(members, n_elders, len(genders)))), True


def _every_group(
    members: list[np.ndarray], n_elders: list[int], n_speakers: int
) -> Iterator[np.ndarray]:
    choices = [itertools.combinations(rows, n) for rows, n in zip(members, n_elders, strict=True)]
    for chosen in itertools.product(*choices):
        groups = np.zeros(n_speakers, bool)
        groups[list(itertools.chain.from_iterable(chosen))] = True
        yield groups
