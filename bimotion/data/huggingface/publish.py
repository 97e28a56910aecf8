"""A dataset as a repository on the Hub: what of it may go there, made once, sent until all of it
has arrived.

What licences allow, by `redistribution` and `licence` of a corpus's card:

    audio       goes anywhere
    labels      sound to a private repository where the licence is a Creative Commons one: those let
                whoever has the work copy and convert it, and forbid only to share that with the
                public. Sound had by request (ElderReact) was given to one person, so it goes
                nowhere, the Hub's servers included. Without sound: anywhere
    nothing     goes nowhere, not even its labels to a private repository: a signed form names who
                may hold them

A public repository never holds what may not be redistributed; no option changes that. Synthetic
corpora are ours.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bimotion.corpora.card import Card
from bimotion.corpora.utterance import PARTS
from bimotion.data.huggingface import client, export
from bimotion.data.huggingface.builder import CONFIGS, cache_key
from bimotion.data.huggingface.hub_copy import HubCopy, reasons
from bimotion.data.rules import DEFAULT_RULE
from bimotion.data.source import CorpusSource
from bimotion.errors import LicenceError, UnknownName
from bimotion.io import files
from bimotion.io.progress import Progress, default_progress


@dataclass(frozen=True)
class PublishedFile:
    """A file as the repository has it: its path there, its size."""

    path: str
    n_bytes: int


@dataclass(frozen=True)
class Publication:
    """The state of the Hub now, or what a dry run would have sent."""

    address: str | None
    """Of the repository; None: dry run."""
    folder: Path | None
    """Where the files lie on this disk; None: sent, and removed."""
    files: tuple[PublishedFile, ...]
    """All files, sorted by path, the README among them."""
    corpora: tuple[str, ...]
    """Names of the corpora in them."""


def publish(
    name: str,
    to: str,
    source: CorpusSource,
    *,
    split_rule: str = DEFAULT_RULE,
    fold: int = 0,
    private: bool = False,
    metadata_only: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Publication:
    """Send all configs of a dataset, as `export` writes them, to a repository.

    The files are made in the cache, once for each state of the corpora, and stay there until all
    have arrived: after a failure (or a dry run) the same call goes on from there.

    Args:
        name: bimotion or yuemotion.
        to: Repository, org/name; made if there is none.
        source: Where the corpora lie.
        split_rule: paper, disjoint or folds.
        fold: Of split rule `folds`: which clips are tested.
        private: To a repository that the public does not see.
        metadata_only: Leave the sound out.
        dry_run: Send nothing; needs no login.
        progress: Shows how far it is.

    Raises:
        UnknownName: Of the dataset.
        LicenceError: A corpus may not go there; nothing is written.
        HubError: No login (nothing is written), or else saying how much arrived.

    Example::

        source = CorpusSource.of("/corpora", only=["crema_d", "csed", "tess"])
        publish("bimotion", "org/bimotion-labels", source, metadata_only=True, dry_run=True)
    """
    if name not in CONFIGS:
        raise UnknownName("dataset", name, CONFIGS)
    progress = progress or default_progress()
    copy = HubCopy.planned(
        CONFIGS[name],
        source,
        split_rule=split_rule,
        fold=fold,
        metadata_only=metadata_only,
        progress=progress,
    )
    _refuse(copy, private)
    if not dry_run:
        client.signed_in(to)
    corpora = sorted(copy.selection.rows["corpus"].unique())
    facts = [name, metadata_only, split_rule, fold, corpora]
    asked = _short_hash([*facts, sorted(copy.selection.manifest.roots.items())])
    state = cache_key(copy.selection, [*facts, len(copy.selection.rows)])
    folder = files.cache_dir() / "publish" / f"{asked}-{state}"
    with files.locked(folder.with_name(f"{asked}.lock")):
        _make(folder, copy, progress)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = tuple(
            PublishedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
            for path in paths
        )
        if dry_run:
            return Publication(None, folder, listed, tuple(corpora))
        # shards of an earlier upload must not stay beside the new ones: a part is all files that
        # begin with its name
        earlier = [f"{cell}/{part}-*-of-*.parquet" for cell in copy.cells for part in PARTS]
        address = client.upload(folder, to, private=private, replaces=earlier, progress=progress)
        files.remove_folder(folder)
    return Publication(address, None, listed, tuple(corpora))


def _make(folder: Path, copy: HubCopy, progress: Progress) -> None:
    """Write the files of a copy, unless they are there; those of another state are removed."""
    if folder.is_dir() and export.is_complete(folder, copy):
        progress.say(f"going on with the files made earlier in {folder}")
        return
    if folder.is_dir():
        progress.say(f"{folder}: damaged, made again")
    for outdated in folder.parent.glob(f"{folder.name.partition('-')[0]}-*"):
        files.remove_folder(outdated)
    export.write(folder, copy, progress)


def _short_hash(facts: list[object]) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _refuse(copy: HubCopy, private: bool) -> None:
    """Raise LicenceError, with the ways that are left, where a corpus may not go there."""
    withheld = [card for card in copy.not_free() if not (private and _may_be_copied(card))]
    if not withheld:
        return
    free = sorted(set(copy.selection.rows["corpus"]) - {card.name for card in withheld})
    ways = [f"publish the others (--only {' --only '.join(free)})"] if free else []
    if not copy.metadata_only and all(card.redistribution == "labels" for card in withheld):
        ways.append("leave the sound out (--metadata-only)")
    copied = ", ".join(card.name for card in withheld if _may_be_copied(card))
    if copied and not private:
        ways.append(f"take a private repository (--private), for {copied} alone")
    server = "any server of others" if private else "a public repository"
    advice = f". {'; or '.join(ways)}" if ways else ""
    raise LicenceError(
        f"licences keep these off {server}: {reasons(withheld)}; nothing was sent{advice}"
    )


def _may_be_copied(card: Card) -> bool:
    """True where its licence lets who has the sound keep a converted copy that the public does not
    see."""
    return card.redistribution == "labels" and card.licence.startswith("CC-")
