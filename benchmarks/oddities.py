"""The figures of bimotion/leaderboard/oddities.py among honest entries and cheats, from which its
thresholds follow:

    python -m benchmarks.oddities /corpora MODELS          # real clips, MODELS: a folder with both
    python -m benchmarks.oddities SYNTH                    # of `bimotion data synth`: more cells

Honest entries are probes under split folds, schema valence, of bimotion/prosody and (with MODELS)
of whisper-tiny.en and whisper-base-encoder, which hear the clip only (window clip): every layer,
three strengths of the penalty, halves of the features, half and a fifth of the training clips.
Prints a table a mark: quantiles among honest entries (or pairs), the share that is marked, and the
share of cheats that is. Corpora of fewer than MIN_CLIPS clips are left out.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.source import CorpusSource
from bimotion.evaluation import plan as planning
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import configured, runner_of
from bimotion.io.progress import Progress
from bimotion.leaderboard import oddities
from bimotion.models.heads import LogisticHead
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import matrix
from bimotion.results.statistics import shared_errors
from bimotion.results.statistics.estimate import Estimate, combined, mean_known
from bimotion.results.statistics.from_predictions import headline, tables_by_seed

MODELS = ("whisper-tiny.en", "whisper-base-encoder")
STRENGTH, STRENGTHS = 1e-2, (1e-3, 1e-2, 1e-1)
MIN_CLIPS = 20
N_CLASSES_DRAWN, CLASS_SIZES = 2000, (6, 12, 20)
N_SEEDS = 20
N_DRAWS = 4
"""Of training clips, for each share of them."""
N_SPLITS = 24
"""Of the features of a model into halves; at least one a layer."""
LEAKS = (0.05, 0.1, 0.3, 0.6, 1.0)
QUANTILES = (0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Made:
    """An entry that was made here."""

    model: str
    layer: int
    table: pd.DataFrame
    """Predictions."""
    settings: list[Setting]
    schema: LabelSchema

    @cached_property
    def tables(self) -> dict[Setting, list[pd.DataFrame]]:
        """Predictions of each setting, a table a seed."""
        return dict(tables_by_seed(self.table, self.settings))

    @cached_property
    def means(self) -> dict[Setting, Estimate]:
        """The score of each setting."""
        return {each: headline(self.table, each, self.schema) for each in self.tables}

    @cached_property
    def ranked(self) -> Estimate:
        """The mean over cells that it is ranked by."""
        own = [mean for each, mean in self.means.items() if each.transfer == "in-group"]
        return combined(mean_known, *own)

    @cached_property
    def errors(self) -> shared_errors.Errors:
        """Its wrong decisions, in-group."""
        parts = [each for each in self.tables if each.transfer == "in-group"]
        return shared_errors.errors_of([self.tables[each][0] for each in parts])

    @property
    def is_own(self) -> np.ndarray:
        """True for rows of in-group settings: trained in the cell that is tested."""
        return (self.table["train"] == self.table["cell"]).to_numpy()

    def changed(
        self, change: Callable[[np.ndarray, np.ndarray], np.ndarray], *, in_group: bool = True
    ) -> "Made":
        """With other probabilities; `change`: from probabilities and references; `in_group`:
        False: of transfers only."""
        probabilities, reference = matrix(self.table["probabilities"]), self.table["reference"]
        new = change(probabilities.astype(float), matrix(reference)).astype(np.float32)
        if not in_group:
            new[self.is_own] = probabilities[self.is_own]
        return self.with_table(self.table.assign(probabilities=list(new)))

    def with_table(self, table: pd.DataFrame) -> "Made":
        """With other predictions."""
        return Made(self.model, self.layer, table, self.settings, self.schema)


class Material:
    """Clips, the trainings of a protocol, and the layers of real models."""

    def __init__(self, corpora: Path, models: Path | None):
        source = CorpusSource.of(corpora, None, None, True)
        task = TaskSpec.of(protocol="inference", split_rule="folds", schema="valence")
        self.schema = schema_named("valence")
        counted = planning.plan(task, source, Progress())[0].table["corpus"].value_counts()
        kept = sorted(counted.index[counted >= MIN_CLIPS])
        source = CorpusSource.of(corpora, kept, None, True)
        self.labelled, self.plan = planning.plan(task, source, Progress())
        print(f"clips: {self.labelled.table['corpus'].value_counts().to_dict()}", flush=True)
        names = ["bimotion/prosody", *(str(models / name) for name in MODELS if models)]
        self.layers = [
            (Path(name).name, number, values)
            for name in names
            for number, values in enumerate(self._layers(name))
        ]

    def _layers(self, name: str) -> Iterator[np.ndarray]:
        """Row of the table of labelled clips -> features, of each layer."""
        is_baseline = name.startswith("bimotion/")
        spec = ModelSpec(name) if is_baseline else ModelSpec(name, window="clip")
        runner = runner_of(configured("probe"), spec, self.schema)
        rows = self.plan.rows()
        runner.open(self.labelled, rows, Progress())
        features = runner.features(rows)
        is_one = isinstance(features, np.ndarray)
        n_layers = 1 if is_one else features.shape[1]
        for number in range(n_layers):
            of_layer = features if is_one else features.layer(number)
            values = np.zeros((len(self.labelled.table), of_layer.shape[1]), np.float32)
            values[rows] = of_layer
            yield values

    def made(
        self, layer: tuple[str, int, np.ndarray], strength: float, share: float = 1.0, seed: int = 0
    ) -> Made:
        """The entry of a layer; `share`: of the training clips, drawn by the seed."""
        name, number, values = layer
        rng, parts, reference = np.random.default_rng(seed), [], self.labelled.reference
        for job in self.plan.jobs([0]):
            rows = np.sort(rng.permutation(job.train)[: max(2, round(share * len(job.train)))])
            head = LogisticHead()
            head.strength = strength
            head.fit(values[rows], reference[rows], exclusive=self.schema.exclusive)
            table = self.labelled.table.loc[job.test, ["id", "cell", "corpus", "speaker"]]
            probabilities = head.predict(values[job.test]).astype(np.float32)
            facts = {"train": job.name, "seed": 0, "reference": list(reference[job.test])}
            parts.append(table.assign(**facts, probabilities=list(probabilities)))
        table = pd.concat(parts, ignore_index=True)
        return Made(name, number, table, self.plan.settings, self.schema)

    def little_in_group(self) -> Iterator[Made]:
        """Honest entries whose cells have few training clips of their own: a fifth and a tenth."""
        for layer in self.layers:
            whole = self.made(layer, STRENGTH)
            for share in (0.2, 0.1):
                few = self.made(layer, STRENGTH, share)
                parts = [whole.table[~whole.is_own], few.table[few.is_own]]
                yield whole.with_table(pd.concat(parts, ignore_index=True))

    def honest(self) -> Iterator[Made]:
        """The honest entries."""
        rng = np.random.default_rng(0)
        for layer in self.layers:
            name, number, values = layer
            yield from (self.made(layer, strength) for strength in STRENGTHS)
            for seed in range(N_DRAWS):
                yield from (self.made(layer, STRENGTH, share, seed) for share in (0.5, 0.2))
            n_layers = sum(other == name for other, _, _ in self.layers)
            for _ in range(max(1, N_SPLITS // n_layers)):
                columns = rng.permutation(values.shape[1])
                for half in np.array_split(columns, 2):
                    yield self.made((name, number, values[:, half]), STRENGTH)


# --- cheats -------------------------------------------------------------------------------------


def leaked(share: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The labels, as one-hot as the other decisions are sure, in a share of the predictions."""

    def change(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
        chosen = np.random.default_rng(1).random(len(reference)) < share
        top = np.sort(probabilities, axis=1)[:, ::-1]
        truth = np.argsort(reference != 1, axis=1, kind="stable")
        new = np.empty_like(probabilities)
        np.put_along_axis(new, truth, top, axis=1)
        return np.where(chosen[:, None], new, probabilities)

    return change


def knowing(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The same decisions, sure where they are right and unsure where they are wrong."""
    right = np.take_along_axis(reference, probabilities.argmax(axis=1)[:, None], axis=1) == 1
    noise = np.random.default_rng(1).uniform(0.8, 1.2, (len(reference), 1))
    powered = np.maximum(probabilities, 1e-3) ** np.where(right, 4 * noise, 0.2 * noise)
    return powered / powered.sum(axis=1, keepdims=True)


def half_knowing(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The same for every second decision."""
    chosen = np.random.default_rng(2).random((len(reference), 1)) < 0.5
    return np.where(chosen, knowing(probabilities, reference), probabilities)


def noisy(spread: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Noise on the probabilities."""
    rng = np.random.default_rng(1)
    return lambda probabilities, _: np.clip(
        probabilities + rng.normal(0, spread, probabilities.shape), 0, 1
    )


CHEATS = {
    "labels in 10 %": leaked(0.1),
    "labels in 30 %": leaked(0.3),
    "labels in all": leaked(1.0),
    "confidence from labels": knowing,
    "confidence from labels in half": half_knowing,
}
COPIES = {
    "sharpened": lambda probabilities, _: probabilities**3,
    "with noise of 0.02": noisy(0.02),
    "with noise of 0.05": noisy(0.05),
    "with noise of 0.1": noisy(0.1),
    **{f"labels in {100 * share:.0f} %": leaked(share) for share in LEAKS[:-1]},
}


# --- tables -------------------------------------------------------------------------------------


def row(name: str, values: Iterable[float], threshold: float) -> None:
    """Print the number of values, their quantiles, and the share from a threshold on."""
    known = np.array([value for value in values if value is not None], float)
    if not len(known):
        print(f"| {name} | 0 |" + " |" * (len(QUANTILES) + 1), flush=True)
        return
    quantiles = " | ".join(f"{value:.3f}" for value in np.quantile(known, QUANTILES))
    print(f"| {name} | {len(known)} | {quantiles} | {100 * (known >= threshold).mean():.2f} % |")


def head(title: str, threshold: float) -> None:
    """Print the head of a table."""
    print(f"\n{title}, marked from {threshold}:\n")
    print("| | n | median | 90 % | 99 % | largest | marked |\n|---|---|---|---|---|---|---|")


def confidence(made: Made) -> float | None:
    """The figure, where it is looked at."""
    ranking = oddities.confidence(made.tables, made.schema)
    is_enough = ranking and min(ranking.n_right, ranking.n_wrong) >= oddities.MIN_WRONG
    return ranking.area if is_enough else None


def transfer(made: Made) -> float:
    """The figure; 0 where nothing is beyond doubt."""
    gain = oddities.transfer_gain(made.means)
    return gain[1] if gain else 0.0


def agreements(entries: list[Made]) -> Iterator[tuple[Made, Made, float]]:
    """Pairs that are compared, and the figure of each."""
    asked = {"agreement": -np.inf, "n_possible": oddities.MIN_POSSIBLE}
    errors = {str(number): made.errors for number, made in enumerate(entries)}
    for pair in shared_errors.sharing(errors, **asked):
        yield entries[int(pair.first)], entries[int(pair.second)], pair.agreement


def leads(honest: list[Made], size: int, cheat: Made | None = None) -> list[float]:
    """The figure of the best, or of a cheat, in classes drawn at random; 0 where it is not beyond
    doubt."""
    rng, values = np.random.default_rng(size), []
    for _ in range(N_CLASSES_DRAWN if cheat is None else N_CLASSES_DRAWN // 20):
        drawn = [honest[number] for number in rng.choice(len(honest), size, replace=False)]
        drawn.sort(key=lambda made: -made.ranked.estimate)
        own, best = (drawn[0], drawn[1]) if cheat is None else (cheat, drawn[0])
        figure = oddities.lead(own.ranked.estimate, best.ranked.estimate)
        if figure >= oddities.MIN_LEAD / 2:
            p = combined(np.subtract, own.ranked, best.ranked).spread.p_value()
            figure = figure if p <= oddities.BEYOND_DOUBT else 0.0
        values.append(figure)
    return values


def main(corpora: str, models: str | None = None) -> None:
    """Print the tables."""
    material = Material(Path(corpora), models and Path(models))
    honest = list(material.honest())
    scores = np.array([made.ranked.estimate for made in honest])
    print(f"{len(honest)} honest entries, scores {scores.min():.3f} to {scores.max():.3f}")
    by_score = sorted(honest, key=lambda made: made.ranked.estimate)
    cheated = by_score[len(honest) // 4 :: max(1, len(honest) // 20)]
    names = list(dict.fromkeys(made.model for made in honest))
    head("confidence", oddities.MIN_CONFIDENCE_AREA)
    for name in names:
        of_model = [confidence(made) for made in honest if made.model == name]
        row(name, of_model, oddities.MIN_CONFIDENCE_AREA)
    for name, change in CHEATS.items():
        values = [confidence(made.changed(change)) for made in cheated]
        row(f"cheats: {name}", values, oddities.MIN_CONFIDENCE_AREA)
    of_transfers(material, honest, cheated)
    of_pairs(honest, cheated)
    head("margin", oddities.MIN_LEAD)
    for size in CLASS_SIZES:
        if size <= len(honest):
            row(f"best of {size}", leads(honest, size), oddities.MIN_LEAD)
    for name, change in CHEATS.items():
        values = [value for made in cheated for value in leads(honest, 6, made.changed(change))]
        row(f"cheats among 6: {name}", values, oddities.MIN_LEAD)
    of_seeds(material)


def of_transfers(material: Material, honest: list[Made], cheated: list[Made]) -> None:
    """Print by how much transfers are better."""
    head("better across", oddities.MIN_TRANSFER_GAIN)
    row("honest", map(transfer, honest), oddities.MIN_TRANSFER_GAIN)
    few = map(transfer, material.little_in_group())
    row("honest, few clips in-group", few, oddities.MIN_TRANSFER_GAIN)
    for share in LEAKS:
        cheats = (made.changed(leaked(share), in_group=False) for made in cheated)
        name = f"cheats: labels in {100 * share:.0f} % of transfers"
        row(name, map(transfer, cheats), oddities.MIN_TRANSFER_GAIN)


def of_pairs(honest: list[Made], cheated: list[Made]) -> None:
    """Print the agreement of errors."""
    kinds = {"other model": [], "other layer": [], "same layer": []}
    closest: dict[int, float] = {}
    for first, second, value in agreements(honest):
        same_model = first.model == second.model
        kind = "same layer" if first.layer == second.layer else "other layer"
        kinds[kind if same_model else "other model"].append(value)
        for made in () if same_model else (first, second):
            closest[id(made)] = max(value, closest.get(id(made), -np.inf))
    head("shared errors", oddities.MIN_SHARED_ERRORS)
    row("other model, closest of an entry", closest.values(), oddities.MIN_SHARED_ERRORS)
    for name, values in kinds.items():
        row(name, values, oddities.MIN_SHARED_ERRORS)
    for name, change in COPIES.items():
        pairs = [list(agreements([made, made.changed(change)])) for made in cheated]
        values = [value for compared in pairs for _, _, value in compared]
        row(f"copies: {name}", values, oddities.MIN_SHARED_ERRORS)


def of_seeds(material: Material) -> None:
    """Print what the best of several runs of one model gains: trained on 80 % of the clips each."""
    print("\nmany runs: points by which the best is above the mean of the runs\n")
    print("| | spread of runs | best of 3 | of 10 | of 20 |\n|---|---|---|---|---|")
    last = {name: (name, number, values) for name, number, values in material.layers}
    for name, layer in last.items():
        runs = [material.made(layer, STRENGTH, 0.8, seed) for seed in range(N_SEEDS)]
        values = 100 * np.array([run.ranked.estimate for run in runs])
        rng = np.random.default_rng(0)
        gains = [
            np.mean([rng.permutation(values)[:n].max() for _ in range(200)]) - values.mean()
            for n in (3, 10, N_SEEDS)
        ]
        print(f"| {name} | {values.std(ddof=1):.2f} |" + "".join(f" {g:.2f} |" for g in gains))


if __name__ == "__main__":
    main(*sys.argv[1:])
