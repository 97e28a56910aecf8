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
    assert located(both).fingerprint == located(plain).fingerprint


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
    refused(folder, "pytorch_model.bin: expected weights", "cut short")
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
