"""Label maps: a file comes first, then what is built in; what is malformed is refused."""

import json

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
from tests.support.command_line import run_python

UNNAMED = [f"LABEL_{number}" for number in range(13)]
WORDS = "neutral=neutral sad=sadness happy=happiness angry=angry disgust=disgust"
PUBLISHED = {  # outputs as in each model's id2label or token list -> what they mean
    "superb/wav2vec2-base-superb-er": "neu=neutral hap=happiness ang=angry sad=sadness",
    "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition": (
        f"{WORDS} calm=neutral fearful=fear surprised=surprise"
    ),
    "r-f/wav2vec-english-speech-emotion-recognition": f"{WORDS} fear=fear surprise=surprise",
    "3loi/SER-Odyssey-Baseline-WavLM-Categorical": (
        "Angry=angry Sad=sadness Happy=happiness Surprise=surprise Fear=fear Disgust=disgust "
        "Contempt= Neutral=neutral"
    ),
    "Aniemore/wav2vec2-emotion-russian-resd": (
        "anger=angry disgust=disgust enthusiasm=excitement fear=fear happiness=happiness "
        "neutral=neutral sadness=sadness"
    ),
    "emotion2vec_plus_large": (
        "生气/angry=angry 厌恶/disgusted=disgust 恐惧/fearful=fear 开心/happy=happiness "
        "中立/neutral=neutral 其他/other=other 难过/sad=sadness 吃惊/surprised=surprise "
        "<unk>=unknown"
    ),
    "emotion2vec_base_finetuned": (
        "angry=angry disgusted=disgust fearful=fear happy=happiness neutral=neutral other=other "
        "sad=sadness surprised=surprise unknown=unknown"
    ),
    "SenseVoiceSmall": (
        "<|HAPPY|>=happiness <|SAD|>=sadness <|ANGRY|>=angry <|NEUTRAL|>=neutral "
        "<|FEARFUL|>=fear <|DISGUSTED|>=disgust <|SURPRISED|>=surprise <|EMO_UNKNOWN|>=unknown"
    ),
    "emotion and gender": (
        "female_angry=angry male_angry=angry female_happy=happiness male_happy=happiness"
    ),
    "valence": "POSITIVE=positive Neutral=neutral neg=negative",
    "fine-tuned here, 13 emotions": " ".join(f"{name}={name}" for name in EMOTIONS),
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


def refused(error, use, *arguments) -> str:
    """The message of a refusal: one short line."""
    with pytest.raises(error) as caught:
        use(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1500
    return message


# which map
@pytest.mark.parametrize("model", PUBLISHED)
def test_published_models(model):
    pairs = dict(pair.split("=") for pair in PUBLISHED[model].split())
    expected = tuple(emotion or None for emotion in pairs.values())
    unmapped = tuple(name for name, emotion in pairs.items() if not emotion)
    assert label_map(model, list(pairs)) == LabelMap("synonyms", expected, unmapped)


def test_outputs_keep_their_order_and_repeats():
    expected = ("sadness", None, "happiness", "sadness", None)
    mapping = label_map("m", ["sad", "bored", "happy", "sad", "bored"])
    assert mapping == LabelMap("synonyms", expected, ("bored", "bored"))


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        # audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim: regression
        (["arousal", "dominance", "valence"], "outputs named after two emotions or more"),
        # a keyword spotter
        (["yes", "no", "happy", "house", "_unknown_word_"], "outputs named after two emotions"),
        (["happy", "joy", "bored"], "outputs named after two emotions or more"),
        (["LABEL_0", "angry"], "outputs named after two emotions or more"),
        ([], "outputs named after two emotions or more"),
        ([f"bad\nname {n} " + "x" * 10_000 for n in range(500)], "outputs named after two"),
        (UNNAMED, "outputs with names, found 'LABEL_0'"),
        (UNNAMED[:1], 'such as {"LABEL_0": "sadness"} (null'),
        (["label_0", "Label_1"], 'such as {"label_0": "sadness", "Label_1": null} (null'),
        (["0", "1", "2"], "outputs with names, found '0', '1', '2'"),
    ],
)
def test_outputs_that_need_a_file(outputs, expected):
    message = refused(SettingError, label_map, "some/model", outputs)
    assert message.startswith("some/model: expected outputs ")
    assert expected in message
    assert message.endswith("--label-map FILE")


def test_the_papers_checkpoints_are_built_in_for_just_their_outputs():
    for model in CAIRE_CHECKPOINTS:
        assert model.startswith("CAiRE/SER-wav2vec2-large-xlsr-53-eng-zho-")
        assert label_map(model, UNNAMED) == LabelMap("built-in", EMOTIONS, ())
    for outputs in (UNNAMED[:12], UNNAMED[::-1]):
        refused(SettingError, label_map, CAIRE_CHECKPOINTS[0], outputs)
    assert label_map(CAIRE_CHECKPOINTS[0], ["sad", "happy"]).source == "synonyms"


# files
@pytest.mark.parametrize(
    ("model", "outputs", "content"),
    [
        ("m", ["sad", "happy", "LABEL_2"], {"sad": "fear", "happy": None, "LABEL_2": "angry"}),
        (CAIRE_CHECKPOINTS[0], UNNAMED, dict.fromkeys(UNNAMED, "fear")),
        ("m", ["not_angry", "angry"], {"angry": "angry", "not_angry": None}),
    ],
)
def test_a_file_comes_first(model, outputs, content, map_file):
    expected = tuple(content[name] for name in outputs)
    unmapped = tuple(name for name in outputs if content[name] is None)
    for file in (map_file(content), str(map_file(content))):
        assert label_map(model, outputs, file) == LabelMap("file", expected, unmapped)


def test_files_are_read_as_they_stand(map_file):
    content = {"b": None, "生气": "angry", "a": "fear"}
    assert list(read_label_map(map_file(content)).items()) == list(content.items())
    assert read_label_map(map_file(b'\xef\xbb\xbf{"a": "fear"}')) == {"a": "fear"}
    largest = '{"a": "fear"}'.ljust(MAX_LABEL_MAP_BYTES)
    assert read_label_map(map_file(largest)) == {"a": "fear"}


@pytest.mark.parametrize(
    ("error", "content", "expected"),
    [
        (UnknownName, {"sad": "sadness", "Happy": "happiness"}, "'Happy': expected one of 'sad',"),
        (SettingError, {"sad": "sadness"}, "expected all outputs of the model, missing 'happy'"),
        (SettingError, {"sad": None, "happy": None}, "at least one output, found null for all"),
        (UnknownName, {"sad": "anger"}, f"'anger': expected one of {', '.join(EMOTIONS)}, null"),
        (SettingError, "", "found no JSON"),
        (SettingError, "{'a': 'fear'}", "found no JSON"),
        (SettingError, "[" * 50_000, "found no JSON"),
        (SettingError, b'{"a": "\xff\xfe\xfa"}', "found no JSON"),
        (SettingError, ["fear"], "found list"),
        (SettingError, "null", "found NoneType"),
        (SettingError, {}, "found an empty one"),
        (SettingError, {"a": 3}, "found 3 for 'a'"),
        (SettingError, {"a": ["fear"]}, "found ['fear'] for 'a'"),
        (SettingError, {"a": {"b": "fear"}}, "for 'a'"),
        (SettingError, {"a": False}, "found False for 'a'"),
        (SettingError, '{"a": "fear", "a": "angry"}', "each output once, found 'a' twice"),
        (SettingError, '{"a": null, "a": "angry"}', "each output once, found 'a' twice"),
        (SettingError, {"a": "x" * MAX_LABEL_MAP_BYTES}, f"{MAX_LABEL_MAP_BYTES} bytes, found"),
    ],
)
def test_files_that_are_refused(error, content, expected, map_file):
    file = map_file(content)
    message = refused(error, label_map, "m", ["sad", "happy"], file)
    assert str(file) in message
    assert expected in message


def test_files_that_are_missing(tmp_path):
    long = tmp_path / ("x" * 999)
    for path, why in ((tmp_path / "none", "No such"), (tmp_path, "Is a dir"), (long, "too long")):
        assert why in refused(SettingError, read_label_map, path)


def test_mapping_labels_loads_no_torch():
    code = "import bimotion.evaluation.tracks.label_map, sys; print(*sys.modules)"
    loaded = run_python(code).stdout.split()
    assert "bimotion.evaluation.tracks.label_map" in loaded
    assert not {"torch", "transformers", "datasets", "sklearn"}.intersection(loaded)
