"""Age, gender and sentence of test clips, in the corpora that hold both age groups: by the clips'
names and the corpora's tables, without sound."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.card import Corpus
from bimotion.corpora.tree import Tree
from bimotion.data.locate import corpora_root, usable
from bimotion.data.source import CorpusSource
from bimotion.errors import BimotionError, CorpusMalformed, CorpusNotFound

WITHIN = tuple(name for name, corpus in CORPORA.items() if corpus.facts_of_name)
"""Corpora that hold both age groups, with ages that are not assumed."""
COLUMNS = ("age_years", "gender", "sentence")


def speaker_facts(
    predictions: pd.DataFrame, source: CorpusSource
) -> tuple[pd.DataFrame, list[str]]:
    """The facts of the clips of the corpora WITHIN, and a line for each corpus of which some are
    missing.

    Args:
        predictions: With columns `id`, `corpus`, `cell`, `speaker`.
        source: Where the tables of the corpora are looked for.

    Returns:
        Index id, columns COLUMNS; without clips of corpora whose ages are missing.
    """
    tables, missing = [pd.DataFrame(columns=list(COLUMNS))], []
    clips = predictions[["id", "corpus", "cell", "speaker"]].drop_duplicates("id")
    for name in WITHIN:
        mine = clips[clips["corpus"] == name]
        if mine.empty:
            continue
        try:
            facts = _facts(CORPORA[name], mine, source)
        except BimotionError as error:
            missing.append(f"{name}: ages of its speakers are missing: {error}")
            continue
        tables.append(facts)
        if n_left_out := len(mine) - len(facts):
            missing.append(
                f"{name}: {n_left_out} of {len(mine)} clips are left out: no age, gender or "
                "sentence is known of them"
            )
    return pd.concat(tables), missing


def tables_hash(source: CorpusSource) -> str:
    """The hash of all tables of speakers that can be had; "" where none can."""
    tables = {}
    for name in WITHIN:
        if CORPORA[name].speakers is not None:
            with suppress(BimotionError):
                tables[name] = sorted(_speakers(CORPORA[name], source).items())
    return hashlib.sha256(repr(tables).encode()).hexdigest() if tables else ""


def _facts(corpus: Corpus, clips: pd.DataFrame, source: CorpusSource) -> pd.DataFrame:
    """Rows of the clips whose name is one of the corpus's; raises CorpusMalformed for the ages of
    other speakers."""
    speakers = () if corpus.speakers is None else tuple(_speakers(corpus, source).items())
    of_clips = (tuple(clips[name].tolist()) for name in ("id", "speaker", "cell"))
    return _facts_of(corpus.name, speakers, *of_clips)


@lru_cache(maxsize=16)  # the entries of a board are tested on the same clips
def _facts_of(
    name: str,
    known_speakers: tuple[tuple[str, tuple[float, str]], ...],
    ids: tuple[str, ...],
    speakers_of: tuple[str | None, ...],
    cells: tuple[str, ...],
) -> pd.DataFrame:
    corpus, speakers, rows = CORPORA[name], dict(known_speakers), {}
    for clip, speaker, cell in zip(ids, speakers_of, cells, strict=True):
        known = corpus.facts_of_name(clip.partition("/")[2])
        if known and corpus.speakers is not None:
            age, gender = speakers.get(str(speaker).partition("/")[2], (None, None))
            # the paper counts YueMotion's speakers of 59 as elders
            if age is not None and (age < 59 if cell.endswith("eld") else age >= 60):
                raise CorpusMalformed(
                    "expected the table of the run's own copy, found one where the speaker of "
                    f"{clip} is {age:g}, but {cell} in the run"
                )
            known = known | {"age_years": age, "gender": gender}
        if known:
            rows[clip] = [known.get(column) for column in COLUMNS]
    facts = pd.DataFrame(list(rows.values()), list(rows), list(COLUMNS)).dropna()
    return facts.astype({"age_years": float})


def _speakers(corpus: Corpus, source: CorpusSource) -> dict[str, tuple[float, str]]:
    """Speaker -> age and gender, by the first folder that has the corpus's table of them. Raises
    CorpusNotFound, CorpusMalformed."""
    for folder in _folders(corpus.name, source):
        if speakers := _table_in(corpus.name, folder):
            return speakers
    where = source.locations.get(corpus.name) or corpora_root(source.root)
    raise CorpusNotFound(f"expected a folder with the table of its speakers in {where}, found none")


@cache
def _table_in(name: str, folder: Path) -> dict[str, tuple[float, str]] | None:
    return CORPORA[name].speakers(Tree(folder))


def _folders(name: str, source: CorpusSource) -> Iterable[Path]:
    if name in source.locations:
        return [usable(Path(source.locations[name]))]
    return _below(corpora_root(source.root))


def _below(root: Path) -> Iterator[Path]:
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            yield folder
