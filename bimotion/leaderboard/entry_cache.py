"""Entries are computed once: a file keeps an entry, what each clip adds to its headline, a sketch
of its predictions and its wrong decisions, under the hashes of the submission's files.

It lies in the cache, so that a board of unverified runs is not computed again (0.1 s each, of four
cells). When a submission is verified it is also put beside its receipt, as entry.npz, whose hash
the receipt lists: no other machine need compute it. It is as much the keeper's word as that, and
never taken from a submission.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.source import CorpusSource
from bimotion.data.speaker_facts import tables_hash
from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import Record, from_json
from bimotion.io.versions import CACHE_VERSION
from bimotion.leaderboard import contamination, oddities, receipt, scored
from bimotion.leaderboard.entry import BASE, METRIC, CellScore, Entry
from bimotion.leaderboard.hidden_test import HiddenTest
from bimotion.leaderboard.known_training import facts_hash
from bimotion.leaderboard.scored import DIGITS, ScoredSubmission
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.results.human import HumanAgreement
from bimotion.results.record import Result
from bimotion.results.statistics.copies import N_BUCKETS, Sketch
from bimotion.results.statistics.counts import Stratum
from bimotion.results.statistics.estimate import Estimate
from bimotion.results.statistics.shared_errors import MAX_CLIPS, Errors

ERROR_TYPES = {"wrong": np.int8, "references": np.uint8}
"""Arrays of Errors."""

AS_VERIFIED = "as verified"
"""In place of the hash of the ages of speakers: without labels, nobody but who verified it can
compute it again."""


@dataclass(frozen=True)
class _Ranked(Record):
    """An Estimate, but for its arrays."""

    estimate: float
    carriers: int | None
    decisions: int
    strata: list[Stratum]


@dataclass(frozen=True)
class _Facts(Record):
    """All of a ScoredSubmission but its arrays; `key`: of the submission's files and our rules;
    `ages`: speaker_facts.tables_hash, without which CREMA-D has no age result, or AS_VERIFIED."""

    key: str
    ages: str
    entry: Entry
    ranked: _Ranked | None
    tests: list[str]
    exact: list[str]
    n_clips: list[int]
    human: list[HumanAgreement]


def prepare(
    folder: Path,
    result: Result,
    *,
    rows: pd.DataFrame | None = None,
    hidden: HiddenTest | None = None,
) -> bytes:
    """Make the content of entry.npz, for `receipt.write`, of a submission that was found sound;
    about 0.1 s for four cells.

    Args:
        folder: of the submission.
        result: with the scores that were computed (`Verdict.result`), which the entry must show,
            and with the agreement of human raters.
        rows: predictions with the labels of the answer key, where the submission holds none.
        hidden: the hidden test that it is one of: its numbers are kept as they may be told.

    Raises:
        RecordError: where it cannot stand on a board.

    Example::

        entry = prepare(folder, verdict.result)
        receipt.write(receipts, "lab__model/0123456789ab", verdict.hashes, entry=entry)
    """
    hashes = receipt.digests(folder)
    verified = None if rows is None else (result, rows)
    computed = compute(folder, hashes, verified)._replace(human=tuple(result.human))
    for row in computed.entry.scores:
        setting = f"{row.transfer} {row.method} {'+'.join(row.train)} -> {row.test}"
        verified = result.headline(row.transfer, row.method, row.test, METRIC, tuple(row.train))
        if (verified is None) != (row.value is None) or (
            verified is not None and abs(verified - row.value) > 10**-DIGITS
        ):
            raise RecordError(
                f"{setting}: verified as {verified}, but a board would show {row.value}"
            )
    if hidden is not None:
        computed = hidden.rounded(computed)
    return _packed(computed, hashes, tables_hash(CorpusSource()) if rows is None else AS_VERIFIED)


def compute(
    folder: Path,
    hashes: Mapping[str, str],
    verified: tuple[Result, pd.DataFrame] | None = None,
) -> ScoredSubmission:
    """Compute the entry of a submission with files of these hashes, and keep it in the cache.

    It is without human raters, of whom only a receipt tells. With `verified`, what a submission
    without labels has become by the answer key, only its receipt keeps it: no cache tells of
    labels. Raises RecordError where it cannot stand on a board.
    """
    try:
        computed = scored.score(folder, "/".join(folder.absolute().parts[-2:]), verified)
    # a stranger's file can break anything; whatever it is, the other submissions still stand
    except Exception as error:
        reason = str(error).replace(f"{folder}/", "")
        if not isinstance(error, RecordError):
            reason = f"cannot be scored: {type(error).__name__}: {reason:.200}"
        raise RecordError(reason) from None
    if verified is None:
        content = _packed(computed, hashes, tables_hash(CorpusSource()))
        with files.written(_path(hashes)) as temporary:
            temporary.write_bytes(content)
    return computed


def load(hashes: Mapping[str, str], vouched: bytes | None) -> ScoredSubmission | None:
    """The entry that was computed before from files of these hashes, here or (`vouched`) where
    their receipt was written; None: none, not whole, or without the ages of speakers that can be
    had here."""
    try:
        kept = _unpacked(_path(hashes).read_bytes(), hashes)
    except OSError:
        kept = None
    received = None if vouched is None else _unpacked(vouched, hashes)
    known, ages = [facts for facts in (kept, received) if facts], tables_hash(CorpusSource())
    current = next(
        (submitted for of, submitted in known if ages in ("", of) or of == AS_VERIFIED), None
    )
    return current and current._replace(human=received[1].human if received else ())


def _key(hashes: Mapping[str, str]) -> str:
    fields = [field.name for kind in (Entry, CellScore) for field in dataclasses.fields(kind)]
    rules = [DIGITS, BASE, list(map(str, BIMOTION_CELLS)), contamination.NAMES, facts_hash()]
    rules += [fields, oddities.THRESHOLDS, MAX_CLIPS]
    spec = json.dumps([CACHE_VERSION, rules, dict(hashes)], sort_keys=True)
    return hashlib.sha256(spec.encode()).hexdigest()[:24]


def _path(hashes: Mapping[str, str]) -> Path:
    return files.cache_dir() / "board" / f"{_key(hashes)}.npz"


def _packed(computed: ScoredSubmission, hashes: Mapping[str, str], ages: str) -> bytes:
    entry, estimate, sketch, errors, human = computed
    arrays, ranked = {"buckets": sketch.buckets}, None
    for name in ("wrong", "references"):
        arrays[name] = np.concatenate([*getattr(errors, name), np.zeros(0, ERROR_TYPES[name])])
    if estimate is not None:
        arrays["influence"] = np.concatenate(list(estimate.influence.values()))
        ranked = _Ranked(
            estimate=estimate.estimate,
            carriers=estimate.carriers,
            decisions=estimate.decisions,
            strata=list(estimate.influence),
        )
    facts = _Facts(
        key=_key(hashes),
        ages=ages,
        entry=entry,
        ranked=ranked,
        tests=sketch.tests,
        exact=sketch.exact,
        n_clips=[len(wrong) for wrong in errors.wrong],
        human=list(human),
    )
    text = json.dumps(dataclasses.asdict(facts)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.frombuffer(text, np.uint8), **arrays)
    return buffer.getvalue()


def _unpacked(content: bytes, hashes: Mapping[str, str]) -> tuple[str, ScoredSubmission] | None:
    """The hash of the ages that it was computed with, and what was computed; None where it is not
    whole, or of other files or another version: it is computed again."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            is_stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not is_stored or sum(member.file_size for member in members) > len(content):
                return None  # never written so: it would unpack to any size
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
        facts = from_json(_Facts, arrays["facts"].tobytes(), "facts")
        shape = (len(facts.tests), N_BUCKETS)
        if facts.key != _key(hashes) or arrays["buckets"].shape != shape:
            return None
        if not len(facts.exact) == len(facts.n_clips) == len(facts.tests):
            return None
        sketch = Sketch(tests=facts.tests, exact=facts.exact, buckets=arrays["buckets"])
        ranked = _estimate(facts.ranked, arrays)
        errors = _errors(facts, arrays)
        human = tuple(facts.human)
        return facts.ages, ScoredSubmission(facts.entry, ranked, sketch, errors, human)
    # one flipped bit of a zip can raise almost anything; whatever it is, the board is still built
    except Exception:
        return None


def _errors(facts: _Facts, arrays: Mapping[str, np.ndarray]) -> Errors:
    """The errors of an entry; raises ValueError where the arrays are not as they were written."""
    ends = np.cumsum([0, *facts.n_clips])
    if any(arrays[name].shape != (ends[-1],) for name in ERROR_TYPES):
        raise ValueError("expected as many decisions as clips")
    wrong, references = (
        np.split(arrays[name].astype(kind), ends[1:-1]) if facts.tests else []
        for name, kind in ERROR_TYPES.items()
    )
    return Errors(facts.tests, wrong, references)


def _estimate(ranked: _Ranked | None, arrays: Mapping[str, np.ndarray]) -> Estimate | None:
    if ranked is None:
        return None
    ends = np.cumsum([stratum.n_clips for stratum in ranked.strata])
    influence = np.split(arrays["influence"], ends[:-1])
    return Estimate(
        estimate=ranked.estimate,
        influence=dict(zip(ranked.strata, influence, strict=True)),
        carriers=ranked.carriers,
        decisions=ranked.decisions,
    )
