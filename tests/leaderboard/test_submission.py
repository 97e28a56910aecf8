"""Packing of a finished run: what travels, what is refused, what the statement says."""

import dataclasses
import hashlib
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import run as runner
from bimotion.leaderboard import submission
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import predictions, record, rescoring, scoring
from bimotion.results.record import ModelUsed

NAMES = ["predictions.parquet", "result.json", "submission.json"]


DECLARED = {"contact": "me@lab.example", "trained_on": ["LibriSpeech"]}


@pytest.fixture(scope="module")
def run(whole_tree, tmp_path_factory):
    """Folder of a finished run over one cell of the true tree."""
    output = tmp_path_factory.mktemp("results")
    return runner.evaluate(
        "bimotion/random",
        data_dir=whole_tree,
        output=output,
        protocol="in-group",
        cells=["zho_eld"],
    ).folder(output)


def copied(run, folder, **changes):
    """A copy of a run with some fields of its result changed, its key made anew."""
    result = dataclasses.replace(record.load(run / "result.json"), **changes)
    dataclasses.replace(result, key=result.spec.key).save(folder)
    (folder / "predictions.parquet").write_bytes((run / "predictions.parquet").read_bytes())
    return folder


def test_a_result_is_packed_into_one_folder(run, tmp_path):
    folder = submission.pack(
        run,
        tmp_path,
        contact="me@lab.example",
        trained_on=["LibriSpeech", " CSED (all) ", "LibriSpeech"],
    )
    result = record.load(run / "result.json")
    assert folder == tmp_path / "bimotion__random" / result.key
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert (folder / "result.json").read_bytes() == (run / "result.json").read_bytes()
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in NAMES[:2]}
    assert json.loads((folder / "submission.json").read_text()) == {
        "organisation": "bimotion",
        "contact": "me@lab.example",
        "model": {
            "name": "bimotion/random",
            "revision": None,
            "track": "probe",
            "n_parameters": None,
        },
        "trained_on": ["LibriSpeech", "CSED (all)"],
        "contamination": {"zho_eld": ["csed"]},
        "fingerprints": hashes,
        "submission_version": 1,
    }
    assert (
        submission.load(folder / "submission.json").to_json()
        == (folder / "submission.json").read_text()
    )


def test_packed_predictions_give_the_same_scores(run, tmp_path):
    folder = submission.pack(run, tmp_path, **DECLARED)
    result = record.load(run / "result.json")
    table = predictions.read(folder / "predictions.parquet").to_pandas()
    assert scoring.scores(table, rescoring.settings_of(result), SCHEMAS["emotion"]) == result.scores
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


def test_a_dry_run_tells_all_and_writes_nothing(run, tmp_path, untouched):
    with untouched(tmp_path), untouched(run):
        content = submission.prepare(run, **DECLARED)
    folder = submission.pack(run, tmp_path, **DECLARED)
    assert content == {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in sorted(folder.iterdir())
    }


def test_packing_again_changes_nothing_and_overwrites_nothing(run, tmp_path, untouched):
    folder = submission.pack(run, tmp_path, **DECLARED)
    with untouched(tmp_path):
        assert submission.pack(run, tmp_path, **DECLARED) == folder
        with pytest.raises(
            SettingError,
            match="expected nothing, found another submission of this run; remove it first",
        ):
            submission.pack(run, tmp_path, contact="you", trained_on=["LibriSpeech"])


def incomplete(run):
    data = record.load(run / "result.json").data
    return record.DataUsed.of(
        data.fingerprint,
        {"csed": dataclasses.replace(data.corpora["csed"], complete=False, n_found=600)},
    )


def synthetic(run):
    data = record.load(run / "result.json").data
    return record.DataUsed.of(
        data.fingerprint, {"csed": dataclasses.replace(data.corpora["csed"], synthetic=True)}
    )


SKIPPED = [
    record.Skipped("cross-age", "inference", ["zho_adu"], "zho_eld", "no training clips in zho_adu")
]


REFUSED = {
    "limit": (lambda run: {"limit": 6}, r"expected all clips, found a run with limit 6"),
    "synthetic": (
        lambda run: {"data": synthetic(run)},
        "expected real corpora, found synthetic data",
    ),
    "incomplete": (
        lambda run: {"data": incomplete(run)},
        r"expected complete corpora, found csed \(600 of 652 clips\)",
    ),
    "skipped": (lambda run: {"skipped": SKIPPED}, "found 1 skipped: no training clips in zho_adu"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_no_leaderboard_takes_is_not_packed(change, message, run, tmp_path):
    own = copied(run, tmp_path / "run", **change(run))
    with pytest.raises(SettingError, match=message):
        submission.pack(own, tmp_path / "out", **DECLARED)
    assert not (tmp_path / "out").exists()


def test_practice_takes_any_corpora_but_no_limit(run, tmp_path):
    for data in (incomplete(run), synthetic(run)):
        own = copied(run, tmp_path / f"{data.synthetic}", data=data)
        assert submission.prepare(own, practice=True, **DECLARED)
    with pytest.raises(SettingError, match="limit 6"):
        submission.prepare(copied(run, tmp_path / "limit", limit=6), practice=True, **DECLARED)


def test_an_unfinished_run_is_not_packed(run, tmp_path):
    with pytest.raises(RecordError, match=r"result\.json: expected a file, found none"):
        submission.pack(tmp_path, tmp_path / "out", **DECLARED)
    own = copied(run, tmp_path / "run")
    (own / record.PARTS_FOLDER).mkdir()
    with pytest.raises(SettingError, match="is not finished"):
        submission.pack(own, tmp_path / "out", **DECLARED)
    (own / record.PARTS_FOLDER).rmdir()
    (own / "predictions.parquet").unlink()
    with pytest.raises(
        RecordError, match=r"predictions\.parquet: expected predictions in Parquet, found"
    ):
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
    ("statement", "message"),
    [
        ({"contact": "a\nb"}, "contact: expected one line"),
        ({"contact": " "}, "contact: expected one line"),
        ({"contact": "x" * 201}, "contact: expected one line of 1 to 200 characters"),
        ({"trained_on": ["LibriSpeech", ""]}, "trained_on: expected one line"),
        ({"trained_on": ["a\u202eb"]}, "trained_on: expected one line"),
        ({"trained_on": ["IEMO\u3164CAP"]}, "trained_on: expected one line"),
        ({"contact": "me\u034f"}, "contact: expected one line"),
        (
            {"trained_on": [str(n) for n in range(1001)]},
            "trained_on: expected at most 1000 names, found 1001",
        ),
    ],
)
def test_texts_are_one_short_line(statement, message, run):
    with pytest.raises(SettingError, match=message):
        submission.prepare(run, **{"contact": None, "trained_on": None, **statement})


def test_a_model_without_an_organisation_is_given_one(run, tmp_path):
    own = copied(run, tmp_path / "run", model=ModelUsed("Loudness", "1"))
    with pytest.raises(SettingError, match="model Loudness names no organisation: say whose it is"):
        submission.prepare(own, **DECLARED)
    assert next(iter(submission.prepare(own, organisation="lab", **DECLARED))).startswith(
        "lab__Loudness/"
    )


def test_an_organisation_does_not_contradict_the_name(run):
    with pytest.raises(
        SettingError, match="organisation: expected bimotion, as the model's name says, found 'lab'"
    ):
        submission.prepare(run, organisation="lab", **DECLARED)
    assert submission.prepare(run, organisation="bimotion", **DECLARED)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..",
        "a/../b",
        "/etc",
        "a/b/c",
        "a b",
        "a\nb",
        "-rf",
        ".hidden",
        "a/",
        "",
        "a--b",
        "x" * 97,
    ],
)
def test_names_that_are_no_safe_folder_are_refused(name, run, tmp_path):
    own = copied(run, tmp_path / "run", model=ModelUsed(name, "1"))
    with pytest.raises(SettingError, match="expected"):
        submission.pack(own, tmp_path / "out", organisation="lab", **DECLARED)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("organisation", ["..", "a/b", "", "a b", "a\0"])
def test_organisations_that_are_no_safe_folder_are_refused(organisation, run, tmp_path):
    own = copied(run, tmp_path / "run", model=ModelUsed("Loudness", "1"))
    with pytest.raises(SettingError, match="organisation: expected letters"):
        submission.prepare(own, organisation=organisation, **DECLARED)


def test_a_folder_names_one_organisation(run, tmp_path):
    """`a/b__c` and `a__b/c` would lie in one folder, and `bimotion__x/y` where the baselines do."""
    for name in ("a__b/c", "bimotion__x/y"):
        own = copied(run, tmp_path / name, model=ModelUsed(name, "1"))
        with pytest.raises(SettingError, match="organisation: expected a name without '__'"):
            submission.prepare(own, **DECLARED)
    own = copied(run, tmp_path / "run", model=ModelUsed("a/b__c", "1"))
    assert next(iter(submission.prepare(own, **DECLARED))).startswith("a__b__c/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"submission_version": 2}, "expected submission_version 1, found 2"),
        ({"note": ""}, "submission.note: unexpected field"),
        ({"trained_on": "LibriSpeech"}, "submission.trained_on: expected"),
        ({"contamination": {"zho_eld": "csed"}}, "submission.contamination.zho_eld: expected"),
        ({"model": None}, "submission.model: expected an object"),
        (
            {"fingerprints": {"result.json": 7}},
            "submission.fingerprints.result.json: expected a valid string, found 7",
        ),
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
    with pytest.raises(RecordError, match=r"submission\.json: expected"):
        submission.load(tmp_path / "submission.json")
