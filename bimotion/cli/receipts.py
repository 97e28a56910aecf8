"""Options of the commands that read receipts, or write and sign them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bimotion.cli.options import option
from bimotion.errors import SettingError

if TYPE_CHECKING:
    from bimotion.leaderboard.signature import SigningKey

SIGNING_KEY = "BIMOTION_SIGNING_KEY"
Receipts = Annotated[
    Path | None,
    option(
        "Folder of receipts. (default: receipts, beside the folder of submissions)",
        "--receipts",
        metavar="DIR",
    ),
]
Keys = Annotated[
    Path | None,
    option(
        "Folder of the maintainers' public keys, *.pub. (default: keys, beside the folder of "
        "submissions, wherever receipts lie)",
        "--keys",
        metavar="DIR",
    ),
]


@dataclass(frozen=True)
class Receiving:
    """The folder of receipts, and the key that signs new ones."""

    receipts: Receipts = None
    keys: Keys = None
    sign: Annotated[
        Path | None,
        option(
            f"Sign receipts by this private key, of ssh-keygen -t ed25519. (default: "
            f"${SIGNING_KEY})",
            "--sign",
            metavar="KEYFILE",
        ),
    ] = None

    def keywords(self, submissions: Path) -> dict[str, Any]:
        """Keywords of receiving.receive and received for a folder of submissions; raises
        SettingError."""
        from bimotion.leaderboard import receipt

        keys = receipt.keys_for(submissions, self.keys, self._key(), self.receipts)
        return {"receipts": self.receipts, "keys": keys}

    def of_writers(self, submissions: Path) -> dict[str, Any]:
        """The same where receipts must be written; raises SettingError where none would count."""
        keywords = self.keywords(submissions)
        if reason := keywords["keys"].why_unsigned:
            raise SettingError(reason)
        return keywords

    def _key(self) -> "SigningKey | None":
        named = self.sign or os.environ.get(SIGNING_KEY)
        if not named:
            return None
        from bimotion.leaderboard.signature import SigningKey

        path = Path(named).expanduser()
        is_asked = sys.stdin is not None and sys.stdin.isatty()
        return SigningKey.load(path, _asked if is_asked else None)


def _asked() -> str:
    from getpass import getpass

    return getpass("Passphrase of the key that signs receipts: ")
