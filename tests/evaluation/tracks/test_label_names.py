"""Names of outputs of published models mean what they say, and no other name is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimotion.corpora import CORPORA
from bimotion.evaluation.tracks import label_map as module
from bimotion.evaluation.tracks.label_map import SYNONYMS, emotion_of
from bimotion.protocol.labels import EMOTIONS
from tests.support.label_maps import profile

MEANINGS = {
    "angry": "ang anger angry 生气 生氣 愤怒 憤怒",
    "happiness": "hap happy happiness joy joyful 高兴 高興 快乐 快樂 开心 開心",
    "excitement": "exc excited excitement enthusiasm 兴奋 興奮",
    "sadness": "sad sadness 悲伤 悲傷 难过 難過",
    "neutral": "neu neutral calm 中性 中立 平静",
    "fear": "fear fearful fea afraid anxiety/fear 恐惧 恐懼 害怕",
    "disgust": "disgust disgusted dis 厌恶 厭惡",
    "surprise": "surprise surprised sur ps pleasant_surprise pleasant_surprised 惊讶 驚訝 吃惊",
    "frustrated": "fru frustrated frustration",
    "other": "oth other 其他",
    "unknown": "unknown unk xxx <unk> 未知",
    "positive": "pos positive 积极 正面",
    "negative": "neg negative 消极 负面",
}
# EMO-DB's F is happiness and ShEMO's is fear: nobody knows what a model means by a letter
MEANINGLESS = """
contempt boredom bored amused sleepy 沮丧 arousal dominance valence none noise not_happy unhappy
non-angry happy/sad anger+disgust LABEL_0 0 male A E F H L N S T W
"""


def test_every_emotion_is_its_own_synonym_and_no_synonym_names_two():
    assert {name: SYNONYMS.get(name) for name in EMOTIONS} == {name: name for name in EMOTIONS}
    listed = [name for names in module._NAMES.values() for name in names.split()]
    assert sorted(listed) == sorted(set(listed)) == sorted(SYNONYMS)
    assert set(SYNONYMS.values()) == set(EMOTIONS)


@pytest.mark.parametrize("corpus", CORPORA)
def test_native_labels_mean_what_their_corpus_says(corpus):
    native = CORPORA[corpus].card.native_labels
    native = {code: emotion for code, emotion in native.items() if len(code) > 1}
    assert {code: emotion_of(code) for code in native} == native


@pytest.mark.parametrize("emotion", MEANINGS)
def test_names_of_published_models_and_corpora(emotion):
    assert {emotion_of(name) for name in MEANINGS[emotion].split()} == {emotion}


def test_other_names_are_not_guessed():
    names = [*MEANINGLESS.split(), "not happy", "", " ", "/"]
    assert {name: emotion for name in names if (emotion := emotion_of(name))} == {}


@profile
@given(
    name=st.sampled_from(sorted(name for name in SYNONYMS if name.isascii())),
    case=st.sampled_from([str.lower, str.upper, str.title]),
    separator=st.sampled_from(["", " ", "_", "-", "__", ". "]),
    data=st.data(),
)
def test_case_and_separators_do_not_matter(name, case, separator, data):
    cut = data.draw(st.integers(1, len(name)))
    written = separator.join(["", case(name[:cut]), name[cut:], ""])
    assert emotion_of(written) == SYNONYMS[name]


@profile
@given(first=st.sampled_from(sorted(SYNONYMS)), second=st.sampled_from(sorted(SYNONYMS)))
def test_parts_of_a_double_name_must_agree(first, second):
    agreed = SYNONYMS[first] if SYNONYMS[first] == SYNONYMS[second] else None
    for double in ("{}/{}", "{} / {}", "{} ({})", "{}（{}）"):
        assert emotion_of(double.format(first, second)) == agreed
    assert emotion_of(f"{first}/zzz") == SYNONYMS[first]
