"""Options of the command line: shown uncut, bounded, the same for all that read corpora."""

import os
import re
import typing
from pathlib import Path

import pytest

import bimotion
from bimotion.errors import SettingError
from bimotion.io.bounds import real_number, whole_number
from bimotion.models.training import FinetuneOptions
from tests.support.command_line import COMMANDS, bimotion_process, run_main

PAGE = Path(bimotion.__file__).parent.parent / "docs" / "command-line.md"


SYNTHETIC = Path("synthetic")  # stands for a root of synthetic corpora


ARGUMENTS = {  # what each command needs to get as far as its options
    "compare": ["nowhere"],
    "coverage": ["nowhere"],
    "data export": ["copy", "--config", "eng_eld", "--corpora", SYNTHETIC],
    "data synth": ["made"],
    "evaluate": ["--model", "bimotion/majority", "--corpora", SYNTHETIC],
    "leaderboard hub-results": ["org/name"],
    "leaderboard serve": ["nowhere"],
    "project": [
        "--model",
        "bimotion/prosody",
        "--train",
        "eng_eld",
        "--test",
        "eng_eld",
        "--corpora",
        SYNTHETIC,
    ],
    "publish": ["bimotion", "--to", "org/name"],
    "report": ["nowhere"],
    "score": ["nowhere"],
    "submit": ["nowhere"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option_uncut_at_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, shown, _ = run_main(monkeypatch, [*name.split(), "--help"])
    assert code == 0
    options = {
        word
        for param in COMMANDS[name].params
        for word in (*param.opts, *param.secondary_opts)
        if word[:2] == "--"
    }
    assert {word for word in options if not re.search(rf"(?<!\S){word}(?!\S)", shown)} == set()
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("name", COMMANDS)
def test_help_can_be_shown_in_any_encoding(name, encoding, monkeypatch):
    code, shown, said = run_main(monkeypatch, [*name.split(), "--help"], encoding)
    assert (code, said) == (0, "")
    assert "--help" in shown


def numeric_options() -> list[tuple[str, str]]:
    """Command and name of every option that takes a number, or several."""
    found = []
    for name, command in COMMANDS.items():
        hints = typing.get_type_hints(command.callback)
        for param in command.params:
            kinds = {hints.get(param.name), *typing.get_args(hints.get(param.name))}
            if kinds & {int, float} or "--seeds" in param.opts:
                found.append((name, param.opts[0]))
    return found


@pytest.mark.parametrize(("name", "option"), numeric_options())
def test_numbers_out_of_bounds_are_one_message(name, option, monkeypatch, tmp_path, synth_root):
    monkeypatch.chdir(tmp_path)
    words = [str(synth_root) if word is SYNTHETIC else word for word in ARGUMENTS.get(name, [])]
    for value in ("nan", "-1", "-inf", "1e999", str(10**30), "²", "x", ""):
        code, _, said = run_main(monkeypatch, [*name.split(), *words, f"{option}={value}"])
        assert code == 2, (option, value, said)
        assert "Traceback" not in said
        assert "expected" in said or option in said, said
    assert list(tmp_path.iterdir()) == []


def test_the_options_that_take_numbers_are_found():
    assert {
        ("evaluate", "--learning-rate"),
        ("evaluate", "--limit"),
        ("evaluate", "--seeds"),
        ("leaderboard serve", "--port"),
    } <= {*numeric_options()}


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": 0},
        {"learning_rate": -1e-5},
        {"learning_rate": "fast"},
        {"dropout": 1.5},
        {"dropout": 1.0},
        {"epochs": 0},
        {"epochs": 2.5},
        {"epochs": True},
        {"patience": 0},
        {"batch_size": 10**30},
        {"gradient_accumulation": 0},
        {"lora_rank": 0},
        {"warmup_steps": -1},
        {"weight_decay": -1},
        {"weight_decay": float("inf")},
        {"max_gradient_norm": 0},
    ],
)
def test_training_options_are_bounded_in_python_too(options):
    with pytest.raises(SettingError, match=f"{next(iter(options))}: expected a"):
        FinetuneOptions(**options)


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
    single = bimotion.evaluate(
        "bimotion/majority", cells="zho_eld", only="csed", seeds=0, **options
    )
    assert single.protocol.cells == ["zho_eld"]
    listed = bimotion.evaluate(
        "bimotion/majority", cells=["zho_eld"], only=["csed"], seeds=[0], **options
    )
    assert single.key == listed.key
    with pytest.raises(SettingError, match="seeds: expected a whole number"):
        bimotion.evaluate("bimotion/majority", seeds="0", **options)


WHOLE_BY_NATURE = {  # commands that read corpora and take no --allow-missing -> why
    "coverage": "takes just the clips that the run used",
    "labels export": "an answer key is of whole corpora",
    "leaderboard verify": "an answer key is of whole corpora; --practice takes others",
}


def test_every_command_that_reads_corpora_takes_the_same_options():
    reads = {name: {param.name for param in command.params} for name, command in COMMANDS.items()}
    reads = {
        name: params for name, params in reads.items() if params & {"corpora", "corpus", "only"}
    }
    assert {"data doctor", "data audit", "data stats", "evaluate", "compare"} <= set(reads)
    assert {name for name, params in reads.items() if not {"corpora", "corpus"} <= params} == {
        "data synth"
    }
    without = {name for name, params in reads.items() if "allow_missing" not in params}
    assert without == {*WHOLE_BY_NATURE, "data synth"}


def test_doctor_takes_its_root_either_way_and_tolerates_missing_clips_if_asked(
    tmp_path, wav, monkeypatch
):
    wav(tmp_path / "TESS/OAF_angry/OAF_back_angry.wav", rate=24414)
    codes = [
        run_main(monkeypatch, ["data", "doctor", *words])[0]
        for words in ([tmp_path], ["--corpora", tmp_path])
    ]
    assert codes == [1, 1]
    code, shown, _ = run_main(
        monkeypatch, ["data", "doctor", "--corpora", tmp_path, "--allow-missing"]
    )
    assert code == 0
    assert "2799 missing" in shown
    code, _, said = run_main(
        monkeypatch, ["data", "doctor", tmp_path, "--corpora", tmp_path / "other"]
    )
    assert code == 2
    assert "expected one ROOT" in said


def test_version_module_and_completion(monkeypatch):
    assert bimotion_process("--version").stdout == f"bimotion {bimotion.__version__}\n"
    shown = bimotion_process(
        "--show-completion", env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )
    assert "Traceback" not in shown.stderr
    code, shown, _ = run_main(monkeypatch, ["--help"])
    assert code == 0
    assert "--install-completion" in shown


def test_environment_variables_are_in_the_help_and_the_docs(monkeypatch):
    sources = Path(bimotion.__file__).parent.rglob("*.py")
    used = {
        name
        for path in sources
        for name in re.findall(r"BIMOTION_[A-Z]+", path.read_text(encoding="utf-8"))
    }
    used -= {"BIMOTION_CELLS"}  # a constant of Python
    assert used == {"BIMOTION_CACHE", "BIMOTION_CORPORA"}
    _, shown, _ = run_main(monkeypatch, ["--help"])
    assert {name for name in used if name not in shown} == set()
    assert {name for name in used if name not in PAGE.read_text(encoding="utf-8")} == set()
