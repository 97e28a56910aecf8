"""One row of scores: a number, what it is of, and its interval."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AliasChoices, Field

from bimotion.io.records import Record

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Score(Record):
    """One number and what it is of."""

    transfer: str
    """How the training cells relate to the test cell."""
    method: str
    """How the training set is made; the in-group baseline of both tables has `inference`."""
    train: list[str]
    """Training cells (Setting.train_names); none in track `zero-shot`."""
    test: str
    """Test cell."""
    corpus: str | None
    """null: the whole cell, combined as `pooling` says."""
    pooling: str | None
    """`mean`: unweighted mean over the cell's corpora (the headline); `pooled`: all clips scored at
    once."""
    metric: str
    """Its name (results/metrics.py)."""
    value: Share | None
    """null where the metric is undefined."""
    n_utterances: Count
    """Test clips scored."""
    n_speakers: Count
    """Known speakers among them."""
    n_speaker_unknown: Count
    """Clips whose speaker is not published."""
    classes: list[str]
    """Those that the metric runs over: annotated by the corpus and present in the test part."""
    untrained: list[str]
    """Those of `classes` without a positive training clip (or an output of a zero-shot model): no
    prediction of them can be right, but by chance under the paper's recipe of `finetune`."""
    out_of_label_space: Annotated[
        Share, Field(validation_alias=AliasChoices("out_of_label_space", "outside"))
    ]
    """Share of the clips that have classes, none of which was trained; `outside` in records of
    earlier versions."""
    seed: int
    """Of the run."""
    low: float | None = None
    """Lower end of the 95 % interval by speakers (statistics/spread.py); null: not estimable."""
    high: float | None = None
    """Upper end."""
    standard_error: float | None = None
    """Over speakers."""
    clusters: str | None = None
    """Whose clips they are: `speaker`: of known ones; `latent`: no speaker is known; `mixed`. In
    records of protocol 1 `clip`: no speaker is known, and each clip counted as one."""
    n_clusters: int = 0
    """Speakers, known or stated (statistics/latent.py)."""
    reason: str | None = None
    """Why there is no interval, or what it rests on: one speaker, or latent ones, with the interval
    for few and for many of them."""
    note: str | None = None
    """What makes the value say little: one class in the test set, or that can be predicted."""
