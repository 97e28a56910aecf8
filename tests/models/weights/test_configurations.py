"""Configurations that contradict themselves, name code, or are too large."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
import torch

from bimotion.errors import ModelError
from bimotion.models import encoder, weights
from bimotion.models.classifier import Classifier
from tests.support.weight_files import located, pickled, refused, spec


def reconfigured(folder: Path, **changes) -> Path:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def named(*names, label2id=None) -> dict:
    """Names of outputs, in their order."""
    return {"id2label": {str(n): name for n, name in enumerate(names)}, "label2id": label2id}


ONCE = "a name of its own for every output, found"
CONTRADICTIONS = [
    ({"label2id": {"angry": 1, "happy": 0, "sad": 2}}, "output 0 'angry', label2id says output 1"),
    ({"label2id": {"angry": "1", "happy": "0", "sad": "2"}}, "label2id says output 1"),
    (named("angry", "happy"), "expected as many names of outputs as outputs, found 2 names"),
    (
        {"id2label": {"0": "angry", "2": "sad"}, "label2id": None},
        "id2label: expected names of outputs 0, 1, ..., found those of 0, 2",
    ),
    (named("angry"), "expected a classifier of two classes or more, found 1 output"),
    (named("sad", "angry", "sad"), f"{ONCE} 'sad'"),
    (named("sad", " ", "angry"), f"{ONCE} ' '"),
    (named(None, "b", "c"), "id2label: expected names as text, found None"),
    ({"problem_type": "regression"}, "its outputs are numbers, not classes"),
    (
        {"problem_type": ["regression"]},
        "problem_type: expected single_label_classification or multi_label_classification",
    ),
    ({"label2id": ["angry"]}, "label2id: expected names with numbers of outputs"),
    ({"label2id": {"angry": [0]}}, "label2id: expected names with numbers of outputs"),
]


@pytest.mark.parametrize(("changes", "reason"), CONTRADICTIONS)
def test_a_classifier_that_contradicts_itself_is_refused(changes, reason, copy):
    with pytest.raises(ModelError) as caught:
        Classifier(spec(reconfigured(copy(), **changes)))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "label2id",
    [{"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}, {"angry": "0", "happy": "1", "sad": "2"}],
    ids=["named one way only", "numbers as text, as the tutorial of transformers writes them"],
)
def test_what_is_no_contradiction(label2id, copy):
    classifier = Classifier(spec(reconfigured(copy(), label2id=label2id)))
    assert classifier.outputs == ("angry", "happy", "sad")


@pytest.mark.parametrize("kernel", ["somebody/kernel", {"": "somebody/kernel@main:function"}])
@pytest.mark.parametrize(
    "setting", ["attn_implementation", "_attn_implementation", "experts_implementation"]
)
def test_a_configuration_names_no_code_of_the_hub(setting, kernel, copy):
    """transformers would fetch a kernel of that name and run it, where the package `kernels` is
    installed."""
    expected = "expected an implementation of transformers itself"
    refused(reconfigured(copy(), **{setting: kernel}), setting, expected)
    refused(reconfigured(copy("below"), text_config={setting: kernel}), expected)


def test_the_environment_is_left_as_it_was(copy):
    before = os.environ.get("DISABLE_SAFETENSORS_CONVERSION")
    encoder.load(spec(pickled(copy())))
    assert os.environ.get("DISABLE_SAFETENSORS_CONVERSION") == before
    with weights._no_conversion():
        assert os.environ["DISABLE_SAFETENSORS_CONVERSION"] == "1"


BESIDE = {
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "broken link": lambda path: path.symlink_to("/nonexistent/target"),
    "900 levels": lambda path: path.write_text("[" * 900 + "]" * 900),
    "9000 levels": lambda path: path.write_text('{"a":' * 9000 + "1" + "}" * 9000),
    "too large": lambda path: path.write_bytes(bytes(2**24 + 1)),
}


@pytest.mark.parametrize("name", ["notes.json", "modeling.py"])
@pytest.mark.parametrize("make", BESIDE.values(), ids=list(BESIDE))
def test_whatever_lies_beside_a_model_does_not_stop_it(name, make, copy):
    folder = copy()
    make(folder / name)
    first, second = (located(folder, trust_remote_code=True).fingerprint for _ in range(2))
    assert first == second


def test_settings_are_read_whole_only_where_they_are_of_a_size_for_settings(copy):
    folder = copy()
    with (folder / "notes.json").open("wb") as stream:
        stream.truncate(2**27)
    tracemalloc.start()
    before = located(folder).fingerprint
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**26
    with (folder / "notes.json").open("r+b") as stream:
        stream.seek(2**26)
        stream.write(b"x")
    assert located(folder).fingerprint != before


def test_the_same_settings_in_another_file_are_another_model(copy):
    folder = copy()
    before = located(folder).fingerprint
    (folder / "preprocessor_config.json").rename(folder / "processor_config.json")
    assert located(folder).fingerprint != before


def test_code_of_another_repository_is_refused_and_trusted_code_makes_every_file_count(copy):
    folder = copy()
    (folder / "words").mkdir()
    (folder / "words" / "table.bin").write_bytes(b"1")
    before = [located(folder, trust_remote_code=trusted).fingerprint for trusted in (False, True)]
    (folder / "words" / "table.bin").write_bytes(b"2")
    after = [located(folder, trust_remote_code=trusted).fingerprint for trusted in (False, True)]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
    reconfigured(folder, auto_map={"AutoModel": "somebody/else--own.Model"})
    refused(folder, "expected code that lies beside the model", trust_remote_code=True)


def test_a_new_head_is_the_same_whatever_is_examined_before(plain):
    """By hand: the head that transformers draws after the seed, with nothing of ours in between."""
    from transformers import AutoModelForAudioClassification

    for seed in (0, 1):
        torch.manual_seed(seed)
        AutoModelForAudioClassification.from_pretrained(plain)
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        Classifier(spec(plain))
        assert torch.equal(torch.get_rng_state(), state), (
            "random numbers were drawn, and what follows would move"
        )
