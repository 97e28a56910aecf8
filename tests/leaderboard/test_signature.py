"""Receipts that count only where a key of the board signed them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.leaderboard import board, export, hub_results, receipt
from bimotion.leaderboard.signature import NAMESPACE, BoardKeys, SigningKey
from tests.support import keys, submissions
from tests.support.boards import linked, only
from tests.support.command_line import run_python


@pytest.fixture
def home(root):
    """The folder of a board."""
    return root.parent


@pytest.fixture
def anna(home):
    """A maintainer's key, which the board has."""
    return keys.key_of(home, "anna")


@pytest.fixture
def signed(alone, anna):
    """A submission that was reproduced, with a receipt that Anna signed."""
    run = alone()
    keys.sign(run, anna)
    return run


def ssh_keygen(*words, **options):
    command = [keys.SSH_KEYGEN, *map(str, words)]
    return subprocess.run(command, capture_output=True, check=True, **options).stdout


# --- what counts --------------------------------------------------------------------------------


def test_a_signed_receipt_counts_and_says_who_signed_it(signed, root, anna):
    built = board.build(root)
    (entry,) = built.entries
    assert (entry.flags.status, entry.signed_by, entry.ranking.rank) == ("reproduced", "anna", 1)
    assert list(built.keys) == ["anna"]
    assert json.loads(built.to_json())["keys"] == built.keys
    assert "Receipts signed by anna." in export.export(built, "markdown")
    assert "Receipts signed by anna." in export.export(built, "latex")
    line = export.export(built, "csv").splitlines()[1]
    assert line.endswith(",anna")
    assert "receipt signed by anna" in hub_results.eval_results(entry, "org/bimotion")


def test_a_board_without_keys_says_that_its_receipts_are_unsigned(alone, root):
    alone()
    built = board.build(root)
    (entry,) = built.entries
    assert (entry.flags.status, entry.signed_by, built.keys) == ("reproduced", None, {})
    assert "Receipts not signed." in export.export(built, "markdown")
    assert "receipt not signed" in hub_results.eval_results(entry, "org/bimotion")


def test_a_board_without_keys_loads_no_library_of_signatures(alone, root):
    alone()
    code = (
        "import sys; from pathlib import Path; from bimotion.leaderboard import board; "
        "print(len(board.build(Path(sys.argv[1])).entries), 'cryptography' in sys.modules)"
    )
    assert run_python(code, root).stdout.split() == ["1", "False"]


def test_keys_lie_beside_the_submissions_or_where_they_are_named(signed, root, home, tmp_path):
    moved = (home / "keys").rename(tmp_path / "elsewhere")
    assert only(root, keys=moved).signed_by == "anna"
    # the last key was taken away: nothing falls back to "not signed"
    entry = only(root)
    assert (entry.flags.status, entry.signed_by) == ("claimed", None)
    assert (
        "no key to check it by: put its maintainers' public keys into keys/"
        in entry.flags.status_reason
    )
    for folder, reason in (
        (root / "keys", "outside of the submissions"),
        (tmp_path / "none", "expected public keys, NAME.pub, found none"),
        (submissions.receipt_of(signed), "expected a folder for keys, found a file"),
    ):
        with pytest.raises(SettingError, match=reason):
            board.build(root, keys=folder)


def test_a_key_that_is_taken_back_counts_no_longer(signed, root, home, anna):
    bert = keys.key_of(home, "bert")
    assert only(root).signed_by == "anna"
    (home / "keys" / "anna.pub").unlink()
    assert "signed by none of the board's keys, bert" in only(root).flags.status_reason
    keys.sign(signed, bert)
    assert only(root).signed_by == "bert"


def test_a_baseline_needs_a_signature_too(alone, root, anna):
    run = alone("bimotion__random")
    assert "bimotion/* is reserved" in only(root)
    keys.sign(run, anna)
    assert only(root).flags.baseline


# --- what does not ------------------------------------------------------------------------------


def _changed(run):
    path = submissions.receipt_of(run)
    path.write_text(path.read_text().replace('"reproduced": true', '"reproduced": true '))


def _sign_as(name):
    return lambda run: keys.sign(run, keys.key_of(run.parents[2] / "other", name))


def _signature(change):
    def changed(run):
        path = submissions.receipt_of(run).with_name("receipt.json.sig")
        path.write_bytes(change(path.read_bytes()))

    return changed


def _in_another_namespace(run):
    path = submissions.receipt_of(run)
    path.with_name("receipt.json.sig").unlink()
    private = run.parents[2] / "private" / "anna"
    ssh_keygen("-Y", "sign", "-n", "git", "-f", private, path)


AS_WRITTEN = "expected a signature as `ssh-keygen -Y sign` writes it"
REFUSED = {
    "no signature": (
        lambda run: submissions.receipt_of(run).with_name("receipt.json.sig").unlink(),
        "its receipt is not signed: verify the submission again with --sign",
    ),
    "a changed receipt": (_changed, "its receipt is not what anna signed"),
    "another key": (_sign_as("eve"), "its receipt is signed by none of the board's keys, anna"),
    "another key of the same name": (_sign_as("anna"), "none of the board's keys, anna"),
    "no text": (_signature(lambda text: b""), AS_WRITTEN),
    "two signatures": (_signature(lambda text: text * 2), AS_WRITTEN),
    "a line more": (_signature(lambda text: text + b"\n"), AS_WRITTEN),
    "lines of Windows": (_signature(lambda text: text.replace(b"\n", b"\r\n")), AS_WRITTEN),
    "no base64": (_signature(lambda text: text.replace(b"U1NI", b"\xff\0!?")), AS_WRITTEN),
    "a huge file": (_signature(lambda text: text * 10_000), "at most 1024 bytes"),
    "a link": (
        lambda run: linked(submissions.receipt_of(run).with_name("receipt.json.sig")),
        "receipt.json.sig: expected a plain file",
    ),
    "of another use of the key": pytest.param(
        _in_another_namespace, "none of the board's keys", marks=keys.needs_ssh_keygen
    ),
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        case if hasattr(case, "marks") else pytest.param(*case, id=name)
        for name, case in REFUSED.items()
    ],
)
def test_what_no_key_signed_is_only_claimed(change, reason, signed, root):
    change(signed)
    entry = only(root)
    assert (entry.flags.status, entry.ranking, entry.signed_by) == ("claimed", None, None)
    assert (entry.recomputed_ranking, entry.reproduction, entry.flags.baseline) == (
        None,
        None,
        False,
    )
    assert reason in entry.flags.status_reason


@pytest.mark.parametrize("name", ["receipt.json", "receipt.json.sig"])
def test_no_byte_of_a_receipt_or_its_signature_can_be_other(name, signed, home, anna):
    folder, identity = submissions.receipt_of(signed).parent, submissions.name_of(signed)
    path, board_keys = folder / name, receipt.keys_for(signed.parents[1])
    content = path.read_bytes()
    assert receipt.held(home / "receipts", identity, board_keys).signed_by == "anna"
    for position in range(len(content)):
        for changed in (
            bytes([*content[:position], content[position] ^ 1, *content[position + 1 :]]),
            content[:position],
        ):
            path.write_bytes(changed)
            with pytest.raises(RecordError):
                receipt.held(home / "receipts", identity, board_keys)


def test_a_receipt_speaks_of_one_submission(signed, alone, root, home, anna):
    other = alone("lab__base")
    keys.sign(other, anna)
    there, here = (submissions.receipt_of(run).parent for run in (other, signed))
    shutil.copy(there / "receipt.json.sig", here)
    reasons = {entry.model: entry.flags.status_reason for entry in board.build(root).entries}
    assert "its receipt is not what anna signed" in reasons["org/tiny"]
    shutil.copy(there / "receipt.json", here)
    reasons = {entry.model: entry.flags.status_reason for entry in board.build(root).entries}
    assert f"its receipt speaks of '{submissions.name_of(other)}'" in reasons["org/tiny"]
    assert reasons["lab/base"] is None


def test_what_an_unsigned_receipt_says_is_not_signed_with_the_next(signed, root, home, anna):
    """A receipt slipped in says "reproduced" and "baseline"; then its submission is verified."""
    name, board_keys = submissions.name_of(signed), receipt.keys_for(root, signing=anna)
    submissions.receipt_of(signed).with_name("receipt.json.sig").unlink()
    assert receipt.load(home / "receipts", name).reproduction is not None
    submissions.verify(signed, keys=board_keys)
    assert receipt.load(home / "receipts", name, board_keys).reproduction is None
    # and one that is signed stays
    submissions.reproduce(signed, keys=board_keys)
    submissions.verify(signed, keys=board_keys)
    assert receipt.load(home / "receipts", name, board_keys).reproduction is not None


def test_a_receipt_that_is_written_anew_keeps_no_signature(signed, home):
    submissions.verify(signed)
    assert {path.name for path in submissions.receipt_of(signed).parent.iterdir()} == {
        "receipt.json"
    }
    receipt.withdraw(home / "receipts", submissions.name_of(signed))
    assert not submissions.receipt_of(signed).parent.exists()


# --- keys ---------------------------------------------------------------------------------------


@keys.needs_ssh_keygen
def test_keys_and_signatures_are_those_of_ssh_keygen(tmp_path):
    private, text = tmp_path / "key", tmp_path / "receipt.json"
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", "me@lab", "-f", private)
    text.write_bytes(b'{"a": 1}\n')
    key = SigningKey.load(private)
    ours = key.signature(text.read_bytes())
    ssh_keygen("-Y", "sign", "-n", NAMESPACE, "-f", private, text)
    assert (tmp_path / "receipt.json.sig").read_bytes() == ours
    allowed = tmp_path / "allowed"
    allowed.write_text(f"me {(tmp_path / 'key.pub').read_text()}")
    check = ["-Y", "verify", "-f", allowed, "-I", "me", "-s", tmp_path / "receipt.json.sig"]
    assert b"Good" in ssh_keygen(*check, "-n", NAMESPACE, input=text.read_bytes())
    with pytest.raises(subprocess.CalledProcessError):
        ssh_keygen(*check, "-n", NAMESPACE, input=b"{}")
    (tmp_path / "keys").mkdir()
    shutil.copy(tmp_path / "key.pub", tmp_path / "keys")
    board_keys = BoardKeys.of_folder(tmp_path / "keys")
    assert board_keys.signer(text.read_bytes(), ours) == "key"
    shown = ssh_keygen("-l", "-f", tmp_path / "key.pub").decode()
    assert board_keys.fingerprints["key"] == shown.split()[1]
    locked = tmp_path / "locked"
    ssh_keygen("-q", "-t", "ed25519", "-N", "secret", "-f", locked)
    assert SigningKey.load(locked, lambda: "secret").public


def _private(kind="ed25519", passphrase=None):
    return lambda path: keys.write(path, kind, passphrase)


PRIVATE = {
    "missing": (lambda path: None, "expected a private key, found No such file"),
    "a folder": (lambda path: path.mkdir(), "expected a private key, a plain file"),
    "empty": (lambda path: path.write_bytes(b""), "a plain file of 1 to 16384 bytes"),
    "huge": (lambda path: path.write_bytes(b"x" * 20_000), "a plain file of 1 to 16384 bytes"),
    "public": (
        lambda path: keys.write(path).with_name("key.pub").rename(path),
        "expected a private key, found a public one",
    ),
    "read by all": (
        lambda path: keys.write(path).chmod(0o644),
        "only its owner can read, found mode 0644: chmod 600 it",
    ),
    "RSA": (_private("rsa"), "expected an Ed25519 key (ssh-keygen -t ed25519), found another: RSA"),
    "ECDSA": (_private("ecdsa"), "found another: EC"),
    "no key": (
        lambda path: (path.write_bytes(b"hello"), path.chmod(0o600)),
        "expected an Ed25519 key of OpenSSH (ssh-keygen -t ed25519), found: Not OpenSSH",
    ),
    "cut": (
        lambda path: path.write_bytes(keys.write(path).read_bytes()[:200]),
        "expected an Ed25519 key of OpenSSH",
    ),
    "a passphrase, and nobody to ask": (_private(passphrase="x"), "run this on a terminal"),
}


@pytest.mark.parametrize("name", list(PRIVATE))
def test_what_is_no_private_key(name, tmp_path):
    make, reason = PRIVATE[name]
    make(tmp_path / "key")
    with pytest.raises(SettingError) as refused:
        SigningKey.load(tmp_path / "key")
    assert reason in str(refused.value)
    assert str(tmp_path / "key") in str(refused.value)


def test_a_passphrase(tmp_path):
    path = keys.write(tmp_path / "key", passphrase="secret")
    assert len(SigningKey.load(path, lambda: "secret").public) == 32
    for other in ("Secret", "", "se\0cret"):
        with pytest.raises(SettingError, match="expected the passphrase of this key, found anoth"):
            SigningKey.load(path, lambda typed=other: typed)


def test_a_passphrase_is_asked_for_on_a_terminal(tmp_path):
    pty = pytest.importorskip("pty")
    path = keys.write(tmp_path / "key", passphrase="secret")
    code = (
        "import sys; from pathlib import Path; from bimotion.cli.receipts import Receiving; "
        "print(Receiving(sign=Path(sys.argv[1]))._key().public.hex())"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code, path]
    options = {"stdin": theirs, "stderr": theirs, "start_new_session": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        os.close(theirs)
        asked = os.read(ours, 1000)
        os.write(ours, b"secret\n")
        shown = process.stdout.read().decode()
    os.close(ours)
    assert b"Passphrase of the key that signs receipts" in asked
    assert shown.strip() == SigningKey.load(path, lambda: "secret").public.hex()


def _twice(folder):
    shutil.copy(folder / "anna.pub", folder / "bert.pub")


def _cut_key(folder):
    path = folder / "anna.pub"
    path.write_bytes(path.read_bytes()[:60])


PUBLIC = {
    "RSA": (lambda folder: keys.write(folder / "x", "rsa").unlink(), "x.pub: expected one line"),
    "private beside it": (lambda folder: keys.write(folder / "x"), "x: expected public keys only"),
    "private as public": (
        lambda folder: keys.write(folder / "x").rename(folder / "y.pub"),
        "y.pub: expected one line, `ssh-ed25519 ...`",
    ),
    "empty": (lambda folder: (folder / "x.pub").write_bytes(b""), "found 0 lines"),
    "two keys": (
        lambda folder: (folder / "anna.pub").write_bytes(2 * (folder / "anna.pub").read_bytes()),
        "found 2 lines",
    ),
    "cut": (_cut_key, "anna.pub: expected one line"),
    "huge": (lambda folder: (folder / "x.pub").write_bytes(b"x" * 5000), "at most 4096 bytes"),
    "a link": (lambda folder: (folder / "x.pub").symlink_to("anna.pub"), "x.pub: expected a pub"),
    "a folder": (lambda folder: (folder / "x.pub").mkdir(), "x.pub: expected a public key"),
    "capitals": (
        lambda folder: (folder / "anna.pub").rename(folder / "anna.PUB"),
        "anna.PUB: expected public keys only, NAME.pub, found another file",
    ),
    "an ending more": (
        lambda folder: (folder / "anna.pub").rename(folder / "anna.pub.txt"),
        "anna.pub.txt: expected public keys only",
    ),
    "private of another name": (
        lambda folder: keys.write(folder / "x").rename(folder / "id_ed25519"),
        "id_ed25519: expected public keys only",
    ),
    "private as README": (
        lambda folder: keys.write(folder / "README"),
        "README: expected public keys only",
    ),
    "twice": (_twice, "bert.pub: expected each key once"),
    "a name of other letters": (
        lambda folder: (folder / "anna.pub").rename(folder / "\u0430nna.pub"),
        "NAME of 1 to 64 letters",
    ),
    "too many": (
        lambda folder: [(folder / f"{n}.pub").touch() for n in range(101)],
        "expected at most 100 keys",
    ),
}


def test_a_readme_and_hidden_files_may_lie_beside_keys(signed, root, home):
    for name in ("README", "README.md", ".gitkeep", ".gitattributes"):
        (home / "keys" / name).write_text("x")
    assert list(board.build(root).keys) == ["anna"]


@pytest.mark.parametrize("name", list(PUBLIC))
def test_what_is_no_public_key_stops_the_board(name, signed, root, home):
    change, reason = PUBLIC[name]
    change(home / "keys")
    with pytest.raises(SettingError) as refused:
        board.build(root)
    assert reason in str(refused.value)
