"""A hidden test: only the host has the labels, and tells scores in steps, so many times a month."""

import dataclasses
import gzip
import json
import shlex
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest

from bimotion.data.source import CorpusSource
from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import run as runner
from bimotion.leaderboard import (
    board,
    hidden_test,
    labels_file,
    receipt,
    receiving,
    recomputations,
    verify,
)
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.results import predictions, rescoring, scoring
from tests.support import hidden_tests, keys
from tests.support.command_line import run_main
from tests.support.drafts import PREDICTIONS
from tests.support.hidden_tests import seen_otherwise, sent
from tests.support.shared import once

PAPER = {"split_rule": "paper", "schema": "emotion"}
VALENCE = {"split_rule": "disjoint", "schema": "valence"}


@pytest.fixture(scope="module")
def roots(shared_corpora):
    """The corpora as the host has them, and as they were given out."""
    return once("hidden-true", hidden_tests.true), once("hidden-given", hidden_tests.given_out)


@pytest.fixture(scope="module")
def key(roots):
    """The answer key, as the host reads it from its file."""

    def make(path):
        true, given = (AnswerKey.of_corpora(CorpusSource.of(root)) for root in roots)
        labels_file.export(given.hiding(true), path)

    return labels_file.load(once("hidden-key.json.gz", make))


@pytest.fixture(scope="module")
def evaluated_there(roots):
    """Folder of a finished run of bimotion/random over English elders, by either corpora."""

    def run(is_true, **asked):
        name = f"hidden-run-{is_true}-{asked['schema']}"
        options = {"protocol": "in-group", "cells": ["eng_eld"], "data_dir": roots[not is_true]}
        output = once(
            name,
            lambda output: runner.evaluate("bimotion/random", output=output, **options | asked),
        )
        return next(output.glob("*/*/result.json")).parent

    return run


@pytest.fixture
def main(monkeypatch):
    """Run a command line: exit code, standard output, standard error."""
    return lambda words: run_main(monkeypatch, shlex.split(words), "utf-8")


@pytest.fixture
def take(tmp_path):
    """Receive submissions as the host does: verdicts, with receipts in a folder of its own."""

    def receive(key, *folders, receipts=tmp_path / "private", **terms):
        key = dataclasses.replace(key, hidden=key.hidden.under(**terms))
        names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
        root = folders[0].parents[1]
        return receiving.receive(root, names, key, receipts=receipts)

    return receive


def counted(tmp_path):
    file = tmp_path / "private" / recomputations.LEDGER_FILE
    return len(json.loads(file.read_text())["recomputations"]) if file.exists() else 0


# --- the whole way ------------------------------------------------------------------------------


def test_the_whole_way_by_the_command_line(roots, main, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    true, given = roots
    code, _, noted = main(
        f"labels export key.json.gz --corpora {true} --hidden --given-out {given}"
    )
    assert (code, stat.S_IMODE((tmp_path / "key.json.gz").stat().st_mode)) == (0, 0o600)
    assert hidden_test.NOTICE in noted
    assert hidden_test.NOTICE.encode() in gzip.decompress((tmp_path / "key.json.gz").read_bytes())
    asked = "--protocol in-group --cells eng_eld --split-rule paper --schema emotion"
    code, *_ = main(f"evaluate -m bimotion/random --corpora {given} {asked} -o out")
    assert code == 0
    [run] = (tmp_path / "out").glob("*/*/result.json")
    code, _, noted = main(f"submit {run.parent} --without-labels -o submissions")
    assert (code, "without labels and scores" in noted) == (0, True)
    code, _, errors = main("leaderboard verify submissions --labels key.json.gz --baseline")
    assert (code, "--receipts: expected a private folder" in errors) == (2, True)
    words = "leaderboard verify submissions --labels key.json.gz --baseline --receipts private"
    code, shown, _ = main(f"{words} --max-per-month 1 --round 5")
    assert (code, "note: weighted F1 in steps of 5 %: eng_eld -> eng_eld" in shown) == (0, True)
    code, *_ = main("leaderboard build submissions --receipts private -o site")
    [entry] = json.loads((tmp_path / "site/board.json").read_text())["entries"]
    assert entry["flags"]["status"] == "reproduced"
    [row] = entry["scores"]
    numbers = [row[name] for name in ("value", "low", "high")]
    assert [round(number * 100) % 5 for number in numbers] == [0, 0, 0]
    assert [round(number, 2) for number in numbers] == numbers
    assert {row["calibration_error"], *row["corpora"].values()} == {None}
    assert (entry["gaps"], entry["ages"], entry["steps_percent"]) == ([], [], 5)
    folder = f"submissions/bimotion__random/{entry['key']}"
    words = f"leaderboard reproduce {folder} --receipts private --corpora {given}"
    code, shown, _ = main(words)
    assert (code, f"{folder}: reproduced" in shown) == (0, True)
    assert counted(tmp_path) == 1
    (tmp_path / "private/bimotion__random" / entry["key"] / "entry.npz").unlink()
    code, _, noted = main("leaderboard build submissions --receipts private -o site")
    assert "verify it again" in noted


def test_terms_are_of_a_hidden_test_only(main, known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels_file.export(known, tmp_path / "labels.json.gz")
    (tmp_path / "submissions/lab__model/key").mkdir(parents=True)
    (tmp_path / "submissions/lab__model/key/result.json").write_text("{}")
    for option in ("--round 5", "--max-per-month 2", "--submitter me"):
        words = f"leaderboard verify submissions --labels labels.json.gz {option}"
        code, _, errors = main(words)
        assert code == 2
        assert f"{option.split()[0]}: expected with the answer key of a hidden test" in errors
    code, _, errors = main("labels export key.json.gz --given-out nowhere")
    assert (code, "--given-out: expected with --hidden only" in errors) == (2, True)


@pytest.mark.parametrize("asked", [PAPER, VALENCE], ids=str)
def test_scores_are_by_the_labels_that_only_the_host_has(asked, evaluated_there, key, tmp_path):
    run, true_run = (evaluated_there(is_true, **asked) for is_true in (False, True))
    folder = sent(run, tmp_path / "submissions", "lab/model")
    verdict = verify.verify(folder, key)
    assert verdict.problems == []
    rows, given, of_true = (
        predictions.read(each / PREDICTIONS).to_pandas() for each in (folder, run, true_run)
    )
    rows["reference"] = given["reference"]
    true = of_true.set_index("id")["reference"]
    kept = rows[rows["id"].isin(true.index)]
    is_held_back = [(given != true[name]).any() for name, given in kept[["id", "reference"]].values]
    assert sum(is_held_back) > 100
    # of several valences, or none
    assert (len(kept) < len(rows)) == (asked is VALENCE)
    kept, result = kept.assign(reference=list(true[kept["id"]])), verdict.result
    settings, schema = rescoring.settings_of(result), rescoring.schema_of(result)
    assert result.scores == scoring.scores(kept, settings, schema, is_seeded=result.is_seeded)


# --- what is refused, and tells nothing ---------------------------------------------------------


def test_labels_are_refused_unread(evaluated_there, key, take, tmp_path):
    """Held against the true ones, each would be told."""
    run = evaluated_there(False, **PAPER)
    folder = sent(run, tmp_path / "submissions", "lab/model", labels=True)
    [verdict] = take(key, folder)
    assert verdict.problems == [
        "predictions.parquet: expected no labels, as a hidden test takes predictions, found some: "
        "`bimotion submit --without-labels`"
    ]
    assert counted(tmp_path) == 0


def test_who_cannot_sign_counts_nothing_and_is_told_nothing(evaluated_there, key, take, tmp_path):
    keys.key_of(tmp_path, "anna")
    folder = sent(evaluated_there(False, **PAPER), tmp_path / "submissions", "lab/model")
    [verdict] = take(key, folder)
    assert (verdict.ok, verdict.warnings[-1]) == (True, receiving.NOT_COUNTED)
    assert not any("weighted F1" in line for line in verdict.warnings)
    assert counted(tmp_path) == 0


def test_a_split_that_trains_on_hidden_clips_is_refused(run, known, take, tmp_path):
    emotions = known.table["emotions"].where(known.table["corpus"] != "tess", "angry+sadness")
    hiding = known.hiding(dataclasses.replace(known, table=known.table.assign(emotions=emotions)))
    folder = sent(run, tmp_path / "submissions", "lab/model")
    [verdict] = take(hiding, folder)
    [problem] = verdict.problems
    assert "expected a split that only tests the clips of the hidden test, found paper" in problem
    assert counted(tmp_path) == 0


def test_what_is_given_out_may_differ_in_labels_only(known):
    table = known.table.copy()
    table.loc["tess/OAF_back_angry", "speaker"] = "0" * 12
    with pytest.raises(
        SettingError, match=r"found other clips, speakers, .*: tess/OAF_back_angry$"
    ):
        known.hiding(dataclasses.replace(known, table=table))
    with pytest.raises(SettingError, match="differ from the true ones in labels only"):
        known.hiding(known.only(["tess"]))


@pytest.mark.parametrize("spoilt", ["no true labels", "true labels unasked", "another notice"])
def test_a_key_that_is_not_whole_is_refused(spoilt, key, known, tmp_path):
    is_hidden = spoilt != "true labels unasked"
    path = labels_file.export(key if is_hidden else known.only(["tess"]), tmp_path / "key.json.gz")
    content = json.loads(gzip.decompress(path.read_bytes()))
    columns = content["corpora"]["tess"]["columns"]
    if spoilt == "no true labels":
        del columns[labels_file.HIDDEN_COLUMN]
    elif spoilt == "another notice":
        content["hidden"] = "public"
    else:
        columns[labels_file.HIDDEN_COLUMN] = columns["emotions"]
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(RecordError, match=r"true_emotions|labels\.hidden"):
        labels_file.load(path)


def test_a_key_is_the_same_when_it_is_read_and_written_again(key, tmp_path):
    path = labels_file.export(key, tmp_path / "key.json.gz")
    again = labels_file.load(path)
    assert again.hidden.emotions.equals(key.hidden.emotions)
    assert labels_file.export(again, tmp_path / "again.json.gz").read_bytes() == path.read_bytes()
    assert labels_file.withheld(key) == []


# --- one clip cannot be read from two scores ----------------------------------------------------


def test_one_clip_more_or_less_is_seldom_seen(evaluated, known, take, tmp_path):
    """Neither in scores, nor in the order of ranks, but where it crosses a step."""
    run, into = evaluated(**VALENCE), tmp_path / "submissions"
    rows = predictions.read(run / PREDICTIONS).to_pandas()
    is_turned = [values.argmax() != values[::-1].argmax() for values in rows["probabilities"]]
    chosen = np.flatnonzero((rows["cell"] == "eng_adu") & np.array(is_turned))[:: len(rows) // 3]
    models = {"lab/one": None} | {
        f"org/other-{row}": seen_otherwise(row) for row in chosen.tolist()
    }
    folders = [sent(run, into, model, change=change) for model, change in models.items()]
    hiding = known.hiding(known)
    exact = [verdict.result.scores for verdict in verify.verify_all(folders, hiding)]
    assert all(scores != exact[0] for scores in exact[1:])
    assert all(verdict.ok for verdict in take(hiding, *folders, max_per_month=9))
    built = board.build(into, receipts=tmp_path / "private")
    numbers = {json.dumps([asdict(row) for row in entry.scores]) for entry in built.entries}
    headlines = {entry.headline["in-group/inference"].value for entry in built.entries}
    assert len(numbers) < len(built.entries) == len(models)
    ranks = {entry.recomputed_ranking.rank for entry in built.entries}
    assert len(ranks) == len(headlines) == 1


# --- so many a month ----------------------------------------------------------------------------


def test_a_submitter_has_so_many_a_month_under_whatever_name(evaluated_there, key, take, tmp_path):
    run, into = evaluated_there(False, **PAPER), tmp_path / "submissions"
    mine = {"contact": "me@lab.example"}
    first = sent(run, into, "lab/a", **mine)
    [verdict] = take(key, first, max_per_month=2)
    assert verdict.ok
    assert any("weighted F1 in steps of 1 %" in line for line in verdict.warnings)
    malformed = sent(run, into, "lab/x", change=lambda table: table.iloc[1:], **mine)
    assert not take(key, malformed, max_per_month=2)[0].ok
    assert counted(tmp_path) == 1
    assert take(key, first, max_per_month=2)[0].ok  # the same files: nothing new is told
    assert take(key, sent(run, into, "1ab/b"), max_per_month=2)[0].ok
    assert counted(tmp_path) == 2
    for model, contact, n in (("LAB/c", None, 2), ("org/d", "Me@1ab.example", 1)):
        folder = sent(run, into, model, contact=contact)
        receipts_before = set((tmp_path / "private").rglob("receipt.json"))
        [verdict] = take(key, folder, max_per_month=n)
        [problem] = verdict.problems
        assert "recomputations of a submitter in a month, found" in problem
        assert "-01 (UTC) on" in problem
        assert not [line for line in verdict.warnings if "F1" in line]
        assert set((tmp_path / "private").rglob("receipt.json")) == receipts_before
    account = {"submitter": "account", "max_per_month": 1}
    assert take(key, sent(run, into, "one/e"), **account)[0].ok
    assert not take(key, sent(run, into, "two/f"), **account)[0].ok
    assert take(key, sent(run, into, "three/g"), max_per_month=1)[0].ok


def test_nobody_uses_up_the_number_of_another(evaluated_there, key, take, tmp_path):
    run, into = evaluated_there(False, **PAPER), tmp_path / "submissions"
    terms = {"max_per_month": 1}
    stranger = sent(run, into, "facebook/a", contact="alice")
    assert take(key, stranger, submitter="eve", **terms)[0].ok
    assert take(key, sent(run, into, "facebook/b"), submitter="alice", **terms)[0].ok
    assert take(key, sent(run, into, "alice/c", contact="facebook"), **terms)[0].ok
    assert not take(key, sent(run, into, "lab/d"), submitter="EVE", **terms)[0].ok
    assert counted(tmp_path) == 3


def test_two_at_once_are_counted_one_by_one(tmp_path):
    def count(number):
        hashes = {"result.json": str(number)}
        return recomputations.why_not_counted(tmp_path, hashes, {"organisation": "lab"}, 5)

    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(count, range(16)))
    assert reasons.count(None) == 5
    assert stat.S_IMODE((tmp_path / recomputations.LEDGER_FILE).stat().st_mode) == 0o600


def ledger(path, *months):
    """A ledger in which `lab` has one recomputation in each of some months."""
    for number, month in enumerate(months):
        hashes = {"result.json": f"{month} {number}"}
        assert recomputations.why_not_counted(path, hashes, {"organisation": "lab"}, 1000) is None
    file = path / recomputations.LEDGER_FILE
    content = json.loads(file.read_text())
    for made, month in zip(content["recomputations"], months, strict=True):
        made["month"] = month
    file.write_text(json.dumps(content))
    return file


def test_another_month_begins_anew_and_a_clock_moved_back_does_not(tmp_path):
    hashes = {"result.json": "new"}
    ledger(tmp_path / "a", "2020-01", "2020-01", "2020-02")
    assert (
        recomputations.why_not_counted(tmp_path / "a", hashes, {"organisation": "lab"}, 1) is None
    )
    ledger(tmp_path / "b", "2999-11", "2999-12")  # this machine's clock says less
    reason = recomputations.why_not_counted(tmp_path / "b", hashes, {"organisation": "1ab"}, 1)
    assert reason.endswith("found 1 in 2999-12: the next can be made from 3000-01-01 (UTC) on")
    assert (
        recomputations.why_not_counted(tmp_path / "b", hashes, {"organisation": "org"}, 1) is None
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-9],
        lambda text: "{}",
        lambda text: text.replace("2020-01", "2020-13"),
        lambda text: text.replace('"ledger_version": 1', '"ledger_version": 2'),
    ],
)
def test_a_damaged_ledger_is_never_an_empty_one(damage, tmp_path):
    file = ledger(tmp_path, "2020-01")
    file.write_text(text := damage(file.read_text()))
    with pytest.raises(RecordError, match="nothing is recomputed until it is whole again"):
        recomputations.why_not_counted(tmp_path, {"result.json": "new"}, {"organisation": "lab"}, 9)
    assert file.read_text() == text


def test_nothing_is_told_with_a_damaged_ledger(evaluated_there, key, take, tmp_path):
    folder = sent(evaluated_there(False, **PAPER), tmp_path / "submissions", "lab/model")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / recomputations.LEDGER_FILE).write_text("[]")
    [verdict] = take(key, folder)
    assert "nothing is recomputed until it is whole again" in verdict.problems[0]
    assert not [line for line in verdict.warnings if "F1" in line]
    assert receipt.load(tmp_path / "private", f"lab__model/{folder.name}") is None


def test_steps_by_hand():
    assert hidden_test.in_steps({"a": [0.614, 0.6251, None, 7], "b": "0.614"}, 1) == {
        "a": [0.61, 0.63, None, 7],
        "b": "0.61",
    }
    assert hidden_test.in_steps("30 speakers give .357 to 0.409, -0.018", 1) == (
        "30 speakers give 0.36 to 0.41, -0.02"
    )
    assert hidden_test.in_steps(0.614, 5) == 0.6
    assert hidden_test.in_steps(-0.026, 5) == -0.05
