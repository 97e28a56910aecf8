"""The origin of a run: versions, platform, dates, and the git revision if bimotion runs from its
own checkout."""

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from bimotion.results.record import Provenance

PACKAGES = (
    *("bimotion", "numpy", "scipy", "scikit-learn", "soundfile", "soxr", "pandas", "pyarrow"),
    *("torch", "transformers"),
)


def now() -> datetime.datetime:
    """The time, UTC."""
    return datetime.datetime.now(datetime.UTC)


def provenance(
    started: datetime.datetime, seeds: list[int], inputs: dict[str, str], device: str
) -> Provenance:
    """The provenance of a run that ends now; `inputs`: corpus -> state of its folder."""
    return Provenance(
        versions={package: metadata.version(package) for package in PACKAGES},
        python=platform.python_version(),
        git_revision=_git_revision(),
        platform=platform.platform(),
        device=device,
        seeds=sorted(set(seeds)),
        inputs=inputs,
        started=started.isoformat(timespec="seconds"),
        finished=now().isoformat(timespec="seconds"),
        largest_difference=None,
    )


def _git_revision() -> str | None:
    """Commit (`-dirty` with changes on top) of the checkout that bimotion runs from; None in an
    installed copy, without git."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        run = subprocess.run(
            [*command, "--abbrev=40", "--exclude=*"],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    except OSError:
        return None
    return run.stdout.strip() or None
