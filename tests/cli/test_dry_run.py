"""A dry run counts what the model hears of the clips."""

import numpy as np
import pytest

from bimotion.models.windows import Window, heard_s
from tests.support import tiny_models


def test_what_a_model_hears_of_clips_by_hand():
    clips_s = np.array([0.5, 2.0, 2.5])
    assert heard_s(clips_s, None) == 5.0
    # 100 positions of 20 ms; a second behind half a one makes 79 of them (25 268 samples)
    whole, clip, least = (
        Window("", own=32_000, rate=16_000, first=320, step=320, least=least)
        for least in (100, 1, 90)
    )
    assert heard_s(clips_s, whole) == 2.0 + 2.0 + 4.0
    assert heard_s(clips_s, clip) == pytest.approx(1.58 + 2.0 + 4.0)
    assert heard_s(clips_s, least) == pytest.approx(1.8 + 2.0 + 4.0)


@pytest.mark.parametrize(("family", "is_filled_up"), [("whisper", True), ("hubert", False)])
def test_a_dry_run_counts_what_the_model_hears(family, is_filled_up, main, tmp_path, synth_root):
    model = tiny_models.build(family, tmp_path / family)
    words = (
        f"evaluate -m {model} --corpora {synth_root} --only tess,csed --dry-run -o {tmp_path}/out"
    )
    code, shown, errors = main(words)
    assert (code, "not known" in errors) == (0, False), errors
    assert shown.startswith("**Plan: split folds, schema valence**")
    assert main(f"{words} --folds 1")[1].startswith("**Plan: split folds-1, schema valence**")
    assert ("the model hears" in shown) == is_filled_up
    (model / "model.safetensors").unlink()  # a plan needs no weights
    assert main(words)[1] == shown
    (model / "preprocessor_config.json").unlink()
    code, _, errors = main(words)
    assert code == 0
    assert "what the model hears is not known" in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--track finetune", "track finetune: expected a Hub id or a folder, found bimotion/pros"),
        ("--track zero-shot", "track zero-shot: expected a Hub id or a folder, found bimotion/p"),
        ("--recipe paper", "recipe: expected with track finetune, found track probe"),
        ("--label-map x.json", "label_map: expected with track zero-shot, found track probe"),
        ("--seeds 0,0", "seeds: expected each once, found 0 again"),
        ("--folds 1 --split-rule paper", "folds: expected with split rule folds only, found 1"),
        ("--protocol leakage --split-rule paper", "expected at least one setting with clips"),
        ("--cells yue_eld", "cells: expected some that protocol all tests, found yue_eld"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(more, message, main, tmp_path, synth_root):
    words = f"evaluate -m bimotion/prosody --corpora {synth_root} -o {tmp_path} {more}"
    for line in (words, f"{words} --dry-run"):
        code, shown, errors = main(line)
        assert (code, shown) == (2, "")
        assert errors.startswith(f"bimotion: {message}")
        assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
