"""Confounds of a transfer: what features tell of corpus and language, by hand and on real clips."""

import numpy as np
import pandas as pd
import pytest

import bimotion
from bimotion.evaluation.confounds import MAX_CLIPS, _groups, _of_classes, _recall


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0.5), (3.0, 1.0)])
def test_recall_is_chance_without_a_difference_and_1_with_a_large_one(shift, expected):
    generator = np.random.default_rng(0)
    names = np.repeat(["csed", "tess"], 150)
    vectors = generator.normal(size=(300, 5)) + shift * (names == "csed")[:, None]
    recall = _recall(vectors, names, np.arange(300).astype(str))
    assert recall == pytest.approx(expected, abs=0.12)


def test_voices_alone_do_not_tell_a_corpus_of_unheard_speakers():
    """Every speaker has a voice of their own; corpora differ in nothing else."""
    generator = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 10)
    names = np.where(speakers < 10, "crema_d", "esd")
    vectors = 5 * generator.normal(size=(20, 30))[speakers] + generator.normal(size=(200, 30))
    by_clip = _recall(vectors, names, np.arange(200).astype(str))
    by_speaker = _recall(vectors, names, speakers.astype(str))
    assert by_clip > 0.9
    assert by_speaker < 0.75


def test_clips_are_few_the_same_and_grouped_by_speaker_where_there_are_several():
    n = MAX_CLIPS + 50
    table = pd.DataFrame(
        {
            "id": [f"esd/{k}" for k in range(n)] + [f"tess/{k}" for k in range(20)] + ["csed/0"],
            "corpus": ["esd"] * n + ["tess"] * 20 + ["csed"],
            "speaker": [f"esd/{k % 5}" for k in range(n)] + ["tess/OAF"] * 20 + [None],
        }
    )
    reference = np.zeros((len(table), 2), int)
    reference[:, 0] = 1
    reference[0] = (0, 1)
    [rows] = _of_classes(table, reference)  # the second class has one clip
    chosen = table.iloc[rows]
    assert chosen["corpus"].value_counts().to_dict() == {"esd": MAX_CLIPS, "tess": 20}
    assert "esd/0" not in set(chosen["id"])
    groups = _groups(chosen)
    assert set(groups[chosen["corpus"] == "esd"]) <= {f"esd/{k}" for k in range(5)}
    assert len(set(groups[chosen["corpus"] == "tess"])) == 20


def test_real_clips_of_two_corpora_are_told_apart_nearly_always(shared_corpora, tmp_path):
    """TESS and CSED: prosody's features know the corpus far better than the valence."""
    result = bimotion.evaluate(
        "bimotion/prosody",
        data_dir=shared_corpora,
        output=tmp_path,
        protocol="inference",
        cells=["eng_eld", "zho_eld"],
        split_rule="paper",
        schema="valence",
        only=["tess", "csed"],
        allow_missing=True,
    )
    by_setting = {(row.train, row.test): row for row in result.confounds}
    row = by_setting["eng_eld", "zho_eld"]
    assert (row.corpus_chance, row.language_chance) == (0.5, 0.5)
    assert row.corpus == row.language > 0.9
    assert by_setting["eng_adu", "eng_eld"].language is None
