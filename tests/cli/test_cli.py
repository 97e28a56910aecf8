"""The command line as a new user meets it: outputs, exit codes, one clear message for each
mistake."""

import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from bimotion import cli
from bimotion.evaluation import run as runner
from bimotion.models.training import FinetuneOptions


def bimotion(*words, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_synth_stats_evaluate_from_nothing(tmp_path):
    made = bimotion("data", "synth", tmp_path / "corpora", "--only", "tess,csed", "--seed", "3")
    assert made.returncode == 0, made.stderr
    assert "SYNTHETIC" in made.stdout
    shown = bimotion("data", "stats", "--corpora", tmp_path / "corpora")
    assert "| tess | eng_eld |" in shown.stdout
    assert "lines differ from the paper" in shown.stdout
    run = bimotion(
        "evaluate",
        "-m",
        "bimotion/majority",
        "--corpora",
        tmp_path / "corpora",
        "-o",
        tmp_path / "out",
        "--only",
        "tess,csed",
    )
    assert run.returncode == 0, run.stderr
    assert "in-group (baseline)" in run.stdout
    assert "SYNTHETIC data" in run.stdout
    for path in run.stdout.splitlines()[-3:]:
        assert Path(path).stat().st_size > 0
    again = bimotion(
        "evaluate",
        "-m",
        "bimotion/majority",
        "--corpora",
        tmp_path / "corpora",
        "-o",
        tmp_path / "out",
        "--only",
        "tess,csed",
        "--json",
    )
    assert "already finished" in again.stderr
    assert json.loads(again.stdout)["model"]["name"] == "bimotion/majority"


def test_synth_is_deterministic_and_keeps_off_other_peoples_folders(tmp_path):
    for name in ("a", "b"):
        assert bimotion("data", "synth", tmp_path / name, "--only", "elderreact").returncode == 0
    first = {
        path.relative_to(tmp_path / "a"): path.read_bytes()
        for path in (tmp_path / "a").rglob("*")
        if path.is_file()
    }
    second = {
        path.relative_to(tmp_path / "b"): path.read_bytes()
        for path in (tmp_path / "b").rglob("*")
        if path.is_file()
    }
    assert first == second
    assert sum(path.suffix == ".wav" for path in first) == 180
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    refused = bimotion("data", "synth", tmp_path / "mine")
    assert (refused.returncode, (tmp_path / "mine/thesis.txt").read_text()) == (2, "years of work")
    assert "holds other files" in refused.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_what_several_runs_say_alike_is_said_once(verbose):
    program = (
        "import logging; from bimotion.cli import terminal; log = "
        f"logging.getLogger('bimotion.data.selection'); {verbose} and terminal.verbose(); "
        "terminal.warn_once(); [log.warning('%s: left out: %d', name, 3) for name in "
        "('csed', 'tess', 'csed')]"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    ).stderr.splitlines()
    assert [line.rpartition("selection: ")[2] for line in said] == [
        "csed: left out: 3",
        "tess: left out: 3",
    ]


def test_audit_and_list_as_json(synth_root):
    found = json.loads(
        bimotion(
            "data",
            "audit",
            "--corpora",
            synth_root,
            "--split-rule",
            "disjoint",
            "--json",
            "--no-listen",
        ).stdout
    )
    assert found["split_rule"] == "disjoint"
    assert set(found["not_disjoint"]) == {"csed", "elderreact", "tess"}
    listed = json.loads(bimotion("data", "list", "--json").stdout)
    assert {card["name"] for card in listed} >= {"tess", "csed", "yuemotion"}
    assert all(card["licence"] and card["url"] and card["obtain"] for card in listed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["data", "stats", "--corpora", "nowhere"],
            "expected a folder with one sub-folder a corpus, found nothing at",
        ),
        (["data", "stats", "--corpora", "."], "recognised none of them in"),
        (["data", "stats"], "set BIMOTION_CORPORA"),
        (["data", "doctor", "."], "recognised none of them in"),
        (
            ["data", "stats", "--corpora", ".", "--only", "tes"],
            "unknown corpus 'tes': expected one of crema_d",
        ),
        (["data", "stats", "--corpora", ".", "--corpus", "tess"], "expected NAME=PATH"),
        (["data", "stats", "--corpus", "tess=nowhere"], "expected TESS at"),
        (
            ["evaluate", "-m", "bimotion/prosodie", "--corpora", "."],
            "unknown model 'bimotion/prosodie'",
        ),
        (
            ["evaluate", "-m", "bimotion/prosody", "--split-rule", "random"],
            "'random' is not one of",
        ),
        (
            ["data", "export", "x", "--config", "eng_old", "--corpora", "."],
            "unknown config 'eng_old'",
        ),
        (
            ["data", "synth", "x", "--scale", "2"],
            "scale: expected a number above 0 and up to 1, found 2.0",
        ),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(words, said, tmp_path):
    run = bimotion(*words, cwd=tmp_path)
    assert run.returncode == 2
    assert said in " ".join(run.stderr.replace("│", " ").split())
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_given_as_the_root_is_told_apart(tmp_path, wav):
    wav(tmp_path / "TESS/OAF_angry/OAF_back_angry.wav")
    run = bimotion("data", "stats", "--corpora", tmp_path / "TESS/OAF_angry")
    assert run.returncode == 2
    assert "looks like tess itself" in run.stderr
    assert f"--corpus tess={tmp_path}" in run.stderr


def test_incomplete_corpora_say_what_is_missing_and_what_to_do(tmp_path, wav):
    wav(tmp_path / "TESS/OAF_angry/OAF_back_angry.wav")
    run = bimotion(
        "evaluate",
        "-m",
        "bimotion/majority",
        "--corpora",
        tmp_path,
        "--only",
        "tess",
        "-o",
        tmp_path / "out",
    )
    assert run.returncode == 2
    assert "2799 missing: tess/OAF_back_disgust" in run.stderr
    assert "--allow-missing" in run.stderr
    assert not (tmp_path / "out").exists()


# --- the same names in Python and on the command line -------------------------------------------

OTHER_WORDS = {  # option -> argument
    "corpora": "data_dir",  # as `datasets` calls it
    "corpus": "locations",  # one at a time, and all of them
    # these as transformers' TrainingArguments call them; the others stand in every result
    "num_train_epochs": "epochs",
    "early_stopping_patience": "patience",
    "gradient_accumulation_steps": "gradient_accumulation",
    "max_grad_norm": "max_gradient_norm",
}
ONLY_OPTIONS = {"dry_run", "json", "verbose"}
# options of track finetune in one; keywords that are refused
ONLY_ARGUMENTS = {"finetune", "progress", "not_taken"}


def test_options_of_evaluate_have_the_names_of_its_arguments():
    command = typer.main.get_command(cli.app).commands["evaluate"]
    options = {
        max(one.opts, key=len).removeprefix("--").replace("-", "_") for one in command.params
    } - {"help"}
    arguments = {
        *inspect.signature(runner.evaluate).parameters,
        *(one.name for one in fields(FinetuneOptions)),
    }
    assert {
        OTHER_WORDS.get(name, name) for name in options - ONLY_OPTIONS
    } == arguments - ONLY_ARGUMENTS
    assert not options & set(OTHER_WORDS.values())  # a word means one thing
    assert not arguments & set(OTHER_WORDS)
    assert options >= ONLY_OPTIONS | set(OTHER_WORDS)
    assert arguments >= ONLY_ARGUMENTS | set(OTHER_WORDS.values())
