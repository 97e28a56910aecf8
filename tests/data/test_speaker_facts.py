"""Ages, genders and sentences of test clips, by names and tables, without sound."""

import pandas as pd
import pytest

from bimotion.data.source import CorpusSource
from bimotion.data.speaker_facts import WITHIN, speaker_facts

DEMOGRAPHICS = '"ActorID","Age","Sex","Race","Ethnicity"\n1034,74,Male,a,b\n1001,51,Male,a,b\n'


def clips(*rows):
    """Predictions of clips: id, speaker, cell."""
    table = pd.DataFrame(rows, columns=["id", "speaker", "cell"])
    return table.assign(corpus=[clip.partition("/")[0] for clip in table["id"]])


CREMA_D = clips(
    ("crema_d/1034_DFA_ANG_XX", "crema_d/1034", "eng_eld"),
    ("crema_d/1001_IEO_HAP_LO", "crema_d/1001", "eng_adu"),
)
NAMED = clips(
    ("tess/OA_bite_neutral", "tess/OAF", "eng_adu"),
    ("tess/YAF_back_ps", "tess/YAF", "eng_adu"),
    ("yuemotion/14_m60_01_4", "yuemotion/14", "yue_eld"),
    ("csed/Neg-Male-1", None, "zho_eld"),
)


def test_names_tell_of_tess_and_yuemotion_without_any_folder(tmp_path):
    facts, missing = speaker_facts(NAMED, CorpusSource.of(tmp_path))
    assert missing == []
    assert facts.to_dict("index") == {
        "tess/OA_bite_neutral": {"age_years": 64.0, "gender": "f", "sentence": "bite"},
        "tess/YAF_back_ps": {"age_years": 26.0, "gender": "f", "sentence": "back"},
        "yuemotion/14_m60_01_4": {"age_years": 60.0, "gender": "m", "sentence": "01"},
    }
    assert WITHIN == ("crema_d", "tess", "yuemotion")


@pytest.mark.parametrize("options", [{}, {"locations": {"crema_d": "actors"}}])
def test_cremas_actors_are_in_a_table_that_needs_no_sound(tmp_path, monkeypatch, options):
    (tmp_path / "actors").mkdir()
    (tmp_path / "actors" / "VideoDemographics.csv").write_text(DEMOGRAPHICS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    facts, missing = speaker_facts(CREMA_D, CorpusSource.of(tmp_path, **options))
    assert missing == []
    assert facts.loc["crema_d/1034_DFA_ANG_XX"].to_list() == [74.0, "m", "DFA"]
    assert facts.loc["crema_d/1001_IEO_HAP_LO"].to_list() == [51.0, "m", "IEO"]


def test_what_is_missing_is_one_line_and_other_corpora_stay(tmp_path):
    both = pd.concat([CREMA_D, NAMED])
    facts, [line] = speaker_facts(both, CorpusSource.of(tmp_path))
    assert line.startswith("crema_d: ages of its speakers are missing: expected a folder with the")
    assert len(facts) == 3


def test_clips_without_facts_are_counted(tmp_path):
    """A table without one of the actors."""
    (tmp_path / "c").mkdir()
    text = DEMOGRAPHICS.replace("1001,51", "1002,51")
    (tmp_path / "c" / "VideoDemographics.csv").write_text(text, encoding="utf-8")
    facts, [line] = speaker_facts(CREMA_D, CorpusSource.of(tmp_path))
    assert facts.index.to_list() == ["crema_d/1034_DFA_ANG_XX"]
    assert line.startswith("crema_d: 1 of 2 clips are left out: no age, gender or sentence")


def test_ages_of_another_copy_are_not_believed(tmp_path):
    (tmp_path / "c").mkdir()
    text = DEMOGRAPHICS.replace("1034,74", "1034,44")
    (tmp_path / "c" / "VideoDemographics.csv").write_text(text, encoding="utf-8")
    _, [line] = speaker_facts(CREMA_D, CorpusSource.of(tmp_path))
    assert "the speaker of crema_d/1034_DFA_ANG_XX is 44, but eng_eld in the run" in line


def test_the_true_tables_of_crema_d(shared_corpora):
    facts, missing = speaker_facts(CREMA_D, CorpusSource.of(shared_corpora))
    assert (missing, facts["age_years"].to_list()) == ([], [74.0, 51.0])
