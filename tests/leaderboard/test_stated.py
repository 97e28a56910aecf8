"""Statements of a record that nobody checks are bounded, on a board of claims as in `verify`."""

import json

import pytest

from bimotion.leaderboard import stated
from bimotion.results import record
from tests.support.boards import only
from tests.support.drafts import Draft, received

LINE = "expected one line of at most 1000 printable characters"
DATE = "expected a date and time in ISO 8601, 2020 to 2100"
MANY = {f"package-{number}": "1" for number in range(stated.MAX_ITEMS + 1)}
TURNING = "a\u202eb"
HOSTILE = {  # field -> value, what is said of it
    "a turning platform": ("provenance.platform", TURNING, LINE),
    "two lines for a Python": ("provenance.python", "3\n4", LINE),
    "a long commit": ("provenance.git_revision", "a" * 1001, LINE),
    "an invisible version": ("provenance.versions", {"numpy": "2\u200b"}, LINE),
    "an invisible package": ("provenance.versions", {"num\u200bpy": "2"}, LINE),
    "a thousand packages": ("provenance.versions", MANY, "expected at most 1000 entries"),
    "a thousand inputs": ("provenance.inputs", MANY, "expected at most 1000 entries"),
    "a start that is none": ("provenance.started", "yesterday", DATE),
    "a start long ago": ("provenance.started", "1970-01-01T00:00:00", DATE),
    "an end in time to come": ("provenance.finished", "9999-12-31", DATE),
    "a large difference": ("provenance.largest_difference", 1e300, "null or 0 to 1000000"),
    "a negative difference": ("provenance.largest_difference", -1.0, "null or 0 to 1000000"),
    "more clips than there are": ("left_out", {"no class": 10**400}, "expected 0 to 10000000"),
    "fewer clips than none": ("left_out", {"no class": -1}, "expected 0 to 10000000 clips"),
    "a reason that turns": ("left_out", {TURNING: 1}, LINE),
    "a thousand reasons": ("left_out", dict.fromkeys(MANY, 1), "expected at most 1000 entries"),
    "negative oddities": ("oddities", {"clipped": -1}, "expected 0 to 10000000 clips"),
    "a long note": ("note", "x" * 1001, LINE),
    "a fact that turns": ("facts", {"layer": TURNING}, LINE),
    "a thousand facts": ("facts", dict.fromkeys(MANY, 1), "expected at most 1000 entries"),
    "a thousand options": ("model.options", MANY, "expected at most 1000 entries"),
}


def spoilt(result, field, value):
    """The JSON of a record with one statement changed."""
    if field in ("left_out", "oddities"):
        next(iter(result["data"]["corpora"].values()))[field] = value
    elif field in ("note", "facts"):
        result["fits"][0][field] = value
    else:
        part, _, name = field.partition(".")
        result[part][name] = value
    return result


@pytest.mark.parametrize(("field", "value", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_statements_out_of_bounds_are_refused(run, known, tmp_path, field, value, message):
    draft = Draft(run)
    draft.result = spoilt(draft.result, field, value)
    folder = draft.write(tmp_path / "submissions")
    verdict, receipt = received(folder, known)
    assert receipt is None
    assert any(message in line for line in verdict.problems), verdict.problems
    assert all(line.isprintable() for line in verdict.problems)
    reason = only(tmp_path / "submissions")  # claimed: a board shows nothing of it either
    assert message in reason, reason


def test_an_honest_record_is_within_bounds(run):
    result = record.load(run / record.RESULT_FILE)
    assert list(stated.problems(result)) == []
    text = json.dumps(json.loads(result.to_json())["provenance"])
    assert result.provenance.python in text
