"""Archives and Parquet files of YueMotion: hostile, damaged, too large."""

import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.corpora import archives
from bimotion.errors import CorpusMalformed
from bimotion.io import files
from tests.support.raw_corpora import (
    YUEMOTION_STEMS,
    YUEMOTION_TABLES,
    findings,
    ids,
    lay,
    lay_tree,
    missing,
    pack,
    recording,
)


@pytest.fixture
def members(tmp_path):
    """The content of an archive: member name -> bytes."""
    return {
        f"data/{stem}.wav": recording(tmp_path, f"scratch/{stem}.wav") for stem in YUEMOTION_STEMS
    }


@pytest.fixture
def archive(tmp_path):
    """The path of the archive, beside the tables."""
    return lay_tree(tmp_path / "root/YueMotion", "yuemotion", YUEMOTION_TABLES) / "data.tar.bz2"


def outside_the_cache(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if files.cache_dir() not in path.parents}


@pytest.mark.parametrize(
    "evil",
    [
        "../../evil.wav",
        "/evil.wav",
        "../../{stem}.wav",
        "{elsewhere}/{stem}.wav",
        "data/../../{stem}.wav",
    ],
)
def test_archive_that_wants_to_write_elsewhere(tmp_path, index, archive, members, evil):
    """Clips are taken by their bare names; no folder of the archive is followed, no other file
    comes out of it."""
    stem, elsewhere = YUEMOTION_STEMS[0], tmp_path / "elsewhere"
    elsewhere.mkdir()
    content = members.pop(f"data/{stem}.wav")
    pack(archive, members | {evil.format(stem=stem, elsewhere=elsewhere): content})
    before = outside_the_cache(tmp_path)
    manifest = index(tmp_path / "root")
    kept = YUEMOTION_STEMS if "{stem}" in evil else YUEMOTION_STEMS[1:]
    assert ids(manifest) == {f"yuemotion/{stem}" for stem in kept}
    assert outside_the_cache(tmp_path) == before
    assert not list(elsewhere.iterdir())
    assert not Path("/evil.wav").exists()
    inside = manifest.roots["yuemotion"]
    assert inside.is_relative_to(files.cache_dir())
    tops = {path.relative_to(inside).parts[0] for path in inside.rglob("*")}
    assert tops == {"data", *YUEMOTION_TABLES}
    assert not list(files.cache_dir().rglob("evil*"))


def test_archive_with_links_instead_of_clips(tmp_path, index, archive):
    with tarfile.open(archive, "w:bz2") as packed:
        for stem, kind in zip(YUEMOTION_STEMS, (tarfile.SYMTYPE, tarfile.LNKTYPE), strict=False):
            link = tarfile.TarInfo(f"data/{stem}.wav")
            link.type, link.linkname = kind, "/etc/passwd"
            packed.addfile(link)
        file = recording(tmp_path)
        member = tarfile.TarInfo(f"data/{YUEMOTION_STEMS[2]}.wav")
        member.size = len(file)
        packed.addfile(member, (tmp_path / "clip.wav").open("rb"))
    manifest = index(tmp_path / "root")
    assert ids(manifest) == {f"yuemotion/{YUEMOTION_STEMS[2]}"}
    assert {f"yuemotion/{stem}" for stem in YUEMOTION_STEMS[:2]} <= missing(manifest)
    assert not [path for path in manifest.roots["yuemotion"].rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("limit", ["MAX_CLIPS", "MAX_BYTES"])
def test_archive_with_too_many_or_too_large_clips(
    tmp_path, index, archive, members, monkeypatch, limit
):
    pack(archive, members)
    n_bytes = len(next(iter(members.values())))
    monkeypatch.setattr(archives, limit, 3 if limit == "MAX_CLIPS" else 2 * n_bytes)
    message = r"data\.tar\.bz2: expected at most .*found more at data/.*: not the corpus"
    with pytest.raises(CorpusMalformed, match=message):
        index(tmp_path / "root")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"The file has moved.\n" * 40,
        lambda content: b"",
        lambda content: b"BZh91AY damaged",
    ],
    ids=["truncated", "text", "empty", "bytes"],
)
def test_damaged_archive_says_so_each_time(tmp_path, index, archive, members, monkeypatch, damage):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    pack(archive, members)
    archive.write_bytes(damage(archive.read_bytes()))
    for _ in range(2):
        with pytest.raises(CorpusMalformed) as raised:
            index(tmp_path / "root")
        assert f"{archive}: expected a tar of wavs, found: " in str(raised.value)
        assert str(raised.value).endswith("download it again")
    assert not list((tmp_path / "cache").rglob(".unpacked*"))


def test_what_was_unpacked_stays_where_reading_fails(
    tmp_path, index, archive, members, monkeypatch
):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    pack(archive, members)
    table = archive.parent / "train_metadata.csv"
    table.write_text(table.read_text().replace("gender", "sex"))
    folders = []
    for _ in range(2):
        with pytest.raises(CorpusMalformed, match="train_metadata"):
            index(tmp_path / "root")
        (unpacked,) = (tmp_path / "cache").rglob("unpacked-*")
        folders.append((unpacked, unpacked.stat().st_ino))
    assert folders[0] == folders[1]


def test_two_archives_with_other_recordings(tmp_path, index, archive, members):
    pack(archive, members)
    name = f"data/{YUEMOTION_STEMS[0]}.wav"
    pack(archive.parent / "old/data.tar.gz", {name: recording(tmp_path, take=1)}, "gz")
    [line] = findings(index(tmp_path / "root"))
    assert line.startswith(f"conflict yuemotion/{YUEMOTION_STEMS[0]}")
    assert f"copy 1/{name}" in line


def test_parquet_of_something_else_is_not_yuemotion(tmp_path, index):
    lay(tmp_path, "csed")
    (tmp_path / "other").mkdir()
    table = pa.table({"audio": [1], "split": ["train"], "label": ["x"]})
    pq.write_table(table, tmp_path / "other" / "0000.parquet")
    (tmp_path / "other" / "broken.parquet").write_bytes(b"PAR1 not really")
    assert index(tmp_path).corpora == ("csed",)


CLIP = {"bytes": b"RIFF", "path": "14_m60_01_4.wav"}
ROW = {
    "audio": CLIP,
    "split": "test",
    "speaker_id": "14",
    "file_name": "data/14_m60_01_4.wav",
    "gender": "m",
    "age": 60,
    "sentence_id": 1,
    "label_id": 4,
    "label": "neutral",
}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, ()),
        ({"label": "sad"}, ("14_m60_01_4", "sad")),
        ({"file_name": "data/14_m60_01_3.wav"}, ("14_m60_01_4", "file_name '14_m60_01_3'")),
        (
            {"audio": CLIP | {"path": "14_m60_01_3.wav"}},
            ("14_m60_01_4", "audio.path '14_m60_01_3'"),
        ),
        ({"audio": CLIP | {"bytes": None}}, ("expected the column audio to hold bytes", "none")),
        ({"label_id": 40}, ("expected columns split, ", "IndexError")),
    ],
    ids=str,
)
def test_a_row_of_parquet_that_contradicts_itself(tmp_path, index, change, parts):
    row = ROW | change
    if row["audio"]["bytes"]:
        row["audio"] = row["audio"] | {"bytes": recording(tmp_path)}
    parquet = tmp_path / "root/Y/0.parquet"
    parquet.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), parquet)
    if not parts:
        assert ids(index(tmp_path / "root")) == {"yuemotion/14_m60_01_4"}
        return
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path / "root")
    assert all(part in str(raised.value) for part in ("0.parquet", *parts)), raised.value
