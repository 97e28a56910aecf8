"""Split rules: which part (train, validation, test) and which cell each utterance belongs to.

paper      sizes of Tables 1 and 2 of arXiv 2306.14517: official splits for ESD, ElderReact and
           YueMotion; elsewhere a cut by clip, so test speakers are in training too. Cells by the
           paper's own ages: YueMotion elderly from 59, the clip OA_bite adult.
disjoint   no speaker in two parts, where the corpus can give that; the true age decides the cell.
           Sizes are in speakers.
folds      five-fold cross-validation, speakers and texts apart (folds.py): predictions of all
           folds together test every speaker once. The true age decides the cell.

The paper knows no EMO-DB, ShEMO and URDU: `paper` has nothing of its own for them, so `paper`
and `disjoint` give them the same parts, with speakers apart.

All are pure functions of utterance ids (and, for YueMotion, of its metadata): clips are ordered by
sha256(version, seed, id), never by directory or global random state. A part never moves when clips
or corpora are added.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import PARTS, Finding
from bimotion.data import folds, rosters
from bimotion.data.folds import EVERY, conversation, part_in
from bimotion.data.manifest import Manifest, build
from bimotion.data.rules import DEFAULT_RULE, RULES, hash_of, require_fold
from bimotion.data.source import CorpusSource
from bimotion.errors import (
    BimotionError,
    CorpusIncomplete,
    CorpusMalformed,
    known_name,
    some,
)
from bimotion.io.bounds import MAX_SEED, whole_number
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import cells as groups

DEALT = ("disjoint", "folds")
"""Rules that deal YueMotion's speakers, and so need all of its metadata."""
OFFICIAL = ("elderreact", "esd", "yuemotion")
"""Corpora with a split of their own, which the paper uses."""
UNPUBLISHED = ("emo_db", "shemo", "urdu")
"""Corpora that neither the paper nor they themselves cut: their speakers are kept apart under both
rules."""
ROSTERED = ("crema_d", "csed", "elderreact", "emo_db", "esd", "iemocap", "shemo", "tess", "urdu")
"""Corpora whose parts are shipped (rosters/)."""

PAPER_SIZES = {
    ("crema_d", "eng_eld"): (150, 42, 300),
    ("crema_d", "eng_adu"): (5000, 750, 1200),
    ("csed", "zho_eld"): (200, 52, 400),
    ("elderreact", "eng_eld"): (615, 355, 353),
    ("esd", "zho_adu"): (15000, 1000, 1500),
    ("esd", "eng_adu"): (15000, 1000, 1500),
    ("iemocap", "eng_adu"): (7500, 1039, 1500),
    ("tess", "eng_eld"): (699, 200, 500),
    ("tess", "eng_adu"): (700, 201, 500),
}
"""(corpus, cell) -> clips in train, validation, test: Table 1."""

YUEMOTION_PAPER_SIZES = {("m", "yue_adu"): (120, 36, 84), ("f", "yue_adu"): (210, 63, 147)}
"""(gender, cell) -> clips in train, validation, test: Table 2."""

PAPER_YUEMOTION_ELDERLY_FROM_YEARS = 59
PAPER_CELLS = {"tess/OAF_bite_neutral": "eng_adu"}
"""Utterances whose cell in the paper is not that of their speaker's age."""

DISJOINT_SHARES = {
    ("crema_d", "eng_eld"): (0.30, 0.09, 0.61),
    ("crema_d", "eng_adu"): (0.72, 0.11, 0.17),
    ("esd", "zho_adu"): (0.6, 0.2, 0.2),
    ("esd", "eng_adu"): (0.6, 0.2, 0.2),
    ("iemocap", "eng_adu"): (0.6, 0.2, 0.2),
    ("yuemotion", "yue_adu"): (0.50, 0.15, 0.35),
    ("yuemotion", "yue_eld"): (0.50, 0.15, 0.35),
    ("emo_db", "deu_adu"): (0.50, 0.15, 0.35),
    ("shemo", "fas_adu"): (0.50, 0.15, 0.35),
    ("urdu", "urd_adu"): (0.50, 0.15, 0.35),
}
"""(corpus, cell) -> shares of speakers in train, validation, test; the paper's shares of clips
where it has such."""


@dataclass(frozen=True)
class Split:
    """Parts of the utterances of a manifest under one rule."""

    rule: str
    seed: int
    fold: int
    """Whose parts the table has."""
    version: str
    table: pd.DataFrame
    """Index: utterance id; columns `cell`, `fold` (in which it is tested; EVERY: in none),
    `only_part` (the only one that it may have; "" any), `part` in the fold that was asked for
    (None: it has none there), `speaker_disjoint`; sorted by id."""
    not_disjoint: dict[str, str]
    """Corpus -> why its speakers stand in several parts, for corpora in the table."""
    findings: tuple[Finding, ...]
    """Utterances that are in no part because they are in no cell (`unlisted` ones are the
    manifest's)."""


def split(manifest: Manifest, rule: str = DEFAULT_RULE, seed: int = 0, fold: int = 0) -> Split:
    """Cells and parts of all usable utterances of a manifest.

    Args:
        manifest: Of the corpora.
        rule: paper, disjoint or folds.
        seed: Other than 0, it assigns the clips (paper) or speakers (disjoint, folds) anew, with
            the same sizes; official splits stay. Folds of CREMA-D are then stratified by age, for
            its roster has no gender.
        fold: Whose parts; a rule without cross-validation has fold 0 only.

    Raises:
        UnknownName: Of the rule.
        SettingError: The rule has no such fold.
        CorpusMalformed: A YueMotion clip has no official part.
        CorpusIncomplete: A corpus without a roster lists fewer clips than it has.
    """
    known_name("split rule", rule, RULES)
    whole_number("split_seed", seed, 0, MAX_SEED)
    require_fold(rule, fold)
    reasons = {name: why_not_disjoint(name, rule) for name in manifest.corpora}
    reasons = {name: reason for name, reason in reasons.items() if reason}
    columns = ["cell", "fold", "only_part", "speaker_disjoint"]
    tables, findings = [], []
    for corpus, rows in manifest.table.groupby("corpus"):
        rows = rows.set_index("id")
        cells = paper_cells(rows) if rule == "paper" else true_cells(rows)
        assignment = _assignment(corpus, manifest, rule, seed).reindex(rows.index).astype(object)
        of_corpus = assignment.assign(cell=cells, speaker_disjoint=corpus not in reasons)
        tables.append(of_corpus[columns])
        ages = rows.loc[cells.isna(), "age_years"]
        findings += [Finding("no cell", corpus, clip, f"{age}") for clip, age in ages.items()]
    if not tables:
        tables = [pd.DataFrame(index=manifest.table.set_index("id").index, columns=columns)]
    table = pd.concat(tables).dropna()
    table = table.astype({"fold": np.int8, "speaker_disjoint": bool}).sort_index()
    parts = part_in(fold, table["fold"].to_numpy(), table["only_part"].to_numpy(str))
    table["part"] = pd.Series(parts, table.index, object).replace("", None)
    return Split(
        rule=rule,
        seed=seed,
        fold=fold,
        version=NUMBERS_VERSION,
        table=table,
        not_disjoint=reasons,
        findings=tuple(findings),
    )


def why_not_disjoint(corpus: str, rule: str) -> str | None:
    """The reason that speakers of a corpus stand in several parts under a rule, or None."""
    why = CORPORA[corpus].card.not_disjoint
    if why or rule in DEALT or corpus in UNPUBLISHED:
        return why
    official = "the official split shares speakers"
    by_clip = "the paper's split is by clip and shares speakers"
    return official if corpus in OFFICIAL else by_clip


def true_cells(rows: pd.DataFrame) -> pd.Series:
    """Cell of each row by the speaker's age; None where the age is in no group. Index as given."""
    group_of = {age: groups.age_group(age) for age in rows["age_years"].unique()}
    ages = rows["age_years"].map(group_of).astype(object)
    cells = rows["language"].astype(object) + "_" + ages
    return cells.where(ages.notna(), None)


def paper_cells(rows: pd.DataFrame) -> pd.Series:
    """Cell of each row (indexed by id) by the ages that the paper's code uses."""
    cells = true_cells(rows)
    elderly = (rows["corpus"] == "yuemotion") & (
        rows["age_years"] >= PAPER_YUEMOTION_ELDERLY_FROM_YEARS
    )
    cells[elderly] = "yue_eld"
    for clip in cells.index.intersection(list(PAPER_CELLS)):
        cells[clip] = PAPER_CELLS[clip]
    return cells


def _assignment(corpus: str, manifest: Manifest, rule: str, seed: int) -> pd.DataFrame:
    """Columns fold and only_part of all clips of a corpus that the rule knows, index id."""
    known = rosters.load(corpus)
    if known is None:
        known = _listed(corpus, manifest, rule)
        assignment = assigned(corpus, known, rule, seed)
    else:
        assignment = known[rule] if seed == 0 else assigned(corpus, known, rule, seed)
    if rule == "folds":
        is_bound = corpus in folds.OFFICIAL_IN_FOLDS
        fold, only_part = assignment, known["paper"] if is_bound else ""
    else:
        fold, only_part = np.where(assignment == PARTS[-1], 0, EVERY), assignment
    return pd.DataFrame({"fold": fold, "only_part": only_part}, known.index)


def _listed(corpus: str, manifest: Manifest, rule: str) -> pd.DataFrame:
    """Rows of a corpus without a roster, as `assigned` takes them. Raises CorpusError for what the
    rule cannot do with."""
    listed = manifest.listed[manifest.listed["corpus"] == corpus].set_index("id")
    listed = listed.assign(paper=listed["official_split"])
    if rule not in DEALT:
        if without := list(listed.index[listed["paper"].isna()]):
            raise CorpusMalformed(
                f"{corpus}: expected an official part for each clip, found none for {some(without)}"
            )
        return listed.assign(cell=paper_cells(listed))
    n_utterances = CORPORA[corpus].card.n_utterances
    if corpus not in manifest.synthetic and len(listed) < n_utterances:
        raise CorpusIncomplete(
            f"{corpus}: the rule {rule!r} deals its speakers and needs all "
            f"{n_utterances} entries of its metadata (sound may be "
            f"missing), found {len(listed)} in {manifest.roots[corpus]}; copy the metadata "
            "again"
        )
    return listed.assign(cell=true_cells(listed)).dropna(subset="cell")


def new_roster(corpus: str, listed: pd.DataFrame) -> pd.DataFrame:
    """Make the roster of a complete corpus from its manifest rows: what
    `python -m bimotion.data.splits` saves."""
    listed = listed.set_index("id")
    table = pd.DataFrame(
        {
            "stem": listed.index.str.removeprefix(f"{corpus}/"),
            "cell": paper_cells(listed),
            "speaker": listed["speaker"].fillna(""),
            # CREMA-D and ElderReact tell it in files that are not ours to pass on
            "gender": "" if corpus in ("crema_d", "elderreact") else listed["gender"],
            "paper": listed["official_split"],
        },
        index=listed.index,
    )
    for rule in RULES:
        table[rule] = assigned(corpus, table, rule, seed=0)
    if corpus == "crema_d":  # whose folds are the same for both genders; they stay untold
        table["folds"] = assigned(corpus, table.assign(gender=listed["gender"]), "folds", seed=0)
    return table


def assigned(corpus: str, listed: pd.DataFrame, rule: str, seed: int) -> pd.Series:
    """Parts, or folds, of all clips of a corpus under a rule and seed.

    The paper's cut is stratified by gender (by speaker, which is finer, where the name does not
    tell the gender).

    Args:
        corpus: Its name.
        listed: Index id; columns cell, speaker, gender, (paper).
        rule: paper, disjoint or folds.
        seed: Of the order of clips or speakers.
    """
    if rule == "folds":
        return folds.assigned(corpus, listed, seed)
    by_clip = rule == "paper" and corpus not in UNPUBLISHED
    by_clip = by_clip or CORPORA[corpus].card.not_disjoint is not None
    if by_clip and corpus in OFFICIAL:
        return listed["paper"]
    return _clips_cut(corpus, listed, seed) if by_clip else _speakers_cut(corpus, listed, seed)


def _clips_cut(corpus: str, listed: pd.DataFrame, seed: int) -> pd.Series:
    parts = pd.Series(index=listed.index, dtype=object)
    for cell, rows in listed.groupby("cell"):
        strata = rows["gender"].where(rows["gender"] != "", rows["speaker"])
        parts[rows.index] = cut(list(rows.index), list(strata), PAPER_SIZES[corpus, cell], seed)
    return parts


def _speakers_cut(corpus: str, listed: pd.DataFrame, seed: int) -> pd.Series:
    """Each speaker has one part, in the cell of most of its clips, so that one who turns 60 stays
    together."""
    units = listed["speaker"].map(lambda speaker: conversation(corpus, speaker))
    homes = listed["cell"].groupby(units).agg(lambda cells: cells.mode().iloc[0])
    genders = listed["gender"].groupby(units).agg(["first", "nunique"])
    genders = genders["first"].where(genders["nunique"] == 1, "")
    part_of: dict[str, str] = {}
    for cell in sorted(set(homes)):
        names = list(homes.index[homes == cell])
        sizes = rounded(DISJOINT_SHARES[corpus, cell], len(names))
        part_of |= dict(zip(names, cut(names, list(genders[names]), sizes, seed), strict=True))
    return units.map(part_of)


def cut(
    names: Sequence[str], strata: Sequence[str], sizes: tuple[int, int, int], seed: int
) -> list[str]:
    """Part of each name, with exactly `sizes` names in train, validation, test, every stratum in
    proportion.

    Names of a stratum are in hash order and spread evenly over one line, which is then cut twice.

    >>> cut(["a", "b", "c", "d"], ["f", "f", "m", "m"], (2, 0, 2), seed=0)
    ['train', 'test', 'test', 'train']
    """
    if len(names) != sum(sizes):
        raise CorpusIncomplete(
            f"expected {sum(sizes)} names to cut into {sizes}, found {len(names)}: "
            f"{some(sorted(names))}"
        )
    members: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, stratum in zip(names, strata, strict=True):
        members[stratum].append((hash_of(name, seed), name))
    line = [
        ((rank + 0.5) / len(stratum), digest, name)
        for stratum in members.values()
        for rank, (digest, name) in enumerate(sorted(stratum))
    ]
    parts = [part for part, size in zip(PARTS, sizes, strict=True) for _ in range(size)]
    part_of = {name: part for (*_, name), part in zip(sorted(line), parts, strict=True)}
    return [part_of[name] for name in names]


def rounded(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole numbers in proportion to shares, largest remainders first, none of them 0 where `total`
    allows.

    >>> rounded((0.30, 0.09, 0.61), 6)
    (2, 1, 3)
    """
    exact = [share * total / sum(shares) for share in shares]
    sizes = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (sizes[i] - exact[i], i))
    for i in by_remainder[: total - sum(sizes)]:
        sizes[i] += 1
    while total >= len(shares) and 0 in sizes:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[sizes.index(0)] += 1
    return tuple(sizes)


def main(root: str, folder: str = str(rosters.FOLDER), *corpora: str) -> None:
    """Make rosters again (of some corpora, else all) from complete corpora below `root`."""
    for corpus in corpora or ROSTERED:
        listed = build(CorpusSource.of(root, corpus)).table
        rosters.save(corpus, new_roster(corpus, listed), Path(folder))
        print(f"{corpus}: {len(listed)} clips")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m bimotion.data.splits ROOT [FOLDER [CORPUS ...]]")
    try:
        main(*sys.argv[1:])
    except BimotionError as error:
        sys.exit(str(error))
