"""Rosters: the published clips of each corpus with the part that every split rule gives them. Ids
only, no data.

One gzipped table a corpus in `bimotion/data/rosters/`, columns
`stem cell speaker gender paper disjoint folds`: the clip's name, its cell by the paper's own ages,
its speaker and gender (as far as the name, or a list in the corpus's module, tells them), its part
under two rules (splits.py) and its fold (folds.py; -1: tested in none). They make an exact cut
possible on an incomplete copy, and say what a complete copy is. Content is held against
`SHA256SUMS`. Made again, from complete copies of the corpora, by

    python -m bimotion.data.splits CORPORA_ROOT [OUTPUT_FOLDER [CORPUS ...]]

`csed_equal_lengths.txt` has the clips of CSED that have one length, a line each: copies of one
recording are among them, also where nobody could listen.

YueMotion has none: its own metadata lists all clips and their official split.
"""

import io
from functools import cache
from pathlib import Path

import pandas as pd

from bimotion.data import shipped

FOLDER = Path(__file__).parent
COLUMNS = ("stem", "cell", "speaker", "gender", "paper", "disjoint", "folds")
EQUAL_LENGTHS = "csed_equal_lengths.txt"


@cache
def load(corpus: str) -> pd.DataFrame | None:
    """The roster of a corpus, indexed by utterance id; None where it has none. Raises RecordError.

    >>> load("tess").loc["tess/OAF_bite_neutral", "cell"]  # the paper's code: the adult
    'eng_adu'
    """
    path = FOLDER / f"{corpus}.tsv.gz"
    if not path.exists():
        return None
    table = pd.read_csv(io.BytesIO(shipped.read(path)), sep="\t", dtype=str, keep_default_na=False)
    table.index = pd.Index(corpus + "/" + table["stem"], name="id")
    return table.astype({"folds": "int8"})


@cache
def equal_lengths() -> dict[str, str]:
    """Id of a clip of CSED whose length others have -> a name for that length. Raises RecordError.

    >>> lengths = equal_lengths()
    >>> lengths["csed/Neg_female_41"] == lengths["csed/Pos_female_57"]
    True
    """
    lines = shipped.read(FOLDER / EQUAL_LENGTHS).decode().splitlines()
    return {f"csed/{stem}": line.split()[0] for line in lines for stem in line.split()}


def save(corpus: str, table: pd.DataFrame, folder: Path) -> None:
    """Write a roster and its checksum; the same table gives the same content on every machine."""
    rows = table[list(COLUMNS)].sort_values("stem")
    content = rows.to_csv(sep="\t", index=False, lineterminator="\n").encode()
    shipped.save(folder / f"{corpus}.tsv.gz", content)
