"""The reader of hostile models: imported by the process from which those of bounded memory are
forked, so that none of them imports the libraries again."""

import numpy as np
from transformers import (
    ASTFeatureExtractor,
    ASTModel,
    AutoFeatureExtractor,
    AutoModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperFeatureExtractor,
    WhisperModel,
)

from bimotion.models import encoder
from bimotion.models.spec import ModelSpec

IMPORTED = [AutoFeatureExtractor, AutoModel]
IMPORTED += [ASTFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor]
IMPORTED += [ASTModel, Wav2Vec2Model, WhisperModel]
"""`transformers` imports what is named only."""


def read(folder: str) -> None:
    """Load a model and hear a second of silence with it."""
    encoder.load(ModelSpec(folder)).encode([np.zeros(16_000, np.float32)])
