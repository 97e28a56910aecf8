"""The record of a run: to JSON and back without loss, every breach refused by name; and the board
made of records."""

import dataclasses
import hashlib
import html.parser
import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bimotion
from bimotion.errors import RecordError
from bimotion.results import overview
from bimotion.results import record as results
from bimotion.results.duplicates import Duplicates
from bimotion.results.record import (
    AdaptUsed,
    CorpusUsed,
    DataUsed,
    FitRecord,
    ModelUsed,
    ProtocolUsed,
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Score,
    Skipped,
    SplitUsed,
)

SPEC = RunSpec(
    model=ModelUsed("bimotion/test", "1-1"),
    track="probe",
    split=SplitUsed("paper", 0, "1"),
    schema=SchemaUsed("emotion", "1", ["fear", "neutral"]),
    protocol=ProtocolUsed("all", "1"),
    seeds=[0],
    limit=None,
    data_fingerprint="0123456789ab",
)
SCORE = Score(
    "in-group",
    "inference",
    ["eng_eld"],
    "eng_eld",
    None,
    "mean",
    "weighted_f1",
    0.5,
    n_utterances=10,
    n_speakers=2,
    n_speaker_unknown=1,
    classes=["fear", "neutral"],
    untrained=["fear"],
    outside=0.5,
    seed=0,
)
CREMA_D = CorpusUsed(7000, 7000, 7442, False, {"unreadable": 2}, None, {"measured": 7000}, False)


WHOLE = {"crema_d": dataclasses.replace(CREMA_D, complete=True)}
SYNTHETIC = {"crema_d": dataclasses.replace(CREMA_D, synthetic=True)}
MADE = Provenance(
    {"numpy": "2.4.6"},
    "3.11.7",
    None,
    "test",
    "cpu",
    [0],
    {},
    "2026-11-21T00:00:00+00:00",
    "2026-11-21T00:00:01+00:00",
    None,
)

ASKED = ("key", "model", "track", "split", "schema", "protocol", "seeds", "limit", "adapt")


def result_of(scores=(SCORE,), spec=SPEC, **changes):
    content = {name: getattr(spec, name) for name in ASKED}
    content |= {
        "data": DataUsed.of(spec.data_fingerprint, {"crema_d": CREMA_D}),
        "provenance": MADE,
        "scores": list(scores),
        "skipped": [
            Skipped(
                "cross-age", "inference", ["eng_adu"], "eng_eld", "no training clips in eng_adu"
            )
        ],
        "fits": [
            FitRecord("eng_eld", 0, 80, 10, 10, {"heaviest_layer": 3, "chosen_by": "validation"})
        ],
        "n_parameters": 1000,
        "duplicates": [Duplicates("eng_eld", "eng_eld", "crema_d", 400, 24, 5)],
    }
    return Result(**content | changes)


def loaded(text, folder):
    path = Path(folder) / "result.json"
    path.write_text(text, encoding="utf-8")
    return results.load(path)


# --- there and back -----------------------------------------------------------------------------

counts = st.integers(min_value=0)
score_rows = st.builds(
    Score,
    value=st.none() | st.floats(0, 1),
    outside=st.floats(0, 1),
    n_utterances=counts,
    n_speakers=counts,
    n_speaker_unknown=counts,
)
corpora = st.dictionaries(st.text(), st.builds(CorpusUsed), max_size=3)
COUNTED = ("n_test", "n_duplicated", "n_contradicting")
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
models = st.builds(ModelUsed, options=st.dictionaries(st.text(), values, max_size=3))
result_records = st.builds(RunSpec, model=models, adapt=st.none() | st.builds(AdaptUsed)).flatmap(
    lambda spec: st.builds(
        Result,
        **{name: st.just(getattr(spec, name)) for name in ASKED},
        data=st.builds(DataUsed.of, st.just(spec.data_fingerprint), corpora),
        scores=st.lists(score_rows, max_size=3),
        provenance=st.builds(Provenance, largest_difference=st.none() | st.floats(0, 1)),
        fits=st.lists(
            st.builds(FitRecord, facts=st.dictionaries(st.text(), values, max_size=3)), max_size=3
        ),
        duplicates=st.lists(
            st.builds(
                Duplicates, n_test=st.just(9), n_duplicated=st.just(8), n_contradicting=st.just(8)
            ),
            max_size=3,
        ),
        schema_version=st.just(results.SCHEMA_VERSION),
    )
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(record=result_records)
def test_any_record_survives_json(record):
    with tempfile.TemporaryDirectory() as folder:
        path = record.save(Path(folder))
        assert path == Path(folder) / "result.json"
        again = results.load(path)
    assert again == record
    assert again.to_json() == record.to_json()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(record=result_records)
def test_json_is_plain_and_has_all_fields(record):
    content = json.loads(record.to_json())
    assert content == dataclasses.asdict(record)
    assert list(content) == [field.name for field in dataclasses.fields(Result)]


def test_one_line_a_row():
    text = result_of([SCORE, dataclasses.replace(SCORE, test="zho_eld")]).to_json()
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith("  {")]
    assert [line.get("test") for line in lines] == [
        "eng_eld",
        "zho_eld",
        "eng_eld",
        None,
        "eng_eld",
    ]
    assert lines[2]["reason"] == "no training clips in eng_adu"
    assert lines[3]["n_train"] == 80
    assert text.endswith("}\n")


def test_saving_replaces_and_leaves_nothing_behind(tmp_path):
    result_of().save(tmp_path / "new" / "folder")
    result_of(track="finetune", key=dataclasses.replace(SPEC, track="finetune").key).save(
        tmp_path / "new" / "folder"
    )
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["result.json"]
    assert results.load(tmp_path / "new" / "folder" / "result.json").track == "finetune"


def test_a_result_is_read_from_its_folder_or_its_file(tmp_path):
    path = result_of().save(tmp_path / "runs" / "one")
    assert bimotion.read_result(str(path.parent)) == bimotion.read_result(path) == result_of()
    for wrong, found in (
        (tmp_path / "runs", f"found runs in {path.parent}"),
        (tmp_path / "no", "found none"),
    ):
        with pytest.raises(
            RecordError,
            match=f"{wrong}: expected the folder of a run, which holds result.json; {found}",
        ):
            bimotion.read_result(wrong)
    path.write_text("{")
    with pytest.raises(RecordError, match="expected a result in JSON"):
        bimotion.read_result(path)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(record=result_records)
def test_a_result_shows_itself_in_one_line_and_in_a_notebook(record):
    assert repr(record).startswith(f"<Result {record.key} of ")
    assert repr(record).isprintable()
    assert len(repr(record)) < 1000
    parser = Outline()
    parser.feed(record._repr_html_())
    parser.close()
    assert parser.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert record.key in parser.said


class Outline(html.parser.HTMLParser):
    """Which tags there are, and the text between them."""

    def __init__(self):
        super().__init__()
        self.tags, self.said = set(), ""

    def handle_starttag(self, tag, attrs):
        assert {name for name, _ in attrs} <= {"border", "class", "style"}
        self.tags.add(tag)

    def handle_data(self, data):
        self.said += data


def test_whole_number_is_a_value(tmp_path):
    assert (
        loaded(result_of().to_json().replace('"value": 0.5', '"value": 1'), tmp_path)
        .scores[0]
        .value
        == 1
    )


# --- what is refused ----------------------------------------------------------------------------


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


# --- the key ------------------------------------------------------------------------------------


def test_adaptation_has_a_key_of_its_own_and_says_what_it_heard():
    adapted = AdaptUsed("coral", "1", "CORAL (Sun et al. 2016)", "inductive", True)
    changes = (
        {},
        {"method": "mmd"},
        {"version": "2"},
        {"setting": "transductive"},
        {"target_seen": False},
    )
    keys = {
        dataclasses.replace(SPEC, adapt=dataclasses.replace(adapted, **one)).key for one in changes
    }
    assert len(keys | {SPEC.key}) == 6
    assert adapted.summary == "CORAL (Sun et al. 2016), inductive, target audio seen"


def test_key_by_hand():
    text = (
        '{"adapt": null, "data_fingerprint": "0123456789ab", "limit": null, "model": '
        '{"name": "bimotion/test", "options": {}, "revision": null, "version": "1-1"}, '
        '"protocol": {"cells": null, "name": "all", "version": "1"}, "schema": {"classes": '
        '["fear", "neutral"], "name": "emotion", "version": "1"}, "seeds": [0], "split": '
        '{"rule": "paper", "seed": 0, "version": "1"}, "track": "probe"}'
    )
    assert SPEC.key == hashlib.sha256(text.encode()).hexdigest()[:12]


def leaves(value, path=()):
    """Paths to every field below a record."""
    if not dataclasses.is_dataclass(value):
        return [path]
    return [
        leaf
        for field in dataclasses.fields(value)
        for leaf in leaves(getattr(value, field.name), (*path, field.name))
    ]


@pytest.mark.parametrize("path", leaves(SPEC), ids=".".join)
def test_key_changes_with_any_field(path):
    def other(value, path):
        if path:
            return dataclasses.replace(value, **{path[0]: other(getattr(value, path[0]), path[1:])})
        if isinstance(value, dict):
            return value | {"x": 1}
        return (
            value + 1
            if isinstance(value, int)
            else [*value, "x"]
            if isinstance(value, list)
            else f"{value}x"
        )

    assert other(SPEC, path).key != SPEC.key


# --- reading a result ---------------------------------------------------------------------------


def test_headline_is_the_mean_over_corpora():
    rows = [
        dataclasses.replace(SCORE, pooling="pooled", value=0.1),
        dataclasses.replace(SCORE, pooling=None, corpus="crema_d", value=0.2),
        dataclasses.replace(SCORE, metric="uar", value=0.3),
        dataclasses.replace(SCORE, test="zho_eld", value=0.4),
        dataclasses.replace(SCORE, method="augmentation", value=0.6),
        dataclasses.replace(SCORE, transfer="cross-age", value=None),
        SCORE,
    ]
    headline = result_of(rows).headline
    assert headline("in-group", "inference", "eng_eld") == 0.5
    assert headline("in-group", "inference", "eng_eld", "uar") == 0.3
    assert headline("in-group", "inference", "zho_eld") == 0.4
    assert headline("in-group", "augmentation", "eng_eld") == 0.6
    assert headline("cross-age", "inference", "eng_eld") is None
    assert headline("cross-all", "inference", "eng_eld") is None
    assert result_of([]).headline("in-group", "inference", "eng_eld") is None


def test_to_pandas():
    table = result_of([SCORE, dataclasses.replace(SCORE, value=None, corpus="tess")]).to_pandas()
    assert list(table.columns) == [field.name for field in dataclasses.fields(Score)]
    assert table["value"].tolist()[0] == 0.5
    assert table["value"].isna().tolist() == [False, True]
    assert table["corpus"].isna().tolist() == [True, False]
    assert table["train"].tolist() == [["eng_eld"], ["eng_eld"]]


def test_to_pandas_without_scores_has_the_columns():
    assert list(result_of([]).to_pandas().columns) == [
        field.name for field in dataclasses.fields(Score)
    ]


# --- the board ----------------------------------------------------------------------------------


def saved(folder, model, values, seed=0, corpora=None):
    """A result of a model below a folder, with an in-group score for each cell; returns its
    spec."""
    spec = dataclasses.replace(SPEC, model=ModelUsed(model, "1"), seeds=[seed])
    rows = [dataclasses.replace(SCORE, test=cell, value=value) for cell, value in values.items()]
    result_of(
        rows, spec, data=DataUsed.of(spec.data_fingerprint, corpora or {"crema_d": CREMA_D})
    ).save(folder / model.replace("/", "__") / spec.key)
    return spec


def board_of(folder):
    return json.loads(overview.collect(folder).read_text(encoding="utf-8"))


def test_board_is_ordered_by_mean_in_group(tmp_path):
    cells = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
    saved(tmp_path, "a/low", dict(zip(cells, (0.2, 0.3, 0.2, 0.3), strict=True)))
    saved(tmp_path, "b/high", dict(zip(cells, (0.9, 0.6, 0.9, 0.6), strict=True)))
    saved(tmp_path, "c/easy", {"eng_eld": 1.0, "eng_adu": 1.0, "zho_eld": 1.0})
    saved(tmp_path, "d/none", {"eng_eld": None})
    board = board_of(tmp_path)
    found = [(entry["model"], entry["mean_in_group"]) for entry in board["entries"]]
    assert found == [
        ("b/high", pytest.approx(0.75)),
        ("a/low", 0.25),
        ("c/easy", None),
        ("d/none", None),
    ]
    assert (board["leaderboard_version"], board["metric"], board["excluded"]) == (
        3,
        "weighted_f1",
        [],
    )


def test_only_comparable_entries_are_ordered_together(tmp_path):
    for number, (rule, value) in enumerate(
        [("paper", 0.2), ("disjoint", 0.1), ("paper", 0.9), ("disjoint", 0.3)]
    ):
        spec = dataclasses.replace(SPEC, split=SplitUsed(rule, 0, "1"), seeds=[number])
        rows = [
            dataclasses.replace(SCORE, test=cell, value=value)
            for cell in ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
        ]
        result_of(rows, spec).save(tmp_path / "m" / spec.key)
    found = [
        (entry["split_rule"], round(entry["mean_in_group"], 6))
        for entry in board_of(tmp_path)["entries"]
    ]
    assert found == [("disjoint", 0.3), ("disjoint", 0.1), ("paper", 0.9), ("paper", 0.2)]


def test_scores_and_counts_out_of_range_are_refused(tmp_path):
    for change in ({"value": 97.0}, {"value": -0.5}, {"n_utterances": -1}, {"n_speakers": -1}):
        with pytest.raises(
            RecordError, match=r"scores\[0\]: expected a value in \[0, 1\] and counts from 0"
        ):
            loaded(result_of([dataclasses.replace(SCORE, **change)]).to_json(), tmp_path)


def test_equal_entries_are_ordered_by_model_and_key(tmp_path):
    specs = [
        dataclasses.replace(SPEC, model=ModelUsed(model, "1"), seeds=[seed])
        for model in ("a", "b")
        for seed in (0, 1, 2)
    ]
    specs.sort(key=lambda spec: (spec.model.name, spec.key))
    for folder, spec in zip("fedcba", specs, strict=True):  # folders in the opposite order
        result_of(spec=spec).save(tmp_path / "any" / folder)
    assert [(entry["model"], entry["key"]) for entry in board_of(tmp_path)["entries"]] == [
        (s.model.name, s.key) for s in specs
    ]


def test_entry_says_what_was_run(tmp_path):
    spec = saved(tmp_path, "bimotion/test", {"eng_eld": 0.5})
    assert board_of(tmp_path)["entries"] == [
        {
            "model": "bimotion/test",
            "key": spec.key,
            "result": f"bimotion__test/{spec.key}/result.json",
            "track": "probe",
            "adapt": None,
            "split_rule": "paper",
            "schema": "emotion",
            "protocol": "all",
            "cells": None,
            "seeds": [0],
            "limit": None,
            "data_fingerprint": "0123456789ab",
            "complete": False,
            "mean_in_group": None,
            "scores": {"in-group/inference": {"eng_eld": 0.5}},
        }
    ]


def test_entry_has_every_setting_that_was_run(tmp_path):
    rows = [
        dataclasses.replace(SCORE, transfer=transfer, method=method, value=value)
        for transfer, method, value in [
            ("in-group", "inference", 0.5),
            ("cross-age", "inference", 0.25),
            ("cross-all", "augmentation", 0.75),
        ]
    ]
    result_of(rows).save(tmp_path / "m" / "k")
    (entry,) = board_of(tmp_path)["entries"]
    assert entry["scores"] == {
        "in-group/inference": {"eng_eld": 0.5},
        "cross-age/inference": {"eng_eld": 0.25},
        "cross-all/augmentation": {"eng_eld": 0.75},
    }


def test_synthetic_results_are_excluded_with_the_reason(tmp_path):
    saved(tmp_path, "a/real", {"eng_eld": 0.1}, corpora=WHOLE)
    saved(tmp_path, "b/synthetic", {"eng_eld": 0.9}, corpora=SYNTHETIC)
    board = board_of(tmp_path)
    assert [
        (entry["model"], entry["complete"], "reason" in entry) for entry in board["entries"]
    ] == [("a/real", True, False)]
    (excluded,) = board["excluded"]
    assert (excluded["model"], excluded["scores"]) == (
        "b/synthetic",
        {"in-group/inference": {"eng_eld": 0.9}},
    )
    assert excluded["reason"].startswith("synthetic data")


def test_board_has_the_same_bytes_each_time_and_in_any_order_of_arrival(tmp_path):
    models = {"a": 0.3, "b": 0.7, "c": 0.7, "d": None}
    for name, order in (("one", list(models)), ("two", list(models)[::-1])):
        for model in order:
            saved(
                tmp_path / name,
                model,
                {"eng_eld": models[model]},
                corpora=SYNTHETIC if model == "a" else None,
            )
    first = overview.collect(tmp_path / "one").read_bytes()
    assert overview.collect(tmp_path / "one").read_bytes() == first
    assert overview.collect(tmp_path / "two").read_bytes() == first


def test_board_of_nothing_is_empty(tmp_path):
    assert (board_of(tmp_path)["entries"], board_of(tmp_path)["excluded"]) == ([], [])


def test_board_takes_results_two_folders_down_only(tmp_path):
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b" / "c"):
        result_of().save(folder)
    assert board_of(tmp_path)["entries"] == []


def test_a_broken_result_is_excluded_with_the_reason(tmp_path):
    saved(tmp_path, "a", {"eng_eld": 0.5})
    broken = tmp_path / "b" / "key" / "result.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{}")
    board = board_of(tmp_path)
    assert [entry["model"] for entry in board["entries"]] == ["a"]
    (excluded,) = board["excluded"]
    assert excluded["result"] == "b/key/result.json"
    assert f"{broken}: expected schema_version 4" in excluded["reason"]
