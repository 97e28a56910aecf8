"""Speakers of known age whose clips are recognised as often as we say: predictions for the age
result, and the share of simulated runs in which it is significant."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.statistics.ages import age_results
from bimotion.results.statistics.gaps import AGE, gaps

SCHEMA = SCHEMAS["valence"]
CLASSES = list(SCHEMA.classes)
SPEAKER_DEVIATION = 0.1
GENDER_GAP = 0.1
"""Of recall: between speakers, and women less men."""
TRAIN = "eng_eld+eng_adu"


class Cohort(NamedTuple):
    """The speakers of one corpus, who all say the same sentences in every class."""

    corpus: str
    ages: np.ndarray
    genders: np.ndarray
    n_sentences: int


def _spread(first: int, last: int, n: int) -> np.ndarray:
    """Ages of n speakers, more of them young."""
    return np.round(first + (last - first) * np.linspace(0, 1, n) ** 1.7)


CREMA_D = Cohort(
    "crema_d",
    np.concatenate([_spread(20, 58, 43), [61, 62, 62, 66, 74], _spread(20, 58, 42), [61]]),
    np.repeat(["m", "f"], [48, 43]),
    24,  # 12 sentences in six emotions, of which valence makes three classes
)
YUEMOTION = Cohort(
    "yuemotion",
    np.concatenate([_spread(21, 50, 4), [60, 63], _spread(21, 50, 7), [60, 61, 62, 64, 66]]),
    np.repeat(["m", "f"], [6, 12]),
    20,
)


def predicted(
    cohort: Cohort,
    generator: np.random.Generator,
    *,
    recall: float = 0.55,
    slope: float = 0.0,
    train: str = TRAIN,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of one training set and seed, and the facts of their clips.

    Args:
        recall: Of a man of 40.
        slope: Its change a decade.
    """
    n_speakers, n_clips = len(cohort.ages), cohort.n_sentences * len(CLASSES)
    of_speaker = recall + slope * (cohort.ages - 40) / 10 + GENDER_GAP * (cohort.genders == "f")
    of_speaker = of_speaker + generator.normal(0, SPEAKER_DEVIATION, n_speakers)
    speaker = np.repeat(np.arange(n_speakers), n_clips)
    target = np.tile(np.arange(n_clips) % len(CLASSES), n_speakers)
    sentence = np.tile(np.arange(n_clips) // len(CLASSES), n_speakers)
    is_hit = generator.random(len(speaker)) < np.clip(of_speaker, 0.02, 0.98)[speaker]
    answer = np.where(is_hit, target, (target + generator.integers(1, 3, len(target))) % 3)
    one_hot = np.eye(len(CLASSES))
    ids = [f"{cohort.corpus}/{who}_{number}" for number, who in enumerate(speaker)]
    predictions = pd.DataFrame(
        {
            "id": ids,
            "speaker": [f"{cohort.corpus}/{who}" for who in speaker],
            "cell": np.where(cohort.ages[speaker] >= 60, "eng_eld", "eng_adu"),
            "corpus": cohort.corpus,
            "train": train,
            "seed": 0,
            "probabilities": list(one_hot[answer]),
            "reference": list(one_hot[target].astype(np.int8)),
            "trained": [CLASSES] * len(ids),
        }
    )
    facts = pd.DataFrame(
        {
            "age_years": cohort.ages[speaker],
            "gender": cohort.genders[speaker],
            "sentence": sentence.astype(str),
        },
        index=ids,
    )
    return predictions, facts


def share_significant(
    cohort: Cohort, slope: float, n_sets: int, *, permutations: int = 199
) -> dict[str, float]:
    """Share of simulated runs whose slope, and whose matched contrast, has p of 0.05 or less."""
    generator = np.random.default_rng([len(cohort.ages), round(1000 * abs(slope))])
    p_values = {"slope": [], "matched": []}
    for number in range(n_sets):
        predictions, facts = predicted(cohort, generator, slope=slope)
        [result] = age_results(predictions, facts, SCHEMA, permutations=permutations, seed=number)
        for name, values in p_values.items():
            values.append(getattr(result, name).p)
    return {name: float(np.mean(np.array(values) <= 0.05)) for name, values in p_values.items()}


def share_of_corpus_gaps(n_sets: int) -> float:
    """Share of simulated runs whose difference of cells has an interval without 0, though age does
    nothing: the elderly cell holds a harder corpus too."""
    generator, n_apart = np.random.default_rng(0), 0
    settings = [
        Setting("in-group", "inference", (cell,), cell)
        for cell in (Cell("eng", "eld"), Cell("eng", "adu"))
    ]
    for _ in range(n_sets):
        tables = [predicted(CREMA_D, generator)[0]]
        for cell, recall in (("eng_eld", 0.35), ("eng_adu", 0.75)):
            other = Cohort(f"of_{cell}", np.full(20, 30), np.repeat(["m", "f"], 10), 10)
            tables.append(predicted(other, generator, recall=recall)[0].assign(cell=cell))
        table = pd.concat(tables, ignore_index=True)
        table["train"] = table["cell"]
        [gap] = [gap for gap in gaps(table, settings, SCHEMA) if gap.kind == AGE]
        n_apart += not gap.interval.low <= 0 <= gap.interval.high
    return n_apart / n_sets
