"""The record that an honest run of a submission's spec would have made, and where the submitted one
differs from it."""

import dataclasses
import itertools
import reprlib
from collections import Counter
from collections.abc import Iterator

from bimotion.adaptation import method_for
from bimotion.corpora import CORPORA, corpora_of
from bimotion.corpora.utterance import PARTS
from bimotion.data import splits
from bimotion.errors import RecordError
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.leaderboard import admission, submission
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.assignments import Assignment
from bimotion.leaderboard.contamination import contamination
from bimotion.leaderboard.submission import Submission
from bimotion.protocol import settings as protocol
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import TRACKS, Setting
from bimotion.results import rescoring
from bimotion.results.record import AdaptUsed, Result

MAX_SEEDS = 30
UNCHECKED = "cannot be checked"
"""Begins what is no fault of a submission: the answer key lacks what it takes to check it."""
FLOAT_TOLERANCE = 1e-9
"""Far below any digit that is shown: sums may round differently on another machine."""


class _Nothing:
    """The value of a field that is missing."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def short(value: object) -> str:
    """A value in a few characters, for messages.

    >>> short(list(range(100)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    return repr(value) if isinstance(value, str) and len(value) <= 100 else reprlib.repr(value)


def differences(expected: object, submitted: object, where: str = "") -> Iterator[str]:
    """Yield a line for each place where the content of a record is not the expected one.

    Args:
        expected: JSON content: objects, lists, scalars.
        submitted: the same of a submission.
        where: the place of both in the whole record.

    >>> list(differences({"seed": 0, "data": {"n": 2}}, {"seed": 0, "data": {"n": 3, "m": 1}}))
    ['data.n: expected 2, found 3', 'data.m: expected nothing, found 1']
    """
    if isinstance(expected, dict) and isinstance(submitted, dict):
        for name in [*expected, *sorted(submitted.keys() - expected.keys())]:
            inner = f"{where}.{name}" if where else name
            values = (content.get(name, NOTHING) for content in (expected, submitted))
            yield from differences(*values, inner)
    elif _are_rows(expected) and _are_rows(submitted):
        if len(expected) != len(submitted):
            yield f"{where}: expected {len(expected)} rows, found {len(submitted)}"
        for index, rows in enumerate(zip(expected, submitted, strict=False)):
            yield from differences(*rows, f"{where}[{index}]")
    elif not _are_equal(expected, submitted):
        yield f"{where}: expected {short(expected)}, found {short(submitted)}"


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_equal(expected: object, submitted: object) -> bool:
    if type(expected) is float and type(submitted) in (float, int):
        return abs(expected - submitted) <= FLOAT_TOLERANCE
    return type(expected) is type(submitted) and expected == submitted


def spec_problems(result: Result, practice: bool) -> Iterator[str]:
    """Yield why the leaderboard does not rank what was run; with `practice`, a board for practice.

    Raises:
        UnknownName: for a cell that there is not.
    """
    if reason := admission.why_not_taken(result, practice):
        is_practice = admission.why_not_taken(result, practice=True) is None
        yield f"{admission.PRACTICE}: {reason}" if is_practice else reason
    names = {
        "track": (result.track, TRACKS),
        "split.rule": (result.split.rule, splits.RULES),
        "schema.name": (result.schema.name, SCHEMAS),
        "protocol.name": (result.protocol.name, protocol.PROTOCOLS),
    }
    unknown = [
        f"{where}: expected one of {', '.join(known)}, found {short(name)}"
        for where, (name, known) in names.items()
        if name not in known
    ]
    yield from unknown
    seeds, max_seeds = result.seeds, 1 if result.track == "zero-shot" else MAX_SEEDS
    are_whole = all(0 <= seed < 2**32 for seed in seeds)
    if not (1 <= len(seeds) <= max_seeds and seeds == sorted(set(seeds)) and are_whole):
        yield (
            f"seeds: expected 1 to {max_seeds} whole numbers from 0, in order, each once; found "
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
    if result.adapt is not None:
        yield from differences("probe", result.track, "track")
    if reason := admission.why_not_shown(result):
        yield reason


def expected_statement(
    statement: Submission, result: Result, settings: list[Setting], hashes: dict[str, str]
) -> dict:
    """The content of a statement that agrees with its result and with the other two files."""
    agreeing = dataclasses.replace(
        statement,
        model=submission.facts_of(result),
        contamination=contamination(statement.trained_on, settings),
        fingerprints=hashes,
    )
    return dataclasses.asdict(agreeing)


def expected_record(
    result: Result, settings: list[Setting], answer_key: AnswerKey, practice: bool
) -> dict:
    """The content of result.json of an honest run of the same spec, apart from its scores.

    Args:
        result: as submitted; what nobody can derive is taken from it.
        settings: that it was run on.
        answer_key: whose clips it was run on.
        practice: its corpora may be incomplete.

    Raises:
        RecordError: which begins with UNCHECKED where the answer key lacks corpora or fingerprints.
        BimotionError: for a method of adaptation that there is not.
    """
    content, corpora = dataclasses.asdict(result), result.data.corpora
    rule, schema = result.split.rule, SCHEMAS[result.schema.name]
    whole = rescoring.settings_of(dataclasses.replace(result, skipped=[]))
    cells = sorted({cell for setting in whole for cell in (*setting.train, setting.test)})
    names = corpora_of(whole)
    used = names if not practice else [name for name in names if has_clips(result, name)]
    if missing := [name for name in used if name not in answer_key.corpora]:
        raise RecordError(f"{UNCHECKED}: the answer key has no {', '.join(missing)}")
    if answer_key.practice and not practice:
        raise RecordError(f"{UNCHECKED}: the answer key is one for practice")
    fingerprint = answer_key.fingerprint(rule, schema, cells, used)
    if fingerprint is None:
        raise RecordError(
            f"{UNCHECKED}: a labels file has data fingerprints of whole protocols only; verify "
            "with the corpora"
        )
    content["split"] |= {"seed": 0, "version": NUMBERS_VERSION}
    content["protocol"]["version"] = NUMBERS_VERSION
    content["schema"] |= {"version": schema.version, "classes": list(schema.classes)}
    if result.adapt is not None:
        method, setting = result.adapt.method, result.adapt.setting
        method = method_for(method, setting, schema.name, is_exclusive=schema.exclusive)
        content["adapt"] = dataclasses.asdict(AdaptUsed.of(method, setting))
    submitted = content["data"]["corpora"]
    content["data"]["fingerprint"] = fingerprint
    content["data"]["corpora"] = {name: submitted.get(name, {}) for name in names}
    for name in used:
        content["data"]["corpora"][name] |= _corpus_used(
            name, rule, answer_key.assignments_of(rule, schema.name, cells, [name])
        )
        if name in corpora and not practice:  # more are no fault: a corpus may have grown
            n_published = CORPORA[name].card.n_utterances
            content["data"]["corpora"][name]["n_found"] = max(corpora[name].n_found, n_published)
    content["fits"] = _fits(result, settings, answer_key)
    return content


def has_clips(result: Result, corpus: str) -> bool:
    """Return whether a run used clips of a corpus: in practice a corpus may be missing."""
    return corpus in result.data.corpora and result.data.corpora[corpus].n_utterances > 0


def _corpus_used(name: str, rule: str, assignments: list[Assignment]) -> dict:
    """The facts of a corpus that follow from its clips in the cells of a run."""
    age_source = Counter()
    for assignment in assignments:
        age_source.update(assignment.age_source)
    return {
        "n_utterances": sum(age_source.values()),
        "n_published": CORPORA[name].card.n_utterances,
        "speakers_shared": splits.why_not_disjoint(name, rule),
        "age_source": dict(age_source),
    }


def _fits(result: Result, settings: list[Setting], answer_key: AnswerKey) -> list[dict]:
    """One row for each training set, fold and seed, with its numbers of clips."""
    submitted = {(fit.train, fit.fold, fit.seed): dataclasses.asdict(fit) for fit in result.fits}
    rows = []
    groups, folds = training_sets(settings), range(result.split.folds or 1)
    for (train, group), fold in itertools.product(groups.items(), folds):
        if group[0].size_of:  # it has as many clips as that cell, whose they are
            group = [dataclasses.replace(setting, train=(setting.size_of,)) for setting in group]
        n_clips = {
            f"n_{part}": sum(
                assignment.n.get(part, 0)
                for assignment in assignments_in(answer_key, result, group, part, fold)
            )
            for part in PARTS
        }
        for seed in result.seeds if n_clips["n_test"] else ():
            known = {"train": train, "seed": seed} | n_clips | {"fold": fold}
            rows.append(submitted.get((train, fold, seed), {}) | known)
    return rows


def training_sets(settings: list[Setting]) -> dict[str, list[Setting]]:
    """Training set -> its settings, one for each test cell, in the order of cells."""
    groups: dict[str, dict[object, Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.training_set, {}).setdefault(setting.test, setting)
    return {name: [tests[cell] for cell in sorted(tests)] for name, tests in groups.items()}


def assignments_in(
    answer_key: AnswerKey, result: Result, group: list[Setting], part: str, fold: int
) -> list[Assignment]:
    """Assignments of the clips of a part, `train` or another, of one training set's settings in a
    fold."""
    cells = [setting.test for setting in group] if part == "test" else group[0].train
    rule, schema = result.split.rule, result.schema.name
    return answer_key.assignments_of(rule, schema, cells, group[0].corpora, fold)
