"""Every family of models through fine-tuning and zero-shot, over whole protocols."""

import numpy as np
import pandas as pd
import pytest

from bimotion.analysis.paper_tables import paper_tables
from bimotion.protocol.labels import EMOTIONS
from bimotion.results import rescoring
from tests.support.small_runs import FOUR, ONE_EPOCH, evaluated

FAMILIES = (
    "wav2vec2-layer",
    "wav2vec2-group",
    "hubert",
    "wavlm",
    "data2vec",
    "whisper",
    "w2v-bert",
    "ast",
)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_fine_tuned(family, models, small, tmp_path):
    """One over the whole protocol, the others in-group: what is trained on what does not hang on
    the family."""
    protocol, n_settings, n_sets = ("all", 36, 13) if family == FAMILIES[0] else ("in-group", 4, 4)
    asked = {
        "track": "finetune",
        "finetune": ONE_EPOCH,
        "save_checkpoints": False,
        "protocol": protocol,
    }
    result, folder = evaluated(models(family), small, tmp_path, **asked)
    assert result.skipped == []
    assert (
        len(
            {
                (score.method, score.transfer, score.test, tuple(score.train))
                for score in result.scores
            }
        )
        == n_settings
    )
    assert len(result.fits) == n_sets
    assert all(np.isfinite(fit.facts["train_loss"]) for fit in result.fits)
    assert result.model.options["epochs"] == 1
    assert rescoring.rescore(folder) == (result, result)
    assert not list(folder.glob("checkpoints/*"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_classifiers_is_tested_as_it_is(family, models, small, tmp_path):
    result, folder = evaluated(models(family, FOUR), small, tmp_path, track="zero-shot")
    tests = {(score.test, score.corpus) for score in result.scores}
    assert {("yue_adu", "yuemotion"), ("eng_eld", "tess"), ("zho_adu", "esd")} <= tests
    assert {(score.transfer, score.method, tuple(score.train)) for score in result.scores} == {
        ("zero-shot", "zero-shot", ())
    }
    assert (
        result.model.options["outputs"]
        == "angry=angry; happy=happiness; neutral=neutral; calm=neutral"
    )
    assert result.model.options["unmapped"] == ""
    assert rescoring.rescore(folder) == (result, result)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    said = np.stack(predictions["probabilities"])
    others = [
        place
        for place, name in enumerate(EMOTIONS)
        if name not in ("angry", "happiness", "neutral")
    ]
    assert (said[:, others] == 0).all()
    assert said.sum(axis=1) == pytest.approx(1, abs=1e-5)
    tess = [
        score
        for score in result.scores
        if (score.test, score.corpus, score.metric) == ("eng_eld", "tess", "weighted_f1")
    ]
    mine = predictions[(predictions["corpus"] == "tess") & (predictions["cell"] == "eng_eld")]
    reference = np.stack(mine["reference"])
    sayable = reference[:, [EMOTIONS.index(name) for name in ("angry", "happiness", "neutral")]]
    assert tess[0].out_of_label_space == pytest.approx(1 - (sayable == 1).any(axis=1).mean())
    assert "Zero-shot" in paper_tables(result)
