"""From results to a page by the commands alone, on synthetic corpora: for practice; the real board
takes none of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bimotion.evaluation import run
from bimotion.io.versions import CACHE_VERSION
from bimotion.leaderboard import entry as entries
from tests.support import tiny_models

GOLDEN = [
    0.3833,
    0.3311,
    0.4383,
    0.344,
    0.2747,
    0.4206,
    0.2414,
    -0.0853,
    -0.1929,
    0.0223,
    -0.094,
    0.0985,
    0.086,
]
"""Of bimotion/random on the synthetic corpora: recorded, not worked out."""


def bimotion(*words) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def submissions(synth_root, tmp_path_factory) -> Path:
    """Two floor rows and a tiny model, in-group under the valence schema, submitted for
    practice."""
    folder = tmp_path_factory.mktemp("practice")
    tiny = tiny_models.build("wav2vec2-group", folder / "tiny")
    for model in ("bimotion/prosody", "bimotion/random", str(tiny)):
        result = run.evaluate(
            model,
            data_dir=synth_root,
            output=folder / "results",
            schema="valence",
            protocol="in-group",
        )
        more = (
            ["--trained-on", "AudioSet,TESS", "--organisation", "lab"] if model == str(tiny) else []
        )
        place = result.folder(folder / "results")
        done = bimotion(
            "submit",
            place,
            "--output",
            folder / "submissions",
            "--contact",
            "me@lab.example",
            "--practice",
            *more,
        )
        assert done.returncode == 0, done.stderr
        assert (
            "marks of test clips of esd, iemocap, whose licences let nobody publish" in done.stderr
        )
    refused = bimotion("submit", place, "--output", folder / "real", *more)
    assert refused.returncode == 2
    assert "synthetic" in refused.stderr
    return folder / "submissions"


def test_submit_verify_and_build_by_the_commands(submissions, synth_root, tmp_path):
    refused = bimotion("leaderboard", "verify", submissions, "--corpora", synth_root, "--practice")
    assert refused.returncode == 1
    assert refused.stdout.count("bimotion/* is reserved for baselines that the receiver made") == 2
    for place in submissions.glob("bimotion__*/*"):
        own = bimotion(
            "leaderboard", "verify", place, "--corpora", synth_root, "--practice", "--baseline"
        )
        assert own.returncode == 0, own.stdout + own.stderr
    verified = bimotion("leaderboard", "verify", submissions, "--corpora", synth_root, "--practice")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count(": verified") == 3
    assert "the model was trained on tess before" in verified.stdout
    built = bimotion("leaderboard", "build", submissions, "-o", tmp_path / "site", "--practice")
    assert built.stdout.strip() == str(tmp_path / "site" / "index.html")
    board = json.loads((tmp_path / "site" / "board.json").read_text())
    assert board["entries"][0]["model"] == "bimotion/prosody"
    assert board["entries"][0]["standing"]["rank"] == 1
    assert {entry["marks"]["synthetic"] for entry in board["entries"]} == {True}
    assert {entry["marks"]["verified"] for entry in board["entries"]} == {True}
    shown = bimotion("leaderboard", "export", submissions, "--format", "markdown", "--practice")
    (prosody,) = [line for line in shown.stdout.splitlines() if "| bimotion/prosody |" in line]
    assert "| SYNTHETIC, verified, floor" in prosody
    elsewhere = ["--practice", "--receipts", tmp_path / "none"]
    shown = bimotion("leaderboard", "export", submissions, "--format", "csv", *elsewhere)
    assert shown.stdout.count("not verified") == 3
    assert {path.name for path in submissions.glob("*/*/*")} == {
        "predictions.parquet",
        "result.json",
        "submission.json",
    }
    real = bimotion("leaderboard", "build", submissions, "-o", tmp_path / "real")
    assert json.loads((tmp_path / "real" / "board.json").read_text())["entries"] == []
    assert real.stderr.count("synthetic data") == 3
    table = bimotion("leaderboard", "export", submissions)
    assert table.stderr.count("not on the board: ") == 3
    assert "all submissions are for practice, --practice shows them" in table.stderr
    above = bimotion("leaderboard", "export", submissions.parent)
    assert f"board is empty: no submissions in {submissions.parent}: expected " in above.stderr


def test_a_submission_is_named_by_its_folders_from_wherever_it_is_seen(
    submissions, synth_root, tmp_path
):
    own = Path(shutil.copytree(submissions, tmp_path / "submissions"))
    (place,) = own.glob("lab__*/*")
    (place.parent / "other").mkdir()
    for asked, start in ((Path("."), place), (Path("..") / place.name, place.parent / "other")):
        command = [
            sys.executable,
            "-m",
            "bimotion",
            "leaderboard",
            "verify",
            str(asked),
            "--practice",
        ]
        done = subprocess.run(
            [*command, "--corpora", str(synth_root)], cwd=start, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout.count(": verified")) == (0, 1), done.stdout
        assert [path.parts[-3:-1] for path in tmp_path.rglob("receipt.json")] == [place.parts[-2:]]
        shutil.rmtree(tmp_path / "receipts")


def test_what_is_for_practice_is_said_before_corpora_are_looked_for(submissions, tmp_path):
    for place in (submissions, next(submissions.glob("lab__*/*"))):
        refused = bimotion("leaderboard", "verify", place, "--corpora", tmp_path)
        assert refused.returncode == 2
        assert "made with --practice: verify with --practice" in refused.stderr
        assert "corpora" not in refused.stderr


def test_a_file_is_no_place_for_receipts(submissions, tmp_path):
    (tmp_path / "file").touch()
    command = ["leaderboard", "build", submissions, "-o", tmp_path / "site", "--practice"]
    refused = bimotion(*command, "--receipts", tmp_path / "file")
    assert refused.returncode == 2
    assert "expected a folder for receipts, found a file" in refused.stderr
    assert not (tmp_path / "site").exists()


def test_what_was_changed_afterwards_is_refused(submissions, synth_root):
    (place,) = submissions.glob("lab__*/*")
    path = place / "result.json"
    before = path.read_bytes()
    content = json.loads(before)
    content["scores"][0]["value"] = 0.99
    try:
        path.write_text(json.dumps(content))
        refused = bimotion("leaderboard", "verify", place, "--corpora", synth_root, "--practice")
        assert refused.returncode == 1
        assert "REFUSED" in refused.stdout
        assert not (submissions.parent / "receipts" / place.parent.name).exists()
    finally:
        path.write_bytes(before)


def test_a_submission_without_its_record_is_refused_with_the_others(submissions, synth_root):
    bare = submissions / "lab__bare" / "0123"
    bare.mkdir(parents=True)
    (bare / "predictions.parquet").write_bytes(b"PAR1")
    try:
        refused = bimotion(
            "leaderboard", "verify", submissions, "--corpora", synth_root, "--practice"
        )
    finally:
        shutil.rmtree(bare.parent)
    assert refused.returncode == 1
    assert f"{bare}: REFUSED" in refused.stdout
    assert "1 of 4 submissions refused" in refused.stderr


def test_the_page_is_served_on_this_machine_alone(submissions, tmp_path):
    import urllib.request

    command = [
        sys.executable,
        "-m",
        "bimotion",
        "leaderboard",
        "serve",
        str(submissions),
        "-o",
        str(tmp_path),
    ]
    server = subprocess.Popen(
        [*command, "--port", "0", "--practice"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = next(
            line for line in server.stdout if line.startswith("http://127.0.0.1:")
        ).split()[0]
        with urllib.request.urlopen(f"{address}index.html", timeout=600) as answer:
            assert b"BiMotion leaderboard" in answer.read()
    finally:
        server.terminate()
        server.wait()


def test_numbers_of_an_entry_are_those_of_their_version(submissions):
    """Where they move, `CACHE_VERSION` must rise: files beside receipts hold earlier ones."""
    (place,) = submissions.glob("bimotion__random/*")
    entry = entries.read(place, "bimotion__random/key").entry
    headline, cell, gap = entry.base, entry.scores[1], entry.gaps[0]
    found = [
        headline.value,
        headline.low,
        headline.high,
        cell.value,
        cell.low,
        cell.high,
        cell.calibration_error,
    ]
    found += [gap.value, gap.low, gap.high, gap.chance_low, gap.chance_high, gap.chance_p]
    assert (CACHE_VERSION, found) == ("4", pytest.approx(GOLDEN, abs=2e-4))
