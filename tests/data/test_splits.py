"""Properties of splits for any clips: sizes, partition, proportion, and that no part ever moves."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import PARTS
from bimotion.data import rosters, splits
from bimotion.data.manifest import Manifest
from bimotion.errors import CorpusIncomplete, CorpusMalformed, UnknownName

repeatable = settings(deadline=None, derandomize=True, max_examples=30)
few = settings(repeatable, max_examples=8)


def manifest_of(listed, table=None, synthetic=()):
    """A manifest without files; `table`: the usable ones among `listed`."""
    corpora = sorted(listed["corpus"].unique())
    return Manifest(
        table=(listed if table is None else table).sort_values("id", ignore_index=True),
        listed=listed.sort_values("id", ignore_index=True),
        findings=(),
        roots={name: Path("/nowhere") / name for name in corpora},
        states=dict.fromkeys(corpora, ""),
        synthetic=frozenset(synthetic),
    )


def assert_same(table, expected):
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, check_names=False)


@cache
def clips_of(corpus):
    """All clips of a corpus as a manifest has them, as far as splits look at them."""
    known = rosters.load(corpus)
    elderly = known["cell"].str.endswith("_eld") | (known["speaker"] == "tess/OAF")
    return pd.DataFrame(
        {
            "id": known.index,
            "corpus": corpus,
            "speaker": known["speaker"].replace("", None).to_numpy(),
            "language": known["cell"].str[:3].to_numpy(),
            "age_years": np.where(elderly, 65.0, 30.0),
            "gender": known["gender"].to_numpy(),
            "official_split": None,
        }
    )


@cache
def whole(corpus, rule, seed):
    return splits.split(manifest_of(clips_of(corpus)), rule, seed).table


def sizes_of(draw, n):
    """Sizes of three parts that add up to n."""
    first, second = sorted(draw(st.tuples(*[st.integers(0, n)] * 2)))
    return first, second - first, n - second


STRATA = st.lists(st.text(max_size=3), min_size=1, max_size=60)


@st.composite
def cuts(draw, strata=STRATA):
    """Names, their strata, sizes that add up, a seed."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=60))
    kinds = draw(strata)
    of = draw(st.lists(st.sampled_from(kinds), min_size=len(names), max_size=len(names)))
    return names, of, sizes_of(draw, len(names)), draw(st.integers(0, 5))


@given(cuts(), st.randoms(use_true_random=False))
@repeatable
def test_cut_gives_exact_sizes_in_any_order_of_names(case, random):
    names, strata, sizes, seed = case
    parts = splits.cut(names, strata, sizes, seed)
    assert tuple(parts.count(part) for part in PARTS) == sizes
    shuffled = list(zip(names, strata, parts, strict=True))
    random.shuffle(shuffled)
    names, strata, parts = ([row[n] for row in shuffled] for n in range(3))
    assert splits.cut(names, strata, sizes, seed) == parts


def assert_proportional(strata, parts, within=1.0):
    """Before each boundary between parts, every stratum has its share of clips, give or take
    `within`."""
    for number, part in enumerate(PARTS):
        before = [own in PARTS[: number + 1] for own in parts]
        for stratum in set(strata):
            share = sum(before) * strata.count(stratum) / len(parts)
            n = sum(is_in for is_in, own in zip(before, strata, strict=True) if own == stratum)
            assert abs(n - share) <= within, (stratum, part, n, share)


@given(cuts(strata=st.sampled_from([["f"], ["f", "m"], ["f", "f", "f", "m"], ["f", "m", ""]])))
@repeatable
def test_cut_is_proportional_for_genders(case):
    names, strata, sizes, seed = case
    assert_proportional(strata, splits.cut(names, strata, sizes, seed))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
@repeatable
def test_cut_is_proportional_for_speakers_with_as_many_clips_each(n_speakers, n_clips, data):
    strata = [f"{speaker}" for speaker in range(n_speakers) for clip in range(n_clips)]
    names = [f"{speaker}_{number}" for number, speaker in enumerate(strata)]
    sizes, seed = sizes_of(data.draw, len(names)), data.draw(st.integers(0, 5))
    assert_proportional(strata, splits.cut(names, strata, sizes, seed))


@pytest.mark.parametrize("corpus", ["crema_d", "csed", "iemocap", "tess"])
def test_shipped_paper_parts_are_proportional(corpus):
    for _, rows in rosters.load(corpus).groupby("cell"):
        strata = rows["gender"] if corpus != "crema_d" else rows["speaker"]
        assert_proportional(list(strata), list(rows["paper"]))


def test_another_seed_cuts_otherwise():
    names = [f"clip {n}" for n in range(40)]
    cuts_by_seed = {tuple(splits.cut(names, [""] * 40, (20, 8, 12), seed)) for seed in range(10)}
    assert len(cuts_by_seed) == 10


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 300))
@repeatable
def test_rounded_adds_up_without_zeros_and_in_proportion(shares, total):
    sizes = splits.rounded(shares, total)
    assert len(sizes) == len(shares)
    assert sum(sizes) == total
    assert min(sizes) >= (1 if total >= len(shares) else 0)
    exact = [share * total / sum(shares) for share in shares]
    if min(exact) >= 1:
        assert all(abs(size - value) < 1 + 1e-9 for size, value in zip(sizes, exact, strict=True))


@pytest.mark.parametrize(("key", "shares"), splits.DISJOINT_SHARES.items())
def test_disjoint_shares_are_shares(key, shares):
    assert sum(shares) == pytest.approx(1)
    assert min(splits.rounded(shares, 3)) == 1


ROSTERED = st.sampled_from(splits.ROSTERED)
RULES = st.sampled_from(splits.RULES)


@given(ROSTERED, RULES, st.sampled_from([0, 3]), st.floats(0, 1), st.integers(0, 2**32 - 1))
@few
def test_clips_keep_their_part_when_others_are_missing(corpus, rule, seed, share, chosen):
    clips = clips_of(corpus)
    rows = clips[np.random.default_rng(chosen).random(len(clips)) < share]
    if len(rows):
        shuffled = manifest_of(rows.sample(frac=1, random_state=chosen))
        expected = whole(corpus, rule, seed).loc[sorted(rows["id"])]
        assert_same(splits.split(shuffled, rule, seed).table, expected)


@given(st.sets(ROSTERED, min_size=2, max_size=3), RULES)
@few
def test_clips_keep_their_part_when_corpora_are_added(corpora, rule):
    corpora -= {"esd"}  # 35 000 clips add nothing to this but time
    clips = pd.concat(clips_of(corpus) for corpus in corpora)
    together = splits.split(manifest_of(clips), rule).table
    assert len(together) == len(clips)
    for corpus in corpora:
        alone = whole(corpus, rule, 0)
        assert_same(together.loc[alone.index], alone)


@given(ROSTERED, st.integers(0, 3))
@few
def test_disjoint_shares_no_speaker_of_a_rostered_corpus(corpus, seed):
    table = whole(corpus, "disjoint", seed).join(clips_of(corpus).set_index("id"))
    assert len(table) == CORPORA[corpus].card.n_utterances
    if CORPORA[corpus].card.not_disjoint is None:
        assert (table.groupby("speaker")["part"].nunique() == 1).all()


@pytest.mark.parametrize("corpus", splits.UNPUBLISHED)
@pytest.mark.parametrize("seed", [0, 3])
def test_corpora_outside_the_paper_keep_speakers_apart_under_both_rules(corpus, seed):
    clips = clips_of(corpus)
    paper, disjoint = whole(corpus, "paper", seed), whole(corpus, "disjoint", seed)
    pd.testing.assert_frame_equal(paper, disjoint)
    assert paper["speaker_disjoint"].all()
    (cell,) = CORPORA[corpus].card.cells
    speakers = paper.join(clips.set_index("id")).groupby("part")["speaker"].nunique()
    shares, n_speakers = splits.DISJOINT_SHARES[corpus, cell], clips["speaker"].nunique()
    assert tuple(speakers[list(PARTS)]) == splits.rounded(shares, n_speakers)
    half = splits.split(manifest_of(clips[::2]), "paper", seed)
    assert half.not_disjoint == {}
    assert half.table["part"].equals(paper.loc[sorted(clips["id"][::2]), "part"])


def yuemotion_clips(speakers):
    """Rows for (number, gender, age, official parts of the clips)."""
    rows = [
        (
            f"yuemotion/{number:02}_{gender}{age}_{n // 6 + 1:02}_{n % 6 + 1}",
            f"yuemotion/{number:02}",
            age,
            gender,
            part,
        )
        for number, gender, age, parts in speakers
        for n, part in enumerate(parts)
    ]
    listed = pd.DataFrame(rows, columns=["id", "speaker", "age_years", "gender", "official_split"])
    return listed.assign(corpus="yuemotion", language="yue")


@st.composite
def speaker_tables(draw, youngest=20):
    numbers = draw(st.lists(st.integers(1, 98), unique=True, min_size=1, max_size=20))
    parts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=8)
    return [
        (number, draw(st.sampled_from("fm")), draw(st.integers(youngest, 90)), draw(parts))
        for number in numbers
    ]


@given(speaker_tables(), st.integers(0, 5), st.integers(0, 2**32 - 1))
@repeatable
def test_disjoint_shares_no_speaker_for_any_table_of_speakers(speakers, seed, chosen):
    listed = yuemotion_clips(speakers)
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), "disjoint", seed)
    rows = split.table.join(listed.set_index("id"))
    assert set(rows.index) == set(listed["id"])
    assert (rows.groupby("speaker")["part"].nunique() == 1).all()
    assert rows["speaker_disjoint"].all()
    assert split.findings == ()
    for cell, own in rows.groupby("cell"):
        assert all((own["age_years"] >= 60) == (cell == "yue_eld"))
        n_speakers = own.groupby("part")["speaker"].nunique().reindex(list(PARTS), fill_value=0)
        assert tuple(n_speakers) == splits.rounded(
            splits.DISJOINT_SHARES["yuemotion", cell], own["speaker"].nunique()
        )
    # sound may be missing, and rows come in any order
    half = listed.sample(frac=0.5, random_state=chosen)
    shuffled = manifest_of(listed.sample(frac=1, random_state=chosen), half, {"yuemotion"})
    again = splits.split(shuffled, "disjoint", seed)
    assert_same(again.table, split.table.loc[sorted(half["id"])])


@given(speaker_tables(), st.integers(0, 5))
@repeatable
def test_paper_keeps_the_official_parts_of_yuemotion_under_every_seed(speakers, seed):
    listed = yuemotion_clips(speakers)
    table = splits.split(manifest_of(listed), "paper", seed).table
    assert dict(table["part"]) == dict(zip(listed["id"], listed["official_split"], strict=True))
    elderly = listed.loc[listed["age_years"] >= 59, "id"]
    assert set(table.index[table["cell"] == "yue_eld"]) == set(elderly)


@given(speaker_tables(youngest=10), st.sampled_from(splits.RULES))
@repeatable
def test_speakers_under_20_are_in_no_cell_and_that_is_said(speakers, rule):
    """Also where nobody else is there; and they are not called unlisted."""
    listed = yuemotion_clips([*speakers, (99, "f", 12, ["train"])])
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), rule)
    young = set(listed.loc[listed["age_years"] < 20, "id"])
    assert set(split.table.index) == set(listed["id"]) - young
    facts = {(finding.kind, finding.where) for finding in split.findings}
    assert facts == {("no cell", clip) for clip in young}


@pytest.mark.parametrize("rule", splits.RULES)
def test_nobody_in_any_cell(rule):
    listed = yuemotion_clips([(1, "f", 12, ["train"])])
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), rule)
    assert len(split.table) == 0
    assert [finding.where for finding in split.findings] == ["yuemotion/01_f12_01_1"]


def test_disjoint_keeps_a_speaker_together_who_turns_60():
    speakers = [(n, "f", 59, ["train"] * 3) for n in range(1, 7)]
    listed = yuemotion_clips([*speakers, *((n, "f", 60, ["test"] * 3) for n in range(4, 9))])
    for seed in range(10):
        split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), "disjoint", seed)
        rows = split.table.join(listed.set_index("id"))
        assert (rows.groupby("speaker")["part"].nunique() == 1).all(), seed


REFUSED = {  # parts of 18 speakers, rule -> error
    "needs all 1080 entries .*found 36 in /nowhere/yuemotion": (
        ["train", "test"],
        "disjoint",
        CorpusIncomplete,
    ),
    "yuemotion: expected an official part .*yuemotion/01_f21_01_2": (
        ["train", None],
        "paper",
        CorpusMalformed,
    ),
    "unknown split rule 'random': expected one of paper, disjoint": (
        ["train"],
        "random",
        UnknownName,
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_split_is_refused(message):
    parts, rule, error = REFUSED[message]
    listed = yuemotion_clips([(n, "f", 20 + n, parts) for n in range(1, 19)])
    with pytest.raises(error, match=message):
        splits.split(manifest_of(listed), rule)


def test_cut_of_too_many_or_too_few_names_says_so():
    message = r"expected 4 names to cut into \(2, 1, 1\), found 3: a, b, c"
    with pytest.raises(CorpusIncomplete, match=message):
        splits.cut(["b", "a", "c"], ["", "", ""], (2, 1, 1), 0)
