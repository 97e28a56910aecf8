"""Corpora and models that any machine has at hand: every example begins with them.

Yours: `export BIMOTION_CORPORA=/corpora`, and `BIMOTION_MODELS` for the folder with models.
"""

import os
import subprocess
import sys
from pathlib import Path


def corpora() -> None:
    """Use the corpora of BIMOTION_CORPORA, else SYNTHETIC ones in ./corpora; print which."""
    if "BIMOTION_CORPORA" in os.environ:
        print(f"Corpora: {os.environ['BIMOTION_CORPORA']}")
        return
    print("SYNTHETIC corpora, ./corpora: formulas, not people. For yours set BIMOTION_CORPORA.")
    if not Path("corpora").exists():
        subprocess.run([sys.executable, "-m", "bimotion", "data", "synth", "corpora"], check=True)
    os.environ["BIMOTION_CORPORA"] = "corpora"


def model() -> str:
    """The folder of a real model, Whisper's smallest, else of a tiny random one; print which."""
    beside = Path(__file__).parents[2] / "shared" / "models"
    real = Path(os.environ.get("BIMOTION_MODELS") or beside) / "whisper-tiny.en"
    if not real.is_dir():
        return tiny_model()
    print(f"Model: {real}")
    return str(real)


def tiny_model() -> str:
    """The folder of a tiny random wav2vec 2.0, which any laptop trains; print that it is one."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    print("Model: ./tiny-model, RANDOM, so it has learnt nothing. Put a name of the Hub instead.")
    transformer = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    transformer |= {"intermediate_size": 32, "num_conv_pos_embeddings": 16}
    convolutions = {"conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 2}
    Wav2Vec2Model(Wav2Vec2Config(**transformer, **convolutions)).save_pretrained("tiny-model")
    Wav2Vec2FeatureExtractor().save_pretrained("tiny-model")
    return "tiny-model"
