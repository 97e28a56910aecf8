"""How the command line treats people: bounds, encodings, progress, Ctrl-C, help that is whole, one
line for each mistake."""

import contextlib
import io
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import typing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer

import bimotion
from bimotion import cli
from bimotion.errors import SettingError
from bimotion.io.bounds import real_number, whole_number
from bimotion.io.progress import Lines, duration
from bimotion.models.inputs import heard_s
from bimotion.models.training import FinetuneOptions
from tests.support import tiny_models

PAGE = Path(bimotion.__file__).parent.parent / "docs" / "command-line.md"


def commands() -> dict[str, object]:
    """Words of every command -> the command."""
    found, todo = {}, [((), typer.main.get_command(cli.app))]
    while todo:
        words, command = todo.pop()
        if hasattr(command, "commands"):
            todo += [((*words, name), child) for name, child in command.commands.items()]
        else:
            found[" ".join(words)] = command
    return dict(sorted(found.items()))


COMMANDS = commands()
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


def run_main(monkeypatch, words, encoding="utf-8") -> tuple[int, str, str]:
    """Exit code, standard output and error of the command line, run here, with streams of an
    encoding."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)
    ]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["bimotion", *map(str, words)])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)


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


def bimotion_process(*words, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_command_runs_on_a_terminal_of_any_encoding(
    encoding, monkeypatch, tmp_path, synth_root
):
    monkeypatch.chdir(tmp_path)
    corpora, run = ["--corpora", synth_root, "--only", "tess,csed"], ["--practice"]
    main = partial(run_main, monkeypatch, encoding=encoding)
    evaluated = main(
        ["evaluate", "-m", "bimotion/majority", *corpora, "--protocol", "in-group", "-o", "out"]
    )
    assert evaluated[0] == 0, evaluated
    [folder] = Path("out").glob("bimotion__majority/*")
    packed = main(["submit", folder, *run, "-o", "sent", "--contact", "Zo\u00eb \u2014 \u60c5"])
    assert packed[0] == 0, packed
    [sent] = Path("sent").glob("*/*")
    calls = {
        "check-model": (["bimotion/majority"], 0),
        "compare": ([folder], 0),
        "coverage": ([folder, *corpora[:2]], 2),  # a floor of constant guesses has no features
        "data audit": ([*corpora, "--no-listen"], 0),
        "data doctor": ([synth_root, "--no-listen"], 0),
        "data export": (["copy", "--config", "zho_eld", *corpora], 0),
        "data list": ([], 0),
        "data stats": (corpora, 0),
        "data synth": (["made", "--only", "csed", "--scale", "0.01"], 0),
        "evaluate": (["-m", "nowhere/\u2014", *corpora], 2),
        "labels export": (["labels.json.gz", *corpora], 2),  # synthetic corpora have no answer key
        "leaderboard build": (["sent", *run, "-o", "site"], 0),
        "leaderboard export": (["sent", *run], 0),
        "leaderboard hub-results": (["org/name", "--submissions", "sent"], 0),
        "leaderboard serve": (["nowhere\u2014"], 2),
        "leaderboard verify": ([sent, "--baseline", *corpora, *run], 0),
        "project": (
            ["-m", "bimotion/prosody", "--train", "eng_\u00e9ld", "--test", "eng_eld", *corpora],
            2,
        ),
        "publish": (["bimotion", "--to", "org/name", "--dry-run", *corpora], 0),
        "report": ([folder], 0),
        "score": ([folder], 0),
        "submit": (["nowhere\u2014"], 2),
    }
    assert set(calls) == set(COMMANDS)
    for name, (words, expected) in calls.items():
        code, shown, said = main([*name.split(), *words])
        assert (code, "Traceback" in said) == (expected, False), (name, code, shown[-300:], said)


@pytest.fixture
def oddly_named(tmp_path, synth_root):
    """Root of corpora whose name has a Latin-1 byte, which is no UTF-8."""
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        root.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    shutil.copytree(synth_root / "CSED", root / "corpora" / "CSED")
    first, *others = sorted((root / "corpora").rglob("*.wav"))
    # equal samples: every reader of sound is called, also those that look at few clips
    for path in others[::2]:
        path.write_bytes(first.read_bytes())
    return root


ONE_AFTER_THE_OTHER = """
import sys
from bimotion import cli
for line in sys.stdin.buffer:
    coding = (sys.getfilesystemencoding(), "surrogateescape")
    sys.argv = ["bimotion", *(word.decode(*coding) for word in line[:-1].split(b"\\0"))]
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    print(f"\\nended: {code}", file=sys.stderr)
"""
"""Commands of standard input, in one process: to start one takes longer than most commands do."""


def test_a_byte_that_is_not_utf8_in_a_path_and_a_terminal_that_knows_ascii_only(
    oddly_named, tmp_path
):
    plain = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    corpora, output = ["--corpora", oddly_named / "corpora"], tmp_path / "out"
    run = ["evaluate", "-m", "bimotion/majority", *corpora, "--only", "csed"]
    key = bimotion.evaluate(
        "bimotion/majority", data_dir=oddly_named / "corpora", only="csed", output=output
    ).key
    folder = output / "bimotion__majority" / key
    shutil.rmtree(output)
    calls = [
        ["data", "stats", *corpora],
        ["data", "audit", *corpora],
        ["data", "doctor", *corpora],
        [*run, "-o", output],
    ]
    calls += [
        ["report", folder],
        ["score", folder],
        ["compare", folder],
        [*run, "-o", oddly_named / "out"],
    ]
    given = b"".join(b"\0".join(map(os.fsencode, call)) + b"\n" for call in calls)
    process = [sys.executable, "-c", ONE_AFTER_THE_OTHER]
    said = subprocess.run(
        process, input=given, capture_output=True, check=True, env=os.environ | plain
    ).stderr.decode("ascii")
    assert re.findall(r"^ended: (\d)$", said, re.MULTILINE) == ["0"] * 7 + ["2"], said
    assert "Traceback" not in said
    assert "expected a folder whose name is UTF-8 text" in said
    assert not (oddly_named / "out").exists()


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


def test_off_a_terminal_long_work_is_a_line_now_and_then(capsys):
    progress, lines = Lines(every_s=0.02), []
    for number in progress.track(range(4), 4, "decoding: tess"):
        with progress.task("resampling"):
            while number == 2 and not lines:  # until a line came, however slow the machine is
                time.sleep(0.01)
                lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"decoding: tess: 2 of 4 clips, \S+/s, \d+ s left; resampling: 0 s so far", lines[-1]
    )
    assert progress._thread is None
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_short_work_prints_nothing_off_a_terminal(capsys):
    progress = Lines()
    assert list(progress.track("abc", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_work_that_fails_leaves_no_thread_behind():
    progress = Lines(every_s=0.01)
    with pytest.raises(ZeroDivisionError), progress.task("dividing"):
        _ = 1 / 0
    items = progress.track([1, 2], 2, "left open")
    next(items)
    items.close()
    assert progress._thread is None


def test_work_that_begins_while_other_work_ends_is_shown_and_ends_too(monkeypatch):
    progress, told, go_on = Lines(every_s=0.001), threading.Event(), threading.Event()

    def say(message):
        told.set()
        go_on.wait()

    monkeypatch.setattr(progress, "say", say)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with progress.task("first"):
            inside.set()
            leave.wait()

    ending = threading.Thread(target=work)
    ending.start()
    told.wait()  # the reporting thread is at a line that takes long
    leave.set()
    while progress._works:  # until the first task waits for its reporter
        time.sleep(0.001)
    with progress.task("second"):
        go_on.set()
        ending.join()
        told.clear()
        assert told.wait(600), "nothing is said of the second task"
    assert progress._thread is None


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_stop_nothing(closed, tmp_path):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    target = tmp_path / "made"
    command = [sys.executable, "-m", "bimotion", "data", "synth", target, "--only", "csed"]
    # with workers once: they cost the most
    env = os.environ | ({} if len(closed) == 3 else {"LOKY_MAX_CPU_COUNT": "1"})
    done = subprocess.run(
        command,
        stderr=None if 2 in closed else subprocess.PIPE,
        check=False,
        preexec_fn=close,
        env=env,
    )
    assert (done.returncode, done.stderr or b"") == (0, b"")
    assert target.is_dir()


def test_durations():
    assert [duration(s) for s in (0.2, 59.4, 60, 3599, 3600, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
        "25 h 0 min",
    ]


def test_on_a_terminal_there_is_a_bar():
    code = (
        "from bimotion.io.progress import default_progress; [0 for _ in "
        "default_progress().track('abc', 3, 'letters')]"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs):
        os.close(theirs)
        shown = ""
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while some := os.read(ours, 10_000):
                shown += some.decode()
    os.close(ours)
    assert "letters" in shown
    assert "0/3" in shown


def test_ctrl_c_says_that_the_run_goes_on_and_it_does(tmp_path, synth_root):
    words = [
        "evaluate",
        "-m",
        "bimotion/prosody",
        "--corpora",
        synth_root,
        "--only",
        "tess,csed",
        "-o",
        tmp_path / "out",
    ]
    words += ["--limit", "20"]
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while process.poll() is None and not list((tmp_path / "out").glob("*/*/unfinished")):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to workers too
        _, said = process.communicate()
    if process.returncode == 0:
        pytest.skip("the run ended before the signal came")
    assert process.returncode == 130
    assert "Traceback" not in said
    assert (
        said.splitlines()[-1]
        == "bimotion: stopped by Ctrl-C; what is done is kept: the same command goes on from there"
    )
    assert bimotion_process(*words).returncode == 0


def test_what_a_model_hears_of_clips_by_hand():
    clips_s = np.array([0.5, 2.0, 2.5])
    assert heard_s(clips_s, None, 16_000) == 5.0
    assert heard_s(clips_s, 32_000, 16_000) == 2.0 + 2.0 + 4.0


@pytest.mark.parametrize(
    ("family", "is_filled_up"), [("whisper", True), ("ast", True), ("hubert", False)]
)
def test_a_dry_run_counts_what_the_model_hears(
    family, is_filled_up, tmp_path, synth_root, monkeypatch
):
    model = tiny_models.build(family, tmp_path / family)
    words = [
        "evaluate",
        "-m",
        model,
        "--corpora",
        synth_root,
        "--only",
        "tess,csed",
        "--dry-run",
        "-o",
        tmp_path / "out",
    ]
    code, shown, said = run_main(monkeypatch, words)
    assert (code, "not known" in said) == (0, False), said
    assert ("the model hears" in shown) == is_filled_up
    (model / "model.safetensors").unlink()  # a plan needs no weights
    assert run_main(monkeypatch, words)[1] == shown
    (model / "preprocessor_config.json").unlink()
    code, _, said = run_main(monkeypatch, words)
    assert code == 0
    assert "what the model hears is not known" in said
    assert not (tmp_path / "out").exists()
