"""Counts of speakers who were made up."""

import numpy as np

from bimotion.results.statistics.counts import Counts, Stratum


def counts_of_speakers(table: np.ndarray, name: str, n_annotated: int) -> Counts:
    """The counts of a test set: hits, predicted and true clips, shape (3, n_classes, n_speakers);
    `name`: `<cell>/<corpus>`."""
    stratum = Stratum(name, table.shape[2], "speaker", False, int(table[2].sum()))
    return Counts(
        stratum, dict.fromkeys(("all", "marked", "one"), table.astype(np.float32)), n_annotated
    )
