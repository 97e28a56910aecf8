"""Stores: every row is made once, whoever asks, whoever is killed; a block that is damaged in any
way is made again."""

import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from bimotion.data import cache
from bimotion.data.cache import BLOCK_ROWS, Row, Store, sources
from bimotion.errors import StorageError
from bimotion.io import files
from bimotion.io.progress import Progress

N_ROWS, N_NUMBERS = 80, 500
EVERYTHING = np.arange(N_ROWS)
HANGS_S = 600  # never waited for, but where a process hangs
FILLING = """
import sys, time
from pathlib import Path
import numpy as np
from bimotion.io.progress import Progress
from bimotion.data.cache import Row, Store

folder, calls, pause_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
n_rows, n_numbers = map(int, sys.argv[4:])

def make(indices):
    for index in indices:
        with open(calls, "a") as log:
            log.write(f"{index}\\n")
        time.sleep(pause_s)
        yield Row(np.random.default_rng(index).normal(size=n_numbers), f"file {index}")

store = Store(folder, "rows", [f"id{n}" for n in range(n_rows)], np.float32)
store.fill(np.arange(n_rows)[::-1], make, Progress(), "rows")
"""


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


class Made(list):
    """Makes rows, and keeps which ones it was asked for."""

    def __call__(self, indices):
        self.append(indices.tolist())
        for index in indices:
            yield Row(np.random.default_rng(index).normal(size=N_NUMBERS), f"file {index}")


def opened(folder, **options):
    return Store(folder, "rows", [f"id{n}" for n in range(N_ROWS)], np.float32, **options)


def filled(folder, indices=EVERYTHING, make=None, progress=None):
    store = opened(folder)
    make = Made() if make is None else make
    store.fill(np.array(indices), make, progress or Progress(), "rows")
    return store


def filling(folder, calls, pause_s=0.0):
    command = [sys.executable, "-c", FILLING, folder, calls, pause_s, N_ROWS, N_NUMBERS]
    return subprocess.Popen(list(map(str, command)))


def indices_in(calls):
    return [int(line) for line in calls.read_text().split()] if calls.exists() else []


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The blocks of a store that one process filled in one go."""
    blocks = contents(filled(tmp_path_factory.mktemp("whole") / "a").folder)
    assert len(blocks) == -(-N_ROWS // BLOCK_ROWS)
    return blocks


def test_only_what_is_missing_is_made_and_blocks_are_plain_safetensors(tmp_path, whole):
    make = Made()
    store = filled(tmp_path / "a", [7, 3, 7, 70], make)
    store.fill(np.array([3, 7]), make, Progress(), "rows")
    filled(tmp_path / "a", [7, 9, 3, 1], make)
    assert make == [[3, 7, 70], [1, 9]]
    # written by another, seen here
    expected = np.random.default_rng(9).normal(size=N_NUMBERS).astype(np.float32)
    assert store.row(9).tolist() == expected.tolist()
    assert store.row(9, 10, 13).tolist() == expected[10:13].tolist()
    assert (pickle.loads(pickle.dumps(store)).row(9) == expected).all()
    tensors = load_file(store.folder / "00000.safetensors")
    assert tensors["lengths"].tolist() == [N_NUMBERS] * 4
    assert (tensors["numbers"][-N_NUMBERS:] == expected).all()
    with pytest.raises(StorageError, match="expected id2 in it"):
        store.row(2)
    store.fill(EVERYTHING, make, Progress(), "rows")
    assert contents(store.folder) == whole  # whatever was made first


def test_rows_have_lengths_of_their_own(tmp_path):
    def fill(indices, make):
        store.fill(np.array(indices), make, Progress(), "rows")

    store = Store(tmp_path / "a", "rows", ["x", "y", "z"], np.int16)
    fill([2, 0], lambda indices: [Row(np.full(index + 1, index), "") for index in indices])
    with pytest.raises(ValueError, match="y: expected at least one number"):
        fill([1], lambda indices: [Row(np.zeros(0), "")])
    assert (store.row(0).tolist(), store.row(2).tolist()) == ([0], [2, 2, 2])
    assert store.lengths(np.arange(3)).tolist() == [1, 0, 3]


@pytest.mark.parametrize("together", [1, 3, 8, 100])
def test_rows_are_made_in_the_same_groups_whatever_was_asked_first(tmp_path, together):
    """A row that depends on its neighbours, as in a batch, is the same after any history, and
    nothing far away is made."""
    order = np.random.default_rng(0).permutation(N_ROWS)
    generator, groups = random.Random(0), set()

    def make(indices):
        for start in range(0, len(indices), together):
            group = indices[start : start + together]
            groups.add(tuple(group.tolist()))
            yield from (Row(np.array([index, group.sum(), len(group)]), "") for index in group)

    for history in ("0", "1", "2"):
        for _ in range(4):
            store = opened(tmp_path / history, together=together, order=order)
            before = len(store.missing(EVERYTHING))
            store.fill(np.array(generator.sample(range(N_ROWS), 3)), make, Progress(), "rows")
            assert before - len(store.missing(EVERYTHING)) <= 3 * together
        store.fill(EVERYTHING, make, Progress(), "rows")
    assert contents(tmp_path / "0") == contents(tmp_path / "1") == contents(tmp_path / "2")
    assert sorted(index for group in groups for index in group) == list(range(N_ROWS))


def test_what_was_made_before_an_error_stays(tmp_path):
    def broken(indices):
        yield Row(np.ones(N_NUMBERS), "")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        filled(tmp_path / "a", [0, 1, 2], broken)
    assert opened(tmp_path / "a").missing(np.arange(3)).tolist() == [1, 2]
    assert (filled(tmp_path / "a", [0, 1, 2]).row(0) == 1).all()  # and nothing is locked


def test_a_killed_process_loses_a_block_at_most_and_leaves_nothing_wrong(tmp_path, whole):
    calls = tmp_path / "calls"
    for enough in (BLOCK_ROWS // 2, BLOCK_ROWS // 2 + BLOCK_ROWS + 4):
        process = filling(tmp_path / "a", calls, pause_s=0.01)
        deadline = time.monotonic() + HANGS_S
        while len(indices_in(calls)) < enough and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        store = opened(tmp_path / "a")
        done = np.flatnonzero(store.lengths(EVERYTHING))
        assert len(indices_in(calls)) - 2 * BLOCK_ROWS <= len(done) < N_ROWS
        for index, row in zip(done, Made()(done), strict=True):
            assert (store.row(index) == row.numbers.astype(np.float32)).all()
    assert filling(tmp_path / "a", calls).wait() == 0
    assert contents(tmp_path / "a") == whole
    # nothing half-written stays
    assert {path.name for path in (tmp_path / "a").iterdir()} == {*whole, "lock"}


def test_two_processes_at_once_make_each_row_once(tmp_path, whole):
    calls = tmp_path / "calls"
    both = [filling(tmp_path / "a", calls, pause_s=0.005) for _ in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(indices_in(calls)) == list(range(N_ROWS))
    assert contents(tmp_path / "a") == whole


def flipped(content, offset):
    offset %= len(content)
    return content[:offset] + bytes([content[offset] ^ 0x10]) + content[offset + 1 :]


DAMAGE = {
    "emptied": lambda content, other: b"",
    "cut": lambda content, other: content[: len(content) // 2],
    "cut in its header": lambda content, other: content[:100],
    "hole": lambda content, other: content[:-4096] + bytes(4096),
    "text": lambda content, other: b"x" * len(content),
    "another block": lambda content, other: other,
    "longer": lambda content, other: content + b"x",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_block_is_said_and_made_again(tmp_path, whole, damage):
    folder = filled(tmp_path / "a").folder
    first, second, _ = sorted(folder.glob("*.safetensors"))
    first.write_bytes(DAMAGE[damage](first.read_bytes(), second.read_bytes()))
    make, heard = Made(), Heard()
    filled(folder, [40, 70], make, heard)
    assert (make, heard.lines) == ([], [])  # blocks that are not asked for are not read
    store = filled(folder, [5, 70], make, heard)
    assert make == [[5]]
    store.fill(EVERYTHING, make, heard, "rows")
    assert contents(folder) == whole
    (line,) = heard.lines
    assert str(first) in line
    assert "damaged in the cache, made again" in line


def test_every_flipped_bit_of_a_block_is_noticed(tmp_path):
    store = Store(tmp_path / "a", "rows", ["x", "y"], np.float16)
    store.fill(np.arange(2), lambda indices: [Row(np.ones(3), "s")] * 2, Progress(), "rows")
    (path,) = store.folder.glob("*.safetensors")
    content = path.read_bytes()
    for offset in range(len(content)):
        path.write_bytes(flipped(content, offset))
        again = Store(tmp_path / "a", "rows", ["x", "y"], np.float16)
        assert again.lengths(np.arange(2)).tolist() == [0, 0], offset


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "others"},
        {"ids": ["x", "y", "w"]},
        {"dtype": np.float16},
        {"together": 3},
        {"order": np.array([2, 1, 0])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_blocks_of_another_store_are_not_believed(tmp_path, change):
    asked = {"identity": "rows", "ids": ["x", "y", "z"], "dtype": np.float32}
    Store(tmp_path / "a", **asked).fill(np.arange(3), Made(), Progress(), "rows")
    store, heard = Store(tmp_path / "a", **(asked | change)), Heard()
    assert not store.lengths(np.arange(3)).any()
    store.fill(np.arange(3), Made(), heard, "rows")
    assert "it holds something else" in heard.lines[0]
    assert store.lengths(np.arange(3)).tolist() == [N_NUMBERS] * 3


def test_what_stands_in_the_way_is_told(tmp_path):
    store = filled(tmp_path / "a", [0, 1, 2])
    lock, (path,) = store.folder / "lock", store.folder.glob("*.safetensors")
    lock.unlink()
    lock.mkdir()  # whoever wants the lock fails, root too: a whole store needs none
    filled(tmp_path / "a", [0, 1, 2])
    with pytest.raises(StorageError, match="lock: expected to use it, found: Is a directory"):
        filled(tmp_path / "a", [3])
    path.unlink()
    with pytest.raises(StorageError, match="expected id1 in it, found it removed or damaged"):
        store.row(1)
    path.mkdir()
    message = rf"{path.name}: expected a file of this cache, found: Is a directory; remove it"
    for use in (lambda: store.row(1), lambda: filled(tmp_path / "a", [1])):
        with pytest.raises(StorageError, match=message):
            use()


def test_threads_read_right_rows_of_a_block_that_is_replaced_meanwhile(tmp_path):
    """Each block is one that a process may have written; a row has another offset in each."""
    stores = [filled(tmp_path / f"{n}", rows) for n, rows in enumerate(([5], [0, 5], range(6)))]
    blocks, store = [contents(store.folder)["00000.safetensors"] for store in stores], stores[-1]
    expected, wrong, is_over = store.row(5).tobytes(), [], threading.Event()

    def read() -> None:
        try:
            while not is_over.is_set():
                if store.row(5).tobytes() != expected or not store.lengths(np.array([5])).all():
                    wrong.append("another row")
        except StorageError as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for turn in range(100):
            with files.written(store.folder / "00000.safetensors") as temporary:
                temporary.write_bytes(blocks[turn % 3])
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert wrong == []


def test_what_rows_were_made_from_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    for kind in ("features", "samples"):
        filled(tmp_path / kind / "encoder" / "tess-state", [3, 40])
    filled(tmp_path / "features" / "encoder" / "tess-other", [5])
    assert sources("tess", "state") == {"id3": {"file 3"}, "id40": {"file 40"}}
    for path in tmp_path.rglob("00001.safetensors"):
        path.write_bytes(b"damaged")
    assert sources("tess", "state") == {"id3": {"file 3"}}


def test_a_block_that_grew_where_it_comes_from_is_received_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_elsewhere", None)  # so again after the test
    cache.receive_blocks(lambda name: (tmp_path / "there" / name).read_bytes())
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "here"))
    here = opened(tmp_path / "here" / "rows")
    for last in (1, 3):
        there = filled(tmp_path / "there" / "rows", range(last + 1))
        assert np.array_equal(here.row(last), there.row(last))
    with pytest.raises(StorageError, match="expected id5 in it"):
        here.row(5)


def test_a_full_disk_is_told_with_the_cache(tmp_path, monkeypatch):
    """Files of this process may not grow beyond some bytes, as on a disk that is full."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (N_NUMBERS * 4 * 3, limits[1]))
        store = filled(tmp_path / "a", [0])
        with pytest.raises(StorageError, match="BIMOTION_CACHE") as error:
            store.fill(EVERYTHING, Made(), Progress(), "rows")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    expected = f"{tmp_path}/a/00000.safetensors: expected to use it, found: {os.strerror(27)}"
    assert str(error.value).startswith(expected)
    assert store.missing(np.arange(3)).tolist() == [1, 2]
    assert not list(store.folder.glob(".*"))
