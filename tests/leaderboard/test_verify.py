"""Verification: an honest submission passes, each way to cheat or to break one is refused with its
reason."""

import dataclasses
import hashlib
import json
import os
import pickle
import time
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import run as runner
from bimotion.io import records
from bimotion.leaderboard import answer_key as reference
from bimotion.leaderboard import board, receipt, receiving, submission, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.submission import Submission
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import predictions, record, rescoring, scoring
from bimotion.results.record import FitRecord, Result

RESULT, PREDICTIONS, STATEMENT = "result.json", "predictions.parquet", "submission.json"


@pytest.fixture(scope="module")
def known(whole_tree):
    """Reference of the true tree."""
    return AnswerKey.of_corpora(whole_tree)


@pytest.fixture(scope="module")
def of_file(known, tmp_path_factory):
    """The same from a labels file."""
    return reference.load(
        reference.export(known, tmp_path_factory.mktemp("labels") / "labels.json.gz")
    )


@pytest.fixture(scope="module")
def evaluated(whole_tree, tmp_path_factory):
    """Folder of a finished in-group run of a baseline over the true tree."""
    output, made = tmp_path_factory.mktemp("results"), {}

    def run(**options):
        key = json.dumps(options)
        if key not in made:
            result = runner.evaluate(
                "bimotion/random",
                data_dir=whole_tree,
                output=output,
                protocol="in-group",
                **options,
            )
            made[key] = result.folder(output)
        return made[key]

    return run


@cache
def _prepared(run):
    return submission.prepare(run, contact="me@lab.example", trained_on=["IEMOCAP", "CREMA-D"])


class Draft:
    """A submission to be spoilt, as thoroughly as its sender likes: what hangs on a change follows
    it, but for `kept`.

    result, statement   content of the JSON files, as plain dicts;  table: of the predictions, a
                        data frame
    then                called with the folder when all is written
    kept                of `key`, `statement`, `fingerprints`: left as they are
    """

    def __init__(self, run):
        prepared = list(_prepared(run).values())
        self.result, self.statement = json.loads(prepared[1]), json.loads(prepared[2])
        self.table = pq.read_table(pa.BufferReader(prepared[0])).to_pandas()
        self.then, self.kept = [], set()

    def rescored(self):
        """Scores made anew from the predictions: a sender who cheats will do so."""
        result = records.typed(Result, self.result, "result")
        scores = scoring.scores(
            self.table, rescoring.settings_of(result), SCHEMAS[result.schema.name]
        )
        self.result["scores"] = [dataclasses.asdict(score) for score in scores]

    def write(self, root):
        text = json.dumps(self.result, indent=1)
        try:
            result = records.typed(Result, self.result, "result")
            if "key" not in self.kept:
                result = dataclasses.replace(result, key=result.spec.key)
            text, self.result["key"] = result.to_json(), result.key
            if "statement" not in self.kept:
                self.statement["model"] |= {
                    "name": result.model.name,
                    "track": result.track,
                    "n_parameters": result.n_parameters,
                }
        except RecordError:
            pass
        name = str(self.result["model"]["name"]).rpartition("/")[2].replace("\n", "") or "x"
        folder = root / f"{self.statement['organisation']}__{name}" / str(self.result["key"])
        folder.mkdir(parents=True)
        (folder / RESULT).write_text(text)
        table = self.table
        if isinstance(table, pd.DataFrame):
            table = in_shape(table)
        pq.write_table(table, folder / PREDICTIONS, compression="zstd")
        self.seal(folder)
        for then in self.then:
            then(folder)
        return folder

    def seal(self, folder):
        """Statement with the fingerprints of what now lies in the folder."""
        if "fingerprints" not in self.kept:
            for name in (RESULT, PREDICTIONS):
                self.statement["fingerprints"][name] = hashlib.sha256(
                    (folder / name).read_bytes()
                ).hexdigest()
        (folder / STATEMENT).write_text(
            json.dumps(self.statement, indent=1, ensure_ascii=False) + "\n"
        )


def in_shape(table):
    """A data frame as the writer's own table; NaN stays NaN."""
    columns = {}
    for field in predictions.SHAPE:
        values = table[field.name].astype(object)
        if not pa.types.is_list(field.type):
            values = values.where(values.notna(), None)
        columns[field.name] = pa.array(values.tolist(), field.type, from_pandas=False)
    return pa.table(columns, schema=predictions.SHAPE)


# --- honest submissions -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(evaluated):
    """A run over English elders: three corpora, speakers of one of them unknown."""
    return evaluated(cells=["eng_eld"])


def test_an_honest_submission_is_verified(run, known, tmp_path):
    folder = submission.pack(run, tmp_path, contact=None, trained_on=["LibriSpeech"])
    verdict = verify.verify(folder, known)
    assert (verdict.problems, verdict.warnings, verdict.ok) == ([], [], True)
    assert verdict.result == record.load(run / RESULT)
    assert verdict.submission.trained_on == ["LibriSpeech"]
    assert verdict.hashes == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


def test_several_seeds_are_verified(evaluated, known, tmp_path):
    folder = submission.pack(
        evaluated(cells=["zho_eld"], seeds=[0, 3]), tmp_path, contact=None, trained_on=None
    )
    assert verify.verify(folder, known).problems == []


@pytest.mark.parametrize(
    "options", [{"split_rule": "disjoint"}, {"schema": "valence"}], ids=["emotion", "valence"]
)
def test_a_labels_file_serves_as_well_as_corpora(options, evaluated, of_file, tmp_path):
    folder = submission.pack(evaluated(**options), tmp_path, contact=None, trained_on=None)
    verdict = verify.verify(folder, of_file)
    assert verdict.problems == []
    assert verdict.warnings == [
        "labels of esd, iemocap are held against a hash: their licences keep them out of the file",
        "what the model was trained on before is not declared",
    ]


def test_contaminated_cells_are_told(run, known, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), known)
    assert verdict.ok
    assert verdict.warnings == ["eng_eld: the model was trained on crema_d before"]


def zero_shot(run, trained=("angry", "neutral")):
    """The draft of a model that is trained on nothing."""
    draft = Draft(run)
    draft.table["train"], draft.table["trained"] = "nothing", [list(trained)] * len(draft.table)
    draft.result |= {"track": "zero-shot"}
    draft.result["model"]["name"] = draft.statement["model"]["name"] = "lab/model"
    draft.statement["organisation"] = "lab"
    draft.result["fits"] = [dataclasses.asdict(FitRecord("nothing", 0, 0, 0, len(draft.table), {}))]
    draft.rescored()
    return draft


def test_a_model_that_is_trained_on_nothing_is_verified(run, known, tmp_path):
    assert verify.verify(zero_shot(run).write(tmp_path), known).problems == []


# --- receipts -----------------------------------------------------------------------------------


def received(folder, known, **options):
    """The verdict on one submission, and its receipt; as the command gives them."""
    name = f"{folder.parent.name}/{folder.name}"
    [verdict] = receiving.receive(folder.parents[1], [name], known, **{"baseline": True} | options)
    return verdict, receipt.load(
        receipt.folder_for(folder.parents[1], options.get("receipts")), name
    )


def test_receipts_hold_for_verified_files_only(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    verdict, found = received(folder, known)
    name = found.submission
    assert (name, found.sha256, found.practice) == (
        f"bimotion__random/{folder.name}",
        verdict.hashes,
        False,
    )
    assert sorted(found.sha256) == [PREDICTIONS, RESULT, STATEMENT]
    assert found.why_not(name, receipt.digests(folder), practice=False) is None
    assert (
        receipt.entry(tmp_path / "receipts", name, found)
        == (tmp_path / "receipts" / name / "entry.npz").read_bytes()
    )
    _, found = received(folder, known, practice=True)
    assert found.why_not(name, verdict.hashes, practice=False) == "verified for practice only"
    assert found.why_not(name, verdict.hashes, practice=True) is None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / RESULT).write_text("{}")
    verdict, found = received(folder, known)
    assert (verdict.ok, found, list((tmp_path / "receipts").iterdir())) == (False, None, [])


def test_receipts_may_lie_elsewhere_but_in_no_submissions(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    assert received(folder, known, receipts=tmp_path / "mine")[1] is not None
    assert not (tmp_path / "receipts").exists()
    with pytest.raises(SettingError, match="outside of the submissions"):
        received(folder, known, receipts=tmp_path / "submissions" / "receipts")


def test_a_flipped_byte_of_any_file_makes_an_entry_unverified(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    _, found = received(folder, known)
    for path in folder.iterdir():
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            reason = found.why_not(found.submission, receipt.digests(folder), practice=False)
            assert reason == f"changed since it was verified: {path.name}"
        assert board.build(tmp_path / "submissions").entries == []
        path.write_bytes(data)
    (entry,) = board.build(tmp_path / "submissions").entries
    assert (entry.marks.verified, entry.marks.floor) == (True, True)


def test_a_baseline_is_what_the_receiver_says_of_one_run(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    verdict, found = received(folder, known, baseline=False)
    assert (verdict.ok, found) == (False, None)
    assert verdict.problems == [
        "model: bimotion/* is reserved for baselines that the receiver made: if you made "
        "this one, verify it with --baseline"
    ]
    assert received(folder, known)[1].baseline is True
    # said before, of the same files
    assert received(folder, known, baseline=False)[1].baseline is True
    statement = json.loads((folder / STATEMENT).read_text())
    (folder / STATEMENT).write_text(
        json.dumps(statement | {"contact": "a stranger"}, indent=1) + "\n"
    )
    assert received(folder, known, baseline=False)[1] is None
    with pytest.raises(
        SettingError, match="a baseline is verified by itself: expected one submission, found 2"
    ):
        receiving.receive(tmp_path, ["a/b", "c/d"], known, baseline=True)


@pytest.mark.parametrize(
    ("organisation", "model"),
    [
        ("bimotion", "bimotion/large"),
        ("BiMotion", "BiMotion/prosody"),
        ("b1m0tion", "b1m0tion/prosody"),
        ("birnotion", "birnotion/random"),
        ("bi-motion", "bi-motion/random"),
        ("BIMOTI0N", "prosody"),
    ],
)
def test_no_stranger_takes_the_name_of_a_baseline(organisation, model, run, known, tmp_path):
    for baseline in (False, True):
        draft = Draft(run)
        draft.result["model"]["name"], draft.statement["organisation"] = model, organisation
        verdict, found = received(draft.write(tmp_path / str(baseline)), known, baseline=baseline)
        assert found is None
        assert verdict.problems == [
            "model: bimotion/* is reserved for bimotion/majority, bimotion/prosody, "
            f"bimotion/random; found {model}"
        ]


def named(run, model, root):
    """A submission of a model, with probabilities of its own."""
    draft = Draft(run)
    draft.result["model"]["name"], draft.statement["organisation"] = model, model.partition("/")[0]
    return draft.write(root)


def test_names_that_look_alike_are_refused(run, known, tmp_path):
    root = tmp_path / "submissions"
    first = named(run, "lab/x1", root)
    assert received(first, known, baseline=False)[1] is not None
    others = [named(run, model, root) for model in ("Lab/x1", "lab/xl", "1ab/x1", "lab/X-1")]
    names = [f"{folder.parent.name}/{folder.name}" for folder in (first, *others)]
    verdicts = receiving.receive(root, names, known)
    assert [verdict.ok for verdict in verdicts] == [True, False, False, False, True]
    assert verdicts[1].problems == ["name: Lab__x1 can be mistaken for lab__x1, that has a receipt"]
    for folder in (first, others[-1]):
        folder.rename(tmp_path / folder.name)  # gone: its name is free again
    [new, both] = receiving.receive(root, names[1:3], known)
    assert (
        "name: Lab__x1 can be mistaken for lab__xl, that is verified at the same time: remove one"
        in new.problems
    )
    assert not both.ok
    assert receiving.receive(root, names[1:2], known)[0].ok


def test_a_renamed_submission_has_no_receipt(run, known, tmp_path):
    root = tmp_path / "submissions"
    folder = named(run, "lab/x", root)
    received(folder, known, baseline=False)
    (entry,) = board.build(root).entries
    assert entry.marks.verified
    folder.parent.rename(root / "evil__x")
    # even if its receipt goes along
    (tmp_path / "receipts" / "lab__x").rename(tmp_path / "receipts" / "evil__x")
    (entry,) = board.build(root).entries
    assert (entry.marks.verified, entry.standing) == (False, None)
    assert entry.marks.unverified == f"its receipt speaks of 'lab__x/{folder.name}'"


COPIES = {
    "equal": lambda p: p,
    "rounded": lambda p: p.round(2),
    "shaken": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 0.003, p.shape), 0, 1),
    "sharpened": lambda p: p**1.2,
}


def test_a_copy_of_another_entry_is_marked_on_both(run, known, tmp_path):
    """Scores follow from the copy, so it is verified; an entry of its own has no mark."""
    for number, (name, change) in enumerate({**COPIES, "other": lambda p: p[::-1]}.items()):
        draft = Draft(run)
        draft.result["model"]["name"], draft.statement["organisation"] = f"lab/{name}", "lab"
        draft.table["probabilities"] = list(
            change(np.stack(draft.table["probabilities"])).astype(np.float32)
        )
        draft.rescored()
        verdict, _ = received(draft.write(tmp_path / "submissions"), known, baseline=False)
        assert verdict.ok, (number, verdict.problems)
    marks = {entry.model: entry.marks for entry in board.build(tmp_path / "submissions").entries}
    copies = {f"lab/{name}" for name in COPIES}
    assert {name: set(one.same_predictions) for name, one in marks.items()} == {
        "lab/other": set(),
        **{name: copies - {name} for name in copies},
    }
    assert {one.verified for one in marks.values()} == {True}


STATEMENTS = [
    "IEM0CAP",
    "ＩＥＭＯＣＡＰ",
    "ІЕМОСАР",
    "IEMOCAPdataset",
    "I\u0332EMOCAP",
    "my-iemocap-v2",
]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_spelling_hides_a_corpus(name, evaluated, known, tmp_path):
    run = evaluated(cells=["eng_adu"])
    draft = Draft(run)
    draft.result["model"]["name"], draft.statement["organisation"] = "lab/x", "lab"
    # as earlier versions said
    draft.statement |= {"trained_on": [name], "contamination": {"eng_adu": []}}
    folder = draft.write(tmp_path / "submissions")
    verdict, found = received(folder, known, baseline=False)
    assert found is None
    assert verdict.problems == [
        "submission.json: contamination: expected {'eng_adu': ['iemocap']}, found {'eng_adu': []}"
    ]
    (entry,) = board.build(tmp_path / "submissions").entries
    assert entry.marks.contaminated == {"eng_adu": ["iemocap"]}


def test_practice_is_another_thing(shared_corpora, known, tmp_path):
    output = tmp_path / "results"
    result = runner.evaluate(
        "bimotion/random",
        data_dir=shared_corpora,
        output=output,
        protocol="in-group",
        allow_missing=True,
    )
    assert result.skipped
    folder = submission.pack(
        result.folder(output), tmp_path, contact=None, trained_on=None, practice=True
    )
    practice = AnswerKey.of_corpora(shared_corpora, practice=True)
    assert verify.verify(folder, practice, practice=True).problems == []
    assert "expected complete corpora" in verify.verify(folder, practice).problems[0]
    assert not verify.verify(folder, known, practice=True).ok


def test_a_reference_without_the_corpora_verifies_nothing(run, known, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), known.only(["tess", "csed"]))
    assert verdict.problems == [
        "result.json: cannot be checked: the reference has no crema_d, elderreact"
    ]
    assert not verdict.ok


def test_the_wrong_corpora_withdraw_no_receipt(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    _, before = received(folder, known)
    verdict, found = received(folder, known.only(["tess", "csed"]))
    assert (verdict.ok, found) == (False, before)
    assert board.build(tmp_path / "submissions").entries[0].marks.verified


def test_a_labels_file_says_what_it_cannot_check(run, of_file, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), of_file)
    assert verdict.problems == [
        "result.json: data.fingerprint cannot be checked: a labels file knows whole "
        "protocols only; verify with the corpora"
    ]


# --- tampering ----------------------------------------------------------------------------------


def rows(change):
    """A change of the whole table of predictions."""

    def tamper(draft):
        draft.table = change(draft.table.copy())

    return tamper


def cell(column, place, value):
    """Another value in one row of the predictions."""

    def tamper(draft):
        values = draft.table[column].tolist()
        values[place] = value(values[place]) if callable(value) else value
        draft.table[column] = values

    return tamper


def number(place, value):
    return lambda numbers: np.array(
        [value if at == place else one for at, one in enumerate(numbers)], np.float32
    )


def asked(*path, to):
    """Another value in result.json."""

    def tamper(draft):
        inner = draft.result
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to(inner[path[-1]]) if callable(to) else to

    return tamper


def said(field, to):
    """Another value in submission.json."""

    def tamper(draft):
        draft.kept.add("statement")
        draft.statement[field] = to(draft.statement[field]) if callable(to) else to

    return tamper


def afterwards(change, seal=True):
    """A change of the written files."""

    def tamper(draft):
        draft.then.append(change)
        if seal:
            draft.then.append(draft.seal)

    return tamper


def kept(name, tamper):
    def tampered(draft):
        draft.kept.add(name)
        tamper(draft)

    return tampered


def shaped(change):
    """Predictions of another shape."""

    def tamper(draft):
        draft.table = change(in_shape(draft.table))

    return tamper


def swapped_probabilities(draft):
    said = draft.table["probabilities"].tolist()
    said[0], said[1] = said[1], said[0]
    draft.table["probabilities"] = said


def swapped_label(reference):
    marks = np.array(reference)
    marks[[list(marks).index(1), list(marks).index(0)]] = 0, 1
    return marks


def other_id(table):
    table.loc[3, "id"] = "tess/OAF_none_neutral"
    return table


def labels_after_predictions(draft):
    """Every label moved to where the model is right, and the scores made anew: all of a piece, and
    all wrong."""
    pairs = list(zip(draft.table["probabilities"], draft.table["reference"], strict=True))
    best = [np.where(marks == -1, -1, said).argmax() for said, marks in pairs]
    draft.table["reference"] = [
        np.where(marks == -1, -1, np.arange(13) == place)
        for place, (_, marks) in zip(best, pairs, strict=True)
    ]
    draft.rescored()
    assert {
        score["value"] for score in draft.result["scores"] if score["metric"] == "accuracy"
    } == {1.0}


def train_clip(table):
    extra = table.iloc[[0]].assign(id="crema_d/1009_DFA_ANG_XX")
    return pd.concat([table, extra], ignore_index=True)


def renamed(name):
    def tamper(draft):
        draft.result["model"]["name"] = name

    return tamper


def seeds_promised(draft):
    draft.result["seeds"] = [0, 1]
    draft.result["fits"] = [fit | {"seed": seed} for fit in draft.result["fits"] for seed in (0, 1)]


def linked(name):
    def change(folder):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return change


def folder_linked(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def rewritten(name, content):
    def change(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(content(data) if callable(content) else content)

    return change


def oversize(name, n_bytes):
    return lambda folder: os.truncate(folder / name, n_bytes)  # sparse: costs no disk


def footer_of(n_bytes):
    return lambda data: data[:-8] + n_bytes.to_bytes(4, "little") + data[-4:]


def bomb(folder):
    """One text of 64 KiB for every row: a few KB of file, a good 6 GB of columns."""
    n = 100_000
    word = pa.array(["x" * 2**16])
    columns = [pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), word)] * 5
    numbers = pa.array(np.zeros(n, np.int64))
    offsets = pa.array(np.zeros(n + 1, np.int32))
    lists = [
        pa.ListArray.from_arrays(offsets, pa.array([], field.type.value_type))
        for field in predictions.SHAPE
        if pa.types.is_list(field.type)
    ]
    table = pa.table([*columns, numbers, *lists], names=predictions.SHAPE.names)
    pq.write_table(table, folder / PREDICTIONS, store_schema=False)


def many_groups(folder):
    table = pq.read_table(folder / PREDICTIONS)
    pq.write_table(table, folder / PREDICTIONS, row_group_size=1)


class Trap:
    def __reduce__(self):
        return os.system, ("touch /tmp/bimotion-was-here",)


TAMPERED = {
    # predictions, with scores that follow where that helps
    "probabilities of two clips exchanged": (swapped_probabilities, "scores["),
    "label changed": (cell("reference", 0, swapped_label), "reference: expected"),
    "labels after the predictions": (labels_after_predictions, "reference: expected"),
    "label taken away": (
        cell("reference", 0, lambda marks: np.minimum(marks, 0)),
        "reference: expected",
    ),
    "class said to be not annotated": (
        cell("reference", 0, lambda marks: np.full(13, -1)),
        "reference: expected",
    ),
    "mark out of range": (
        cell("reference", 0, lambda marks: np.full(13, 5)),
        "expected marks 1, 0 and -1",
    ),
    "row dropped": (rows(lambda t: t.drop(index=7)), "expected all test clips, missing: 'crema_d/"),
    "corpus dropped": (rows(lambda t: t[t["corpus"] != "elderreact"]), "missing: 'elderreact/"),
    "row twice": (
        rows(lambda t: pd.concat([t, t.iloc[[5]]])),
        "expected each clip once, found twice: 'crema_d/",
    ),
    "training clip tested": (
        rows(train_clip),
        "expected test clips of the split alone, found 'crema_d/1009_DFA_ANG_XX'",
    ),
    "other id": (rows(other_id), "found 'tess/OAF_none_neutral'"),
    "other corpus": (cell("corpus", 0, "tess"), "corpus: expected 'crema_d', found 'tess'"),
    "other cell": (cell("cell", 0, "eng_adu"), "cell: expected 'eng_eld', found 'eng_adu'"),
    "speakers merged": (
        rows(
            lambda t: t.assign(speaker=t["speaker"].where(t["corpus"] != "crema_d", "crema_d/1016"))
        ),
        "speaker: expected another, found 'crema_d/1016'",
    ),
    "speaker invented": (
        cell("speaker", 450 - 1, "elderreact/1"),
        "speaker: expected None, found 'elderreact/1'",
    ),
    "speaker hidden": (cell("speaker", 0, None), "speaker: expected another, found None"),
    "NaN": (
        cell("probabilities", 4, number(2, np.nan)),
        "finite numbers from 0 to 1, found nan at",
    ),
    "infinity": (
        cell("probabilities", 4, number(2, np.inf)),
        "finite numbers from 0 to 1, found inf at",
    ),
    "beyond 1": (
        cell("probabilities", 4, number(2, 1.5)),
        "finite numbers from 0 to 1, found 1.5 at",
    ),
    "negative": (
        cell("probabilities", 4, number(12, -0.25)),
        "finite numbers from 0 to 1, found -0.25 at",
    ),
    "class too few": (
        cell("probabilities", 4, lambda one: one[:-1]),
        "one number for each of 13 classes, found 12",
    ),
    "class too many": (
        cell("probabilities", 4, lambda one: [*one, 0.5]),
        "one number for each of 13 classes, found 14",
    ),
    "no classes": (
        cell("reference", 4, []),
        "column reference: expected one number for each of 13 classes, found 0",
    ),
    "a thousand classes": (cell("probabilities", 4, [0.5] * 1000), "expected lists of at most 64"),
    "null for a list": (cell("probabilities", 4, None), "found a null or a longer one"),
    "null in a list": (
        cell("trained", 4, ["angry", None]),
        "column trained: expected a value in every row, found 1 nulls",
    ),
    "null for an id": (
        cell("id", 4, None),
        "column id: expected a value in every row, found 1 nulls",
    ),
    "long text": (cell("train", 4, "x" * 300), "column train: expected texts of at most 256 bytes"),
    "seed that nobody asked for": (
        rows(lambda t: pd.concat([t, t.assign(seed=1)])),
        "alone, found ('eng_eld', 1)",
    ),
    "seed missing": (
        seeds_promised,
        "eng_eld, seed 1: expected predictions of its test clips, found none",
    ),
    "training set renamed": (
        rows(lambda t: t.assign(train="all")),
        "eng_eld, seed 0: expected predictions of its test",
    ),
    "trained on less": (
        rows(lambda t: t.assign(trained=[["angry"]] * len(t))),
        "eng_eld: trained: expected sadness|",
    ),
    "trained joined into one name": (
        rows(lambda t: t.assign(trained=[["|".join(names)] for names in t["trained"]])),
        "column trained: expected classes of schema emotion, found 'sadness|",
    ),
    "trained differs in a row": (
        cell("trained", 9, ["angry"]),
        "eng_eld: trained: expected sadness|",
    ),
    # shape of the predictions
    "text for numbers": (
        shaped(lambda t: t.set_column(5, "seed", t["seed"].cast(pa.string()))),
        "other: seed: string",
    ),
    "double for float": (
        shaped(
            lambda t: t.set_column(
                6, "probabilities", t["probabilities"].cast(pa.list_(pa.float64()))
            )
        ),
        "other: probabilities: list",
    ),
    "column too many": (shaped(lambda t: t.append_column("note", t["id"])), "other: note"),
    "column missing": (shaped(lambda t: t.drop_columns("speaker")), "other: speaker"),
    "columns in another order": (shaped(lambda t: t.select(t.schema.names[::-1])), "other: order"),
    "nested column": (
        shaped(lambda t: t.set_column(8, "trained", pa.array([[["a"]]] * len(t)))),
        "other: trained: list<",
    ),
    "no rows": (shaped(lambda t: t.slice(0, 0)), "expected 1 to 2000000 rows, found 0"),
    "row groups of one row": (afterwards(many_groups), "expected 1 to 1000 row groups, found 1153"),
    # bytes of the predictions
    "truncated": (
        afterwards(rewritten(PREDICTIONS, lambda data: data[:-100])),
        "expected Parquet, found a file",
    ),
    "half": (
        afterwards(rewritten(PREDICTIONS, lambda data: data[: len(data) // 2] + data[-8:])),
        "cannot be read as Parquet",
    ),
    "pickle": (
        afterwards(rewritten(PREDICTIONS, pickle.dumps(Trap()))),
        "expected Parquet, found a file that begins with",
    ),
    "tiny": (afterwards(rewritten(PREDICTIONS, b"PAR1")), "expected Parquet, found 4 bytes"),
    "footer of 4 GB": (
        afterwards(rewritten(PREDICTIONS, footer_of(2**32 - 1))),
        "expected a footer of at most",
    ),
    "footer of nothing": (
        afterwards(rewritten(PREDICTIONS, footer_of(0))),
        "predictions.parquet: cannot be read as Parquet",
    ),
    "zeros": (
        afterwards(
            rewritten(PREDICTIONS, lambda data: b"PAR1" + bytes(len(data) - 12) + data[-8:])
        ),
        "read as Parquet",
    ),
    "oversize predictions": (
        afterwards(oversize(PREDICTIONS, predictions.MAX_BYTES + 1), seal=False),
        "found 536870913",
    ),
    "bomb": (afterwards(bomb), "reading it takes more than 3 GiB of memory"),
    # scores and key
    "score": (asked("scores", 0, "value", to=0.99), "scores[0].value: expected 0."),
    "score a little": (
        asked("scores", 0, "value", to=lambda value: value + 1e-6),
        "scores[0].value",
    ),
    "score removed": (asked("scores", 0, "value", to=None), "scores[0].value"),
    "interval": (asked("scores", 0, "low", to=0.5), "scores[0].low"),
    "speakers counted": (asked("scores", 0, "n_speakers", to=91), "scores[0].n_speakers"),
    "score row removed": (asked("scores", to=lambda rows: rows[1:]), "scores: expected"),
    "key": (kept("key", asked("key", to="0" * 12)), "(the hash of its spec), found 000000000000"),
    "spec without its key": (
        kept("key", asked("model", "version", to="2")),
        "(the hash of its spec)",
    ),
    # what was asked
    "limit": (asked("limit", to=6), "expected all clips, found a run with limit 6"),
    "synthetic": (
        asked(
            "data",
            to=lambda data: (
                data
                | {
                    "synthetic": True,
                    "corpora": {
                        name: used | {"synthetic": True} for name, used in data["corpora"].items()
                    },
                }
            ),
        ),
        "found synthetic data",
    ),
    "incomplete": (
        asked(
            "data",
            to=lambda data: (
                data
                | {
                    "complete": False,
                    "corpora": {
                        name: used | {"complete": False} for name, used in data["corpora"].items()
                    },
                }
            ),
        ),
        "expected complete corpora",
    ),
    "incomplete hidden": (
        asked("data", "corpora", "tess", "n_found", to=2000),
        "tess.n_found: expected all 2800, found 2000",
    ),
    "setting skipped": (
        asked(
            "skipped",
            to=[
                {
                    "transfer": "in-group",
                    "method": "inference",
                    "train": ["eng_eld"],
                    "test": "eng_eld",
                    "reason": "lost",
                }
            ],
        ),
        "found 1 skipped: lost",
    ),
    "protocol version": (
        asked("protocol", "version", to="0"),
        "protocol.version: expected '1', found '0'",
    ),
    "split version": (asked("split", "version", to="0"), "split.version: expected '1', found '0'"),
    "split seed": (asked("split", "seed", to=7), "split.seed: expected 0, found 7"),
    "split rule": (asked("split", "rule", to="disjoint"), "expected"),
    "unknown rule": (
        asked("split", "rule", to="mine"),
        "split.rule: expected one of paper, disjoint, found 'mine'",
    ),
    "schema version": (
        asked("schema", "version", to="0"),
        "schema.version: expected '1', found '0'",
    ),
    "classes in another order": (
        asked("schema", "classes", to=lambda names: names[::-1]),
        "schema.classes: expected",
    ),
    "unknown schema": (asked("schema", "name", to="../../x"), "schema.name: expected one of"),
    "unknown protocol": (asked("protocol", "name", to="mine"), "protocol.name: expected one of"),
    "unknown track": (asked("track", to="magic"), "track: expected one of"),
    "another protocol": (asked("protocol", "name", to="inference"), "expected"),
    "more cells": (asked("protocol", "cells", to=["eng_adu", "eng_eld"]), "data.corpora"),
    "cells twice": (
        asked("protocol", "cells", to=["eng_eld", "eng_eld"]),
        "protocol.cells: expected null or names in order",
    ),
    "no cells": (
        asked("protocol", "cells", to=[]),
        "protocol.cells: expected null or names in order",
    ),
    "unknown cell": (asked("protocol", "cells", to=["eng_old"]), "unknown cell 'eng_old'"),
    "cell of another protocol": (
        asked("protocol", "cells", to=["yue_adu"]),
        "protocol.cells: expected cells that",
    ),
    "no seeds": (asked("seeds", to=[]), "seeds: expected 1 to 30"),
    "seeds twice": (asked("seeds", to=[0, 0]), "seeds: expected 1 to 30"),
    "negative seed": (asked("seeds", to=[-1]), "seeds: expected 1 to 30"),
    "too many seeds": (asked("seeds", to=[*range(31)]), "seeds: expected 1 to 30"),
    "negative size": (
        asked("n_parameters", to=-5),
        "n_parameters: expected null or a number from 0",
    ),
    # what it says of its data
    "other data": (asked("data", "fingerprint", to="0" * 16), "data.fingerprint: expected"),
    "ages measured": (
        asked("data", "corpora", "elderreact", "age_source", to={"measured": 1323}),
        "age_source: expected",
    ),
    "speakers apart": (
        asked("data", "corpora", "tess", "speakers_shared", to=None),
        "speakers_shared: expected 'one speaker",
    ),
    "clips counted": (
        asked("data", "corpora", "tess", "n_utterances", to=9),
        "tess.n_utterances: expected 1399, found 9",
    ),
    "published less": (
        asked("data", "corpora", "tess", "n_published", to=9),
        "tess.n_published: expected 2800, found 9",
    ),
    "corpus not told": (
        asked("data", "corpora", to=lambda all: {"tess": all["tess"]}),
        "data.corpora: expected",
    ),
    "corpus too many": (
        asked("data", "corpora", to=lambda all: all | {"x": all["tess"]}),
        "data.corpora: expected",
    ),
    "training clips counted": (
        asked("fits", 0, "n_train", to=1),
        "fits: eng_eld, seed 0: clips: expected",
    ),
    "training not told": (
        asked("fits", to=[]),
        "fits: expected one a training set and seed (1), found 0",
    ),
    # names
    "path in the name": (renamed("../../etc/passwd"), "expected a name (or organisation/name)"),
    "absolute path": (renamed("/etc"), "expected a name (or organisation/name)"),
    "line break in the name": (renamed("bimotion/a\nb"), "expected a name (or organisation/name)"),
    "name of another": (kept("statement", renamed("bimotion/prosody")), "model: expected"),
    "organisation": (
        said("organisation", "lab"),
        "organisation: expected bimotion, as the model's name says, found 'lab'",
    ),
    "organisation with a path": (said("organisation", "a"), "found 'a'"),
    # statement
    "contamination removed": (said("contamination", {"eng_eld": []}), "contamination: expected"),
    "contamination not told": (said("contamination", None), "contamination: expected"),
    "training data no longer declared": (said("trained_on", None), "contamination: expected None"),
    "contact of two lines": (said("contact", "a\nb"), "contact: expected one line"),
    "other fingerprint": (
        kept("fingerprints", said("fingerprints", {RESULT: "0", PREDICTIONS: "0"})),
        "found '0'",
    ),
    "fingerprint of another file": (
        said("fingerprints", lambda all: all | {"../../x": "0"}),
        "fingerprints.../../x: expected",
    ),
    "fingerprint missing": (kept("fingerprints", said("fingerprints", {})), "found None"),
    "size told": (said("model", lambda facts: facts | {"n_parameters": 1}), "model: expected"),
    "later statement": (said("submission_version", 2), "expected submission_version 1, found 2"),
    "result changed afterwards": (
        afterwards(rewritten(RESULT, lambda data: data + b"\n"), seal=False),
        "fingerprints.result.json: expected",
    ),
    # bytes of the JSON files
    "field twice": (
        afterwards(
            rewritten(
                RESULT, lambda data: data.replace(b'"limit": null', b'"limit": 6,\n "limit": null')
            )
        ),
        "expected JSON as bimotion writes it",
    ),
    "odd spelling": (
        afterwards(rewritten(STATEMENT, lambda data: data + b" "), seal=False),
        "as bimotion writes it",
    ),
    "NaN in JSON": (
        afterwards(
            rewritten(RESULT, lambda data: data.replace(b'"outside": 0.0', b'"outside": NaN'))
        ),
        "NaN is no number in JSON",
    ),
    "half a surrogate": (
        afterwards(
            rewritten(RESULT, lambda data: data.replace(b'"python": "', b'"python": "\\ud800'))
        ),
        "cannot be read: 'utf-8' codec can't encode",
    ),
    "deep JSON": (afterwards(rewritten(RESULT, b"[" * 200_000)), "expected a result in JSON"),
    "deep statement": (
        afterwards(rewritten(STATEMENT, b"[" * 200_000), seal=False),
        "expected a submission in JSON",
    ),
    "oversize JSON": (
        afterwards(oversize(RESULT, record.MAX_RESULT_BYTES + 1), seal=False),
        "found 33554433",
    ),
    "oversize statement": (afterwards(oversize(STATEMENT, 2**20 + 1), seal=False), "found 1048577"),
    "empty result": (
        afterwards(rewritten(RESULT, b""), seal=False),
        "result.json: expected 1 to 33554432 bytes, found 0",
    ),
    # files
    "file too many": (
        afterwards(lambda folder: (folder / "run.py").write_text("1/0"), seal=False),
        "only, found 'run.py'",
    ),
    "hidden file": (
        afterwards(lambda folder: (folder / ".lock").touch(), seal=False),
        "only, found '.lock'",
    ),
    "file missing": (
        afterwards(lambda folder: (folder / PREDICTIONS).unlink(), seal=False),
        "expected a file, found none",
    ),
    "linked result": (
        afterwards(linked(RESULT), seal=False),
        "result.json: expected a plain file, found a link",
    ),
    "linked predictions": (
        afterwards(linked(PREDICTIONS), seal=False),
        "predictions.parquet: expected a plain file",
    ),
    "linked statement": (
        afterwards(linked(STATEMENT), seal=False),
        "submission.json: expected a plain file",
    ),
    "its own verified.json": (
        afterwards(lambda folder: (folder / "verified.json").touch(), seal=False),
        "verified.json: receipts are the receiver's and lie outside of submissions",
    ),
    "its own derived.npz": (
        afterwards(lambda folder: (folder / "derived.npz").symlink_to("/etc/hostname"), seal=False),
        "derived.npz: receipts are the receiver's and lie outside of submissions",
    ),
    "its own receipt": (
        afterwards(lambda folder: (folder / "receipt.json").write_text("{}"), seal=False),
        "receipt.json: receipts are the receiver's and lie outside of submissions",
    ),
    "linked folder": (afterwards(folder_linked, seal=False), "expected a folder, found a link"),
    "folder for a file": (
        afterwards(
            lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).mkdir()), seal=False
        ),
        "result.json: expected a plain file",
    ),
    "pipe for a file": (
        afterwards(
            lambda folder: ((folder / RESULT).unlink(), os.mkfifo(folder / RESULT)), seal=False
        ),
        "result.json: expected a plain file",
    ),
}


@pytest.fixture(scope="module")
def verdicts(run, known, tmp_path_factory):
    """Name -> verdict, of every tampered submission."""
    folders = {}
    for name, (tamper, _) in TAMPERED.items():
        draft = Draft(run)
        tamper(draft)
        folders[name] = draft.write(tmp_path_factory.mktemp("tampered"))
    return dict(zip(folders, verify.verify_all([*folders.values()], known), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [(name, message) for name, (_, message) in TAMPERED.items()],
    ids=list(TAMPERED),
)
def test_tampering_is_refused_with_its_reason(name, message, verdicts):
    verdict = verdicts[name]
    assert not verdict.ok
    assert verdict.result is None
    assert any(message in problem for problem in verdict.problems), verdict.problems
    assert all(
        problem.isprintable() and len(problem) <= verify.MAX_LINE + 3
        for problem in verdict.problems
    )
    assert not [problem for problem in verdict.problems if problem.startswith("unexpected ")]
    assert len(verdict.problems) <= verify.MAX_LINES


def test_an_untouched_draft_is_verified(run, known, tmp_path):
    assert verify.verify(Draft(run).write(tmp_path), known).problems == []


def test_a_submission_lies_in_its_own_folder(run, known, tmp_path):
    folder = Draft(run).write(tmp_path)
    for other in (folder.with_name("0" * 12), tmp_path / "lab__random" / folder.name):
        other.parent.mkdir(exist_ok=True)
        folder = folder.rename(other)
        assert "folder: expected 'bimotion__random/" in verify.verify(folder, known).problems[0]


def test_no_code_of_a_submission_runs(run, known, tmp_path, monkeypatch):
    """Neither a pickle, nor modules that lie where the receiver stands."""
    folder = Draft(run).write(tmp_path)
    for name in ("pyarrow", "json", "bimotion", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert verify.verify(folder.relative_to(tmp_path), known).problems == []
    assert not (tmp_path / "ran").exists()


def test_nothing_is_written_where_a_submission_lies(run, known, tmp_path, untouched):
    folder = Draft(run).write(tmp_path)
    with untouched(tmp_path):
        verify.verify(folder, known)


def test_receipts_follow_no_link(run, known, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder = Draft(run).write(tmp_path / "submissions")
    place = tmp_path / "receipts" / folder.parent.name / folder.name
    place.mkdir(parents=True)
    for name in ("receipt.json", "entry.npz"):
        (place / name).symlink_to(victim)
    received(folder, known)
    assert not any(path.is_symlink() for path in place.iterdir())
    for name in ("receipt.json", "entry.npz"):
        (place / name).unlink()
        (place / name).symlink_to(victim)
    (folder / RESULT).write_text("{}")
    received(folder, known)
    assert not place.exists()
    assert victim.read_text() == "theirs"


WITHHELD = {
    "label": lambda t: t.assign(
        reference=[*map(swapped_label, t["reference"][:1]), *t["reference"][1:]]
    ),
    "clip": lambda t: t.drop(index=0),
}


@pytest.mark.parametrize("change", WITHHELD.values(), ids=list(WITHHELD))
def test_labels_that_the_file_withholds_are_held_against_a_hash(
    change, evaluated, of_file, tmp_path
):
    draft = Draft(evaluated(schema="valence"))
    mine = draft.table[draft.table["corpus"] == "esd"]
    others = draft.table[draft.table["corpus"] != "esd"]
    draft.table = pd.concat([change(mine.reset_index(drop=True)), others], ignore_index=True)
    verdict = verify.verify(draft.write(tmp_path), of_file)
    assert len(verdict.problems) == 1
    assert "esd in " in verdict.problems[0]
    assert verdict.problems[0].endswith("expected the ids and reference of its hash, found others")


def test_probabilities_of_exclusive_classes_sum_to_one(evaluated, known, tmp_path):
    draft = Draft(evaluated(schema="valence", cells=["zho_eld"]))
    draft.result["model"]["name"], draft.statement["organisation"] = "lab/model", "lab"
    verdict = verify.verify(draft.write(tmp_path / "a"), known)
    assert "expected classes that sum to 1, found" in verdict.problems[0]
    draft.table["probabilities"] = [one / one.sum() for one in draft.table["probabilities"]]
    draft.rescored()
    assert verify.verify(draft.write(tmp_path / "b"), known).problems == []


def test_classes_without_training_are_the_same_everywhere(run, known, tmp_path):
    draft = zero_shot(run)
    draft.table["trained"] = [["angry", "neutral"], ["neutral"]] + [["angry", "neutral"]] * (
        len(draft.table) - 2
    )
    verdict = verify.verify(draft.write(tmp_path / "a"), known)
    assert "trained: expected the same classes in every row, in order" in verdict.problems[0]
    verdict = verify.verify(zero_shot(run, ("neutral", "angry")).write(tmp_path / "b"), known)
    assert (
        "trained: expected the same classes in every row, in order, found 'neutral|angry'"
        in verdict.problems[0]
    )


# --- any bytes ----------------------------------------------------------------------------------

mutations = st.tuples(
    st.sampled_from([RESULT, PREDICTIONS, STATEMENT]),
    st.sampled_from(["flip", "cut", "insert", "splice", "repeat"]),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
    st.booleans(),
)


def mutated(data, how, first, second, with_):
    start, end = sorted((int(first * len(data)), int(second * len(data))))
    changes = {
        "flip": lambda: (
            data[:start]
            + bytes(a ^ b for a, b in zip(data[start : start + len(with_)], with_, strict=False))
            + data[start + len(with_) :]
        ),
        "cut": lambda: data[:start] + data[start + len(with_) :],
        "insert": lambda: data[:start] + with_ + data[start:],
        "splice": lambda: data[:start] + data[end:],
        "repeat": lambda: data[:end] + data[start:],
    }
    return changes[how]()


@pytest.fixture(scope="module")
def small(evaluated):
    """The draft of a small submission: 400 clips of one corpus."""
    return Draft(evaluated(cells=["zho_eld"]))


@settings(derandomize=True, deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(mutations, min_size=100, max_size=100))
def test_whatever_the_bytes_there_is_a_verdict(batch, small, known, tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    folders, whole = [], small.write(root / "whole")
    content = {path.name: path.read_bytes() for path in whole.iterdir()}
    for place, (name, how, first, second, with_, sealed) in enumerate(batch):
        folder = root / str(place) / "bimotion__random" / small.result["key"]
        folder.mkdir(parents=True)
        for other, data in content.items():
            (folder / other).write_bytes(
                mutated(data, how, first, second, with_) if other == name else data
            )
        if sealed and name != STATEMENT:
            small.seal(folder)
        folders.append(folder)
    started = time.perf_counter()
    assert verify.verify(whole, known).ok
    sound_s, started = time.perf_counter() - started, time.perf_counter()
    for verdict in verify.verify_all(folders, known):
        assert not [problem for problem in verdict.problems if problem.startswith("unexpected ")]
        assert all(problem.isprintable() for problem in verdict.problems)
        assert verdict.ok == (verdict.problems == [])
    # none costs much more than a sound one
    assert (time.perf_counter() - started) / len(folders) < 10 * sound_s


def test_a_verdict_on_what_is_not_there(known, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "nothing", tmp_path / "file", tmp_path):
        assert not verify.verify(path, known).ok


def test_predictions_are_read_as_they_were_written(run, tmp_path):
    with (tmp_path / PREDICTIONS).open("wb") as file:
        predictions.write(run / PREDICTIONS, file)
    table = predictions.read(tmp_path / PREDICTIONS).to_pandas()
    ours = pd.read_parquet(run / PREDICTIONS)
    pd.testing.assert_frame_equal(table[ours.columns], ours, check_dtype=False)
    assert predictions.inspect([tmp_path / PREDICTIONS] * 2) == [None, None]
    assert predictions.inspect([]) == []


def test_more_rows_than_any_run_are_refused_unread(tmp_path):
    n = predictions.MAX_ROWS + 1
    word = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x"]))
    lists = [
        pa.ListArray.from_arrays(
            pa.array(np.zeros(n + 1, np.int32)), pa.array([], field.type.value_type)
        )
        for field in predictions.SHAPE
        if pa.types.is_list(field.type)
    ]
    table = pa.table(
        [*[word] * 5, pa.array(np.zeros(n, np.int64)), *lists], names=predictions.SHAPE.names
    )
    pq.write_table(table, tmp_path / PREDICTIONS, store_schema=False)
    with pytest.raises(RecordError, match="expected 1 to 2000000 rows, found 2000001"):
        predictions.read(tmp_path / PREDICTIONS)


def test_what_unpacks_to_more_than_any_run_is_refused_unread(tmp_path):
    rows = pa.table(
        {
            field.name: pa.array(
                [[]] * 64
                if pa.types.is_list(field.type)
                else [0] * 64
                if field.name == "seed"
                else ["x" * 2**20] * 64,
                field.type,
            )
            for field in predictions.SHAPE
        }
    )
    with pq.ParquetWriter(
        tmp_path / PREDICTIONS, predictions.SHAPE, compression="zstd", use_dictionary=False
    ) as file:
        for _ in range(4):
            file.write_table(rows)
    assert (tmp_path / PREDICTIONS).stat().st_size < 2**20
    with pytest.raises(RecordError, match="expected at most 1073741824 bytes unpacked, found 1342"):
        predictions.read(tmp_path / PREDICTIONS)


def test_the_statement_is_what_submission_py_loads(small, tmp_path):
    folder = small.write(tmp_path)
    assert isinstance(submission.load(folder / STATEMENT), Submission)
