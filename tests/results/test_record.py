"""The record of a run: to JSON and back without loss, its key, and what it tells a reader."""

import dataclasses
import hashlib
import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bimotion
from bimotion.errors import RecordError, UnknownName
from bimotion.results import record as results
from bimotion.results.duplicates import Duplicates
from bimotion.results.record import (
    AdaptUsed,
    DataUsed,
    FitRecord,
    Provenance,
    Result,
    RunSpec,
    Score,
    SplitUsed,
)
from tests.support.small_records import (
    ASKED,
    SCORE,
    SPEC,
    corpora,
    loaded,
    models,
    result_of,
    values,
)

counts = st.integers(min_value=0)


score_rows = st.builds(
    Score,
    value=st.none() | st.floats(0, 1),
    out_of_label_space=st.floats(0, 1),
    n_utterances=counts,
    n_speakers=counts,
    n_speaker_unknown=counts,
)


splits = st.builds(SplitUsed, folds=st.none() | st.integers(1, 5))
adapted = st.none() | st.builds(AdaptUsed)
result_records = st.builds(RunSpec, model=models, split=splits, adapt=adapted).flatmap(
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
        schema_version=st.just(4),
    )
)


def test_a_record_of_protocol_1_is_read(tmp_path):
    """It has no rows of confounds and of human raters, and no folds."""
    record = result_of(fits=[FitRecord("eng_adu", 0, 9, 9, 9, {})], schema_version=4)
    content = json.loads(record.to_json())
    for part, name in ((content, "confounds"), (content, "human"), (content["split"], "folds")):
        del part[name]
    del content["fits"][0]["fold"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert results.load(tmp_path / "result.json") == record


@settings(derandomize=True, deadline=None, max_examples=40)
@given(record=result_records)
def test_any_record_survives_json(record):
    with tempfile.TemporaryDirectory() as folder:
        again = results.load(record.save(Path(folder)))
    assert again == record
    assert again.to_json() == record.to_json()
    content = json.loads(record.to_json())
    assert content == dataclasses.asdict(record)
    assert list(content) == [field.name for field in dataclasses.fields(Result)]
    assert repr(record).startswith(f"<Result {record.key} of ")
    assert repr(record).isprintable()
    assert len(repr(record)) < 1000


def test_one_line_a_row():
    text = result_of([SCORE, dataclasses.replace(SCORE, test="zho_eld")]).to_json()
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith("  {")]
    rows = [line.get("test") for line in lines]
    assert rows == ["eng_eld", "zho_eld", "eng_eld", None, "eng_eld"]
    assert lines[2]["reason"] == "no training clips in eng_adu"
    assert lines[3]["n_train"] == 80
    assert text.endswith("}\n")


def test_saving_replaces_and_leaves_nothing_behind(tmp_path):
    folder, spec = tmp_path / "new" / "folder", dataclasses.replace(SPEC, track="finetune")
    for record in (result_of(), result_of(spec=spec)):
        assert record.save(folder) == folder / "result.json"
        assert list(folder.iterdir()) == [folder / "result.json"]
        assert results.load(folder / "result.json") == record


def test_a_result_is_read_from_its_folder_or_its_file(tmp_path):
    path = result_of().save(tmp_path / "runs" / "one")
    assert bimotion.read_result(str(path.parent)) == bimotion.read_result(path) == result_of()
    expected = "expected the folder of a run, which holds result.json; found"
    with pytest.raises(RecordError, match=f"{path.parents[1]}: {expected} runs in {path.parent}"):
        bimotion.read_result(path.parents[1])
    with pytest.raises(RecordError, match=f"{expected} none"):
        bimotion.read_result(tmp_path / "no")
    path.write_text("{")
    with pytest.raises(RecordError, match="expected a result in JSON"):
        bimotion.read_result(path)


def test_a_field_is_read_under_its_former_name(tmp_path):
    text = result_of().to_json()
    assert loaded(text.replace('"out_of_label_space"', '"outside"'), tmp_path) == result_of()


def test_whole_number_is_a_value(tmp_path):
    text = result_of().to_json().replace('"value": 0.5', '"value": 1')
    assert loaded(text, tmp_path).scores[0].value == 1


def test_adaptation_in_a_few_words():
    adapted = AdaptUsed("coral", "1", "CORAL (Sun et al. 2016)", "inductive", True)
    assert adapted.summary == "CORAL (Sun et al. 2016), inductive, target audio seen"


def test_key_by_hand():
    """The key is as version 1 wrote it: a field for folds moves no key of a rule without."""
    text = (
        '{"adapt": null, "data_fingerprint": "0123456789ab", "limit": null, "model": '
        '{"name": "bimotion/test", "options": {}, "revision": null, "version": "1-1"}, '
        '"protocol": {"cells": null, "name": "all", "version": "1"}, "schema": {"classes": '
        '["fear", "neutral"], "name": "emotion", "version": "1"}, "seeds": [0], "split": '
        '{"rule": "paper", "seed": 0, "version": "1"}, "track": "probe"}'
    )
    spec = dataclasses.replace(SPEC, split=SplitUsed("paper", 0, "1"))
    assert spec.key == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert dataclasses.replace(SPEC, split=SplitUsed("folds", 0, "1", 5)).key != spec.key


def test_a_record_of_version_1_is_read(tmp_path):
    """Without folds, and of the format before this one."""
    old = result_of(spec=dataclasses.replace(SPEC, split=SplitUsed("paper", 0, "1")))
    content = json.loads(old.to_json())
    content["schema_version"] = 4
    del content["split"]["folds"]
    for fit in content["fits"]:
        del fit["fold"]
    read = loaded(json.dumps(content), tmp_path)
    assert read == dataclasses.replace(old, schema_version=4)
    assert (read.split.folds, {fit.fold for fit in read.fits}) == (None, {0})


def leaves(value, path=()):
    """Paths to every field below a record."""
    if not dataclasses.is_dataclass(value):
        return [path]
    return [
        leaf
        for field in dataclasses.fields(value)
        for leaf in leaves(getattr(value, field.name), (*path, field.name))
    ]


ADAPTED = dataclasses.replace(SPEC, adapt=AdaptUsed("coral", "1", "CORAL", "inductive", True))


@pytest.mark.parametrize("path", leaves(ADAPTED), ids=".".join)
def test_key_changes_with_any_field(path):
    def changed(value, path):
        if path:
            name, *rest = path
            return dataclasses.replace(value, **{name: changed(getattr(value, name), rest)})
        if isinstance(value, dict):
            return value | {"x": 1}
        if isinstance(value, list):
            return [*value, "x"]
        return value + 1 if isinstance(value, int) else f"{value}x"

    assert changed(ADAPTED, path).key not in (SPEC.key, ADAPTED.key)


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
    assert headline("cross-lingual", "extension", "deu_adu", train=("eng_adu",)) is None
    assert headline("in-group", "inference", "eng_eld", "weighted_f1_multi") is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("crossage", "inference", "eng_eld"), "unknown transfer 'crossage': expected one of in-"),
        (("in-group", "infer", "eng_eld"), "unknown method 'infer': expected one of inference"),
        (("in-group", "inference", "eng_old"), "unknown cell 'eng_old': expected one of eng_eld"),
        (("in-group", "inference", "eng_eld", "f1"), "unknown metric 'f1': expected one of weigh"),
        (
            ("cross-lingual", "extension", "deu_adu", "uar", ("english",)),
            "unknown cell 'english': expected one of eng_eld",
        ),
    ],
)
def test_headline_of_a_name_that_no_setting_has(asked, message):
    with pytest.raises(UnknownName, match=re.escape(message)):
        result_of([SCORE]).headline(*asked)


def test_to_pandas():
    columns = [field.name for field in dataclasses.fields(Score)]
    table = result_of([SCORE, dataclasses.replace(SCORE, value=None, corpus="tess")]).to_pandas()
    assert list(table.columns) == list(result_of([]).to_pandas().columns) == columns
    assert table["value"].tolist()[0] == 0.5
    assert table["value"].isna().tolist() == [False, True]
    assert table["corpus"].isna().tolist() == [True, False]
    assert table["train"].tolist() == [["eng_eld"], ["eng_eld"]]
