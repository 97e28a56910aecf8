"""Features before the last linear layer: put through that layer they give what the model
predicts."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation.tracks import configured, runner_of
from bimotion.io.progress import Progress
from bimotion.models.classifier import Classifier, Clips
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import schema_named
from tests.support import tiny_models
from tests.support.small_runs import paper_task


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """Synthetic CSED, three clips of each class and part."""
    root = tmp_path_factory.mktemp("few")

    def group(clip):
        return clip.part, clip.label

    clips = sorted((clip for clip in layouts.plan() if clip.corpus == "csed"), key=group)
    layouts.lay(root, [clip for _, alike in groupby(clips, group) for clip in list(alike)[:3]])
    return root


def opened(root, model, track, **options):
    """A track on the in-group setting of zho_eld, and its only job."""
    request = (
        paper_task(protocol="in-group", cells=("zho_eld",), schema="valence"),
        CorpusSource.of(root, allow_missing=True),
    )
    labelled, plan = planning.plan(*request, Progress())
    spec, settings = ModelSpec(str(model)), configured(track, **options)
    runner = runner_of(settings, spec, schema_named("valence"))
    runner.open(labelled, plan.rows(), Progress())
    (job,) = plan.jobs([0])
    return runner, job


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("family", sorted(tiny_models.FAMILIES))
def test_of_every_classifier_the_last_layer_makes_logits_of_them(family, tmp_path):
    source = tiny_models.build(family, tmp_path / family, n_labels=5)
    classifier = Classifier(ModelSpec(str(source)))
    rng = np.random.default_rng(0)
    # the last is cut by some models
    waveforms = [rng.normal(0, 0.1, n).astype(np.float32) for n in (9_000, 16_000, 50_000)]
    clips = Clips(waveforms.__getitem__, np.array([len(clip) for clip in waveforms]))
    features = classifier.embeddings(clips)
    last = classifier.last_linear()
    weight, bias = (part.detach().numpy() for part in (last.weight, last.bias))
    assert features.dtype == np.float32
    assert features @ weight.T + bias == pytest.approx(classifier.table(clips).numpy(), abs=1e-4)


@pytest.mark.parametrize("model", ["tiny", "bimotion/prosody"])
def test_of_the_logistic_head(model, few, tmp_path):
    model = tiny_models.build("wavlm", tmp_path / "model") if model == "tiny" else model
    track, job = opened(few, model, "probe")
    features = track.embeddings(job, job.test, tmp_path)
    head = track.fitted(job)
    solution = getattr(head, "head", head).solution
    logits = features @ solution.weights + solution.bias
    assert softmax(logits) == pytest.approx(track.run(job, tmp_path).probabilities, abs=1e-4)


def test_of_a_fine_tuned_model_they_are_its_checkpoints(few, tmp_path):
    options = FinetuneOptions(epochs=1, learning_rate=1e-3)
    track, job = opened(
        few, tiny_models.build("wav2vec2-layer", tmp_path / "model"), "finetune", finetune=options
    )
    probabilities = track.run(job, tmp_path / "kept").probabilities
    features = track.embeddings(job, job.test, tmp_path / "kept")
    last = Classifier(ModelSpec(str(tmp_path / "kept" / "best"))).last_linear()
    logits = features @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    assert softmax(logits) == pytest.approx(probabilities, abs=1e-5)
    best = tmp_path / "kept" / "best"
    assert np.array_equal(features, track.embeddings(job, job.test, tmp_path / "none", best))
    assert not (tmp_path / "none").exists()
    # trained there, as there
    assert np.array_equal(features, track.embeddings(job, job.test, tmp_path / "new"))
    assert (tmp_path / "new" / "best").is_dir()


def test_what_has_no_features_says_so(few, tmp_path):
    track, job = opened(few, "bimotion/majority", "probe")
    with pytest.raises(
        SettingError, match="bimotion/majority, track probe: expected a model with features"
    ):
        track.embeddings(job, job.test, tmp_path)
