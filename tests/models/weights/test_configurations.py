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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"label2id": {"angry": 1, "happy": 0, "sad": 2}},
            "id2label calls output 0 'angry', label2id says output 1",
        ),
        (
            {"id2label": {"0": "angry", "1": "happy"}, "label2id": None},
            "expected as many names of outputs as outputs, found 2 names",
        ),
        (
            {"id2label": {"0": "angry", "2": "sad"}, "label2id": None},
            "id2label: expected names of outputs 0, 1, ..., found those of 0, 2",
        ),
        (
            {"id2label": {"0": "angry"}, "label2id": None},
            "expected a classifier of two classes or more, found 1 output",
        ),
        (
            {"id2label": {"0": "sad", "1": "angry", "2": "sad"}, "label2id": None},
            "a name of its own for every output, found 'sad'",
        ),
        (
            {"id2label": {"0": "sad", "1": " ", "2": "angry"}, "label2id": None},
            "a name of its own for every output, found ' '",
        ),
        ({"problem_type": "regression"}, "its outputs are numbers, not classes"),
        (
            {"problem_type": ["regression"]},
            "problem_type: expected single_label_classification or multi_label_classification",
        ),
        ({"label2id": ["angry"]}, "label2id: expected names with numbers of outputs"),
        ({"label2id": {"angry": [0]}}, "label2id: expected names with numbers of outputs"),
        (
            {"id2label": {"0": None, "1": "b", "2": "c"}, "label2id": None},
            "id2label: expected names as text, found None",
        ),
    ],
)
def test_a_classifier_that_contradicts_itself_is_refused(changes, reason, copy):
    with pytest.raises(ModelError) as caught:
        Classifier(spec(reconfigured(copy(), **changes)))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_given_one_way_only_are_no_contradiction(copy):
    classifier = Classifier(
        spec(reconfigured(copy(), label2id={"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}))
    )
    assert classifier.outputs == ("angry", "happy", "sad")


def test_numbers_of_outputs_may_be_text_as_the_tutorial_of_transformers_writes_them(copy):
    classifier = Classifier(
        spec(reconfigured(copy(), label2id={"angry": "0", "happy": "1", "sad": "2"}))
    )
    assert classifier.outputs == ("angry", "happy", "sad")
    with pytest.raises(ModelError, match="label2id says output 1"):
        Classifier(
            spec(reconfigured(copy("other"), label2id={"angry": "1", "happy": "0", "sad": "2"}))
        )


@pytest.mark.parametrize("named", ["somebody/kernel", {"": "somebody/kernel@main:function"}])
@pytest.mark.parametrize(
    "setting", ["attn_implementation", "_attn_implementation", "experts_implementation"]
)
def test_a_configuration_names_no_code_of_the_hub(setting, named, copy):
    """transformers would fetch a kernel of that name and run it, where the package `kernels` is
    installed."""
    refused(
        reconfigured(copy(), **{setting: named}),
        f"{setting}",
        "expected an implementation of transformers itself",
    )
    refused(
        reconfigured(copy("below"), text_config={setting: named}),
        "expected an implementation of transformers itself",
    )


def test_the_environment_is_left_as_it_was(copy):
    before = os.environ.get("DISABLE_SAFETENSORS_CONVERSION")
    encoder.load(spec(pickled(copy())))
    assert os.environ.get("DISABLE_SAFETENSORS_CONVERSION") == before
    with weights._no_conversion():
        assert os.environ["DISABLE_SAFETENSORS_CONVERSION"] == "1"


def too_large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2**24 + 1)


@pytest.mark.parametrize("name", ["notes.json", "modeling.py"])
@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to("/nonexistent/target"),
        lambda path: path.write_text("[" * 900 + "]" * 900, encoding="utf-8"),
        lambda path: path.write_text('{"a":' * 9000 + "1" + "}" * 9000, encoding="utf-8"),
        too_large,
    ],
    ids=["folder", "pipe", "broken link", "900 levels", "9000 levels", "too large"],
)
def test_whatever_lies_beside_a_model_does_not_stop_it(name, make, copy):
    folder = copy()
    make(folder / name)
    assert (
        located(folder, trust_remote_code=True).fingerprint
        == located(folder, trust_remote_code=True).fingerprint
    )


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
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]
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
