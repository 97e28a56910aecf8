"""Signed receipts: whose keys make a receipt count on a board, and the signature beside a receipt.

Keys and signatures are those of OpenSSH, so that people know them and can do without us:

    ssh-keygen -t ed25519 -f board-key       # a key; board-key.pub goes to <board>/keys/
    ssh-keygen -Y sign -n bimotion-receipt -f board-key receipt.json    # writes receipt.json.sig
    ssh-keygen -Y check-novalidate -n bimotion-receipt -s receipt.json.sig < receipt.json

A signature is of the very bytes of receipt.json, which name the submission and the hash of each of
its files. The namespace keeps it apart from whatever else the key has signed, such as a commit.
Only Ed25519 with SHA-512 is taken: a signature of a known key then has 64 bytes that can differ,
and the rest is compared, not parsed.
"""

import base64
import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bimotion.errors import RecordError, SettingError, printable, some

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEYS_FOLDER = "keys"
SIGNATURE_FILE = "receipt.json.sig"
"""As `ssh-keygen -Y sign` names it."""
NAMESPACE = "bimotion-receipt"
MAX_SIGNATURE_BYTES, MAX_PUBLIC_BYTES, MAX_PRIVATE_BYTES = 2**10, 2**12, 2**14
MAX_KEYS = 100
KEY_TYPE = b"ssh-ed25519"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SIGNATURE_SIZE = 64
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n"
_LINE = 70
"""Characters of a line of a signature file."""


@dataclass(frozen=True)
class SigningKey:
    """The private key of who keeps a board."""

    path: Path
    """Where it lies: for messages."""
    private: "Ed25519PrivateKey"

    @classmethod
    def load(cls, path: Path, passphrase: Callable[[], str] | None = None) -> "SigningKey":
        """Read a private key as `ssh-keygen -t ed25519` makes it.

        Args:
            path: Its file, which nobody but its owner can read, as ssh demands too.
            passphrase: Asked for the passphrase of a key that has one; None: nobody can be asked.

        Raises:
            SettingError: For any other file, and for a passphrase that is wrong or missing.

        Example::

            key = SigningKey.load(Path("board-key"), lambda: getpass("Passphrase: "))
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        content = _private_content(path)
        asked = None
        try:
            try:
                key = load_ssh_private_key(content, None)
            except TypeError:  # it has a passphrase
                if passphrase is None:
                    raise SettingError(
                        f"{path}: expected a key without a passphrase where nobody can be asked "
                        "for it, found one with: run this on a terminal"
                    ) from None
                asked = passphrase().encode()
                key = load_ssh_private_key(content, asked or b"\0")
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = (
                f"expected an Ed25519 key of OpenSSH (ssh-keygen -t ed25519), found: {error}"
                if asked is None
                else "expected the passphrase of this key, found another"
            )
            raise SettingError(f"{path}: {printable(reason)}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingError(
                f"{path}: expected an Ed25519 key (ssh-keygen -t ed25519), found another: "
                f"{type(key).__name__.removesuffix('PrivateKey')}"
            )
        return cls(path, key)

    @property
    def public(self) -> bytes:
        """The 32 bytes of its public key."""
        return self.private.public_key().public_bytes_raw()

    def signature(self, content: bytes) -> bytes:
        """The content of SIGNATURE_FILE for that of a receipt: what `ssh-keygen -Y sign` writes."""
        return _armored(_head(self.public) + self.private.sign(_signed(content)))


@dataclass(frozen=True)
class BoardKeys:
    """The public keys of a board: where there is any, only receipts signed by one of them count."""

    folder: Path
    """Where they lie: for messages."""
    by_name: dict[str, bytes]
    """Name (of the file, without .pub) -> 32 bytes."""
    signing: SigningKey | None = None
    """The keeper's private key, whose public half is one of these."""

    def __bool__(self) -> bool:
        return bool(self.by_name)

    @classmethod
    def of_folder(cls, folder: Path) -> "BoardKeys":
        """The keys of all files NAME.pub in a folder; none where it is missing. Hidden files and a
        README may lie beside them.

        Raises:
            SettingError: for a folder without a key, for any other file, and for one that is no
                Ed25519 key of OpenSSH: passed over it would leave a board that seems signed by
                fewer, or by nobody.
        """
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        paths = [path for path in entries if path.name.endswith(".pub")]
        names = {path.name for path in paths}
        for path in entries:
            if path.name not in names and not _may_lie_beside(path, names):
                raise SettingError(
                    f"{printable(str(path))}: expected public keys only, NAME.pub, found another "
                    "file. If it is a public key, name it NAME.pub; else take it away. If it is a "
                    "private one, whoever could read it can sign: make another"
                )
        if len(paths) > MAX_KEYS:
            raise SettingError(f"{folder}: expected at most {MAX_KEYS} keys, found {len(paths)}")
        if not paths and os.path.lexists(folder):
            raise SettingError(
                f"{folder}: expected public keys, NAME.pub, found none. A board that has lost its "
                "keys is no unsigned one: put them back, or take the folder away too"
            )
        by_name: dict[str, bytes] = {}
        for path in paths:
            public, name = _public_key(path), path.name.removesuffix(".pub")
            if public in by_name.values():
                raise SettingError(f"{path}: expected each key once, found it by another name too")
            by_name[name] = public
        return cls(folder, by_name)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Name -> fingerprint, as `ssh-keygen -l` prints it."""
        return {name: fingerprint(public) for name, public in self.by_name.items()}

    def signer(self, content: bytes, signature: bytes | None) -> str | None:
        """The name of the key that signed a receipt; None: neither has it a signature, nor this
        board keys.

        Args:
            content: of receipt.json.
            signature: content of SIGNATURE_FILE; None: there is none.

        Raises:
            RecordError: where the board has keys and none of them signed these bytes, and for a
                signature that no key here can check.
        """
        again = "verify the submission again with --sign"
        if signature is None:
            if not self:
                return None
            raise RecordError(f"its receipt is not signed: {again}")
        if not self:
            raise RecordError(
                "its receipt is signed, and the board has no key to check it by: put its "
                f"maintainers' public keys into {self.folder.name}/"
            )
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        blob = _unarmored(signature)
        for name, public in self.by_name.items():
            head = _head(public)
            if blob[: len(head)] == head and len(blob) == len(head) + _SIGNATURE_SIZE:
                try:
                    key = Ed25519PublicKey.from_public_bytes(public)
                    key.verify(blob[len(head) :], _signed(content))
                except InvalidSignature:
                    raise RecordError(
                        f"its receipt is not what {name} signed: changed since, or of another "
                        f"receipt; {again}"
                    ) from None
                return name
        raise RecordError(
            f"its receipt is signed by none of the board's keys, {some(self.by_name)}: {again}"
        )

    @property
    def why_unsigned(self) -> str | None:
        """The reason that a receipt written here would not count: the board has keys, and there is
        none to sign with; None: it would."""
        if self.signing is not None or not self:
            return None
        return (
            f"{self.folder}: this board counts only receipts signed by {some(self.by_name)}: "
            "expected --sign KEYFILE, the private key of one, found none"
        )

    def with_signing(self, key: SigningKey) -> "BoardKeys":
        """These keys with a private one; raises SettingError where it is none of theirs."""
        if key.public not in self.by_name.values():
            present = some(self.by_name) if self else "no keys"
            raise SettingError(
                f"{key.path}: expected the private half of a key in {self.folder}, found {present} "
                f"there and not {fingerprint(key.public)}: put its public half, NAME.pub, there"
            )
        return replace(self, signing=key)


def fingerprint(public: bytes) -> str:
    """The fingerprint of a public key, as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(_string(KEY_TYPE) + _string(public)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _private_content(path: Path) -> bytes:
    """The content of a private key's file; raises SettingError."""
    try:
        is_plain, status = path.is_file(), path.stat()
        content = path.read_bytes() if is_plain and status.st_size <= MAX_PRIVATE_BYTES else b""
    except OSError as error:
        raise SettingError(f"{path}: expected a private key, found {error.strerror}") from None
    if not content:
        raise SettingError(
            f"{path}: expected a private key, a plain file of 1 to {MAX_PRIVATE_BYTES} bytes"
        )
    if content.startswith(b"ssh-"):
        raise SettingError(
            f"{path}: expected a private key, found a public one: its other half has no .pub"
        )
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise SettingError(
            f"{path}: expected a private key that only its owner can read, found mode "
            f"{stat.S_IMODE(status.st_mode):04o}: chmod 600 it"
        )
    return content


def _may_lie_beside(path: Path, keys: Collection[str]) -> bool:
    """Tell what may lie beside public keys, but not under the name of a private half."""
    is_known = path.name.startswith(".") or path.name in ("README", "README.md")
    return is_known and f"{path.name}.pub" not in keys


def _public_key(path: Path) -> bytes:
    """The 32 bytes of a public key's file; raises SettingError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    shown = printable(str(path))
    if not _NAME.fullmatch(path.name.removesuffix(".pub")):
        raise SettingError(
            f"{shown}: expected NAME.pub, NAME of 1 to 64 letters, digits and . _ @ - in ASCII"
        )
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_PUBLIC_BYTES:
        raise SettingError(
            f"{shown}: expected a public key, a plain file of at most {MAX_PUBLIC_BYTES} bytes"
        )
    expected = f"{shown}: expected one line, `ssh-ed25519 ...`, a key of ssh-keygen -t ed25519"
    content = path.read_bytes()
    if len(content.splitlines()) != 1:
        raise SettingError(f"{expected}, found {len(content.splitlines())} lines")
    try:
        key = load_ssh_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingError(f"{expected}, found: {printable(str(error)):.200}") from None
    if not isinstance(key, Ed25519PublicKey):
        kind = type(key).__name__.removesuffix("PublicKey")
        raise SettingError(f"{expected}, found another: {kind}")
    return key.public_bytes_raw()


# --- the format of OpenSSH (PROTOCOL.sshsig) ----------------------------------------------------


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _signed(content: bytes) -> bytes:
    """The bytes that the key signs for a file of this content."""
    hashed = hashlib.sha512(content).digest()
    fields = (NAMESPACE.encode(), b"", b"sha512", hashed)
    return b"SSHSIG" + b"".join(map(_string, fields))


def _head(public: bytes) -> bytes:
    """All of a signature in binary but its last 64 bytes, the signature proper."""
    key = _string(KEY_TYPE) + _string(public)
    fields = b"".join(map(_string, (key, NAMESPACE.encode(), b"", b"sha512")))
    n_signature = 4 + len(KEY_TYPE) + 4 + _SIGNATURE_SIZE
    sized = n_signature.to_bytes(4, "big") + _string(KEY_TYPE) + _SIGNATURE_SIZE.to_bytes(4, "big")
    return b"SSHSIG" + (1).to_bytes(4, "big") + fields + sized


def _armored(blob: bytes) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[start : start + _LINE] + b"\n" for start in range(0, len(text), _LINE)]
    return _BEGIN + b"".join(lines) + _END


def _unarmored(signature: bytes) -> bytes:
    """The content of SIGNATURE_FILE in binary; only what ssh-keygen itself would write, to the
    byte. Raises RecordError."""
    body = signature.removeprefix(_BEGIN).removesuffix(_END).replace(b"\n", b"")
    try:
        blob = base64.b64decode(body, validate=True)
    except ValueError:
        blob = b""
    if len(signature) > MAX_SIGNATURE_BYTES or _armored(blob) != signature:
        raise RecordError(
            f"{SIGNATURE_FILE}: expected a signature as `ssh-keygen -Y sign` writes it: verify the "
            "submission again with --sign"
        )
    return blob
