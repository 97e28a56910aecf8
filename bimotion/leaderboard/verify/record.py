"""What a result and its statement say of themselves, held against the same derived anew: from our
versions of protocol, schema and split, from the reference, from the folder's name. Every difference
is one line: where, expected, found."""

import dataclasses
import reprlib
from collections.abc import Iterator
from pathlib import Path

from bimotion.adaptation import method_for
from bimotion.corpora import CORPORA, corpora_of
from bimotion.corpora.utterance import PARTS
from bimotion.data import splits
from bimotion.errors import BimotionError
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.leaderboard import submission
from bimotion.leaderboard.answer_key import AnswerKey, Deal
from bimotion.leaderboard.contamination import contamination
from bimotion.leaderboard.submission import Submission
from bimotion.protocol import settings as protocol
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import TRACKS, Setting
from bimotion.results import rescoring
from bimotion.results.record import AdaptUsed, Result

MAX_SEEDS = 30
UNCHECKED = "cannot be checked"


def short(value: object) -> str:
    """A value in a few characters, for messages.

    >>> short(list(range(100)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    return repr(value) if isinstance(value, str) and len(value) <= 100 else reprlib.repr(value)


def differs(where: str, expected: object, found: object) -> Iterator[str]:
    """A line where two values differ.

    >>> list(differs("seed", 0, 1)), list(differs("seed", 0, 0))
    (['seed: expected 0, found 1'], [])
    """
    if expected != found or type(expected) is not type(found):
        yield f"{where}: expected {short(expected)}, found {short(found)}"


def asked(result: Result, practice: bool) -> Iterator[str]:
    """What was run must be what the leaderboard ranks, in our versions, and whole (or for
    practice)."""
    if reason := submission.why_not(result, practice):
        is_practice = submission.why_not(result, practice=True) is None
        yield f"{submission.PRACTICE}: {reason}" if is_practice else reason
    names = {
        "track": TRACKS,
        "split.rule": splits.RULES,
        "schema.name": SCHEMAS,
        "protocol.name": protocol.PROTOCOLS,
    }
    found = (result.track, result.split.rule, result.schema.name, result.protocol.name)
    unknown = [
        (where, known, name)
        for (where, known), name in zip(names.items(), found, strict=True)
        if name not in known
    ]
    for where, known, name in unknown:
        yield f"{where}: expected one of {', '.join(known)}, found {short(name)}"
    yield from differs("split.version", NUMBERS_VERSION, result.split.version)
    # one deal for all, or ranks compare different clips
    yield from differs("split.seed", 0, result.split.seed)
    yield from differs("protocol.version", NUMBERS_VERSION, result.protocol.version)
    if schema := SCHEMAS.get(result.schema.name):
        yield from differs("schema.version", schema.version, result.schema.version)
        yield from differs("schema.classes", list(schema.classes), result.schema.classes)
    seeds, most = result.seeds, 1 if result.track == "zero-shot" else MAX_SEEDS
    if (
        not 1 <= len(seeds) <= most
        or seeds != sorted(set(seeds))
        or not 0 <= seeds[0] <= seeds[-1] < 2**32
    ):
        yield (
            f"seeds: expected 1 to {most} whole numbers from 0, in order, each once; found "
            f"{short(seeds)}"
        )
    cells = result.protocol.cells
    if cells is not None and (cells != sorted(set(cells)) or not cells):
        yield f"protocol.cells: expected null or names in order, each once; found {short(cells)}"
    elif not unknown and not rescoring.settings_of(result):
        yield (
            f"protocol.cells: expected cells that protocol {result.protocol.name} tests, found "
            f"{short(cells)}"
        )
    if result.adapt is not None and not unknown:
        yield from differs("track", "probe", result.track)
        try:
            schema, setting = SCHEMAS[result.schema.name], result.adapt.setting
            method = method_for(
                result.adapt.method, setting, schema.name, is_exclusive=schema.exclusive
            )
        except BimotionError as error:
            yield str(error)
        else:
            yield from differs("adapt", AdaptUsed.of(method, setting), result.adapt)
    if reason := submission.why_not_shown(result):
        yield reason


def stated(
    statement: Submission, result: Result, settings: list[Setting], path: Path
) -> Iterator[str]:
    """What a statement says must be what its result says, and where it lies."""
    if reason := submission.why_malformed(statement):
        yield reason
        return
    yield from differs("model", submission.facts_of(result), statement.model)
    yield from differs(
        "contamination", contamination(statement.trained_on, settings), statement.contamination
    )
    yield from differs(
        "folder", submission.folder_of(statement, result), "/".join(path.absolute().parts[-2:])
    )


def used_corpora(result: Result) -> list[str]:
    """Corpora with clips in a run: all that its protocol asks for, unless it is for practice."""
    return [name for name, used in result.data.corpora.items() if used.n_utterances]


def derived(
    result: Result, settings: list[Setting], reference: AnswerKey, practice: bool
) -> Iterator[str]:
    """What a result says of its data and its trainings, against the same derived from the
    reference."""
    whole = rescoring.settings_of(dataclasses.replace(result, skipped=[]))
    wanted, names = corpora_of(whole), used_corpora(result)
    yield from differs("data.corpora", sorted(wanted), sorted(result.data.corpora))
    if not practice:
        yield from differs("data.corpora with clips", sorted(wanted), sorted(names))
    if absent := [name for name in names if name not in reference.corpora]:
        yield f"{UNCHECKED}: the reference has no {', '.join(absent)}"
        return
    if reference.practice and not practice:
        yield f"{UNCHECKED}: the reference is one for practice"
    rule, schema = result.split.rule, SCHEMAS[result.schema.name]
    cells = sorted({cell for setting in whole for cell in (*setting.train, setting.test)})
    for name in names:
        used, where = result.data.corpora[name], f"data.corpora.{name}"
        mine = [
            deal
            for cell in cells
            for deal in reference.deals_of(rule, schema.name, cell, [name]).values()
        ]
        yield from differs(
            f"{where}.n_utterances", sum(sum(deal.n.values()) for deal in mine), used.n_utterances
        )
        yield from differs(
            f"{where}.age_source", _added([deal.age_source for deal in mine]), used.age_source
        )
        yield from differs(
            f"{where}.speakers_shared", splits.why_not_disjoint(name, rule), used.speakers_shared
        )
        yield from differs(
            f"{where}.n_published", CORPORA[name].card.n_utterances, used.n_published
        )
        if used.n_found < used.n_published and not practice:
            yield f"{where}.n_found: expected all {used.n_published}, found {used.n_found}"
    fingerprint = reference.fingerprint(rule, schema, cells, names)
    if fingerprint is None:
        yield (
            "data.fingerprint cannot be checked: a labels file knows whole protocols only; "
            "verify with the corpora"
        )
    else:
        yield from differs("data.fingerprint", fingerprint, result.data.fingerprint)
    groups = training_sets(settings)
    asked_for = [(name, seed) for name in groups for seed in result.seeds]
    if (found := [(fit.train, fit.seed) for fit in result.fits]) != asked_for:
        strange = sorted(set(found) ^ set(asked_for))
        yield (
            f"fits: expected one a training set and seed ({len(asked_for)}), found {len(found)}; "
            f"at odds: {short(strange)}"
        )
    for fit in result.fits:
        told = dict(zip(PARTS, (fit.n_train, fit.n_validation, fit.n_test), strict=True))
        if fit.train in groups:
            clips = {
                part: sum(
                    deal.n.get(part, 0)
                    for deal in deals(reference, result, groups[fit.train], part)
                )
                for part in PARTS
            }
            yield from differs(f"fits: {fit.train}, seed {fit.seed}: clips", clips, told)


def training_sets(settings: list[Setting]) -> dict[str, list[Setting]]:
    """Training set -> its settings, one for each test cell, in the order of cells."""
    groups: dict[str, dict[object, Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.training_set, {}).setdefault(setting.test, setting)
    return {name: [tests[cell] for cell in sorted(tests)] for name, tests in groups.items()}


def deals(reference: AnswerKey, result: Result, group: list[Setting], part: str) -> list[Deal]:
    """Deals that a training set takes a part of."""
    cells = [setting.test for setting in group] if part == "test" else group[0].train
    found = [
        reference.deals_of(result.split.rule, result.schema.name, cell, group[0].corpora)
        for cell in cells
    ]
    return [deal for deals in found for deal in deals.values()]


def _added(counts: list[dict[str, int]]) -> dict[str, int]:
    return {
        name: sum(one.get(name, 0) for one in counts)
        for name in sorted({name for one in counts for name in one})
    }
