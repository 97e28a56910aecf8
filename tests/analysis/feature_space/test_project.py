"""The map of clips in feature space: what is drawn, what is counted, what cannot be drawn."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bimotion import cli
from bimotion.analysis.feature_space import gains, gains_tables, record, umap
from bimotion.analysis.feature_space.coverage import expected
from bimotion.analysis.feature_space.panels import COLOURS, COLUMNS
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation import run
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.models.training import FinetuneOptions
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support import tiny_models
from tests.support.projections import SETS, few, projected

# not imported: every worker would wait for it at its start
if importlib.util.find_spec("umap") is None:
    pytest.skip(
        "the extra `figures` is not installed: pip install 'bimotion[figures]'",
        allow_module_level=True,
    )


def test_every_clip_of_the_sets_is_on_the_map(made):
    view, folder = made
    found, clips = record.load(folder)
    assert found == view
    assert tuple(clips.columns) == COLUMNS
    assert list(view.panels) == SETS["train"]
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
    tests = [
        clips.loc[(clips["panel"] == name) & (clips["part"] == "test"), "id"].tolist()
        for name in view.panels
    ]
    assert tests[0] == tests[1] == tests[2]
    assert np.isfinite(clips[["x", "y"]]).all(axis=None)
    assert view.synthetic
    assert view.umap["random_state"] == 0


def test_training_in_the_cell_covers_it_better_than_another_language(made):
    view, _ = made
    near, both, far = (view.of(name) for name in view.panels)
    assert (
        near.n_drawn == both.n_drawn == far.n_drawn == min(near.n_train, far.n_train, near.n_test)
    )
    assert near.drawn_coverage > both.drawn_coverage > far.drawn_coverage
    assert near.drawn_expected == expected(near.n_drawn, near.n_test)


def test_two_runs_give_the_same_bytes(made, small, tmp_path):
    view, folder = made
    again = projected(small, tmp_path)
    assert again.key == view.key
    for name in ("coordinates.parquet", "projection.png", "projection.svg", "projection.html"):
        assert (again.folder(tmp_path) / name).read_bytes() == (folder / name).read_bytes(), name
    assert again.coverage == view.coverage
    assert projected(small, tmp_path, seed=1).key != view.key


def test_classes_can_be_chosen_and_what_is_not_shown_is_counted(small, tmp_path):
    view = projected(
        small, tmp_path, schema="emotion", classes=["neutral", "happiness"], train=["yue_adu"]
    )
    assert view.classes == ["happiness", "neutral"]
    shown, out = view.of("yue_adu"), view.left_out
    everything = projected(small, tmp_path, schema="emotion", train=["yue_adu"]).of("yue_adu")
    assert shown.n_test + out["test: none of the classes shown"] == everything.n_test
    assert (
        shown.n_train + out["training set yue_adu: none of the classes shown"] == everything.n_train
    )


def test_a_tiny_encoder_and_checkpoints_of_a_finished_run(small, tmp_path):
    model = tiny_models.build("wav2vec2-layer", tmp_path / "tiny")
    probe = projected(small, tmp_path, str(model), train=["yue_adu"])
    assert probe.model.options["head"] == "layers"
    options = FinetuneOptions(epochs=1)
    asked = {
        "protocol": "distance",
        "cells": ["yue_adu"],
        "only": SETS["corpora"],
        "schema": "valence",
    }
    result = run.evaluate(
        str(model),
        track="finetune",
        data_dir=small,
        output=tmp_path,
        finetune=options,
        allow_missing=True,
        **asked,
    )
    kept = Finetune.recorded(result.model)
    assert kept.options == options
    train = ["yue_adu", "yue_adu+zho_adu"]
    view = projected(small, tmp_path, str(model), train=train, track=kept)
    assert not (view.folder(tmp_path) / "checkpoints").exists()  # those of the run were used
    alone = projected(small, tmp_path / "alone", str(model), train=train, track=kept)
    assert (alone.folder(tmp_path / "alone") / "checkpoints").is_dir()
    assert alone.coverage[0] == view.coverage[0]
    found = gains.gains(result.folder(tmp_path), CorpusSource.of(small), model=str(model))
    assert found.rows[0].coverage.n_test == view.of("yue_adu").n_test
    assert found.rows[0].coverage.coverage == pytest.approx(view.of("yue_adu").coverage)


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
        ({"train": ["deu_adu"]}, SettingError, "no training clips in deu_adu"),
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
def test_what_cannot_be_drawn_is_told(options, error, message, small, tmp_path):
    with pytest.raises(error, match=message):
        projected(small, tmp_path, **options)
    assert not list(tmp_path.rglob("*.png"))


def test_a_map_is_the_same_twice_and_keeps_groups_apart():
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(shift, 1, (30, 10)) for shift in (0, 8)])
    points = umap.project(features, seed=3)
    assert np.array_equal(points, umap.project(features, seed=3))
    assert not np.array_equal(points, umap.project(features, seed=4))
    apart = np.linalg.norm(points[:30].mean(axis=0) - points[30:].mean(axis=0))
    assert apart > 2 * max(
        np.linalg.norm(some - some.mean(axis=0), axis=1).mean()
        for some in (points[:30], points[30:])
    )
    with pytest.raises(SettingError, match="at least 10 clips to draw a map of, found 9"):
        umap.project(features[:9])


def test_every_class_has_a_colour_of_its_own_in_its_schema():
    assert (
        set(COLOURS)
        == set(EMOTIONS)
        == {name for schema in SCHEMAS.values() for name in schema.classes}
    )
    alone = [COLOURS[name] for name in EMOTIONS if name not in ("positive", "negative")]
    assert len(set(alone)) == len(alone)


def test_gains_are_score_less_baseline_and_facts_beside_them(small, tmp_path):
    result = run.evaluate(
        "bimotion/prosody", data_dir=small, output=tmp_path, schema="valence", allow_missing=True
    )
    folder = result.folder(tmp_path)
    found = gains.gains(folder, CorpusSource.of(small))
    assert json.loads((folder / gains.GAINS_FILE).read_text())["key"] == result.key
    assert len(found.rows) == 36
    for row in found.rows:
        assert row.value == result.headline(
            row.transfer, row.method, row.test, train=tuple(row.train)
        )
        if row.method != "distance":
            base = result.headline("in-group", "inference", row.test)
            assert row.gain == pytest.approx(row.value - base)
            assert row.facts["phonology"] == (
                4 / 25 if row.transfer in ("cross-lingual", "cross-all") else None
            )
    by_set = {(tuple(row.train), row.test): row for row in found.rows if row.method == "distance"}
    of_esd_alone = by_set[("yue_adu", "eng_adu"), "eng_adu"]
    # the baseline of eng_adu was trained and tested on four corpora
    assert of_esd_alone.gain is None
    # ESD is all there is of zho_adu
    assert by_set[("yue_adu", "zho_adu"), "zho_adu"].gain is not None
    first = found.correlations[0]
    assert (first.fact, first.method) == ("coverage", "all")
    assert first.correlation.n == sum(
        row.gain is not None and row.transfer != "in-group" for row in found.rows
    )
    titles = [table.markdown() for table in gains_tables.tables_of(found)]
    assert "a description of this run, no proof" in titles[1]


def test_gains_of_an_adapted_run_say_so_and_keep_training_sets_of_one_cell_apart(tmp_path):
    root = tmp_path / "corpora"
    layouts.lay(root, few(16, ["crema_d", "esd", "iemocap", "emo_db"]))
    asked = {
        "protocol": "extension",
        "schema": "four",
        "cells": ["deu_adu"],
        "adapt": "corpus-norm",
        "allow_missing": True,
    }
    result = run.evaluate("bimotion/prosody", data_dir=root, output=tmp_path, **asked)
    found = gains.gains(result.folder(tmp_path), CorpusSource.of(root))
    assert [row.train for row in found.rows] == [
        ["eng_adu@iemocap"],
        ["eng_adu@crema_d"],
        ["eng_adu"],
        ["deu_adu"],
    ]
    for row in found.rows:
        assert row.value == result.headline(
            row.transfer, row.method, row.test, train=tuple(row.train)
        )
    fewest = min(row.coverage.n_train for row in found.rows)
    assert {row.coverage.n_drawn for row in found.rows} == {
        min(fewest, found.rows[0].coverage.n_test)
    }
    table = gains_tables.tables_of(found)[0]
    assert table.title.startswith("bimotion/prosody + corpus-norm (transductive): gain")
    assert "target audio seen. Coverage: of the features before adaptation." in table.notes[0]


def test_gains_refuse_other_clips_and_other_models(small, tmp_path):
    result = run.evaluate(
        "bimotion/prosody",
        data_dir=small,
        output=tmp_path,
        protocol="in-group",
        cells=["zho_eld"],
        allow_missing=True,
    )
    other = tmp_path / "other"
    layouts.lay(other, [clip for clip in layouts.plan() if clip.corpus == "csed"][:40])
    with pytest.raises(SettingError, match="expected the clips that run"):
        gains.gains(result.folder(tmp_path), CorpusSource.of(other))
    with pytest.raises(SettingError, match="expected the run's model"):
        gains.gains(result.folder(tmp_path), CorpusSource.of(small), model="bimotion/random")


def test_the_command_prints_numbers_and_paths(small, tmp_path):
    command = ["project", "-m", "bimotion/prosody", "--train", "yue,zho_adu", "--test", "yue_adu"]
    command += [
        "--schema",
        "valence",
        "--only",
        "esd,yuemotion",
        "--corpora",
        small,
        "--allow-missing",
        "-o",
        tmp_path,
    ]
    # in this process, whose numba has compiled UMAP
    done = CliRunner().invoke(cli.app, list(map(str, command)))
    assert done.exit_code == 0, done.stderr
    assert "| zho_adu | all |" in done.stdout
    paths = [Path(line) for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [path.suffix for path in paths] == [".png", ".svg", ".html", ".parquet", ".json"]
    assert all(path.stat().st_size for path in paths)
    started = [sys.executable, "-m", "bimotion", *map(str, command)]
    done = subprocess.run(
        [*started, "--like", "x", "--head", "layers"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "bimotion: --like: expected without --track and --head, which it says itself\n"
    )
