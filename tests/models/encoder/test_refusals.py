"""Whatever is no model of speech is refused in one line, from a folder and from the Hub."""

import json
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import transformers
from huggingface_hub import errors
from safetensors.numpy import load_file, save_file

from bimotion.errors import SettingError
from bimotion.models.encoder import load
from bimotion.models.spec import ModelSpec
from tests.support.short_clips import CLIPS
from tests.support.weight_files import refused, spec

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("/nowhere/nothing", ["nothing", "found no such folder"]),
        ("./nothing", ["found no such folder"]),
        ("", ["found no such folder"]),
        ("nobody/nothing", ["nobody/nothing: no such folder, not in the cache, and no network"]),
        ("not an id", ["not an id"]),
    ],
)
def test_names_of_nothing_are_refused(name, parts):
    refused(name, *parts)


def test_folders_without_a_model_are_named(copy, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "expected config.json", "found nothing")
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    refused(tmp_path / "tokenizer", "expected config.json", "only a tokenizer")
    bare = copy(name="bare")
    (bare / "preprocessor_config.json").unlink()
    refused(bare, "expected an audio model with a preprocessor_config.json", "wav2vec2")
    broken = copy(name="broken")
    (broken / "config.json").write_text("{")
    refused(broken, "expected a configuration")
    refused(copy(name="folder"), "is a folder, and revision 'main' means nothing", revision="main")


@pytest.mark.parametrize(
    ("kind", "extractor", "parts"),
    [
        ("Bert", None, ["expected an audio model", "'bert'"]),
        ("Bert", "speech", ["expected an audio model", "BertModel", "no part of which takes"]),
        ("ViT", "images", ["expected an audio model", "'vit'"]),
    ],
)
def test_models_of_text_and_images_are_named(kind, extractor, parts, folder, tmp_path):
    config = getattr(transformers, f"{kind}Config")(intermediate_size=16, **SIZES)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path)
    target = tmp_path / "preprocessor_config.json"
    if extractor == "speech":
        shutil.copy(folder("hubert") / target.name, target)
    elif extractor == "images":
        target.write_text('{"image_processor_type": "ViTImageProcessor", "size": 224}')
    refused(tmp_path, *parts)


def test_weights_that_miss_break_or_do_not_fit_are_refused(copy):
    none = copy(name="none")
    (none / "model.safetensors").unlink()
    refused(none, "expected weights as model.safetensors or pytorch_model.bin, found none")
    path = copy(name="cut") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(path.parent, str(path), "found a broken file")
    other = copy(name="other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    refused(other, "expected all weights of Wav2Vec2Model", "of another shape")
    path = copy(name="lacking") / "model.safetensors"
    tensors = load_file(path)
    name = "encoder.layers.1.feed_forward.output_dense.weight"
    tensors, gone = {key: value for key, value in tensors.items() if key != name}, tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})
    refused(path.parent, "1 of ", f"such as {name}")
    save_file(tensors | {name: gone * np.nan}, path, metadata={"format": "pt"})
    refused(path.parent, "NaN or infinity")


def test_code_of_its_own_needs_permission(copy):
    model = copy()
    config = json.loads((model / "config.json").read_text())
    auto = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (model / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": auto}))
    (model / "own.py").write_text(
        "from transformers import Wav2Vec2Config, Wav2Vec2Model\n"
        "class OwnConfig(Wav2Vec2Config):\n    model_type = 'own'\n"
        "class OwnModel(Wav2Vec2Model):\n    config_class = OwnConfig\n    config: OwnConfig\n"
    )
    refused(model, "has code of its own", "--trust-remote-code")
    trusted = load(spec(model, trust_remote_code=True))
    assert trusted.trusted_remote_code
    assert not trusted._inputs.mixes_lengths  # what is not known is not padded
    assert trusted.largest_difference(CLIPS) < 1e-5
    with (model / "own.py").open("a") as stream:
        stream.write("# another version\n")
    assert load(spec(model, trust_remote_code=True)).fingerprint != trusted.fingerprint


HUB = {
    "GatedRepoError": "is gated: accept its terms",
    "RepositoryNotFoundError": "no such model on the Hub",
    "RevisionNotFoundError": "no revision",
    "LocalEntryNotFoundError": "no network to the Hub",
    "RemoteEntryNotFoundError": "expected config.json",
}


@pytest.mark.parametrize("kind", HUB)
def test_what_the_hub_refuses_is_explained(kind, monkeypatch):
    def refuse(*_, **__):
        # without the answer of a server
        error = getattr(errors, kind).__new__(getattr(errors, kind))
        Exception.__init__(error, "long\ntext")
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    refused("some/model", "some/model", HUB[kind], revision="v1")


def test_a_commit_on_the_hub_is_resolved_and_used(folder, monkeypatch, tmp_path):
    """A cache as the Hub fills it, read offline: the revision becomes its commit, and that is the
    fingerprint's part."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = Path(tmp_path / "models--some--model")
    shutil.copytree(folder("hubert"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    libraries = ("huggingface_hub", "transformers")
    for module in [m for name, m in sys.modules.items() if name.startswith(libraries)]:
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            if isinstance(vars(module).get(name), str):
                monkeypatch.setattr(module, name, str(tmp_path))
    assert str(tmp_path) == huggingface_hub.constants.HF_HUB_CACHE
    model = load(spec("some/model"))
    assert (model.name, model.revision) == ("some/model", commit)
    assert load(spec("some/model", revision=commit)).fingerprint == model.fingerprint
    expected = load(spec(folder("hubert"))).encode(CLIPS[:2])
    np.testing.assert_array_equal(model.encode(CLIPS[:2]), expected)


def test_settings_that_cannot_be_are_refused(folder):
    with pytest.raises(SettingError, match="batch_seconds: expected a number above 0"):
        load(spec(folder("hubert"), batch_seconds=0))
    with pytest.raises(SettingError, match="device 'nonsense' cannot be used"):
        load(ModelSpec(str(folder("hubert")), device="nonsense"))
