"""Terminals of any encoding, paths that are not UTF-8, closed streams, Ctrl-C."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import bimotion
from tests.support.command_line import COMMANDS, bimotion_process, run_main


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
