"""What a board needs of one submission, computed once: its entry, the replicates of its headline, a
sketch of its predictions.

It is kept in the cache by the hashes of the submission's files. When a submission is verified it is
also put beside its receipt, as entry.npz, whose hash the receipt lists: no other machine need
compute it again. It is as much the receiver's word as that, and never taken from a submission.
"""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import no_constant
from bimotion.io.versions import CACHE_VERSION
from bimotion.leaderboard import contamination, receipt
from bimotion.leaderboard import entry as entries
from bimotion.leaderboard.entry import CellScore, Entry, EntryFlags, GroupGap, Number
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.results.record import AdaptUsed, Result
from bimotion.results.statistics.copies import N_BUCKETS, Sketch
from bimotion.results.statistics.counts import Stratum
from bimotion.results.statistics.estimate import Estimate

"""Rises when an entry's numbers or marks move though its submission does not."""
PARALLEL_FROM = 8


@dataclass(frozen=True)
class CachedEntry:
    """An entry with what orders and compares it.

    ranked   the statistic that it is ranked by; None without all four cells
    sketch   of its predictions (statistics/copies.py)
    """

    entry: Entry
    ranked: Estimate | None
    sketch: Sketch


def prepare(folder: Path, result: Result) -> bytes:
    """Content of entry.npz, for `receipt.write`, of a submission that was found sound; about a
    second for four cells.

    `result`: with the scores that were found (`verification.Verdict`), which the entry must show.
    Raises RecordError where it cannot stand on a board.

    Example::

        receipt.write(receipts, "lab__model/0123456789ab", verdict.hashes, entry=prepare(folder,
        verdict.result))
    """
    hashes = receipt.digests(folder)
    if reason := _derive(folder, hashes):
        raise RecordError(reason)
    if (kept := _cached(hashes)) is None:
        raise RecordError(f"expected {_place(hashes)} to be read back, found it changed or gone")
    for score in kept.entry.scores:
        found = result.headline(
            score.transfer, score.method, score.test, entries.METRIC, tuple(score.train)
        )
        if (found is None) != (score.value is None) or abs(
            (found or 0.0) - (score.value or 0.0)
        ) > 10**-entries.DIGITS:
            asked = f"{score.transfer} {score.method} {'+'.join(score.train)} -> {score.test}"
            raise RecordError(f"{asked}: verified as {found}, but a board would show {score.value}")
    return _place(hashes).read_bytes()


def derive_all(submissions: Iterable[tuple[Path, Mapping[str, str]]]) -> list[str | None]:
    """Each submission (folder, hashes of its files) computed into the cache; None, or why it could
    not be."""
    todo = list(submissions)
    if len(todo) < PARALLEL_FROM:
        return [_derive(*one) for one in todo]
    from joblib import Parallel, delayed

    return Parallel(n_jobs=-1)(delayed(_derive)(*one) for one in todo)


def load(hashes: Mapping[str, str], vouched: bytes | None) -> CachedEntry | None:
    """What was computed before from files of these hashes, here or (`vouched`) where their receipt
    was written; None: none."""
    found = _cached(hashes)
    return found if found is not None or vouched is None else _parsed(vouched, hashes)


def _derive(folder: Path, hashes: Mapping[str, str]) -> str | None:
    try:
        entry, ranked, sketch = entries.read(folder, "/".join(folder.absolute().parts[-2:]))
    # an untrusted file can break anything; whatever it is, the other submissions still stand
    except Exception as error:
        reason = str(error).replace(f"{folder}/", "")
        return (
            reason
            if isinstance(error, RecordError)
            else f"cannot be scored: {type(error).__name__}: {reason:.200}"
        )
    strata = [] if ranked is None else [vars(stratum) for stratum in ranked.without]
    facts = {"key": _key(hashes), "entry": dataclasses.asdict(entry), "strata": strata}
    facts |= {"tests": sketch.tests, "exact": sketch.exact}
    numbers = {"buckets": sketch.buckets}
    if ranked is not None:
        facts |= {
            "estimate": ranked.estimate,
            "carriers": ranked.carriers,
            "decisions": ranked.decisions,
        }
        numbers |= {
            "replicates": ranked.replicates,
            "without": np.concatenate(list(ranked.without.values())),
        }
    with files.written(_place(hashes)) as temporary:
        np.savez(temporary, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **numbers)
    return None


def _key(hashes: Mapping[str, str]) -> str:
    kept = (Entry, CellScore, GroupGap, EntryFlags, Number, AdaptUsed, Estimate, Stratum)
    records = [[one.name for one in dataclasses.fields(record)] for record in kept]
    rules = [
        entries.REPLICATES,
        entries.DIGITS,
        entries.BASE,
        list(map(str, BIMOTION_CELLS)),
        contamination.NAMES,
    ]
    spec = json.dumps([CACHE_VERSION, records, rules, dict(hashes)], sort_keys=True)
    return hashlib.sha256(spec.encode()).hexdigest()[:24]


def _place(hashes: Mapping[str, str]) -> Path:
    return files.cache_dir() / "board" / f"{_key(hashes)}.npz"


def _cached(hashes: Mapping[str, str]) -> CachedEntry | None:
    try:
        return _parsed(_place(hashes).read_bytes(), hashes)
    except OSError:
        return None


def _parsed(data: bytes, hashes: Mapping[str, str]) -> CachedEntry | None:
    """None where it is not whole, or of other files or another version: it is computed again,
    whatever is wrong with it."""
    try:
        return _unpacked(data, hashes)
    except Exception:
        return None


def _unpacked(data: bytes, hashes: Mapping[str, str]) -> CachedEntry | None:
    with np.load(io.BytesIO(data), allow_pickle=False) as content:
        members = content.zip.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in members) or sum(
            one.file_size for one in members
        ) > len(data):
            return None  # never written so: it would unpack to any size
        facts = json.loads(content["facts"].tobytes(), parse_constant=no_constant)
        if facts["key"] != _key(hashes):
            return None
        numbers = {
            name: content[name]
            for name in ("replicates", "without", "buckets")
            if name in content.files
        }
    entry = facts["entry"]
    nested = {
        "headline": {name: Number(**one) for name, one in entry["headline"].items()},
        "scores": [CellScore(**one) for one in entry["scores"]],
        "gaps": [GroupGap(**one) for one in entry["gaps"]],
        "marks": EntryFlags(**entry["marks"]),
    }
    nested["adapt"] = entry["adapt"] and AdaptUsed(**entry["adapt"])
    ranked, sketch = None, Sketch(facts["tests"], facts["exact"], numbers["buckets"])
    if len(sketch.tests) != len(sketch.exact) or sketch.buckets.shape != (
        len(sketch.tests),
        N_BUCKETS,
    ):
        return None
    if "replicates" in numbers:
        strata = [Stratum(**one) for one in facts["strata"]]
        without = np.split(numbers["without"], np.cumsum([stratum.n for stratum in strata])[:-1])
        ranked = Estimate(
            estimate=facts["estimate"],
            replicates=numbers["replicates"],
            without=dict(zip(strata, without, strict=True)),
            carriers=facts["carriers"],
            decisions=facts["decisions"],
        )
    return CachedEntry(Entry(**entry | nested), ranked, sketch)
