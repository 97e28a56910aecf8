"""Packing of a finished run: what travels, what is refused, what the statement says."""

import dataclasses
import hashlib
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.leaderboard import submission
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import predictions, record, rescoring, scoring
from bimotion.results.record import ModelUsed

NAMES = ["predictions.parquet", "result.json", "submission.json"]
DECLARED = {"contact": "me@lab.example", "trained_on": ["LibriSpeech"]}


@pytest.fixture(scope="module")
def run(evaluated):
    """Folder of a finished run over one cell of the true tree."""
    return evaluated(cells=["zho_eld"])


def copied(run, folder, **changes):
    """A copy of a run with some fields of its result changed, its key made anew."""
    result = dataclasses.replace(record.load(run / "result.json"), **changes)
    dataclasses.replace(result, key=result.spec.key).save(folder)
    (folder / "predictions.parquet").write_bytes((run / "predictions.parquet").read_bytes())
    return folder


def test_a_result_is_packed_into_one_folder(run, tmp_path):
    names = ["LibriSpeech", " CSED (all) ", "LibriSpeech"]
    folder = submission.pack(run, tmp_path, contact="me@lab.example", trained_on=names)
    result = record.load(run / "result.json")
    assert folder == tmp_path / "bimotion__random" / result.key
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert (folder / "result.json").read_bytes() == (run / "result.json").read_bytes()
    text = (folder / "submission.json").read_text()
    model = {"name": "bimotion/random", "revision": None, "track": "probe", "n_parameters": None}
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES[:2]}
    assert json.loads(text) == {
        "organisation": "bimotion",
        "contact": "me@lab.example",
        "model": model,
        "trained_on": ["LibriSpeech", "CSED (all)"],
        "contamination": {"zho_eld": ["csed"]},
        "fingerprints": hashes,
        "submission_version": 1,
    }
    assert submission.load(folder / "submission.json").to_json() == text


def test_packed_predictions_give_the_same_scores(run, tmp_path):
    folder = submission.pack(run, tmp_path, **DECLARED)
    result = record.load(run / "result.json")
    table = predictions.read(folder / "predictions.parquet").to_pandas()
    settings = rescoring.settings_of(result)
    scores = scoring.scores(table, settings, SCHEMAS["emotion"], is_seeded=True)
    assert scores == result.scores
    assert rescoring.rescore(folder) == (result, result)


def test_nothing_else_travels(run, tmp_path):
    own = copied(run, tmp_path / "run")
    table = pd.read_parquet(run / "predictions.parquet").assign(path="/home/me/secret.wav")
    table.attrs["user"] = "me"
    table.to_parquet(own / "predictions.parquet", index=True)
    (own / "notes.txt").write_text("mine")
    (own / "checkpoints").mkdir()
    folder = submission.pack(own, tmp_path / "out", **DECLARED)
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    packed = pq.ParquetFile(folder / "predictions.parquet")
    assert packed.schema_arrow.equals(predictions.SHAPE)
    assert not {b"pandas", b"PANDAS_ATTRS"} & set(packed.metadata.metadata or {})
    assert b"secret" not in (folder / "predictions.parquet").read_bytes()


def test_a_dry_run_tells_all_and_packing_again_overwrites_nothing(run, tmp_path, untouched):
    with untouched(tmp_path), untouched(run):
        content = submission.prepare(run, **DECLARED)
    folder = submission.pack(run, tmp_path, **DECLARED)
    written = {f"bimotion__random/{folder.name}/{name}": (folder / name) for name in NAMES}
    assert content == {name: path.read_bytes() for name, path in written.items()}
    with untouched(tmp_path):
        assert submission.pack(run, tmp_path, **DECLARED) == folder
        with pytest.raises(SettingError, match="found another submission of this run; remove it"):
            submission.pack(run, tmp_path, **DECLARED | {"contact": "you"})


def csed(run, **changes):
    """The data of a run with other facts of CSED."""
    data = record.load(run / "result.json").data
    used = dataclasses.replace(data.corpora["csed"], **changes)
    return record.DataUsed.of(data.fingerprint, {"csed": used})


UNTRAINED = "no training clips in zho_adu"
LEAKAGE = record.ProtocolUsed("leakage", "1", ["zho_eld"])
SKIPPED = [record.Skipped("cross-age", "inference", ["zho_adu"], "zho_eld", UNTRAINED)]
SYNTHETIC, INCOMPLETE = {"synthetic": True}, {"complete": False, "n_found": 600}


@pytest.mark.parametrize(
    ("fields", "corpus", "message"),
    [
        ({"limit": 6}, None, r"expected all clips, found a run with limit 6"),
        ({"protocol": LEAKAGE}, None, "protocol leakage tests half of the clips"),
        ({}, SYNTHETIC, "expected real corpora, found synthetic data"),
        ({}, INCOMPLETE, r"expected complete corpora, found csed \(600 of 652 clips\)"),
        ({"skipped": SKIPPED}, None, f"found 1 skipped: {UNTRAINED}"),
    ],
)
def test_what_no_leaderboard_takes_is_not_packed_but_for_practice(
    fields, corpus, message, run, tmp_path
):
    own = copied(
        run, tmp_path / "run", **fields | ({"data": csed(run, **corpus)} if corpus else {})
    )
    with pytest.raises(SettingError, match=message):
        submission.pack(own, tmp_path / "out", **DECLARED)
    assert not (tmp_path / "out").exists()
    if "limit" in fields:
        with pytest.raises(SettingError, match=message):
            submission.prepare(own, practice=True, **DECLARED)
    elif corpus:
        assert submission.prepare(own, practice=True, **DECLARED)


def test_an_unfinished_run_is_not_packed(run, tmp_path):
    with pytest.raises(RecordError, match=r"result\.json: expected a file, found none"):
        submission.pack(tmp_path, tmp_path / "out", **DECLARED)
    own = copied(run, tmp_path / "run")
    (own / record.PARTS_FOLDER).mkdir()
    with pytest.raises(SettingError, match="is not finished"):
        submission.pack(own, tmp_path / "out", **DECLARED)
    (own / record.PARTS_FOLDER).rmdir()
    (own / "predictions.parquet").unlink()
    with pytest.raises(RecordError, match=r"predictions\.parquet: expected predictions in Parquet"):
        submission.pack(own, tmp_path / "out", **DECLARED)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content", [b"", b"PAR1PAR1PAR1", b"\x80\x04\x95 a pickle", b"PAR1" + b"\0" * 100 + b"PAR1"]
)
def test_predictions_that_are_none_are_not_packed(content, run, tmp_path):
    own = copied(run, tmp_path / "run")
    (own / "predictions.parquet").write_bytes(content)
    with pytest.raises(RecordError, match="expected predictions in Parquet"):
        submission.prepare(own, **DECLARED)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("contact", "a\nb", "expected one line"),
        ("contact", " ", "expected one line"),
        ("contact", "x" * 201, "expected one line of 1 to 200 characters"),
        ("contact", "me\u034f", "expected one line"),
        ("trained_on", ["LibriSpeech", ""], "expected one line"),
        ("trained_on", ["a\u202eb"], "expected one line"),
        ("trained_on", ["IEMO\u3164CAP"], "expected one line"),
        ("trained_on", list(map(str, range(1001))), "expected at most 1000 names, found 1001"),
    ],
)
def test_texts_are_one_short_line(field, value, message, run):
    with pytest.raises(SettingError, match=f"{field}: {message}"):
        submission.prepare(run, **{"contact": None, "trained_on": None, field: value})


def test_names_of_a_claimed_statement_are_bounded_one_by_one(run, tmp_path):
    content = submission.prepare(run, **DECLARED)
    path = tmp_path / "submission.json"
    statement = json.loads(content[next(name for name in content if path.name in name)])
    path.write_text(json.dumps(statement | {"trained_on": ["a " * 50_000]}))
    with pytest.raises(RecordError, match="trained_on: expected names of at most 200 characters"):
        submission.declared(tmp_path)
    path.write_text(json.dumps(statement | {"trained_on": ["a"] * 1001}))
    with pytest.raises(RecordError, match="trained_on: expected at most 1000 names, found 1001"):
        submission.declared(tmp_path)


def test_a_model_has_one_organisation(run, tmp_path):
    own = copied(run, tmp_path / "run", model=ModelUsed("Loudness", "1"))
    with pytest.raises(SettingError, match="model Loudness names no organisation: say whose it is"):
        submission.prepare(own, **DECLARED)
    content = submission.prepare(own, organisation="lab", **DECLARED)
    assert next(iter(content)).startswith("lab__Loudness/")
    odd = copied(run, tmp_path / "odd", model=ModelUsed("a/b__c", "1"))
    assert next(iter(submission.prepare(odd, **DECLARED))).startswith("a__b__c/")
    with pytest.raises(SettingError, match="expected bimotion, as the model's name says, found 'l"):
        submission.prepare(run, organisation="lab", **DECLARED)
    assert submission.prepare(run, organisation="bimotion", **DECLARED)


UNSAFE_MODELS = (
    *("../../etc/passwd", "..", "a/../b", "/etc", "a/b/c", "a b", "a\nb", "-rf", ".hidden"),
    *("a/", "", "a--b", "x" * 97),
)


@pytest.mark.parametrize(
    ("model", "organisation", "message"),
    [
        *((name, "lab", "expected") for name in UNSAFE_MODELS),
        *(
            ("x", name, "organisation: expected letters")
            for name in ("..", "a/b", "", "a b", "a\0")
        ),
        # a/b__c and a__b/c would lie in one folder, and bimotion__x/y where the baselines do
        ("a__b/c", None, "organisation: expected a name without '__'"),
        ("bimotion__x/y", None, "organisation: expected a name without '__'"),
    ],
)
def test_names_that_are_no_safe_folder_are_refused(model, organisation, message, run, tmp_path):
    own = copied(run, tmp_path / "run", model=ModelUsed(model, "1"))
    with pytest.raises(SettingError, match=message):
        submission.pack(own, tmp_path / "out", organisation=organisation, **DECLARED)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"submission_version": 2}, "submission_version: expected 1, found 2"),
        ({"submission_version": 1.0}, "submission_version: expected 1, found 1.0"),
        ({"note": ""}, "submission.note: unexpected field"),
        ({"trained_on": "LibriSpeech"}, "submission.trained_on: expected"),
        ({"contamination": {"zho_eld": "csed"}}, "submission.contamination.zho_eld: expected"),
        ({"model": None}, "submission.model: expected an object"),
        ({"fingerprints": {"result.json": 7}}, "result.json: expected a valid string, found 7"),
    ],
)
def test_a_breach_is_refused_by_name(change, message, run, tmp_path):
    content = json.loads(list(submission.prepare(run, **DECLARED).values())[2])
    (tmp_path / "submission.json").write_text(json.dumps(content | change))
    with pytest.raises(RecordError, match=message):
        submission.load(tmp_path / "submission.json")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"{}" + b" " * 2**20]
)
def test_what_is_no_submission_is_refused(content, tmp_path):
    (tmp_path / "submission.json").write_bytes(content)
    with pytest.raises(RecordError, match=r"submission\.json: (submission: )?expected"):
        submission.load(tmp_path / "submission.json")
