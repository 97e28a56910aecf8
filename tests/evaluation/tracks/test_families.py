"""Every family of models through every track, over whole protocols."""

import numpy as np
import pandas as pd
import pytest

from bimotion.analysis.paper_tables import paper_tables
from bimotion.protocol.labels import EMOTIONS
from bimotion.results import rescoring
from tests.support.small_runs import FOUR, ONE_EPOCH, evaluated

FAMILIES = ["wav2vec2-layer", "wav2vec2-group", "hubert", "wavlm", "data2vec", "whisper"]
FAMILIES += ["w2v-bert", "ast"]
OPTIONS = {
    "probe": {},
    "finetune": {"finetune": ONE_EPOCH, "save_checkpoints": False},
    "zero-shot": {},
}


def settings_of(result):
    return {
        (score.method, score.transfer, score.test, tuple(score.train)) for score in result.scores
    }


@pytest.mark.parametrize("track", OPTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_through_every_track(family, track, models, small, tmp_path):
    """One over the whole protocol, the others in-group: what is trained on what does not hang on
    the family."""
    is_whole = family == FAMILIES[0]
    protocol, n_settings, n_sets = ("all", 36, 13) if is_whole else ("in-group", 4, 4)
    model, asked = models(family, FOUR), OPTIONS[track] | {"track": track, "protocol": protocol}
    result, folder = evaluated(model, small, tmp_path, **asked)
    assert result.skipped == []
    assert result.track == track
    assert rescoring.rescore(folder) == (result, result)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert np.isfinite(np.stack(predictions["probabilities"])).all()
    assert not list(folder.glob("checkpoints/*"))
    if track == "zero-shot":
        assert {setting[:2] for setting in settings_of(result)} == {("zero-shot", "zero-shot")}
        return
    assert len(settings_of(result)) == n_settings
    assert predictions["train"].nunique() == len(result.fits) == n_sets
    assert result.model.options["trust_remote_code"] is False
    if track == "probe":
        assert result.model.options["head"] == "logistic"
    else:
        assert all(np.isfinite(fit.facts["train_loss"]) for fit in result.fits)
        assert result.model.options["epochs"] == 1


def test_a_classifier_is_tested_as_it_is(models, small, tmp_path):
    result, folder = evaluated(models("wav2vec2-layer", FOUR), small, tmp_path, track="zero-shot")
    tests = {(score.test, score.corpus) for score in result.scores}
    assert {("yue_adu", "yuemotion"), ("eng_eld", "tess"), ("zho_adu", "esd")} <= tests
    outputs = "angry=angry; happy=happiness; neutral=neutral; calm=neutral"
    assert (result.model.options["outputs"], result.model.options["unmapped"]) == (outputs, "")
    predictions = pd.read_parquet(folder / "predictions.parquet")
    probabilities = np.stack(predictions["probabilities"])
    sayable = np.isin(EMOTIONS, ["angry", "happiness", "neutral"])
    assert (probabilities[:, ~sayable] == 0).all()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    is_tess = (predictions["corpus"] == "tess") & (predictions["cell"] == "eng_eld")
    reference = np.stack(predictions["reference"][is_tess])[:, sayable]
    share = 1 - (reference == 1).any(axis=1).mean()
    scores = [score for score in result.scores if (score.test, score.corpus) == ("eng_eld", "tess")]
    assert [score.out_of_label_space for score in scores] == pytest.approx([share] * len(scores))
    assert "Zero-shot" in paper_tables(result)
