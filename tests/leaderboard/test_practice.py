"""From results to a page by the commands only, on synthetic corpora: for practice; the real board
takes none of it."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bimotion.evaluation import run
from bimotion.io.versions import CACHE_VERSION
from bimotion.leaderboard import scored
from tests.support import tiny_models
from tests.support.command_line import run_here as bimotion

GOLDEN = {
    "value low high": [0.3925, 0.3153, 0.4755],
    "value low high calibration_error": [0.395, 0.2963, 0.5031, 0.1448],
    "kind value low high": ["corpus and age", -0.0656, -0.214, 0.0828],
}
"""Headline, a cell and a gap of bimotion/random on the synthetic corpora: recorded, not worked
out."""


@pytest.fixture(scope="module")
def submissions(synth_root, tmp_path_factory) -> Path:
    """Two baselines and a tiny model, in-group under the valence schema, submitted for practice."""
    folder = tmp_path_factory.mktemp("practice")
    tiny = str(tiny_models.build("wav2vec2-group", folder / "tiny"))
    asked = {"data_dir": synth_root, "folds": 2, "protocol": "in-group"}
    for model in ("bimotion/prosody", "bimotion/random", tiny):
        result = run.evaluate(model, output=folder / "results", **asked)
        words = ["submit", result.folder(folder / "results"), "--contact", "me@lab.example"]
        if model == tiny:
            words += ["--trained-on", "AudioSet,TESS", "--organisation", "lab"]
        done = bimotion(*words, "--output", folder / "submissions", "--practice")
        assert done.returncode == 0, done.stderr
        assert "test clips of esd, iemocap, whose licences let nobody publish" in done.stderr
    refused = bimotion(*words, "--output", folder / "real")
    assert refused.returncode == 2
    assert "synthetic" in refused.stderr
    return folder / "submissions"


@pytest.fixture(scope="module")
def verify(synth_root):
    """The outcome of `leaderboard verify --practice` of a submission or a folder of them."""
    options = ["--corpora", synth_root, "--practice"]
    return lambda path, *more, **where: bimotion(
        "leaderboard", "verify", path, *options, *more, **where
    )


def test_submit_verify_build_and_export_by_the_commands(submissions, verify, tmp_path):
    refused = verify(submissions)
    assert refused.returncode == 1
    assert refused.stdout.count("bimotion/* is reserved for baselines that the keeper made") == 2
    for folder in submissions.glob("bimotion__*/*"):
        own = verify(folder, "--baseline")
        assert own.returncode == 0, own.stdout + own.stderr
    verified = verify(submissions)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count(": verified") == 3
    assert "the model was trained on tess before" in verified.stdout
    built = bimotion("leaderboard", "build", submissions, "-o", tmp_path / "site", "--practice")
    assert built.stdout.strip() == str(tmp_path / "site" / "index.html")
    entries = json.loads((tmp_path / "site" / "board.json").read_text())["entries"]
    assert (entries[0]["model"], entries[0]["ranking"]["rank"]) == ("bimotion/prosody", 1)
    assert all(
        entry["flags"]["synthetic"] and entry["flags"]["status"] != "claimed" for entry in entries
    )
    shown = bimotion("leaderboard", "export", submissions, "--format", "markdown", "--practice")
    (prosody,) = [line for line in shown.stdout.splitlines() if "| bimotion/prosody |" in line]
    assert "| SYNTHETIC, reproduced, baseline" in prosody
    elsewhere = ["--practice", "--receipts", tmp_path / "none"]
    shown = bimotion("leaderboard", "export", submissions, "--format", "csv", *elsewhere)
    assert shown.stdout.count("claimed") == 3
    names = {"predictions.parquet", "result.json", "submission.json"}
    assert {path.name for path in submissions.glob("*/*/*")} == names
    words = ["leaderboard", "every-eval-ever", submissions, "--practice", "-o", tmp_path / "eee"]
    written = bimotion(*words)
    assert written.returncode == 0, written.stderr
    paths = [Path(line) for line in written.stdout.splitlines()]
    assert sorted(paths) == sorted((tmp_path / "eee/data").rglob("*.json*"))
    assert [path.suffix for path in paths] == [".json", ".jsonl"] * 3
    assert written.stderr.count("predictions left out: ") == 3
    for path in paths[::2]:
        source = json.loads(path.read_text("utf-8"))["source_metadata"]["additional_details"]
        assert source["synthetic"] == "true"
    assert "left out" not in bimotion(*words, "--scores-only").stderr
    assert sorted((tmp_path / "eee/data").rglob("*.json*")) == sorted(paths[::2])


def test_a_real_board_has_none_of_it(submissions, tmp_path):
    real = bimotion("leaderboard", "build", submissions, "-o", tmp_path / "real")
    assert json.loads((tmp_path / "real" / "board.json").read_text())["entries"] == []
    assert real.stderr.count("synthetic data") == real.stderr.count("not on the board: ") == 3
    assert "all submissions are for practice, --practice shows them" in real.stderr
    above = bimotion("leaderboard", "export", submissions.parent)
    assert f"board is empty: no submissions in {submissions.parent}: expected " in above.stderr
    refused = bimotion("leaderboard", "verify", submissions, "--corpora", tmp_path)
    assert refused.returncode == 2  # before corpora are looked for
    assert "made with --practice: verify with --practice" in refused.stderr
    assert "corpora" not in refused.stderr


def test_a_submission_is_named_by_its_folders_from_wherever_it_is_seen(
    submissions, verify, tmp_path
):
    own = Path(shutil.copytree(submissions, tmp_path / "submissions"))
    (folder,) = own.glob("lab__*/*")
    (folder.parent / "other").mkdir()
    for asked, start in ((".", folder), (Path("..") / folder.name, folder.parent / "other")):
        done = verify(asked, cwd=start)
        assert (done.returncode, done.stdout.count(": verified")) == (0, 1), done.stdout
        receipts = [path.parts[-3:-1] for path in tmp_path.rglob("receipt.json")]
        assert receipts == [folder.parts[-2:]]
        shutil.rmtree(tmp_path / "receipts")


def test_a_file_is_no_folder_for_receipts(submissions, tmp_path):
    (tmp_path / "file").touch()
    command = ["leaderboard", "build", submissions, "-o", tmp_path / "site", "--practice"]
    refused = bimotion(*command, "--receipts", tmp_path / "file")
    assert refused.returncode == 2
    assert "expected a folder for receipts, found a file" in refused.stderr
    assert not (tmp_path / "site").exists()


def test_what_was_changed_or_lacks_its_record_is_refused_with_the_others(
    submissions, verify, tmp_path
):
    own = tmp_path / "submissions"
    (lab,) = submissions.glob("lab__*")
    shutil.copytree(lab, own / lab.name)
    assert verify(own).returncode == 0
    (changed,) = (own / lab.name).iterdir()
    content = json.loads((changed / "result.json").read_bytes())
    content["scores"][0]["value"] = 0.99
    (changed / "result.json").write_text(json.dumps(content))
    bare = own / "lab__bare" / "0123"
    bare.mkdir(parents=True)
    (bare / "predictions.parquet").write_bytes(b"PAR1")
    refused = verify(own)
    assert refused.returncode == 1
    for folder in (changed, bare):
        assert f"{folder}: REFUSED" in refused.stdout
    assert "2 of 2 submissions refused" in refused.stderr
    assert not (tmp_path / "receipts" / changed.parent.name).exists()


def test_the_page_is_served_on_this_machine_only(submissions, tmp_path):
    options = ["-o", str(tmp_path), "--port", "0", "--practice"]
    command = [sys.executable, "-m", "bimotion", "leaderboard", "serve", str(submissions), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    server = subprocess.Popen(command, text=True, **pipes)
    try:
        lines = (line for line in server.stdout if line.startswith("http://127.0.0.1:"))
        address = next(lines).split()[0]
        with urllib.request.urlopen(f"{address}index.html", timeout=600) as answer:
            assert b"BiMotion leaderboard" in answer.read()
    finally:
        server.terminate()
        server.wait()


def test_numbers_of_an_entry_are_those_of_their_version(submissions):
    """`CACHE_VERSION` must rise where they move: files beside receipts hold earlier ones."""
    (folder,) = submissions.glob("bimotion__random/*")
    entry = scored.score(folder, "bimotion__random/key").entry
    rows = (entry.base, entry.scores[1], entry.gaps[0])
    for row, (names, expected) in zip(rows, GOLDEN.items(), strict=True):
        values = [getattr(row, name) for name in names.split()]
        assert values == pytest.approx(expected, abs=2e-4)
    assert CACHE_VERSION == "7"
