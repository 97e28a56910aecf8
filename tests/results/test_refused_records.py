"""Every breach of the record's schema is refused by the name of its field."""

import dataclasses
import json
import math

import pytest

from bimotion.errors import RecordError
from bimotion.results import record as results
from tests.support.small_records import SCORE, SPEC, loaded, result_of


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_nan_or_infinity_goes_out(value, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        result_of([dataclasses.replace(SCORE, value=value)]).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("NaN", "NaN is no number in JSON"),
        ("Infinity", "Infinity is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("1e999", r"result\.scores\[0\]\.value: expected a finite number, found inf"),
        ("-1e999", r"result\.scores\[0\]\.value: expected a finite number, found -inf"),
        pytest.param(
            "1" + "0" * 400,
            r"result\.scores\[0\]\.value: expected",
        ),
    ],
    ids=["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "401 digits"],
)
def test_no_nan_or_infinity_comes_in(literal, message, tmp_path):
    with pytest.raises(RecordError, match=message):
        loaded(result_of().to_json().replace('"value": 0.5', f'"value": {literal}'), tmp_path)


def changed(*path, to):
    """The content of a result with one place changed; `to` REMOVED takes it out."""
    content = json.loads(result_of().to_json())
    inner = content
    for step in path[:-1]:
        inner = inner[step]
    if to is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return content


REMOVED = object()


BREACHES = {
    "text for a whole number": (changed("seeds", 0, to="0"), "seeds[0]: expected int, found '0'"),
    "float for a whole number": (
        changed("split", "seed", to=0.0),
        "split.seed: expected int, found 0.0",
    ),
    "true for a whole number": (
        changed("scores", 0, "n_speakers", to=True),
        "scores[0].n_speakers: expected int, found True",
    ),
    "text for a number": (
        changed("scores", 0, "value", to="0.5"),
        "scores[0].value: expected float or null, found '0.5'",
    ),
    "true for a number": (
        changed("scores", 0, "value", to=True),
        "scores[0].value: expected float or null, found True",
    ),
    "null for text": (
        changed("scores", 0, "test", to=None),
        "scores[0].test: expected str, found None",
    ),
    "number for text or null": (
        changed("scores", 0, "corpus", to=3),
        "scores[0].corpus: expected str or null, found 3",
    ),
    "0 for false": (changed("data", "synthetic", to=0), "data.synthetic: expected bool, found 0"),
    "number in a list of text": (
        changed("scores", 0, "classes", 1, to=7),
        "scores[0].classes[1]: expected str, found 7",
    ),
    "object for a list": (changed("scores", to={}), "scores: expected"),
    "list for an object": (changed("data", to=[]), "data: expected"),
    "text in a count": (
        changed("data", "corpora", "crema_d", "left_out", "unreadable", to="2"),
        "data.corpora.crema_d.left_out.unreadable: expected int, found '2'",
    ),
    "number as provenance": (
        changed("provenance", "versions", "numpy", to=2.4),
        "provenance.versions.numpy: expected str, found 2.4",
    ),
    "row that is no object": (
        changed("scores", 0, to=[1]),
        "scores[0]: expected the fields transfer, method",
    ),
    "model that is no object": (
        changed("model", to=None),
        "model: expected the fields name, version",
    ),
    "field missing": (changed("data", "complete", to=REMOVED), "missing or too many: ['complete']"),
    "field missing at the top": (changed("track", to=REMOVED), "missing or too many: ['track']"),
    "field too many": (changed("rank", to=1), "missing or too many: ['rank']"),
    "field too many in a row": (
        changed("scores", 0, "remark", to=""),
        "missing or too many: ['remark']",
    ),
    "field missing in what was skipped": (
        changed("skipped", 0, "reason", to=REMOVED),
        "skipped[0]: expected the fields",
    ),
    "more duplicates than clips": (
        changed("duplicates", 0, "n_duplicated", to=401),
        "duplicates: expected counts from 0",
    ),
    "more contradictions than duplicates": (
        changed("duplicates", 0, "n_contradicting", to=25),
        "none above the one before it",
    ),
    "later schema": (changed("schema_version", to=5), "expected schema_version 4, found 5"),
    "schema as text": (changed("schema_version", to="1"), "expected schema_version 4, found '1'"),
    "schema as float": (
        changed("schema_version", to=4.0),
        "schema_version: expected int, found 4.0",
    ),
    "no schema": (changed("schema_version", to=REMOVED), "expected schema_version 4, found None"),
    "tampered key": (
        changed("key", to="0" * 12),
        f"key: expected {SPEC.key} (the hash of its spec), found 000000000000",
    ),
    "tampered spec": (changed("seeds", to=[1]), f"(the hash of its spec), found {SPEC.key}"),
    "synthetic hidden": (
        changed("data", "corpora", "crema_d", "synthetic", to=True),
        "its corpora make it synthetic True",
    ),
    "incomplete hidden": (
        changed("data", "complete", to=True),
        "complete False; found synthetic False, complete True",
    ),
    "a list": ([], "expected schema_version 4, found None"),
    "null": (None, "expected schema_version 4, found None"),
}


WRONG_CONTAINERS = {
    "text for a list": (changed("scores", 0, "train", to="eng_eld"), "scores[0].train: expected"),
    "text for an object": (changed("provenance", to="numpy 2.4.6"), "provenance: expected"),
    "null for an object": (changed("provenance", to=None), "provenance: expected"),
    "number for an object": (
        changed("data", "corpora", "crema_d", "left_out", to=2),
        "crema_d.left_out: expected",
    ),
    "text for an object of objects": (
        changed("data", "corpora", to="crema_d"),
        "data.corpora: expected",
    ),
}


@pytest.mark.parametrize(("content", "message"), BREACHES.values(), ids=list(BREACHES))
def test_breach_is_refused_by_name(content, message, tmp_path):
    with pytest.raises(RecordError) as error:
        loaded(json.dumps(content), tmp_path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'result.json'}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            *breach,
            id=name,
        )
        for name, breach in WRONG_CONTAINERS.items()
    ],
)
def test_item_is_not_taken_for_its_container(content, message, tmp_path):
    with pytest.raises(RecordError) as error:
        loaded(json.dumps(content), tmp_path)
    assert message in str(error.value)


NOT_JSON = {
    "empty": b"",
    "half": result_of().to_json().encode()[:200],
    "text": b"bimotion",
    "not UTF-8": b'{"schema_version": "\xff"}',
    "binary": bytes(range(256)),
    "two documents": b"{}{}",
    "deeply nested list": b"[" * 200_000,
    "deeply nested object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "number of 5000 digits": b"9" * 5000,
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=list(NOT_JSON))
def test_what_is_no_json_is_refused(content, tmp_path):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(RecordError, match=r"result\.json: expected a result in JSON, found: ."):
        results.load(tmp_path / "result.json")


def test_nesting_that_json_just_bears_is_refused(tmp_path):
    for depth in (50, 500, 900, 950, 970, 980, 990):
        text = result_of().to_json().replace('"2.4.6"', "[" * depth + "]" * depth)
        with pytest.raises(
            RecordError, match=r"result\.json: (result\.provenance\.versions\.numpy: )?expected"
        ):
            loaded(text, tmp_path)


def test_no_file_and_no_regular_file_are_refused(tmp_path):
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(RecordError, match="expected a result in JSON, found: "):
            results.load(path)


def test_oversize_is_refused_unread(tmp_path):
    with open(tmp_path / "result.json", "wb") as file:
        file.truncate(results.MAX_RESULT_BYTES + 1)  # sparse: costs no disk
    with pytest.raises(RecordError, match="expected at most 33554432 bytes, found 33554433"):
        results.load(tmp_path / "result.json")


def test_message_is_short_however_long_the_value(tmp_path):
    with pytest.raises(RecordError) as error:
        loaded(json.dumps(changed("seeds", to="x" * 100_000)), tmp_path)
    assert len(str(error.value)) < len(str(tmp_path)) + 200
