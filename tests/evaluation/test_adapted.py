"""Adaptation end to end: every method over every setting, what it may see, what the record says,
and what is refused."""

import dataclasses
import shutil
import zlib
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.adaptation import METHODS
from bimotion.adaptation.network import Schedule
from bimotion.analysis.paper_tables import paper_tables
from bimotion.corpora import CORPORA
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation import plan as planning
from bimotion.evaluation.tracks import runner_of
from bimotion.evaluation.tracks.probe import Probe
from bimotion.io.progress import Progress
from bimotion.leaderboard import submission, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.models import heads, layer_heads, logistic, losses
from bimotion.models.layer_heads import BestLayerHead
from bimotion.models.spec import ModelSpec
from bimotion.results import record, rescoring
from bimotion.results.record import AdaptUsed
from tests.evaluation.conftest import group_of
from tests.support.command_line import run_main
from tests.support.small_runs import evaluated, paper_task

VALENCE = {"schema": "valence", "protocol": "inference", "cells": ["zho_eld"]}
prosody = partial(evaluated, "bimotion/prosody")


def briefly(method, setting, schema):
    """The track of a method whose networks are trained for 20 steps."""
    track = Probe(adapt=method, adapt_setting=setting)
    adapted = runner_of(track, ModelSpec("bimotion/prosody"), schema)
    if hasattr(adapted.method, "schedule"):
        adapted.method = dataclasses.replace(adapted.method, schedule=Schedule(20, 20))
    return adapted


def probabilities(folder, **chosen):
    rows = pd.read_parquet(folder / "predictions.parquet")
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    return np.stack(rows.set_index(["train", "id"]).sort_index()["probabilities"])


def test_settings_of_the_paper_are_scored_as_any_run(synth_root, tmp_path):
    method = "nnpm-c"
    asked = {"schema": "valence", "protocol": "inference"}
    result, folder = prosody(synth_root, tmp_path, adapt=method, **asked)
    assert result.skipped == []
    assert len({(score.transfer, tuple(score.train), score.test) for score in result.scores}) == 16
    assert result.adapt == AdaptUsed.of(METHODS[method], "transductive")
    assert "reconstruction" in paper_tables(result)
    metrics = {score.metric for score in result.scores}
    assert {"weighted_f1", "uar", "accuracy", "macro_f1"} <= metrics
    assert result.headline("in-group", "inference", "eng_adu") > 0.4
    assert rescoring.rescore(folder) == (result, result)


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Plans of all settings, of the paper, into Cantonese, to the extension corpora: twelve
    synthetic clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("plans")
    groups = groupby(sorted(layouts.plan(corpora=CORPORA), key=group_of), group_of)
    layouts.lay(
        root,
        [
            clip
            for _, clips in groups
            for clip in sorted(clips, key=lambda clip: zlib.crc32(clip.id.encode()))[:12]
        ],
    )
    source = CorpusSource.of(root, allow_missing=True)
    asked = {"inference": "valence", "cantonese": "valence", "extension": "four"}
    return [
        planning.plan(
            paper_task(protocol=name, schema=schema), source, Progress(), adapts="transductive"
        )
        for name, schema in asked.items()
    ]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_over_every_setting(method, plans, tmp_path):
    """Without scores and with short trainings: classes of each target, finite, one distribution a
    clip."""
    n_settings = 0
    for labelled, plan in plans:
        adapted = briefly(method, "transductive", labelled.schema)
        adapted.open(labelled, plan.rows(), Progress())
        for job in plan.jobs([0]):
            predictions = adapted.run(job, tmp_path)
            classes = labelled.schema.classes
            assert predictions.probabilities.shape == (len(job.test), len(classes))
            np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-6)
            is_untrained = [name not in predictions.trained for name in classes]
            assert (predictions.probabilities[:, is_untrained] == 0).all()
            n_settings += len(job.targets)
        assert plan.skipped == []
    assert n_settings == 16 + 12 + 12


@pytest.fixture(scope="module")
def labelled(synth_root):
    """Setting -> labelled clips and plan."""
    task, source = paper_task(**VALENCE), CorpusSource.of(synth_root)
    return {
        setting: planning.plan(task, source, Progress(), adapts=setting)
        for setting in ("transductive", "inductive")
    }


@pytest.mark.parametrize(
    ("method", "setting"),
    [(name, "transductive") for name in METHODS]
    + [(name, "inductive") for name, method in METHODS.items() if method.inductive],
)
def test_labels_of_the_test_cell_change_nothing(method, setting, labelled, tmp_path):
    """All labels of the test cell, of every part of it, are turned round: what is predicted stays
    the same, to the bit."""
    clips, plan = labelled[setting]
    (job,) = [job for job in plan.jobs([0]) if job.name == "eng_eld"]
    turned = clips.reference.copy()
    rows = np.flatnonzero(clips.table["cell"] == "zho_eld")
    turned[rows] = np.roll(turned[rows], 1, axis=1)
    assert (turned[rows] != clips.reference[rows]).any()
    predicted = []
    for reference in (clips.reference, turned):
        adapted = briefly(method, setting, clips.schema)
        adapted.open(dataclasses.replace(clips, reference=reference), plan.rows(), Progress())
        predicted.append(adapted.run(job, tmp_path).probabilities)
    np.testing.assert_array_equal(*predicted)


@pytest.mark.parametrize(
    ("setting", "parts"),
    [("transductive", {"train", "validation", "test"}), ("inductive", {"train"})],
)
def test_inductive_hears_the_train_part_and_transductive_the_whole_cell(setting, parts, labelled):
    clips, plan = labelled[setting]
    for training in plan.training_sets:
        (target,) = training.targets
        assert set(clips.table.loc[target.unlabelled, "part"]) == parts
        assert (parts == {"train"}) == set(target.unlabelled).isdisjoint(target.test)
        for rows in (target.unlabelled, target.test):
            assert set(clips.table.loc[rows, "cell"]) == {"zho_eld"}
        assert set(plan.rows()) >= set(target.unlabelled)


def test_a_source_of_one_class_is_skipped_with_a_reason(tmp_path):
    clips = layouts.plan(corpora=["csed", "esd"])
    neutral = [clip for clip in clips if "/0001_" in clip.id and clip.label == ("Neutral",)]
    layouts.lay(tmp_path, [clip for clip in clips if clip.id.startswith("csed/")][:30] + neutral)
    source = CorpusSource.of(tmp_path, allow_missing=True)
    with pytest.raises(SettingError, match="zho_adu and zho_eld share only neutral"):
        planning.plan(paper_task(**VALENCE), source, Progress(), adapts="transductive")


def test_none_is_the_model_itself(synth_root, tmp_path):
    plain, first = prosody(synth_root, tmp_path, **VALENCE)
    adapted, second = prosody(synth_root, tmp_path, adapt="none", **VALENCE)
    assert plain.key != adapted.key
    np.testing.assert_allclose(probabilities(first), probabilities(second), atol=1e-5)


def test_seeds_move_what_is_seeded(small, tmp_path):
    _, folder = prosody(small, tmp_path, adapt="mcc", seeds=[0, 1], **VALENCE)
    first, second = (probabilities(folder, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_the_layer_is_chosen_once_for_all_methods(models, small, tmp_path):
    asked = {"schema": "valence", "protocol": "in-group", "cells": ["eng_eld"]}
    runs = [
        evaluated(models("hubert"), small, tmp_path, **asked, **options)[0]
        for options in ({"adapt": "none"}, {"adapt": "corpus-norm"}, {})
    ]
    layers = [{fit.train: fit.facts["layer"] for fit in result.fits} for result in runs]
    assert layers[0] == layers[1] == layers[2]
    ours, theirs = ([score.value for score in result.scores] for result in (runs[0], runs[2]))
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_the_layer_is_chosen_anew_where_files_window_or_head_have_changed(
    models, synth_root, tmp_path, monkeypatch
):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    task = paper_task(**VALENCE | {"protocol": "in-group"})
    clips, plan = planning.plan(task, CorpusSource.of(synth_root), Progress(), adapts="inductive")
    (job,) = plan.jobs([0])

    def n_choices(window="model", **states):
        spec = ModelSpec(models("whisper"), device="cpu", window=window)
        probe = runner_of(Probe(), spec, clips.schema)
        probe.open(clips, plan.rows(), Progress())
        manifest = clips.selection.manifest
        manifest = dataclasses.replace(manifest, states=manifest.states | states)
        selection = dataclasses.replace(clips.selection, manifest=manifest)
        probe.labelled = dataclasses.replace(clips, selection=selection)
        probe.clip_features(job)
        return len(list((tmp_path / "cache" / "layers").iterdir()))

    assert [n_choices(), n_choices()] == [1, 1]
    assert [n_choices(csed="other files"), n_choices(window="clip")] == [2, 3]
    monkeypatch.setattr(BestLayerHead, "version", "best-0")
    assert n_choices() == 4
    for number, module in enumerate((layer_heads, heads, logistic, losses)):
        other = tmp_path / "other.py"
        other.write_bytes(Path(module.__file__).read_bytes() + b"LEAST_GAIN = 1e-5")
        monkeypatch.setattr(module, "__file__", str(other))
        assert n_choices() == 5 + number


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (UnknownName, {"adapt": "nonsense"}, "adaptation method"),
        (UnknownName, {"adapt_setting": "both"}, "adaptation setting"),
        (SettingError, {"schema": "emotion"}, "expected a schema of exclusive classes, such as"),
        (
            SettingError,
            {"adapt": "lame", "adapt_setting": "inductive"},
            "lame: expected the transductive setting",
        ),
        (SettingError, {"seeds": [0, 1]}, "expected one seed, for nothing is random, found 2"),
        (
            SettingError,
            {"adapt": None, "adapt_setting": "inductive"},
            "expected a method to adapt with",
        ),
        (SettingError, {"track": "finetune"}, "adapt: expected with track probe"),
        (SettingError, {"model": "bimotion/random"}, "expected a model with features"),
    ],
)
def test_what_cannot_be_adapted_is_refused(error, options, message, small, tmp_path):
    asked = {"model": "bimotion/prosody", "adapt": "coral"} | VALENCE | options
    with pytest.raises(error, match=message):
        evaluated(root=small, output=tmp_path, **asked)


@pytest.fixture
def bimotion(synth_root, tmp_path, monkeypatch):
    """`bimotion evaluate --adapt` on the command line: exit code, output, errors."""
    asked = [
        "evaluate",
        "--model",
        "bimotion/prosody",
        "--corpora",
        synth_root,
        "--cells",
        "zho_eld",
    ]
    asked += ["--schema", "valence", "--protocol", "inference", "--output", tmp_path / "out"]
    asked += ["--folds", "1"]
    return lambda *words: run_main(monkeypatch, [*asked, "--adapt", *words])


def test_the_command_line_shows_methods_side_by_side(bimotion, tmp_path):
    code, shown, errors = bimotion("none, logit-adjust")
    assert code == 0, errors
    lines = [line.split(" | ") for line in shown.splitlines() if line.startswith("| ")]
    names = ["| none", "| logit-adjust-uniform", "| logit-adjust-em"]
    assert [line[0] for line in lines[1:4]] == names
    assert [line[2] for line in lines[:4]] == ["target audio", "not seen", "not seen", "seen"]
    results = map(record.load, tmp_path.glob("out/*/*/result.json"))
    (plain,) = [result for result in results if result.adapt.method == "none"]
    headline = plain.headline("cross-lingual", "inference", "zho_eld")
    assert f"{100 * headline:.2f} ᵃ" in lines[1]
    assert "SYNTHETIC" in shown


def test_of_several_methods_those_with_nothing_random_run_once(bimotion, tmp_path):
    code, _, errors = bimotion("none,mcc", "--seeds", "1,0")
    assert code == 0, errors
    results = map(record.load, tmp_path.glob("out/*/*/result.json"))
    assert {run.adapt.method: run.seeds for run in results} == {"none": [0], "mcc": [0, 1]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["magic"], "unknown"),
        ([""], "found an empty option ''"),
        (["all,none"], "expected all alone"),
        (["none,lame", "--adapt-setting", "inductive"], "lame: expected the transductive setting"),
        (["none", "--schema", "both"], "adapt: expected a schema of exclusive classes"),
    ],
)
def test_methods_are_refused_before_any_has_run(words, message, bimotion, tmp_path):
    code, _, errors = bimotion(*words)
    assert (code, errors.count("\n")) == (2, 1)
    assert message in errors
    assert not (tmp_path / "out").exists()


def test_all_methods_inductively_are_those_that_have_such_a_form(bimotion):
    code, shown, errors = bimotion("all", "--adapt-setting", "inductive", "--dry-run")
    assert code == 0, errors
    assert "not run, for they have no inductive form: lame\n" in errors
    assert f"then {4 * (len(METHODS) - 1)} heads" in shown


def test_a_dry_run_counts_each_seed_of_what_is_random_alone(bimotion):
    code, shown, errors = bimotion("none,coral,mcc", "--seeds", "0,1,2", "--dry-run")
    assert code == 0, errors
    assert f"then {4 * (1 + 1 + 3)} heads" in shown
    code, _, errors = bimotion("none,coral", "--seeds", "0,1", "--dry-run")
    assert code == 2
    assert "bimotion/prosody: expected one seed, for nothing is random, found 2" in errors


@pytest.fixture(scope="module")
def adapted(synth_root, tmp_path_factory):
    """An adapted run, its folder, and the answer key of its corpora."""
    source = CorpusSource.of(synth_root, allow_missing=True)
    output = tmp_path_factory.mktemp("adapted")
    return *prosody(synth_root, output, adapt="nnpm-c", **VALENCE), AnswerKey.of_corpora(source)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"target_seen": False},
        {"title": "NNPM"},
        {"version": "0"},
        {"method": "magic"},
        {"setting": "oracle"},
    ],
)
def test_what_a_submitted_adapted_run_says_of_itself_is_checked(change, adapted, tmp_path):
    result, folder, answer_key = adapted
    lying = dataclasses.replace(result, adapt=dataclasses.replace(result.adapt, **change))
    lying = dataclasses.replace(lying, key=lying.spec.key)
    other = tmp_path / "runs" / "bimotion__prosody" / lying.key
    lying.save(other)
    shutil.copy(folder / "predictions.parquet", other)
    packed = submission.pack(
        other, tmp_path / "submissions", contact=None, trained_on=[], practice=True
    )
    verdict = verify.verify(packed, answer_key, practice=True)
    assert bool(verdict.problems) == bool(change)
    assert not change or any("adapt" in problem for problem in verdict.problems)
    assert change or verdict.result.adapt.target_seen
