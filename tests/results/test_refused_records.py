"""Every breach of the record's schema is refused by the name of its field."""

import dataclasses
import json
import math

import pytest

from bimotion.errors import RecordError
from bimotion.results import record as results
from tests.support.small_records import SCORE, SPEC, loaded, result_of

REMOVED = object()
CONFOUND = {
    "train": "eng_adu",
    "test": "eng_eld",
    "n_clips": 9,
    **dict.fromkeys(("corpus", "corpus_chance", "language", "language_chance")),
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_nan_or_infinity_goes_out(value, tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        result_of([dataclasses.replace(SCORE, value=value)]).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400])
def test_no_nan_or_infinity_comes_in(literal, tmp_path):
    text = result_of().to_json().replace('"value": 0.5', f'"value": {literal}')
    with pytest.raises(RecordError, match=r"result\.scores\[0\]\.value: expected a finite number"):
        loaded(text, tmp_path)


def changed(path, value):
    """The content of a result with one field changed; REMOVED takes it out."""
    content = json.loads(result_of().to_json())
    inner = content
    *steps, last = path
    for step in steps:
        inner = inner[step]
    inner[last] = value
    if value is REMOVED:
        del inner[last]
    return content


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("seeds", 0), "0", "seeds[0]: expected a valid integer, found '0'"),
        (("split", "seed"), 0.0, "split.seed: expected a valid integer, found 0.0"),
        (("scores", 0, "n_speakers"), True, "n_speakers: expected a valid integer, found True"),
        (("scores", 0, "n_speakers"), -1, "expected greater than or equal to 0, found -1"),
        (("scores", 0, "value"), "0.5", "scores[0].value: expected a valid number, found '0.5'"),
        (("scores", 0, "value"), True, "scores[0].value: expected a valid number, found True"),
        (("scores", 0, "value"), 1.01, "value: expected less than or equal to 1, found 1.01"),
        (("scores", 0, "out_of_label_space"), -0.1, "out_of_label_space: expected greater than"),
        (("scores", 0, "outside"), 0.5, "scores[0].outside: unexpected field"),
        (("scores", 0, "test"), None, "scores[0].test: expected a valid string, found None"),
        (("scores", 0, "corpus"), 3, "scores[0].corpus: expected a valid string, found 3"),
        (("scores", 0, "train"), "eng_eld", "scores[0].train: expected a valid array"),
        (("scores", 0, "classes", 1), 7, "scores[0].classes[1]: expected a valid string, found 7"),
        (("scores", 0), [1], "scores[0]: expected an object, found [1]"),
        (("scores", 0, "remark"), "", "scores[0].remark: unexpected field, remove it"),
        (("scores",), {}, "scores: expected a valid array"),
        (("data",), [], "data: expected an object"),
        (("data", "synthetic"), 0, "data.synthetic: expected a valid boolean, found 0"),
        (("data", "complete"), REMOVED, "data.complete: expected this field, found none"),
        (("data", "complete"), True, "synthetic False, complete False, as its corpora are; found"),
        (("data", "corpora"), "crema_d", "data.corpora: expected an object"),
        (("data", "corpora", "crema_d", "synthetic"), True, "data: expected synthetic True"),
        (("data", "corpora", "crema_d", "left_out"), 2, "crema_d.left_out: expected an object"),
        (
            ("data", "corpora", "crema_d", "left_out", "unreadable"),
            "2",
            "data.corpora.crema_d.left_out.unreadable: expected a valid integer, found '2'",
        ),
        (("provenance",), "numpy 2.4.6", "provenance: expected an object"),
        (("provenance",), None, "provenance: expected an object"),
        (
            ("provenance", "versions", "numpy"),
            2.4,
            "provenance.versions.numpy: expected a valid string, found 2.4",
        ),
        (
            ("model", "options", "layers"),
            [1],
            "options.layers: expected a valid string or a valid integer or a valid number or a "
            "valid boolean, found [1]",
        ),
        (("model",), None, "model: expected an object, found None"),
        (("adapt",), REMOVED, "result.adapt: expected this field, found none"),
        (("track",), REMOVED, "result.track: expected this field, found none"),
        (("rank",), 1, "result.rank: unexpected field, remove it"),
        (("skipped", 0, "reason"), REMOVED, "skipped[0].reason: expected this field, found none"),
        (("duplicates", 0, "n_duplicated"), 401, "duplicates[0]: expected counts"),
        (("duplicates", 0, "n_contradicting"), 25, "none above the one before it"),
        (("confounds",), [CONFOUND | {"corpus": 0.5}], "expected a recall and its chance level"),
        (("confounds",), [CONFOUND | {"n_clips": -1}], "n_clips: expected greater than or equal"),
        (("schema_version",), 6, "schema_version: expected 4 or 5, found 6"),
        (("schema_version",), 4.0, "schema_version: expected 4 or 5, found 4.0"),
        (("schema_version",), "1", "schema_version: expected 4 or 5, found '1'"),
        (("schema_version",), REMOVED, "schema_version: expected this field, found none"),
        (("key",), "0" * 12, f"key: expected {SPEC.key} (the hash of its spec), found 00000"),
        (("seeds",), [1], f"(the hash of its spec), found {SPEC.key}"),
    ],
)
def test_breach_is_refused_by_name(path, value, message, tmp_path):
    with pytest.raises(RecordError) as error:
        loaded(json.dumps(changed(path, value)), tmp_path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'result.json'}: ")
    assert str(error.value).isprintable()


def test_a_version_explains_all_other_faults(tmp_path):
    content = json.loads(result_of().to_json()) | {"schema_version": 3, "rank": 1}
    content["scores"] = [{}]
    with pytest.raises(RecordError, match=r"result\.schema_version: expected 4 or 5, found 3"):
        loaded(json.dumps(content), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        result_of().to_json().encode()[:200],
        b"bimotion",
        b'{"schema_version": "\xff"}',
        b'{"key": "\\ud800"}',
        bytes(range(256)),
        b"{}{}",
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_is_no_json_is_refused(text, tmp_path):
    (tmp_path / "result.json").write_bytes(text)
    with pytest.raises(RecordError, match=r"result\.json: expected a result in JSON, found: ."):
        results.load(tmp_path / "result.json")


@pytest.mark.parametrize("content", [[], None, 3, "result", "9" * 5000])
def test_json_that_is_no_object_is_refused(content, tmp_path):
    with pytest.raises(RecordError, match=r"result\.json: result: expected an object, found "):
        loaded(json.dumps(content), tmp_path)


@pytest.mark.parametrize("depth", [50, 500, 990])
def test_nesting_that_json_just_bears_is_refused(depth, tmp_path):
    text = result_of().to_json().replace('"2.4.6"', "[" * depth + "]" * depth)
    with pytest.raises(
        RecordError, match=r"result\.json: (result\.provenance\.versions\.numpy: )?expected"
    ):
        loaded(text, tmp_path)


def test_no_file_and_no_regular_file_are_refused(tmp_path):
    for path, kind in ((tmp_path / "nothing.json", "none"), (tmp_path, "something else")):
        with pytest.raises(RecordError, match=f"{path}: expected a file, found {kind}"):
            results.load(path)


def test_oversize_is_refused_unread(tmp_path):
    with open(tmp_path / "result.json", "wb") as file:
        file.truncate(results.MAX_RESULT_BYTES + 1)  # sparse: costs no disk
    with pytest.raises(RecordError, match="expected at most 33554432 bytes, found 33554433"):
        results.load(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"scores": [' + ",".join(["{}"] * 200_000) + "]}", "schema_version: expected this field"),
        (
            "{" + ",".join(f'"{n}":0' for n in range(50_000)) + "}",
            " fields that are unexpected, missing or wrong",
        ),
        ("[" * 2_000_001, "expected at most 2000000 objects, lists and fields, found 2000001"),
        (json.dumps(changed(("seeds",), "x" * 100_000)), "seeds: expected a valid array, found 'x"),
        (json.dumps(changed(("x" * 100_000 + "\n",), 1)), "result.xxx"),
    ],
    ids=["faulty rows", "unknown fields", "parts", "long value", "long name"],
)
def test_a_message_is_short_however_much_is_wrong(text, message, tmp_path):
    with pytest.raises(RecordError) as error:
        loaded(text, tmp_path)
    assert message in str(error.value)
    assert len(str(error.value)) < len(str(tmp_path)) + 200
    assert str(error.value).isprintable()
