"""Records of Every Eval Ever: held against its own schemas, and against the board."""

import dataclasses
import hashlib
import json
import re
import uuid
from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from bimotion.corpora import CORPORA
from bimotion.errors import SettingError
from bimotion.leaderboard import board, every_eval, every_eval_clips
from bimotion.leaderboard.entry import Oddity
from bimotion.results import predictions
from bimotion.results.record import PREDICTIONS_FILE
from tests.support import submissions
from tests.support.boards_of_few import CELLS, HOSTILE, of, values

FOLDER = Path(__file__).parent / "every_eval_ever"
NAMES = ("eval", "instance_level_eval")
RECORD, LINE = (
    jsonschema.Draft7Validator(json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8")))
    for name in NAMES
)
CLOSED = {name for name, corpus in CORPORA.items() if corpus.card.redistribution == "nothing"}


@pytest.fixture(scope="module")
def output(built, folder, tmp_path_factory):
    return tmp_path_factory.mktemp("every-eval-ever")


@pytest.fixture(scope="module")
def written(built, folder, output):
    """Entry's id -> what was written of it."""
    made = every_eval.write(built, folder, output, created=1.5)
    return dict(zip((entry.id for entry in built.entries), made, strict=True))


def record_of(made):
    return json.loads(made.record.read_text("utf-8"))


def lines_of(made):
    return [json.loads(line) for line in made.clips.read_text("ascii").splitlines()]


def test_the_schemas_are_of_the_version_that_records_name():
    versions = {
        json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))["version"] for name in NAMES
    }
    assert versions == {every_eval_clips.SCHEMA_VERSION}


def test_every_record_and_line_is_valid_and_one_refers_to_the_other(built, written, output):
    assert len(written) == len(built.entries)
    for entry in built.entries:
        made = written[entry.id]
        record = record_of(made)
        RECORD.validate(record)
        assert re.fullmatch(r"data/bimotion/[^/]+/[^/]+/[^/]+\.json", every_eval.path_of(entry))
        assert uuid.UUID(made.record.stem).version == 4
        if entry.flags.status == "claimed":
            assert (made.clips, made.reason) == (None, every_eval.NOT_VERIFIED)
            assert "detailed_evaluation_results" not in record
            continue
        clips, content = record["detailed_evaluation_results"], made.clips.read_bytes()
        assert output / clips["file_path"] == made.clips
        assert clips["checksum"] == hashlib.sha256(content).hexdigest()
        assert clips["total_rows"] == content.count(b"\n") > 0
        results = {result["evaluation_result_id"] for result in record["evaluation_results"]}
        for line in lines_of(made)[:: 1 if len(content) < 1e6 else 50]:
            LINE.validate(line)
            assert line["evaluation_id"] == record["evaluation_id"]
            assert line["model_id"] == record["model_info"]["id"]
            assert line["evaluation_result_id"] in results


def test_scores_and_intervals_are_the_boards(built, written):
    for entry in built.entries:
        results = record_of(written[entry.id])["evaluation_results"]
        scores = [result["score_details"] for result in results]
        assert [score["score"] for score in scores] == pytest.approx(
            [value / 100 for value in values(entry)]
        )
        for score, (_, shown) in zip(scores, entry.scalars(), strict=True):
            interval = score["uncertainty"]["confidence_interval"]
            assert (interval["lower"], interval["upper"]) == (shown.low, shown.high)
            assert interval["lower"] <= score["score"] <= interval["upper"]
            error = score["uncertainty"]["standard_error"]["value"]
            assert error == shown.standard_error
            # two of them on either side, of a t quantile that is larger
            assert 0 <= 3 * error <= interval["upper"] - interval["lower"]
        cells = [result["metric_config"]["additional_details"] for result in results[1:]]
        rows = [score for name, score in entry.scalars() if name in CELLS]
        assert [int(cell["n_known_speakers"]) for cell in cells] == [row.n_speakers for row in rows]
        assert {cell["resampling_unit"] for cell in cells} == {"speaker"}


def test_the_status_is_one_of_the_three_words(built, written):
    sources = {}
    for entry in built.entries:
        source = record_of(written[entry.id])["source_metadata"]
        sources[entry.model] = (source["evaluator_relationship"], source["additional_details"])
    assert {model: sources[model][1]["status"] for model in sources} == {
        entry.model: entry.flags.status for entry in built.entries
    }
    assert sources["lab/dirty"][1]["contaminated"].startswith('{"eng_adu": ["esd", "iemocap"]')
    assert sources["lab/large"][0] == "third_party"
    assert sources["lab/unverified"][0] == "other"
    assert sources["bimotion/random"][0] == "first_party"


def test_what_looks_odd_is_said_in_words(built):
    entry = of(built, "lab/large")
    oddity = Oddity("many runs", 5.0, 4.0, "5 entries of this model")
    details = every_eval._flags(dataclasses.replace(entry, oddities=[oddity]))
    assert details["looks_odd"] == ["many runs: 5 entries of this model"]
    assert "looks_odd" not in every_eval._flags(dataclasses.replace(entry, oddities=[]))


def test_lines_hold_the_predictions_and_no_label_that_may_not_be_published(built, folder, written):
    assert {"esd", "iemocap"} <= CLOSED
    entry = of(built, "bimotion/random")
    table = predictions.read(folder / entry.id / PREDICTIONS_FILE).to_pandas()
    own = table[table["train"] == table["cell"]]
    is_closed = own["corpus"].isin(CLOSED)
    made = written[entry.id]
    lines = lines_of(made)
    assert made.left_out == dict(Counter(own["corpus"][is_closed]))
    assert {line["metadata"]["corpus"] for line in lines}.isdisjoint(CLOSED)
    text = made.clips.read_text("ascii") + made.record.read_text("utf-8")
    for clip in own["id"][is_closed].unique()[::20]:
        assert clip not in text
    left_out = record_of(made)["detailed_evaluation_results"]["additional_details"]["left_out"]
    assert f"esd: {made.left_out['esd']}" in left_out
    keys = ["id", "cell", "seed"]
    free = own[~is_closed].set_index(keys).sort_index()
    shown = pd.DataFrame(
        {
            "id": line["sample_id"],
            "cell": line["metadata"]["cell"],
            "seed": int(line["metadata"]["seed"]),
            "probabilities": list(json.loads(line["output"]["raw"][0]).values()),
            "n_reference": len(line["input"]["reference"]),
        }
        for line in lines
    )
    shown = shown.set_index(keys).sort_index()
    assert shown.index.equals(free.index)
    gap = np.abs(np.stack(shown["probabilities"]) - np.stack(free["probabilities"]))
    assert gap.max() < 1e-5
    is_one = (np.stack(free["reference"]) == 1).sum(axis=1)
    assert (shown["n_reference"] == is_one).all()
    assert not any(speaker in text for speaker in ('crema_d/1001"', 'speaker": "crema'))


def test_correct_is_what_the_benchmark_counts(built, written):
    """Weighted F1 from the lines alone, of a cell and corpus with one label a clip."""
    lines = lines_of(written[of(built, "bimotion/random").id])
    mine = [line for line in lines if line["metadata"]["corpus"] == "crema_d"]
    assert len(mine) > 100
    for line in mine:
        (reference,), (answer,) = line["input"]["reference"], line["answer_attribution"]
        is_right = answer["extracted_value"] == reference
        assert line["evaluation"] == {"score": float(is_right), "is_correct": is_right}
        offered = json.loads(line["output"]["raw"][0])
        best = max(line["input"]["choices"], key=offered.get)
        assert answer["extracted_value"] == best


def test_the_same_board_gives_the_same_files(built, folder, written, tmp_path):
    again = every_eval.write(built, folder, tmp_path, created=1.5)
    for made, first in zip(again, written.values(), strict=True):
        assert made.record.read_bytes() == first.record.read_bytes()
        if made.clips is not None:
            assert made.clips.read_bytes() == first.clips.read_bytes()
    every_eval.write(built, folder, tmp_path, clips=False)
    assert not list(tmp_path.rglob("*.jsonl"))
    for made in again:
        assert "detailed_evaluation_results" not in record_of(made)


@pytest.mark.parametrize(
    "name", [HOSTILE, "../../up", "a\nb/c\rd", "x" * 5000, "data/NUL.txt", "/", "情感/模型", "="]
)
def test_hostile_names_stay_below_the_folder_and_valid(built, tmp_path, name):
    entry = dataclasses.replace(built.entries[0], model=name, id=f"{name}/k", version=None)
    path = every_eval.path_of(entry)
    made = every_eval.Written(tmp_path / path)
    record = every_eval.record(entry, made, 1.5)
    RECORD.validate(record)
    assert json.loads(json.dumps(record))["model_info"]["name"] == name
    parts = path.split("/")
    assert len(parts) == 5
    for part in parts[2:4]:
        assert re.fullmatch(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,100}", part)
        assert part.partition(".")[0].upper() not in every_eval._RESERVED_NAMES


def test_a_submission_that_changed_meanwhile_is_refused(alone, tmp_path):
    copied = alone()
    built = board.build(copied.parents[1])
    (copied / PREDICTIONS_FILE).write_bytes(b"PAR1 others PAR1")
    with pytest.raises(SettingError, match="expected a submission that was verified, found"):
        every_eval.write(built, copied.parents[1], tmp_path / "out")
    assert submissions.name_of(copied) == built.entries[0].id


def test_what_has_no_score_has_no_record(built, folder, tmp_path):
    empty = dataclasses.replace(built.entries[0], headline={}, scores=[])
    bare = dataclasses.replace(built, entries=[empty])
    assert every_eval.write(bare, folder, tmp_path) == []
