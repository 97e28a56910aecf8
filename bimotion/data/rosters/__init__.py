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

import gzip
import hashlib
import io
import zlib
from functools import cache
from pathlib import Path

import pandas as pd

from bimotion.errors import RecordError

FOLDER = Path(__file__).parent
SUMS = "SHA256SUMS"
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
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):  # a checksum that is wrong says the same
        content = b""
    _check(path, content)
    table = pd.read_csv(io.BytesIO(content), sep="\t", dtype=str, keep_default_na=False)
    table.index = pd.Index(corpus + "/" + table["stem"], name="id")
    return table.astype({"folds": "int8"})


@cache
def equal_lengths() -> dict[str, str]:
    """Id of a clip of CSED whose length others have -> a name for that length. Raises RecordError.

    >>> lengths = equal_lengths()
    >>> lengths["csed/Neg_female_41"] == lengths["csed/Pos_female_57"]
    True
    """
    content = (FOLDER / EQUAL_LENGTHS).read_bytes()
    _check(FOLDER / EQUAL_LENGTHS, content)
    lines = content.decode().splitlines()
    return {f"csed/{stem}": line.split()[0] for line in lines for stem in line.split()}


def _check(path: Path, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != _sums().get(path.name):
        raise RecordError(
            f"{path}: content differs from its checksum in {SUMS}; reinstall bimotion"
        )


def save(corpus: str, table: pd.DataFrame, folder: Path) -> None:
    """Write a roster and its checksum; the same table gives the same content on every machine."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = table[list(COLUMNS)].sort_values("stem")
    content = rows.to_csv(sep="\t", index=False, lineterminator="\n").encode()
    name = f"{corpus}.tsv.gz"
    (folder / name).write_bytes(gzip.compress(content, mtime=0))
    sums = _sums(folder) | {name: hashlib.sha256(content).hexdigest()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / SUMS).write_text(lines, encoding="utf-8")


def _sums(folder: Path = FOLDER) -> dict[str, str]:
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}
