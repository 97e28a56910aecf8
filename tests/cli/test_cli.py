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
from bimotion.cli import terminal
from bimotion.evaluation import run as runner
from bimotion.io.tables import Table
from bimotion.models.recipe import FinetuneOptions


def test_synth_stats_evaluate_from_nothing(main, tmp_path):
    code, shown, errors = main(f"data synth {tmp_path}/corpora --only tess,csed --seed 3")
    assert (code, "SYNTHETIC" in shown) == (0, True), errors
    stats = f"data stats --corpora {tmp_path}/corpora"
    for words, line in {
        stats: "BiMotion (split rule folds, fold 0): clips",
        f"{stats} --fold 4": "BiMotion (split rule folds, fold 4): clips",
        f"{stats} --split-rule paper": "lines differ from the paper",
    }.items():
        _, shown, _ = main(words)
        assert "| tess | eng_eld |" in shown
        assert line in shown
    words = f"evaluate -m bimotion/majority --corpora {tmp_path}/corpora -o {tmp_path}/out"
    code, shown, errors = main(f"{words} --only tess,csed")
    assert code == 0, errors
    assert "in-group (baseline)" in shown
    assert "SYNTHETIC data" in shown
    tables, _, summary = shown.partition("\n\nIn short: ")
    assert summary.startswith("bimotion/majority, a baseline; protocol")
    assert all(Path(path).stat().st_size > 0 for path in tables.splitlines()[-3:])
    _, shown, errors = main(f"{words} --only tess --only csed --json")
    assert "already finished" in errors
    assert json.loads(shown)["model"]["name"] == "bimotion/majority"


def test_synth_is_deterministic_and_keeps_off_other_peoples_folders(main, tmp_path):
    contents = []
    for name in ("a", "b"):
        assert main(f"data synth {tmp_path}/{name} --only elderreact")[0] == 0
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert sum(path.suffix == ".wav" for path in contents[0]) == 180
    (tmp_path / "mine").mkdir()
    thesis = tmp_path / "mine/thesis.txt"
    thesis.write_text("years of work")
    code, _, errors = main(f"data synth {tmp_path}/mine")
    assert (code, thesis.read_text()) == (2, "years of work")
    assert "holds other files" in errors


def test_a_note_that_tables_share_stands_below_the_last_of_them(capsys):
    terminal.show(Table("A", ["a"], notes=["both", "of A"]), Table("B", ["b"], notes=["both"]))
    shown = capsys.readouterr().out
    assert shown.count("both") == 1
    assert shown.index("of A") < shown.index("**B**") < shown.index("both")


@pytest.mark.parametrize("verbose", [False, True])
def test_what_several_runs_log_alike_is_logged_once(verbose):
    program = (
        "import logging; from bimotion.cli import terminal; log = "
        f"logging.getLogger('bimotion.data.selection'); {verbose} and terminal.verbose(); "
        "terminal.warn_once(); [log.warning('%s: left out: %d', name, 3) for name in "
        "('csed', 'tess', 'csed')]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = [line.rpartition("selection: ")[2] for line in done.stderr.splitlines()]
    assert lines == ["csed: left out: 3", "tess: left out: 3"]


def test_audit_and_list_as_json(main, synth_root):
    words = f"data audit --corpora {synth_root} --split-rule disjoint --json --no-listen"
    audit = json.loads(main(words)[1])
    assert audit["split_rule"] == "disjoint"
    assert set(audit["not_disjoint"]) == {"csed", "elderreact", "tess"}
    listed = json.loads(main("data list --json")[1])
    assert {card["name"] for card in listed} >= {"tess", "csed", "yuemotion"}
    assert all(card["licence"] and card["url"] and card["obtain"] for card in listed)


MISTAKES = {
    "data stats --corpora nowhere": "expected a folder with one sub-folder a corpus, found nothing "
    "at",
    "data stats --corpora .": "recognised none of them in",
    "data stats": "set BIMOTION_CORPORA",
    "data doctor .": "recognised none of them in",
    "data doctor . --corpora other": "expected one ROOT",
    "data stats --corpora . --only tes": "unknown corpus 'tes': expected one of crema_d",
    "data stats --corpora . --only ''": "expected a name, or several with commas",
    "data stats --corpora . --corpus tess": "expected NAME=PATH",
    "data stats --corpus tess=nowhere": "expected TESS at",
    "evaluate -m bimotion/prosodie --corpora .": "unknown model 'bimotion/prosodie'",
    "evaluate -m bimotion/prosody --split-rule random": "for '--split-rule': 'random' is not one",
    "evaluate -m bimotion/prosody --corpora . --num-train-epochs 3": "expected with track finetune",
    "evaluate -m bimotion/prosody --corpora . --label-map x": "expected with track zero-shot",
    "evaluate -m bimotion/prosody --corpora . --adapt all,coral": "expected all alone",
    "project -m x --train yue --test yue_adu --like . --track finetune": "expected without --track",
    "data export x --config eng_old --corpora .": "unknown config 'eng_old'",
    "data synth x --scale 2": "scale: expected a number above 0 and up to 1, found 2.0",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_one_message_and_exit_code_2(words, main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, errors = main(words)
    assert code == 2
    assert MISTAKES[words] in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_given_as_the_root_and_one_that_is_incomplete(main, tmp_path, wav):
    wav(tmp_path / "TESS/OAF_angry/OAF_back_angry.wav", rate=24414)
    code, _, errors = main(f"data stats --corpora {tmp_path}/TESS/OAF_angry")
    assert code == 2
    assert "looks like tess itself" in errors
    assert f"--corpus tess={tmp_path}" in errors
    words = f"evaluate -m bimotion/majority --corpora {tmp_path} --only tess -o {tmp_path}/out"
    code, _, errors = main(words)
    assert code == 2
    assert "2799 missing: tess/OAF_back_disgust" in errors
    assert "--allow-missing" in errors
    assert not (tmp_path / "out").exists()
    assert main(f"data doctor {tmp_path}")[0] == 1
    code, shown, _ = main(f"data doctor --corpora {tmp_path} --allow-missing")
    assert (code, "2799 missing" in shown) == (0, True)


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
ONLY_OPTIONS = {"dry_run", "json", "verbose"} | {
    "cpus_per_worker",
    "gpus_per_worker",
    "ship_audio",
}
# options of track finetune in one; keywords that are refused
ONLY_ARGUMENTS = {"finetune", "progress", "not_taken"}


def test_options_of_evaluate_have_the_names_of_its_arguments():
    command = typer.main.get_command(cli.app).commands["evaluate"]
    options = {
        max(option.opts, key=len).removeprefix("--").replace("-", "_") for option in command.params
    } - {"help"}
    training = {field.name for field in fields(FinetuneOptions)}
    arguments = set(inspect.signature(runner.evaluate).parameters) | training
    assert {
        OTHER_WORDS.get(name, name) for name in options - ONLY_OPTIONS
    } == arguments - ONLY_ARGUMENTS
    assert not options & set(OTHER_WORDS.values())  # a word means one thing
    assert not arguments & set(OTHER_WORDS)
    assert options >= ONLY_OPTIONS | set(OTHER_WORDS)
    assert arguments >= ONLY_ARGUMENTS | set(OTHER_WORDS.values())


def test_options_of_training_have_the_defaults_of_finetune_options():
    training = cli.options.Training()
    for recipe in ("benchmark", "paper"):
        options = FinetuneOptions(recipe=recipe)
        assert training.of_track("finetune", recipe) == options
        given = {name: value for name, value in vars(training).items() if value is not None}
        assert given.items() <= vars(options).items()
    chosen = cli.options.Training(recipe="paper", weight_decay=0.5, raw_amplitude=False)
    assert chosen.of_track("finetune") == FinetuneOptions(
        recipe="paper", weight_decay=0.5, raw_amplitude=False
    )
