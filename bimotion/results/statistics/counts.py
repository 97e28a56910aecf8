"""Hits, predicted and true clips of one corpus's test set; every metric of metrics.py is a function
of their sums, and moves with each clip by its gradient.

A clip counts in four forms, as in scoring.py: `all` (as its corpus is scored, one class a clip or
label by label: weighted F1), `marked` (the same over the clips that macro F1 and the F1 of classes
are of), `one` (clips with one class each: recall and accuracy) and `multi` (each class on its own).
For each class: is it hit, predicted, true.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.clip_predictions import ClipPredictions
from bimotion.results.metrics import ONE_LABEL_METRICS
from bimotion.results.statistics.latent import Latent, latent_speakers

FORMS = {
    "weighted_f1": ("all", "weighted_f1"),
    "weighted_f1_multi": ("multi", "weighted_f1"),
    "macro_f1": ("marked", "macro_f1"),
    **{metric: ("one", metric) for metric in ONE_LABEL_METRICS},
}
"""Metric -> the form that it counts, and its name in metric_gradients."""
SEEDS = "seeds"


@dataclass(frozen=True)
class Stratum:
    """The clips of one corpus's test set, by speaker; or the seeds of a run."""

    name: str
    """`<cell>/<corpus>`, or `seeds` and their numbers: strata of one name and size are the same, so
    that models are compared in pairs."""
    sizes: tuple[int, ...]
    """Clips of each known speaker; 1 for each seed."""
    n_unknown: int = 0
    """Clips of unknown speakers, which come after the others."""

    @classmethod
    def of_seeds(cls, seeds: list[int]) -> "Stratum":
        """The seeds of a run."""
        return cls(f"{SEEDS} {', '.join(map(str, seeds))}", (1,) * len(seeds))

    @property
    def is_seeds(self) -> bool:
        """Seeds, which are no clips."""
        return self.name.startswith(f"{SEEDS} ")

    @property
    def n_clips(self) -> int:
        """All clips."""
        return sum(self.sizes) + self.n_unknown

    @property
    def one_speaker(self) -> bool:
        """All clips are of one speaker."""
        return len(self.sizes) == 1 and not self.n_unknown

    @property
    def n_apart(self) -> int:
        """Clips of known speakers of whom there are at least two: their variance is seen."""
        return sum(self.sizes) if len(self.sizes) > 1 else 0

    @property
    def clusters(self) -> str:
        """`speaker`; `latent` where no speaker is known; `mixed` where some are."""
        return "speaker" if not self.n_unknown else "mixed" if self.sizes else "latent"

    @property
    def latent(self) -> Latent:
        """The speakers of the clips whose speakers' variance is not seen."""
        if self.one_speaker:
            return Latent(1, 1, 1, "one speaker")
        return latent_speakers(self.name.partition("/")[2])

    def n_latent(self, number: str = "stated") -> int:
        """Latent speakers, by `few`, `stated` or `many`; at most one a clip."""
        return min(getattr(self.latent, number), self.n_clips - self.n_apart)

    @property
    def n_speakers(self) -> int:
        """Known and stated ones."""
        return len(self.sizes) * (self.n_apart > 0) + self.n_latent()


@dataclass(frozen=True)
class Counts:
    """Counts of one corpus's test set."""

    stratum: Stratum
    """Its speakers."""
    clips: dict[str, np.ndarray]
    """Form -> hit, predicted, true, float32 (3, n_classes, n_clips), clips in the order of the
    stratum."""
    label_by_label: bool = False
    """Each class is a decision of its own, not one of several."""

    @property
    def corpus(self) -> str:
        """Its name."""
        return self.stratum.name.partition("/")[2]

    @cached_property
    def sums(self) -> dict[str, np.ndarray]:
        """Form -> sums over the clips, (3, n_classes)."""
        return {form: clips.sum(axis=-1, dtype=float) for form, clips in self.clips.items()}

    def n_present(self, form: str) -> int:
        """Classes with a clip."""
        return int(self.sums[form][2].astype(bool).sum())

    def carriers(self, number: int) -> int:
        """Speakers with a clip of a class, among clips with a positive class; where they are
        latent, as many as there can be, but 2 for several clips."""
        has_class = self.clips["marked"][2, number] > 0
        stratum = self.stratum
        n_apart, n_other = stratum.n_apart, int(has_class[stratum.n_apart :].sum())
        starts = np.cumsum((0, *stratum.sizes[:-1])) if n_apart else []
        n_known = np.logical_or.reduceat(has_class[:n_apart], starts).sum() if n_apart else 0
        return int(n_known) + min(n_other, max(2, stratum.n_latent()))

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        part: ClipPredictions,
        schema: LabelSchema,
        form: str | None = None,
    ) -> "Counts":
        """The counts of one training set, seed, cell and corpus, in one form; None: in all.

        Args:
            rows: of the corpus; columns id, cell, corpus, speaker.
            part: their predictions.
            schema: their classes.
            form: one of those above.
        """
        stratum, order = by_speaker(rows)
        clips = {
            name: np.stack([true & predicted, predicted, true])[:, order]
            .transpose(0, 2, 1)
            .astype(np.float32)
            for name, (true, predicted) in _forms(part, schema, form)
        }
        return cls(stratum, clips, bool(part.label_by_label.any()))


def _forms(
    part: ClipPredictions, schema: LabelSchema, form: str | None
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Yield each form (or only `form`) and the classes present and predicted, of one corpus."""
    has_class, decisions = (part.reference == 1).any(axis=1), part.decisions
    counts_in = {
        "all": np.ones_like(has_class),
        "marked": has_class | part.label_by_label,
        "one": has_class & ~part.label_by_label,
    }
    for name, clips in counts_in.items():
        if form in (None, name):
            yield name, tuple(classes & clips[:, None] for classes in decisions)
    if form in (None, "multi") and not schema.exclusive:
        yield "multi", part.multi_label


def rows_in(table: pd.DataFrame, clips: ClipPredictions, corpus: str) -> pd.DataFrame:
    """The rows of a corpus, as `Counts.of` takes them; `clips`: the predictions of the table."""
    return table.loc[clips.corpora == corpus, ["id", "cell", "corpus", "speaker"]]


def by_speaker(rows: pd.DataFrame) -> tuple[Stratum, np.ndarray]:
    """The speakers of some clips, and the clips in their order: by speaker, unknown last, by id."""
    speakers, _ = pd.factorize(rows["speaker"].to_numpy(object), sort=True)
    n_unknown = int((speakers < 0).sum())
    name = f"{rows['cell'].iloc[0]}/{rows['corpus'].iloc[0]}"
    sizes = tuple(np.bincount(speakers[speakers >= 0]).tolist())
    by_id = rows["id"].array.argsort(kind="stable")
    order = np.argsort(np.where(speakers < 0, len(sizes), speakers)[by_id], kind="stable")
    return Stratum(name, sizes, n_unknown), by_id[order]


def metric_gradients(sums: np.ndarray) -> dict[str, tuple[float, np.ndarray]]:
    """The single-label metrics of a test set with their gradients: by how much each moves with one
    more hit, predicted or true clip of each class. Classes that are present stay those.

    Args:
        sums: Hits, predicted and true clips, shape (3, n_classes).
    Returns:
        Metric -> value and gradient, shape (3, n_classes); also `f1_<number>` of each class that
        has a clip; nan and 0 where a metric is undefined.

    >>> metric_gradients(np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 1.0]]))["uar"][0]
    0.75
    """
    hits, predicted, true = sums
    present = true > 0
    if not present.any():
        nothing = (float("nan"), np.zeros(sums.shape))
        return dict.fromkeys(("weighted_f1", "macro_f1", "uar", "accuracy"), nothing)
    n_clips, n_present, either = true.sum(), present.sum(), np.maximum(predicted + true, 1)
    f1 = np.where(present, 2 * hits / either, 0)
    by_class = np.stack([2 / either, -f1 / either, -f1 / either]) * present
    weighted = (f1 * true).sum() / n_clips
    by_clip = by_class * true / n_clips
    by_clip[2] += (f1 - weighted) * present / n_clips
    recall = np.divide(hits, true, out=np.zeros(len(true)), where=present)
    by_recall = np.divide(np.stack([present, 0 * hits, -recall]), np.where(present, true, 1))
    accuracy = hits.sum() / n_clips
    by_hit = np.stack([present, 0 * hits, -accuracy * present]) / n_clips
    values = {
        "weighted_f1": (float(weighted), by_clip),
        "macro_f1": (float(f1.sum() / n_present), by_class / n_present),
        "uar": (float(recall.sum() / n_present), by_recall / n_present),
        "accuracy": (float(accuracy), by_hit),
    }
    for number in np.flatnonzero(present):
        own = np.arange(len(true)) == number
        values[f"f1_{number}"] = (float(f1[number]), by_class * own)
    return values


def ratio(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """parts / whole; nan where the whole is 0."""
    return np.divide(parts, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
