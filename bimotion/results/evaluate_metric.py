"""The scores of one test set as a metric of Hugging Face `evaluate`, computed by scoring.py and
metrics.py themselves.

`evaluate.load(bimotion.results.evaluate_metric.__file__)` works offline, like any metric's script;
`evaluate` takes seconds to import, and nothing else in the package imports it.
"""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema, scored_schema
from bimotion.results.clip_predictions import test_set
from bimotion.results.metrics import METRICS
from bimotion.results.scoring import metric_groups

_DESCRIPTION = """Weighted F1 of cross-age, cross-lingual speech emotion recognition (single and
multi-label form), macro F1, unweighted average recall, accuracy and the F1 of each class: over the
classes annotated and present in the test set."""

_CITATION = """@inproceedings{cahyawijaya2023cross,
  title={Cross-Lingual Cross-Age Group Adaptation for Low-Resource Elderly Speech Emotion
    Recognition},
  author={Cahyawijaya, Samuel and others},
  booktitle={INTERSPEECH},
  year={2023},
  eprint={2306.14517}
}"""

_INPUTS = """
Args:
    predictions: probability of each class of the schema for each clip, in the schema's order,
        in [0, 1]
    references: 1 present, 0 absent, -1 not annotated by the clip's corpus, for each class
    schema: `emotion` (13 classes, any number of them present, the default), `valence` (3) or
        `four` (4)
    split_rule: `paper` for the single form of the paper's code, in which a clip is its first
        class, or the first annotated where it has none (only weighted_f1 counts those)
Returns:
    metric -> value in [0, 1], or None where it is undefined. Where clips have several classes or
    none, weighted_f1 and macro_f1 count each class on its own, and each has its average precision
    and area under the ROC curve; recall and accuracy are undefined.
"""


def values(
    probabilities: np.ndarray, reference: np.ndarray, schema: LabelSchema
) -> dict[str, float | None]:
    """All metrics of one test set; both arrays of shape (n, len(schema.classes)).

    Raises ValueError for another shape, for a label that is not 1, 0 or -1, and for what is no
    probability.

    >>> scores = values([[0.8, 0.1, 0.1], [0.3, 0.3, 0.4]], [[1, 0, 0], [0, 1, 0]],
    ...     scored_schema("valence", "folds"))
    >>> scores["accuracy"], scores["weighted_f1"], scores["f1_neutral"]
    (0.5, 0.5, 0.0)
    """
    probabilities = _rows("predictions", probabilities, schema)
    reference = _rows("references", reference, schema)
    if len(probabilities) != len(reference):
        raise ValueError(
            f"expected as many predictions as references, found {len(probabilities)} and "
            f"{len(reference)}"
        )
    if not np.isin(reference, (-1, 0, 1)).all():
        raise ValueError(
            "references: expected 1, 0 or -1 for each class, found "
            f"{np.setdiff1d(reference, (-1, 0, 1))[0]:g}"
        )
    if bad := probabilities[~((probabilities >= 0) & (probabilities <= 1))].tolist():
        raise ValueError(f"predictions: expected probabilities in [0, 1], found {bad[0]:g}")
    table = pd.DataFrame(
        {
            "probabilities": list(probabilities),
            "reference": list(reference.astype(np.int8)),
            "speaker": None,
            "corpus": "one",
        }
    )
    known = dict.fromkeys(METRICS)  # None where no clip counts
    for clips, metrics_of in metric_groups(test_set(table, schema), schema):
        for part in clips.by_corpus.values():  # one, or none
            known |= metrics_of(part)
    return known


def _rows(name: str, rows: Sequence[Sequence[float]], schema: LabelSchema) -> np.ndarray:
    """Rows of one number a class, as an array; raises ValueError."""
    if not len(rows):
        raise ValueError(f"{name}: expected at least one clip, found none")
    expected = len(schema.classes)
    for number, row in enumerate(rows):
        if np.shape(row) != (expected,):
            shape = f"shape {np.shape(row)}" if np.ndim(row) != 1 else len(row)
            raise ValueError(
                f"{name}[{number}]: expected {expected} numbers (schema {schema.name}), found "
                f"{shape}"
            )
    return np.asarray(rows, dtype=float)


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class SpeechEmotion(evaluate.Metric):
    """`compute(predictions=..., references=..., schema="emotion", split_rule="folds")`; `add` and
    `add_batch` as of every metric."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Sequence(datasets.Value("int8")),
                }
            ),
            reference_urls=["https://arxiv.org/abs/2306.14517"],
        )

    def _compute(
        self, predictions, references, schema: str = "emotion", split_rule: str = "folds"
    ) -> dict[str, float | None]:
        return values(predictions, references, scored_schema(schema, split_rule))
