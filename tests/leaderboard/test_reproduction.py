"""Submissions run again by the keeper: comparison by hand, and submissions of real models, honest
and dishonest."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import binomtest

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import rerun
from bimotion.evaluation import run as runner
from bimotion.leaderboard import board, receipt, receiving, reproduction, submission
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.reproduction import OTHER_DEVICE, SAME_DEVICE, TRAINED, Agreement
from bimotion.protocol.labels import schema_named
from bimotion.results import predictions, rescoring
from bimotion.results.record import PREDICTIONS_FILE
from tests.support.command_line import run_here as bimotion
from tests.support.shared import once

ONE_IN = 4
VALENCE, EMOTION = schema_named("valence"), schema_named("emotion")


def table(probabilities, reference, names=None):
    n = len(probabilities)
    rows = {"train": "eng_eld", "seed": 0, "fold": 0, "id": names or [f"a/{i}" for i in range(n)]}
    rows |= {"cell": "eng_eld", "corpus": "a", "speaker": "s"}
    return pd.DataFrame(rows).assign(
        probabilities=list(np.array(probabilities, np.float32)),
        reference=list(np.array(reference, np.int8)),
    )


def test_agreement_by_hand():
    here = table([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [[1, 0], [1, 0], [1, 0]])
    there = table([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]], [[1, 0], [1, 0], [1, 0]])
    assert Agreement.of(there.iloc[::-1], here, VALENCE) == Agreement(
        n_predictions=3,
        largest_difference=0.25,
        mean_difference=pytest.approx(1 / 6),
        same_decisions=pytest.approx(1 / 3),
        right_there_only=1,
        right_here_only=1,
        ranked={("eng_eld", "a"): (1, 1)},
    )
    with pytest.raises(SettingError, match="same clips, found 2 there and 3 here, of which 2 are"):
        Agreement.of(there.iloc[:2], here, VALENCE)


def test_decisions_are_those_that_are_scored():
    """A class that the corpus does not annotate is never decided for; label by label where clips
    have several: no cheat below the tolerance of probabilities passes as no difference."""
    rest = [[0.8, 0.11, 0.09]]
    here, there = table(rest * 12, [[-1, 0, 1]] * 12), [[0.8, 0.09, 0.11]] * 12
    made = Agreement.of(table(there, [[-1, 0, 1]] * 12), here, VALENCE)
    assert (made.same_decisions, made.right_there_only, made.right_here_only) == (0, 12, 0)
    assert made.mean_difference < OTHER_DEVICE.mean_difference
    assert "12 are right in the submission only" in made.why_not(OTHER_DEVICE)
    own = [[1, 1, 0]] * 12
    here, there = table([[0.9, 0.49, 0.1]] * 12, own), table([[0.9, 0.51, 0.1]] * 12, own)
    made = Agreement.of(there, here, EMOTION)
    assert (made.same_decisions, made.right_there_only) == (0, 12)


def test_what_is_made_good_elsewhere_does_not_hide_labels_where_models_are_ranked():
    """Ten decisions right in the cell that ranks, ten wrong in a transfer or in a larger corpus."""
    balanced = agreement(right_there_only=12, right_here_only=12)
    assert balanced.why_not(OTHER_DEVICE) is None
    in_group = {("eng_eld", "a"): (12, 0)}
    reason = dataclasses.replace(balanced, ranked=in_group).why_not(OTHER_DEVICE)
    assert reason.startswith("of the decisions by which it is ranked that differ 12 are right in")
    in_small = {("eng_eld", "a"): (15, 0), ("eng_eld", "b"): (0, 15)}
    reason = dataclasses.replace(balanced, ranked=in_small).why_not(OTHER_DEVICE)
    assert reason.startswith("of the decisions on eng_eld/a that differ 15 are right in the")
    honest = {("eng_eld", "a"): (3, 1), ("eng_eld", "b"): (9, 11)}
    assert dataclasses.replace(balanced, ranked=honest).why_not(OTHER_DEVICE) is None


def test_which_decisions_rank():
    here, there = table([[0.1, 0.9]] * 4, [[1, 0]] * 4), table([[0.9, 0.1]] * 4, [[1, 0]] * 4)
    for side in (here, there):
        side["train"] = ["eng_eld", "eng_adu", "nothing", "nothing@a"]
    assert Agreement.of(there, here, VALENCE).ranked == {("eng_eld", "a"): (3, 0)}


def agreement(**changes):
    same = Agreement(1000, 0.0, 0.0, 1.0, 0, 0)
    return dataclasses.replace(same, **changes)


def test_what_is_within_the_tolerance_and_what_is_not():
    assert agreement().why_not(SAME_DEVICE) is None
    assert agreement(mean_difference=0.01).why_not(OTHER_DEVICE) is None
    assert "by 0.01 on average, tolerance 0.0001" in agreement(mean_difference=0.01).why_not(
        SAME_DEVICE
    )
    few = agreement(same_decisions=0.9)
    assert few.why_not(TRAINED) is None
    assert few.why_not(OTHER_DEVICE) == "90.0% of the decisions are the same, tolerance 97.0%"


@pytest.mark.parametrize("measure", ["mean_difference", "same_decisions"])
def test_what_is_no_number_is_within_no_tolerance(measure):
    assert agreement(**{measure: float("nan")}).why_not(TRAINED)


@pytest.mark.parametrize(("there", "here"), [(9, 0), (10, 0), (20, 4), (20, 8), (0, 20)])
def test_decisions_that_only_get_better_are_no_rounding(there, here):
    expected = binomtest(there, there + here, alternative="greater").pvalue < 0.001
    reason = agreement(right_there_only=there, right_here_only=here).why_not(TRAINED)
    assert (reason is not None) == expected
    assert reason is None or f"{there} are right in the submission only" in reason


def test_a_draw_is_of_its_seed_and_of_one_set_at_least():
    names = ["a", "b", "c", "d", "e"]
    assert reproduction.drawn(names, 0.4, 7) == reproduction.drawn(names, 0.4, 7)
    assert {tuple(reproduction.drawn(names, 0.01, seed)) for seed in range(40)} == {
        (name,) for name in names
    }
    assert reproduction.drawn(names, 1.0, 3) == names


# --- real models --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpora(shared_corpora):
    """A root with a few real clips of CSED."""

    def lay(root):
        clips = sorted((shared_corpora / "CSED").rglob("*.wav"))[::ONE_IN]
        for clip in clips:
            target = root / clip.relative_to(shared_corpora)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, target)

    return once("few-csed", lay)


@pytest.fixture(scope="module")
def finished(corpora, real_models):
    """The folder of a finished run of a real model over these clips."""

    def run(name):
        asked = {"protocol": "in-group", "window": "clip", "allow_missing": True}
        output = once(
            f"reproduction-{name}",
            lambda output: runner.evaluate(
                str(real_models / name), data_dir=corpora, output=output, **asked
            ),
        )
        return next(output.glob("*/*/result.json")).parent

    return run


@pytest.fixture
def received(corpora, tmp_path):
    """A folder and a name: a run that was submitted, and verified for practice, with other
    predictions or under another record."""

    def receive(folder, change=lambda result, rows: (result, rows)):
        result, rows = rescoring.read(folder)
        result, rows = change(result, rows)
        forged = tmp_path / "forged" / result.model.name / result.spec.key
        forged.mkdir(parents=True)
        predictions.save(rows, forged / PREDICTIONS_FILE)
        dataclasses.replace(result, key=result.spec.key).save(forged)
        _, rescored = rescoring.rescore(forged)
        rescored.save(forged)
        statement = {"contact": None, "trained_on": [], "organisation": "lab", "practice": True}
        submissions = tmp_path / "submissions"
        path = submission.pack(forged, submissions, **statement)
        name = "/".join(path.parts[-2:])
        key = AnswerKey.of_corpora(CorpusSource.of(corpora, allow_missing=True))
        (verdict,) = receiving.receive(submissions, [name], key, practice=True)
        assert verdict.ok, verdict.problems
        return path

    return receive


@pytest.fixture
def reproduce(corpora, real_models):
    """The outcome of the command for a submission, with a model of ours."""

    def command(path, model, *more):
        options = ["--corpora", corpora, "--model", model, *more]
        return bimotion("leaderboard", "reproduce", path, *options)

    return command


def status(path) -> tuple[str, str | None]:
    """Status of the one entry, on a board for practice."""
    (entry,) = board.build(path.parents[1], practice=True).entries
    return entry.flags.status, entry.flags.status_reason


def reproduced(path) -> reproduction.Reproduction | None:
    return receipt.load(path.parents[2] / "receipts", "/".join(path.parts[-2:])).reproduction


def test_an_honest_run_is_reproduced(received, finished, reproduce, real_models, corpora):
    path = received(finished("whisper-tiny.en"))
    assert reproduced(path) is None
    assert status(path) == ("recomputed", "nobody has run it again")
    done = reproduce(path, real_models / "whisper-tiny.en")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert "reproduced\n  1 of 1 training sets\n" in done.stdout
    made = reproduced(path)
    assert made.reproduced
    assert (made.reason, made.draw, made.is_public, made.model_differs) == (None, None, False, [])
    assert (made.n_predictions, made.same_decisions) == (66, 1.0)
    assert made.mean_difference < 1e-6
    assert status(path) == ("reproduced", None)
    # what is verified again, the same files, keeps it
    key = AnswerKey.of_corpora(CorpusSource.of(corpora, allow_missing=True))
    name = "/".join(path.parts[-2:])
    receiving.receive(path.parents[1], [name], key, practice=True)
    assert reproduced(path) == made


def leaked(result, rows):
    """Every twentieth prediction made from the labels."""
    reference = np.stack(rows["reference"]) == 1
    probabilities = np.stack(rows["probabilities"]).copy()
    chosen = np.arange(len(rows)) % 20 == 0
    probabilities[chosen] = 0.9 * reference[chosen] + 0.1 / reference.shape[1]
    return result, rows.assign(probabilities=list(probabilities))


def test_labels_in_five_percent_of_the_predictions(received, finished, reproduce, real_models):
    path = received(finished("whisper-tiny.en"), leaked)
    done = reproduce(path, real_models / "whisper-tiny.en")
    assert done.returncode == 1
    assert "NOT REPRODUCED" in done.stdout
    made = reproduced(path)
    assert not made.reproduced
    assert "on average, tolerance 0.0001" in made.reason
    assert made.right_there_only > made.right_here_only == 0
    assert status(path) == ("recomputed", f"not reproduced: {made.reason}")


def test_a_better_model_under_a_weaker_name(received, finished, reproduce, real_models):
    weaker, _ = rescoring.read(finished("whisper-tiny.en"))

    def renamed(result, rows):
        return dataclasses.replace(result, model=weaker.model), rows

    path = received(finished("whisper-base-encoder"), renamed)
    assert reproduce(path, real_models / "whisper-tiny.en").returncode == 1
    assert "of the decisions are the same, tolerance 99.9%" in reproduced(path).reason


def test_another_revision_of_the_weights(received, finished, reproduce, real_models, tmp_path):
    other = Path(shutil.copytree(real_models / "whisper-tiny.en", tmp_path / "whisper-tiny.en"))
    weights = load_file(other / "model.safetensors")
    generator = np.random.default_rng(0)
    for name, values in weights.items():
        noise = generator.standard_normal(values.shape).astype(values.dtype)
        weights[name] = values + values.dtype.type(0.05 * values.astype(float).std()) * noise
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    path = received(finished("whisper-tiny.en"))
    assert reproduce(path, other).returncode == 1
    made = reproduced(path)
    assert "the model is another one here: model.options.weights: " in made.reason
    assert len(made.model_differs) == 1


def test_what_nobody_verified_is_not_run(received, finished, reproduce, real_models, corpora):
    path = received(finished("whisper-tiny.en"))
    shutil.rmtree(path.parents[2] / "receipts")
    done = reproduce(path, real_models / "whisper-tiny.en")
    assert done.returncode == 2
    assert "found no receipt: run `bimotion leaderboard verify` first" in done.stderr


def test_a_receipt_that_was_withdrawn_during_the_run_stays_away(received, finished):
    path = received(finished("whisper-tiny.en"))
    name, receipts = "/".join(path.parts[-2:]), path.parents[2] / "receipts"
    held = receiving.received(path.parents[1], name)
    receipt.withdraw(receipts, name)
    with pytest.raises(SettingError, match="receipt that it had before the run, found none"):
        held.reproduced(None)
    receipt.write(receipts, name, {"result.json": "0" * 64}, practice=True)
    with pytest.raises(SettingError, match="found one of other files"):
        held.reproduced(None)
    assert receipt.load(receipts, name).sha256 == {"result.json": "0" * 64}
    receipt.write(receipts, name, held.receipt.sha256, practice=True, baseline=True)
    held.reproduced(None)
    assert receipt.load(receipts, name).baseline


def test_a_stranger_moves_no_cursor(finished):
    result, rows = rescoring.read(finished("whisper-tiny.en"))
    made = reproduction.reproduction_of(
        result,
        rows,
        rows,
        training_sets=list(rows["train"].unique()),
        model_differs=["model.version: 1\x1b[2J there, 2 here"],
        made=result.provenance,
        n_training_sets=1,
        draw=None,
        is_public=False,
    )
    assert all(line.isprintable() for line in reproduction.lines(made))
    assert all(line.isprintable() for line in made.model_differs)


def test_what_other_code_or_another_device_made_is_run_again(finished):
    made = rescoring.read(finished("whisper-tiny.en"))[0].provenance
    different = [
        dataclasses.replace(made, device="NVIDIA H100"),
        dataclasses.replace(made, git_revision="0" * 40),
        dataclasses.replace(made, versions=made.versions | {"scikit-learn": "0.1"}),
    ]
    assert len({rerun._machine(each) for each in [made, *different]}) == 4
    assert rerun._machine(dataclasses.replace(made, finished="later")) == rerun._machine(made)


def test_a_label_map_that_means_nothing_is_refused(finished):
    result, _ = rescoring.read(finished("whisper-tiny.en"))
    with pytest.raises(SettingError, match="label_map: expected none with a run of track probe"):
        rerun._track(result, rerun.ModelLoading(label_map=Path("map.json")))
