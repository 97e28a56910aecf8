"""All true file names of the corpora: the paper's tables to the clip, and the shipped rosters made
again."""

import gzip

import pandas as pd
import pytest

from bimotion.corpora import CORPORA, PAPER_CORPORA
from bimotion.corpora.utterance import PARTS
from bimotion.data import manifest, rosters, splits
from bimotion.data.checks import counts
from bimotion.data.shipped import SUMS
from bimotion.data.source import CorpusSource

TABLE_1 = {  # arXiv 2306.14517, by hand
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
TABLE_2 = {"m": (120, 36, 84), "f": (210, 63, 147)}
N_CLIPS = {name: corpus.card.n_utterances for name, corpus in CORPORA.items()}
CREMA_D_ELDERS = {
    "1016": (61, "m"),
    "1020": (61, "f"),
    "1034": (74, "m"),
    "1050": (62, "m"),
    "1067": (66, "m"),
    "1087": (62, "m"),
}


@pytest.fixture(scope="module")
def clips(true_manifest):
    return true_manifest.table.set_index("id")


@pytest.fixture(scope="module")
def placed(true_manifest):
    """Clips with cell and part, by split rule."""
    facts = true_manifest.table.set_index("id")
    return {rule: splits.split(true_manifest, rule).table.join(facts) for rule in splits.RULES}


@pytest.fixture(scope="module")
def made_rosters(true_manifest):
    """Roster of each corpus, made_rosters anew from the true names."""
    return {
        corpus: splits.new_roster(
            corpus, true_manifest.table[true_manifest.table["corpus"] == corpus]
        )
        for corpus in splits.ROSTERED
    }


def sizes(rows):
    return rows.groupby(["corpus", "cell", "part"]).size()


def test_every_true_name_is_read_without_a_finding(true_manifest):
    assert true_manifest.findings == ()
    assert dict(true_manifest.table["corpus"].value_counts()) == N_CLIPS
    assert len(true_manifest.listed) == len(true_manifest.table) == sum(N_CLIPS.values())
    assert true_manifest.table["id"].is_unique
    assert list(true_manifest.table["id"]) == sorted(true_manifest.table["id"])
    assert true_manifest.synthetic == frozenset()
    true_manifest.require_complete(CORPORA)


def test_the_papers_tables_and_no_other_lines(true_manifest):
    lines = counts.counts(true_manifest, "paper")
    first = {(line.corpus, line.cell): line for line in lines if line.table == 1}
    second = {line.gender: line for line in lines if line.table == 2}
    assert {key: line.on_disk for key, line in first.items()} == TABLE_1
    assert {key: line.on_disk for key, line in second.items()} == TABLE_2
    assert {(line.corpus, line.cell) for line in second.values()} == {("yuemotion", "yue_adu")}
    assert all(line.on_disk == line.paper and line.difference == (0, 0, 0) for line in lines)
    assert len(lines) == len(TABLE_1) + len(TABLE_2)
    notes = [table.notes for table in counts.as_tables(lines, "paper")]
    assert notes == [["equal to the paper"], ["equal to the paper"]]
    assert counts.counts(true_manifest, "disjoint") != lines


def test_a_fold_is_counted_where_no_rule_is_asked_for(true_manifest):
    lines = counts.counts(true_manifest)
    assert [line.on_disk for line in lines if line.cell == "eng_eld"] == [
        (246, 82, 164),
        (615, 355, 353),
        (840, 280, 280),
    ]
    assert lines == counts.counts(true_manifest, "folds", 0) != counts.counts(true_manifest, fold=1)
    first, second = counts.as_tables(lines, "folds", 0)
    assert sum(line.on_disk[2] for line in lines if line.cell == "yue_eld") == 60
    assert [row[1:3] for row in second.rows[2:]] == [["yue_eld", "m"], ["yue_eld", "f"]]
    assert (first.title, first.notes) == ("BiMotion (split rule folds, fold 0): clips", [])
    assert first.rows[2] == ["csed", "zho_eld", "387", "130", "135"]


def test_every_clip_has_a_part_under_every_rule(placed):
    for rule, rows in placed.items():
        assert len(rows) == sum(N_CLIPS.values()), rule
        assert set(rows["part"].dropna()) == set(PARTS)
        assert rows["part"].notna().all() or rule == "folds"


@pytest.mark.parametrize("corpus", splits.ROSTERED)
def test_shipped_roster_is_what_the_true_names_give(made_rosters, corpus):
    shipped = rosters.load(corpus)
    assert len(shipped) == N_CLIPS[corpus]
    made = made_rosters[corpus].sort_values("stem")
    pd.testing.assert_frame_equal(
        made.reset_index(drop=True), shipped.reset_index(drop=True), check_dtype=False
    )
    assert list(made.index) == list(shipped.index)


def test_saved_rosters_are_the_shipped_ones_byte_for_byte(made_rosters, tmp_path):
    for corpus, table in reversed(made_rosters.items()):  # in another order, and from shuffled rows
        rosters.save(corpus, table.sample(frac=1, random_state=1), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in rosters.FOLDER.iterdir() if path.suffix == ".gz" or path.name == SUMS
    )
    for path in tmp_path.glob("*.gz"):
        assert gzip.decompress(path.read_bytes()) == gzip.decompress(
            (rosters.FOLDER / path.name).read_bytes()
        ), path.name
    lines = (rosters.FOLDER / SUMS).read_text().splitlines()
    made = [line for line in lines if not line.endswith(rosters.EQUAL_LENGTHS)]
    assert (tmp_path / SUMS).read_text().splitlines() == made


@pytest.mark.parametrize("rule", splits.RULES)
def test_dealing_again_with_seed_0_changes_nothing(rule):
    for corpus in splits.ROSTERED:
        shipped = rosters.load(corpus)
        if (corpus, rule) == ("crema_d", "folds"):
            continue  # even for genders, too, which its roster does not hold
        # with the paper's cells, as rosters have them
        again = splits.assigned(corpus, shipped, rule, seed=0)
        pd.testing.assert_series_equal(again, shipped[rule], check_names=False, check_dtype=False)


@pytest.mark.parametrize("rule", splits.RULES)
def test_another_seed_gives_other_parts_of_equal_sizes(true_manifest, placed, rule):
    other = splits.split(true_manifest, rule, seed=3).table.join(
        true_manifest.table.set_index("id")
    )
    units = ["corpus", "cell", "part"]
    by_clip = set(PAPER_CORPORA) if rule == "paper" else set()
    clips, people = (
        [rows[rows["corpus"].isin(by_clip) == is_by_clip] for rows in (other, placed[rule])]
        for is_by_clip in (True, False)
    )
    assert sizes(clips[0]).equals(sizes(clips[1]))
    # sizes are in speakers there, who have said more or less
    with_speakers = [
        rows.dropna(subset="speaker").groupby(units)["speaker"].nunique() for rows in people
    ]
    assert with_speakers[0].equals(with_speakers[1])
    moved = {
        corpus
        for corpus, rows in other.groupby("corpus")
        if (rows["part"] != placed[rule].loc[rows.index, "part"]).any()
    }
    official = {"elderreact", "esd", "yuemotion"} if rule == "paper" else {"elderreact"}
    assert moved == set(CORPORA) - official
    assert splits.split(true_manifest, rule, seed=3).table.equals(
        splits.split(true_manifest, rule, seed=3).table
    )


def test_crema_d_has_six_elders(clips, placed):
    elders = clips[(clips["corpus"] == "crema_d") & (clips["age_group"] == "eld")]
    facts = {(row.speaker, row.age_years, row.gender) for row in elders.itertuples()}
    assert facts == {
        (f"crema_d/{actor}", age, gender) for actor, (age, gender) in CREMA_D_ELDERS.items()
    }
    assert len(elders) == 492
    for rows in placed.values():
        assert set(rows.index[(rows["corpus"] == "crema_d") & (rows["cell"] == "eng_eld")]) == set(
            elders.index
        )


def test_tess_oa_bite_is_the_elders_though_the_paper_counts_it_with_the_adults(clips, placed):
    clip = clips.loc["tess/OAF_bite_neutral"]
    assert clip["path"].endswith("OAF_neutral/OA_bite_neutral.wav")
    assert (clip["speaker"], clip["age_years"], clip["age_group"]) == ("tess/OAF", 64, "eld")
    assert placed["disjoint"].at["tess/OAF_bite_neutral", "cell"] == "eng_eld"
    assert placed["paper"].at["tess/OAF_bite_neutral", "cell"] == "eng_adu"


def test_cells_of_the_two_rules_differ_for_one_clip_and_one_speaker_of_59(true_manifest, placed):
    apart = placed["paper"]["cell"] != placed["disjoint"]["cell"]
    speakers = set(placed["paper"].loc[apart, "speaker"])
    assert speakers == {"tess/OAF", "yuemotion/14"}
    assert apart.sum() == 1 + 60
    assert (
        placed["paper"].loc[placed["paper"]["speaker"] == "yuemotion/14", "age_years"] == 59
    ).all()
    assert len(counts.ages_apart(true_manifest)) == 2


def test_iemocap_speaker_and_gender_are_the_utterances_not_the_dialogs(clips):
    mine = clips[clips["corpus"] == "iemocap"]
    stems = mine.index.str.removeprefix("iemocap/")
    dialog_gender = stems.str[5].str.lower()
    suffix = stems.str.split("_").str[-1].str[0]
    assert list(mine["gender"]) == list(suffix.str.lower())
    assert int((mine["gender"] != dialog_gender).sum()) == 4951
    assert list(mine["speaker"]) == list("iemocap/" + stems.str[4] + suffix)
    assert mine["speaker"].nunique() == 10


def test_esd_official_split_is_the_published_one(clips):
    mine = clips[clips["corpus"] == "esd"]
    number = (mine.index.str[-6:].astype(int) - 1) % 350 + 1
    expected = pd.cut(number, [0, 20, 50, 350], labels=["validation", "test", "train"]).astype(str)
    assert list(mine["official_split"]) == list(expected)
    assert dict(mine.groupby("native_label")["path"].count()) == dict.fromkeys(
        ("Angry", "Happy", "Neutral", "Sad", "Surprise"), 7000
    )
    assert all(
        path.split("/")[1] == label
        for path, label in zip(mine["path"], mine["native_label"], strict=True)
    )
    assert list(mine["language"] == "zho") == list(mine["speaker"] <= "esd/0010")
    assert set(mine.loc[mine["gender"] == "m", "speaker"]) == {
        f"esd/{n:04}" for n in (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)
    }


@pytest.mark.parametrize(
    "corpus", [name for name, corpus in CORPORA.items() if corpus.card.not_disjoint is None]
)
@pytest.mark.parametrize("seed", [0, 3])
def test_disjoint_puts_no_speaker_in_two_parts(true_manifest, corpus, seed):
    split = splits.split(true_manifest, "disjoint", seed)
    rows = split.table.join(true_manifest.table.set_index("id")[["corpus", "speaker"]])
    rows = rows[rows["corpus"] == corpus]
    assert len(rows) == N_CLIPS[corpus]
    assert (rows.groupby("speaker")["part"].nunique() == 1).all()
    assert rows["speaker_disjoint"].all()
    assert corpus not in split.not_disjoint
    for _, cell in rows.groupby("cell"):
        assert set(cell["part"]) == set(PARTS)


def test_paper_shares_speakers_and_says_so(true_manifest, placed):
    rows = placed["paper"][placed["paper"]["corpus"].isin(PAPER_CORPORA)]
    shared = rows.dropna(subset="speaker").groupby(["corpus", "speaker"])["part"].nunique()
    assert (shared.groupby("corpus").max() > 1).all()
    assert not rows["speaker_disjoint"].any()
    assert set(splits.split(true_manifest, "paper").not_disjoint) == set(PAPER_CORPORA)
    disjoint = splits.split(true_manifest, "disjoint")
    assert set(disjoint.not_disjoint) == {"csed", "elderreact", "tess"}
    assert (
        not placed["disjoint"].loc[placed["disjoint"]["corpus"] == "tess", "speaker_disjoint"].any()
    )


def test_iemocap_sessions_stay_together(placed):
    mine = placed["disjoint"][placed["disjoint"]["corpus"] == "iemocap"]
    sessions = mine.groupby(mine.index.str[len("iemocap/") + 4])["part"].nunique()
    assert list(sessions.index) == list("12345")
    assert (sessions == 1).all()


def test_indexing_costs_little_more_than_opening_the_files_and_less_than_a_gigabyte(true_indexing):
    assert true_indexing["n_clips"] == sum(N_CLIPS.values())
    assert true_indexing["first_s"] < 40 * true_indexing["reading_s"]  # 13 of it
    assert true_indexing["peak_bytes"] < 1e9


def test_a_second_indexing_costs_a_fraction_of_the_first_and_finds_the_same(
    true_tree, true_manifest, true_indexing
):
    assert true_indexing["second_s"] < true_indexing["first_s"] / 2  # a fifth of it
    again = manifest.build(CorpusSource.of(true_tree))  # in another process
    assert again.fingerprint == true_manifest.fingerprint
    assert again.states == true_manifest.states
