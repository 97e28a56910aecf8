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

from filelock import FileLock

from bimotion.corpora.card import Card
from bimotion.corpora.utterance import PARTS
from bimotion.data.huggingface import client, export
from bimotion.data.huggingface.builder import CONFIGS, cache_key
from bimotion.data.selection import Selection, select
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
    """What is on the Hub now, or what a dry run would have sent.

    address    of the repository; None: dry run
    folder     where the files lie on this disk; None: sent, and removed
    files      all files, sorted by path, the README among them
    corpora    names of the corpora in them
    """

    address: str | None
    folder: Path | None
    files: tuple[PublishedFile, ...]
    corpora: tuple[str, ...]


def publish(
    name: str,
    to: str,
    source: CorpusSource,
    *,
    split_rule: str = "paper",
    private: bool = False,
    metadata_only: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Publication:
    """Send all configs of a dataset, as `export` writes them, to the repository `to`, made if it is
    not there.

    The files are made in the cache, once for each state of the corpora, and stay there until all
    have arrived: after a failure (or a dry run, which sends nothing and needs no login) the same
    call goes on from there.

    Raises UnknownName, LicenceError before anything is written, HubError (no login: before anything
    is written; else saying how much arrived), and what `select` raises.

    Example::

        source = CorpusSource.of("/corpora", only=["crema_d", "csed", "tess"])
        publish("bimotion", "org/bimotion-labels", source, metadata_only=True, dry_run=True)
    """
    if name not in CONFIGS:
        raise UnknownName("dataset", name, CONFIGS)
    progress, plan = progress or default_progress(), export.planned(CONFIGS[name], metadata_only)
    chosen = select(source, plan.cells, split_rule=split_rule, progress=progress)
    _refuse(chosen, metadata_only, private)
    if not dry_run:
        client.signed_in(to)
    asked, state = _keys(
        chosen, [name, metadata_only, chosen.split.rule, sorted(chosen.rows["corpus"].unique())]
    )
    folder = files.cache_dir() / "publish" / f"{asked}-{state}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{asked}.lock")):
        if folder.is_dir() and export.is_complete(folder, plan, chosen):
            progress.say(f"going on with the files made earlier in {folder}")
        else:
            if folder.is_dir():
                progress.say(f"{folder}: damaged, made again")
            # of another state of the corpora, or damaged
            for outdated in folder.parent.glob(f"{asked}-*"):
                files.remove_folder(outdated)
            export.write(folder, plan, chosen, progress)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        listed = tuple(
            PublishedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
            for path in found
        )
        sent = tuple(sorted(chosen.rows["corpus"].unique()))
        if dry_run:
            return Publication(None, folder, listed, sent)
        # shards of an earlier upload must not stay beside the new ones: a part is all files that
        # begin with its name
        earlier = [f"{cell}/{part}-*-of-*.parquet" for cell in plan.cells for part in PARTS]
        address = client.upload(folder, to, private=private, replaces=earlier, progress=progress)
        files.remove_folder(folder)
    return Publication(address, None, listed, sent)


def _keys(chosen: Selection, facts: list[object]) -> tuple[str, str]:
    """16 hex digits each: of what is published from which folders, and of the state that these are
    in."""
    asked = hashlib.sha256(
        repr([*facts, sorted(chosen.manifest.roots.items())]).encode()
    ).hexdigest()[:16]
    return asked, cache_key(chosen, [*facts, len(chosen.rows)])


def _refuse(chosen: Selection, metadata_only: bool, private: bool) -> None:
    withheld = [
        card
        for card in export.not_free(chosen, metadata_only)
        if not (private and _may_be_copied(card))
    ]
    if not withheld:
        return
    free = sorted(set(chosen.rows["corpus"]) - {card.name for card in withheld})
    ways = [f"publish the others (--only {' --only '.join(free)})"] if free else []
    if not metadata_only and all(card.redistribution == "labels" for card in withheld):
        ways.append("leave the sound out (--metadata-only)")
    if not private and any(map(_may_be_copied, withheld)):
        copied = ", ".join(card.name for card in withheld if _may_be_copied(card))
        ways.append(f"take a private repository (--private), for {copied} alone")
    place = "any server of others" if private else "a public repository"
    advice = f". {'; or '.join(ways)}" if ways else ""
    raise LicenceError(
        f"licences keep these off {place}: {export.reasons(withheld)}; nothing was sent{advice}"
    )


def _may_be_copied(card: Card) -> bool:
    """Whether its licence lets who has the sound keep a converted copy that the public does not
    see."""
    return card.redistribution == "labels" and card.licence.startswith("CC-")
