"""Adaptation end to end: every method over every setting, what it may see, what the record says,
and what is refused."""

import dataclasses
import subprocess
import sys
import zlib
from itertools import groupby

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
from bimotion.evaluation import run
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import runner_of
from bimotion.evaluation.tracks.probe import Probe
from bimotion.io.progress import Progress
from bimotion.leaderboard import submission, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.models.spec import ModelSpec
from bimotion.results import record, rescoring
from bimotion.results.record import AdaptUsed
from tests.support import tiny_models


def evaluated(root, output, method, **options):
    asked = {"schema": "valence", "protocol": "inference"} | options
    return run.evaluate("bimotion/prosody", data_dir=root, output=output, adapt=method, **asked)


def briefly(method, setting, schema):
    """The track of a method whose networks are trained for 20 steps."""
    track = Probe(adapt=method, adapt_setting=setting)
    adapted = runner_of(track, ModelSpec("bimotion/prosody"), schema)
    if hasattr(adapted.method, "schedule"):
        adapted.method = dataclasses.replace(adapted.method, schedule=Schedule(20, 20))
    return adapted


def predictions(result, output):
    return pd.read_parquet(result.folder(output) / "predictions.parquet")


@pytest.mark.parametrize("method", ["none", "coral", "lame", "nnpm-c"])
def test_settings_of_the_paper_are_scored_as_any_run(method, synth_root, tmp_path):
    result = evaluated(synth_root, tmp_path, method)
    assert result.skipped == []
    assert len({(score.transfer, tuple(score.train), score.test) for score in result.scores}) == 16
    assert result.adapt == AdaptUsed.of(METHODS[method], "transductive")
    assert ("reconstruction" in paper_tables(result)) == ("reconstruction" in METHODS[method].title)
    assert {"weighted_f1", "uar", "accuracy", "macro_f1"} <= {
        score.metric for score in result.scores
    }
    assert result.headline("in-group", "inference", "eng_adu") > 0.4
    recorded, again = rescoring.rescore(result.folder(tmp_path))
    assert recorded == again


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Plans of all settings, of the paper, into Cantonese, to the extension corpora: a dozen
    synthetic clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("plans")

    def group(clip):
        return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part

    clips = sorted(layouts.plan(corpora=CORPORA), key=group)
    by_group = (
        sorted(found, key=lambda clip: zlib.crc32(clip.id.encode()))
        for _, found in groupby(clips, group)
    )
    layouts.lay(root, [clip for found in by_group for clip in found[:12]])
    asked = {"inference": "valence", "cantonese": "valence", "extension": "four"}
    return [
        planning.plan(
            TaskSpec.of(protocol=name, schema=schema),
            CorpusSource.of(root, allow_missing=True),
            Progress(),
            adapts="transductive",
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
            outcome = adapted.run(job, tmp_path)
            assert outcome.probabilities.shape == (len(job.test), len(labelled.schema.classes))
            np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1, atol=1e-6)
            untrained = [name not in outcome.trained for name in labelled.schema.classes]
            assert (outcome.probabilities[:, untrained] == 0).all()
            n_settings += len(job.targets)
        assert plan.skipped == []
    assert n_settings == 16 + 12 + 12


@pytest.fixture(scope="module")
def labelled(synth_root):
    request = (
        TaskSpec.of(protocol="inference", cells=("zho_eld",), schema="valence"),
        CorpusSource.of(synth_root),
    )
    return {
        one: planning.plan(*request, Progress(), adapts=one)
        for one in ("transductive", "inductive")
    }


@pytest.mark.parametrize("setting", ["transductive", "inductive"])
@pytest.mark.parametrize("method", METHODS)
def test_labels_of_the_test_cell_change_nothing(method, setting, labelled, tmp_path):
    """All labels of the test cell, of every part of it, are turned round: what is predicted stays
    the same, to the bit."""
    if setting == "inductive" and not METHODS[method].inductive:
        pytest.skip("transductive alone")
    found, plan = labelled[setting]
    (job,) = [one for one in plan.jobs([0]) if one.name == "eng_eld"]
    turned = found.reference.copy()
    rows = np.flatnonzero(found.table["cell"] == "zho_eld")
    turned[rows] = turned[rows][:, ::-1]
    outcomes = []
    for reference in (found.reference, turned):
        adapted = briefly(method, setting, found.schema)
        adapted.open(dataclasses.replace(found, reference=reference), plan.rows(), Progress())
        outcomes.append(adapted.run(job, tmp_path).probabilities)
    assert (turned[rows] != found.reference[rows]).any()
    np.testing.assert_array_equal(*outcomes)


def test_inductive_hears_the_train_part_and_transductive_the_whole_cell(labelled):
    for setting, parts in (
        ("transductive", {"train", "validation", "test"}),
        ("inductive", {"train"}),
    ):
        found, plan = labelled[setting]
        for one in plan.training_sets:
            for target in one.targets:
                assert set(found.table.loc[target.unlabelled, "part"]) == parts
                assert (parts == {"train"}) == set(target.unlabelled).isdisjoint(target.test)
                assert (
                    set(found.table.loc[target.unlabelled, "cell"])
                    == {"zho_eld"}
                    == set(found.table.loc[target.test, "cell"])
                )
        assert set(plan.rows()) >= {
            row for one in plan.training_sets for target in one.targets for row in target.unlabelled
        }


def test_none_is_the_floor_model_itself(synth_root, tmp_path):
    plain = evaluated(synth_root, tmp_path, None)
    adapted = evaluated(synth_root, tmp_path, "none")
    assert plain.key != adapted.key
    ours, theirs = (
        predictions(one, tmp_path).set_index(["train", "id"]) for one in (adapted, plain)
    )
    np.testing.assert_allclose(
        np.stack(ours["probabilities"].to_numpy()),
        np.stack(theirs.loc[ours.index, "probabilities"].to_numpy()),
        atol=1e-5,
    )


def test_seeds_move_what_is_seeded_and_nothing_else(synth_root, tmp_path):
    for method, moves in (("coral", False), ("mcc", True)):
        result = evaluated(synth_root, tmp_path, method, cells=["zho_eld"], seeds=[0, 1])
        rows = predictions(result, tmp_path)
        one, other = (
            np.stack(rows.loc[rows["seed"] == seed, "probabilities"].to_numpy()) for seed in (0, 1)
        )
        assert (not np.array_equal(one, other)) == moves, method


def test_the_layer_is_chosen_once_for_all_methods(synth_root, tmp_path):
    tiny = tiny_models.build("hubert", tmp_path / "tiny")
    asked = {
        "data_dir": synth_root,
        "output": tmp_path / "out",
        "schema": "valence",
        "protocol": "inference",
    }
    found = [
        run.evaluate(str(tiny), adapt=one, cells=["zho_eld"], **asked)
        for one in ("none", "corpus-norm")
    ]
    layers = [{fit.train: fit.facts["layer"] for fit in result.fits} for result in found]
    assert layers[0] == layers[1]
    plain = run.evaluate(str(tiny), head="logistic", cells=["zho_eld"], **asked)
    assert layers[0] == {fit.train: fit.facts["layer"] for fit in plain.fits}
    for ours, theirs in zip(found[0].scores, plain.scores, strict=True):
        assert ours.value == pytest.approx(theirs.value, abs=1e-6)


def test_the_layer_is_chosen_anew_where_files_have_changed(synth_root, tmp_path, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    request = (
        TaskSpec.of(protocol="in-group", cells=("zho_eld",), schema="valence"),
        CorpusSource.of(synth_root),
    )
    labelled, plan = planning.plan(*request, Progress(), adapts="transductive")
    (job,) = plan.jobs([0])
    spec = ModelSpec(str(tiny_models.build("hubert", tmp_path / "tiny")))
    found = runner_of(Probe(adapt="none"), spec, labelled.schema)
    found.open(labelled, plan.rows(), Progress())
    found.run(job, tmp_path)
    kept = tmp_path / "cache" / "layers"
    assert len(list(kept.iterdir())) == 1
    manifest = dataclasses.replace(labelled.selection.manifest, states={"csed": "other files"})
    selection = dataclasses.replace(labelled.selection, manifest=manifest)
    found.probe.labelled = dataclasses.replace(labelled, selection=selection)
    found.run(dataclasses.replace(job, name="again"), tmp_path)
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"adapt": "nonsense"}, UnknownName, "adaptation method"),
        ({"adapt": "coral", "adapt_setting": "both"}, UnknownName, "adaptation setting"),
        (
            {"adapt": "coral", "schema": "emotion"},
            SettingError,
            "expected a schema of exclusive classes, such as valence",
        ),
        (
            {"adapt": "lame", "adapt_setting": "inductive"},
            SettingError,
            "lame: expected the transductive setting",
        ),
        ({"adapt": "coral", "head": "layers"}, SettingError, "head: expected none beside adapt"),
        ({"adapt_setting": "inductive"}, SettingError, "expected a method to adapt with"),
        ({"adapt": "coral", "track": "finetune"}, SettingError, "adapt: expected with track probe"),
        (
            {"adapt": "coral", "model": "bimotion/random"},
            SettingError,
            "expected a model with features",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused(options, error, message, synth_root, tmp_path):
    model = options.pop("model", "bimotion/prosody")
    with pytest.raises(error, match=message):
        run.evaluate(
            model, data_dir=synth_root, output=tmp_path, **{"schema": "valence", **options}
        )


def test_the_command_line_shows_methods_side_by_side(synth_root, tmp_path):
    def bimotion(*arguments):
        command = [
            sys.executable,
            "-m",
            "bimotion",
            "evaluate",
            "--model",
            "bimotion/prosody",
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True)

    asked = [
        "--corpora",
        str(synth_root),
        "--output",
        str(tmp_path),
        "--schema",
        "valence",
        "--protocol",
        "inference",
    ]
    shown = bimotion(
        *asked, "--cells", "zho_eld", "--adapt", "none, logit-adjust", "--seeds", "0,1"
    )
    assert shown.returncode == 0, shown.stderr
    lines = [line.split(" | ") for line in shown.stdout.splitlines() if line.startswith("| ")]
    assert [line[0] for line in lines[1:4]] == [
        "| none",
        "| logit-adjust-uniform",
        "| logit-adjust-em",
    ]
    assert [line[2] for line in lines[:4]] == ["target audio", "not seen", "not seen", "seen"]
    result = next(
        record.load(path)
        for path in tmp_path.glob("*/*/result.json")
        if '"method": "none"' in path.read_text()
    )
    assert f"{100 * result.headline('cross-lingual', 'inference', 'zho_eld'):.2f}" in lines[1]
    assert "SYNTHETIC" in shown.stdout
    four = bimotion(
        *asked[:4], "--schema", "four", "--protocol", "in-group", "--adapt", "none,corpus-norm"
    )
    assert (
        "1 of 4 settings skipped: no test clips in zho_eld; no training clips in zho_eld"
        in four.stdout
    ), four.stderr
    for asked_for, said in {
        "magic": "unknown",
        "": "found an empty option ''",
        "all,none": "expected all alone",
    }.items():
        refused = bimotion(*asked, "--adapt", asked_for)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_all_methods_inductively_are_those_that_have_such_a_form(synth_root, tmp_path):
    """And a method without one is refused before the others have run, not after."""

    def bimotion(methods, *arguments):
        command = [
            sys.executable,
            "-m",
            "bimotion",
            "evaluate",
            "--model",
            "bimotion/prosody",
            "--adapt",
            methods,
        ]
        asked = [
            "--adapt-setting",
            "inductive",
            "--corpora",
            str(synth_root),
            "--schema",
            "valence",
            "--cells",
            "zho_eld",
        ]
        asked += ["--protocol", "inference", "--output", str(tmp_path / "out")]
        return subprocess.run([*command, *asked, *arguments], capture_output=True, text=True)

    planned = bimotion("all", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "not run, for they have no inductive form: lame\n" in planned.stderr
    assert f"then {4 * (len(METHODS) - 1)} heads" in planned.stdout
    refused = bimotion("none,lame")
    assert refused.returncode == 2
    assert (
        refused.stderr
        == "bimotion: lame: expected the transductive setting: it predicts clips from one another\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_adapted_run_is_submitted_and_what_it_says_of_itself_is_checked(synth_root, tmp_path):
    result = evaluated(synth_root, tmp_path, "nnpm-c", cells=["zho_eld"])
    reference = AnswerKey.of_corpora(CorpusSource.of(synth_root, allow_missing=True))
    packed = submission.pack(
        result.folder(tmp_path),
        tmp_path / "submissions",
        contact=None,
        trained_on=[],
        practice=True,
    )
    verdict = verify.verify(packed, reference, practice=True)
    assert verdict.problems == []
    assert verdict.result.adapt.target_seen
    for change in (
        {"target_seen": False},
        {"title": "NNPM"},
        {"version": "0"},
        {"method": "magic"},
        {"setting": "oracle"},
    ):
        adapt = dataclasses.replace(result.adapt, **change)
        lying = dataclasses.replace(result, adapt=adapt)
        lying = dataclasses.replace(lying, key=lying.spec.key)
        folder = tmp_path / "lying" / "bimotion__prosody" / lying.key
        lying.save(folder)
        (folder / "predictions.parquet").write_bytes(
            (result.folder(tmp_path) / "predictions.parquet").read_bytes()
        )
        sent = submission.pack(
            folder, tmp_path / "sent", contact=None, trained_on=[], practice=True
        )
        problems = verify.verify(sent, reference, practice=True).problems
        assert problems, change
        assert any("adapt" in problem for problem in problems), problems
