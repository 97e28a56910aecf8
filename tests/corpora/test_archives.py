"""Archives and Parquet files of YueMotion: hostile, damaged, too large."""

import io
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.errors import (
    CorpusMalformed,
)
from bimotion.io import files
from tests.support.raw_corpora import (
    YUEMOTION,
    YUEMOTION_STEMS,
    clip_bytes,
    ids,
    lay_csed,
    lay_yuemotion_tables,
    missing,
    pack,
    text,
    to_parquet,
    truncated,
)


@pytest.mark.parametrize(
    "evil",
    [
        "../../evil.wav",
        "/evil.wav",
        "../../{stem}.wav",
        "{outside}/{stem}.wav",
        "data/../../{stem}.wav",
    ],
)
def test_archive_that_wants_to_write_elsewhere(tmp_path, wav, index, evil):
    """Clips are taken by their bare names; no folder of the archive is followed, no other file
    comes out of it."""
    folder, outside = lay_yuemotion_tables(tmp_path / "root"), tmp_path / "outside"
    outside.mkdir()
    first, *others = YUEMOTION_STEMS
    members = [(f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem)) for stem in others]
    name = evil.format(stem=first, outside=outside)
    pack(folder / "data.tar.bz2", [*members, (name, clip_bytes(wav, tmp_path / "scratch", first))])
    before = {path for path in tmp_path.rglob("*") if files.cache_dir() not in path.parents}
    found = index(tmp_path / "root")
    assert ids(found) == {
        f"yuemotion/{stem}" for stem in (YUEMOTION_STEMS if "{stem}" in evil else others)
    }
    assert {path for path in tmp_path.rglob("*") if files.cache_dir() not in path.parents} == before
    assert not list(outside.iterdir())
    assert not Path("/evil.wav").exists()
    inside = found.roots["yuemotion"]
    assert inside.is_relative_to(files.cache_dir())
    assert {path.relative_to(inside).parts[0] for path in inside.rglob("*")} == {
        "data",
        "train_metadata.csv",
        "validation_metadata.csv",
        "test_metadata.csv",
    }
    assert not list(files.cache_dir().rglob("evil*"))


def test_archive_with_links_instead_of_clips(tmp_path, wav, index):
    folder = lay_yuemotion_tables(tmp_path)
    first, second, *others = YUEMOTION_STEMS
    pack(
        folder / "data.tar.bz2",
        [(f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem)) for stem in others],
    )
    content = (folder / "data.tar.bz2").read_bytes()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        tarfile.open(folder / "data.tar.bz2", "w:bz2") as new,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member))
        for stem, kind in ((first, tarfile.SYMTYPE), (second, tarfile.LNKTYPE)):
            link = tarfile.TarInfo(f"data/{stem}.wav")
            link.type, link.linkname = kind, "/etc/passwd"
            new.addfile(link)
    shutil.rmtree(tmp_path / "scratch")
    found = index(tmp_path)
    assert ids(found) == {f"yuemotion/{stem}" for stem in others}
    assert {f"yuemotion/{first}", f"yuemotion/{second}"} <= missing(found)
    assert not [path for path in found.roots["yuemotion"].rglob("*") if path.is_symlink()]


def test_archive_with_too_many_or_too_large_clips(tmp_path, wav, index, monkeypatch):
    from bimotion.corpora import archives

    folder = lay_yuemotion_tables(tmp_path / "root")
    members = [
        (f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem))
        for stem in YUEMOTION_STEMS
    ]
    pack(folder / "data.tar.bz2", members)
    size = len(members[0][1])
    for name, value in (("MAX_CLIPS", len(members) - 1), ("MAX_BYTES", 2 * size)):
        with monkeypatch.context() as patch:
            patch.setattr(archives, name, value)
            patch.setenv("BIMOTION_CACHE", str(tmp_path / name))
            with pytest.raises(
                CorpusMalformed,
                match=r"data\.tar\.bz2: expected at most .*found more at data/.*: not the corpus",
            ):
                index(tmp_path / "root")


@pytest.mark.parametrize(
    "damage", [truncated, text, lambda content: b""], ids=["truncated", "text", "empty"]
)
def test_damaged_archive(tmp_path, wav, index, damage):
    folder = lay_yuemotion_tables(tmp_path / "root")
    archive = folder / "data.tar.bz2"
    pack(
        archive,
        [
            (f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem))
            for stem in YUEMOTION_STEMS
        ],
    )
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(
        CorpusMalformed, match=r"(?s)expected a tar of wavs, found: .*download it again"
    ) as raised:
        index(tmp_path / "root")
    assert str(archive) in str(raised.value)


def test_damaged_archive_says_the_same_when_tried_again(tmp_path, index, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    (lay_yuemotion_tables(tmp_path / "root") / "data.tar.bz2").write_bytes(b"BZh91AY damaged")
    for _ in range(2):
        with pytest.raises(CorpusMalformed):
            index(tmp_path / "root")
    assert not list((tmp_path / "cache").rglob(".unpacked*"))


def test_parquet_of_something_else_is_not_yuemotion(tmp_path, wav, index):
    lay_csed(tmp_path, wav)
    (tmp_path / "other").mkdir()
    pq.write_table(
        pa.table({"audio": [1], "split": ["train"], "label": ["x"]}),
        tmp_path / "other" / "0000.parquet",
    )
    (tmp_path / "other" / "broken.parquet").write_bytes(b"PAR1 not really")
    assert index(tmp_path).corpora == ("csed",)


def test_yuemotion_parquet_without_bytes(tmp_path, wav, index):
    path = tmp_path / "root" / "YueMotion" / "0000.parquet"
    to_parquet(wav, tmp_path / "scratch", path, YUEMOTION["train"])
    table = pq.read_table(path)
    paths_only = pa.array(
        [{"bytes": None, "path": "a.wav"}] * len(table), table.schema.field("audio").type
    )
    pq.write_table(table.set_column(0, "audio", paths_only), path)
    with pytest.raises(
        CorpusMalformed, match=r"0000\.parquet: expected the column audio to hold bytes, found none"
    ):
        index(tmp_path / "root")
