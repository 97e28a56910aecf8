"""An entry among the others: a copy, a name like another's, its class and its rank."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from bimotion.errors import printable
from bimotion.io.records import Record
from bimotion.leaderboard import lookalikes, oddities, organisations
from bimotion.leaderboard.entry import Entry, Rank
from bimotion.leaderboard.scored import MAX_NAME, ScoredSubmission
from bimotion.results.statistics import copies
from bimotion.results.statistics.estimate import Estimate
from bimotion.results.statistics.ranks import ranks

MAX_SAME = 10


class _Strength(IntEnum):
    """The strength by which an entry holds its name beside one that looks alike: the stronger one
    stands."""

    CLAIMED = 0
    RECOMPUTED = 1
    CONFIRMED = 2
    """Recomputed, and the keeper says that it comes from its organisation."""


@dataclass(frozen=True)
class RankingClass(Record):
    """A class: entries that answered the same question about the same clips, and may be compared.

    Classes stand in this order, and the page opens on the first: the benchmark (split `folds`,
    schema `valence`, protocol `all`, all cells), parts of it, the others; then the most ranked
    entries, the most recomputed ones, the most entries; equal ones by track, split rule, schema,
    protocol, cells (all, then the most, then by name), split seed and data fingerprint.
    """

    id: str
    """As `comparable` of its entries."""
    track: str
    """Of its entries, as the next six."""
    split_rule: str
    split_seed: int
    schema: str
    protocol: str
    cells: list[str] | None
    data_fingerprint: str
    n_entries: int
    """How many there are."""
    n_ranked: int
    """How many of them are ranked: reproduced, of a public model, with all four cells and enough
    seeds."""
    n_recomputed: int
    """How many would be, were recomputed ones ranked too (`recomputed_ranking`)."""


def mistaken(entries: dict[str, Entry]) -> dict[str, str]:
    """Entry -> why it cannot stand under its name beside the others. Of names that look alike the
    one stands whose organisation the keeper confirmed, else the recomputed one, else none."""
    reasons = {}
    for names in (
        {identity: identity.partition("/")[0] for identity in entries},
        {identity: entry.full_name for identity, entry in entries.items()},
    ):
        strengths: dict[str, _Strength] = {}
        for identity, name in names.items():
            strength = _strength(entries[identity])
            strengths[name] = max(strengths.get(name, strength), strength)
        mistaken_for = lookalikes.mistaken(names.values())
        for identity, name in names.items():
            similar = mistaken_for.get(name, [])
            strongest = max((strengths[other] for other in similar), default=None)
            if similar and strengths[name] <= strongest:
                listed = ", ".join(similar)[:MAX_NAME]
                end = ": one of them must go"
                if strengths[name] < strongest == _Strength.CONFIRMED:
                    end = ", whose organisation the keeper confirmed"
                reasons[identity] = printable(
                    f"its name, {name}, can be mistaken for {listed}{end}"
                )
    return reasons


def _strength(entry: Entry) -> _Strength:
    if not entry.flags.is_recomputed:
        return _Strength.CLAIMED
    is_confirmed = organisations.is_by_keeper(entry.flags.organisation_proof)
    return _Strength.CONFIRMED if is_confirmed else _Strength.RECOMPUTED


def again(entries: dict[str, Entry]) -> dict[str, str]:
    """Entry -> which it is a copy of: no name that sorts before a recomputed entry's may take its
    place."""
    reasons: dict[str, str] = {}
    first: dict[str, str] = {}
    for identity in sorted(entries, key=lambda name: (not entries[name].flags.is_recomputed, name)):
        original = first.setdefault(entries[identity].key, identity)
        if original != identity and not entries[identity].flags.is_recomputed:
            reasons[identity] = f"the same run as {original}"
    return reasons


def ranked(scored: dict[str, ScoredSubmission]) -> tuple[list[Entry], list[RankingClass]]:
    """The entries of a board with their ranks, copies and oddities, in order, and their classes."""
    same = _same_predictions(scored)
    odd = oddities.among(
        {identity: submitted.entry for identity, submitted in scored.items()},
        {identity: submitted.ranked for identity, submitted in scored.items()},
        {identity: submitted.errors for identity, submitted in scored.items()},
    )
    rankings = _rankings(scored, lambda entry: entry.is_reproduced_public)
    of_recomputed = _rankings(scored, lambda entry: entry.flags.is_recomputed)
    entries = []
    for identity, submitted in scored.items():
        flags = replace(submitted.entry.flags, same_predictions=same.get(identity, []))
        both = {
            "ranking": rankings.get(identity),
            "recomputed_ranking": of_recomputed.get(identity),
        }
        both["oddities"] = [*submitted.entry.oddities, *odd.get(identity, [])]
        entries.append(replace(submitted.entry, flags=flags, **both))
    classes = _classes(entries)
    index_of = {group.id: index for index, group in enumerate(classes)}
    entries.sort(key=lambda entry: (index_of[entry.comparable], *_order(entry)))
    return entries, classes


def _same_predictions(scored: dict[str, ScoredSubmission]) -> dict[str, list[str]]:
    """Entry -> other names under which its predictions stand, sorted, the first of them. Only
    recomputed entries count as others: nobody is marked, and no copy hidden, by what is claimed."""
    names = {identity: submitted.entry.full_name for identity, submitted in scored.items()}
    known = {name for name, each in scored.items() if each.entry.flags.is_recomputed}
    alike = copies.alike({identity: submitted.sketch for identity, submitted in scored.items()})
    return {
        identity: sorted({names[other] for other in known & set(copied)} - {names[identity]})[
            :MAX_SAME
        ]
        for identity, copied in alike.items()
    }


def _rankings(
    scored: dict[str, ScoredSubmission], is_taken: Callable[[Entry], bool]
) -> dict[str, Rank]:
    """The ranks, within each class, of the entries that are taken."""
    by_class: dict[str, dict[str, Estimate]] = {}
    for identity, submitted in scored.items():
        entry, ranked = submitted.entry, submitted.ranked
        if ranked is not None and is_taken(entry) and not entry.flags.few_seeds:
            by_class.setdefault(entry.comparable, {})[identity] = ranked
    return {
        row.name: Rank(
            rank=row.rank, low=row.low, high=row.high, tie_group=row.group, of=len(models)
        )
        for models in by_class.values()
        for row in ranks(models)
    }


def _order(entry: Entry) -> tuple:
    """The order within a class: those that are ranked, then the others; best first, without a
    headline last."""
    value = entry.base.value if entry.base else None
    rank = entry.ranking.rank if entry.ranking else 0
    is_below = entry.ranking is None
    return (is_below, value is None, -(value or 0.0), rank, entry.model, entry.key)


def _classes(entries: Iterable[Entry]) -> list[RankingClass]:
    by_class: dict[str, list[Entry]] = {}
    for entry in entries:
        by_class.setdefault(entry.comparable, []).append(entry)
    shared = ("track", "split_rule", "split_seed", "schema", "protocol", "cells")
    classes = [
        RankingClass(
            id=identity,
            **{name: getattr(group[0], name) for name in (*shared, "data_fingerprint")},
            n_entries=len(group),
            n_ranked=sum(entry.ranking is not None for entry in group),
            n_recomputed=sum(entry.recomputed_ranking is not None for entry in group),
        )
        for identity, group in by_class.items()
    ]
    return sorted(classes, key=_class_order)


def _class_order(group: RankingClass) -> tuple:
    """The order that RankingClass states."""
    question = (group.track, group.split_rule, group.schema, group.protocol)
    cells = (group.cells is not None, -len(group.cells or ()), group.cells or ())
    data = (group.split_seed, group.data_fingerprint)
    is_other = (group.split_rule, group.schema) != ("folds", "valence")
    is_part = (group.protocol, group.cells) != ("all", None)
    return (
        is_other,
        is_other or is_part,
        -group.n_ranked,
        -group.n_recomputed,
        -group.n_entries,
        *question,
        *cells,
        *data,
    )
