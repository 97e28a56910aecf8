"""Label maps made by hand, and names of outputs of published models."""

from hypothesis import settings

from bimotion.evaluation.tracks.label_map import (
    LabelMap,
)

profile = settings(derandomize=True, deadline=None, max_examples=60)


def mapped(*emotions):
    return LabelMap(
        "synonyms",
        emotions,
        tuple(f"output {place}" for place, name in enumerate(emotions) if name is None),
    )
