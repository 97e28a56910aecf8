"""Votes of raters: read where they lie, needed nowhere, and never read wrongly."""

import csv

import pytest

import bimotion
from bimotion.corpora import crema_d
from bimotion.corpora.tree import Tree
from bimotion.errors import CorpusMalformed
from bimotion.protocol.labels import EMOTIONS
from tests.support.raw_corpora import findings, lay
from tests.support.true_trees import SHARED

HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
SAD = "1001_IEO_SAD_LO"
DIALOG = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
LABEL = "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
REAL = SHARED / "CREMA-D/processedResults"


def votes_of(manifest) -> dict[str, list | None]:
    """Clip -> what each rater chose, in a word."""
    return {
        row.id.partition("/")[2]: row.votes
        if row.votes is None
        else ["+".join(names) for names in row.votes]
        for row in manifest.table.itertuples()
    }


def test_only_the_rows_of_the_voice_are_read_and_nothing_else_of_the_corpus_moves(
    tmp_path, index, plain
):
    rows = f'"100007",0,0,1,0,1,2,"{SAD}",4\n"200007",9,0,0,0,0,0,"{SAD}",9\n'
    rows += '"300007",9,0,0,0,0,0,"1002_IEO_HAP_HI",9\n'
    lay(tmp_path, "crema_d", {"processedResults/tabulatedVotes.csv": HEADER + rows})
    read = index(tmp_path)
    votes = votes_of(read)
    assert votes.pop(SAD) == ["fear", "neutral", "sadness", "sadness"]
    assert set(votes.values()) == {None}
    assert read.fingerprint == plain["crema_d"].fingerprint
    assert findings(read) == []


@pytest.mark.parametrize(
    "row",
    [
        f'"100007",0,0,0,0,1,2,"{SAD}",4',
        f'"100007",0,0,0,0,0,0,"{SAD}",0',
        f'"100007",-1,0,0,0,3,2,"{SAD}",4',
        f'"100007",1e9,0,0,0,0,2,"{SAD}",4',
        f'"100007",0,0,0,0,{"9" * 30},2,"{SAD}",4',
        f'"700007",0,0,0,0,2,2,"{SAD}",4',
        '"100007",0,0,0,0,2,2,"../x",4',
        '"100007",0,0',
        f'"100007",0,0,0,0,2,2,"{SAD}",4\n"100008",0,0,0,2,0,2,"{SAD}",4',
    ],
)
def test_a_table_that_cannot_be_right_is_refused_by_line(tmp_path, index, row):
    lay(tmp_path, "crema_d", {"tabulatedVotes.csv": f"{HEADER}{row}\n"})
    with pytest.raises(CorpusMalformed, match=r"tabulatedVotes\.csv:[23]"):
        index(tmp_path)


@pytest.mark.parametrize("name", ["processedResults/tabulatedVotes.csv", "VideoDemographics.csv"])
@pytest.mark.parametrize("content", ["", "\n \n", HEADER])
def test_a_table_without_rows_is_refused(tmp_path, index, name, content):
    lay(tmp_path, "crema_d", {name: content})
    with pytest.raises(CorpusMalformed, match=rf"{name}: expected rows below a line of column"):
        index(tmp_path)


def test_the_documented_form_of_a_dialog_is_read(tmp_path, index):
    """Lines of the release, with what raters wrote, as its README and users of it print them."""
    lines = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + LABEL
    lines += "".join(f"C-E{rater}:\tNeutral;\t()\n" for rater in (2, 3, 4))
    lines += "C-F1:\tNeutral;\t(curious)\n"
    lines += "A-E3:\tval 3; act 2; dom  2;\t()\n"
    lines += "A-E4:\tval 2; act 3; dom  3;\t(mildly aggravated but staying polite, attitude)\n\n"
    lines += "[10.0100 - 11.3925]\tSes01F_impro01_M011\txxx\t[2.5000, 2.5000, 2.5000]\n"
    lines += "C-E2:\tOther;\t(C-E3: Anger; \tor (so\nC-E3:\tExcited; Happiness;\t()\n"
    lines += "C-E4:\tFrustration;\t([sighs])\nC-M1:\tSurprise;\t()\nC-F1:\tNeutral; Anger;\t()\n"
    lay(tmp_path, "iemocap", {DIALOG: lines.replace("\n", "\r\n")})
    votes = votes_of(index(tmp_path, allow_missing=True))
    assert votes["Ses01F_impro01_F000"] == ["neutral"] * 3
    assert votes["Ses01F_impro01_M011"] == ["other", "excitement+happiness", "frustrated"]


def test_a_rater_may_choose_several_and_actors_are_no_raters(tmp_path, index):
    lines = "C-E2:\tNeutral; Anger; \t(calm; (or not))\nC-E3:\tNeutral state;\t()\n"
    lines += "C-F1:\tSadness;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n"
    lay(tmp_path, "iemocap", {DIALOG: LABEL + lines})
    votes = votes_of(index(tmp_path, allow_missing=True))
    assert votes["Ses01F_impro01_F000"] == ["neutral+angry", "neutral"]


@pytest.mark.parametrize(
    "lines",
    [
        "C-E1:\tJoy;\t()",
        "C-E1:\t\t()",
        "C-E1:\tAnger;\t()\nC-E1:\tFear;\t()",
        "C-E1:\tAnger;\t()\nC-E2\tFear;\t()",
        "C-E1:\tAnger;\t()\nC-E-2:\tFear;\t()",
    ],
)
def test_votes_that_cannot_be_understood_are_told_and_the_label_stays(tmp_path, index, lines):
    lay(tmp_path, "iemocap", {DIALOG: f"C-E9:\tJoy;\t()\n{LABEL}{lines}\n"})
    read = index(tmp_path, allow_missing=True)
    assert votes_of(read)["Ses01F_impro01_F000"] is None
    [finding] = [line for line in findings(read) if line.startswith("votes")]
    assert "iemocap/Ses01F_impro01_F000" in finding


def test_rows_of_a_dataset_carry_votes_and_their_shares(synth_root):
    rows = bimotion.load_dataset("bimotion", "eng_adu", data_dir=synth_root, split="test")
    corpus = rows.features["corpus"]
    for row in rows.remove_columns("audio"):
        rated = corpus.int2str(row["corpus"]) in ("crema_d", "iemocap")
        assert (row["votes"] is None) == (row["soft_label"] is None) == (not rated)
        if rated:
            counts = [sum(names.count(n) for names in row["votes"]) for n in range(len(EMOTIONS))]
            expected = [count / sum(counts) for count in counts]
            assert row["soft_label"] == pytest.approx(expected, abs=1e-7)


@pytest.mark.skipif(not REAL.exists(), reason="needs CREMA-D's own tables of votes")
def test_the_true_table_gives_the_winners_that_its_authors_print():
    """`VoiceVote`: the emotion that most chose by the voice, `A:N` where two are level."""
    votes = crema_d.voice_votes(Tree(REAL))
    with (REAL / "summaryTable.csv").open(newline="") as stream:
        printed = {row["FileName"]: row["VoiceVote"].split(":") for row in csv.DictReader(stream)}
    assert len(votes) == len(printed) == 7442
    assert {len(chosen) for chosen in votes.values()} == set(range(4, 13))
    for clip, codes in printed.items():
        names = [name for (name,) in votes[clip]]
        most = max(map(names.count, names))
        winners = {name for name in names if names.count(name) == most}
        assert winners == {crema_d.RATED[code] for code in codes}
