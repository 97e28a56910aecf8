"""Every true name of EMO-DB, ShEMO and URDU, against what their own lists say of labels, genders,
speakers and ages."""

import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bimotion.corpora import CORPORA

NAMES = {  # of the lists -> canonical, where they differ
    "anger": "angry",
    "boredem": "other",
    "fearful": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
}


@pytest.fixture(scope="module")
def clips(true_manifest):
    """Clips by id, with their one emotion as `emotion`."""
    table = true_manifest.table[true_manifest.table["corpus"].isin(("emo_db", "shemo", "urdu"))]
    return table.assign(emotion=table["emotions"].str[0]).set_index("id")


def of(clips, corpus):
    return clips[clips["corpus"] == corpus]


def stems(files: pd.Series) -> pd.Series:
    return files.map(lambda file: Path(file).stem)


@pytest.mark.parametrize(
    ("corpus", "path", "prefix", "n_listed"),
    [
        ("emo_db", "EMO-DB/EmoBox/emodb", "emodb-", 535),
        ("shemo", "ShEMO/EmoBox/shemo", "shemo-", 2838),
    ],
)
def test_emobox_agrees(clips, shared_corpora, corpus, path, prefix, n_listed):
    """EmoBox lists a part of ShEMO, and all of EMO-DB."""
    listed = pd.read_json(shared_corpora / f"{path}.jsonl", lines=True)
    assert len(listed) == n_listed
    ids = f"{corpus}/" + listed["key"].str.removeprefix(prefix)
    assert list(clips.loc[ids, "emotion"]) == list(listed["emo"].replace(NAMES))
    assert set(listed["sample_rate"]) == set(CORPORA[corpus].card.sample_rates_hz)


def test_emo_db_ages_and_genders_are_those_of_a_published_sample(clips, shared_corpora):
    """The sample speaks of one speaker; the other nine are from the corpus's description."""
    sample = pd.read_csv(shared_corpora / "EMO-DB/nkululeko/emo-age_samples.csv")
    assert len(sample) == 7
    for row in sample.itertuples():
        clip = clips.loc[f"emo_db/{Path(row.file).stem}"]
        assert (clip["age_years"], clip["gender"]) == (float(row.age), row.gender[0])
        assert clip["speaker"] == f"emo_db/{int(row.speaker):02}"
        assert clip["sentence"] == f"emo_db/{row.transcription}"
    mine = of(clips, "emo_db")
    assert Counter(mine.groupby("speaker")["gender"].first()) == {"f": 5, "m": 5}
    assert (mine["age_years"].min(), mine["age_years"].max()) == (21, 35)
    assert mine["sentence"].nunique() == 10


def test_emo_db_listeners_know_every_clip_and_281_more(clips, shared_corpora):
    text = (shared_corpora / "EMO-DB/erkennung.txt").read_text(encoding="latin-1")
    judged = {}
    for line in text.replace("\xa0", "").replace(",", ".").splitlines()[1:]:
        _, name, recognised, natural = (field.strip() for field in line.split("\t"))
        judged[name.removesuffix(".wav")] = float(recognised) >= 80 and float(natural) >= 60
    published = set(of(clips, "emo_db").index.str.removeprefix("emo_db/"))
    passed = {name for name, passes in judged.items() if passes}
    assert len(judged) == 816
    assert published < set(judged)
    assert passed - published == {"14b09Tb"}
    assert (len(passed & published), len(published - passed)) == (493, 42)


def test_shemo_labels_speakers_and_genders_are_its_lists(clips, shared_corpora):
    listed = pd.read_csv(shared_corpora / "ShEMO/nkululeko/shemo.csv")
    mine = of(clips, "shemo")
    assert len(listed) == len(mine) == 3000
    rows = mine.loc["shemo/" + stems(listed["file"])]
    assert list(rows["emotion"]) == list(listed["emotion"].replace(NAMES))
    assert list(rows["speaker"]) == list("shemo/" + listed["speaker"])
    assert list(rows["gender"]) == list(listed["gender"].str[0])
    shares = {"angry": 1059, "neutral": 1028, "sadness": 449, "surprise": 225, "happiness": 201}
    assert Counter(mine["emotion"]) == shares | {"fear": 38}
    assert Counter(name[len("shemo/")] for name in mine["speaker"].unique()) == {"F": 31, "M": 56}
    n_clips = mine["speaker"].value_counts()
    assert (
        (n_clips["shemo/F08"], n_clips["shemo/M12"]) == (n_clips.min(), n_clips.max()) == (2, 180)
    )


def test_urdu_is_100_a_class_and_29_speakers(clips, shared_corpora):
    listed = pd.read_csv(shared_corpora / "URDU/manifest.tsv", sep="\t")
    mine = of(clips, "urdu")
    folders = listed["path"].str.partition("/")[0].str.lower()
    assert len(listed) == len(mine) == 400
    assert list(mine.loc["urdu/" + stems(listed["path"]), "emotion"]) == list(
        folders.replace(NAMES)
    )
    assert set(Counter(mine["emotion"]).values()) == {100}
    speakers = mine["speaker"].drop_duplicates().str.extract(r"urdu/S([MF])(\d+)").astype({1: int})
    numbers = {gender: sorted(rows[1]) for gender, rows in speakers.groupby(0)}
    assert numbers == {"M": [*range(1, 8), *range(17, 28)], "F": list(range(1, 12))}
    readme = (shared_corpora / "URDU/README.md").read_text()
    assert re.search(r"38 speakers \(27 male and 11 female\)", readme)  # the highest numbers
    sizes = zip(stems(listed["path"]).str[-1].astype(int) % 2, listed["bytes"], strict=True)
    assert Counter(sizes) == {(1, 176444): 200, (0, 264956): 199, (0, 87548): 1}


def test_urdu_emotion_and_speaker_are_nearly_one(clips):
    mine = of(clips, "urdu")
    n_emotions = mine.groupby("speaker")["emotion"].nunique()
    assert set(n_emotions.index[n_emotions > 1]) == {f"urdu/SM{number}" for number in (3, 5, 6)}
    angry = set(mine.loc[mine["emotion"] == "angry", "speaker"])
    assert angry == {f"urdu/SM{number}" for number in (1, 2, 3, 4)}
