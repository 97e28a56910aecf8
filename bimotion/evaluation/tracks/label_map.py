"""From a published classifier's own output names to the classes of a label schema: the zero-shot
track.

Two steps, as everywhere: output name -> canonical emotion (here), canonical emotion -> class (the
schema). The second step alone makes a seven-emotion model a valence model; the reverse does not
exist: a model that says positive / neutral / negative says just these three of the 13 emotions.

A name is mapped only to the emotion that it names; all others are left unmapped, counted and told,
never guessed:
  calm          neutral, the one exception: it is not neutral in RAVDESS, which has both (calm is
                its second baseline, much like neutral; Livingstone & Russo 2018, doi
                10.1371/journal.pone.0196391), but the nearest that a corpus here has
  excitement    its own emotion, as IEMOCAP annotates it, with enthusiasm (RESD); never happiness.
                Models that were trained on IEMOCAP's four classes often count its excited clips as
                `hap`: their name does not say so, nor do we
  frustration   its own emotion, not anger;  positive, negative: valence words, not happiness or
                sadness
  surprise      with TESS's `ps` and other pleasant surprise
  anxiety       fear: EmoDB's Angst is published as anxiety/fear
  <unk>, xxx    unknown (emotion2vec, IEMOCAP)
  unmapped      contempt, boredom, amusement, sleepiness, 沮丧 (between sad and frustrated),
                arousal,
                dominance, valence, ...
Single letters are not mapped: A is angry in MSP-Podcast and fear (Angst) in EmoDB.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bimotion.errors import SettingError, UnknownName, some
from bimotion.protocol.labels import EMOTIONS, LabelSchema

_NAMES = {
    "sadness": "sadness sad 悲伤 悲傷 难过 難過 伤心 傷心",
    "fear": "fear fea fearful afraid scared anxiety anxious 恐惧 恐懼 害怕",
    "angry": "angry anger ang 生气 生氣 愤怒 憤怒",
    "happiness": "happiness happy hap joy joyful 高兴 高興 快乐 快樂 开心 開心 喜悦 喜悅",
    "disgust": "disgust disgusted dis 厌恶 厭惡",
    "neutral": "neutral neutrality neu natural nat calm cal calmness 中性 中立 平静 平靜",
    "surprise": "surprise surprised sur ps pleasantsurprise pleasantsurprised "
    "惊讶 驚訝 吃惊 吃驚 惊喜 驚喜",
    "positive": "positive pos 积极 積極 正面",
    "negative": "negative neg 消极 消極 负面 負面",
    "excitement": "excitement excited exc enthusiasm enthusiastic 兴奋 興奮 激动 激動",
    "frustrated": "frustrated frustration fru 挫败 挫敗 受挫",
    "other": "other others oth 其他 其它",
    "unknown": "unknown unk xxx 未知",
}
SYNONYMS: dict[str, str] = {
    name: emotion for emotion, names in _NAMES.items() for name in names.split()
}
"""Synonym -> canonical emotion. Synonyms are in lower case, without spaces and other separators;
see `emotion_of`.

Sources: the native labels of this package's corpora; RAVDESS, MSP-Podcast, RESD, EmoDB, CASIA;
`id2label` of published models: superb/*-er,
ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition,
r-f/wav2vec-english-speech-emotion-recognition, 3loi/SER-Odyssey-Baseline-WavLM-Categorical,
Aniemore/*-resd; emotion2vec's and SenseVoice's tokens."""

CAIRE_CHECKPOINTS = tuple(
    f"CAiRE/SER-wav2vec2-large-xlsr-53-eng-zho-{ages}" for ages in ("all-age", "elderly", "adults")
)
"""The paper's checkpoints: 13 unnamed outputs in the order of EMOTIONS (its training code's)."""
PAPER_ARCHITECTURE = "Wav2Vec2ForMultilabelSequenceClassification"
"""Of the paper's code, which trains on waveforms as they are decoded, whole. The checkpoints'
preprocessor_config.json, which it copies from XLSR-53, says otherwise: scaled to variance 1."""
UNNAMED_EMOTIONS = tuple(f"LABEL_{number}" for number in range(len(EMOTIONS)))

MAX_LABEL_MAP_BYTES = 64 * 1024
_UNNAMED = re.compile(r"(label_?)?\d+", re.IGNORECASE)
# female_happy: models of emotion and gender; <|EMO_UNKNOWN|>: SenseVoice
_NOT_EMOTIONS = {"male", "female", "emo"}


@dataclass(frozen=True)
class LabelMap:
    """The meaning of a classifier's outputs."""

    source: Literal["synonyms", "built-in", "file"]
    """Where it is known from."""
    emotions: tuple[str | None, ...]
    """Canonical emotion of each output, in order, or None where it has none."""
    unmapped: tuple[str, ...]
    """Names of the outputs that have none."""

    def classes(self, schema: LabelSchema) -> tuple[str | None, ...]:
        """Class of each output under a schema, None where it has none; raises SettingError where no
        output has one.

        >>> from bimotion.protocol.labels import SCHEMAS
        >>> emotions = ("angry", "surprise", "neutral", None)
        >>> LabelMap("synonyms", emotions, ("bored",)).classes(SCHEMAS["valence"])
        ('negative', None, 'neutral', None)
        """
        if not any(emotion in schema.mapping for emotion in self.emotions):
            known = [emotion for emotion in EMOTIONS if emotion in self.emotions]
            raise SettingError(
                f"the classifier's emotions ({', '.join(known) or 'none'}) have no class of the "
                f"schema {schema.name}"
            )
        return tuple(schema.mapping.get(emotion) for emotion in self.emotions)


def emotion_of(output: str) -> str | None:
    """The canonical emotion that an output's name means, or None. Case, separators, brackets and
    genders do not count; of bilingual and double names the parts that are known must agree.

    >>> [emotion_of(name) for name in ("HAP", "Pleasant_Surprise", "生气/angry", "<|SAD|>")]
    ['happiness', 'surprise', 'angry', 'sadness']
    >>> emotion_of("female_fearful"), emotion_of("happy/sad")
    ('fear', None)
    """
    parts = re.split(r"[/|()<>\[\],;+&]", unicodedata.normalize("NFKC", output).casefold())
    words = (
        "".join(word for word in re.findall(r"[^\W_]+", part) if word not in _NOT_EMOTIONS)
        for part in parts
    )
    emotions = {SYNONYMS[word] for word in words if word in SYNONYMS}
    return emotions.pop() if len(emotions) == 1 else None


def label_map(model: str, outputs: Sequence[str], file: Path | None = None) -> LabelMap:
    """The meaning of a classifier's outputs, named in order: from `file` only where it is given,
    else as built in for the published CAiRE checkpoints, else by synonyms. Raises SettingError,
    UnknownName.

    A file names every output. By synonyms at least two emotions must be known: one alone is a
    chance hit (a keyword spotter knows the word "happy").

    >>> label_map("superb/wav2vec2-base-superb-er", ["neu", "hap", "ang", "sad"]).emotions
    ('neutral', 'happiness', 'angry', 'sadness')
    """
    outputs = tuple(outputs)
    if file is not None:
        source, emotions = "file", _of_file(outputs, Path(file))
    elif model in CAIRE_CHECKPOINTS and outputs == UNNAMED_EMOTIONS:
        source, emotions = "built-in", EMOTIONS
    elif outputs and all(_UNNAMED.fullmatch(name) for name in outputs):
        example = json.dumps({outputs[0]: "sadness"} | dict.fromkeys(outputs[1:2]))
        raise SettingError(
            f"{model}: expected outputs with names, found {_shown(outputs)}; write a JSON "
            f"file that says what each output is, such as {example} (null: none), and give it "
            "by --label-map FILE"
        )
    else:
        source, emotions = "synonyms", tuple(map(emotion_of, outputs))
        if len({*emotions} - {None}) < 2:
            raise SettingError(
                f"{model}: expected outputs named after two emotions or more, found "
                f"{_shown(outputs)}: not an emotion classifier; if it is one, say what its "
                "outputs mean by --label-map FILE"
            )
    pairs = zip(outputs, emotions, strict=True)
    return LabelMap(source, emotions, tuple(name for name, emotion in pairs if emotion is None))


def _of_file(outputs: tuple[str, ...], file: Path) -> tuple[str | None, ...]:
    given = read_label_map(file)
    if unknown := [name for name in given if name not in outputs]:
        raise UnknownName(f"output in {file}:", unknown[0][:60], [_shown(outputs)])
    if missing := [name for name in outputs if name not in given]:
        raise SettingError(
            f"{file}: expected all outputs of the model, missing {_shown(missing)}: give null to "
            "no emotion"
        )
    if not any(given.values()):
        raise SettingError(
            f"{file}: expected an emotion for at least one output, found null for all"
        )
    return tuple(given[name] for name in outputs)


def read_label_map(file: Path) -> dict[str, str | None]:
    """Output name -> canonical emotion or None, from a JSON object such as
    `{"LABEL_0": "angry", "LABEL_1": null}`.

    Raises SettingError for a file that is not such an object, UnknownName for an emotion that is
    not one of EMOTIONS.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_LABEL_MAP_BYTES + 1)
    except OSError as error:
        raise SettingError(
            f"{file}: expected a label map (a JSON file), found: {error.strerror}"
        ) from None
    if len(content) > MAX_LABEL_MAP_BYTES:
        raise SettingError(
            f"{file}: expected a label map of at most {MAX_LABEL_MAP_BYTES} bytes, found more"
        )
    expected = f'{file}: expected a JSON object {{"output name": "emotion" or null, ...}}'
    try:
        pairs = json.loads(content, object_pairs_hook=tuple)  # a key given twice is seen
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{expected}, found no JSON: {str(error)[:100]}") from None
    if not isinstance(pairs, tuple):
        raise SettingError(f"{expected}, found {type(pairs).__name__}")
    if not pairs:
        raise SettingError(f"{expected}, found an empty one")
    emotions: dict[str, str | None] = {}
    for name, emotion in pairs:
        if name in emotions:
            raise SettingError(f"{file}: expected each output once, found {name[:60]!r} twice")
        if not isinstance(emotion, str | None):
            raise SettingError(f"{expected}, found {repr(emotion)[:60]} for {name[:60]!r}")
        if emotion not in (*EMOTIONS, None):
            raise UnknownName(
                f"emotion of {name[:60]!r} in {file}:", emotion[:60], (*EMOTIONS, "null")
            )
        emotions[name] = emotion
    return emotions


def _shown(names: Sequence[str]) -> str:
    return some([repr(name[:60]) for name in names], shown=13)


def class_probabilities(
    probabilities: np.ndarray, mapping: LabelMap, schema: LabelSchema, *, softmax: bool
) -> np.ndarray:
    """Probabilities of outputs, shape (n, n_outputs), as those of a schema's classes, shape (n,
    len(schema.classes)), float64.

    Outputs of one class add up where they exclude each other (softmax); of independent outputs
    (sigmoid) the most probable one counts. A class that no output means has probability 0; the mass
    of unmapped outputs is left out, not shared out.

    >>> from bimotion.protocol.labels import SCHEMAS
    >>> mapping = LabelMap("synonyms", ("angry", "sadness", "neutral", None), ("bored",))
    >>> rows, valence = np.array([[0.5, 0.25, 0.125, 0.125]]), SCHEMAS["valence"]
    >>> class_probabilities(rows, mapping, valence, softmax=True)
    array([[0.   , 0.125, 0.75 ]])
    >>> class_probabilities(rows, mapping, valence, softmax=False)
    array([[0.   , 0.125, 0.5  ]])
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(mapping.emotions):
        raise ValueError(
            f"expected probabilities of shape (n, {len(mapping.emotions)}), found "
            f"{probabilities.shape}"
        )
    result = np.zeros((len(probabilities), len(schema.classes)))
    for output, name in enumerate(mapping.classes(schema)):
        if name is not None:
            column = result[:, schema.classes.index(name)]
            (np.add if softmax else np.maximum)(column, probabilities[:, output], out=column)
    return np.minimum(result, 1.0)  # sums of float32 probabilities can pass 1 by their rounding
