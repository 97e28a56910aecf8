"""Protocols beyond the paper, end to end on synthetic corpora; and that nobody who runs the paper's
ones notices them."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bimotion.analysis import paper_tables
from bimotion.corpora import EXTENSION_CORPORA, PAPER_CORPORA
from bimotion.corpora.urdu import GRAMMAR
from bimotion.data import manifest
from bimotion.data.huggingface import builder
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import CorpusIncomplete
from bimotion.evaluation import plan as planning
from bimotion.evaluation import run
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.results import overview, rescoring

TESTS = ("deu_adu", "fas_adu", "urd_adu")
SOURCES = ("eng_adu@iemocap", "eng_adu@crema_d", "eng_adu")


def bimotion(*words):
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def root(synth_root, tmp_path_factory):
    """The paper's synthetic corpora and those of protocol extension at the smallest size."""
    folder = tmp_path_factory.mktemp("extension")
    shutil.copytree(synth_root, folder / "corpora")
    layouts.write(folder / "more", scale=0.001, corpora=EXTENSION_CORPORA)
    for corpus in filter(Path.is_dir, (folder / "more").iterdir()):
        corpus.rename(folder / "corpora" / corpus.name)
    return folder / "corpora"


@pytest.fixture(scope="module")
def results(root, tmp_path_factory):
    """Folder of results, and those of prosody (rule paper, rule disjoint) under schema four."""
    output = tmp_path_factory.mktemp("results")
    asked = {"data_dir": root, "output": output, "protocol": "extension", "schema": "four"}
    return output, [
        run.evaluate("bimotion/prosody", **asked, split_rule=rule) for rule in ("paper", "disjoint")
    ]


# --- the three corpora, made --------------------------------------------------------------------


def test_synthetic_corpora_are_read_back_in_their_true_layouts(root):
    found = manifest.build(CorpusSource.of(root, only=EXTENSION_CORPORA))
    assert found.findings == ()
    assert found.synthetic == frozenset(EXTENSION_CORPORA)
    assert set(found.table["language"]) == {"deu", "fas", "urd"}
    paths = {corpus: rows["path"].iloc[0] for corpus, rows in found.table.groupby("corpus")}
    assert paths["emo_db"].startswith("wav/")
    assert paths["shemo"].split("/")[0] in ("male", "female")
    assert paths["urdu"].split("/")[0] in ("Angry", "Happy", "Neutral", "Sad")
    assert GRAMMAR.fullmatch(paths["urdu"].partition("/")[2].removesuffix(".wav"))
    assert set(found.table.loc[found.table["corpus"] == "shemo", "sample_rate_hz"]) == {44100}


def test_synthetic_corpora_without_a_name_are_the_papers():
    assert {clip.corpus for clip in layouts.plan(0.001)} == set(PAPER_CORPORA)
    assert {clip.corpus for clip in layouts.plan(0.001, corpora=["urdu"])} == {"urdu"}


# --- protocol extension -------------------------------------------------------------------------


def test_every_setting_has_its_own_scores(results):
    for result in results[1]:
        headline = [s for s in result.scores if (s.metric, s.pooling) == ("weighted_f1", "mean")]
        found = Counter((s.transfer, *s.train, s.test) for s in headline)
        cross = [("cross-lingual", source, test) for source in SOURCES for test in TESTS]
        assert found == dict.fromkeys([*cross, *(("in-group", test, test) for test in TESTS)], 1)
        assert {s.corpus for s in result.scores if s.corpus} == set(EXTENSION_CORPORA)
        assert all(s.classes == ["angry", "happiness", "neutral", "sadness"] for s in headline)
        assert result.skipped == []
        values = [
            result.headline("cross-lingual", "extension", "deu_adu", train=(source,))
            for source in SOURCES
        ]
        assert len(set(values)) == 3
        assert max(values) > 0.4  # four classes; the synthetic languages lie near each other


def test_six_trainings_serve_twelve_settings(results):
    result = results[1][0]
    assert [fit.train for fit in result.fits] == [
        "eng_adu@iemocap+emo_db+shemo+urdu",
        "eng_adu@crema_d+emo_db+shemo+urdu",
        "eng_adu",
        *TESTS,
    ]
    n_train = {fit.train.partition("+")[0]: fit.n_train for fit in result.fits}
    assert n_train["eng_adu@iemocap"] + n_train["eng_adu@crema_d"] < n_train["eng_adu"]
    assert len({fit.n_test for fit in result.fits[:3]}) == 1


def test_both_rules_test_on_the_same_clips_of_the_three(results):
    tested = []
    for result in results[1]:
        _, predictions = rescoring.read(result.folder(results[0]))
        rows = predictions[predictions["cell"].isin(TESTS)]
        tested.append(set(rows["id"]))
        assert all(result.data.corpora[name].speakers_shared is None for name in EXTENSION_CORPORA)
    assert tested[0] == tested[1]


def test_scores_again_from_the_predictions(results):
    for result in results[1]:
        recorded, again = rescoring.rescore(result.folder(results[0]))
        assert again.scores == recorded.scores == result.scores


def test_the_table_and_nothing_of_the_paper(results):
    (table,) = paper_tables.transfer_tables(results[1][0])
    assert [row[0] for row in table.rows] == [*SOURCES, *TESTS]
    assert table.header == [
        "bimotion/prosody",
        "deu_adu",
        "UAR",
        "fas_adu",
        "UAR",
        "urd_adu",
        "UAR",
    ]
    assert "-" not in {value for row in table.rows[:3] for value in row}
    assert [row.count("-") for row in table.rows[3:]] == [4, 4, 4]
    notes = " ".join(table.notes)
    assert "ages assumed, not known: esd, iemocap, shemo, urdu" in notes
    assert "may be in training" not in notes  # of the tested corpora nobody is


def test_the_local_board_keeps_every_training_set_apart(results):
    overview.collect(results[0])
    board = json.loads((results[0] / overview.LEADERBOARD_FILE).read_text())
    (one,) = [entry for entry in board["excluded"] if entry["split_rule"] == "paper"]
    assert set(one["scores"]) == {f"extension/{name}" for name in (*SOURCES, *TESTS)}
    assert set(one["scores"]["extension/eng_adu@iemocap"]) == set(TESTS)
    assert one["mean_in_group"] is None


def test_compare_submit_verify_and_page(results, root, tmp_path):
    output, (paper, _) = results
    shown = bimotion("compare", paper.folder(output))
    assert shown.returncode == 0, shown.stderr
    assert "eng_adu@iemocap+emo_db+shemo+urdu -> deu_adu" in " ".join(shown.stdout.split())
    packed = bimotion(
        "submit",
        paper.folder(output),
        "--output",
        tmp_path / "in",
        "--practice",
        "--trained-on",
        "EmoBox",
    )
    assert packed.returncode == 0, packed.stderr
    verified = bimotion(
        "leaderboard", "verify", tmp_path / "in", "--corpora", root, "--practice", "--baseline"
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "trained on emo_db before" in verified.stdout
    built = bimotion("leaderboard", "build", tmp_path / "in", "-o", tmp_path / "site", "--practice")
    assert built.returncode == 0, built.stderr
    (entry,) = json.loads((tmp_path / "site" / "board.json").read_text())["entries"]
    assert {(*score["train"], score["test"]) for score in entry["scores"]} >= {
        (s, t) for s in SOURCES for t in TESTS
    }


def test_a_missing_source_skips_its_own_settings_alone(root, tmp_path):
    request = (
        TaskSpec.of(protocol="extension", schema="four"),
        CorpusSource.of(root, allow_missing=True, only=("crema_d", *EXTENSION_CORPORA)),
    )
    _, plan = planning.plan(*request, Progress())
    assert {(*skip.train, skip.test) for skip in plan.skipped} == {
        ("eng_adu@iemocap", test) for test in TESTS
    }
    assert {name for setting in plan.settings for name in setting.train_names} == {
        *SOURCES[1:],
        *TESTS,
    }
    result = run.evaluate(
        "bimotion/majority",
        data_dir=root,
        output=tmp_path,
        protocol="extension",
        schema="four",
        allow_missing=True,
        only=["crema_d", *EXTENSION_CORPORA],
    )
    assert len(rescoring.settings_of(result)) == 12 - 3
    recorded, again = rescoring.rescore(result.folder(tmp_path))
    assert again.scores == recorded.scores


# --- those who run the paper's protocols --------------------------------------------------------


def test_the_papers_protocols_ask_for_none_of_the_three(synth_root):
    labelled, plan = planning.plan(TaskSpec.of(), CorpusSource.of(synth_root), Progress())
    assert plan.corpora == list(PAPER_CORPORA)
    assert plan.skipped == []
    assert not set(EXTENSION_CORPORA) & set(labelled.table["corpus"])


def test_the_protocol_says_which_of_the_three_is_missing(synth_root):
    with pytest.raises(
        CorpusIncomplete, match=r"emo_db: not found .*\n.*shemo: not found .*\n.*urdu: not found"
    ):
        planning.plan(TaskSpec.of(protocol="extension"), CorpusSource.of(synth_root), Progress())


def test_features_of_the_datasets_name_the_papers_corpora_and_languages_alone():
    features = builder.features(decode=False)
    assert features["corpus"].names == list(PAPER_CORPORA)
    assert features["language"].names == ["eng", "zho", "yue"]
    assert set(features["cell"].names) == {
        "eng_eld",
        "eng_adu",
        "zho_eld",
        "zho_adu",
        "yue_adu",
        "yue_eld",
    }


def test_data_list_says_what_is_optional():
    shown = bimotion("data", "list").stdout
    for name in EXTENSION_CORPORA:
        assert name in shown
    assert "optional, for protocol extension alone: emo_db, shemo, urdu" in " ".join(shown.split())


# --- protocol cantonese and schema four ---------------------------------------------------------


def test_cantonese_has_a_full_matrix(synth_root, tmp_path):
    result = run.evaluate(
        "bimotion/majority", data_dir=synth_root, output=tmp_path, protocol="cantonese"
    )
    (table,) = paper_tables.transfer_tables(result)
    assert table.header == ["bimotion/majority", "yue_adu", "UAR", "yue_eld", "UAR"]
    assert {row[0] for row in table.rows} == {
        "yue_adu",
        "yue_eld",
        "eng_adu",
        "eng_eld",
        "zho_adu",
        "zho_eld",
    }
    assert not any("-" in row[1:] for row in table.rows)
    recorded, again = rescoring.rescore(result.folder(tmp_path))
    assert again.scores == recorded.scores


def test_under_four_csed_is_left_out_and_its_cell_skipped(synth_root):
    labelled, plan = planning.plan(
        TaskSpec.of(protocol="in-group", schema="four"), CorpusSource.of(synth_root), Progress()
    )
    assert "csed" not in set(labelled.table["corpus"])
    n_csed = sum(1 for clip in layouts.plan() if clip.corpus == "csed")
    assert labelled.left_out["csed"] == {"its corpus has one class alone: neutral": n_csed}
    assert {skip.test for skip in plan.skipped} == {"zho_eld"}
