"""Stores: every row is made once, whoever asks, whoever is killed; a store of another shape is made anew."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bimotion.progress import Progress
from bimotion.store import Store

N_ROWS, N_NUMBERS = 40, 5000
HANGS_S = 600  # never waited for, but where a process hangs
FILLING = """
import sys, time
from pathlib import Path
import numpy as np
from bimotion.progress import Progress
from bimotion.store import Store

path, calls, pause_s, n_rows, n_numbers = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:])

def make(places):
    for place in places:
        with open(calls, "a") as log:
            log.write(f"{place}\\n")
        time.sleep(pause_s)
        yield np.random.default_rng(place).normal(size=n_numbers)

Store(path, np.full(n_rows, n_numbers), np.float32).fill(np.arange(n_rows)[::-1], make, Progress(), "rows")
"""


def made(places):
    for place in places:
        yield np.random.default_rng(place).normal(size=N_NUMBERS)


def filling(path: Path, calls: Path, pause_s: float = 0.0) -> subprocess.Popen:
    command = [sys.executable, "-c", FILLING, path, calls, pause_s, N_ROWS, N_NUMBERS]
    return subprocess.Popen(list(map(str, command)))


def opened(path: Path) -> Store:
    return Store(path, np.full(N_ROWS, N_NUMBERS), np.float32)


def places_in(calls: Path) -> list[int]:
    return [int(line) for line in calls.read_text().split()] if calls.exists() else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The bytes of a store that one process filled in one go."""
    store = opened(tmp_path_factory.mktemp("whole") / "a.npy")
    store.fill(np.arange(N_ROWS), made, Progress(), "rows")
    return store.path.read_bytes()


def test_only_what_is_missing_is_made(tmp_path):
    asked = []

    def make(places):
        asked.append(places.tolist())
        return made(places)

    store = opened(tmp_path / "a.npy")
    store.fill(np.array([7, 3, 7]), make, Progress(), "rows")
    store.fill(np.array([3, 7]), make, Progress(), "rows")
    opened(tmp_path / "a.npy").fill(np.array([7, 9, 3, 1]), make, Progress(), "rows")
    assert asked == [[7, 3], [9, 1]]
    assert store.row(9) == pytest.approx(next(iter(made([9]))), rel=1e-6)  # written by another, seen here
    assert store.row(9, 10, 13).tolist() == store.row(9)[10:13].tolist()
    assert store.row(9).dtype == np.float32
    with pytest.raises(KeyError, match="row 2 is not filled"):
        store.row(2)


def test_rows_have_room_of_their_own(tmp_path):
    store = Store(tmp_path / "a.npy", np.array([3, 1, 4]), np.int16)
    store.fill(np.array([2, 0]), lambda places: ([place + 1] * 2 for place in places), Progress(), "rows")
    assert (store.row(0).tolist(), store.row(2).tolist()) == ([1, 1], [3, 3])
    assert store.filled.tolist() == [2, 0, 2]
    for row in ([1, 2], []):
        with pytest.raises(ValueError, match="row 1: expected 1 to 1 numbers"):
            store.fill(np.array([1]), lambda places, row=row: [row], Progress(), "rows")
    assert store.filled.tolist() == [2, 0, 2]


def test_disk_is_taken_by_what_is_filled(tmp_path):
    store = Store(tmp_path / "a.npy", np.full(1000, 500_000), np.float16)
    store.fill(np.array([500]), lambda places: [np.ones(500_000)], Progress(), "rows")
    taken = store.path.stat()
    assert taken.st_size > 1_000_000_000
    assert taken.st_blocks * 512 < 2_000_000


def test_what_was_made_before_an_error_stays(tmp_path):
    def broken(places):
        yield np.ones(N_NUMBERS)
        raise OSError("no more")

    store = opened(tmp_path / "a.npy")
    with pytest.raises(OSError, match="no more"):
        store.fill(np.arange(3), broken, Progress(), "rows")
    assert store.missing(np.arange(3)).tolist() == [1, 2]
    store.fill(np.arange(3), made, Progress(), "rows")  # and nothing is locked
    assert (store.row(0) == 1).all()


def test_a_killed_process_loses_nothing_and_leaves_nothing_wrong(tmp_path, whole):
    calls = tmp_path / "calls"
    for repeated, enough in enumerate((5, 17), 1):  # each killed process may have been at work on one row
        process = filling(tmp_path / "a.npy", calls, pause_s=0.02)
        deadline = time.monotonic() + HANGS_S
        while len(places_in(calls)) < enough and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        store = opened(tmp_path / "a.npy")
        done = np.flatnonzero(store.filled)
        assert enough - repeated <= len(done) < N_ROWS
        for place, row in zip(done, made(done), strict=True):
            assert (store.row(place) == row.astype(np.float32)).all()
    assert filling(tmp_path / "a.npy", calls).wait() == 0
    assert (tmp_path / "a.npy").read_bytes() == whole
    assert len(set(places_in(calls))) == N_ROWS <= len(places_in(calls)) <= N_ROWS + 2


def test_two_processes_at_once_make_each_row_once(tmp_path, whole):
    calls = tmp_path / "calls"
    both = [filling(tmp_path / "a.npy", calls, pause_s=0.01) for _ in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(places_in(calls)) == list(range(N_ROWS))
    assert (tmp_path / "a.npy").read_bytes() == whole


@pytest.mark.parametrize(
    ("room", "dtype"), [([4, 4, 4], np.float32), ([6, 6], np.float16), ([4, 8], np.float32)], ids=["rows", "dtype", "room"]
)
def test_another_shape_is_made_anew(tmp_path, room, dtype):
    store = Store(tmp_path / "a.npy", np.array([6, 6]), np.float32)
    store.fill(np.arange(2), lambda places: np.ones((2, 6)), Progress(), "rows")
    anew = Store(tmp_path / "a.npy", np.array(room), dtype)
    assert not anew.filled.any()
    anew.fill(np.array([1]), lambda places: [np.full(room[1], 2.0)], Progress(), "rows")
    assert anew.row(1).tolist() == [2.0] * room[1]
    assert (store.row(0) == 1).all()  # who had it open goes on with what was there


@pytest.mark.parametrize("lost", ["data", "marks", "cut"])
def test_half_a_store_is_made_anew(tmp_path, lost):
    store = opened(tmp_path / "a.npy")
    store.fill(np.arange(3), made, Progress(), "rows")
    if lost == "cut":
        os.truncate(store.path, 1000)
    else:
        (store.path if lost == "data" else store.marks_path).unlink()
    assert not opened(tmp_path / "a.npy").filled.any()


def test_a_pickled_store_reads_the_same(tmp_path):
    store = opened(tmp_path / "a.npy")
    store.fill(np.arange(3), made, Progress(), "rows")
    assert (pickle.loads(pickle.dumps(store)).row(2) == store.row(2)).all()
