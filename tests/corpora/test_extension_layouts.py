"""EMO-DB, ShEMO and URDU: what their true names mean, in every layout that is about, and the
hostile twins of their files."""

import pytest

from bimotion.corpora.utterance import UNUSABLE
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusNotFound

EMO_DB = {  # stem -> native label, emotion, speaker, sentence, age, gender
    "03a01Wa": ("W", "angry", "03", "a01", 31, "m"),
    "08a02La": ("L", "other", "08", "a02", 34, "f"),
    "09a05Ed": ("E", "disgust", "09", "a05", 21, "f"),
    "10a07Aa": ("A", "fear", "10", "a07", 32, "m"),
    "11b02Fd": ("F", "happiness", "11", "b02", 26, "m"),
    "12b09Td": ("T", "sadness", "12", "b09", 30, "m"),
    "13b10Nc": ("N", "neutral", "13", "b10", 32, "f"),
    "16b03Ta": ("T", "sadness", "16", "b03", 31, "f"),
}
SHEMO = {  # path -> native label, emotion, speaker, gender
    "female/F03S02": ("S", "sadness", "F03", "f"),
    "female/F21N23": ("N", "neutral", "F21", "f"),
    "female/F10W01": ("W", "surprise", "F10", "f"),
    "male/M21F01": ("F", "fear", "M21", "m"),
    "male/M28A43": ("A", "angry", "M28", "m"),
    "male/M12H01": ("H", "happiness", "M12", "m"),
}
URDU = {  # path -> native label, emotion, speaker, gender
    "Angry/SM1_F1_A01": ("A", "angry", "SM1", "m"),
    "Angry/SM1_F10_A010": ("A", "angry", "SM1", "m"),
    "Angry/SM4_F48_A0100": ("A", "angry", "SM4", "m"),
    "Happy/SM3_F1_H053": ("H", "happiness", "SM3", "m"),
    "Neutral/SM3_F1_N021": ("N", "neutral", "SM3", "m"),
    "Sad/SF10_F1_S01": ("S", "sadness", "SF10", "f"),
}


def lay_emo_db(root, wav, folder="EMO-DB"):
    for stem in EMO_DB:
        wav(root / folder / "wav" / f"{stem}.wav")
    return root / folder


def lay_shemo(root, wav, folder="ShEMO"):
    for name in SHEMO:
        wav(root / folder / f"{name}.wav", rate=44100)
    return root / folder


def lay_urdu(root, wav, folder="URDU-Dataset"):
    for name in URDU:
        wav(root / folder / f"{name}.wav", rate=44100)
    return root / folder


LAY = {"emo_db": lay_emo_db, "shemo": lay_shemo, "urdu": lay_urdu}
IDS = {
    "emo_db": {f"emo_db/{stem}" for stem in EMO_DB},
    "shemo": {f"shemo/{name.partition('/')[2]}" for name in SHEMO},
    "urdu": {f"urdu/{name.partition('/')[2]}" for name in URDU},
}
each = pytest.mark.parametrize("corpus", LAY)


def ids(found):
    return set(found.table["id"])


def odd(found):
    """Findings but the thousands of `missing` that a small tree has: (kind, where, detail)."""
    return [
        (finding.kind, finding.where, finding.detail)
        for finding in found.findings
        if finding.kind != "missing"
    ]


# --- layouts ------------------------------------------------------------------------------------


def test_emo_db_by_position(tmp_path, wav, index):
    lay_emo_db(tmp_path, wav)
    found = index(tmp_path)
    rows = found.table.set_index("id")
    assert ids(found) == IDS["emo_db"]
    for stem, (code, emotion, speaker, sentence, age, gender) in EMO_DB.items():
        row = rows.loc[f"emo_db/{stem}"]
        assert (row["native_label"], list(row["emotions"])) == (code, [emotion])
        assert (row["speaker"], row["sentence"]) == (f"emo_db/{speaker}", f"emo_db/{sentence}")
        assert (row["age_years"], row["age_source"], row["gender"]) == (age, "stated", gender)
        assert (row["language"], row["age_group"]) == ("deu", "adu")
    assert odd(found) == []


@pytest.mark.parametrize(
    ("corpus", "facts", "language"), [("shemo", SHEMO, "fas"), ("urdu", URDU, "urd")]
)
def test_shemo_and_urdu_by_position(tmp_path, wav, index, corpus, facts, language):
    LAY[corpus](tmp_path, wav)
    found = index(tmp_path)
    rows = found.table.set_index("id")
    assert ids(found) == IDS[corpus]
    for name, (code, emotion, speaker, gender) in facts.items():
        row = rows.loc[f"{corpus}/{name.partition('/')[2]}"]
        assert (row["native_label"], list(row["emotions"])) == (code, [emotion])
        assert (row["speaker"], row["gender"]) == (f"{corpus}/{speaker}", gender)
        assert (row["age_years"], row["age_source"]) == (30, "assumed")
        assert (row["language"], row["age_group"]) == (language, "adu")
    assert rows["sentence"].isna().all()
    assert odd(found) == []


@each
def test_folders_of_any_name_and_depth(tmp_path, wav, index, corpus):
    LAY[corpus](tmp_path / "plain", wav)
    LAY[corpus](tmp_path / "deep", wav, "my data/a/b")
    plain, deep = index(tmp_path / "plain"), index(tmp_path / "deep")
    assert ids(deep) == ids(plain) == IDS[corpus]
    assert deep.fingerprint == plain.fingerprint
    assert odd(deep) == []


@each
def test_all_clips_in_one_folder(tmp_path, wav, index, corpus):
    """Copies without the folders that repeat the name: it alone decides."""
    for stem in IDS[corpus]:
        wav(
            tmp_path / "flat" / f"{stem.partition('/')[2]}.wav",
            rate=16000 if corpus == "emo_db" else 44100,
        )
    found = index(tmp_path)
    assert ids(found) == IDS[corpus]
    assert odd(found) == []


def test_the_three_beside_each_other(tmp_path, wav, index):
    for lay in LAY.values():
        lay(tmp_path, wav)
    found = index(tmp_path)
    assert found.corpora == ("emo_db", "shemo", "urdu")
    assert ids(found) == set().union(*IDS.values())


def test_emo_db_in_other_case_and_with_its_label_files(tmp_path, wav, index):
    folder = lay_emo_db(tmp_path, wav)
    (folder / "wav" / "03a01Wa.wav").rename(folder / "wav" / "03A01wA.WAV")
    for kind in ("lablaut", "labsilb", "silb"):
        (folder / kind).mkdir()
        (folder / kind / f"08a02La.{kind}").write_text("header\n")
    (folder / "erkennung.txt").write_bytes(
        b"Nr.\tSatz\terkannt\tnatuerlich\n1\xa0\t03a01Ab.wav\t65,00\xa0\n"
    )
    found = index(tmp_path)
    assert ids(found) == IDS["emo_db"]
    assert odd(found) == []


def test_urdu_as_its_readme_writes_the_names(tmp_path, wav, index):
    """`F01` and `A12` there, `F1` and `A012` on disk: the same clips."""
    lay_urdu(tmp_path / "disk", wav)
    for name in (
        "SM1_F01_A1",
        "SM1_F10_A10",
        "SM4_F48_A100",
        "SM3_F01_H53",
        "SM3_F01_N21",
        "SF10_F01_S001",
    ):
        wav(tmp_path / "readme" / "URDU" / f"{name}.wav", rate=44100)
    assert ids(index(tmp_path / "readme")) == ids(index(tmp_path / "disk")) == IDS["urdu"]


def test_urdu_zero_is_no_padding(tmp_path, wav, index):
    """A01, A010 and A0100 are three clips."""
    lay_urdu(tmp_path, wav)
    assert {"urdu/SM1_F1_A01", "urdu/SM1_F10_A010", "urdu/SM4_F48_A0100"} <= ids(index(tmp_path))


# --- hostile twins ------------------------------------------------------------------------------


@each
def test_files_of_the_finder_and_other_sound(tmp_path, wav, index, corpus):
    folder = LAY[corpus](tmp_path, wav)
    for path in sorted(folder.rglob("*.wav")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    (folder / ".DS_Store").write_bytes(b"\0")
    wav(folder / "music.wav")
    found = index(tmp_path)
    assert ids(found) == IDS[corpus]
    assert [(kind, where) for kind, where, _ in odd(found)] == [("unrecognised", "music.wav")]


@each
def test_damaged_sound_is_told_and_never_used(tmp_path, wav, index, corpus):
    folder = LAY[corpus](tmp_path, wav)
    pointer, empty, short, *_ = sorted(folder.rglob("*.wav"))
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 72862\n")
    empty.write_bytes(b"")
    short.write_bytes(short.read_bytes()[:-200])
    found = index(tmp_path)
    assert {(kind, where) for kind, where, _ in odd(found)} == {
        ("pointer", pointer.relative_to(folder).as_posix()),
        ("empty", empty.relative_to(folder).as_posix()),
        ("truncated", short.relative_to(folder).as_posix()),
    }
    assert ids(found) == IDS[corpus] - {f"{corpus}/{path.stem}" for path in (pointer, empty, short)}
    assert {kind for kind, _, _ in odd(found)} <= UNUSABLE


def test_aiff_stereo_and_another_rate(tmp_path, wav, index):
    folder = lay_emo_db(tmp_path, wav)
    wav(folder / "wav" / "03a01Wa.wav", format="AIFF")
    wav(folder / "wav" / "08a02La.wav", rate=96000)
    wav(folder / "wav" / "09a05Ed.wav", channels=2)
    found = index(tmp_path)
    assert ids(found) == IDS["emo_db"]
    assert [(kind, where) for kind, where, _ in odd(found)] == [
        ("aiff", "wav/03a01Wa.wav"),
        ("rate", "wav/08a02La.wav"),
    ]


@pytest.mark.parametrize(
    "stem", ["04a01Wa", "17a01Wa", "03a03Wa", "03b04Wa", "03a01Xa", "03a01Wg", "03a01W", "003a01Wa"]
)
def test_emo_db_names_that_its_grammar_does_not_have(tmp_path, wav, index, stem):
    folder = lay_emo_db(tmp_path, wav)
    wav(folder / "wav" / f"{stem}.wav")
    found = index(tmp_path)
    assert ids(found) == IDS["emo_db"]
    assert odd(found) == [("unrecognised", f"wav/{stem}.wav", "")]


def test_emo_db_recording_that_was_not_published(tmp_path, wav, index):
    """816 were recorded; 14b09Tb passed the listeners and is not among the 535."""
    folder = lay_emo_db(tmp_path, wav)
    wav(folder / "wav" / "14b09Tb.wav")
    found = index(tmp_path)
    assert odd(found) == [("unlisted", "emo_db/14b09Tb", "")]


@pytest.mark.parametrize(
    ("corpus", "true", "false", "detail"),
    [
        ("shemo", "female/F03S02", "male/F03S02", "name says F, folder says male"),
        ("urdu", "Sad/SF10_F1_S01", "Happy/SF10_F1_S01", "name says S, folder says Happy"),
    ],
)
def test_clip_in_the_folder_of_another_class(tmp_path, wav, index, corpus, true, false, detail):
    folder = LAY[corpus](tmp_path, wav)
    (folder / f"{true}.wav").rename(folder / f"{false}.wav")
    found = index(tmp_path)
    assert odd(found) == [("contradiction", f"{false}.wav", detail)]
    lost = f"{corpus}/{true.partition('/')[2]}"
    assert ids(found) == IDS[corpus] - {lost}
    assert lost in {finding.where for finding in found.findings if finding.kind == "missing"}


@each
def test_two_different_clips_of_one_name(tmp_path, wav, index, corpus):
    folder = LAY[corpus](tmp_path, wav)
    first = sorted(folder.rglob("*.wav"))[0]
    wav(folder / "again" / first.name, seconds=0.4)
    found = index(tmp_path)
    ((kind, where, _),) = odd(found)
    assert (kind, where) == ("conflict", f"{corpus}/{first.stem}")
    assert where not in ids(found)


def test_a_root_without_them_says_what_it_holds(tmp_path, wav):
    wav(tmp_path / "RAVDESS" / "03-01-01-01-01-01-01.wav")
    with pytest.raises(
        CorpusNotFound,
        match=r"expected sub-folders that hold emo_db; recognised none of them .*\(RAVDESS\)",
    ):
        manifest.build(CorpusSource.of(tmp_path, only=["emo_db"]))
