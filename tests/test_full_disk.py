"""Where the disk is full, every command that writes says so in one line, naming the path and what
to do, and leaves no half."""

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from bimotion import cli
from bimotion.evaluation import run as runner
from bimotion.leaderboard import submission

resource = pytest.importorskip("resource", reason="this system knows no limit of file sizes")
CORPORA = ["--corpora", "ROOT"]
# command -> its words; ROOT, RUN, SENT, ONE stand for corpora, a run, submissions and one of them
WRITING = {
    "data synth": ["made", "--only", "csed", "--scale", "0.01"],
    "data export": ["copy", "--config", "yue", *CORPORA],
    "data doctor": ["ROOT"],
    "evaluate": [
        "-m",
        "bimotion/prosody",
        *CORPORA,
        "--only",
        "csed",
        "--protocol",
        "in-group",
        "--cells",
        "zho_eld",
        "-o",
        "out",
    ],
    "leaderboard build": ["SENT", "--practice", "-o", "site"],
    "leaderboard verify": ["ONE", "--baseline", "--practice", *CORPORA],
    "publish": ["yuemotion", "--to", "org/name", "--dry-run", *CORPORA],
    "report": ["RUN", "-o", "report"],
    "submit": ["RUN", "--practice", "-o", "packed", "--contact", "me@example.org"],
}


def run_main(monkeypatch, capsys, words) -> tuple[int, str]:
    """Exit code and what is said on standard error."""
    monkeypatch.setattr(sys, "argv", ["bimotion", *map(str, words)])
    capsys.readouterr()
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    return code, capsys.readouterr().err


@contextmanager
def files_of_at_most(n_bytes: int):
    """A disk that is full after so many bytes of a file, as far as this process can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def places(synth_root, tmp_path_factory) -> dict[str, Path]:
    """What the words of WRITING stand for."""
    folder = tmp_path_factory.mktemp("before")
    root = folder / "root"
    root.mkdir()
    for name in ("CSED", "YueMotion"):
        (root / name).symlink_to(synth_root / name)
    options = {"only": ["csed", "yuemotion"], "protocol": "in-group"}
    result = runner.evaluate("bimotion/majority", data_dir=root, output=folder / "out", **options)
    run = result.folder(folder / "out")
    sent = submission.pack(run, folder / "sent", contact=None, trained_on=[], practice=True)
    return {"ROOT": root, "RUN": run, "SENT": folder / "sent", "ONE": sent}


@pytest.mark.parametrize("command", WRITING)
def test_a_full_disk_is_one_line_and_no_half_written_file(
    command, places, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    words = [
        re.sub("ROOT|RUN|SENT|ONE", lambda name: str(places[name[0]]), word)
        for word in WRITING[command]
    ]
    refused = 0
    for n_bytes in (0, 1000, 10_000, 100_000):
        monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / f"cache {n_bytes}"))
        with files_of_at_most(n_bytes):
            code, said = run_main(monkeypatch, capsys, [*command.split(), *words])
        if code == 0:
            break
        refused += 1
        last = said.splitlines()[-1]
        assert code == 2, said
        assert "Traceback" not in said
        assert re.match(
            r"bimotion: \S.*: expected to use it, found: File too large; make room or give "
            r"permission, or ",
            last,
        )
        assert ("BIMOTION_CACHE" in last) == (f"cache {n_bytes}" in last)
        assert [path for path in tmp_path.rglob(".*") if ".bimotion-" in path.name] == []
    assert refused > 0
    code, said = run_main(monkeypatch, capsys, [*command.split(), *words])
    assert code == 0, said
    assert os.listdir(tmp_path)
