"""Whatever the bytes of a submission are, there is a verdict, and none takes long."""

import re
import time

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimotion.errors import RecordError
from bimotion.io import sandbox
from bimotion.leaderboard import board, verify
from bimotion.results import predictions
from tests.support.bounded_process import LIMITS
from tests.support.drafts import PREDICTIONS, RESULT, STATEMENT, Draft, save_rows

mutations = st.tuples(
    st.sampled_from([RESULT, PREDICTIONS, STATEMENT]),
    st.sampled_from(["flip", "cut", "insert", "splice", "repeat"]),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
    st.booleans(),
)


def mutated(data, how, first, second, patch):
    start, end = sorted((int(first * len(data)), int(second * len(data))))
    rest = data[start + len(patch) :]
    if how == "flip":
        flipped = zip(data[start : start + len(patch)], patch, strict=False)
        return data[:start] + bytes(a ^ b for a, b in flipped) + rest
    middle = {"cut": rest, "insert": patch + data[start:], "splice": data[end:]}
    return data[:end] + data[start:] if how == "repeat" else data[:start] + middle[how]


@pytest.fixture(scope="module")
def small(evaluated):
    """The draft of a small submission: 400 clips of one corpus."""
    return Draft(evaluated(cells=["zho_eld"]))


@settings(derandomize=True, deadline=None, max_examples=2, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(mutations, min_size=60, max_size=60))
def test_whatever_the_bytes_there_is_a_verdict(batch, small, known, tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    folders, whole = [], small.write(root / "whole")
    content = {path.name: path.read_bytes() for path in whole.iterdir()}
    for number, (name, how, first, second, patch, sealed) in enumerate(batch):
        folder = root / str(number) / "bimotion__random" / small.result["key"]
        folder.mkdir(parents=True)
        changed = content | {name: mutated(content[name], how, first, second, patch)}
        for other, data in changed.items():
            (folder / other).write_bytes(data)
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


def test_a_verdict_on_what_is_missing(known, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "nothing", tmp_path / "file", tmp_path):
        assert not verify.verify(path, known).ok


def test_predictions_are_read_as_they_were_written(run, tmp_path):
    with (tmp_path / PREDICTIONS).open("wb") as file:
        predictions.write(run / PREDICTIONS, file)
    table = predictions.read(tmp_path / PREDICTIONS).to_pandas()
    ours = pd.read_parquet(run / PREDICTIONS)
    pd.testing.assert_frame_equal(table[ours.columns], ours, check_dtype=False)
    paths = {tmp_path / PREDICTIONS: len(ours), run / PREDICTIONS: len(ours)}
    assert predictions.inspect(paths) == {}
    assert predictions.inspect({}) == {}


def test_a_reader_that_a_file_takes_over_speaks_for_that_file_only():
    answers = ["", "[[1, null], [1, null], [1, null]]", ""]
    ended = sandbox.call("tests.support.bounded_process:taken_over", answers, LIMITS)
    assert [end.problem for end in ended] == [None] * 3
    assert len({end.value for end in ended}) == 3


def test_more_rows_than_any_run_are_refused_unread(tmp_path):
    save_rows(tmp_path / PREDICTIONS, predictions.MAX_ROWS + 1, "x")
    with pytest.raises(RecordError, match="expected 1 to 2000000 rows, found 2000001"):
        predictions.read(tmp_path / PREDICTIONS)


def test_twice_the_rows_that_the_record_says_are_refused_unread(small, known, tmp_path):
    """By whoever verifies it, and by a board on which it is only claimed."""
    folder = small.write(tmp_path / "submissions")
    most = 2 * sum(fit["n_test"] for fit in small.result["fits"])
    save_rows(folder / PREDICTIONS, predictions.MAX_ROWS, "x")
    assert (folder / PREDICTIONS).stat().st_size < 200_000
    small.seal(folder)
    expected = f"{PREDICTIONS}: expected 1 to {most} rows, found {predictions.MAX_ROWS}"
    assert re.fullmatch(expected, *verify.verify(folder, known).problems)
    [excluded] = board.build(tmp_path / "submissions").excluded
    assert re.fullmatch(expected, excluded.reason)


def test_what_unpacks_to_more_than_any_run_is_refused_unread(tmp_path):
    kinds = {"seed": 0, "fold": 0, "probabilities": [], "reference": [], "trained": []}
    columns = {
        field.name: pa.array([kinds.get(field.name, "x" * 2**20)] * 64, field.type)
        for field in predictions.SHAPE
    }
    options = {"compression": "zstd", "use_dictionary": False}
    with pq.ParquetWriter(tmp_path / PREDICTIONS, predictions.SHAPE, **options) as file:
        for _ in range(4):
            file.write_table(pa.table(columns))
    assert (tmp_path / PREDICTIONS).stat().st_size < 2**20
    with pytest.raises(RecordError, match="expected at most 1073741824 bytes unpacked, found 1342"):
        predictions.read(tmp_path / PREDICTIONS)
