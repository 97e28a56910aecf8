"""Terminals of any encoding, paths that are not UTF-8, closed streams, Ctrl-C."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bimotion
from tests.support.command_line import COMMANDS, bimotion_process

CALLS = {  # command -> its words, exit code; ROOT, RUN, SENT stand for what is made before
    "check-model": ("bimotion/majority", 0),
    "compare": ("RUN", 0),
    "coverage": ("RUN --corpora ROOT", 2),  # a baseline of constant guesses has no features
    "data audit": ("CORPORA --no-listen", 0),
    "data download": ("esd iemocap --to fetched\u2014", 0),  # the steps of a person
    "data doctor": ("ROOT --no-listen", 0),
    "data export": ("copy --config zho_eld CORPORA", 0),
    "data list": ("", 0),
    "data stats": ("CORPORA", 0),
    "data synth": ("made --only csed --scale 0.01", 0),
    "evaluate": ("-m nowhere/\u2014 CORPORA", 2),
    "labels export": ("labels.json.gz CORPORA", 2),  # synthetic corpora have no answer key
    "leaderboard baselines": ("CORPORA", 2),  # no board takes synthetic clips
    "leaderboard build": ("sent --practice -o site", 0),
    "leaderboard check-pr": ("main request\u2014", 2),
    "leaderboard every-eval-ever": ("sent --practice", 0),
    "leaderboard export": ("sent --practice", 0),
    "leaderboard hub-results": ("org/name --submissions sent", 0),
    "leaderboard serve": ("nowhere\u2014", 2),
    "leaderboard verify": ("SENT --baseline --practice CORPORA", 0),
    "leaderboard reproduce": ("SENT CORPORA", 0),
    "project": ("-m bimotion/prosody --train eng_\u00e9ld --test eng_eld CORPORA", 2),
    "publish": ("bimotion --to org/name --dry-run CORPORA", 0),
    "report": ("RUN", 0),
    "score": ("RUN", 0),
    "submit": ("nowhere\u2014", 2),
}


def test_every_command_runs_on_a_terminal_of_any_encoding(main, monkeypatch, tmp_path, synth_root):
    monkeypatch.chdir(tmp_path)
    corpora = f"--corpora {synth_root} --only csed"
    words = f"evaluate -m bimotion/majority {corpora} --protocol in-group -o out"
    code, _, errors = main(words, "cp1252")
    assert code == 0, errors
    [run] = Path("out").glob("bimotion__majority/*")
    words = f"submit {run} --practice -o sent --contact 'Zo\u00eb \u2014 \u60c5'"
    code, _, errors = main(words, "ascii")
    assert code == 0, errors
    [sent] = Path("sent").glob("*/*")
    assert set(CALLS) == set(COMMANDS)
    for name, (words, expected) in CALLS.items():
        for stands_for, text in (("CORPORA", corpora), ("ROOT", synth_root), ("RUN", run)):
            words = words.replace(stands_for, str(text))
        code, shown, errors = main(f"{name} {words}".replace("SENT", str(sent)), "ascii")
        assert code == expected, (name, shown[-300:], errors)
        assert "Traceback" not in errors, name


@pytest.fixture
def oddly_named(tmp_path, synth_root):
    """Root of corpora whose name has a Latin-1 byte, which is no UTF-8."""
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        root.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    shutil.copytree(synth_root / "CSED", root / "corpora" / "CSED")
    first, *rest = sorted((root / "corpora").rglob("*.wav"))
    # equal samples: every reader of sound is called, also those that look at few clips
    for path in rest[::2]:
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
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def test_a_byte_that_is_not_utf8_in_a_path_and_a_terminal_that_knows_ascii_only(
    oddly_named, tmp_path
):
    root, output = oddly_named / "corpora", tmp_path / "out"
    corpora = ["--corpora", root]
    run = ["evaluate", "-m", "bimotion/majority", *corpora, "--only", "csed"]
    key = bimotion.evaluate("bimotion/majority", data_dir=root, only="csed", output=output).key
    folder = output / "bimotion__majority" / key
    shutil.rmtree(output)
    calls = [["data", name, *corpora] for name in ("stats", "audit", "doctor")]
    calls += [[*run, "-o", output], ["report", folder], ["score", folder], ["compare", folder]]
    calls += [[*run, "-o", oddly_named / "out"]]
    errors = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        input=b"".join(b"\0".join(map(os.fsencode, call)) + b"\n" for call in calls),
        capture_output=True,
        check=True,
        env=os.environ | ASCII,
    ).stderr.decode("ascii")
    assert re.findall(r"^ended: (\d)$", errors, re.MULTILINE) == ["0"] * 7 + ["2"], errors
    assert "Traceback" not in errors
    assert "expected a folder whose name is UTF-8 text" in errors
    assert not (oddly_named / "out").exists()


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_stop_nothing(closed, tmp_path):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    target = tmp_path / "made"
    command = [sys.executable, "-m", "bimotion", "data", "synth", target, "--only", "elderreact"]
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
    out = tmp_path / "out"
    words = ["evaluate", "-m", "bimotion/prosody", "--corpora", str(synth_root), "-o", str(out)]
    words += ["--only", "csed", "--limit", "20"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "bimotion", *words]
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:
        while process.poll() is None and not list(out.glob("*/*/unfinished")):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to workers too
        _, errors = process.communicate()
    if process.returncode == 0:
        pytest.skip("the run ended before the signal came")
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert (
        errors.splitlines()[-1]
        == "bimotion: stopped by Ctrl-C; what is done is kept: the same command goes on from there"
    )
    assert bimotion_process(*words).returncode == 0
