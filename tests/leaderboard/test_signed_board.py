"""A board of signed receipts by the commands only, for practice; and kept numbers that a cheat
swaps."""

import json
import shutil

import numpy as np
import pytest

from bimotion.evaluation import run as runner
from bimotion.leaderboard import board, entry_cache, receipt
from bimotion.leaderboard.signature import SigningKey
from bimotion.results import rescoring
from tests.support import keys, submissions
from tests.support.boards import only
from tests.support.command_line import run_here as bimotion

MODEL = "bimotion/prosody"


@pytest.fixture(scope="module")
def sent(synth_root, tmp_path_factory):
    """A baseline that was submitted for practice."""
    folder = tmp_path_factory.mktemp("sent")
    asked = {"data_dir": synth_root, "folds": 1, "protocol": "in-group", "cells": ["eng_eld"]}
    result = runner.evaluate(MODEL, output=folder / "results", **asked)
    words = ["submit", result.folder(folder / "results"), "--practice"]
    done = bimotion(*words, "-o", folder / "submissions")
    assert done.returncode == 0, done.stderr
    return folder / "submissions"


class Home:
    """A board in a folder of its own, with a maintainer's key."""

    def __init__(self, folder, sent, synth_root):
        self.folder, self.corpora = folder, ["--corpora", synth_root]
        shutil.copytree(sent, folder / "submissions")
        (self.submission,) = (folder / "submissions").glob("*/*")
        keys.key_of(folder, "anna")
        self.sign = ["--sign", folder / "private" / "anna"]

    @property
    def receipt(self):
        return submissions.receipt_of(self.submission)

    def leaderboard(self, command, *options, code=0):
        words = [command, self.submission, *self.corpora, *options]
        done = bimotion("leaderboard", *words, cwd=self.folder)
        assert (done.returncode, done.stderr.count("Traceback")) == (code, 0), done.stderr
        return done

    def verify(self, *options, code=0):
        return self.leaderboard("verify", "--baseline", "--practice", *options, code=code)

    def built(self):
        words = ["leaderboard", "build", "submissions", "--practice", "-o", "site"]
        assert bimotion(*words, cwd=self.folder).returncode == 0
        return json.loads((self.folder / "site" / "board.json").read_text())

    def entry(self):
        (entry,) = self.built()["entries"]
        return entry["flags"]["status"], entry["signed_by"], entry["reproduction"] is not None


@pytest.fixture
def home(tmp_path, sent, synth_root):
    return Home(tmp_path / "home", sent, synth_root)


def test_verified_signed_and_run_again(home, monkeypatch):
    done = home.verify()
    assert ": verified" in done.stdout
    assert "only checked, no receipt written" in done.stderr
    assert "expected --sign KEYFILE, the private key of one, found none" in done.stderr
    assert not home.receipt.exists()
    home.verify(*home.sign)
    assert home.entry() == ("reproduced", "anna", False)
    signature = home.receipt.with_name("receipt.json.sig").read_bytes()
    # without a key nothing of what is signed is touched
    home.verify()
    assert home.receipt.with_name("receipt.json.sig").read_bytes() == signature
    done = home.leaderboard("reproduce", code=2)
    assert "this board counts only receipts signed by anna" in done.stderr
    monkeypatch.setenv("BIMOTION_SIGNING_KEY", str(home.sign[1]))
    done = home.leaderboard("reproduce")
    assert ": reproduced" in done.stdout
    assert home.entry() == ("reproduced", "anna", True)
    assert home.receipt.with_name("receipt.json.sig").read_bytes() != signature
    assert home.built()["keys"]["anna"].startswith("SHA256:")


def test_another_key_than_the_boards_signs_nothing(home):
    eve = keys.write(home.folder / "private" / "eve")
    for command in (
        home.verify,
        lambda *words, code: home.leaderboard("reproduce", *words, code=code),
    ):
        done = command("--sign", eve, code=2)
        assert "expected the private half of a key in" in done.stderr
        assert "found anna there and not SHA256:" in done.stderr
    (home.folder / "keys" / "anna.pub").unlink()
    (home.folder / "keys").rmdir()
    done = home.verify("--sign", eve, code=2)
    assert "found no keys there" in done.stderr
    assert not home.receipt.exists()


@pytest.mark.parametrize("left", [None, ".gitkeep", "README.md"])
def test_a_board_that_lost_its_keys_is_no_unsigned_one(left, home):
    (home.folder / "keys" / "anna.pub").unlink()
    if left is not None:
        (home.folder / "keys" / left).touch()
    build = ["leaderboard", "build", "submissions", "--practice", "-o", "site"]
    for done in (home.verify(code=2), bimotion(*build, cwd=home.folder)):
        assert "keys: expected public keys, NAME.pub, found none. A board that" in done.stderr
        assert done.returncode == 2
    assert not home.receipt.exists()


def test_keys_lie_beside_submissions_wherever_receipts_lie(home):
    elsewhere = home.folder / "private board" / "receipts"
    done = home.verify("--receipts", elsewhere)
    assert "only checked, no receipt written" in done.stderr
    home.verify("--receipts", elsewhere, *home.sign)
    # other keys beside the receipts: which are meant?
    shutil.copytree(home.folder / "keys", elsewhere.parent / "keys")
    build = ["leaderboard", "build", "submissions", "--practice", "-o", "site"]
    build += ["--receipts", elsewhere]
    for done in (home.verify("--receipts", elsewhere, code=2), bimotion(*build, cwd=home.folder)):
        assert "found some beside its receipts too: say which with --keys" in done.stderr
        assert done.returncode == 2
    build += ["--keys", elsewhere.parent / "keys"]
    assert bimotion(*build, cwd=home.folder).returncode == 0
    (entry,) = json.loads((home.folder / "site" / "board.json").read_text())["entries"]
    assert entry["signed_by"] == "anna"


def test_baselines_are_signed_before_anything_is_run(home):
    words = ["leaderboard", "baselines", *home.corpora, "--only", "tess,csed", "--practice"]
    words += ["--submissions", "submissions", "-o", "out"]
    done = bimotion(*words, cwd=home.folder)
    assert done.returncode == 2
    assert "expected --sign KEYFILE" in done.stderr
    assert not (home.folder / "out").exists()
    done = bimotion(*words, *home.sign, cwd=home.folder)
    assert done.returncode == 0, done.stderr
    entries = home.built()["entries"]
    signed_by = [entry["signed_by"] for entry in entries if entry["flags"]["status"] != "claimed"]
    assert signed_by == ["anna"] * 3


@pytest.mark.parametrize("lists_it", [False, True], ids=["swapped", "swapped, receipt too"])
def test_kept_numbers_count_as_they_were_signed(lists_it, alone, root, monkeypatch, tmp_path):
    """The cache of derived numbers is made again from the files, or not counted at all."""
    run = alone()
    key = keys.key_of(root.parent, "anna")
    content = entry_cache.prepare(run, rescoring.rescore(run)[1])
    submissions.verify(run, entry=content, keys=receipt.keys_for(root, signing=key))
    true = board.build(root)
    path = submissions.receipt_of(run).with_name("entry.npz")
    with np.load(path) as archive:
        arrays = dict(archive)
    facts = json.loads(arrays["facts"].tobytes())
    facts["entry"]["headline"]["in-group/inference"]["value"] = 0.999
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(path, **arrays)
    if lists_it:  # only who has the key could sign this
        held = json.loads(path.with_name("receipt.json").read_text())
        held["entry_sha256"] = submissions.hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name("receipt.json").write_text(json.dumps(held, indent=1) + "\n")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "empty cache"))
    entry = only(root)
    assert entry.headline == true.entries[0].headline
    assert entry.flags.status == ("claimed" if lists_it else "recomputed")
    if lists_it:
        keys.sign(run, SigningKey.load(root.parent / "private" / "anna"))
        monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "another"))
        assert only(root).headline["in-group/inference"].value == 0.999
