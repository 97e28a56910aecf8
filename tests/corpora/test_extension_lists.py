"""Every true name of EMO-DB, ShEMO and URDU, against what their own lists say of labels, genders,
speakers and ages."""

import csv
import json
import re
from collections import Counter

import pytest

from bimotion.corpora import CORPORA


@pytest.fixture(scope="module")
def clips(true_manifest):
    return true_manifest.table.set_index("id")


def of(clips, corpus):
    return clips[clips["corpus"] == corpus]


def rows(path, delimiter=","):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_emo_db_labels_are_its_lists(clips, shared_corpora):
    names = {
        "anger": "angry",
        "boredem": "other",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "sad": "sadness",
    }
    listed = json_lines(shared_corpora / "EMO-DB/EmoBox/emodb.jsonl")
    expected = {
        f"emo_db/{row['key'].removeprefix('emodb-')}": (names[row["emo"]],) for row in listed
    }
    mine = of(clips, "emo_db")
    assert {clip: tuple(emotions) for clip, emotions in mine["emotions"].items()} == expected
    assert {row["sample_rate"] for row in listed} == set(CORPORA["emo_db"].card.sample_rates_hz)


def test_emo_db_ages_and_genders_are_those_of_a_published_sample(clips, shared_corpora):
    """The sample speaks of one speaker; the other nine are from the corpus's description."""
    sample = rows(shared_corpora / "EMO-DB/nkululeko/emo-age_samples.csv")
    assert len(sample) == 7
    for row in sample:
        clip = clips.loc[f"emo_db/{row['file'].rpartition('/')[2].removesuffix('.wav')}"]
        assert (clip["age_years"], clip["gender"]) == (float(row["age"]), row["gender"][0])
        assert clip["speaker"] == f"emo_db/{int(row['speaker']):02}"
        assert clip["sentence"] == f"emo_db/{row['transcription']}"
    mine = of(clips, "emo_db")
    assert mine["speaker"].nunique() == 10
    assert Counter(mine.groupby("speaker")["gender"].first()) == {"f": 5, "m": 5}
    assert (mine["age_years"].min(), mine["age_years"].max()) == (21, 35)
    assert mine["sentence"].nunique() == 10


def test_emo_db_listeners_know_every_clip_and_281_more(clips, shared_corpora):
    lines = (shared_corpora / "EMO-DB/erkennung.txt").read_text(encoding="latin-1").splitlines()[1:]
    judged = {}
    for line in lines:
        _, name, recognised, natural = (
            field.replace("\xa0", "").strip() for field in line.split("\t")
        )
        judged[name.removesuffix(".wav")] = tuple(
            float(value.replace(",", ".")) for value in (recognised, natural)
        )
    published = set(of(clips, "emo_db").index.str.removeprefix("emo_db/"))
    assert len(judged) == 816
    assert published < set(judged)
    passed = {
        name for name, (recognised, natural) in judged.items() if recognised >= 80 and natural >= 60
    }
    assert passed - published == {"14b09Tb"}
    assert len(passed & published) == 493
    assert len(published - passed) == 42


def test_shemo_labels_speakers_and_genders_are_its_lists(clips, shared_corpora):
    listed = rows(shared_corpora / "ShEMO/nkululeko/shemo.csv")
    names = {
        "anger": "angry",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    }
    mine = of(clips, "shemo")
    assert len(listed) == len(mine) == 3000
    for row in listed:
        clip = mine.loc[f"shemo/{row['file'].rpartition('/')[2].removesuffix('.wav')}"]
        assert list(clip["emotions"]) == [names[row["emotion"]]]
        assert (clip["speaker"], clip["gender"]) == (f"shemo/{row['speaker']}", row["gender"][0])
    assert Counter(emotion for (emotion,) in mine["emotions"]) == {
        "angry": 1059,
        "neutral": 1028,
        "sadness": 449,
        "surprise": 225,
        "happiness": 201,
        "fear": 38,
    }
    assert Counter(name[len("shemo/")] for name in mine["speaker"].unique()) == {"F": 31, "M": 56}
    n_clips = mine["speaker"].value_counts()
    assert (n_clips.idxmin(), n_clips.min(), n_clips.idxmax(), n_clips.max()) == (
        "shemo/F08",
        2,
        "shemo/M12",
        180,
    )


def test_shemo_list_of_emobox_is_a_part_and_agrees(clips, shared_corpora):
    names = {
        "angry": "angry",
        "fearful": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "sad": "sadness",
        "surprised": "surprise",
    }
    listed = json_lines(shared_corpora / "ShEMO/EmoBox/shemo.jsonl")
    assert len(listed) == 2838
    for row in listed:
        assert list(clips.loc[f"shemo/{row['key'].removeprefix('shemo-')}", "emotions"]) == [
            names[row["emo"]]
        ]
    assert {row["sample_rate"] for row in listed} == set(CORPORA["shemo"].card.sample_rates_hz)


def test_urdu_is_100_a_class_and_29_speakers(clips, shared_corpora):
    listed = rows(shared_corpora / "URDU/manifest.tsv", "\t")
    mine = of(clips, "urdu")
    folders = {"Angry": "angry", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness"}
    assert len(listed) == len(mine) == 400
    for row in listed:
        folder, _, name = row["path"].partition("/")
        assert list(mine.loc[f"urdu/{name.removesuffix('.wav')}", "emotions"]) == [folders[folder]]
    assert Counter(emotion for (emotion,) in mine["emotions"]) == dict.fromkeys(
        folders.values(), 100
    )
    numbers = {
        gender: sorted(
            int(name[len("urdu/SM") :])
            for name in mine["speaker"].unique()
            if f"/S{gender}" in name
        )
        for gender in "MF"
    }
    assert numbers == {"M": [1, 2, 3, 4, 5, 6, 7, *range(17, 28)], "F": list(range(1, 12))}
    readme = (shared_corpora / "URDU/README.md").read_text()
    assert re.search(r"38 speakers \(27 male and 11 female\)", readme)  # the highest numbers


def test_urdu_emotion_and_speaker_are_nearly_one(clips):
    mine = of(clips, "urdu")
    emotions = mine.groupby("speaker")["emotions"].agg(
        lambda found: {emotion for (emotion,) in found}
    )
    assert {speaker for speaker, found in emotions.items() if len(found) > 1} == {
        "urdu/SM3",
        "urdu/SM5",
        "urdu/SM6",
    }
    angry = {speaker for speaker, found in emotions.items() if "angry" in found}
    assert angry == {"urdu/SM1", "urdu/SM2", "urdu/SM3", "urdu/SM4"}


def test_urdu_clips_have_two_lengths_by_turns(shared_corpora):
    listed = rows(shared_corpora / "URDU/manifest.tsv", "\t")
    sizes = Counter(
        (int(re.search(r"(\d+)\.wav$", row["path"])[1]) % 2, int(row["bytes"])) for row in listed
    )
    assert sizes == {(1, 176444): 200, (0, 264956): 199, (0, 87548): 1}
