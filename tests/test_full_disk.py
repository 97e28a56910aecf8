"""On a full disk every command that writes says so in one line, naming the path and what to do, and
leaves no half."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from bimotion.evaluation import run as runner
from bimotion.leaderboard import submission
from tests.support.command_line import run_main

resource = pytest.importorskip("resource", reason="this system knows no limit of file sizes")
WRITING = {  # command -> its words; ROOT, RUN, SENT, ONE: corpora, a run, submissions, one of them
    "data synth": "made --only csed --scale 0.01",
    "data export": "copy --config yue --corpora ROOT",
    "data doctor": "ROOT",
    "evaluate": "-m bimotion/prosody --corpora ROOT --protocol in-group --cells zho_eld -o out",
    "leaderboard build": "SENT --practice -o site",
    "leaderboard verify": "ONE --baseline --practice --corpora ROOT",
    "publish": "yuemotion --to org/name --dry-run --corpora ROOT",
    "report": "RUN -o report",
    "submit": "RUN --practice -o packed --contact me@example.org",
}
LAST_LINE = (
    r"bimotion: \S.*: expected to use it, found: File too large; make room or give permission, or "
)


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
def paths(synth_root, tmp_path_factory) -> dict[str, Path]:
    """The files and folders that words of WRITING stand for."""
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
def test_a_full_disk_is_one_line_and_no_half_written_file(command, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    words = re.sub("ROOT|RUN|SENT|ONE", lambda name: str(paths[name[0]]), WRITING[command])
    words = [*command.split(), *words.split()]
    n_refused = 0
    for n_bytes in (0, 1000, 10_000, 100_000):
        monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / f"cache {n_bytes}"))
        with files_of_at_most(n_bytes):
            code, _, errors = run_main(monkeypatch, words)
        if code == 0:
            break
        n_refused += 1
        last = errors.splitlines()[-1]
        assert code == 2, errors
        assert "Traceback" not in errors
        assert re.match(LAST_LINE, last)
        assert ("BIMOTION_CACHE" in last) == (f"cache {n_bytes}" in last)
        assert [path for path in tmp_path.rglob(".*") if ".bimotion-" in path.name] == []
    assert n_refused > 0
    code, _, errors = run_main(monkeypatch, words)
    assert code == 0, errors
    assert os.listdir(tmp_path)
