"""From raw audio to scores: the structure that was built into synthetic data comes out, and what
must be chance is chance."""

import dataclasses
import hashlib
import inspect
import json
import random
import shutil
import statistics

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.corpora import esd
from bimotion.data.synthetic import layouts
from bimotion.errors import CorpusIncomplete, SettingError
from bimotion.evaluation import run as runner
from bimotion.protocol import settings
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import overview, predictions, scoring
from bimotion.results import record as results
from tests.support.command_line import run_main
from tests.support.small_runs import evaluated


@pytest.fixture
def bimotion(monkeypatch):
    """The command line: exit code, output, errors."""
    return lambda *words: run_main(monkeypatch, words)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def prosody(synth_root, output):
    return evaluated("bimotion/prosody", synth_root, output, schema="valence")


def mean_headline(result, transfer: str, method: str = "inference") -> float:
    cells = [str(cell) for cell in settings.groups.BIMOTION_CELLS]
    return statistics.mean(result.headline(transfer, method, cell) for cell in cells)


def test_the_matrix_shows_the_built_in_structure(prosody):
    result, _ = prosody
    in_group, cross_age, cross_lingual, cross_all = (
        mean_headline(result, transfer)
        for transfer in ("in-group", "cross-age", "cross-lingual", "cross-all")
    )
    assert in_group > cross_age + 0.05
    assert cross_age > cross_lingual + 0.05
    assert in_group > 0.7
    assert cross_all < cross_age
    assert mean_headline(result, "cross-age", "augmentation") > cross_age


@pytest.mark.parametrize("name", ["bimotion/majority", "bimotion/random"])
def test_prosody_beats_the_other_baselines(name, prosody, synth_root, output):
    baseline, _ = evaluated(name, synth_root, output, schema="valence", protocol="inference")
    assert mean_headline(baseline, "in-group") < mean_headline(prosody[0], "in-group") - 0.2
    recalls = [
        score.value
        for score in baseline.scores
        if score.metric == "uar" and score.pooling == "mean"
    ]
    # a third for three classes, a half for ElderReact's two
    assert statistics.mean(recalls) == pytest.approx(0.38, abs=0.06)


def test_the_record_is_whole(prosody, output):
    result, folder = prosody
    read = results.load(folder / "result.json")
    assert read == result
    assert read.data.synthetic
    assert not read.data.complete  # a sample
    assert read.skipped == []
    assert {score.transfer for score in read.scores} == set(settings.TRANSFERS) - {"zero-shot"}
    corpora = read.data.corpora
    assert corpora["elderreact"].speakers_shared
    assert corpora["crema_d"].age_source == {"measured": corpora["crema_d"].n_utterances}
    assert sum(corpora["esd"].left_out.values()) > 0  # surprise has no valence
    agreed = {(row.test, row.corpus, row.reference) for row in read.human}
    rated = [("eng_adu", "crema_d"), ("eng_adu", "iemocap"), ("eng_eld", "crema_d")]
    assert agreed == {(*of, kind) for of in rated for kind in ("label", "others")}
    tested = {
        (score.test, score.corpus): score.n_utterances
        for score in read.scores
        if score.metric == "uar"
    }
    of_label = [row for row in read.human if row.reference == "label"]
    assert all(row.n_utterances == tested[row.test, row.corpus] for row in of_label)
    board = json.loads((output / overview.LEADERBOARD_FILE).read_text())
    assert board["entries"] == []
    assert "synthetic" in board["excluded"][0]["reason"]
    shape = pq.read_schema(folder / "predictions.parquet")
    assert shape.equals(predictions.SHAPE, check_metadata=True)


def test_a_folder_of_runs_is_a_board_too_and_neither_list_replaces_the_other(
    prosody, synth_root, tmp_path, bimotion
):
    result, folder = prosody
    submissions, runs = tmp_path / "submissions", tmp_path / "runs"
    assert bimotion("submit", folder, "--output", submissions, "--practice")[0] == 0
    (submitted,) = submissions.glob("*/*/predictions.parquet")
    assert submitted.read_bytes() == (folder / "predictions.parquet").read_bytes()

    run = shutil.copytree(folder, runs / folder.parent.name / folder.name)
    overview.collect(runs)
    before = (runs / overview.LEADERBOARD_FILE).read_bytes()
    code, _, errors = bimotion("leaderboard", "build", runs, "-o", runs, "--practice")
    assert code == 0, errors
    assert (runs / overview.LEADERBOARD_FILE).read_bytes() == before
    board = json.loads((runs / "board.json").read_text())
    entries = [(entry["model"], entry["flags"]["status"]) for entry in board["entries"]]
    assert entries == [(result.model.name, "claimed")]
    assert board["excluded"] == []
    reason = f"1 of the folders in {runs} are runs of `bimotion evaluate`, not submissions"
    assert reason in errors
    words = ("leaderboard", "verify", run, "--corpora", synth_root, "--practice")
    code, shown, _ = bimotion(*words)
    assert code == 1
    reason = f"found a run as `bimotion evaluate` left it: `bimotion submit {run}` makes one"
    assert reason in shown


def test_files_of_others_are_not_replaced(synth_root, tmp_path, bimotion):
    """Earlier, `leaderboard build` wrote a leaderboard.json of its own."""
    earlier = '{\n "metric": "weighted_f1",\n "board_version": 1\n}\n'
    (tmp_path / "leaderboard.json").write_text(earlier)
    for name in ("submissions", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs/board.json").write_text('{"board": "of a ship"}')
    evaluate = ("evaluate", "--model", "bimotion/majority", "--corpora", synth_root)
    build = ("leaderboard", "build", tmp_path / "submissions")
    for words, name in (
        ((*evaluate, "--output", tmp_path), "leaderboard.json"),
        ((*build, "-o", tmp_path / "theirs"), "theirs/board.json"),
    ):
        before = (tmp_path / name).read_bytes()
        code, _, errors = bimotion(*words)
        assert code == 2
        assert f"{tmp_path / name}: expected no file, or one with" in errors.replace("\n", "")
        assert (tmp_path / name).read_bytes() == before
    assert "is an earlier board, now board.json: remove it" in bimotion(*build, "-o", tmp_path)[2]
    written = {path.name for path in tmp_path.iterdir()} - {"submissions", "theirs"}
    assert written == {"board.json", "board.schema.json", "index.html", "leaderboard.json"}


def test_every_score_has_an_interval_around_it_or_a_reason(prosody):
    scores = prosody[0].scores
    for score in scores:
        if score.low is None:
            assert score.reason
        else:
            assert score.low - 1e-6 <= score.value <= score.high + 1e-6
            assert 0 <= score.low <= score.high <= 1
            assert score.n_clusters >= 1
    kinds = {(score.corpus, score.clusters) for score in scores}
    assert kinds >= {("crema_d", "speaker"), ("csed", "latent")}
    stated = {name: [s.reason for s in scores if s.corpus == name] for name in ("csed", "tess")}
    assert any(
        "latent speakers (stated: 10; 5 gives" in (reason or "") for reason in stated["csed"]
    )
    assert any("eng_eld/tess: one speaker" in (reason or "") for reason in stated["tess"])


def test_scores_are_a_function_of_the_predictions(prosody):
    """In whatever order; each training set is fitted once, and columns share test clips."""
    result, folder = prosody
    rows = pd.read_parquet(folder / "predictions.parquet")
    shuffled = rows.sample(frac=1, random_state=0)
    assert scoring.scores(shuffled, settings.settings("all"), SCHEMAS["valence"]) == result.scores
    assert rows["train"].nunique() == 13
    assert not rows.duplicated(["train", "id"]).any()
    # Table 5 has its own corpora
    for _, of_cell in rows[~rows["train"].str.contains("@")].groupby("cell"):
        clips = of_cell.groupby("train")["id"].apply(lambda ids: tuple(sorted(ids)))
        assert clips.nunique() == 1


def test_a_finished_run_is_read_back_and_two_runs_are_alike(prosody, synth_root, output, tmp_path):
    result, folder = prosody
    before = (folder / "result.json").stat().st_mtime_ns
    asked = {"schema": "valence"}
    assert evaluated("bimotion/prosody", synth_root, output, **asked) == (result, folder)
    assert (folder / "result.json").stat().st_mtime_ns == before
    fresh, other = evaluated("bimotion/prosody", synth_root, tmp_path, **asked)
    assert other.name == folder.name
    first, second = (path / "predictions.parquet" for path in (folder, other))
    assert first.read_bytes() == second.read_bytes()
    assert dataclasses.replace(fresh, provenance=result.provenance) == result


def mean_uar(root, output, rule: str = "paper", split_seed: int = 0) -> float:
    """In-group unweighted recall, mean over the cells of ESD."""
    asked = {"protocol": "in-group", "only": ["esd"], "split_rule": rule, "split_seed": split_seed}
    result, _ = evaluated("bimotion/prosody", root, output, **asked)
    scores = [score for score in result.scores if score.metric == "uar" and score.pooling is None]
    return statistics.mean(score.value for score in scores)


def test_shuffled_labels_give_chance(synth_root, tmp_path):
    clips = layouts.plan(0.02, corpora=["esd"])
    voiced = [clip.voiced for clip in clips]
    random.Random(0).shuffle(voiced)
    shuffled = [
        dataclasses.replace(clip, voiced=emotions)
        for clip, emotions in zip(clips, voiced, strict=True)
    ]
    layouts.lay(tmp_path / "shuffled", shuffled)
    n_test = sum(clip.part == "test" for clip in clips)
    assert n_test == 120
    chance = pytest.approx(0.2, abs=3.5 * (0.2 * 0.8 / n_test) ** 0.5)  # five emotions
    assert mean_uar(tmp_path / "shuffled", tmp_path) == chance
    assert mean_uar(synth_root, tmp_path) > 0.7


def test_labels_tied_to_speakers_are_found_out_by_disjoint(tmp_path):
    """Every speaker has one label and all sound neutral: knowing the speaker is knowing the label,
    and nothing else is."""

    def is_tied(clip: layouts.Clip) -> bool:
        number = int(hashlib.sha256(clip.voice.speaker.encode()).hexdigest(), 16)
        return clip.label == (esd.BLOCKS[number % 5],)

    clips = [clip for clip in layouts.plan(0.1, seed=0, corpora=["esd"]) if is_tied(clip)]
    root = tmp_path / "tied"
    layouts.lay(root, [dataclasses.replace(clip, voiced=("neutral",)) for clip in clips])
    assert mean_uar(root, tmp_path) > 0.7
    disjoint = [mean_uar(root, tmp_path, "disjoint", seed) for seed in range(4)]
    assert statistics.mean(disjoint) < 0.4


def test_real_clips_score_well_above_chance_in_group(shared_corpora, tmp_path):
    asked = {"protocol": "inference"}
    result, _ = evaluated("bimotion/prosody", shared_corpora, tmp_path, **asked)
    assert result.headline("in-group", "inference", "eng_eld") > 0.6  # 7 emotions
    assert result.headline("in-group", "inference", "eng_adu") > 0.8
    assert result.headline("in-group", "inference", "zho_eld") > 0.42  # 3 classes, equally frequent
    assert not result.data.synthetic
    assert not result.data.complete
    assert result.data.corpora["tess"].n_found == 185
    assert {skip.reason for skip in result.skipped} >= {"no training clips in zho_adu"}
    board = json.loads((tmp_path / overview.LEADERBOARD_FILE).read_text())
    assert [entry["complete"] for entry in board["entries"]] == [False]


def test_corpora_that_lack_clips_are_refused_and_nothing_is_left(tmp_path, wav):
    root, output = tmp_path / "corpora", tmp_path / "out"
    wav(root / "TESS/OAF_angry/OAF_back_angry.wav")
    with pytest.raises(CorpusIncomplete):
        evaluated("bimotion/majority", root, output, only=["tess"], allow_missing=False)
    with pytest.raises(SettingError, match="found none: no t"):
        evaluated("bimotion/majority", root, output)
    assert not output.exists()


class Own:
    def encode(self, waveforms, sample_rate_hz):
        raise AssertionError


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        *(
            (model, {name: value}, f"^{name}: expected none with .*, found {value}$")
            for model in ("bimotion/prosody", Own())
            for name, value in {"device": "cuda", "revision": "main", "batch_seconds": 3.0}.items()
        ),
        *(
            ("bimotion/prosody", {name: "no"}, f"^{name}: expected True or False, found 'no'$")
            for name in inspect.signature(runner.evaluate).parameters
            if inspect.signature(runner.evaluate).parameters[name].annotation is bool
        ),
        ("bimotion/prosody", {"corpora": ["tess"]}, "data_dir=ROOT.*only="),
        ("bimotion/prosody", {"seed": ["tess"]}, "did you mean 'seeds'"),
        ("bimotion/prosody", {"xyzzy": ["tess"]}, "no keyword 'xyzzy'$"),
    ],
)
def test_what_would_be_ignored_is_refused(model, options, message, tmp_path):
    """Before any corpus is looked for: options that a baseline or an own object does not take,
    keywords that nobody knows."""
    with pytest.raises(SettingError, match=message):
        runner.evaluate(model, data_dir=tmp_path, output=tmp_path / "out", **options)
