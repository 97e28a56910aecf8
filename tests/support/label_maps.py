"""Label maps made by hand, and how hypothesis draws."""

from hypothesis import settings

from bimotion.evaluation.tracks.label_map import LabelMap

profile = settings(derandomize=True, deadline=None, max_examples=40)


def mapped(*emotions):
    """A map of unnamed outputs to emotions."""
    unmapped = tuple(f"output {n}" for n, emotion in enumerate(emotions) if emotion is None)
    return LabelMap("synonyms", emotions, unmapped)
