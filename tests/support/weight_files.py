"""Folders of a model with its weights in another form."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bimotion.errors import ModelError
from bimotion.models import encoder
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import ModelFiles, Origin

NAMES = {0: "angry", 1: "happy", 2: "sad"}


CLIP = [(0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)]


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
    weight_map = {}
    for number in (1, 2):
        name = f"{stem}-{number:05}-of-00002.{end}"
        part = {
            key: tensor
            for position, (key, tensor) in enumerate(sorted(tensors.items()))
            if position % 2 == number - 1
        }
        if form == "safetensors":
            save_file(part, folder / name, metadata={"format": "pt"})
        else:
            torch.save(part, folder / name)
        weight_map |= dict.fromkeys(part, rename(name))
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / f"{stem}.{end}.index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def spec(folder, **options) -> ModelSpec:
    return ModelSpec(str(folder), device="cpu", **options)


def located(folder: Path, **options) -> Origin:
    return ModelFiles(spec(folder, **options)).origin()


def features(folder, **options) -> np.ndarray:
    return encoder.load(spec(folder, **options)).encode(CLIP)


def refused(folder, *parts: str, **options) -> str:
    with pytest.raises(ModelError) as caught:
        encoder.load(spec(folder, **options))
    text = str(caught.value)
    assert [part for part in parts if part not in text] == [], text
    assert "\n" not in text
    return text
