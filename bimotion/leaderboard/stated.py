"""Bounds of what a record states of itself and nobody checks: versions, machine, dates, clips left
out, notes of trainings. It stands as "stated by the submitter" until the keeper runs it again, or
nowhere; in either case it is a few short printable texts and plausible numbers.
"""

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime

from bimotion.leaderboard import lookalikes
from bimotion.results.record import Result

MAX_TEXT = 1000
"""Characters of one text; what a page shows of them has a limit of its own (admission.py)."""
MAX_ITEMS = 1000
"""Entries of one object, such as packages with their version."""
MAX_COUNT = 10**7
"""Clips of one corpus."""
MAX_DIFFERENCE = 1e6
"""Of features or logits."""
YEARS = range(2020, 2101)


def problems(result: Result) -> Iterator[str]:
    """Say which of the statements of a record are out of bounds."""
    for where, entries in _objects(result):
        if len(entries) > MAX_ITEMS:
            yield f"{where}: expected at most {MAX_ITEMS} entries, found {len(entries)}"
            return  # no need to look at each
    for where, text in _texts(result):
        if len(text) > MAX_TEXT or not lookalikes.is_plain(text):
            yield (
                f"{where}: expected one line of at most {MAX_TEXT} printable characters, found "
                f"{text!a:.80}"
            )
    for where, date in (
        ("provenance.started", result.provenance.started),
        ("provenance.finished", result.provenance.finished),
    ):
        if not _is_date(date):
            yield (
                f"{where}: expected a date and time in ISO 8601, {YEARS[0]} to {YEARS[-1]}, found "
                f"{date!a:.80}"
            )
    for where, count in _counts(result):
        if not 0 <= count <= MAX_COUNT:
            yield f"{where}: expected 0 to {MAX_COUNT} clips, found {count!r:.40}"
    if not 0 <= (largest := result.provenance.largest_difference or 0) <= MAX_DIFFERENCE:
        yield (
            f"provenance.largest_difference: expected null or 0 to {MAX_DIFFERENCE:.0f}, found "
            f"{largest!r:.40}"
        )


def _objects(result: Result) -> Iterator[tuple[str, Mapping]]:
    yield "model.options", result.model.options
    yield "provenance.versions", result.provenance.versions
    yield "provenance.inputs", result.provenance.inputs
    for name, used in result.data.corpora.items():
        yield f"data.corpora.{name}.left_out", used.left_out
        yield f"data.corpora.{name}.oddities", used.oddities
    for number, fit in enumerate(result.fits):
        yield f"fits[{number}].facts", fit.facts


def _texts(result: Result) -> Iterator[tuple[str, str]]:
    """Place -> text; keys of objects are texts too."""
    made = result.provenance
    yield from (("provenance.python", made.python), ("provenance.platform", made.platform))
    yield "provenance.git_revision", made.git_revision or ""
    for where, entries in _objects(result):
        for name, value in entries.items():
            yield where, f"{name} {value}"
    for number, fit in enumerate(result.fits):
        yield f"fits[{number}].note", fit.note or ""
    for number, skipped in enumerate(result.skipped):
        yield f"skipped[{number}].reason", skipped.reason


def _counts(result: Result) -> Iterator[tuple[str, int]]:
    for name, used in result.data.corpora.items():
        yield f"data.corpora.{name}.n_found", used.n_found
        for kind, numbers in (("left_out", used.left_out), ("oddities", used.oddities)):
            for reason, number in itertools.islice(numbers.items(), MAX_ITEMS):
                yield f"data.corpora.{name}.{kind}.{reason}", number


def _is_date(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year in YEARS
    except ValueError:
        return False
