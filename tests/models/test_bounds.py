"""Models that declare too much: every number is bounded before it is used."""

import collections
import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from bimotion.models import encoder
from bimotion.models.spec import ModelSpec
from tests.support import tiny_models
from tests.support.bounded_process import refusals

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"


DEEP = {"a": 1}


for _ in range(100):
    DEEP = {"a": DEEP}


MODELS = {  # name: family, file, what is changed in it, part of the message
    "hidden size": ("wav2vec2-group", CONFIG, {"hidden_size": 10**6}, "fits its weights"),
    "intermediate size": (
        "wav2vec2-group",
        CONFIG,
        {"intermediate_size": 10**9},
        "fits its weights",
    ),
    "layers": (
        "wav2vec2-group",
        CONFIG,
        {"num_hidden_layers": 10**6},
        "num_hidden_layers: expected 0 to 512",
    ),
    "layers below none": (
        "whisper",
        CONFIG,
        {"encoder_layers": -1},
        "encoder_layers: expected 0 to 512",
    ),
    "positions": ("whisper", CONFIG, {"max_source_positions": 10**9}, "fits its weights"),
    "vocabulary": ("whisper", CONFIG, {"vocab_size": 10**11}, "fits its weights"),
    "spectrogram": ("ast", CONFIG, {"max_length": 10**10}, "fits its weights"),
    "convolutions of positions": (
        "wav2vec2-group",
        CONFIG,
        {"num_conv_pos_embeddings": 10**10},
        "fits its weights",
    ),
    "kernel": (
        "wav2vec2-group",
        CONFIG,
        {"conv_kernel": [10**9] * 7},
        "conv_kernel: expected 1 to 65,536",
    ),
    "kernels that multiply": (
        "wav2vec2-group",
        CONFIG,
        {"conv_kernel": [60_000] * 7, "conv_stride": [60_000] * 7},
        "30 s",
    ),
    "stride of 0": (
        "wav2vec2-group",
        CONFIG,
        {"conv_stride": [0] * 7},
        "conv_stride: expected 1 to 65,536",
    ),
    "stride of 1": ("wav2vec2-group", CONFIG, {"conv_stride": [1] * 7}, "1000 a second, found"),
    "too many strides": (
        "wav2vec2-group",
        CONFIG,
        {"conv_stride": [1] * 10**5},
        "at most 20000 entries",
    ),
    "as many kernels as strides": ("wav2vec2-group", CONFIG, {"conv_stride": [2] * 6}, "validat"),
    "outputs": (
        "wav2vec2-group",
        CONFIG,
        {"id2label": {str(n): "x" for n in range(10**5)}},
        "at most 20000 entries",
    ),
    "levels": ("wav2vec2-group", CONFIG, {"x": DEEP}, "at most 16 levels"),
    "bytes": ("wav2vec2-group", CONFIG, {"x": "x" * 5 * 10**6}, "at most 4194304 bytes"),
    "rate": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": 10**9},
        "sampling_rate: expected 4,000 to 192,000",
    ),
    "rate of 0": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": 0},
        "sampling_rate: expected 4,000 to 192,000",
    ),
    "rate below 0": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": -16000},
        "sampling_rate: expected",
    ),
    "rate that is none": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": float("nan")},
        "sampling_rate: expected",
    ),
    "Fourier": ("whisper", PREPROCESSOR, {"n_fft": 10**9}, "n_fft: expected 1 to 65,536"),
    "window": ("whisper", PREPROCESSOR, {"chunk_length": 10**9}, "chunk_length: expected 0 to 600"),
    "mels": ("whisper", PREPROCESSOR, {"feature_size": 10**9}, "feature_size: expected 1 to 4,096"),
    "hop": ("whisper", PREPROCESSOR, {"hop_length": 0}, "hop_length: expected 1 to 65,536"),
}


def changed(folder: Path, name: str, **values) -> Path:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | values))
    return folder


def read(folder: str) -> None:
    """Load a model and hear a second of silence with it."""
    encoder.load(ModelSpec(folder)).encode([np.zeros(16_000, np.float32)])


def test_models_that_declare_too_much(tmp_path):
    twins = {}
    whole = {
        family: tiny_models.build(family, tmp_path / family)
        for family in {family for family, *_ in MODELS.values()}
    }
    for name, (family, file, values, part) in MODELS.items():
        twins[changed(shutil.copytree(whole[family], tmp_path / name), file, **values)] = part
    header = shutil.copytree(whole["ast"], tmp_path / "header") / "model.safetensors"
    header.write_bytes((1 << 62).to_bytes(8, "little") + header.read_bytes()[8:])
    endless = shutil.copytree(whole["ast"], tmp_path / "endless")
    (endless / CONFIG).write_text("[" * 1_000_000)
    twins |= {header.parent: "safetensors", endless: "levels"}
    lines = refusals("tests.models.test_bounds:read", twins)
    for (folder, part), line in zip(twins.items(), lines, strict=True):
        assert part in line, (folder.name, line)


class Storage:
    """Stands for the numbers of a tensor in a pickle of torch."""


class Pickler(pickle.Pickler):
    """Pickles weights as torch does, with a storage that says to hold `n_stored` numbers."""

    def __init__(self, file, n_stored: int, *, zipped: bool):
        super().__init__(file, 2)
        self.reference = "storage", torch.FloatStorage, "0", "cpu", n_stored
        if not zipped:
            self.reference += (None,)

    def persistent_id(self, value):
        return self.reference if isinstance(value, Storage) else None


def lying(names: list[str], n_stored: int, shape: tuple, stride: tuple, *, zipped: bool) -> bytes:
    """Pickled weights of 16 bytes, whose storage, shapes and strides are what they are said to
    be."""

    class Tensor:
        def __reduce__(self):
            arguments = Storage(), 0, shape, stride, False, collections.OrderedDict()
            return torch._utils._rebuild_tensor_v2, arguments

    packed = io.BytesIO()
    Pickler(packed, n_stored, zipped=zipped).dump({name: Tensor() for name in names})
    return (_zipped if zipped else _legacy)(packed.getvalue(), n_stored)


def _zipped(packed: bytes, n_stored: int) -> bytes:
    out = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(out)
    records = {"data.pkl": packed, "byteorder": b"little", "data/0": bytes(16)}
    for name, content in records.items():
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return out.getvalue()


def _legacy(packed: bytes, n_stored: int) -> bytes:
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    heads = [pickle.dumps(head, 2) for head in (MAGIC_NUMBER, PROTOCOL_VERSION, system)]
    tail = [pickle.dumps(["0"], 2), n_stored.to_bytes(8, "little"), bytes(16)]
    return b"".join([*heads, packed, *tail])


def test_pickled_weights_that_declare_too_much(tmp_path):
    from safetensors import safe_open

    whole = tiny_models.build("wav2vec2-layer", tmp_path / "whole")
    with safe_open(whole / "model.safetensors", "np") as stream:
        names = list(stream.keys())
    lies = {
        "storage": (1 << 40, (4,), (1,)),
        "view": (4, (1 << 40,), (1,)),
        "strides": (4, (2, 2), (1 << 40, 1)),
        "stride of 0": (4, (1 << 31,), (0,)),
    }
    twins = []
    for name, lie in lies.items():
        for zipped in (False, True):
            folder = shutil.copytree(whole, tmp_path / f"{name}, {'zip' if zipped else 'legacy'}")
            (folder / "model.safetensors").unlink()
            (folder / "pytorch_model.bin").write_bytes(lying(names, *lie, zipped=zipped))
            twins.append(folder)
    lines = refusals("tests.models.test_bounds:read", twins)
    assert all("weights" in line for line in lines)
    # before torch takes the memory
    assert "pytorch_model.bin: expected weights of 439804" in lines[0]


def test_many_storages_together_are_bounded_too(tmp_path):
    from bimotion.errors import ModelError
    from bimotion.models import legacy_pickle

    tensors = {str(number): torch.zeros(50) for number in range(20)}
    tensors["tied"] = tensors["0"]
    path = tmp_path / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    legacy_pickle.check(path)
    content = path.read_bytes()
    for end in (len(content) - 1, len(content) // 2, 300, 30):
        path.write_bytes(content[:end])
        with pytest.raises(ModelError, match=r"pytorch_model\.bin: expected weights.*cut short"):
            legacy_pickle.check(path)
    # each a size that the file has, all together far more
    path.write_bytes(content.replace(b"K2N", b"M\x00\x08N"))
    with pytest.raises(ModelError, match="as it declares"):
        legacy_pickle.check(path)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "int64", "bool", "complex64"])
def test_whole_weights_of_the_old_form_pass(dtype, tmp_path):
    from bimotion.models import legacy_pickle

    path = tmp_path / "pytorch_model.bin"
    found = torch.ones(7, 1000, dtype=getattr(torch, dtype))
    state = collections.OrderedDict(a=found, b=found[2:], c=torch.nn.Parameter(torch.ones(3)))
    state._metadata = {"": {"version": 2}}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    legacy_pickle.check(path)


def test_every_configuration_of_transformers_is_within_the_bounds():
    import transformers

    from bimotion.models import config_bounds

    transformers.utils.logging.set_verbosity_error()
    made = {}
    for kind, config in transformers.CONFIG_MAPPING.items():
        try:
            made[kind] = json.loads(json.dumps(config().to_dict(), default=str))
        except Exception:  # one that has no defaults
            continue
    assert len(made) > 200
    assert [
        (kind, *found)
        for kind, content in made.items()
        for found in config_bounds.out_of_bounds(content)
    ] == []
