"""Label maps: published names mean what they say, files and built-ins come first, probabilities
lose and invent nothing."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bimotion.corpora import CORPORA
from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation.tracks import label_map as module
from bimotion.evaluation.tracks.label_map import (
    CAIRE_CHECKPOINTS,
    MAX_LABEL_MAP_BYTES,
    SYNONYMS,
    LabelMap,
    class_probabilities,
    emotion_of,
    label_map,
    read_label_map,
)
from bimotion.protocol.labels import EMOTIONS, SCHEMAS

EMOTION, VALENCE = SCHEMAS["emotion"], SCHEMAS["valence"]
profile = settings(derandomize=True, deadline=None, max_examples=60)
UNNAMED = [f"LABEL_{place}" for place in range(13)]
NATIVE = [
    (corpus.name, code, emotion)
    for corpus in CORPORA.values()
    for code, emotion in corpus.card.native_labels.items()
    if len(code) > 1
]

PUBLISHED = {  # outputs as in each model's id2label or token list -> what they mean
    "superb/wav2vec2-base-superb-er": {
        "neu": "neutral",
        "hap": "happiness",
        "ang": "angry",
        "sad": "sadness",
    },
    "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition": {
        "angry": "angry",
        "calm": "neutral",
        "disgust": "disgust",
        "fearful": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "sad": "sadness",
        "surprised": "surprise",
    },
    "r-f/wav2vec-english-speech-emotion-recognition": {
        "angry": "angry",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "sad": "sadness",
        "surprise": "surprise",
    },
    "3loi/SER-Odyssey-Baseline-WavLM-Categorical": {
        "Angry": "angry",
        "Sad": "sadness",
        "Happy": "happiness",
        "Surprise": "surprise",
        "Fear": "fear",
        "Disgust": "disgust",
        "Contempt": None,
        "Neutral": "neutral",
    },
    "Aniemore/wav2vec2-emotion-russian-resd": {
        "anger": "angry",
        "disgust": "disgust",
        "enthusiasm": "excitement",
        "fear": "fear",
        "happiness": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
    },
    "emotion2vec_plus_large": {
        "生气/angry": "angry",
        "厌恶/disgusted": "disgust",
        "恐惧/fearful": "fear",
        "开心/happy": "happiness",
        "中立/neutral": "neutral",
        "其他/other": "other",
        "难过/sad": "sadness",
        "吃惊/surprised": "surprise",
        "<unk>": "unknown",
    },
    "emotion2vec_base_finetuned": {
        "angry": "angry",
        "disgusted": "disgust",
        "fearful": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "other": "other",
        "sad": "sadness",
        "surprised": "surprise",
        "unknown": "unknown",
    },
    "SenseVoiceSmall": {
        "<|HAPPY|>": "happiness",
        "<|SAD|>": "sadness",
        "<|ANGRY|>": "angry",
        "<|NEUTRAL|>": "neutral",
        "<|FEARFUL|>": "fear",
        "<|DISGUSTED|>": "disgust",
        "<|SURPRISED|>": "surprise",
        "<|EMO_UNKNOWN|>": "unknown",
    },
    "emotion and gender": {
        "female_angry": "angry",
        "male_angry": "angry",
        "female_happy": "happiness",
        "male_happy": "happiness",
    },
    "valence": {"POSITIVE": "positive", "Neutral": "neutral", "neg": "negative"},
    "fine-tuned here, 13 emotions": {name: name for name in EMOTIONS},
    "fine-tuned here, valence": {
        "positive": "positive",
        "neutral": "neutral",
        "negative": "negative",
    },
}


def mapped(*emotions):
    return LabelMap(
        "synonyms",
        emotions,
        tuple(f"output {place}" for place, name in enumerate(emotions) if name is None),
    )


@pytest.fixture
def map_file(tmp_path):
    """Writes a label map: an object as JSON, text or bytes as they are."""

    def write(content):
        path = tmp_path / "map.json"
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


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


# which map


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_models(model):
    found = label_map(model, list(PUBLISHED[model]))
    assert dict(zip(PUBLISHED[model], found.emotions, strict=True)) == PUBLISHED[model]
    assert found.source == "synonyms"
    assert found.unmapped == tuple(
        name for name, emotion in PUBLISHED[model].items() if emotion is None
    )


def test_outputs_keep_their_order_and_repeats():
    found = label_map("m", ["sad", "bored", "happy", "sad", "bored"])
    assert found == LabelMap(
        "synonyms", ("sadness", None, "happiness", "sadness", None), ("bored", "bored")
    )


@pytest.mark.parametrize(
    "outputs",
    [
        # audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim: regression
        ["arousal", "dominance", "valence"],
        ["yes", "no", "happy", "house", "_unknown_word_"],  # a keyword spotter
        ["happy", "joy", "bored"],
        ["LABEL_0", "angry"],
        [],
    ],
)
def test_classifiers_without_two_emotions_are_refused(outputs):
    with pytest.raises(
        SettingError,
        match=r"^some/model: expected outputs named after two emotions or more, found "
        r".*--label-map FILE$",
    ):
        label_map("some/model", outputs)


@pytest.mark.parametrize("outputs", [UNNAMED, UNNAMED[:1], ["label_0", "Label_1"], ["0", "1", "2"]])
def test_unnamed_outputs_need_a_file(outputs):
    with pytest.raises(
        SettingError, match=r"^some/model: expected outputs with names, found '.*--label-map FILE$"
    ) as caught:
        label_map("some/model", outputs)
    assert "\n" not in str(caught.value)
    assert f'{{"{outputs[0]}": "sadness"' in str(caught.value)


def test_messages_stay_one_short_line_whatever_the_names():
    with pytest.raises(SettingError) as caught:
        label_map("m", [f"bad\nname {place} " + "x" * 10_000 for place in range(500)])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("ages", ["all-age", "elderly", "adults"])
def test_the_papers_checkpoints_are_built_in(ages):
    model = f"CAiRE/SER-wav2vec2-large-xlsr-53-eng-zho-{ages}"
    assert model in CAIRE_CHECKPOINTS
    assert label_map(model, UNNAMED) == LabelMap("built-in", EMOTIONS, ())


def test_built_in_maps_take_only_what_they_know():
    with pytest.raises(SettingError, match="expected outputs with names"):
        label_map(CAIRE_CHECKPOINTS[0], UNNAMED[:12])
    with pytest.raises(SettingError, match="expected outputs with names"):
        label_map(CAIRE_CHECKPOINTS[0], UNNAMED[::-1])
    assert label_map(CAIRE_CHECKPOINTS[0], ["sad", "happy"]) == LabelMap(
        "synonyms", ("sadness", "happiness"), ()
    )


# files


def test_a_file_comes_first(map_file):
    file = map_file({"sad": "fear", "happy": None, "LABEL_2": "angry"})
    expected = LabelMap("file", ("fear", None, "angry"), ("happy",))
    assert label_map("m", ["sad", "happy", "LABEL_2"], file) == expected
    assert label_map("m", ["sad", "happy", "LABEL_2"], str(file)) == expected


def test_a_file_comes_before_the_built_in_map(map_file):
    file = map_file(dict.fromkeys(UNNAMED, "fear"))
    assert label_map(CAIRE_CHECKPOINTS[0], UNNAMED, file) == LabelMap("file", ("fear",) * 13, ())


def test_a_file_may_name_a_single_emotion(map_file):
    found = label_map("m", ["not_angry", "angry"], map_file({"not_angry": None, "angry": "angry"}))
    assert found.emotions == (None, "angry")


def test_files_are_read_as_they_stand(map_file):
    assert read_label_map(map_file({"b": None, "生气": "angry", "a": "fear"})) == {
        "b": None,
        "生气": "angry",
        "a": "fear",
    }
    assert read_label_map(map_file(b'\xef\xbb\xbf{"a": "fear"}')) == {"a": "fear"}


def test_unknown_outputs_of_a_file(map_file):
    file = map_file({"sad": "sadness", "Happy": "happiness"})
    with pytest.raises(UnknownName) as caught:
        label_map("m", ["sad", "happy"], file)
    assert str(caught.value) == f"unknown output in {file}: 'Happy': expected one of 'sad', 'happy'"


def test_outputs_that_a_file_leaves_out(map_file):
    file = map_file({"sad": "sadness"})
    with pytest.raises(SettingError) as caught:
        label_map("m", ["sad", "happy", "bored"], file)
    assert str(caught.value).startswith(
        f"{file}: expected all outputs of the model, missing 'happy', 'bored'"
    )


def test_unknown_emotions_of_a_file(map_file):
    file = map_file({"LABEL_0": "anger"})
    with pytest.raises(UnknownName) as caught:
        read_label_map(file)
    assert str(caught.value) == (
        f"unknown emotion of 'LABEL_0' in {file}: 'anger': expected one of {', '.join(EMOTIONS)}, "
        "null"
    )


def test_a_file_that_maps_nothing(map_file):
    with pytest.raises(
        SettingError, match="expected an emotion for at least one output, found null for all"
    ):
        label_map("m", ["a", "b"], map_file({"a": None, "b": None}))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "found no JSON"),
        ("{'a': 'fear'}", "found no JSON"),
        ("[" * 50_000, "found no JSON"),
        (b'{"a": "\xff\xfe\xfa"}', "found no JSON"),
        (["fear"], "found list"),
        ("null", "found NoneType"),
        ({}, "found an empty one"),
        ({"a": 3}, "found 3 for 'a'"),
        ({"a": ["fear"]}, r"found \['fear'\] for 'a'"),
        ({"a": {"b": "fear"}}, "for 'a'"),
        ({"a": False}, "found False for 'a'"),
        ('{"a": "fear", "a": "angry"}', "expected each output once, found 'a' twice"),
        ('{"a": null, "a": "angry"}', "expected each output once, found 'a' twice"),
        ({"a": "x" * MAX_LABEL_MAP_BYTES}, f"at most {MAX_LABEL_MAP_BYTES} bytes, found more"),
    ],
)
def test_malformed_files(map_file, content, found):
    file = map_file(content)
    with pytest.raises(SettingError, match=found) as caught:
        read_label_map(file)
    assert str(caught.value).startswith(f"{file}: expected ")
    assert "\n" not in str(caught.value)


def test_the_largest_file_is_read(map_file):
    content = json.dumps({"a": "fear"})
    assert read_label_map(map_file(content + " " * (MAX_LABEL_MAP_BYTES - len(content)))) == {
        "a": "fear"
    }


def test_files_that_are_not_there(tmp_path):
    for path, why in (
        (tmp_path / "none.json", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 999), "too long"),
    ):
        with pytest.raises(SettingError, match=why):
            read_label_map(path)


# probabilities


ROWS = np.array([[0.5, 0.25, 0.125, 0.0625, 0.0625], [0.0, 0.5, 0.0, 0.25, 0.25]])
# as neutral, angry, calm, bored, surprised
SEVERAL = mapped("neutral", "angry", "neutral", None, "surprise")


def test_softmax_outputs_of_a_class_add_up():
    found = class_probabilities(ROWS, SEVERAL, EMOTION, softmax=True)
    expected = np.zeros((2, 13))
    expected[:, EMOTIONS.index("neutral")] = 0.625, 0.0
    expected[:, EMOTIONS.index("angry")] = 0.25, 0.5
    expected[:, EMOTIONS.index("surprise")] = 0.0625, 0.25
    np.testing.assert_array_equal(found, expected)


def test_of_sigmoid_outputs_the_most_probable_counts():
    found = class_probabilities(ROWS, SEVERAL, EMOTION, softmax=False)
    assert found[:, EMOTIONS.index("neutral")].tolist() == [0.5, 0.0]
    assert found[:, EMOTIONS.index("angry")].tolist() == [0.25, 0.5]
    assert found.sum() == 0.5 + 0.25 + 0.0625 + 0.5 + 0.25


def test_valence_of_emotions():
    rows = np.array([[0.125, 0.25, 0.0625, 0.5, 0.0625]])
    # columns: positive, neutral, negative
    mapping = mapped("angry", "sadness", "happiness", "excitement", "surprise")
    assert class_probabilities(rows, mapping, VALENCE, softmax=True).tolist() == [
        [0.5625, 0.0, 0.375]
    ]
    assert class_probabilities(rows, mapping, VALENCE, softmax=False).tolist() == [[0.5, 0.0, 0.25]]


def test_a_valence_model_says_three_of_the_emotions():
    mapping = label_map("m", ["negative", "neutral", "positive"])
    found = class_probabilities(np.array([[0.5, 0.25, 0.25]]), mapping, EMOTION, softmax=True)[0]
    said = {name: value for name, value in zip(EMOTIONS, found.tolist(), strict=True) if value}
    assert said == {"neutral": 0.25, "positive": 0.25, "negative": 0.5}


def test_sums_do_not_pass_one():
    rows = np.array([[0.1, 0.3, 0.6], [1.0, 0.0, 0.0]], dtype=np.float32)
    assert rows[0].astype(float).sum() > 1
    assert class_probabilities(rows, mapped("angry", "fear", "sadness"), VALENCE, softmax=True)[
        :, 2
    ].tolist() == [1.0, 1.0]


def test_probabilities_that_are_no_numbers_stay_so():
    found = class_probabilities(
        np.array([[np.nan, 0.5]]), mapped("angry", "neutral"), VALENCE, softmax=True
    )
    np.testing.assert_array_equal(found, [[0, 0.5, np.nan]])


def test_no_clips():
    assert class_probabilities(
        np.zeros((0, 2)), mapped("angry", "fear"), VALENCE, softmax=True
    ).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 4), (2, 6), (5,), (1, 2, 5)])
def test_wrong_shapes_are_the_callers_mistake(shape):
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(n, 5\)"):
        class_probabilities(np.zeros(shape), SEVERAL, EMOTION, softmax=True)


def test_input_is_left_as_it_is():
    rows = ROWS.copy()
    class_probabilities(rows, SEVERAL, EMOTION, softmax=True)
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize("softmax", [True, False])
def test_a_schema_without_any_of_the_emotions_is_refused(softmax):
    mapping = mapped("surprise", "other", None)
    for use in (
        lambda: class_probabilities(np.zeros((1, 3)), mapping, VALENCE, softmax=softmax),
        lambda: mapping.classes(VALENCE),
    ):
        with pytest.raises(
            SettingError, match=r"emotions \(surprise, other\) have no class of the schema valence$"
        ):
            use()
    assert mapping.classes(EMOTION) == ("surprise", "other", None)


@st.composite
def tables(draw):
    """Softmax rows and a map with at least one output that every schema has a class for."""
    emotions = draw(st.lists(st.sampled_from((*EMOTIONS, None)), min_size=1, max_size=14))
    emotions = draw(st.permutations([*emotions, "neutral"]))
    logits = draw(
        arrays(np.float64, (draw(st.integers(1, 4)), len(emotions)), elements=st.floats(-8, 8))
    )
    rows = np.exp(logits)
    return rows / rows.sum(axis=1, keepdims=True), mapped(*emotions)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
@profile
@given(table=tables())
def test_softmax_rows_keep_the_mass_of_mapped_outputs(schema, table):
    rows, mapping = table
    found = class_probabilities(rows, mapping, schema, softmax=True)
    known = [emotion in schema.mapping for emotion in mapping.emotions]
    np.testing.assert_allclose(found.sum(axis=1), rows[:, known].sum(axis=1), rtol=0, atol=1e-12)
    for place, name in enumerate(schema.classes):
        own = [schema.mapping.get(emotion) == name for emotion in mapping.emotions]
        np.testing.assert_allclose(found[:, place], rows[:, own].sum(axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
@profile
@given(table=tables())
def test_sigmoid_classes_have_the_probability_of_one_of_their_outputs(schema, table):
    rows, mapping = table
    found = class_probabilities(rows, mapping, schema, softmax=False)
    for place, name in enumerate(schema.classes):
        own = rows[:, [schema.mapping.get(emotion) == name for emotion in mapping.emotions]]
        np.testing.assert_array_equal(found[:, place], own.max(axis=1, initial=0.0))


@profile
@given(table=tables(), data=st.data())
def test_the_order_of_outputs_does_not_matter(table, data):
    rows, mapping = table
    order = data.draw(st.permutations(range(len(mapping.emotions))))
    turned = mapped(*(mapping.emotions[place] for place in order))
    for softmax in (True, False):
        first = class_probabilities(rows, mapping, VALENCE, softmax=softmax)
        second = class_probabilities(rows[:, order], turned, VALENCE, softmax=softmax)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)


# module


def test_mapping_labels_loads_no_torch():
    code = "import bimotion.evaluation.tracks.label_map, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "bimotion.evaluation.tracks.label_map" in loaded
    assert not {"torch", "transformers", "datasets", "sklearn"}.intersection(loaded)
