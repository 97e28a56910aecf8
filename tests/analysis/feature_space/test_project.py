"""The map of clips in feature space: what is drawn, what is counted, what cannot be drawn."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bimotion import cli
from bimotion.analysis.feature_space import gains, record
from bimotion.analysis.feature_space.coverage import expected
from bimotion.analysis.feature_space.panels import COLOURS, COLUMNS
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation import run
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.models.recipe import FinetuneOptions
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support import tiny_models
from tests.support.projections import SETS, projected

# not imported: every worker would wait for it at its start
if importlib.util.find_spec("umap") is None:
    pytest.skip(
        "the extra `figures` is not installed: pip install 'bimotion[figures]'",
        allow_module_level=True,
    )


def test_every_clip_of_the_sets_is_on_the_map(made):
    view, folder = made
    _, clips = record.load(folder)
    assert tuple(clips.columns) == COLUMNS
    assert list(view.panels) == SETS["train"]
    tests = []
    for name, cells in view.panels.items():
        panel = clips[clips["panel"] == name]
        train, test = (panel[panel["part"] == part] for part in ("train", "test"))
        assert set(train["cell"]) == set(cells)
        assert set(test["cell"]) == {"yue_adu"}
        assert not set(train["id"]) & set(test["id"])
        assert (len(train), len(test)) == (view.of(name).n_train, view.of(name).n_test)
        assert test["covered"].mean() == pytest.approx(view.of(name).coverage)
        assert train["covered"].isna().all()
        for label in view.classes:
            assert view.of(name, label).n_test == (test["class"] == label).sum()
        tests.append(test["id"].tolist())
    assert tests[0] == tests[1] == tests[2]
    assert np.isfinite(clips[["x", "y"]]).all(axis=None)
    assert (view.synthetic, view.umap["random_state"]) == (True, 0)


def test_training_in_the_cell_covers_it_better_than_another_language(made):
    near, both, far = (made[0].of(name) for name in made[0].panels)
    fewest = min(near.n_train, far.n_train, near.n_test)
    assert near.n_drawn == both.n_drawn == far.n_drawn == fewest
    assert near.drawn_coverage > both.drawn_coverage > far.drawn_coverage
    assert near.drawn_expected == expected(near.n_drawn, near.n_test)


def test_two_runs_give_the_same_bytes(made, small, tmp_path):
    view, folder = made
    again = projected(small, tmp_path)
    assert record.read(again.folder(tmp_path)) == again
    assert again.key == view.key
    for name in ("coordinates.parquet", "projection.png", "projection.svg", "projection.html"):
        assert (again.folder(tmp_path) / name).read_bytes() == (folder / name).read_bytes(), name
    assert again.coverage == view.coverage


def test_classes_can_be_chosen_and_what_is_not_shown_is_counted(small, tmp_path):
    asked = {"schema": "emotion", "train": ["yue_adu"], "seed": 1}
    view = projected(small, tmp_path, classes=["neutral", "happiness"], **asked)
    everything = projected(small, tmp_path, **asked)
    assert view.classes == ["happiness", "neutral"]
    assert view.key != everything.key
    shown, whole, left_out = view.of("yue_adu"), everything.of("yue_adu"), view.left_out
    assert shown.n_test + left_out["test: none of the classes shown"] == whole.n_test
    n_trained = shown.n_train + left_out["training set yue_adu: none of the classes shown"]
    assert n_trained == whole.n_train


def test_a_tiny_encoder_and_checkpoints_of_a_finished_run(small, tmp_path):
    model = str(tiny_models.build("wav2vec2-layer", tmp_path / "tiny"))
    probe = projected(small, tmp_path, model, train=["yue_adu"])
    assert probe.model.options["head"] == "logistic"
    asked = {"protocol": "distance", "cells": ["yue_adu"], "only": SETS["corpora"]}
    result = run.evaluate(
        model,
        track="finetune",
        data_dir=small,
        output=tmp_path,
        finetune=FinetuneOptions(epochs=1),
        allow_missing=True,
        split_rule="paper",
        schema="valence",
        **asked,
    )
    kept = Finetune.recorded(result.model)
    assert kept.finetune == FinetuneOptions(epochs=1)
    train = ["yue_adu", "yue_adu+zho_adu"]
    view = projected(small, tmp_path, model, train=train, track=kept)
    assert not (view.folder(tmp_path) / "checkpoints").exists()  # those of the run were used
    alone = projected(small, tmp_path / "alone", model, train=train[:1], track=kept)
    assert (alone.folder(tmp_path / "alone") / "checkpoints").is_dir()
    assert alone.coverage[0] == view.coverage[0]
    measured = gains.gains(result.folder(tmp_path), CorpusSource.of(small), model=model)
    assert measured.rows[0].coverage.n_test == view.of("yue_adu").n_test
    assert measured.rows[0].coverage.coverage == pytest.approx(view.of("yue_adu").coverage)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"train": []}, SettingError, "at least one training set"),
        (
            {"train": ["yue_adu", "yue_adu"]},
            SettingError,
            "training set yue_adu: expected other cells than those of yue_adu, found yue_adu",
        ),
        ({"train": ["eng_eld"]}, SettingError, "no training clips in eng_eld"),
        ({"train": ["fra"]}, UnknownName, "unknown group 'fra'"),
        ({"test": "fra_adu"}, UnknownName, "unknown group 'fra_adu'"),
        ({"corpora": ["esdd"]}, UnknownName, "unknown corpus 'esdd'"),
        ({"classes": ["joy"]}, UnknownName, "unknown class 'joy'"),
        (
            {"schema": "emotion", "classes": ["surprise"]},
            SettingError,
            "class surprise: expected test clips of it",
        ),
        ({"model": "bimotion/random"}, SettingError, "expected a model with features"),
        ({"k": 0}, SettingError, "k: expected a whole number from 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, error, message, small, tmp_path):
    with pytest.raises(error, match=message):
        projected(small, tmp_path, **options)
    assert not list(tmp_path.rglob("*.png"))


def test_every_class_has_a_colour_of_its_own_in_its_schema():
    names = {name for schema in SCHEMAS.values() for name in schema.classes}
    assert set(COLOURS) == set(EMOTIONS) == names
    colours = [COLOURS[name] for name in EMOTIONS if name not in ("positive", "negative")]
    assert len(set(colours)) == len(colours)


def test_the_command_prints_numbers_and_paths(small, tmp_path):
    words = "project -m bimotion/prosody --train yue,zho_adu --test yue_adu --schema valence"
    words += " --split-rule paper --only esd,yuemotion --allow-missing"
    words += f" --corpora {small} -o {tmp_path}"
    # in this process, whose numba has compiled UMAP
    done = CliRunner().invoke(cli.app, words.split())
    assert done.exit_code == 0, done.stderr
    assert "| zho_adu | all |" in done.stdout
    paths = [Path(line) for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [path.suffix for path in paths] == [".png", ".svg", ".html", ".parquet", ".json"]
    assert all(path.stat().st_size for path in paths)
    started = [sys.executable, "-m", "bimotion", *words.split(), "--like", "x"]
    started += ["--track", "finetune"]
    done = subprocess.run(started, capture_output=True, text=True)
    message = "bimotion: --like: expected without --track, which it says itself\n"
    assert (done.returncode, done.stderr) == (2, message)
