"""From raw audio to scores: the structure that was built into synthetic data comes out, and what
must be chance is chance."""

import dataclasses
import hashlib
import json
import random
import shutil
import statistics
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.corpora import esd
from bimotion.data.synthetic import layouts
from bimotion.errors import CorpusIncomplete, SettingError, UnknownName
from bimotion.evaluation import run as runner
from bimotion.protocol import settings
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import overview, predictions, scoring
from bimotion.results import record as results


def evaluated(model, *, output, **options):
    """A result, and the folder that it was written to."""
    result = runner.evaluate(model, output=output, **options)
    return result, result.folder(output)


@pytest.fixture(scope="module")
def bimotion():
    """The command line."""

    def call(*args):
        command = [sys.executable, "-m", "bimotion", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def prosody(synth_root, output):
    return evaluated("bimotion/prosody", data_dir=synth_root, output=output, schema="valence")


def mean_headline(result, transfer: str, method: str) -> float:
    cells = [str(cell) for cell in settings.groups.BIMOTION_CELLS]
    return statistics.mean(result.headline(transfer, method, cell) for cell in cells)


def test_the_matrix_shows_the_built_in_structure(prosody):
    result, _ = prosody
    in_group, cross_age, cross_lingual, cross_all = (
        mean_headline(result, transfer, "inference")
        for transfer in ("in-group", "cross-age", "cross-lingual", "cross-all")
    )
    assert in_group > cross_age + 0.05
    assert cross_age > cross_lingual + 0.05
    assert in_group > 0.7
    assert cross_all < cross_age
    assert mean_headline(result, "cross-age", "augmentation") > cross_age


def test_prosody_beats_the_other_floors(prosody, synth_root, output):
    result, _ = prosody
    for name in ("bimotion/majority", "bimotion/random"):
        floor, _ = evaluated(name, data_dir=synth_root, output=output, schema="valence")
        assert (
            mean_headline(floor, "in-group", "inference")
            < mean_headline(result, "in-group", "inference") - 0.2
        )
        recalls = [
            score.value
            for score in floor.scores
            if score.metric == "uar" and score.pooling == "mean"
        ]
        assert statistics.mean(recalls) == pytest.approx(
            0.38, abs=0.06
        )  # a third for three classes, a half for ElderReact's two


def test_the_record_is_whole(prosody, output):
    result, folder = prosody
    read = results.load(folder / "result.json")
    assert read == result
    assert read.data.synthetic
    assert not read.data.complete  # a sample
    assert read.skipped == []
    assert {score.transfer for score in read.scores} == set(settings.TRANSFERS) - {"zero-shot"}
    assert read.data.corpora["elderreact"].speakers_shared
    assert read.data.corpora["crema_d"].age_source == {
        "measured": read.data.corpora["crema_d"].n_utterances
    }
    assert sum(read.data.corpora["esd"].left_out.values()) > 0  # surprise has no valence
    board = json.loads((output / overview.LEADERBOARD_FILE).read_text())
    assert board["entries"] == []
    assert "synthetic" in board["excluded"][0]["reason"]


def test_a_folder_of_runs_is_a_board_too_and_neither_list_replaces_the_other(
    prosody, synth_root, tmp_path, bimotion
):
    result, folder = prosody
    assert pq.read_schema(folder / "predictions.parquet").equals(
        predictions.SHAPE, check_metadata=True
    )
    packed = bimotion("submit", folder, "--output", tmp_path / "submissions", "--practice")
    assert packed.returncode == 0, packed.stderr
    (submitted,) = (tmp_path / "submissions").glob("*/*/predictions.parquet")
    assert submitted.read_bytes() == (folder / "predictions.parquet").read_bytes()

    runs = tmp_path / "runs"
    shutil.copytree(folder, runs / folder.parent.name / folder.name)
    overview.collect(runs)
    before = (runs / overview.LEADERBOARD_FILE).read_bytes()
    built = bimotion("leaderboard", "build", runs, "-o", runs, "--practice")
    assert built.returncode == 0, built.stderr
    assert (runs / overview.LEADERBOARD_FILE).read_bytes() == before
    board = json.loads((runs / "board.json").read_text())
    assert [(entry["model"], entry["flags"]["verified"]) for entry in board["entries"]] == [
        (result.model.name, False)
    ]
    assert board["excluded"] == []
    assert (
        f"1 of the folders in {runs} are runs of `bimotion evaluate`, not submissions"
        in built.stderr
    )
    run = runs / folder.parent.name / folder.name
    refused = bimotion("leaderboard", "verify", run, "--corpora", synth_root, "--practice")
    assert refused.returncode == 1
    assert (
        f"found a run as `bimotion evaluate` left it: `bimotion submit {run}` makes one"
        in refused.stdout
    )


def test_files_of_others_are_not_replaced(synth_root, tmp_path, bimotion):
    """Earlier, `leaderboard build` wrote a leaderboard.json of its own."""
    (tmp_path / "leaderboard.json").write_text(
        '{\n "metric": "weighted_f1",\n "board_version": 1\n}\n'
    )
    (tmp_path / "submissions").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/board.json").write_text('{"board": "of a ship"}')
    asked = ("--model", "bimotion/majority", "--corpora", synth_root, "--output", tmp_path)
    for command, name in (
        (("evaluate", *asked), "leaderboard.json"),
        (
            ("leaderboard", "build", tmp_path / "submissions", "-o", tmp_path / "theirs"),
            "theirs/board.json",
        ),
    ):
        before = (tmp_path / name).read_bytes()
        refused = bimotion(*command)
        assert refused.returncode == 2
        assert f"{tmp_path / name}: expected no file, or one with" in refused.stderr.replace(
            "\n", ""
        )
        assert (tmp_path / name).read_bytes() == before
    built = bimotion("leaderboard", "build", tmp_path / "submissions", "-o", tmp_path)
    assert "is an earlier board, now board.json: remove it" in built.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "board.json",
        "board.schema.json",
        "index.html",
        "leaderboard.json",
        "submissions",
        "theirs",
    ]


def test_every_score_has_an_interval_around_it_or_a_reason(prosody):
    result, _ = prosody
    for score in result.scores:
        if score.low is None:
            assert score.reason
        else:
            assert score.low - 1e-6 <= score.value <= score.high + 1e-6
            assert 0 <= score.low <= score.high <= 1
            assert score.n_clusters >= 2
    tess = [
        score for score in result.scores if score.corpus == "tess" and score.metric == "weighted_f1"
    ]
    assert {(score.low, score.reason) for score in tess} == {(None, "one speaker")}
    assert {score.clusters for score in result.scores if score.corpus == "crema_d"} == {"speaker"}
    assert {score.clusters for score in result.scores if score.corpus == "csed"} == {"clip"}


def test_scores_are_a_function_of_the_predictions(prosody):
    result, folder = prosody
    predictions = pd.read_parquet(folder / "predictions.parquet").sample(frac=1, random_state=0)
    again = scoring.scores(predictions, settings.settings("all"), SCHEMAS["valence"])
    assert again == result.scores


def test_each_training_set_is_fitted_once_and_columns_share_test_clips(prosody):
    _, folder = prosody
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert predictions["train"].nunique() == 13
    # Table 5 has its own corpora
    tables_3_and_4 = predictions[~predictions["train"].str.contains("@")]
    for _, rows in tables_3_and_4.groupby("cell"):
        assert rows.groupby("train")["id"].apply(lambda ids: tuple(sorted(ids))).nunique() == 1
    assert not predictions.duplicated(["train", "id"]).any()


def test_a_finished_run_is_read_back_and_two_runs_are_alike(prosody, synth_root, output, tmp_path):
    result, folder = prosody
    before = (folder / "result.json").stat().st_mtime_ns
    again, same = evaluated(
        "bimotion/prosody", data_dir=synth_root, output=output, schema="valence"
    )
    assert (again, same) == (result, folder)
    assert (folder / "result.json").stat().st_mtime_ns == before
    fresh, other = evaluated(
        "bimotion/prosody", data_dir=synth_root, output=tmp_path, schema="valence"
    )
    assert other.name == folder.name
    assert (other / "predictions.parquet").read_bytes() == (
        folder / "predictions.parquet"
    ).read_bytes()
    for record in (fresh, result):
        object.__setattr__(record.provenance, "started", "")
        object.__setattr__(record.provenance, "finished", "")
    assert fresh == result


def uar(root, output, rule: str, split_seed: int = 0) -> list[float]:
    """In-group unweighted recall of each cell of ESD."""
    result, _ = evaluated(
        "bimotion/prosody",
        data_dir=root,
        output=output,
        protocol="in-group",
        only=["esd"],
        split_rule=rule,
        split_seed=split_seed,
        allow_missing=True,
    )
    return [
        score.value for score in result.scores if score.metric == "uar" and score.pooling is None
    ]


def test_shuffled_labels_give_chance(synth_root, tmp_path):
    clips = layouts.plan(0.02, corpora=["esd"])
    voiced = [clip.voiced for clip in clips]
    random.Random(0).shuffle(voiced)
    layouts.lay(
        tmp_path / "shuffled",
        [
            dataclasses.replace(clip, voiced=emotions)
            for clip, emotions in zip(clips, voiced, strict=True)
        ],
    )
    chance = statistics.mean(uar(tmp_path / "shuffled", tmp_path, "paper"))
    # five emotions, 2 x 60 test clips
    assert chance == pytest.approx(0.2, abs=3.5 * (0.2 * 0.8 / 120) ** 0.5)
    assert statistics.mean(uar(synth_root, tmp_path, "paper")) > 0.7  # the same clips


def test_labels_tied_to_speakers_are_found_out_by_disjoint(tmp_path):
    """Every speaker has one label and all sound neutral: knowing the speaker is knowing the label,
    and nothing else is."""

    def is_tied(clip: layouts.Clip) -> bool:
        return clip.label == (
            esd.BLOCKS[int(hashlib.sha256(clip.voice.speaker.encode()).hexdigest(), 16) % 5],
        )

    clips = [clip for clip in layouts.plan(0.1, seed=0, corpora=["esd"]) if is_tied(clip)]
    layouts.lay(
        tmp_path / "tied", [dataclasses.replace(clip, voiced=("neutral",)) for clip in clips]
    )
    assert statistics.mean(uar(tmp_path / "tied", tmp_path, "paper")) > 0.7
    dealt = [
        value for seed in range(4) for value in uar(tmp_path / "tied", tmp_path, "disjoint", seed)
    ]
    assert statistics.mean(dealt) < 0.4


def test_real_clips_score_well_above_chance_in_group(shared_corpora, tmp_path):
    result, _ = evaluated(
        "bimotion/prosody", data_dir=shared_corpora, output=tmp_path, allow_missing=True
    )
    assert result.headline("in-group", "inference", "eng_eld") > 0.6  # 7 emotions
    assert result.headline("in-group", "inference", "eng_adu") > 0.8
    assert result.headline("in-group", "inference", "zho_eld") > 0.42  # 3 classes, equally frequent
    assert not result.data.synthetic
    assert not result.data.complete
    assert result.data.corpora["tess"].n_found == 185
    assert {skip.reason for skip in result.skipped} >= {"no training clips in zho_adu"}
    board = json.loads((tmp_path / overview.LEADERBOARD_FILE).read_text())
    assert [entry["complete"] for entry in board["entries"]] == [False]


def test_bad_requests_are_told_and_leave_nothing(synth_root, tmp_path, wav):
    with pytest.raises(UnknownName, match="expected one of bimotion/prosody"):
        evaluated("bimotion/prosodie", data_dir=synth_root, output=tmp_path / "out")
    wav(tmp_path / "corpora/TESS/OAF_angry/OAF_back_angry.wav")
    with pytest.raises(CorpusIncomplete):
        evaluated(
            "bimotion/majority",
            data_dir=tmp_path / "corpora",
            output=tmp_path / "out",
            only=["tess"],
        )
    with pytest.raises(SettingError, match="found none: no t"):
        evaluated(
            "bimotion/majority",
            data_dir=tmp_path / "corpora",
            output=tmp_path / "out",
            allow_missing=True,
        )
    assert not (tmp_path / "out").exists()


def test_what_would_be_ignored_is_refused(tmp_path):
    """Before any corpus is looked for: options that a baseline or an own object does not take,
    keywords that nobody knows."""

    class Own:
        def encode(self, waveforms, sample_rate_hz):
            raise AssertionError

    given = {"device": "cuda", "revision": "main", "batch_seconds": 3.0}
    for model in ("bimotion/prosody", Own()):
        for name, value in given.items():
            with pytest.raises(
                SettingError, match=f"^{name}: expected none with .*, found {value}$"
            ):
                runner.evaluate(model, data_dir=tmp_path, output=tmp_path / "out", **{name: value})
    for name, told in (
        ("corpora", "data_dir=ROOT.*only="),
        ("seed", "did you mean 'seeds'"),
        ("xyzzy", "no keyword 'xyzzy'$"),
    ):
        with pytest.raises(SettingError, match=told):
            runner.evaluate(
                "bimotion/prosody", data_dir=tmp_path, output=tmp_path / "out", **{name: ["tess"]}
            )
