"""Weights as people have them: safetensors, pickled, in shards, in half precision, of other
frameworks; and what a model is."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bimotion.models import encoder, weights
from bimotion.models.classifier import Classifier
from bimotion.models.weights import ModelError, ModelSpec, located
from tests.support import model_hub, tiny_models

NAMES = {0: "angry", 1: "happy", 2: "sad"}
CLIP = [(0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A tiny classifier in safetensors; not to be changed."""
    return tiny_models.build(
        "wav2vec2-layer", tmp_path_factory.mktemp("plain") / "model", id2label=NAMES
    )


@pytest.fixture
def copy(plain, tmp_path):
    return lambda name="copy": Path(shutil.copytree(plain, tmp_path / name))


def pickled(folder: Path, dtype=None) -> Path:
    """The folder with its weights as pytorch_model.bin instead."""
    tensors = load_file(folder / "model.safetensors")
    torch.save(
        {name: tensor if dtype is None else tensor.to(dtype) for name, tensor in tensors.items()},
        folder / "pytorch_model.bin",
    )
    (folder / "model.safetensors").unlink()
    return folder


def sharded(folder: Path, form: str, *, rename=lambda name: name) -> Path:
    """The folder with its weights in two files and an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem, end = {"safetensors": ("model", "safetensors"), "pytorch": ("pytorch_model", "bin")}[form]
    places = {}
    for number in (1, 2):
        name = f"{stem}-{number:05}-of-00002.{end}"
        part = {
            key: tensor
            for place, (key, tensor) in enumerate(sorted(tensors.items()))
            if place % 2 == number - 1
        }
        if form == "safetensors":
            save_file(part, folder / name, metadata={"format": "pt"})
        else:
            torch.save(part, folder / name)
        places |= dict.fromkeys(part, rename(name))
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{stem}.{end}.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def spec(folder, **options) -> ModelSpec:
    return ModelSpec(str(folder), device="cpu", **options)


def features(folder, **options) -> np.ndarray:
    return encoder.load(spec(folder, **options)).encode(CLIP)


def refused(folder, *parts: str, **options) -> str:
    with pytest.raises(ModelError) as caught:
        encoder.load(spec(folder, **options))
    text = str(caught.value)
    assert [part for part in parts if part not in text] == [], text
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "make", "form"),
    [
        ("bin", pickled, "pytorch"),
        ("safetensors shards", lambda folder: sharded(folder, "safetensors"), "safetensors"),
        ("bin shards", lambda folder: sharded(folder, "pytorch"), "pytorch"),
    ],
)
def test_weights_of_every_form_give_the_same_features(name, make, form, plain, copy):
    folder = make(copy())
    assert (features(folder) == features(plain)).all()
    assert encoder.load(spec(folder)).weights_format == form
    classifier = Classifier(spec(folder))
    assert classifier.weights_format == form
    if form == "pytorch":
        refused(
            folder,
            "expected weights as safetensors",
            "--require-safetensors",
            require_safetensors=True,
        )
    else:
        assert (features(folder, require_safetensors=True) == features(plain)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_single(dtype, plain, copy):
    safe = copy("safe")
    tensors = {
        name: tensor.to(dtype) for name, tensor in load_file(safe / "model.safetensors").items()
    }
    save_file(tensors, safe / "model.safetensors", metadata={"format": "pt"})
    found = features(safe)
    assert found.dtype == np.float32
    assert (features(pickled(copy("bin"), dtype)) == found).all()
    assert 0 < np.abs(found - features(plain)).max() < 0.05


def test_safetensors_come_first(plain, copy):
    both = copy("both")
    (both / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert (features(both) == features(plain)).all()
    assert located(spec(both)).fingerprint == located(spec(plain)).fingerprint


class Trap:
    """What a hostile pickle does when it is read without care: it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def hostile(folder: Path, trap: Path, name: str, *, zipped: bool) -> None:
    content = {"weight": torch.zeros(1), "trap": Trap(trap)}
    if zipped:
        torch.save(content, folder / name)
    else:
        (folder / name).write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["single", "shard"])
def test_a_pickle_with_code_is_one_line_and_runs_nothing(place, zipped, copy, tmp_path):
    folder, trap = copy(), tmp_path / "sprung"
    if place == "single":
        (folder / "model.safetensors").unlink()
        hostile(folder, trap, "pytorch_model.bin", zipped=zipped)
    else:
        sharded(folder, "pytorch")
        hostile(folder, trap, "pytorch_model-00002-of-00002.bin", zipped=zipped)
    refused(folder, "more than tensors", "never done")
    assert not trap.exists()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 94371512\n"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LFS, "found a git-lfs pointer: run `git lfs pull`"),
        (b"", "found an empty file: download it again"),
        (b"<!DOCTYPE html><html>404</html>", "found a web page: download it again"),
    ],
)
def test_what_a_download_left_in_the_place_of_weights_is_told(name, content, said, copy):
    folder = copy()
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    refused(folder, f"{name}: expected weights, {said}")


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_weights_that_are_cut_short_are_told(legacy, copy):
    folder = pickled(copy())
    path = folder / "pytorch_model.bin"
    if legacy:
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(
        folder,
        "expected"
        if legacy
        else "pytorch_model.bin: expected weights, found a file that is cut short",
    )
    path.write_bytes(bytes(1000))
    refused(folder, "pytorch_model.bin: expected weights, found neither a zip nor a pickle")


@pytest.mark.parametrize("form", ["safetensors", "pytorch"])
@pytest.mark.parametrize("rename", ["../{}", "/etc/{}", "sub/{}", "..\\{}", "{}.txt"])
def test_an_index_names_no_files_elsewhere(form, rename, copy):
    folder = sharded(copy(), form, rename=rename.format)
    refused(folder, ".index.json: expected names of *.", "beside it")


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 1}}',
        "{" * 5000,
        '{"weight_map": {"a": "b.bin"}}',
    ],
)
def test_an_index_that_is_none_is_one_line(content, copy):
    folder = sharded(copy(), "pytorch")
    (folder / "pytorch_model.bin.index.json").write_text(content, encoding="utf-8")
    refused(folder, "pytorch_model.bin.index.json")


def test_weights_that_a_configuration_names_lie_beside_it(plain, copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps(config | {"transformers_weights": "mine.safetensors"}), encoding="utf-8"
    )
    assert (features(folder) == features(plain)).all()
    (folder / "config.json").write_text(
        json.dumps(config | {"transformers_weights": "../mine.safetensors"}), encoding="utf-8"
    )
    refused(folder, "transformers_weights: expected a *.safetensors beside it")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["config.json", "model.onnx"], "an ONNX export"),
        (
            ["hyperparams.yaml", "embedding_model.ckpt"],
            "a SpeechBrain model: wrap it as an object with encode()",
        ),
        (["config.json", "hyperparams.yaml", "wav2vec2.ckpt"], "a SpeechBrain model"),
        (["config.json", "tf_model.h5"], "TensorFlow weights"),
        (["config.json", "flax_model.msgpack"], "Flax weights"),
        (["config.json", "model.nemo"], "a NeMo model"),
        (["checkpoint_best.pt"], "PyTorch weights outside of transformers"),
        (
            ["adapter_config.json", "adapter_model.safetensors"],
            "holds an adapter (adapter_config.json), not a whole model: merge it first",
        ),
        (["config.json", "adapter_config.json"], "merge it first"),
        (
            ["config.json", "README.md"],
            "expected weights as model.safetensors or pytorch_model.bin, found none among",
        ),
        (["tokenizer.json"], "only a tokenizer"),
    ],
)
def test_what_is_no_model_of_transformers_is_called_by_its_name(files, reason, plain, tmp_path):
    for name in files:
        source = plain / name
        (tmp_path / name).write_bytes(source.read_bytes() if source.is_file() else b"{}")
    assert "pickle" not in refused(tmp_path, reason)


def test_the_folder_above_a_model_says_where_the_model_is(plain, tmp_path):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    shutil.copytree(plain, tmp_path / "best")  # as a checkpoint of fine-tuning lies
    refused(tmp_path, f"found one in {tmp_path / 'best'}: pass that folder")


@pytest.fixture(scope="module")
def hub(plain, tmp_path_factory):
    """Repositories of the forms above, served by HTTP."""
    root = tmp_path_factory.mktemp("hub")
    copies = {
        name: Path(shutil.copytree(plain, root / name))
        for name in ("safe", "bin", "both", "shards", "adapter", "onnx")
    }
    pickled(copies["bin"])
    (copies["both"] / "pytorch_model.bin").write_bytes(b"must not be fetched")
    sharded(copies["shards"], "pytorch")
    for path in copies["adapter"].iterdir():
        path.unlink()
    (copies["adapter"] / "adapter_config.json").write_text("{}", encoding="utf-8")
    (copies["onnx"] / "model.safetensors").rename(copies["onnx"] / "model.onnx")
    with model_hub.ModelHub({f"org/{name}": folder for name, folder in copies.items()}) as served:
        yield served


_LOAD = """
import sys, numpy as np
from bimotion.errors import BimotionError
from bimotion.models import encoders
from bimotion.models.weights import ModelSpec
clip = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
for name in sys.argv[1:]:
    try:
        encoder = encoders.load(ModelSpec(name, device="cpu"))
        features = encoder.encode([clip]).astype("<f4").tobytes().hex()[:4000]
        print(name, encoder.weights_format, encoder.revision, features)
    except BimotionError as error:
        print(name, "REFUSED", error)
"""


def test_the_hub_gives_what_it_has_and_is_asked_for_nothing_more(hub, plain, tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "DISABLE_SAFE"))
    }
    environment |= {
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    names = [f"org/{name}" for name in ("safe", "bin", "both", "shards", "adapter", "onnx")]
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    expected = features(plain).astype("<f4").tobytes().hex()[:4000]
    for name, form in [
        ("safe", "safetensors"),
        ("bin", "pytorch"),
        ("both", "safetensors"),
        ("shards", "pytorch"),
    ]:
        assert found[f"org/{name}"] == f"{form} {hub.commit(f'org/{name}')} {expected}"
    assert "merge it first" in found["org/adapter"]
    assert "an ONNX export" in found["org/onnx"]
    assert not hub.asked_for("org/both/resolve/main/pytorch_model.bin")
    assert {
        path
        for verb, path in hub.requests
        if verb == "GET" and path.endswith(".bin") and "both" in path
    } == set()
    assert not hub.asked_for("discussions"), "nobody asked for a conversion to safetensors"
    assert not hub.asked_for("commits")


_WATCH = """
import json, os, sys
folder, kind, opened = os.path.realpath(sys.argv[1]), sys.argv[2], set()
def watch(event, args):
    if event == "open" and isinstance(args[0], str):
        path = os.path.realpath(args[0])
        if path.startswith(folder + os.sep):
            opened.add(os.path.relpath(path, folder))
from bimotion.models import encoders
from bimotion.models.classifier import Classifier
from bimotion.models.weights import ModelSpec, located
import torch, transformers
origin = located(ModelSpec(folder))
sys.addaudithook(watch)
from bimotion.models import weights
weights.located = lambda spec: origin  # what identity reads is not what loading opens
spec = ModelSpec(folder, device="cpu")
encoders.load(spec) if kind == "encoder" else Classifier(spec)
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


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_whatever_loading_opens_is_part_of_what_a_model_is(kind, furnished):
    done = subprocess.run(
        [sys.executable, "-c", _WATCH, furnished, kind], capture_output=True, text=True, check=True
    )
    opened = json.loads(done.stdout.splitlines()[-1])
    assert {"config.json", "processor_config.json"} <= set(opened), "the watch sees nothing"
    before = located(spec(furnished)).fingerprint
    assert located(spec(furnished)).fingerprint == before
    for name in {*opened, "model.safetensors"}:  # which safetensors opens below Python
        path = furnished / name
        content = path.read_bytes()
        if name.endswith(".json"):
            path.write_text(
                json.dumps(json.loads(content) | {"another_setting": 1}), encoding="utf-8"
            )
        else:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert located(spec(furnished)).fingerprint != before, name
        path.write_bytes(content)
    assert located(spec(furnished)).fingerprint == before


def test_another_place_and_another_release_are_the_same_model(furnished, tmp_path):
    before = located(spec(furnished)).fingerprint
    moved = Path(shutil.move(furnished, tmp_path / "elsewhere"))
    config = json.loads((moved / "config.json").read_text(encoding="utf-8"))
    changed = dict(reversed(config.items())) | {
        "transformers_version": "9",
        "_name_or_path": "/somebody/else",
    }
    (moved / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    (moved / "README.md").write_text("more words", encoding="utf-8")
    assert located(spec(moved)).fingerprint == before


@pytest.mark.parametrize("track", ["probe", "zero-shot", "finetune"])
def test_another_sampling_rate_is_another_run(track, furnished):
    from bimotion.evaluation.tracks import TrackOptions
    from bimotion.evaluation.tracks import track as tracked
    from bimotion.protocol.labels import schema_named

    def used():
        return tracked(
            str(furnished), track, schema_named("emotion"), TrackOptions(), device="cpu"
        ).used

    before = used()
    assert before.options["weights_format"] == "safetensors"
    path = furnished / "processor_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["feature_extractor"]["sampling_rate"] = 8000
    path.write_text(json.dumps(content), encoding="utf-8")
    assert used() != before


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
        located(spec(folder, trust_remote_code=True)).fingerprint
        == located(spec(folder, trust_remote_code=True)).fingerprint
    )


def test_settings_are_read_whole_only_where_they_are_of_a_size_for_settings(copy):
    folder = copy()
    with (folder / "notes.json").open("wb") as stream:
        stream.truncate(2**27)
    tracemalloc.start()
    before = located(spec(folder)).fingerprint
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**26
    with (folder / "notes.json").open("r+b") as stream:
        stream.seek(2**26)
        stream.write(b"x")
    assert located(spec(folder)).fingerprint != before


def test_the_same_settings_in_another_file_are_another_model(copy):
    folder = copy()
    before = located(spec(folder)).fingerprint
    (folder / "preprocessor_config.json").rename(folder / "processor_config.json")
    assert located(spec(folder)).fingerprint != before


def test_code_of_another_repository_is_refused_and_trusted_code_makes_every_file_count(copy):
    folder = copy()
    (folder / "words").mkdir()
    (folder / "words" / "table.bin").write_bytes(b"1")
    before = [
        located(spec(folder, trust_remote_code=trusted)).fingerprint for trusted in (False, True)
    ]
    (folder / "words" / "table.bin").write_bytes(b"2")
    after = [
        located(spec(folder, trust_remote_code=trusted)).fingerprint for trusted in (False, True)
    ]
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
