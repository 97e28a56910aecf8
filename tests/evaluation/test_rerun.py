"""Finished runs made again from their records: the same predictions, whatever the track."""

import numpy as np
import pytest

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import rerun
from bimotion.evaluation.engine import LocalEngine
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.results import rescoring
from tests.support.small_runs import FOUR, ONE_EPOCH, evaluated

TRACKS = {
    "probe": {},
    "adapted": {"adapt": "coral", "schema": "four"},
    "finetune": {"track": "finetune", "finetune": ONE_EPOCH, "seeds": [1, 3]},
    "zero-shot": {"track": "zero-shot"},
}


def rerun_of(folder, root, model, chosen=lambda names: names, **options):
    result, predictions = rescoring.read(folder)
    loading = rerun.ModelLoading(str(model), **options)
    source = CorpusSource.of(root, allow_missing=True)
    again = rerun.rerun(result, source, loading, LocalEngine(), chosen=chosen, progress=Progress())
    return predictions, again


@pytest.mark.parametrize("options", TRACKS.values(), ids=list(TRACKS))
def test_the_same_predictions_again(options, models, small, tmp_path):
    model = models("wav2vec2-layer", FOUR)
    asked = {"protocol": "in-group"} if options.get("track") != "zero-shot" else {}
    _, folder = evaluated(model, small, tmp_path, **asked | options)
    predictions, again = rerun_of(folder, small, model)
    assert again.predictions["id"].tolist() == predictions["id"].tolist()
    there, here = (np.stack(table["probabilities"]) for table in (predictions, again.predictions))
    assert np.abs(there - here).max() < 1e-6
    assert (again.model_differs, again.is_public) == ([], False)
    assert again.training_sets == predictions["train"].drop_duplicates().tolist()
    # of a fine-tuned model only the predictions are wanted
    assert list((files.cache_dir() / "reruns").rglob("*.safetensors")) == []


def test_a_sample_is_of_these_training_sets_and_is_not_done_twice(models, small, tmp_path):
    model = models("wav2vec2-layer", FOUR)
    _, folder = evaluated(model, small, tmp_path, protocol="in-group", seeds=[0])
    predictions, again = rerun_of(folder, small, model, lambda names: names[1:2])
    assert again.n_training_sets == predictions["train"].nunique() > 1
    assert again.predictions["train"].unique().tolist() == again.training_sets
    kept = {path: path.stat().st_ino for path in (files.cache_dir() / "reruns").rglob("*.part")}
    assert kept
    rerun_of(folder, small, model, lambda names: names[1:2])
    assert {path: path.stat().st_ino for path in kept} == kept


def test_other_clips_and_other_weights_are_named(models, small, esd, tmp_path):
    model = models("wav2vec2-layer", FOUR)
    _, folder = evaluated(model, small, tmp_path, protocol="in-group")
    with pytest.raises(SettingError, match="expected its question and its clips, found others"):
        rerun_of(folder, esd, model)
    _, again = rerun_of(folder, small, models("hubert", FOUR), lambda names: names[:1])
    assert any(line.startswith("model.options.weights: ") for line in again.model_differs)
