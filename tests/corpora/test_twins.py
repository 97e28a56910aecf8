"""Hostile twins of the small trees: whatever contradicts itself, is malformed or damaged is told by
file and line, and never resolved by order."""

import re
from typing import NamedTuple

import pytest

from bimotion.corpora import CORPORA
from bimotion.corpora import tree as trees
from bimotion.corpora.utterance import FINDINGS, UNUSABLE
from bimotion.data import splits
from bimotion.errors import CorpusIncomplete, CorpusMalformed
from tests.support.raw_corpora import (
    ANNOTATIONS,
    DEMOGRAPHICS,
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
    missing,
)

TABLE, TRAIN, TEST = "VideoDemographics.csv", "train_metadata.csv", "test_metadata.csv"
DEV = f"{ANNOTATIONS}/dev_labels.txt"
EVALUATION = "Session1/dialog/EmoEvaluation"
DIALOG = "sentences/wav/Ses01F_impro01"
M011 = f"Session1/{DIALOG}/Ses01F_impro01_M011.wav"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 72862\n"


class Twin(NamedTuple):
    """A changed tree (see `lay`), and what is to come of it."""

    corpus: str
    changes: dict[str, object]
    messages: tuple[str, ...]
    """Parts of the line of a refusal; else all findings."""
    refused: bool = False
    lost: str = ""
    """Stem of the clip that cannot be used then."""
    gained: str = ""


def refused(corpus, changes, *messages):
    return Twin(corpus, changes, messages, refused=True)


def misplaced(corpus, path, detail):
    """A clip in a folder that says something else than its name."""
    return Twin(corpus, {path: Clip()}, (f"contradiction {path}: {detail}",))


def actors(*lines: str) -> dict[str, str]:
    return {TABLE: "\n".join(("ActorID,Age,Sex,Race", *lines, ""))}


def row(line: str, table: str = TRAIN) -> dict[str, str]:
    """A table of YueMotion with one more row, its last."""
    return {table: YUEMOTION_TABLES[table] + line + "\n"}


CONTRADICTIONS = {
    "actor twice": refused(
        "crema_d",
        {TABLE: DEMOGRAPHICS + '"1001 ",25,"Male"\n'},
        *("1001", f"{TABLE}:2", "51", f"{TABLE}:6", "25"),
    ),
    "second table of actors": refused(
        "crema_d",
        {f"old/{TABLE}": "ActorID,Age,Sex\n1016,61,Female\n"},
        *("1016", f"old/{TABLE}:2", "'f'", f"/{TABLE}:4", "'m'"),
    ),
    "label file twice": refused(
        "elderreact",
        {"old/test_labels.txt": "50_50_42.mp4 1 0 0 0 0 0 f 4.0\n"},
        *("50_50_42", "Annotations/test_labels.txt:1", "()", "old/test_labels.txt:1", "Anger"),
    ),
    "clip in two label files": refused(
        "elderreact",
        {DEV: TREES["elderreact"][DEV] + "50_50_100.mp4 0 1 1 0 0 1 f 1.6\n"},
        *("50_50_100", "dev_labels.txt:3", "validation", "train_labels.txt:1", "train"),
    ),
    "label twice": refused(
        "iemocap",
        {f"{EVALUATION}/more.txt": "[6.2901 - 8.2357]\tSes01F_impro01_F000\tang\t[2, 2, 2]\n"},
        *("Ses01F_impro01_F000", "Ses01F_impro01.txt:3", "'neu'", "more.txt:1", "'ang'"),
    ),
    "clip in two tables": refused(
        "yuemotion",
        row("train,14,data/14_m60_01_4.wav,m,60,1,4,neutral"),
        *("14_m60_01_4", f"{TEST}:2", "'test'", f"{TRAIN}:5", "'train'"),
    ),
    "row in another table": refused(
        "yuemotion",
        row("validation,14,data/14_m60_02_4.wav,m,60,2,4,neutral"),
        *(f"{TRAIN}:5", "says validation"),
    ),
    "two ages": refused(
        "yuemotion",
        row("train,14,data/14_m25_02_4.wav,m,25,2,4,neutral"),
        *("yuemotion/14", "60 (yuemotion/14_m60_01_4)", "25 (yuemotion/14_m25_02_4)"),
    ),
    "two genders": refused(
        "yuemotion",
        row("train,14,data/14_f60_02_4.wav,f,60,2,4,neutral"),
        *("yuemotion/14", "14_m60_01_4 says 'm'", "14_f60_02_4 says 'f'"),
    ),
    "CSED folder": misplaced(
        "csed",
        "Training Data (wav)/NEGATIVE/more/Nat_Female-13.wav",
        "name says Nat, folder says NEGATIVE",
    ),
    "ElderReact folder": misplaced(
        "elderreact",
        "elderreact_TEST/more/50_50_100.wav",
        "folder says elderreact_TEST, label file says train",
    ),
    "ESD emotion": misplaced(
        "esd", "0001/sad/more/0001_000403.wav", "number 403 says Angry, folder says sad"
    ),
    "ESD speaker": misplaced(
        "esd", "0002/Angry/train/0001_000403.wav", "name says speaker 0001, folder says 0002"
    ),
    "ESD part": misplaced(
        "esd", "Test/0001/Angry/0001_000403.wav", "number 403 says train, folder says Test"
    ),
    "ShEMO folder": misplaced("shemo", "MALE/more/F03S03.wav", "name says F, folder says MALE"),
    "TESS emotion": misplaced(
        "tess", f"{TESS}/OAF_Fear/OAF_bar_sad.wav", "name says OAF and sad, folder says OAF_Fear"
    ),
    "TESS speaker": misplaced(
        "tess",
        f"{TESS}/yaf_FEAR/more/OAF_bar_fear.wav",
        "name says OAF and fear, folder says yaf_FEAR",
    ),
    "URDU folder": misplaced("urdu", "ANGRY/SM1_F10_H011.wav", "name says H, folder says ANGRY"),
    **{
        f"IEMOCAP {folder}": Twin(
            "iemocap",
            {M011: None, f"{folder}/Ses01F_impro01_M011.wav": Clip()},
            (
                f"contradiction {folder}/Ses01F_impro01_M011.wav: name says Ses01F_impro01, folder "
                f"says {named}",
            ),
            lost="Ses01F_impro01_M011",
        )
        for folder, named in {
            f"session2/{DIALOG}": "session2",
            "Session1/sentences/wav/ses01f_impro02": "ses01f_impro02",
        }.items()
    },
}
ELDERREACT_LINES = (
    "50_50_36.mp4 1 1 1 1 1 1 m",
    "50_50_36.mp4 1 1 1 1 1 2 m 3.0",
    "50_50_36.mp4 1 1 1 1 1 1 male 3.0",
    "50_50_36.mp4,1,1,1,1,1,1,m,3.0",
    "50 50 36.mp4 1 1 1 1 1 1 m 3.0",
)
COLUMNS_OF = "expected columns ActorID, Age, Sex"
YUEMOTION_ROWS = {  # row -> parts of the line
    "test,14,data/14_m60_02_4.wav,m,59,2,4,neutral": ("14_m60_02_4", "'59'", "disagree"),
    "test,13,data/14_m60_02_4.wav,m,60,2,4,neutral": ("14_m60_02_4", "'13'", "disagree"),
    "test,14,data/14_m60_02_4.wav,f,60,2,4,neutral": ("14_m60_02_4", "'f'", "disagree"),
    "test,14,data/14_m60_02_4.wav,m,60,3,4,neutral": ("14_m60_02_4", "'03'", "disagree"),
    "test,14,data/14_m60_02_4.wav,m,60,2,4,fear": ("14_m60_02_4", "'fear'", "disagree"),
    "dev,14,data/14_m60_02_4.wav,m,60,2,4,neutral": ("a split (train, validation, test)", "'dev'"),
    "test,14,data/14_m60_02_7.wav,m,60,2,7,neutral": ("a file name", "'data/14_m60_02_7.wav'"),
    "test,14,data/14_m60_02_4.wav,m,60,2,4,joy": ("a label (anger, happy,", "'joy'"),
    "test,14,data/14_m60_02_4.wav": ("expected columns split,speaker_id,", "missing gender, age, "),
}
MALFORMED = {
    "no table of actors": refused("crema_d", {TABLE: None}, f"expected {TABLE}", "found none"),
    "no column": refused("crema_d", {TABLE: DEMOGRAPHICS.replace("Age", "Years")}, COLUMNS_OF),
    "no age": refused("crema_d", actors("1002,young,Female"), f"{TABLE}:2: {COLUMNS_OF}", "young"),
    "no sex": refused("crema_d", actors("1002,21,Lady"), f"{TABLE}:2: {COLUMNS_OF}", "Lady"),
    "short row": refused("crema_d", actors("1003"), f"{TABLE}:2: {COLUMNS_OF}"),
    "nobody's age": refused("crema_d", actors("1001,161,Male"), f"{TABLE}:2", "161", "1 to 110"),
    "open quote": refused("crema_d", actors('1001,51,Male,"'), TABLE, "unexpected end of data"),
    "binary table": refused(
        "crema_d", {TABLE: b"PK\x03\x04\0\0\0\0"}, f"{TABLE}: expected text, found binary data"
    ),
    **{
        f"line {line}": refused(
            "elderreact",
            {DEV: TREES["elderreact"][DEV] + line + "\n"},
            *("dev_labels.txt:3: expected '<name>.mp4'", f"found {line!r}"),
        )
        for line in ELDERREACT_LINES
    },
    "no label file": refused(
        "elderreact", {DEV: None}, "expected train_labels.txt, ", "missing dev_labels.txt"
    ),
    **{
        f"{corpus} in UTF-16": refused(
            corpus, {path: text.encode("utf-16")}, f"{path}: expected text, found binary data"
        )
        for corpus, path in (("elderreact", DEV), ("yuemotion", TRAIN))
        for text in (TREES[corpus][path],)
    },
    "unknown label": refused(
        "iemocap",
        {f"{EVALUATION}/x.txt": "[6.2901 - 8.2357]\tSes01F_impro01_F000\tjoy\t[2.5, 2.5, 2.5]\n"},
        *("x.txt:1: unknown label 'joy'", "ang, dis, exc, fea, fru, hap, neu, oth, sad, sur, xxx"),
    ),
    "no labels": refused(
        "iemocap",
        {path: None for path in TREES["iemocap"] if path.endswith(".txt")},
        *("expected label files Session*/dialog/EmoEvaluation/<dialog>.txt", "found none"),
    ),
    **{
        f"row {line}": refused("yuemotion", row(line, TEST), f"/{TEST}:5: ", *parts)
        for line, parts in YUEMOTION_ROWS.items()
    },
    "no table": refused(
        "yuemotion",
        {"validation_metadata.csv": None},
        *("validation_metadata.csv", "found test_metadata.csv, train_metadata.csv;"),
    ),
    "semicolons": refused(
        "yuemotion",
        {f"old/{TEST}": (YUEMOTION_HEADER + YUEMOTION["test"]).replace(",", ";")},
        *(f"old/{TEST}:2", "expected columns split,speaker_id"),
    ),
}
MUSIC = "unrecognised music.wav"
UNKNOWN = {
    **{
        f"music beside {corpus}": Twin(corpus, {"music.wav": Clip()}, (MUSIC,))
        for corpus in CORPORA
        if corpus != "elderreact"
    },
    "recording of a dialog": Twin(
        "iemocap",
        {"Session1/dialog/wav/Ses01F_impro01.wav": Clip()},
        ("unrecognised Session1/dialog/wav/Ses01F_impro01.wav",),
    ),
    "actor without a row": Twin(
        "crema_d",
        {TABLE: DEMOGRAPHICS.replace("1002", "1003")},
        ("unlabelled AudioWAV/1002_IEO_HAP_HI.wav: actor 1002 is not in VideoDemographics.csv",),
        lost="1002_IEO_HAP_HI",
    ),
    "clip in no label file": Twin(
        "elderreact",
        {"ElderReact_dev/50_50_999.wav": Clip()},
        ("unlabelled ElderReact_dev/50_50_999.wav: in no label file",),
    ),
    "clip in no dialog": Twin(
        "iemocap",
        {f"Session1/{DIALOG}/Ses01F_impro01_M012.wav": Clip()},
        (
            f"unlabelled Session1/{DIALOG}/Ses01F_impro01_M012.wav: not in "
            "EmoEvaluation/Ses01F_impro01.txt",
        ),
    ),
    "clip in no table": Twin(
        "yuemotion",
        {"data/14_m60_02_2.wav": Clip()},
        ("unlabelled data/14_m60_02_2.wav: in no metadata table",),
    ),
    **{
        f"ESD {number}": Twin(
            "esd",
            {f"0001/Angry/0001_{number:06}.wav": Clip()},
            (f"unlabelled 0001/Angry/0001_{number:06}.wav: number {number} is outside 1-1750",),
        )
        for number in (0, 1751, 999999)
    },
    "EMO-DB unlisted": Twin(
        "emo_db", {"wav/14b09Tb.wav": Clip()}, ("unlisted emo_db/14b09Tb",), gained="14b09Tb"
    ),
    "CSED unlisted": Twin(
        "csed",
        {"Training Data (wav)/Natural/Nat_Female-999.wav": Clip()},
        ("unlisted csed/Nat_female_999",),
        gained="Nat_female_999",
    ),
    "no file": Twin("yuemotion", {"data/04_f28_09_5.wav": None}, (), lost="04_f28_09_5"),
    "a folder of a clip's name": Twin(
        "shemo", {"female/F03S03.wav/F03S04.wav": Clip()}, (), gained="F03S04"
    ),
}
TWINS = CONTRADICTIONS | MALFORMED | UNKNOWN


@pytest.mark.parametrize("name", TWINS)
def test_twins(tmp_path, index, plain, name):
    twin = TWINS[name]
    folder = lay(tmp_path, twin.corpus, twin.changes)
    if twin.refused:
        with pytest.raises(CorpusMalformed) as raised:
            index(tmp_path)
        message = str(raised.value)
        assert [part for part in twin.messages if part not in message] == [], message
        assert str(folder) in message or "yuemotion/14" in message
        assert "\n" not in message
        return
    manifest = index(tmp_path)
    assert findings(manifest) == list(twin.messages)
    lost, gained = ({f"{twin.corpus}/{stem}"} if stem else set() for stem in twin[-2:])
    assert ids(manifest) == ids(plain[twin.corpus]) - lost | gained
    assert lost <= missing(manifest)
    if name == "no file":
        assert missing(manifest) == {
            f"yuemotion/{twin.lost}",
            f"{1080 - len(YUEMOTION_STEMS)} more",
        }
    if name == "CSED unlisted":
        for rule in splits.RULES:
            split = splits.split(manifest, rule)
            assert (split.findings, set(split.table.index)) == ((), ids(plain["csed"]))


def test_every_reader_is_tried():
    assert {twin.corpus for twin in TWINS.values()} == set(CORPORA)


AGAIN = {  # corpus -> a second name for the first clip of its tree
    "crema_d": "old/1001_dfa_ang_xx.wav",
    "csed": "old/Nat-female-1.wav",
    "elderreact": "old/50_50_100.wav",
    "emo_db": "old/03A01wA.wav",
    "esd": "0001/Neutral/0001_000001.wav",
    "iemocap": "old/Ses01F_impro01_F000.wav",
    "shemo": "old/f03s02.wav",
    "tess": f"{TESS}/{TESS}/OAF_Fear/OAF_back_fear.wav",
    "urdu": "old/SM1_F1_A1.wav",
    "yuemotion": "old/14_m60_08_1.wav",
}


@pytest.mark.parametrize("corpus", CORPORA)
def test_two_recordings_of_one_name(tmp_path, index, plain, corpus):
    """They are of one size: only their samples tell them apart."""
    folder, again = lay(tmp_path, corpus), AGAIN[corpus]
    first = next(path for path in TREES[corpus] if path.endswith(".wav"))
    lay(tmp_path, corpus, {again: (folder / first).read_bytes()})
    copies = index(tmp_path)
    [line] = findings(copies)
    assert line in (f"copy {again}: of {first}", f"copy {first}: of {again}")
    assert copies.fingerprint == plain[corpus].fingerprint
    lay(tmp_path, corpus, {again: Clip(take=1)})
    (folder / again).touch()
    differing = index(tmp_path)
    [lost] = ids(copies) - ids(differing)
    [line] = findings(differing)
    sound = r"0\.200 s, [0-9a-f]{8}: "
    assert re.match(f"conflict {lost}: {sound}", line)
    assert all(re.search(sound + re.escape(path), line) for path in (first, again))
    assert lost not in missing(differing)
    with pytest.raises(CorpusIncomplete, match=f"1 conflict: {lost}"):
        differing.require_complete([corpus])


@pytest.mark.parametrize("corpus", CORPORA)
def test_damaged_sound_is_told_and_never_used(tmp_path, index, plain, corpus):
    folder = lay(tmp_path, corpus)
    pointer, empty, short, *_ = sorted(folder.rglob("*.wav"))
    pointer.write_text(POINTER)
    empty.write_bytes(b"")
    short.write_bytes(short.read_bytes()[:-200])
    damaged = index(tmp_path)
    kinds = {"pointer": pointer, "empty": empty, "truncated": short}
    assert {line.split(":")[0] for line in findings(damaged)} == {
        f"{kind} {path.relative_to(folder).as_posix()}" for kind, path in kinds.items()
    }
    assert set(kinds) < UNUSABLE
    assert len(ids(plain[corpus]) - ids(damaged)) == 3
    lost = ids(plain[corpus]) - ids(damaged)
    assert lost.isdisjoint(missing(damaged))
    with pytest.raises(CorpusIncomplete) as raised:
        damaged.require_complete([corpus])
    assert f"1 pointer: {pointer.relative_to(folder).as_posix()}" in str(raised.value)
    assert str(folder) in str(raised.value)
    assert "allow_missing" in str(raised.value)
    assert "git lfs pull" in FINDINGS["pointer"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_as_many_lines_as_are_allowed(tmp_path, end, monkeypatch):
    monkeypatch.setattr(trees, "MAX_LINES", 50)
    for n_lines in (50, 51):
        (tmp_path / "table.txt").write_bytes(f"a{end}".encode() * n_lines)
        tree = trees.Tree(tmp_path)
        if n_lines == 50:
            assert [line for _, line in tree.lines(tree.files[0])] == ["a"] * 50
        else:
            with pytest.raises(CorpusMalformed, match="expected at most 50 lines, found 51"):
                list(tree.lines(tree.files[0]))
