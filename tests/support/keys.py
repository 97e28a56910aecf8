"""Keys of OpenSSH, made here, and boards whose receipts they sign."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bimotion.leaderboard import receipt
from bimotion.leaderboard.signature import SigningKey

SSH_KEYGEN = shutil.which("ssh-keygen")
needs_ssh_keygen = pytest.mark.skipif(SSH_KEYGEN is None, reason="needs ssh-keygen (OpenSSH)")
KINDS = {
    "ed25519": Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
}


def write(path: Path, kind: str = "ed25519", passphrase: str | None = None) -> Path:
    """A private key at `path` and its public half beside it, as `ssh-keygen -t` writes them."""
    made = KINDS[kind]()
    how = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, how))
    path.chmod(0o600)
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + b" someone@somewhere\n")
    return path


def key_of(board: Path, name: str) -> SigningKey:
    """A new private key, whose public half lies in the keys of a board."""
    private = write(board / "private" / name)
    (board / "keys").mkdir(exist_ok=True)
    shutil.copy(private.with_name(f"{name}.pub"), board / "keys")
    return SigningKey.load(private)


def sign(submission: Path, key: SigningKey) -> Path:
    """Sign the receipt of a submission as it is; the path of the signature."""
    board, name = submission.parents[2], "/".join(submission.parts[-2:])
    path = board / "receipts" / name / receipt.RECEIPT_FILE
    signature = path.with_name("receipt.json.sig")
    signature.write_bytes(key.signature(path.read_bytes()))
    return signature
