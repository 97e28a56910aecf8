"""A submission's predictions beside those of the same run made again by the keeper, clip by clip.

Scores that follow from predictions say nothing of where the predictions come from; predictions that
the keeper makes again from the model do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from bimotion.errors import SettingError, printable
from bimotion.io.records import Record
from bimotion.leaderboard import admission
from bimotion.protocol.labels import LabelSchema, scored_schema
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import Provenance, Result
from bimotion.results.statistics.paired import holm

MAX_DRAW = 2**32 - 1
MAX_LINES, MAX_SHOWN = 20, 200
"""Fields of a model that are told, and characters of each."""
SIGNIFICANT = 0.001
"""Of a sign test: honest runs fail it once in so many times at most."""
UNTRAINED = "nothing"
"""How the name of the training set of a zero-shot model begins (protocol/settings.py)."""
_ROW = ["train", "seed", "fold", "id"]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Tolerance:
    """The differences that two honest runs of one record may have."""

    mean_difference: float
    """Of probabilities, at most, over all clips and classes."""
    same_decisions: float
    """Share of the clips with the same decision, at least."""


SAME_DEVICE = Tolerance(1e-4, 0.999)
"""Frozen models, both runs on CPUs: the last digits differ."""
OTHER_DEVICE = Tolerance(0.02, 0.97)
"""Frozen models, a GPU in one run or in both: 16-bit numbers round otherwise on every card."""
TRAINED = Tolerance(0.1, 0.85)
"""Models trained whole: from the first step on rounding takes trainings apart."""


@dataclass(frozen=True)
class Reproduction(Record):
    """The keeper's own run of a submission, or of a sample of its training sets."""

    reproduced: bool
    """The predictions agree."""
    reason: str | None
    """Why they do not; null: they do."""
    training_sets: list[str]
    """Those that were run again."""
    n_training_sets: Annotated[int, Field(ge=1)]
    """Of the submission."""
    draw: Annotated[int, Field(ge=0, le=MAX_DRAW)] | None
    """Seed of the keeper's draw of training sets; null: all were run again."""
    n_predictions: Annotated[int, Field(ge=1)]
    """Compared: clips, each as often as a training set, fold and seed predicts it."""
    largest_difference: Share
    """Of two probabilities of one class of a clip."""
    mean_difference: Share
    """Over all clips and classes."""
    same_decisions: Share
    """Share of the predictions with the same decision, as it is scored: the most probable class of
    those that the corpus annotates, or every label by itself."""
    right_there_only: Annotated[int, Field(ge=0)]
    """Decisions that are right in the submission and wrong in the keeper's run (label by label:
    that have fewer labels wrong)."""
    right_here_only: Annotated[int, Field(ge=0)]
    """The other way round."""
    is_public: bool
    """The model was loaded by its public name at a commit, or is a baseline: anybody can do the
    same."""
    model_differs: list[str]
    """Fields of the model's record that are other ones in the keeper's run, with both values."""
    device: str
    """Of the keeper's run."""
    versions: dict[str, str]
    """Package -> version in the keeper's run."""
    finished: str
    """When: ISO 8601, UTC."""


def drawn(names: Sequence[str], share: float, draw: int) -> list[str]:
    """A random sample of training sets, one at least, in their order.

    Args:
        names: all of a submission, each once.
        share: of them, above 0 and up to 1.
        draw: seed of the draw, the keeper's: nobody can know beforehand which are drawn.

    >>> drawn(["eng_eld", "eng_adu", "zho_eld", "zho_adu"], 0.5, draw=1)
    ['eng_adu', 'zho_eld']
    """
    n = max(1, round(share * len(names)))
    chosen = np.random.default_rng(draw).choice(len(names), n, replace=False)
    return [names[number] for number in sorted(chosen)]


@dataclass(frozen=True)
class Agreement:
    """Two sets of predictions of the same clips, compared; fields as in Reproduction."""

    n_predictions: int
    largest_difference: float
    mean_difference: float
    same_decisions: float
    right_there_only: int
    right_here_only: int
    ranked: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """(Test cell, corpus) -> the last two, of the predictions by which a model is ranked: trained
    in the cell that is tested, or on nothing."""

    @classmethod
    def of(cls, there: pd.DataFrame, here: pd.DataFrame, schema: LabelSchema) -> "Agreement":
        """The agreement of predictions (results/predictions.py) with those made here; decisions are
        those that are scored. Raises SettingError unless both have the same rows.
        """
        sides = [table.set_index(_ROW).sort_index() for table in (there, here)]
        both = sides[0].index.intersection(sides[1].index)
        if not sides[0].index.equals(sides[1].index):
            raise SettingError(
                f"expected predictions of the same clips, found {len(there)} there and "
                f"{len(here)} here, of which {len(both)} are in both"
            )
        theirs, ours = (np.stack(side["probabilities"]).astype(np.float64) for side in sides)
        rows, gap = sides[1].reset_index(), np.abs(theirs - ours)
        columns = (list(side["probabilities"]) for side in sides)
        (reference, there_decided), (_, here_decided) = (
            test_set(rows.assign(probabilities=column), schema).decisions for column in columns
        )
        apart = (there_decided != here_decided).any(axis=1)
        n_wrong = [(side != reference).sum(axis=1) for side in (there_decided, here_decided)]
        better_there, better_here = n_wrong[0] < n_wrong[1], n_wrong[1] < n_wrong[0]
        is_own = (rows["train"] == rows["cell"]) | rows["train"].str.startswith(UNTRAINED)
        is_ranked = is_own.to_numpy()
        by_corpus = rows[is_ranked].groupby(["cell", "corpus"]).indices
        numbers = np.flatnonzero(is_ranked)
        return cls(
            n_predictions=len(gap),
            largest_difference=float(gap.max()),
            mean_difference=float(gap.mean()),
            same_decisions=float(1 - apart.mean()),
            right_there_only=int(better_there.sum()),
            right_here_only=int(better_here.sum()),
            ranked={
                name: tuple(int(side[numbers[at]].sum()) for side in (better_there, better_here))
                for name, at in by_corpus.items()
            },
        )

    @property
    def facts(self) -> dict[str, float | int]:
        """Its fields of Reproduction."""
        return {name: value for name, value in vars(self).items() if name != "ranked"}

    def why_not(self, tolerance: Tolerance) -> str | None:
        """Say why these are not predictions of one run made twice; None: they may be.

        Beside the tolerance sign tests: where decisions differ by rounding, either run is right
        about as often; where some were made from the labels, the submission is. Of all predictions,
        of those that rank, and of these corpus by corpus (Holm-corrected): whoever makes good in
        one place what is spoilt in another is as often right in all.
        """
        reasons = []
        # neither holds of what is no number
        if not self.mean_difference <= tolerance.mean_difference:
            reasons.append(
                f"probabilities differ by {self.mean_difference:.2g} on average, tolerance "
                f"{tolerance.mean_difference:g}"
            )
        if not self.same_decisions >= tolerance.same_decisions:
            reasons.append(
                f"{self.same_decisions:.1%} of the decisions are the same, tolerance "
                f"{tolerance.same_decisions:.1%}"
            )
        reasons += self._better_there()
        return "; ".join(reasons) or None

    def _better_there(self) -> list[str]:
        """The reasons of the sign tests: the first that tells."""
        ranked = tuple(map(sum, zip(*self.ranked.values(), strict=True))) or (0, 0)
        tests = {
            "decisions": (self.right_there_only, self.right_here_only),
            "decisions by which it is ranked": ranked,
        }
        p_values = {name: _sign_p(*counts) for name, counts in tests.items()}
        corpora = {f"decisions on {'/'.join(name)}": self.ranked[name] for name in self.ranked}
        corrected = holm([_sign_p(*counts) for counts in corpora.values()])
        p_values |= dict(zip(corpora, corrected, strict=True))
        return [
            f"of the {name} that differ {there} are right in the submission only and {here} here "
            f"only (sign test, p {p_values[name]:.1g})"
            for name, (there, here) in (tests | corpora).items()
            if p_values[name] < SIGNIFICANT
        ][:1]


def _sign_p(there: int, here: int) -> float:
    from scipy.stats import binomtest

    n = there + here
    return binomtest(there, n, alternative="greater").pvalue if n else 1.0


def tolerance(result: Result, device: str) -> Tolerance:
    """The tolerance for a submission that is run again on `device`."""
    if result.track == "finetune":
        return TRAINED
    on_cpus = result.provenance.device == device == "cpu"
    return SAME_DEVICE if on_cpus else OTHER_DEVICE


def reproduction_of(
    result: Result,
    submitted: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    training_sets: Sequence[str],
    model_differs: Sequence[str],
    is_public: bool,
    made: Provenance,
    **facts: object,
) -> Reproduction:
    """The reproduction of a submission.

    Args:
        result: The submitted record.
        submitted: The submitted predictions.
        predictions: Those of the keeper, of some training sets.
        training_sets: These.
        model_differs: As a field of Reproduction.
        is_public: The model was loaded by its name.
        made: Of the keeper's run.
        **facts: Fields of Reproduction: n_training_sets, draw.

    Raises:
        SettingError: Where the two sides have not the same clips.
    """
    schema = scored_schema(result.schema.name, result.split.rule)
    there = submitted[submitted["train"].isin(training_sets)]
    agreement = Agreement.of(there, predictions, schema)
    reason = agreement.why_not(tolerance(result, made.device))
    # a stranger's values; at most 21 of these lines stand in a receipt of 64 KiB
    differing = [printable(f"{line:.{MAX_SHOWN}}") for line in model_differs[:MAX_LINES]]
    if reason and differing:
        reason += f"; the model is another one here: {differing[0]}"
    return Reproduction(
        reproduced=reason is None,
        reason=reason,
        training_sets=list(training_sets),
        model_differs=differing,
        is_public=is_public and "/" in result.model.name and not admission.why_no_commit(result),
        device=made.device,
        versions=made.versions,
        finished=made.finished,
        **facts,
        **agreement.facts,
    )


def lines(made: Reproduction) -> Iterator[str]:
    """A reproduction for people, line by line."""
    drawn_by = "" if made.draw is None else f", drawn by seed {made.draw}"
    yield f"{len(made.training_sets)} of {made.n_training_sets} training sets{drawn_by}"
    yield (
        f"{made.n_predictions} predictions: {made.same_decisions:.2%} of the decisions the same; "
        f"probabilities differ by {made.mean_difference:.2g} on average, by "
        f"{made.largest_difference:.2g} at most"
    )
    if made.reason:
        yield made.reason
    yield from (f"note: {line}" for line in made.model_differs)
