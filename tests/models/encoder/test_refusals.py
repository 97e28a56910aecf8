"""What is no model of speech is refused in one line, from a folder and from the Hub."""

import json
import shutil
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bimotion.errors import ModelError, SettingError
from bimotion.models.encoder import load
from bimotion.models.spec import ModelSpec
from tests.support.short_clips import CLIPS

TEXT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 16,
}


def refused(model, *expected, **options):
    with pytest.raises(ModelError) as caught:
        load(ModelSpec(str(model), device="cpu", **options))
    text = str(caught.value)
    assert "\n" not in text
    assert all(part in text for part in expected), text


def test_what_is_no_folder_is_named(tmp_path):
    refused(tmp_path / "nothing", "nothing", "found no such folder")
    refused("./nothing", "found no such folder")
    refused("", "found no such folder")
    refused("nobody/nothing", "nobody/nothing: no such folder, not in the cache, and no network")
    refused("not an id", "not an id")


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


def test_a_model_of_text_is_named(tmp_path):
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(**TEXT)).save_pretrained(tmp_path)
    refused(tmp_path, "expected an audio model", "'bert'")


def test_a_model_of_text_with_an_audio_extractor_is_named(tmp_path, folder):
    from transformers import BertConfig, BertModel

    BertModel(BertConfig(**TEXT)).save_pretrained(tmp_path)
    shutil.copy(folder("hubert") / "preprocessor_config.json", tmp_path)
    refused(tmp_path, "expected an audio model", "BertModel", "no part of which takes audio")


def test_a_model_of_images_is_named(tmp_path):
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(**TEXT)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ViTImageProcessor", "size": 224}'
    )
    refused(tmp_path, "expected an audio model", "'vit'")


def test_missing_and_broken_weights_are_refused(copy):
    none = copy(name="none")
    (none / "model.safetensors").unlink()
    refused(none, "expected weights as model.safetensors or pytorch_model.bin, found none")
    path = copy(name="cut") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(path.parent, str(path), "found a broken file")


def test_weights_of_another_shape_and_missing_weights_are_refused(copy):
    other = copy(name="other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    refused(other, "expected all weights of Wav2Vec2Model", "of another shape")
    lacking = copy(name="lacking")
    tensors = load_file(lacking / "model.safetensors")
    name = "encoder.layers.1.feed_forward.output_dense.weight"
    tensors, gone = {key: value for key, value in tensors.items() if key != name}, tensors[name]
    save_file(tensors, lacking / "model.safetensors", metadata={"format": "pt"})
    refused(lacking, "1 of ", f"such as {name}")
    save_file(
        tensors | {name: gone * np.nan}, lacking / "model.safetensors", metadata={"format": "pt"}
    )
    refused(lacking, "NaN or infinity")


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
    trusted = load(ModelSpec(str(model), trust_remote_code=True, device="cpu"))
    assert trusted.trusted_remote_code
    assert not trusted._inputs.mixes_lengths  # what is not known is not padded
    assert trusted.largest_difference(CLIPS) < 1e-5
    with (model / "own.py").open("a") as stream:
        stream.write("# another version\n")
    assert (
        load(ModelSpec(str(model), trust_remote_code=True, device="cpu")).fingerprint
        != trusted.fingerprint
    )


HUB = {
    "GatedRepoError": "is gated: accept its terms",
    "RepositoryNotFoundError": "no such model on the Hub",
    "RevisionNotFoundError": "no revision",
    "LocalEntryNotFoundError": "no network to the Hub",
    "RemoteEntryNotFoundError": "expected config.json",
}


@pytest.mark.parametrize("kind", HUB)
def test_what_the_hub_refuses_is_explained(kind, monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

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
    repository = tmp_path / "models--some--model"
    shutil.copytree(folder("hubert"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for module in [
        module
        for name, module in sys.modules.items()
        if name.startswith(("huggingface_hub", "transformers"))
    ]:
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            if isinstance(vars(module).get(name), str):
                monkeypatch.setattr(module, name, str(tmp_path))
    assert str(tmp_path) == huggingface_hub.constants.HF_HUB_CACHE
    model = load(ModelSpec("some/model", device="cpu"))
    assert (model.name, model.revision) == ("some/model", commit)
    assert (
        load(ModelSpec("some/model", revision=commit, device="cpu")).fingerprint
        == model.fingerprint
    )
    np.testing.assert_array_equal(
        model.encode(CLIPS[:2]),
        load(ModelSpec(str(folder("hubert")), device="cpu")).encode(CLIPS[:2]),
    )


def test_settings_that_cannot_be_are_refused(folder):
    with pytest.raises(SettingError, match="batch_seconds: expected a number above 0"):
        load(ModelSpec(str(folder("hubert")), batch_seconds=0))
    with pytest.raises(SettingError, match="device 'nonsense' cannot be used"):
        load(ModelSpec(str(folder("hubert")), device="nonsense"))
