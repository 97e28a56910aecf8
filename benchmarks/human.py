"""One human rater of CREMA-D by the voice alone: python -m benchmarks.human [FOLDER]

Prints the table of docs/protocol.md. FOLDER (default: ../shared/corpora/CREMA-D) holds
VideoDemographics.csv and tabulatedVotes.csv; no sound is needed.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import crema_d
from bimotion.corpora.tree import Tree
from bimotion.io.tables import percent
from bimotion.protocol import cells
from bimotion.protocol.labels import SCHEMAS
from bimotion.results.human import human_agreement


def main(folder: Path) -> None:
    """Print a row for each schema, cell and reference."""
    tree = Tree(folder)
    votes, actors = crema_d.voice_votes(tree), crema_d.CORPUS.speakers(tree)
    clips = pd.DataFrame(
        {
            "cell": [f"eng_{cells.age_group(actors[clip.split('_')[0]][0])}" for clip in votes],
            "corpus": "crema_d",
            "votes": list(votes.values()),
        }
    )
    meant = [crema_d.CARD.native_labels[clip.split("_")[2]] for clip in votes]
    print("| schema | cell | against | weighted F1 | UAR | accuracy | clips | votes |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("valence", "emotion"):
        schema = SCHEMAS[name]
        emotions = crema_d.CARD.emotions
        reference = np.array([schema.reference([emotion], emotions) for emotion in meant])
        for row in human_agreement(clips, reference, schema):
            values = " | ".join(map(percent, (row.weighted_f1, row.uar, row.accuracy)))
            counts = f"{row.n_utterances} | {row.n_votes}"
            print(f"| {name} | {row.test} | {row.reference} | {values} | {counts} |")


if __name__ == "__main__":
    main(Path(*(sys.argv[1:] or ["../shared/corpora/CREMA-D"])))
