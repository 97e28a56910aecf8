"""Predictions tables for the statistics: several corpora, speakers known, unknown and alone, masks,
clips with many labels."""

import numpy as np
import pandas as pd
import pytest

from bimotion.protocol.labels import SCHEMAS

CORPORA = {  # cell -> corpus -> clips, speakers (None: not published), annotated emotions
    "eng_eld": {"crema_d": (40, 5, 6), "elderreact": (25, None, 6), "tess": (20, 1, 7)},
    "eng_adu": {"crema_d": (60, 9, 6), "iemocap": (50, 4, 10)},
    "zho_eld": {"csed": (30, None, 7)},
    "zho_adu": {"esd": (50, 6, 5)},
}


def _table(seed=0, cells=CORPORA, train=None, skill=0.4, seeds=(0,), schema="emotion"):
    """`skill`: how much of the truth is in the probabilities. The same clips and references for
    every seed and skill."""
    clips, rng = np.random.default_rng(0), np.random.default_rng(seed)
    classes, blocks = SCHEMAS[schema].classes, []
    for cell, corpora in cells.items():
        for corpus, (n, n_speakers, n_annotated) in corpora.items():
            n_annotated = min(n_annotated, len(classes))
            reference = np.full((n, len(classes)), -1, np.int8)
            reference[:, :n_annotated] = 0
            reference[np.arange(n), clips.integers(0, n_annotated, n)] = 1
            if corpus == "elderreact" and schema == "emotion":
                # several classes, or none
                reference[:, :n_annotated] = clips.random((n, n_annotated)) < 0.25
            who = clips.integers(0, n_speakers or 1, n)
            speakers = [None if n_speakers is None else f"{corpus}/{number}" for number in who]
            if corpus == "iemocap":
                speakers[:7] = [None] * 7
            for one_seed in seeds:
                noise = rng.random((n, len(classes)))
                block = {
                    "id": [f"{corpus}/{cell}/{number:03}" for number in range(n)],
                    "speaker": speakers,
                    "reference": list(reference),
                    "probabilities": list((1 - skill) * noise + skill * (reference == 1)),
                    "trained": [list(classes)] * n,
                }
                blocks.append(
                    pd.DataFrame(block).assign(
                        cell=cell, corpus=corpus, train=train or cell, seed=one_seed
                    )
                )
    return pd.concat(blocks, ignore_index=True)


@pytest.fixture(scope="session")
def table():
    """Builder of predictions."""
    return _table
