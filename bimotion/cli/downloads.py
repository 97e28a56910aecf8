"""The work of `bimotion data download`: what is said and asked on the way."""

import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeVar

import typer

from bimotion.cli.terminal import note, progress, show
from bimotion.corpora import CORPORA, corpus_named
from bimotion.corpora.card import Card
from bimotion.data import download as downloading
from bimotion.data import locate
from bimotion.data.download import ledger, links
from bimotion.data.download.plan import Mirrors
from bimotion.errors import (
    BimotionError,
    CorpusError,
    DownloadError,
    FolderInUse,
    HubError,
    LicenceError,
    SettingError,
)
from bimotion.io.addresses import host_of
from bimotion.io.tables import Table

Result = TypeVar("Result")


def check_links(names: Iterable[str] | None, mirrors: Iterable[str]) -> None:
    """Print which addresses are alive; exit code 1 where one is not."""
    asked = links.check(names or CORPORA, Mirrors.of(mirrors), progress())
    show(links.as_table(asked))
    if asked and all(link.is_unreached for link in asked):
        note("no host was reached: this machine seems offline, so nothing is known of the links")
    if any(link.problem for link in asked):
        raise typer.Exit(1)


def fetch(
    names: Iterable[str] | None,
    to: Path | None,
    archives: Collection[Path],
    mirrors: Iterable[str],
    *,
    accepts: bool,
    allow_missing: bool,
) -> None:
    """Fetch and lay out corpora, once their licences are accepted."""
    names = [corpus_named(name).name for name in dict.fromkeys(names or ())]
    if not names or (archives and len(names) > 1):
        expected = "the name of one corpus" if archives else "names of corpora"
        raise SettingError(f"expected {expected}: {', '.join(names or CORPORA)}")
    root, places = locate.usable(to) if to else locate.default_root(), Mirrors.of(mirrors)
    if root.exists() and not root.is_dir():
        raise SettingError(f"--to: expected a folder, or none yet, found a file at {root}")
    failures: list[BimotionError] = []
    plans = _each(names, failures, lambda name: downloading.plan(name, root, places, archives))
    for plan in plans:
        if plan.is_complete:
            print(
                f"{plan.corpus.name}: is there already, {plan.n_clips} clips: {plan.existing.root}"
            )
    working = {plan.corpus.name: plan for plan in plans if plan.has_work}
    if working:
        show(_offer(working.values(), root))
        downloading.require_room(working.values(), root)
        _accept([plan.corpus.card for plan in working.values()], root, accepts)

    def carry_out(name: str) -> None:
        folder = downloading.carry_out(working[name], progress(), allow_missing=allow_missing)
        print(f"{name}: {folder}")

    _each(working, failures, carry_out)
    for plan in plans:
        if plan.needs_steps:
            _print_steps(plan.corpus.card)
    for failure in failures[:-1]:
        note(f"bimotion: {failure}")
    if failures:
        raise failures[-1]
    if working:
        note(f"check what you have: bimotion data doctor{_root_option(root)}")


def _each(
    names: Iterable[str], failures: list[BimotionError], work: Callable[[str], Result]
) -> list[Result]:
    """Do a work for each of some corpora; what fails for one does not keep the others."""
    results = []
    for name in names:
        try:
            results.append(work(name))
        except (DownloadError, HubError, CorpusError, FolderInUse) as error:
            failures.append(type(error)(f"{name}: {error}"))
    return results


def _offer(plans: Collection[downloading.Plan], root: Path) -> Table:
    """The files that are fetched, and their licences."""
    table = Table(f"To {root}", ["corpus", "licence", "files", "size", "from"])
    for plan in plans:
        files = plan.files.files if plan.files else ()
        origins = [host_of(file.addresses[0]) for file in files[:1]]
        sizes = downloading.megabytes(plan.files.n_bytes) if plan.files else ""
        origins += [path.name for path in plan.archives]
        row = [plan.corpus.name, plan.corpus.card.licence, str(len(files) or ""), sizes]
        table.rows.append([*row, ", ".join(origins)])
        table.notes.append(
            f"{plan.corpus.name}: {plan.corpus.card.url}; {plan.corpus.card.citation}"
        )
    return table


def _accept(cards: list[Card], root: Path, accepts: bool) -> None:
    """Ask for the licences that were not accepted in this root yet, and record the answer."""
    asked = ledger.Ledger.of(root).to_accept(cards)
    licences = ", ".join(f"{card.name} ({card.licence})" for card in asked)
    if not asked:
        return
    if not accepts:
        if not sys.stdin.isatty():
            raise LicenceError(f"expected --yes, which accepts the licences of {licences}")
        if not typer.confirm(f"Do you accept the licences of {licences}?"):
            raise LicenceError("a licence was not accepted; nothing was downloaded")
    ledger.accept(asked, root)


def _print_steps(card: Card) -> None:
    print(f"{card.title} ({card.licence}) is given by its authors:")
    steps = [*card.form.steps, f"bimotion data download {card.name} --from ARCHIVE"]
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}")


def _root_option(root: Path) -> str:
    return "" if root == locate.default_root() else f" {root}"
