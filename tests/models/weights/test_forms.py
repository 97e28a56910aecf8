"""Weights as people have them: safetensors, pickled, in shards, in half precision, of other
frameworks."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bimotion.models import encoder
from bimotion.models.classifier import Classifier
from tests.support.weight_files import features, located, pickled, refused, sharded, spec


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
        parts = ("expected weights as safetensors", "--require-safetensors")
        refused(folder, *parts, require_safetensors=True)
    else:
        assert (features(folder, require_safetensors=True) == features(plain)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_single(dtype, plain, copy):
    safe = copy("safe")
    path = safe / "model.safetensors"
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    halves = features(safe)
    assert halves.dtype == np.float32
    assert (features(pickled(copy("bin"), dtype)) == halves).all()
    assert 0 < np.abs(halves - features(plain)).max() < 0.05


def test_safetensors_come_first(plain, copy):
    both = copy("both")
    (both / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert (features(both) == features(plain)).all()
    assert located(both).fingerprint == located(plain).fingerprint


class Trap:
    """Stands in a hostile pickle: read without care, it makes a folder."""

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
@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00002-of-00002.bin"])
def test_a_pickle_with_code_is_one_line_and_runs_nothing(name, zipped, copy, tmp_path):
    folder, trap = copy(), tmp_path / "sprung"
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    else:
        sharded(folder, "pytorch")
    hostile(folder, trap, name, zipped=zipped)
    refused(folder, "more than tensors", "never done")
    assert not trap.exists()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 94371512\n"


LEFTOVERS = [
    (LFS, "found a git-lfs pointer: run `git lfs pull`"),
    (b"", "found an empty file: download it again"),
    (b"<!DOCTYPE html><html>404</html>", "found a web page: download it again"),
]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize(("content", "reason"), LEFTOVERS)
def test_what_a_download_left_in_the_place_of_weights_is_told(name, content, reason, copy):
    folder = copy()
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    refused(folder, f"{name}: expected weights, {reason}")


def test_a_header_that_looks_like_a_web_page_is_none(plain, copy):
    """Its length starts as ` <`."""
    folder = copy()
    path = folder / "model.safetensors"
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].ljust(0x3C20)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    assert path.read_bytes().startswith(b" <\0")
    assert (features(folder) == features(plain)).all()


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_weights_that_are_cut_short_are_told(legacy, copy):
    folder = pickled(copy())
    path = folder / "pytorch_model.bin"
    if legacy:
        torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(folder, "pytorch_model.bin: expected weights", "cut short")
    path.write_bytes(bytes(1000))
    refused(folder, "pytorch_model.bin: expected weights, found neither a zip nor a pickle")


@pytest.mark.parametrize("form", ["safetensors", "pytorch"])
@pytest.mark.parametrize("rename", ["../{}", "/etc/{}", "sub/{}", "..\\{}", "{}.txt"])
def test_an_index_names_no_files_elsewhere(form, rename, copy):
    folder = sharded(copy(), form, rename=rename.format)
    refused(folder, ".index.json: expected names of *.", "beside it")


@pytest.mark.parametrize(
    "weight_map", ["[]", "{}", '{"": {}}', '{"": {"a": 1}}', "{" * 5000, '{"": {"a": "b.bin"}}']
)
def test_an_index_that_is_none_is_one_line(weight_map, copy):
    folder = sharded(copy(), "pytorch")
    content = weight_map.replace('""', '"weight_map"')
    (folder / "pytorch_model.bin.index.json").write_text(content, encoding="utf-8")
    refused(folder, "pytorch_model.bin.index.json")


def test_weights_that_a_configuration_names_lie_beside_it(plain, copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"transformers_weights": "mine.safetensors"}))
    assert (features(folder) == features(plain)).all()
    path.write_text(json.dumps(config | {"transformers_weights": "../mine.safetensors"}))
    refused(folder, "transformers_weights: expected a *.safetensors beside it")


ADAPTER = "holds an adapter (adapter_config.json), not a whole model: merge it first"
NO_WEIGHTS = "expected weights as model.safetensors or pytorch_model.bin, found none among"
SPEECHBRAIN = "a SpeechBrain model: wrap it as an object with encode()"
FOREIGN = {
    "config.json model.onnx": "an ONNX export",
    "hyperparams.yaml embedding_model.ckpt": SPEECHBRAIN,
    "config.json hyperparams.yaml wav2vec2.ckpt": SPEECHBRAIN,
    "config.json tf_model.h5": "TensorFlow weights",
    "config.json flax_model.msgpack": "Flax weights",
    "config.json model.nemo": "a NeMo model",
    "checkpoint_best.pt": "PyTorch weights outside of transformers",
    "adapter_config.json adapter_model.safetensors": ADAPTER,
    "config.json adapter_config.json": "merge it first",
    "config.json README.md": NO_WEIGHTS,
    "tokenizer.json": "only a tokenizer",
}


@pytest.mark.parametrize("names", FOREIGN)
def test_what_is_no_model_of_transformers_is_called_by_its_name(names, plain, tmp_path):
    for name in names.split():
        source = plain / name
        (tmp_path / name).write_bytes(source.read_bytes() if source.is_file() else b"{}")
    assert "pickle" not in refused(tmp_path, FOREIGN[names])


def test_the_folder_above_a_model_says_where_the_model_is(plain, tmp_path):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    shutil.copytree(plain, tmp_path / "best")  # as a checkpoint of fine-tuning lies
    refused(tmp_path, f"found one in {tmp_path / 'best'}: pass that folder")
