"""Models that declare too much: every number is bounded before it is used."""

import collections
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from bimotion.errors import ModelError
from bimotion.models import config_bounds, legacy_pickle
from tests.support import tiny_models
from tests.support.bounded_process import refusals

DEEP = {"a": 1}
for _ in range(100):
    DEEP = {"a": DEEP}
FITS, LABELS = "fits its weights", {str(n): "x" for n in range(10**5)}
CONVOLUTIONS = {"conv_kernel": [60_000] * 7, "conv_stride": [60_000] * 7}
W2V, WHISPER = "wav2vec2-group", "whisper"
CONFIGS = [  # family, what its config.json is made to say, part of the message
    (W2V, {"hidden_size": 10**6}, FITS),
    (W2V, {"intermediate_size": 10**9}, FITS),
    (W2V, {"num_hidden_layers": 10**6}, "num_hidden_layers: expected 0 to 512"),
    (WHISPER, {"encoder_layers": -1}, "encoder_layers: expected 0 to 512"),
    (WHISPER, {"max_source_positions": 10**9}, FITS),
    (WHISPER, {"max_source_positions": 0}, "max_source_positions: expected 1 to 1,000,000,000"),
    (WHISPER, {"vocab_size": 10**11}, FITS),
    ("ast", {"max_length": 10**10}, FITS),
    (W2V, {"num_conv_pos_embeddings": 10**10}, FITS),
    (W2V, {"conv_kernel": [10**9] * 7}, "conv_kernel: expected 1 to 65,536"),
    (W2V, CONVOLUTIONS, "30 s"),
    (W2V, {"conv_stride": [0] * 7}, "conv_stride: expected 1 to 65,536"),
    (W2V, {"conv_stride": [1] * 7}, "1000 a second, found"),
    (W2V, {"conv_stride": [1] * 10**5}, "at most 20000 entries"),
    (W2V, {"conv_stride": [2] * 6}, "validat"),
    (W2V, {"id2label": LABELS}, "at most 20000 entries"),
    (W2V, {"x": DEEP}, "at most 16 levels"),
    (W2V, {"x": "x" * 5 * 10**6}, "at most 4194304 bytes"),
]
PREPROCESSORS = [  # likewise of preprocessor_config.json
    (W2V, {"sampling_rate": 10**9}, "sampling_rate: expected 4,000 to 192,000"),
    (W2V, {"sampling_rate": 0}, "sampling_rate: expected 4,000 to 192,000"),
    (W2V, {"sampling_rate": -16000}, "sampling_rate: expected"),
    (W2V, {"sampling_rate": float("nan")}, "sampling_rate: expected"),
    (WHISPER, {"n_fft": 10**9}, "n_fft: expected 1 to 65,536"),
    (WHISPER, {"chunk_length": 10**9}, "chunk_length: expected 0 to 600"),
    (WHISPER, {"feature_size": 10**9}, "feature_size: expected 1 to 4,096"),
    (WHISPER, {"hop_length": 0}, "hop_length: expected 1 to 65,536"),
]


def test_models_that_declare_too_much(tmp_path):
    whole = {name: tiny_models.build(name, tmp_path / name) for name in (W2V, WHISPER, "ast")}
    twins = {}
    for file, cases in (("config.json", CONFIGS), ("preprocessor_config.json", PREPROCESSORS)):
        for family, values, part in cases:
            twin = Path(shutil.copytree(whole[family], tmp_path / f"{len(twins)} {min(values)}"))
            content = json.loads((twin / file).read_text())
            (twin / file).write_text(json.dumps(content | values))
            twins[twin] = part
    header = shutil.copytree(whole["ast"], tmp_path / "header") / "model.safetensors"
    header.write_bytes((1 << 62).to_bytes(8, "little") + header.read_bytes()[8:])
    endless = shutil.copytree(whole["ast"], tmp_path / "endless")
    (endless / "config.json").write_text("[" * 1_000_000)
    twins |= {header.parent: "safetensors", endless: "levels"}
    lines = refusals("tests.support.bounded_models:read", twins)
    for (folder, part), line in zip(twins.items(), lines, strict=True):
        assert part in line, (folder.name, line)


class Storage:
    """Stands for the numbers of a tensor in a pickle of torch."""


class Pickler(pickle.Pickler):
    """Pickles weights as torch does, with a storage that says to hold `n_stored` numbers."""

    def __init__(self, file, n_stored: int, *, zipped: bool):
        super().__init__(file, 2)
        view = () if zipped else (None,)
        self.reference = "storage", torch.FloatStorage, "0", "cpu", n_stored, *view

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
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": PROTOCOL_VERSION, "little_endian": True, "type_sizes": sizes}
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
    lines = refusals("tests.support.bounded_models:read", twins)
    assert all("weights" in line for line in lines)
    # before torch takes the memory
    assert "pytorch_model.bin: expected weights of 439804" in lines[0]


def test_a_zip_behind_old_weights_hides_nothing(tmp_path):
    from bimotion.models import weight_files

    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-8])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data.pkl", b"")
    content = path.read_bytes()
    assert zipfile.is_zipfile(path)
    assert content.startswith(b"\x80")
    path.write_bytes(content.replace(b"K\x04", b"K\x7f"))  # more numbers than there are
    with pytest.raises(ModelError, match="as it declares"):
        weight_files._check(path, "pytorch")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "int64", "bool", "complex64"])
def test_old_weights_pass_if_they_are_whole(dtype, tmp_path):
    path, tensor = tmp_path / "pytorch_model.bin", torch.ones(7, 1000, dtype=getattr(torch, dtype))
    state = collections.OrderedDict(a=tensor, b=tensor[2:], c=torch.nn.Parameter(torch.ones(3)))
    state._metadata = {"": {"version": 2}}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    legacy_pickle.check(path)
    content = path.read_bytes()
    for end in (len(content) - 1, len(content) // 2, 300, 30):
        path.write_bytes(content[:end])
        with pytest.raises(ModelError, match=r"pytorch_model\.bin: expected weights.*cut short"):
            legacy_pickle.check(path)


@pytest.mark.parametrize(
    "content",
    [
        pickle.BYTEARRAY8 + (1 << 40).to_bytes(8, "little") + b".",
        pickle.BINBYTES8 + (1 << 40).to_bytes(8, "little") + b".",
        pickle.EMPTY_TUPLE * (legacy_pickle.MAX_OPCODES + 1),
        pickle.dumps(bytes.fromhex, 0),
    ],
    ids=["byte array", "bytes", "many", "a function"],
)
def test_pickles_that_ask_for_memory_are_left(content, tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(MAGIC_NUMBER, 2) + content)
    with pytest.raises(ModelError, match="cut short or broken"):
        legacy_pickle.check(path)


def test_many_storages_together_are_bounded_too(tmp_path):
    tensors = {str(number): torch.zeros(50) for number in range(20)}
    tensors["tied"] = tensors["0"]
    path = tmp_path / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    legacy_pickle.check(path)
    # each a size that the file has, all together far more
    path.write_bytes(path.read_bytes().replace(b"K2N", b"M\x00\x08N"))
    with pytest.raises(ModelError, match="as it declares"):
        legacy_pickle.check(path)


def test_every_configuration_of_transformers_is_within_the_bounds():
    import transformers

    transformers.utils.logging.set_verbosity_error()
    contents = {}
    for kind, config in transformers.CONFIG_MAPPING.items():
        try:
            contents[kind] = json.loads(json.dumps(config().to_dict(), default=str))
        except Exception:  # one that has no defaults
            continue
    assert len(contents) > 200
    beyond = {kind: [*config_bounds.out_of_bounds(content)] for kind, content in contents.items()}
    assert {kind: bounds for kind, bounds in beyond.items() if bounds} == {}
