"""The identity of a model: every file that loading opens, wherever it lies."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import run_python
from tests.support.weight_files import located

_WATCH = """
import json, os, sys
folder, opened = os.path.realpath(sys.argv[1]), set()
def watch(event, args):
    if event == "open" and isinstance(args[0], str):
        path = os.path.realpath(args[0])
        if path.startswith(folder + os.sep):
            opened.add(os.path.relpath(path, folder))
from bimotion.models import encoder as encoders
from bimotion.models.classifier import Classifier
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import ModelFiles
import torch, transformers
origin = ModelFiles(ModelSpec(folder)).origin()
sys.addaudithook(watch)
ModelFiles.origin = lambda self: origin  # what identity reads is not what loading opens
spec = ModelSpec(folder, device="cpu")
for load in (encoders.load, Classifier):
    opened.clear()
    load(spec)
    print(json.dumps(sorted(opened)))
"""


@pytest.fixture
def furnished(copy):
    """A folder with all that may lie beside a model."""
    folder = copy()
    shutil.move(folder / "preprocessor_config.json", folder / "kept")
    extractor = json.loads((folder / "kept").read_text(encoding="utf-8"))
    (folder / "kept").unlink()
    processor = {"processor_class": "Wav2Vec2Processor", "feature_extractor": extractor}
    # as transformers 5 writes it
    (folder / "processor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    for name, content in {
        "generation_config.json": '{"max_length": 20}',
        "tokenizer_config.json": "{}",
        "vocab.json": '{"a": 0}',
        "special_tokens_map.json": "{}",
        "trainer_state.json": "{}",
        "chat_template.jinja": "",
        "preprocessing.yaml": "",
        "README.md": "",
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_whatever_loading_opens_is_part_of_what_a_model_is(furnished):
    lines = run_python(_WATCH, furnished).stdout.splitlines()[-2:]
    watched = [set(json.loads(line)) for line in lines]
    for opened in watched:
        assert {"config.json", "processor_config.json"} <= opened, "the watch sees nothing"
    before = located(furnished).fingerprint
    assert located(furnished).fingerprint == before
    for name in {*set.union(*watched), "model.safetensors"}:  # which safetensors opens below Python
        path = furnished / name
        content = path.read_bytes()
        if name.endswith(".json"):
            path.write_text(json.dumps(json.loads(content) | {"another_setting": 1}))
        else:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert located(furnished).fingerprint != before, name
        path.write_bytes(content)
    assert located(furnished).fingerprint == before


def test_another_place_and_another_release_are_the_same_model(furnished, tmp_path):
    before = located(furnished).fingerprint
    moved = Path(shutil.move(furnished, tmp_path / "elsewhere"))
    config = json.loads((moved / "config.json").read_text(encoding="utf-8"))
    changed = dict(reversed(config.items())) | {
        "transformers_version": "9",
        "_name_or_path": "/somebody/else",
    }
    (moved / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    (moved / "README.md").write_text("more words", encoding="utf-8")
    assert located(moved).fingerprint == before


@pytest.mark.parametrize("track", ["probe", "zero-shot", "finetune"])
def test_another_sampling_rate_is_another_run(track, furnished):
    from bimotion.evaluation.tracks import configured, runner_of
    from bimotion.models.spec import ModelSpec
    from bimotion.protocol.labels import schema_named

    def used():
        spec = ModelSpec(str(furnished), device="cpu")
        return runner_of(configured(track), spec, schema_named("emotion")).used

    before = used()
    assert before.options["weights_format"] == "safetensors"
    path = furnished / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["feature_extractor"]["sampling_rate"] = 8000
    path.write_text(json.dumps(content), encoding="utf-8")
    assert used() != before
