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
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bimotion.data.cache import BLOCK_ROWS, Row, Store, sources
from bimotion.errors import StorageError
from bimotion.io import files
from bimotion.io.progress import Progress

N_ROWS, N_NUMBERS = 80, 500
HANGS_S = 600  # never waited for, but where a process hangs
FILLING = """
import sys, time
from pathlib import Path
import numpy as np
from bimotion.io.progress import Progress
from bimotion.data.cache import Row, Store

folder, calls, pause_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
n_rows, n_numbers = map(int, sys.argv[4:])

def make(places):
    for place in places:
        with open(calls, "a") as log:
            log.write(f"{place}\\n")
        time.sleep(pause_s)
        yield Row(np.random.default_rng(place).normal(size=n_numbers), f"file {place}")

store = Store(folder, "rows", [f"id{n}" for n in range(n_rows)], np.float32)
store.fill(np.arange(n_rows)[::-1], make, Progress(), "rows")
"""


class Said(Progress):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def made(places):
    for place in places:
        yield Row(np.random.default_rng(place).normal(size=N_NUMBERS), f"file {place}")


def filling(folder: Path, calls: Path, pause_s: float = 0.0) -> subprocess.Popen:
    command = [sys.executable, "-c", FILLING, folder, calls, pause_s, N_ROWS, N_NUMBERS]
    return subprocess.Popen(list(map(str, command)))


def opened(folder: Path, **options) -> Store:
    return Store(folder, "rows", [f"id{n}" for n in range(N_ROWS)], np.float32, **options)


def places_in(calls: Path) -> list[int]:
    return [int(line) for line in calls.read_text().split()] if calls.exists() else []


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """The blocks of a store that one process filled in one go."""
    store = opened(tmp_path_factory.mktemp("whole") / "a")
    store.fill(np.arange(N_ROWS), made, Progress(), "rows")
    found = contents(store.folder)
    assert len(found) == -(-N_ROWS // BLOCK_ROWS)
    return found


def test_only_what_is_missing_is_made(tmp_path, whole):
    asked = []

    def make(places):
        asked.append(places.tolist())
        return made(places)

    store = opened(tmp_path / "a")
    store.fill(np.array([7, 3, 7, 70]), make, Progress(), "rows")
    store.fill(np.array([3, 7]), make, Progress(), "rows")
    opened(tmp_path / "a").fill(np.array([7, 9, 3, 1]), make, Progress(), "rows")
    assert asked == [[3, 7, 70], [1, 9]]
    # written by another, seen here
    assert store.row(9) == pytest.approx(next(made([9])).numbers, rel=1e-6)
    assert store.row(9, 10, 13).tolist() == store.row(9)[10:13].tolist()
    assert store.row(9).dtype == np.float32
    with pytest.raises(StorageError, match="expected id2 in it"):
        store.row(2)
    store.fill(np.arange(N_ROWS), make, Progress(), "rows")
    assert contents(store.folder) == whole  # whatever was made first


def test_rows_have_lengths_of_their_own(tmp_path):
    store = Store(tmp_path / "a", "rows", ["x", "y", "z"], np.int16)
    store.fill(
        np.array([2, 0]),
        lambda places: [Row(np.full(place + 1, place), "") for place in places],
        Progress(),
        "rows",
    )
    assert (store.row(0).tolist(), store.row(2).tolist()) == ([0], [2, 2, 2])
    assert store.lengths(np.arange(3)).tolist() == [1, 0, 3]
    with pytest.raises(ValueError, match="y: expected at least one number"):
        store.fill(np.array([1]), lambda places: [Row(np.zeros(0), "")], Progress(), "rows")
    assert store.lengths(np.arange(3)).tolist() == [1, 0, 3]


@pytest.mark.parametrize("together", [1, 3, 8, 100])
def test_rows_are_made_in_the_same_groups_whatever_was_asked_first(tmp_path, together):
    """A row that hangs on its neighbours, as in a batch, is the same after any history, and nothing
    far away is made."""
    order = np.random.default_rng(0).permutation(N_ROWS)
    generator, seen = random.Random(0), set()

    def make(places):
        for start in range(0, len(places), together):
            group = places[start : start + together]
            seen.add(tuple(group.tolist()))
            yield from (Row(np.array([place, group.sum(), len(group)]), "") for place in group)

    for history in range(3):
        store = opened(tmp_path / f"{history}", together=together, order=order)
        for _ in range(4):
            asked = np.array(generator.sample(range(N_ROWS), 3))
            before = np.count_nonzero(store.lengths(np.arange(N_ROWS)))
            store.fill(asked, make, Progress(), "rows")
            assert np.count_nonzero(store.lengths(np.arange(N_ROWS))) - before <= 3 * together
            store = opened(tmp_path / f"{history}", together=together, order=order)
        store.fill(np.arange(N_ROWS), make, Progress(), "rows")
    assert contents(tmp_path / "0") == contents(tmp_path / "1") == contents(tmp_path / "2")
    assert sorted(place for group in seen for place in group) == list(range(N_ROWS))


def test_what_was_made_before_an_error_stays(tmp_path):
    def broken(places):
        yield Row(np.ones(N_NUMBERS), "")
        raise RuntimeError("no more")

    store = opened(tmp_path / "a")
    with pytest.raises(RuntimeError, match="no more"):
        store.fill(np.arange(3), broken, Progress(), "rows")
    assert store.missing(np.arange(3)).tolist() == [1, 2]
    store.fill(np.arange(3), made, Progress(), "rows")  # and nothing is locked
    assert (store.row(0) == 1).all()


def test_a_killed_process_loses_a_block_at_most_and_leaves_nothing_wrong(tmp_path, whole):
    calls = tmp_path / "calls"
    for enough in (BLOCK_ROWS // 2, BLOCK_ROWS // 2 + BLOCK_ROWS + 4):
        process = filling(tmp_path / "a", calls, pause_s=0.03)
        deadline = time.monotonic() + HANGS_S
        while len(places_in(calls)) < enough and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        store = opened(tmp_path / "a")
        done = np.flatnonzero(store.lengths(np.arange(N_ROWS)))
        assert len(places_in(calls)) - 2 * BLOCK_ROWS <= len(done) < N_ROWS
        for place, row in zip(done, made(done), strict=True):
            assert (store.row(place) == row.numbers.astype(np.float32)).all()
    assert filling(tmp_path / "a", calls).wait() == 0
    assert contents(tmp_path / "a") == whole
    # nothing half-written stays
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*whole, "lock"])


def test_two_processes_at_once_make_each_row_once(tmp_path, whole):
    calls = tmp_path / "calls"
    both = [filling(tmp_path / "a", calls, pause_s=0.005) for _ in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(places_in(calls)) == list(range(N_ROWS))
    assert contents(tmp_path / "a") == whole


def flipped(content: bytes, place: int) -> bytes:
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


DAMAGE = {
    "emptied": lambda content, other: b"",
    "cut": lambda content, other: content[: len(content) // 2],
    "cut in its header": lambda content, other: content[:100],
    "hole": lambda content, other: content[:-4096] + bytes(4096),
    "zeros": lambda content, other: bytes(len(content)),
    "text": lambda content, other: b"x" * len(content),
    "another block": lambda content, other: other,
    "longer": lambda content, other: content + b"x",
    **{
        f"byte {share}": lambda content, other, share=share: flipped(
            content, int(share * len(content))
        )
        for share in (0.2, 0.9)
    },
    **{
        f"byte {place}": lambda content, other, place=place: flipped(content, place)
        for place in (0, 7, 8, 30, 150, -1)
    },
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_block_is_said_and_made_again(tmp_path, whole, damage):
    folder = tmp_path / "a"
    opened(folder).fill(np.arange(N_ROWS), made, Progress(), "rows")
    first, second, _ = sorted(folder.glob("*.safetensors"))
    first.write_bytes(DAMAGE[damage](first.read_bytes(), second.read_bytes()))
    asked, said = [], Said()

    def make(places):
        asked.append(places.tolist())
        return made(places)

    opened(folder).fill(np.array([40, 70]), make, said, "rows")
    assert (asked, said.lines) == ([], [])  # blocks that are not asked for are not read
    store = opened(folder)
    store.fill(np.array([5, 70]), make, said, "rows")
    assert asked == [[5]]
    assert len(said.lines) == 1
    assert str(first) in said.lines[0]
    assert "damaged in the cache, made again" in said.lines[0]
    store.fill(np.arange(N_ROWS), make, said, "rows")
    assert contents(folder) == whole
    assert len(said.lines) == 1


def test_every_flipped_bit_of_a_block_is_noticed(tmp_path):
    store = Store(tmp_path / "a", "rows", ["x", "y"], np.float16)
    store.fill(np.arange(2), lambda places: [Row(np.ones(3), "s")] * 2, Progress(), "rows")
    (path,) = store.folder.glob("*.safetensors")
    content, expected = path.read_bytes(), [store.row(0).tolist(), store.row(1).tolist()]
    missed = []
    for place in range(len(content)):
        path.write_bytes(flipped(content, place))
        found = Store(tmp_path / "a", "rows", ["x", "y"], np.float16)
        if (
            found.lengths(np.arange(2)).any()
            and [found.row(0).tolist(), found.row(1).tolist()] != expected
        ):
            missed.append(place)
    assert missed == []


@pytest.mark.parametrize("change", ["identity", "ids", "dtype", "together", "order"])
def test_blocks_of_another_store_are_not_believed(tmp_path, change):
    asked = {"identity": "rows", "ids": ["x", "y", "z"], "dtype": np.float32}
    Store(tmp_path / "a", **asked).fill(np.arange(3), made, Progress(), "rows")
    other = {
        "identity": {"identity": "others"},
        "ids": {"ids": ["x", "y", "w"]},
        "dtype": {"dtype": np.float16},
        "together": {"together": 3},
        "order": {"order": np.array([2, 1, 0])},
    }[change]
    store, said = Store(tmp_path / "a", **(asked | other)), Said()
    assert not store.lengths(np.arange(3)).any()
    store.fill(np.arange(3), made, said, "rows")
    assert "it holds something else" in said.lines[0]
    assert store.lengths(np.arange(3)).tolist() == [N_NUMBERS] * 3


def test_what_is_removed_while_in_use_is_told(tmp_path):
    store = opened(tmp_path / "a")
    store.fill(np.arange(3), made, Progress(), "rows")
    (path,) = store.folder.glob("*.safetensors")
    path.unlink()
    with pytest.raises(StorageError, match="expected id1 in it, found it removed or damaged"):
        store.row(1)


def test_a_folder_in_the_place_of_a_block_is_told(tmp_path):
    store = opened(tmp_path / "a")
    store.fill(np.arange(3), made, Progress(), "rows")
    (path,) = store.folder.glob("*.safetensors")
    path.unlink()
    path.mkdir()
    told = rf"{path.name}: expected a file of this cache, found: Is a directory; remove it"
    for use in (lambda: store.row(1), lambda: store.fill(np.arange(3), made, Progress(), "rows")):
        with pytest.raises(StorageError, match=told):
            use()
    with pytest.raises(StorageError, match=told):
        opened(tmp_path / "a").missing(np.arange(3))


def test_threads_read_right_rows_of_a_block_that_is_replaced_meanwhile(tmp_path):
    """Each block is one that a process may have written; a row stands in each at another place."""
    contents = []
    for number, rows in enumerate(([5], [0, 5], [0, 1, 2, 3, 4, 5])):
        store = opened(tmp_path / f"{number}")
        store.fill(np.array(rows), made, Progress(), "rows")
        contents.append((store.folder / "00000.safetensors").read_bytes())
    expected, found, is_over = store.row(5).tobytes(), [], threading.Event()

    def read() -> None:
        try:
            while not is_over.is_set():
                if store.row(5).tobytes() != expected or store.lengths(np.array([5])).tolist() != [
                    N_NUMBERS
                ]:
                    found.append("another row")
        except StorageError as error:
            found.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for turn in range(300):
            with files.written(store.folder / "00000.safetensors") as temporary:
                temporary.write_bytes(contents[turn % 3])
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert found == []


def test_what_rows_were_made_from_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    for kind in ("features", "samples"):
        opened(tmp_path / kind / "encoder" / "tess-state").fill(
            np.array([3, 40]), made, Progress(), "rows"
        )
    opened(tmp_path / "features" / "encoder" / "tess-other").fill(
        np.array([5]), made, Progress(), "rows"
    )
    assert sources("tess", "state") == {"id3": {"file 3"}, "id40": {"file 40"}}
    next((tmp_path / "samples").rglob("00001.safetensors")).write_bytes(b"damaged")
    next((tmp_path / "features").rglob("00001.safetensors")).write_bytes(b"damaged")
    assert sources("tess", "state") == {"id3": {"file 3"}}


def test_a_block_is_plain_safetensors(tmp_path):
    store = opened(tmp_path / "a")
    store.fill(np.array([3, 5]), made, Progress(), "rows")
    (path,) = store.folder.glob("*.safetensors")
    found = load_file(path)
    assert found["lengths"].tolist() == [N_NUMBERS] * 2
    assert (found["numbers"][N_NUMBERS:] == store.row(5)).all()


def test_a_pickled_store_reads_the_same(tmp_path):
    store = opened(tmp_path / "a")
    store.fill(np.arange(3), made, Progress(), "rows")
    assert (pickle.loads(pickle.dumps(store)).row(2) == store.row(2)).all()


def test_a_whole_store_needs_no_permission_to_write(tmp_path, monkeypatch):
    store = opened(tmp_path / "a")
    store.fill(np.arange(3), made, Progress(), "rows")
    (store.folder / "lock").unlink()
    (store.folder / "lock").mkdir()  # whoever wants the lock fails, root too
    opened(tmp_path / "a").fill(np.arange(3), made, Progress(), "rows")
    with pytest.raises(StorageError, match="lock: expected to use it, found: Is a directory"):
        opened(tmp_path / "a").fill(np.arange(4), made, Progress(), "rows")


def test_a_full_disk_is_told_with_the_cache(tmp_path, monkeypatch):
    """Files of this process may not grow beyond some bytes, as on a disk that is full."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = opened(tmp_path / "a")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (N_NUMBERS * 4 * 3, limits[1]))
        store.fill(np.arange(1), made, Progress(), "rows")
        with pytest.raises(StorageError) as error:
            store.fill(np.arange(N_ROWS), made, Progress(), "rows")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert str(error.value).startswith(
        f"{tmp_path}/a/00000.safetensors: expected to use it, found: {os.strerror(27)}"
    )
    assert "BIMOTION_CACHE" in str(error.value)
    assert store.missing(np.arange(3)).tolist() == [1, 2]
    assert not list(store.folder.glob(".*"))
