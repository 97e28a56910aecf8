"""Every layout of a corpus gives the same utterances, and nothing on disk changes."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.io import audio, files
from tests.support.raw_corpora import (
    DEMOGRAPHICS,
    FACTS,
    TESS,
    TREES,
    YUEMOTION,
    YUEMOTION_HEADER,
    YUEMOTION_STEMS,
    YUEMOTION_TABLES,
    Clip,
    findings,
    ids,
    lay,
    lay_tree,
    mp4,
    pack,
    recording,
)

JUNK = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "  # as the Finder leaves it
URDU_README = {  # `F01` and `A12` there, `F1` and `A012` on disk
    "SM1_F1_A01": "SM1_F01_A1",
    "SM1_F10_A010": "SM1_F10_A10",
    "SM4_F48_A0100": "SM4_F48_A100",
    "SM3_F1_H053": "SM3_F01_H53",
    "SM3_F1_N021": "SM3_F01_N21",
    "SF10_F1_S01": "SF10_F01_S001",
}
LATIN_1 = """ActorID , Age,Sex,Race\r
"1001 ", 51 ,Male,"caf\xe9\x85"\r
   \r
1002,21, Female ,\r
1016,61,male
1091,29,"Female","x"
"""


def is_clip(path: str) -> bool:
    return path.endswith(".wav")


def renamed(tree: dict, rename) -> dict:
    """A tree whose clips are called otherwise."""
    return {rename(path) if is_clip(path) else path: content for path, content in tree.items()}


def with_junk(tree: dict) -> dict:
    """Hidden files and folders beside all files, as Finder and desktops leave them."""
    hidden = {f"{Path(path).parent}/._{Path(path).name}": JUNK for path in tree}
    trash = {f".Trash-1000/files/{Path(path).name}": Clip(0.3) for path in tree if is_clip(path)}
    return tree | hidden | trash | {".DS_Store": JUNK, "__MACOSX/._Nat_Female-4.wav": JUNK}


LAYOUTS = {  # of every corpus
    "deeper": lambda tree: {f"a/b/c/{path}": content for path, content in tree.items()},
    "all clips in one folder": lambda tree: renamed(tree, lambda path: f"x/{Path(path).name}"),
    "upper-case extension": lambda tree: renamed(tree, lambda path: path[:-4] + ".WAV"),
    "hidden files": with_junk,
    "other files": lambda tree: tree | {"README.md": "about", "paper.pdf": b"%PDF-1.4"},
}
OWN_LAYOUTS = {  # of one corpus
    ("crema_d", "table from Windows"): lambda tree: (
        tree | {"VideoDemographics.csv": "\ufeff" + DEMOGRAPHICS.replace("\n", "\r\n")}
    ),
    ("crema_d", "table in Latin-1, with its byte 0x85"): lambda tree: (
        tree | {"VideoDemographics.csv": LATIN_1.encode("latin-1")}
    ),
    ("crema_d", "two tables that agree"): lambda tree: (
        tree | {"old/VideoDemographics.csv": DEMOGRAPHICS}
    ),
    ("elderreact", "a list that repeats itself"): lambda tree: {
        path: content * 2 if isinstance(content, str) else content for path, content in tree.items()
    },
    ("emo_db", "names in another case"): lambda tree: renamed(
        tree, lambda path: path.replace("03a01Wa", "03A01wA")
    ),
    ("esd", "flat"): lambda tree: renamed(
        tree, lambda path: "/".join((*path.split("/")[:2], Path(path).name))
    ),
    ("tess", "twice the folder"): lambda tree: {
        f"{TESS}/{path}": clip for path, clip in tree.items()
    },
    ("urdu", "names of the README"): lambda tree: renamed(
        tree, lambda path: str(Path(path).with_stem(URDU_README[Path(path).stem]))
    ),
    ("yuemotion", "a table that repeats itself"): lambda tree: (
        tree | {"train_metadata.csv": YUEMOTION_HEADER + YUEMOTION["train"] * 2}
    ),
}


@pytest.mark.parametrize("corpus", CORPORA)
def test_facts_of_clips(plain, corpus):
    table = plain[corpus].table
    rows = table.astype(object).where(table.notna(), None).set_index("id")
    columns = ["speaker", "sentence", "language", "age_years", "gender", "official_split"]
    for identifier, (label, emotions, speaker, sentence, *facts) in FACTS.items():
        if identifier in rows.index:
            row = rows.loc[identifier]
            assert (row["native_label"], " ".join(row["emotions"])) == (label, emotions)
            prefixed = [name and f"{corpus}/{name}" for name in (speaker, sentence)]
            assert row[columns].tolist() == [*prefixed, *facts]
    assert set(rows["age_source"]) == {CORPORA[corpus].card.age_source}
    assert list(rows["age_group"] == "eld") == list(rows["age_years"] >= 60)
    assert len(rows) == sum(map(is_clip, TREES[corpus]))
    assert len(rows.index.intersection(FACTS)) == sum(
        name.startswith(f"{corpus}/") for name in FACTS
    )
    assert findings(plain[corpus]) == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_in_every_layout(tmp_path, index, plain, corpus, layout):
    lay_tree(tmp_path / "情感", corpus, LAYOUTS[layout](TREES[corpus]))
    other = index(tmp_path)
    assert other.fingerprint == plain[corpus].fingerprint
    assert findings(other) == []
    assert other.roots[corpus] == (tmp_path / "情感").resolve()
    assert all(other.path(corpus, path).is_file() for path in other.table["path"])


@pytest.mark.parametrize(("corpus", "layout"), OWN_LAYOUTS)
def test_layouts_of_one_corpus(tmp_path, index, plain, corpus, layout):
    lay_tree(tmp_path / corpus, corpus, OWN_LAYOUTS[corpus, layout](TREES[corpus]))
    other = index(tmp_path)
    assert ids(other) == ids(plain[corpus])
    facts = ["id", "age_years", "emotions", "official_split"]
    assert other.table[facts].equals(plain[corpus].table[facts])
    assert findings(other) == []


@pytest.mark.parametrize("corpus", CORPORA)
def test_everything_twice_is_told_and_the_upper_copy_used(tmp_path, index, plain, corpus):
    lay(tmp_path, corpus)
    lay(tmp_path, corpus, folder=f"{corpus}/older/copy")
    both = index(tmp_path)
    assert both.fingerprint == plain[corpus].fingerprint
    assert list(both.table["path"]) == list(plain[corpus].table["path"])
    assert set(findings(both)) == {
        f"copy older/copy/{path}: of {path}" for path in both.table["path"]
    }


def test_crema_d_clip_that_some_copies_misname(tmp_path, index):
    table = {"VideoDemographics.csv": DEMOGRAPHICS + '1040,44,"Female","x","x"\n'}
    lay(tmp_path, "crema_d", table | {"AudioWAV/1040_ITH_SAD_X.wav": Clip()})
    assert "crema_d/1040_ITH_SAD_XX" in ids(index(tmp_path))


def test_elderreact_as_video_and_both(tmp_path, index, plain):
    video = mp4(tmp_path / "clip.mp4")
    stems = [identifier.partition("/")[2] for identifier in plain["elderreact"].table["id"]]
    for name, clips in {"video": None, "both": Clip()}.items():
        changes = {path: clips for path in TREES["elderreact"] if is_clip(path)}
        videos = lay(tmp_path / name, "elderreact", changes) / "ElderReact_Videos"
        videos.mkdir()
        for stem in stems:
            shutil.copy(video, videos / f"{stem}.mp4")
    both, from_video = index(tmp_path / "both"), index(tmp_path / "video")
    assert both.fingerprint == plain["elderreact"].fingerprint
    assert [line.split(":")[0] for line in findings(both)] == [
        f"copy ElderReact_Videos/{stem}.mp4" for stem in sorted(stems)
    ]
    facts = ["id", "gender", "native_label", "official_split"]
    assert from_video.table[facts].equals(plain["elderreact"].table[facts])
    assert findings(from_video) == []
    assert set(from_video.table["container"]) == {"MP4"}
    assert from_video.table["duration_s"].between(0.4, 0.65).all()
    waveform = audio.decode(from_video.path("elderreact", from_video.table["path"][0]))
    assert waveform.dtype == np.float32
    assert abs(len(waveform) / 16000 - 0.5) < 0.1
    assert abs(np.abs(np.fft.rfft(waveform[2000:6000])).argmax() * 16000 / 4000 - 440) < 8


def to_parquet(
    path: Path, recordings: dict[str, bytes], lines: list[str], as_classes: bool
) -> None:
    """A Parquet file as the Hub's conversion makes it: struct column `audio`, and the metadata."""
    columns = YUEMOTION_HEADER.strip().split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines]
    for row in rows:
        stem = Path(row["file_name"]).stem
        row |= {"audio": {"bytes": recordings[stem], "path": f"{stem}.wav"}}
        row |= {name: int(row[name]) for name in ("age", "sentence_id", "label_id")}
        if as_classes:
            row["speaker_id"] = int(row["speaker_id"])
            row["split"] = list(YUEMOTION).index(row["split"])
            row["gender"] = {"m": "male", "f": "female"}[row["gender"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(
    "layout", ["tar", "tar without a folder", "parquet", "parquet a part", "parquet of classes"]
)
def test_yuemotion_packed_is_the_same_corpus(tmp_path, index, plain, layout):
    root, folder = tmp_path / "root", tmp_path / "root/yuemotion"
    recordings = {stem: recording(tmp_path, f"{stem}.wav") for stem in YUEMOTION_STEMS}
    if layout.startswith("tar"):
        lay_tree(folder, "yuemotion", YUEMOTION_TABLES)
        inside = "./data/" if layout == "tar" else ""
        members = {f"{inside}{stem}.wav": content for stem, content in recordings.items()}
        pack(folder / "data.tar.bz2", {f"{inside}notes.txt": b"not a clip"} | members)
    elif layout == "parquet a part":
        for part, lines in YUEMOTION.items():
            parquet = folder / "default" / part / "0000.parquet"
            to_parquet(parquet, recordings, lines.splitlines(), False)
    else:
        lines = "".join(YUEMOTION.values()).splitlines()[::-1]
        to_parquet(folder / "0.parquet", recordings, lines, layout == "parquet of classes")
    packed = index(root)
    assert packed.fingerprint == plain["yuemotion"].fingerprint
    assert packed.table["official_split"].equals(plain["yuemotion"].table["official_split"])
    assert findings(packed) == []
    assert packed.roots["yuemotion"].is_relative_to(files.cache_dir())
    for path in packed.table["path"]:
        assert packed.path("yuemotion", path).read_bytes() == recordings[Path(path).stem]
    again = index(root)
    assert (again.states, again.fingerprint) == (packed.states, packed.fingerprint)


def test_slow_files_are_opened_several_at_a_time(tmp_path, plain, monkeypatch):
    monkeypatch.setattr("bimotion.data.index.N_TRIED", 2)
    monkeypatch.setattr("bimotion.data.index.SLOW_S", 0)
    lay(tmp_path, "tess")
    slow = manifest.build(CorpusSource.of(tmp_path))
    assert slow.fingerprint == plain["tess"].fingerprint
    assert slow.table.equals(plain["tess"].table)


def test_all_corpora_beside_each_other_and_at_given_folders(tmp_path, index, plain):
    for corpus in CORPORA:
        lay(tmp_path / ("elsewhere" if corpus == "esd" else "here"), corpus)
    (tmp_path / "here" / ".hidden").mkdir()
    (tmp_path / "here" / "loose file.txt").write_text("not a corpus")
    elsewhere = {"esd": tmp_path / "elsewhere" / "esd"}
    together = index(tmp_path / "here", locations=elsewhere)
    assert together.corpora == tuple(CORPORA)
    assert findings(together) == []
    assert together.roots["esd"] == elsewhere["esd"].resolve()
    assert list(together.table["id"]) == sorted(set().union(*map(ids, plain.values())))
    lone = manifest.build(CorpusSource.of(None, only=["esd"], locations=elsewhere))
    assert lone.corpora == ("esd",)
    assert ids(lone) == ids(plain["esd"])


@pytest.mark.parametrize(
    "stem", ["04a01Wa", "17a01Wa", "03a03Wa", "03b04Wa", "03a01Xa", "03a01Wg", "03a01W", "003a01Wa"]
)
def test_names_outside_the_grammar_of_emo_db_are_not_recognised(tmp_path, index, plain, stem):
    lay(tmp_path, "emo_db", {f"wav/{stem}.wav": Clip()})
    manifest = index(tmp_path)
    assert findings(manifest) == [f"unrecognised wav/{stem}.wav"]
    assert ids(manifest) == ids(plain["emo_db"])
