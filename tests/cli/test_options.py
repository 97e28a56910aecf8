"""Options of the command line: shown uncut, bounded, the same for all that read corpora."""

import os
import re
import typing
from pathlib import Path

import pytest

import bimotion
from bimotion.errors import SettingError
from bimotion.io.bounds import real_number, whole_number
from bimotion.models.recipe import FinetuneOptions
from tests.support.command_line import COMMANDS, bimotion_process

PAGE = Path(bimotion.__file__).parent.parent / "docs" / "command-line.md"
ARGUMENTS = {  # what each command needs to get as far as its options
    "compare": "nowhere",
    "coverage": "nowhere",
    "data export": "copy --config eng_eld --corpora SYNTHETIC",
    "data synth": "made",
    "evaluate": "--model bimotion/majority --corpora SYNTHETIC",
    "leaderboard hub-results": "org/name",
    "leaderboard reproduce": "nowhere",
    "leaderboard serve": "nowhere",
    "project": "--model bimotion/prosody --train eng_eld --test eng_eld --corpora SYNTHETIC",
    "publish": "bimotion --to org/name",
    "report": "nowhere",
    "score": "nowhere",
    "submit": "nowhere",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option_uncut_at_80_columns_in_any_encoding(name, main, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, shown, _ = main(f"{name} --help")
    assert code == 0
    options = {
        word
        for param in COMMANDS[name].params
        for word in (*param.opts, *param.secondary_opts)
        if word[:2] == "--"
    }
    assert {word for word in options if not re.search(rf"(?<!\S){word}(?!\S)", shown)} == set()
    assert max(map(len, shown.splitlines())) <= 80
    for encoding in ("ascii", "cp1252"):
        code, shown, errors = main(f"{name} --help", encoding)
        assert (code, errors) == (0, "")
        assert "--help" in shown


def numeric_options() -> list[tuple[str, str]]:
    """Command and name of every option that takes a number, or several."""
    numeric = []
    for name, command in COMMANDS.items():
        hints = typing.get_type_hints(command.callback)
        for param in command.params:
            kinds = {hints.get(param.name), *typing.get_args(hints.get(param.name))}
            if kinds & {int, float} or "--seeds" in param.opts:
                numeric.append((name, param.opts[0]))
    return numeric


@pytest.mark.parametrize(("name", "option"), numeric_options())
def test_numbers_out_of_bounds_are_one_message(
    name, option, main, monkeypatch, tmp_path, synth_root
):
    monkeypatch.chdir(tmp_path)
    words = f"{name} {ARGUMENTS.get(name, '')}".replace("SYNTHETIC", str(synth_root))
    for value in ("nan", "-1", "1e999", str(10**30), "²", "x", ""):
        code, _, errors = main(f"{words} {option}={value}")
        assert code == 2, (option, value, errors)
        assert "Traceback" not in errors
        assert "expected" in errors or option in errors, errors
    assert list(tmp_path.iterdir()) == []


def test_the_options_that_take_numbers_are_listed():
    assert {
        ("evaluate", "--learning-rate"),
        ("evaluate", "--limit"),
        ("evaluate", "--seeds"),
        ("leaderboard serve", "--port"),
    } <= {*numeric_options()}


OUT_OF_BOUNDS = {
    "learning_rate": [float("nan"), 0, -1e-5, "fast"],
    "dropout": [1.5, 1.0],
    "epochs": [0, 2.5, True],
    "patience": [0],
    "batch_size": [10**30],
    "gradient_accumulation": [0],
    "lora_rank": [0],
    "warmup_steps": [-1],
    "weight_decay": [-1, float("inf")],
    "max_gradient_norm": [0],
}


@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_training_options_are_bounded_in_python_too(name):
    for value in OUT_OF_BOUNDS[name]:
        with pytest.raises(SettingError, match=f"{name}: expected a"):
            FinetuneOptions(**{name: value})


def test_bounds_by_hand():
    assert [whole_number("n", 1, 1, 3), whole_number("n", 3, 1, 3)] == [1, 3]
    assert [real_number("x", 0, 0, 1), real_number("x", 1, 0, 1)] == [0, 1]
    for value in (0, 4, 1.0, True, "2", None, 10**5000):
        with pytest.raises(SettingError, match=r"^n: expected a whole number from 1 to 3, found "):
            whole_number("n", value, 1, 3)
    with pytest.raises(SettingError, match=r"^x: expected a number above 0 and below 1, found 0$"):
        real_number("x", 0, 0, 1, above=True, below=True)
    with pytest.raises(SettingError, match=r"^x: expected a number from 0 and up to 1, found nan$"):
        real_number("x", float("nan"), 0, 1)


def test_in_python_a_single_name_or_number_stands_for_a_list_of_one(synth_root, tmp_path):
    options = {"data_dir": synth_root, "output": tmp_path, "protocol": "in-group"}
    model = "bimotion/majority"
    single = bimotion.evaluate(model, cells="zho_eld", only="csed", seeds=0, **options)
    listed = bimotion.evaluate(model, cells=["zho_eld"], only=["csed"], seeds=[0], **options)
    assert single.protocol.cells == ["zho_eld"]
    assert single.key == listed.key
    with pytest.raises(SettingError, match="seeds: expected a whole number"):
        bimotion.evaluate(model, seeds="0", **options)


WHOLE_BY_NATURE = {  # commands that read corpora and take no --allow-missing -> why
    "compare": "takes ages only, and says what is missing",
    "report": "takes ages only, and says what is missing",
    "coverage": "takes just the clips that the run used",
    "leaderboard reproduce": "takes just the clips that the run used",
    "leaderboard baselines": "an answer key is of whole corpora; --practice takes others",
    "labels export": "an answer key is of whole corpora",
    "leaderboard verify": "an answer key is of whole corpora; --practice takes others",
}


def test_every_command_that_reads_corpora_takes_the_same_options():
    params = {name: {param.name for param in command.params} for name, command in COMMANDS.items()}
    reads = {name for name in params if params[name] & {"corpora", "corpus", "only"}}
    assert {"data doctor", "data audit", "data stats", "evaluate", "compare"} <= reads
    assert {name for name in reads if not {"corpora", "corpus"} <= params[name]} == {"data synth"}
    without = {name for name in reads if "allow_missing" not in params[name]}
    assert without == {*WHOLE_BY_NATURE, "data synth"}


def test_version_completion_and_environment_variables(main):
    assert bimotion_process("--version").stdout == f"bimotion {bimotion.__version__}\n"
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert "Traceback" not in bimotion_process("--show-completion", env=environment).stderr
    code, shown, _ = main("--help")
    assert code == 0
    assert "--install-completion" in shown
    texts = [path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("bimotion/**/*.py")]
    used = {name for text in texts for name in re.findall(r"BIMOTION_[A-Z_]+", text)}
    used -= {"BIMOTION_CELLS"}  # a constant of Python
    assert used == {"BIMOTION_CACHE", "BIMOTION_CORPORA", "BIMOTION_SIGNING_KEY"}
    page = PAGE.read_text(encoding="utf-8")
    assert all(name in shown and name in page for name in used)
