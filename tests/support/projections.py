"""Projections of a few clips."""

from itertools import groupby

from bimotion.analysis.feature_space import project
from bimotion.data.synthetic import layouts

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
    return [clip for _, found in groupby(clips, group) for clip in list(found)[:n]]


def projected(root, output, model="bimotion/prosody", **options):
    options = SETS | {"schema": "valence", "allow_missing": True} | options
    return project.project(model, data_dir=root, output=output, **options)
