"""Are the addresses of corpora alive? Each source is asked for headers only."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from bimotion.corpora import corpus_named
from bimotion.corpora.card import Card
from bimotion.data.download.plan import Mirrors, samples_of
from bimotion.data.download.remote import UNREACHED, ask
from bimotion.io.addresses import shown
from bimotion.io.progress import Progress
from bimotion.io.tables import Table

N_CONNECTIONS = 8


@dataclass(frozen=True)
class Link:
    """One address of a corpus."""

    corpus: str
    address: str
    n_bytes: int | None
    """As the corpus's list says; None: it does not."""
    problem: str | None = None
    """What is wrong with it; None: nothing."""

    @property
    def is_unreached(self) -> bool:
        """No host answered, which says nothing of the address where this machine is offline."""
        return self.problem is not None and self.problem.startswith(UNREACHED)


def check(names: Iterable[str], mirrors: Mirrors, progress: Progress) -> list[Link]:
    """Ask every source of some corpora: an address of one file for each place that has many."""
    asked = [link for name in names for link in _links(corpus_named(name).card, mirrors)]
    with ThreadPoolExecutor(N_CONNECTIONS) as pool:
        work = pool.map(_answered, asked)
        return list(progress.track(work, len(asked), "asking", unit="links"))


def _links(card: Card, mirrors: Mirrors) -> Iterator[Link]:
    if not card.sources and not mirrors.root:
        yield Link(card.name, mirrors.address(card.url), None)
    for file in samples_of(card, mirrors):
        for address in mirrors.of_file(card.name, file).addresses:
            yield Link(card.name, address, file.n_bytes)


def _answered(link: Link) -> Link:
    problem, n_bytes = ask(link.address)
    if problem is None and None not in (link.n_bytes, n_bytes) and n_bytes != link.n_bytes:
        problem = f"expected {link.n_bytes} bytes, found {n_bytes}"
    return replace(link, problem=problem, n_bytes=n_bytes)


def as_table(links: list[Link]) -> Table:
    """One line an address."""
    table = Table("Sources, asked for headers only", ["corpus", "state", "bytes", "address"])
    for link in links:
        state = "alive" if link.problem is None else link.problem
        if link.problem and not link.is_unreached:
            state = f"dead: {link.problem}"
        n_bytes = "" if link.n_bytes is None else str(link.n_bytes)
        table.rows.append([link.corpus, state, n_bytes, shown(link.address)])
    return table
