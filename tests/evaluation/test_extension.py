"""Protocols beyond the paper, end to end on synthetic corpora; and that nobody who runs the paper's
ones notices them."""

import json
import shutil
from collections import Counter

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
from bimotion.io.progress import Progress
from bimotion.results import overview, rescoring
from tests.support.command_line import run_main
from tests.support.small_runs import evaluated, paper_task

TESTS = ("deu_adu", "fas_adu", "urd_adu")
SOURCES = ("eng_adu@iemocap", "eng_adu@crema_d", "eng_adu")
FOUR = {"protocol": "extension", "schema": "four"}


@pytest.fixture(scope="module")
def root(synth_root, tmp_path_factory):
    """The paper's synthetic corpora and those of protocol extension at the smallest size."""
    folder = tmp_path_factory.mktemp("extension")
    layouts.write(folder, scale=0.001, corpora=EXTENSION_CORPORA)
    shutil.copytree(synth_root, folder, dirs_exist_ok=True, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def results(root, tmp_path_factory):
    """Folder of results, and those of prosody (rule paper, rule disjoint) under schema four."""
    output = tmp_path_factory.mktemp("results")
    rules = ("paper", "disjoint")
    runs = [evaluated("bimotion/prosody", root, output, **FOUR, split_rule=rule) for rule in rules]
    return output, [result for result, _ in runs]


# --- the three corpora, made --------------------------------------------------------------------


def test_synthetic_corpora_are_read_back_in_their_true_layouts(root):
    corpora = manifest.build(CorpusSource.of(root, only=EXTENSION_CORPORA))
    assert corpora.findings == ()
    assert corpora.synthetic == frozenset(EXTENSION_CORPORA)
    assert set(corpora.table["language"]) == {"deu", "fas", "urd"}
    paths = {corpus: rows["path"].iloc[0] for corpus, rows in corpora.table.groupby("corpus")}
    assert paths["emo_db"].startswith("wav/")
    assert paths["shemo"].split("/")[0] in ("male", "female")
    assert paths["urdu"].split("/")[0] in ("Angry", "Happy", "Neutral", "Sad")
    assert GRAMMAR.fullmatch(paths["urdu"].partition("/")[2].removesuffix(".wav"))
    shemo = corpora.table[corpora.table["corpus"] == "shemo"]
    assert set(shemo["sample_rate_hz"]) == {44100}


def test_synthetic_corpora_without_a_name_are_the_papers():
    assert {clip.corpus for clip in layouts.plan(0.001)} == set(PAPER_CORPORA)
    assert {clip.corpus for clip in layouts.plan(0.001, corpora=["urdu"])} == {"urdu"}


# --- protocol extension -------------------------------------------------------------------------


def test_every_setting_has_its_own_scores(results):
    """And they are a function of the predictions."""
    cross = [("cross-lingual", source, test) for source in SOURCES for test in TESTS]
    expected = dict.fromkeys([*cross, *(("in-group", test, test) for test in TESTS)], 1)
    for result in results[1]:
        headlines = [s for s in result.scores if (s.metric, s.pooling) == ("weighted_f1", "mean")]
        assert Counter((s.transfer, *s.train, s.test) for s in headlines) == expected
        assert {s.corpus for s in result.scores if s.corpus} == set(EXTENSION_CORPORA)
        assert all(s.classes == ["angry", "happiness", "neutral", "sadness"] for s in headlines)
        assert result.skipped == []
        values = {s.value for s in headlines if (s.transfer, s.test) == (cross[0][0], "deu_adu")}
        assert len(values) == 3
        assert max(values) > 0.4  # four classes; the synthetic languages lie near each other
        assert rescoring.rescore(result.folder(results[0])) == (result, result)


def test_six_trainings_serve_twelve_settings(results):
    fits = results[1][0].fits
    crossed = [f"{source}+emo_db+shemo+urdu" for source in SOURCES[:2]]
    assert [fit.train for fit in fits] == [*crossed, "eng_adu", *TESTS]
    assert fits[0].n_train + fits[1].n_train < fits[2].n_train
    assert len({fit.n_test for fit in fits[:3]}) == 1


def test_both_rules_test_on_the_same_clips_of_the_three(results):
    tested = []
    for result in results[1]:
        _, predictions = rescoring.read(result.folder(results[0]))
        tested.append(set(predictions["id"][predictions["cell"].isin(TESTS)]))
        assert all(result.data.corpora[name].speakers_shared is None for name in EXTENSION_CORPORA)
    assert tested[0] == tested[1]


def test_the_table_and_nothing_of_the_paper(results):
    (table,) = paper_tables.transfer_tables(results[1][0])
    assert [row[0] for row in table.rows] == [*SOURCES, *TESTS]
    columns = [column for test in TESTS for column in (test, "UAR")]
    assert table.header == ["bimotion/prosody", *columns]
    assert [row.count("-") for row in table.rows] == [0, 0, 0, 4, 4, 4]
    notes = " ".join(table.notes)
    assert "ages assumed, not known: esd, iemocap, shemo, urdu" in notes
    assert "may be in training" not in notes  # of the tested corpora nobody is


def test_the_local_board_keeps_every_training_set_apart(results):
    overview.collect(results[0])
    board = json.loads((results[0] / overview.LEADERBOARD_FILE).read_text())
    (entry,) = [entry for entry in board["excluded"] if entry["split_rule"] == "paper"]
    assert set(entry["scores"]) == {f"extension/{name}" for name in (*SOURCES, *TESTS)}
    assert set(entry["scores"]["extension/eng_adu@iemocap"]) == set(TESTS)
    assert entry["mean_in_group"] is None


def test_compare_submit_verify_and_page(results, root, tmp_path, monkeypatch):
    def bimotion(*words):
        code, shown, errors = run_main(monkeypatch, words)
        assert code == 0, shown + errors
        return shown

    run, inbox, site = results[1][0].folder(results[0]), tmp_path / "in", tmp_path / "site"
    shown = " ".join(bimotion("compare", run).split())
    assert "eng_adu@iemocap+emo_db+shemo+urdu -> deu_adu" in shown
    bimotion("submit", run, "--output", inbox, "--practice", "--trained-on", "EmoBox")
    asked = ("--corpora", root, "--practice", "--baseline")
    shown = bimotion("leaderboard", "verify", inbox, *asked)
    assert "trained on emo_db before" in shown
    bimotion("leaderboard", "build", inbox, "-o", site, "--practice")
    (entry,) = json.loads((site / "board.json").read_text())["entries"]
    settings = {(*score["train"], score["test"]) for score in entry["scores"]}
    assert settings >= {(source, test) for source in SOURCES for test in TESTS}


def test_a_missing_source_skips_its_own_settings_only(root, tmp_path):
    only = ["crema_d", *EXTENSION_CORPORA]
    result, folder = evaluated("bimotion/majority", root, tmp_path, **FOUR, only=only)
    skipped = {(*skip.train, skip.test) for skip in result.skipped}
    assert skipped == {("eng_adu@iemocap", test) for test in TESTS}
    settings = rescoring.settings_of(result)
    assert {name for setting in settings for name in setting.train_names} == {*SOURCES[1:], *TESTS}
    assert len(settings) == 12 - 3
    assert rescoring.rescore(folder) == (result, result)


# --- those who run the paper's protocols --------------------------------------------------------


def test_the_papers_protocols_ask_for_none_of_the_three(synth_root):
    source = CorpusSource.of(synth_root)
    labelled, plan = planning.plan(paper_task(), source, Progress())
    assert plan.corpora == list(PAPER_CORPORA)
    assert plan.skipped == []
    assert not set(EXTENSION_CORPORA) & set(labelled.table["corpus"])
    missing = r"emo_db: not found .*\n.*shemo: not found .*\n.*urdu: not found"
    with pytest.raises(CorpusIncomplete, match=missing):
        planning.plan(paper_task(protocol="extension"), source, Progress())


def test_features_of_the_datasets_name_the_papers_corpora_and_languages_only():
    features = builder.features(decode=False)
    assert features["corpus"].names == list(PAPER_CORPORA)
    assert features["language"].names == ["eng", "zho", "yue"]
    ages = ("eld", "adu")
    cells = {f"{language}_{age}" for language in features["language"].names for age in ages}
    assert set(features["cell"].names) == cells


def test_data_list_says_what_is_optional(monkeypatch):
    shown = " ".join(run_main(monkeypatch, ["data", "list"])[1].split())
    assert "optional, only for protocol extension: emo_db, shemo, urdu" in shown


# --- protocol cantonese and schema four ---------------------------------------------------------


def test_cantonese_has_a_full_matrix(small, tmp_path):
    result, folder = evaluated("bimotion/majority", small, tmp_path, protocol="cantonese")
    (table,) = paper_tables.transfer_tables(result)
    assert table.header == ["bimotion/majority", "yue_adu", "UAR", "yue_eld", "UAR"]
    cells = {f"{language}_{age}" for language in ("eng", "zho", "yue") for age in ("adu", "eld")}
    assert {row[0] for row in table.rows} == cells
    assert not any("-" in row[1:] for row in table.rows)
    assert rescoring.rescore(folder) == (result, result)


def test_under_four_csed_is_left_out_and_its_cell_skipped(synth_root):
    task = paper_task(protocol="in-group", schema="four")
    labelled, plan = planning.plan(task, CorpusSource.of(synth_root), Progress())
    assert "csed" not in set(labelled.table["corpus"])
    n_csed = sum(1 for clip in layouts.plan() if clip.corpus == "csed")
    assert labelled.left_out["csed"] == {"its corpus has only one class: neutral": n_csed}
    assert {skip.test for skip in plan.skipped} == {"zho_eld"}
