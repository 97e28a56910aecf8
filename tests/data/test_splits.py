"""What must hold of splits for any clips: sizes, partition, proportion, and that no part ever
moves."""

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

repeatable = settings(deadline=None, derandomize=True, max_examples=60)
few = settings(repeatable, max_examples=15)


def manifest_of(listed, table=None, synthetic=()):
    """A manifest without files; `table`: the usable ones among `listed`."""
    listed = listed.sort_values("id", ignore_index=True)
    table = listed if table is None else table.sort_values("id", ignore_index=True)
    corpora = sorted(listed["corpus"].unique())
    return Manifest(
        table=table,
        listed=listed,
        findings=(),
        roots={name: Path("/nowhere") / name for name in corpora},
        states=dict.fromkeys(corpora, ""),
        synthetic=frozenset(synthetic),
    )


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


# --- cut ----------------------------------------------------------------------------------------


@st.composite
def cuts(draw, strata=None):
    """Names, their strata, sizes that add up, a seed."""
    names = draw(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=60))
    kinds = (
        draw(strata)
        if strata is not None
        else draw(st.lists(st.text(max_size=3), min_size=1, max_size=60))
    )
    of = draw(st.lists(st.sampled_from(kinds), min_size=len(names), max_size=len(names)))
    first, second = sorted(draw(st.tuples(*[st.integers(0, len(names))] * 2)))
    return names, of, (first, second - first, len(names) - second), draw(st.integers(0, 5))


@given(cuts())
@repeatable
def test_cut_gives_exact_sizes(case):
    names, strata, sizes, seed = case
    parts = splits.cut(names, strata, sizes, seed)
    assert len(parts) == len(names)
    assert tuple(parts.count(part) for part in PARTS) == sizes


@given(cuts(), st.randoms(use_true_random=False))
@repeatable
def test_cut_does_not_depend_on_the_order_of_names(case, random):
    names, strata, sizes, seed = case
    part = dict(zip(names, splits.cut(names, strata, sizes, seed), strict=True))
    shuffled = list(zip(names, strata, strict=True))
    random.shuffle(shuffled)
    other_names, other_strata = [name for name, _ in shuffled], [stratum for _, stratum in shuffled]
    assert (
        dict(zip(other_names, splits.cut(other_names, other_strata, sizes, seed), strict=True))
        == part
    )


def assert_proportional(strata, parts, within=1.0):
    """Before each boundary between parts, every stratum has its share of clips, give or take
    `within`."""
    boundary = 0
    for place in range(len(PARTS)):
        before = [part in PARTS[: place + 1] for part in parts]
        boundary = sum(before)
        for stratum in set(strata):
            share = boundary * strata.count(stratum) / len(parts)
            found = sum(
                inside for inside, own in zip(before, strata, strict=True) if own == stratum
            )
            assert abs(found - share) <= within, (stratum, PARTS[place], found, share)


@given(cuts(strata=st.sampled_from([["f"], ["f", "m"], ["f", "f", "f", "m"], ["f", "m", ""]])))
@repeatable
def test_cut_is_proportional_for_genders(case):
    names, strata, sizes, seed = case
    assert_proportional(strata, splits.cut(names, strata, sizes, seed))


@given(st.integers(1, 12), st.integers(1, 12), st.data())
@repeatable
def test_cut_is_proportional_for_speakers_with_as_many_clips_each(n_speakers, n_clips, data):
    names = [f"{speaker}_{clip}" for speaker in range(n_speakers) for clip in range(n_clips)]
    strata = [name.partition("_")[0] for name in names]
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(names))] * 2)))
    seed = data.draw(st.integers(0, 5))
    assert_proportional(
        strata, splits.cut(names, strata, (first, second - first, len(names) - second), seed)
    )


@pytest.mark.parametrize(
    "corpus", sorted(set(splits.ROSTERED) - set(splits.OFFICIAL) - set(splits.UNPUBLISHED))
)
def test_shipped_paper_parts_are_proportional(corpus):
    for _, rows in rosters.load(corpus).groupby("cell"):
        strata = rows["gender"] if corpus != "crema_d" else rows["speaker"]
        assert_proportional(list(strata), list(rows["paper"]))


def test_another_seed_cuts_otherwise():
    names = [f"clip {n}" for n in range(40)]
    cuts_by_seed = {tuple(splits.cut(names, [""] * 40, (20, 8, 12), seed)) for seed in range(10)}
    assert len(cuts_by_seed) == 10


def test_cut_of_too_many_or_too_few_names_says_so():
    with pytest.raises(
        CorpusIncomplete, match=r"expected 4 names to cut into \(2, 1, 1\), found 3: a, b, c"
    ):
        splits.cut(["b", "a", "c"], ["", "", ""], (2, 1, 1), 0)


# --- rounded ------------------------------------------------------------------------------------


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


# --- parts never move ---------------------------------------------------------------------------

ROSTERED = st.sampled_from(splits.ROSTERED)
RULES = st.sampled_from(splits.RULES)


@given(ROSTERED, RULES, st.sampled_from([0, 3]), st.floats(0, 1), st.integers(0, 2**32 - 1))
@few
def test_clips_keep_their_part_when_others_are_missing(corpus, rule, seed, share, chosen):
    clips = clips_of(corpus)
    rows = clips[np.random.default_rng(chosen).random(len(clips)) < share].sample(
        frac=1, random_state=chosen
    )
    table = (
        splits.split(manifest_of(rows), rule, seed).table
        if len(rows)
        else whole(corpus, rule, seed).iloc[:0]
    )
    expected = whole(corpus, rule, seed).loc[sorted(rows["id"])]
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, check_names=False)


@given(st.sets(ROSTERED, min_size=2, max_size=3), RULES)
@few
def test_clips_keep_their_part_when_corpora_are_added(corpora, rule):
    corpora -= {"esd"}  # 35 000 clips add nothing to this but time
    together = splits.split(
        manifest_of(pd.concat(clips_of(corpus) for corpus in corpora)), rule
    ).table
    assert len(together) == sum(len(clips_of(corpus)) for corpus in corpora)
    for corpus in corpora:
        alone = whole(corpus, rule, 0)
        pd.testing.assert_frame_equal(
            together.loc[alone.index], alone, check_dtype=False, check_names=False
        )


@given(ROSTERED, st.integers(0, 3))
@few
def test_disjoint_shares_no_speaker_of_a_rostered_corpus(corpus, seed):
    table = whole(corpus, "disjoint", seed).join(clips_of(corpus).set_index("id"))
    assert len(table) == CORPORA[corpus].card.n_utterances
    if CORPORA[corpus].card.not_disjoint is None:
        assert (table.groupby("speaker")["part"].nunique() == 1).all()


@given(
    st.sampled_from(splits.UNPUBLISHED),
    st.integers(0, 5),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
@few
def test_corpora_outside_the_paper_keep_speakers_apart_under_both_rules(
    corpus, seed, share, chosen
):
    clips = clips_of(corpus)
    rows = clips[np.random.default_rng(chosen).random(len(clips)) < share]
    paper, disjoint = whole(corpus, "paper", seed), whole(corpus, "disjoint", seed)
    pd.testing.assert_frame_equal(paper, disjoint)
    assert paper["speaker_disjoint"].all()
    (cell,) = CORPORA[corpus].card.cells
    speakers = paper.join(clips.set_index("id")).groupby("part")["speaker"].nunique()
    assert tuple(speakers[list(PARTS)]) == splits.rounded(
        splits.DISJOINT_SHARES[corpus, cell], clips["speaker"].nunique()
    )
    if len(rows):
        found = splits.split(manifest_of(rows), "paper", seed)
        assert found.not_disjoint == {}
        assert found.table["part"].equals(paper.loc[sorted(rows["id"]), "part"])


# --- YueMotion, whose own metadata is its list --------------------------------------------------


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
    numbers = draw(st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=20))
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
    again = splits.split(
        manifest_of(listed.sample(frac=1, random_state=chosen), half, {"yuemotion"}),
        "disjoint",
        seed,
    )
    pd.testing.assert_frame_equal(
        again.table, split.table.loc[sorted(half["id"])], check_names=False, check_dtype=False
    )


@given(speaker_tables(), st.integers(0, 5))
@repeatable
def test_paper_keeps_the_official_parts_of_yuemotion_under_every_seed(speakers, seed):
    listed = yuemotion_clips(speakers)
    table = splits.split(manifest_of(listed), "paper", seed).table
    assert dict(table["part"]) == dict(zip(listed["id"], listed["official_split"], strict=True))
    elderly = listed.loc[listed["age_years"] >= 59, "id"]
    assert set(table.index[table["cell"] == "yue_eld"]) == set(elderly)


@given(
    speaker_tables(youngest=10).filter(lambda speakers: any(age >= 20 for _, _, age, _ in speakers))
)
@repeatable
def test_speakers_under_20_are_in_no_cell_and_that_is_said(speakers):
    listed = yuemotion_clips(speakers)
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), "paper")
    young = set(listed.loc[listed["age_years"] < 20, "id"])
    assert set(split.table.index) == set(listed["id"]) - young
    assert {(finding.kind, finding.where) for finding in split.findings} == {
        ("no cell", clip) for clip in young
    }


@pytest.mark.parametrize("rule", splits.RULES)
def test_nobody_in_any_cell(rule):
    listed = yuemotion_clips([(1, "f", 12, ["train"])])
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), rule)
    assert len(split.table) == 0
    assert ("no cell", "yuemotion/01_f12_01_1") in {
        (finding.kind, finding.where) for finding in split.findings
    }


def test_speakers_under_20_are_not_called_unlisted_under_disjoint():
    listed = yuemotion_clips([(1, "f", 12, ["train"]), (2, "f", 30, ["train"])])
    split = splits.split(manifest_of(listed, synthetic={"yuemotion"}), "disjoint")
    assert [(finding.kind, finding.where) for finding in split.findings] == [
        ("no cell", "yuemotion/01_f12_01_1")
    ]


def test_disjoint_keeps_a_speaker_together_who_turns_60():
    for seed in range(20):
        speakers = [(n, "f", 59, ["train"] * 3) for n in range(1, 7)] + [
            (n, "f", 60, ["test"] * 3) for n in range(4, 9)
        ]
        listed = yuemotion_clips(speakers)
        rows = splits.split(
            manifest_of(listed, synthetic={"yuemotion"}), "disjoint", seed
        ).table.join(listed.set_index("id"))
        assert (rows.groupby("speaker")["part"].nunique() == 1).all(), seed


def test_disjoint_needs_the_whole_metadata_of_yuemotion():
    listed = yuemotion_clips([(n, "f", 20 + n, ["train", "test"]) for n in range(1, 19)])
    with pytest.raises(
        CorpusIncomplete, match=r"needs all 1080 entries .*found 36 in /nowhere/yuemotion"
    ):
        splits.split(manifest_of(listed), "disjoint")


def test_yuemotion_clip_without_an_official_part():
    listed = yuemotion_clips([(1, "f", 30, ["train", None])])
    with pytest.raises(
        CorpusMalformed, match=r"yuemotion: expected an official part .*yuemotion/01_f30_01_2"
    ):
        splits.split(manifest_of(listed), "paper")


def test_unknown_rule():
    with pytest.raises(
        UnknownName, match="unknown split rule 'random': expected one of paper, disjoint"
    ):
        splits.split(manifest_of(yuemotion_clips([(1, "f", 30, ["train"])])), "random")
