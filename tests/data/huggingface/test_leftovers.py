"""Killed at any moment, what writes a folder leaves the whole of it or nothing; the next run
removes what is left over.

Each run is a process of its own that SIGKILL ends, after the n-th return of the code that writes or
of a call to the system.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bimotion.data.huggingface import export
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.io import files
from tests.support import hub_server

HUGGINGFACE = "bimotion.data.huggingface"
KILLED = """
import importlib, json, os, signal, sys

module, name, args, options = json.loads(sys.argv[1])
watched = json.loads(sys.argv[2])
call = getattr(importlib.import_module(module), name)
source = importlib.import_module("bimotion.data.source").CorpusSource
options["source"] = source.of(options["source"])
OURS = tuple(
    os.path.join(*name) for name in
    (("huggingface", "export.py"), ("io", "files.py"), ("huggingface", "publish.py"))
)
SYSTEM = {os.rename, os.replace, os.mkdir, os.unlink, os.remove, os.rmdir, os.open, open}


def run(last):
    # The moments of a call: their number, and those right after a rename. Killed after `last`.
    moments, renames = 0, []

    def is_ours(frame):  # called by the code that writes, and by no other of bimotion's
        while frame is not None and "bimotion" not in frame.f_code.co_filename.split(os.sep)[-4:-1]:
            frame = frame.f_back
        return frame is not None and frame.f_code.co_filename.endswith(OURS)

    def count(frame, event, arg):
        nonlocal moments
        mine = event == "c_return" and arg in SYSTEM
        if event == "return":
            mine = frame.f_code.co_filename.endswith(OURS)
        if mine and is_ours(frame):
            moments += 1
            if arg in (os.rename, os.replace):
                renames.append(moments)
            if moments == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    call(*args, **options)
    sys.setprofile(None)
    return moments, renames


def in_a_process(last):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            os.write(writer, json.dumps(run(last)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(answer) if answer else None, os.waitstatus_to_exitcode(status)


def listed():
    files = {}
    for place in watched:
        for folder, _, names in os.walk(place):
            for name in names:
                if not name.endswith(".lock"):
                    path = os.path.join(folder, name)
                    files[os.path.relpath(path, place)] = os.stat(path).st_ino
            if not names and folder != place:
                files[os.path.relpath(folder, place)] = 0
    return files


for line in sys.stdin:
    last = json.loads(line)
    moments, status = in_a_process(last)
    print(json.dumps([moments, status, listed()]), flush=True)
"""


class Killed:
    """A call in processes that are killed, and what stands in `watched` after each."""

    def __init__(self, watched: Path, module: str, name: str, *args, environment=None, **options):
        options["source"] = options["source"].root
        call = json.dumps([module, name, args, options], default=str)
        self.process = subprocess.Popen(
            [sys.executable, "-c", KILLED, call, json.dumps([str(watched)])],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, last: int = 0) -> tuple[list | None, int, dict[str, int]]:
        """Moments of the call (None: killed), its exit status, files by then. `last`: killed after
        it; 0: not killed."""
        self.process.stdin.write(f"{last}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def some_moments(n: int, renames: list[int]) -> list[int]:
    spread = {1 + round(share * (n - 1)) for share in (0, 0.4, 0.8)}
    return sorted(spread | set(renames) | {number + 1 for number in renames if number < n})


def test_a_killed_export_leaves_the_whole_or_nothing(synth_root, tmp_path):
    options = {"source": CorpusSource.of(synth_root), "metadata_only": True}
    paths = export.export(tmp_path / "whole", ["yue"], **options)
    expected = {path.relative_to(tmp_path / "whole") for path in paths}
    watched, outcomes = tmp_path / "exports", set()
    watched.mkdir()
    call = (f"{HUGGINGFACE}.export", "export", str(watched / "copy"), ["yue"])
    with Killed(watched, *call, **options) as killed:
        (n, renames), status, made = killed.run()
        assert (status, set(map(Path, made))) == (0, {"copy" / path for path in expected})
        moments = some_moments(n, renames)
        for moment in moments:
            files.remove_folder(watched / "copy")
            answer, status, left = killed.run(moment)
            assert (answer, status) == (None, -9)
            visible = {path for path in left if not path.startswith(".")}
            assert visible in (set(), set(made)), f"half an export at {moment}"
            _, status, again = killed.run()
            assert status == 0, f"refused after a kill at moment {moment} of {n}"
            assert set(again) == set(made), f"left over from a kill at moment {moment} of {n}"
            is_kept = all(again[path] == left.get(path) for path in made)
            outcomes.add((bool(left), is_kept))
    # kinds of moments that were tried: nothing there yet, a part of it, the whole
    assert outcomes == {(False, False), (True, False), (True, True)}, f"{moments} of {n}"
    for path in expected:
        assert (watched / "copy" / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()


def test_a_killed_publication_goes_on_and_nothing_stays(synth_root, tmp_path):
    cache = tmp_path / "cache"
    with hub_server.Hub() as hub:
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_writer",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "BIMOTION_CACHE": str(cache),
        }
        call = (f"{HUGGINGFACE}.publish", "publish", "yuemotion", "org/name")
        options = {"source": CorpusSource.of(synth_root), "metadata_only": True}
        with Killed(cache / "publish", *call, environment=environment, **options) as killed:
            killed.run()  # indexes the corpora, which later runs need not
            (n, renames), status, left = killed.run()
            assert (status, left) == (0, {})
            whole = hub.files("org/name")
            assert len(whole) == 7
            for moment in some_moments(n, renames):
                hub.repositories.clear()
                answer, status, _ = killed.run(moment)
                assert (answer, status) == (None, -9)
                assert "org/name" not in hub.repositories or hub.files("org/name") in ({}, whole)
                _, status, left = killed.run()
                assert (status, left) == (0, {}), f"after a kill at moment {moment} of {n}"
                assert hub.files("org/name") == whole


def damaged(content: bytes) -> list[bytes]:
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    return [content[:-1], b"", content + b"x", flipped]


def test_files_of_an_earlier_state_or_damaged_ones_are_not_sent(
    synth_root, tmp_path, monkeypatch, capsys
):
    from bimotion.data.huggingface import publish

    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    options = {"source": CorpusSource.of(synth_root), "metadata_only": True, "dry_run": True}
    folder = publish.publish("yuemotion", "org/name", **options).folder
    whole = {path: path.read_bytes() for path in folder.rglob("*.*")}
    shard = folder / "yue_eld/test-00000-of-00001.parquet"
    earlier = folder.with_name(f"{folder.name.partition('-')[0]}-0123456789abcdef")
    for spoilt in (None, *damaged(whole[shard])):
        shard.unlink() if spoilt is None else shard.write_bytes(spoilt)
        earlier.mkdir()
        capsys.readouterr()
        assert publish.publish("yuemotion", "org/name", **options).folder == folder
        assert f"{folder}: damaged, made again" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == whole
        assert not earlier.exists()


def test_a_folder_of_anything_else_is_refused_and_stays(synth_root, tmp_path, untouched):
    options = {"source": CorpusSource.of(synth_root), "metadata_only": True}
    export.export(tmp_path / "copy", ["yue"], **options)
    refused = pytest.raises(SettingError, match="or this very export, finished")
    with untouched(tmp_path):
        assert export.export(tmp_path / "copy", ["yue"], **options)
        for other in ({"metadata_only": False}, {"split_rule": "disjoint"}):
            with refused:
                export.export(tmp_path / "copy", ["yue"], **(options | other))
        with refused:
            export.export(tmp_path / "copy", ["yue_adu"], **options)
    (shard,) = (tmp_path / "copy/yue_eld").glob("test-*")
    for content in damaged(shard.read_bytes()):
        shard.write_bytes(content)
        with refused:
            export.export(tmp_path / "copy", ["yue"], **options)


def test_an_export_of_clips_that_were_replaced_since_is_none_of_these(synth_root, tmp_path):
    shutil.copytree(synth_root / "YueMotion", tmp_path / "root/YueMotion")
    options = {"source": CorpusSource.of(tmp_path / "root"), "metadata_only": True}
    export.export(tmp_path / "copy", ["yue"], **options)
    assert export.export(tmp_path / "copy", ["yue"], **options)
    clip, other = sorted((tmp_path / "root").rglob("*.wav"))[:2]
    before = clip.stat()
    content = clip.read_bytes()[:44] + other.read_bytes()[44 : before.st_size]
    clip.write_bytes(content.ljust(before.st_size, b"\0"))
    # as `cp -p` of an older file leaves it
    os.utime(clip, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SettingError, match="files that have changed since"):
        export.export(tmp_path / "copy", ["yue"], **options)


def test_only_what_no_process_holds_is_removed(tmp_path):
    strangers = [".a.backup01", ".bimotion", ".a.bimotion-notes", "a.bimotion-abcd1234"]
    leftovers = [".a.bimotion-abcd1234", ".gone.bimotion-abcd1234"]
    with files.folder_written(tmp_path / "a") as mine, files.written(tmp_path / "b.txt") as my_file:
        for name in strangers + leftovers:
            (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / ".b.bimotion-abcd1234.txt").touch()
        (tmp_path / "kept").touch()
        (tmp_path / ".c.bimotion-abcd1234").symlink_to(tmp_path / "kept")
        with open(tmp_path / ".d.bimotion-abcd1234", "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with files.written(tmp_path / "c.txt"):
                pass
            left = {path.name for path in tmp_path.iterdir()}
        stay = {mine.name, my_file.name, ".d.bimotion-abcd1234", "kept", "c.txt", *strangers}
        assert stay <= left
        assert not left & {*leftovers, ".b.bimotion-abcd1234.txt"}


def test_names_may_be_as_long_as_the_system_lets_them(tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    with files.written(tmp_path / ("ä" * (longest // 2 - 2) + ".txt")) as temporary:
        temporary.write_text("whole")
    with files.folder_written(tmp_path / ("b" * longest)) as temporary:
        (temporary / "a").touch()
    files.remove_folder(tmp_path / ("b" * longest))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
