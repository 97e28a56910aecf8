"""Names of outputs of published models mean what they say, and no other name is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimotion.corpora import CORPORA
from bimotion.evaluation.tracks import label_map as module
from bimotion.evaluation.tracks.label_map import (
    SYNONYMS,
    emotion_of,
)
from bimotion.protocol.labels import EMOTIONS
from tests.support.label_maps import profile

NATIVE = [
    (corpus.name, code, emotion)
    for corpus in CORPORA.values()
    for code, emotion in corpus.card.native_labels.items()
    if len(code) > 1
]


# names
def test_every_emotion_is_its_own_synonym():
    assert {name: SYNONYMS.get(name) for name in EMOTIONS} == {name: name for name in EMOTIONS}


def test_no_synonym_names_two_emotions():
    listed = [name for names in module._NAMES.values() for name in names.split()]
    assert sorted(listed) == sorted(set(listed)) == sorted(SYNONYMS)
    assert set(SYNONYMS.values()) == set(EMOTIONS)


@pytest.mark.parametrize("letter", "AEFHLNSTW")
def test_a_letter_alone_means_nothing(letter):
    """EMO-DB's F is happiness and ShEMO's is fear: nobody knows what a model means by it."""
    assert emotion_of(letter) is None


@pytest.mark.parametrize(("corpus", "code", "emotion"), NATIVE)
def test_native_labels_mean_what_their_corpus_says(corpus, code, emotion):
    assert emotion_of(code) == emotion


@pytest.mark.parametrize(
    ("names", "emotion"),
    [
        ("ang anger angry 生气 生氣 愤怒 憤怒", "angry"),
        ("hap happy happiness joy joyful 高兴 高興 快乐 快樂 开心 開心", "happiness"),
        ("exc excited excitement enthusiasm 兴奋 興奮", "excitement"),
        ("sad sadness 悲伤 悲傷 难过 難過", "sadness"),
        ("neu neutral calm 中性 中立 平静", "neutral"),
        ("fear fearful fea afraid anxiety/fear 恐惧 恐懼 害怕", "fear"),
        ("disgust disgusted dis 厌恶 厭惡", "disgust"),
        (
            "surprise surprised sur ps pleasant_surprise pleasant_surprised 惊讶 驚訝 吃惊",
            "surprise",
        ),
        ("fru frustrated frustration", "frustrated"),
        ("oth other 其他", "other"),
        ("unknown unk xxx <unk> 未知", "unknown"),
        ("pos positive 积极 正面", "positive"),
        ("neg negative 消极 负面", "negative"),
    ],
)
def test_names_of_published_models_and_corpora(names, emotion):
    assert {name: emotion_of(name) for name in names.split()} == dict.fromkeys(
        names.split(), emotion
    )


@pytest.mark.parametrize(
    "name",
    [
        *(
            "contempt",
            "boredom",
            "bored",
            "amused",
            "sleepy",
            "沮丧",
            "arousal",
            "dominance",
            "valence",
            "A",
            "S",
            "F",
            "none",
        ),
        *(
            "noise",
            "not_happy",
            "not happy",
            "unhappy",
            "non-angry",
            "happy/sad",
            "anger+disgust",
            "LABEL_0",
            "0",
            "male",
        ),
        *("", " ", "/"),
    ],
)
def test_other_names_are_not_guessed(name):
    assert emotion_of(name) is None


@profile
@given(
    name=st.sampled_from(sorted(name for name in SYNONYMS if name.isascii())),
    case=st.sampled_from([str.lower, str.upper, str.title]),
    separator=st.sampled_from(["", " ", "_", "-", "__", ". "]),
    data=st.data(),
)
def test_case_and_separators_do_not_matter(name, case, separator, data):
    cut = data.draw(st.integers(1, len(name)))
    assert (
        emotion_of(f"{separator}{case(name[:cut])}{separator}{name[cut:]}{separator}")
        == SYNONYMS[name]
    )


@profile
@given(first=st.sampled_from(sorted(SYNONYMS)), second=st.sampled_from(sorted(SYNONYMS)))
def test_parts_of_a_double_name_must_agree(first, second):
    agreed = SYNONYMS[first] if SYNONYMS[first] == SYNONYMS[second] else None
    for double in (
        f"{first}/{second}",
        f"{second} / {first}",
        f"{first} ({second})",
        f"{first}（{second}）",
    ):
        assert emotion_of(double) == agreed
    assert emotion_of(f"{first}/zzz") == SYNONYMS[first]
