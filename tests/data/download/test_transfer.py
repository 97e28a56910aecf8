"""Files fetched from hosts that fail in every way that hosts do."""

import hashlib
import threading

import pytest

from bimotion.data.download import remote as module
from bimotion.data.download.remote import RemoteFile, Stopped, ask, read_json
from bimotion.data.download.transfer import MAX_PROBLEMS, fetch_all
from bimotion.errors import DownloadError
from bimotion.io.progress import Progress
from tests.support.corpus_hosts import Fault
from tests.support.hub_client import wait_for

CONTENT = bytes(range(256)) * 400  # 102 400 bytes
N_BYTES = len(CONTENT)
AWAY = "http://127.0.0.1:1/"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def remote_file(
    hosts, path="a/b.wav", *, on=("one",), checksum=("sha256", SHA256), n_bytes=N_BYTES
):
    addresses = tuple(f"{hosts.url}/{host}/{path}" for host in on)
    return RemoteFile(path, addresses, n_bytes, checksum, max_bytes=n_bytes or 10**6)


@pytest.fixture
def fetch(tmp_path):
    """Fetches files into tmp_path/laid; what was left out."""

    def call(*files, allow_missing=False):
        laid, parts = tmp_path / "laid", tmp_path / "parts"
        return fetch_all(list(files), laid, parts, Progress(), "files", allow_missing=allow_missing)

    return call


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def served(hosts):
    hosts.add("one", {"a/b.wav": CONTENT})
    return hosts


PASSING = {
    "busy": ([Fault("b.wav", status=503, times=1)], ["", ""]),
    "busy, with a time": (
        [Fault("b.wav", status=429, headers={"Retry-After": "1"}, times=1)],
        ["", ""],
    ),
    "cut": ([Fault("b.wav", cut_after=50_000, times=1)], ["", "bytes=50000-"]),
    "cut twice": (
        [Fault("b.wav", cut_after=50_000, times=1), Fault("b.wav", cut_after=1000, times=1)],
        ["", "bytes=50000-", "bytes=51000-"],
    ),
    "cut, and knows no parts": (
        [Fault("b.wav", cut_after=50_000, times=1), Fault("b.wav", ignores_range=True, times=1)],
        ["", "bytes=50000-"],
    ),
    "elsewhere": (
        [Fault("one/a/b.wav", status=302, headers={"Location": "/two/b.wav"}, times=1)],
        ["", ""],
    ),
    "begun with other bytes": (
        [Fault("b.wav", content=b"x" * 102_400, cut_after=50_000, times=1)],
        ["", "bytes=50000-", ""],
    ),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_passing_trouble_ends_well(served, fetch, tmp_path, trouble):
    served.add("two", {"b.wav": CONTENT})
    served.faults, parts = PASSING[trouble]
    assert fetch(remote_file(served)) == []
    assert (tmp_path / "laid/a/b.wav").read_bytes() == CONTENT
    assert [part for _, part in served.asked("b.wav")] == parts
    assert list((tmp_path / "parts").rglob("*.part")) == []


LASTING = {
    "gone": (Fault("one", status=404), "status 404"),
    "forbidden": (Fault("one", status=403), "status 403"),
    "other bytes": (Fault("one", content=b"x" * 102_400), f"expected sha256 {SHA256}, found "),
    "too long": (Fault("one", content=CONTENT + b"x"), "expected at most 102400 bytes, found more"),
    "not http": (
        Fault("one", status=302, headers={"Location": "file:///etc/passwd"}),
        "unsupported protocol",
    ),
}


@pytest.mark.parametrize("trouble", LASTING)
def test_lasting_trouble_is_named_and_another_host_is_asked(served, fetch, tmp_path, trouble):
    fault, message = LASTING[trouble]
    served.faults = [fault]
    with pytest.raises(DownloadError, match=r"a/b\.wav") as refused:
        fetch(remote_file(served))
    assert message in str(refused.value).lower()
    assert not (tmp_path / "laid/a/b.wav").exists()
    served.add("two", {"a/b.wav": CONTENT})
    assert fetch(remote_file(served, on=("one", "two"))) == []
    assert (tmp_path / "laid/a/b.wav").read_bytes() == CONTENT


def test_wrong_bytes_are_kept_by_name_and_never_laid_out(served, fetch, tmp_path):
    served.faults = [Fault("b.wav", content=b"x" * 102_400)]
    with pytest.raises(DownloadError, match=r"kept as .*parts/a/b\.wav\.wrong"):
        fetch(remote_file(served))
    assert (tmp_path / "parts/a/b.wav.wrong").read_bytes() == b"x" * 102_400
    assert fetch(remote_file(served), allow_missing=True)[0].startswith("a/b.wav: ")
    assert list((tmp_path / "laid").rglob("*.wav")) == []


def test_what_is_there_is_checked_and_not_asked_for_again(served, fetch, tmp_path):
    fetch(remote_file(served))
    fetch(remote_file(served))
    assert len(served.asked("b.wav")) == 1
    (tmp_path / "laid/a/b.wav").write_bytes(b"x" * 102_400)
    fetch(remote_file(served))
    assert (tmp_path / "laid/a/b.wav").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("md5", hashlib.md5(CONTENT).hexdigest()),
        ("git", hashlib.sha1(b"blob 102400\0" + CONTENT).hexdigest()),
    ],
)
def test_checksums_that_hosts_state(served, fetch, algorithm, digest):
    assert fetch(remote_file(served, checksum=(algorithm, digest))) == []
    with pytest.raises(DownloadError, match=f"expected {algorithm} 0000"):
        fetch(remote_file(served, checksum=(algorithm, "0" * len(digest))))


def test_a_file_of_unknown_size_is_bounded(served, fetch, tmp_path):
    served.add("one", {"large": b"x" * 1_000_001})
    with pytest.raises(DownloadError, match="expected at most 1000000 bytes, found more"):
        fetch(remote_file(served, "large", checksum=None, n_bytes=None))
    assert list((tmp_path / "parts").iterdir()) == []
    assert fetch(remote_file(served, checksum=None, n_bytes=None)) == []


def test_a_host_that_lost_everything_is_not_asked_for_each_file(served, fetch):
    files = [remote_file(served, f"{number}.wav") for number in range(500)]
    with pytest.raises(DownloadError, match=r"found 2\d that are not to be had"):
        fetch(*files)
    assert MAX_PROBLEMS <= len(served.asked("wav")) < 100
    assert len(fetch(*files[:50], allow_missing=True)) == 50


def test_a_host_that_is_away_stops_the_work_and_says_how_to_go_on(served, fetch):
    files = [RemoteFile("c.wav", (AWAY,), 1, None, 1), remote_file(served)]
    with pytest.raises(DownloadError, match=r"c\.wav: 127.0.0.1:1: .*the same command goes"):
        fetch(*files)


@pytest.fixture
def strict_pace(monkeypatch):
    """Windows of 0.1 s, in which a host that drips sends 5 bytes."""
    monkeypatch.setattr(module, "PACE_S", 0.1)
    monkeypatch.setattr(module, "MIN_BYTES_PER_S", 10_000.0)
    monkeypatch.setattr(module, "MAX_FAILURES", 1)


def test_a_host_that_drips_is_given_up_and_the_same_call_goes_on(
    served, fetch, tmp_path, monkeypatch, strict_pace
):
    served.faults = [Fault("b.wav", cut_after=5000, drips=True)]
    slow = r"expected at least 10000 bytes a second, found \d+ over .*the same command goes on"
    with pytest.raises(DownloadError, match=slow):
        fetch(remote_file(served))
    assert len(served.asked("b.wav")) == 2
    n_kept = (tmp_path / "parts/a/b.wav.part").stat().st_size
    assert 10_000 < n_kept < N_BYTES
    served.faults = []
    monkeypatch.setattr(module, "PACE_S", 60.0)
    assert fetch(remote_file(served)) == []
    assert served.asked("b.wav")[-1][1] == f"bytes={n_kept}-"
    assert (tmp_path / "laid/a/b.wav").read_bytes() == CONTENT


def test_another_host_is_asked_where_one_drips(served, fetch, tmp_path, strict_pace):
    served.add("two", {"a/b.wav": CONTENT})
    served.faults = [Fault("one/a/b.wav", cut_after=5000, drips=True)]
    assert fetch(remote_file(served, on=("one", "two"))) == []
    assert (tmp_path / "laid/a/b.wav").read_bytes() == CONTENT


def test_a_list_that_drips_is_given_up(hosts, strict_pace):
    hosts.add("one", {"list": b"[" + b" " * 10_000 + b"]"})
    hosts.faults = [Fault("list", cut_after=1, drips=True)]
    with pytest.raises(DownloadError, match="expected at least 10000 bytes a second, found"):
        read_json(f"{hosts.url}/one/list", 20_000)


def test_headers_that_drip_are_given_up(served, fetch, monkeypatch):
    monkeypatch.setattr(module, "MAX_FAILURES", 1)
    monkeypatch.setattr(module, "HEADERS_S", 0.2)  # that between two bytes stays as it is
    served.faults = [Fault("b.wav", drips_headers=True)]
    slow = "expected headers within"
    assert slow in ask(f"{served.url}/one/a/b.wav")[0]
    with pytest.raises(DownloadError, match=slow):
        read_json(f"{served.url}/one/a/b.wav", 100)
    with pytest.raises(DownloadError, match=f"{slow}.*the same command goes on from there"):
        fetch(remote_file(served))
    served.faults = []
    monkeypatch.setattr(module, "HEADERS_S", 90.0)
    assert fetch(remote_file(served)) == []


def test_headers_that_drip_are_not_waited_for_once_the_work_is_stopped(
    served, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MAX_FAILURES", 0)  # waited for to the end, it is a DownloadError
    served.faults = [Fault("b.wav", drips_headers=True)]
    stop, ended = threading.Event(), []

    def work():
        paths = (tmp_path / "b.wav", tmp_path / "b.part")
        try:
            module.fetch(remote_file(served), *paths, stop, lambda n_bytes: None)
        except Exception as error:
            ended.append(type(error))

    fetching = threading.Thread(target=work)
    fetching.start()
    wait_for(lambda: served.asked("b.wav"))
    stop.set()
    fetching.join()
    assert ended == [Stopped]


def test_a_host_that_was_never_reached_is_asked_once_and_one_that_was_again(tmp_path):
    module._answered.clear()
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    part = RemoteFile("c.wav", (AWAY,), 1, None, 1)
    for n_waits in (0, module.MAX_FAILURES):
        message = r"c\.wav: 127.0.0.1:1: no connection, is this machine offline\? \("
        with pytest.raises(DownloadError, match=message):
            module.fetch(
                part, *(tmp_path / "c.wav", tmp_path / "c.part"), Stop(), lambda n_bytes: None
            )
        assert len(waits) == n_waits
        module._answered.add("127.0.0.1:1")


def test_files_come_at_the_same_time_and_megabytes_are_counted(hosts, tmp_path):
    class Counting(Progress):
        def track(self, items, total, label, unit="clips"):
            counted.append((label, unit, total, len(list(items))))
            return ()

    counted = []
    large = bytes(1_500_000)
    hosts.add("one", {f"{number}.wav": large for number in range(4)})
    hosts.barrier = threading.Barrier(4)
    files = [
        remote_file(hosts, f"{number}.wav", checksum=None, n_bytes=len(large))
        for number in range(4)
    ]
    folders = (tmp_path / "laid", tmp_path / "parts")
    fetch_all(files, *folders, Counting(), "downloading x", allow_missing=False)
    assert counted == [("downloading x", "MB", 6, 6)]


def test_what_was_begun_counts_as_arrived(served, tmp_path):
    class Counting(Progress):
        def track(self, items, total, label, unit="clips"):
            counted.append((total, len(list(items))))
            return ()

    counted, folders = [], (tmp_path / "laid", tmp_path / "parts")
    large = bytes(3_000_000)
    served.add("one", {"large.wav": large})
    folders[1].mkdir()
    (folders[1] / "large.wav.part").write_bytes(large[:2_000_000])
    file = remote_file(served, "large.wav", checksum=None, n_bytes=len(large))
    fetch_all([file], *folders, Counting(), "downloading x", allow_missing=False)
    assert (counted, served.asked("")) == ([(3, 3)], [("/one/large.wav", "bytes=2000000-")])


def test_headers_only(served):
    assert ask(f"{served.url}/one/a/b.wav") == (None, 102_400)
    assert ask(f"{served.url}/one/none.wav") == ("status 404", None)
    assert served.asked("wav") == []
    served.faults = [Fault("b.wav", status=403, times=1)]  # signed for GET
    assert ask(f"{served.url}/one/a/b.wav") == (None, 102_400)
    assert served.asked("wav") == [("/one/a/b.wav", "bytes=0-0")]
    assert ask("http://127.0.0.1:1/")[0]
    assert ask("no address")[0]


def test_answers_in_json_are_bounded(hosts):
    hosts.add("api", {"list": b'{"data": [1]}', "html": b"<html>", "deep": b"[" * 10**6})
    assert read_json(f"{hosts.url}/api/list", 100) == {"data": [1]}
    for path, limit, message in (
        ("list", 5, "expected at most 5 bytes, found more"),
        ("html", 100, "expected JSON"),
        ("deep", 10**6, "expected JSON"),
        ("none", 100, "status 404"),
    ):
        with pytest.raises(DownloadError, match=message):
            read_json(f"{hosts.url}/api/{path}", limit)
