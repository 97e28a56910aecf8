"""Weights from the Hub: what it has is taken, and nothing more is asked for."""

import os
import shutil
from pathlib import Path

import pytest
import transformers

from tests.support import tiny_families
from tests.support.command_line import run_python
from tests.support.hub_repository import Repository
from tests.support.hub_server import Hub
from tests.support.weight_files import features, pickled, sharded


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
    copies["codec"] = tiny_families.build("encodec", root / "codec")
    copies["text"] = root / "text"
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    transformers.BertModel(
        transformers.BertConfig(vocab_size=9, intermediate_size=8, **sizes)
    ).save_pretrained(copies["text"])
    with Hub() as served:
        for name, folder in copies.items():
            files = {path.name: path.read_bytes() for path in folder.iterdir()}
            served.repositories[f"org/{name}"] = Repository(False, {"main": files})
        yield served


_LOADED = [f"org/{name}" for name in ("safe", "bin", "both", "shards", "adapter", "onnx")]
_REFUSED = {"org/codec": "wrap it as an object", "org/text": "expected an audio model"}
_PROGRAM = f"""
import numpy as np
from bimotion.errors import BimotionError
from bimotion.evaluation.tracks import configured, runner_of
from bimotion.models import encoder as encoders
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import schema_named
clip = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
for name in {_LOADED}:
    try:
        encoder = encoders.load(ModelSpec(name, device="cpu"))
        features = encoder.encode([clip]).astype("<f4").tobytes().hex()[:4000]
        print(name, encoder.weights_format, encoder.revision, features)
    except BimotionError as error:
        print(name, "REFUSED", error)
for model in {[*_REFUSED]}:
    for name in ("probe", "finetune", "zero-shot"):
        try:
            spec = ModelSpec(model, device="cpu")
            runner_of(configured(name), spec, schema_named("emotion")).used
            print(model, name, "taken")
        except BimotionError as error:
            print(model, name, "refused", error)
"""


@pytest.fixture(scope="module")
def lines(hub, tmp_path_factory) -> list[str]:
    """Lines about every model from a process that knows only this Hub and has nothing in its
    cache."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "DISABLE_SAFE"))
    }
    own = {"HF_HOME": str(tmp_path_factory.mktemp("home")), "HF_ENDPOINT": hub.url}
    own |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    return run_python(_PROGRAM, env=kept | own).stdout.splitlines()


def test_the_hub_gives_what_it_has_and_is_asked_for_nothing_more(hub, plain, lines):
    results = dict(line.split(" ", 1) for line in lines)
    expected = features(plain).astype("<f4").tobytes().hex()[:4000]
    forms = {"safe": "safetensors", "both": "safetensors", "bin": "pytorch", "shards": "pytorch"}
    commit = hub.repositories["org/safe"].sha
    for name, form in forms.items():
        assert results[f"org/{name}"] == f"{form} {commit} {expected}"
    assert "merge it first" in results["org/adapter"]
    assert "an ONNX export" in results["org/onnx"]
    asked = [path for _, path, _ in hub.requests]
    assert "/org/both/resolve/main/pytorch_model.bin" not in asked
    assert not [path for path in hub.asked("GET", r"\.bin$") if "both" in path]
    # nobody asked for a conversion to safetensors
    assert not [path for path in asked if "discussions" in path or "commits" in path]


def test_weights_of_what_is_refused_are_never_fetched(hub, lines):
    refused = [line for line in lines if line.startswith(tuple(_REFUSED))]
    assert [line.split()[2] for line in refused] == ["refused"] * 6, refused
    for name, reason in _REFUSED.items():
        assert reason in next(line for line in refused if line.startswith(name))
        fetched = hub.asked("GET", name)
        assert any(path.endswith("/config.json") for path in fetched)
        assert [path for path in fetched if path.endswith((".safetensors", ".bin"))] == []
