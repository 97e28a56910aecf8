"""Projections of a few clips."""

from itertools import groupby

from bimotion.analysis.feature_space import project
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.models.spec import ModelSpec
from tests.support.small_runs import paper_task

SETS = {
    "train": ["yue_adu", "yue_adu+zho_adu", "zho_adu"],
    "test": "yue_adu",
    "corpora": ["esd", "yuemotion"],
}


def few(n, corpora=None):
    """Synthetic clips, the first n of each corpus, cell and part."""

    def group(clip):
        return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part

    clips = sorted(layouts.plan(corpora=corpora), key=group)
    return [clip for _, alike in groupby(clips, group) for clip in list(alike)[:n]]


def projected(root, output, model="bimotion/prosody", **options):
    plain = {"schema": "valence", "seed": 0, "k": 5, "classes": None, "track": None}
    asked = SETS | plain | options
    names = asked["classes"]
    view = project.ViewSpec(tuple(asked["train"]), asked["test"], names, asked["k"])
    return project.project(
        ModelSpec(model),
        view,
        paper_task(schema=asked["schema"], seeds=asked["seed"]),
        CorpusSource.of(root, asked["corpora"], allow_missing=True),
        track=asked["track"],
        output=output,
    )
