"""Label maps: a file comes first, then what is built in; what is malformed is refused."""

import json
import subprocess
import sys

import pytest

from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation.tracks.label_map import (
    CAIRE_CHECKPOINTS,
    MAX_LABEL_MAP_BYTES,
    LabelMap,
    label_map,
    read_label_map,
)
from bimotion.protocol.labels import EMOTIONS

UNNAMED = [f"LABEL_{place}" for place in range(13)]


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


# module
def test_mapping_labels_loads_no_torch():
    code = "import bimotion.evaluation.tracks.label_map, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "bimotion.evaluation.tracks.label_map" in loaded
    assert not {"torch", "transformers", "datasets", "sklearn"}.intersection(loaded)
