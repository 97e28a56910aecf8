"""Two sources for one fact are never resolved by order: neither is used, and what is said names
both."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.checks import doctor
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusMalformed
from bimotion.io.progress import Progress
from tests.corpora import test_contract as contracts

SUFFIXES = (".wav", ".flac")
YUEMOTION = "split,speaker_id,file_name,gender,age,sentence_id,label_id,label\n"
EVALUATION = "Session1/dialog/EmoEvaluation"
ANNOTATIONS = "ElderReact-master/Annotations"
TESS = "TESS Toronto emotional speech set data"
# corpus, case -> what is added to (or put in the place of) its literal tree, and what the line must
# name
CONTRADICTIONS = {
    ("crema_d", "an actor twice"): (
        {
            "VideoDemographics.csv": '"ActorID","Age","Sex"\n1001,61,"Male"\n'
            '1016,61,"Male"\n1001,25,"Male"\n'
        },
        ("1001", "VideoDemographics.csv:2", "61", "VideoDemographics.csv:4", "25"),
    ),
    ("crema_d", "a second table"): (
        {"old/VideoDemographics.csv": '"ActorID","Age","Sex"\n1016,61,"Female"\n'},
        ("1016", "old/VideoDemographics.csv:2", "'f'", "/VideoDemographics.csv:3", "'m'"),
    ),
    ("crema_d", "no one's age"): (
        {"VideoDemographics.csv": '"ActorID","Age","Sex"\n1001,161,"Male"\n1016,61,"Male"\n'},
        ("VideoDemographics.csv:2", "161", "1 to 110"),
    ),
    ("csed", "folder"): (
        {"Training Data (wav)/Natural/Neg-Male-4.wav": 7},
        ("Neg-Male-4", "name says Neg", "folder says Natural"),
    ),
    ("elderreact", "two label files"): (
        {
            f"{ANNOTATIONS}/dev_labels.txt": "50_50_35.mp4 1 1 1 1 1 1 m 3.0\n50_50_100.mp4 0 1 "
            "1 0 0 1 f 1.6\n"
        },
        ("50_50_100", "dev_labels.txt:2", "validation", "train_labels.txt:1", "train"),
    ),
    ("elderreact", "two copies of a label file"): (
        {"old/test_labels.txt": "50_50_17.mp4 1 0 0 0 0 0 f 5.6\n"},
        ("50_50_17", "Annotations/test_labels.txt:1", "()", "old/test_labels.txt:1", "Anger"),
    ),
    ("elderreact", "folder"): (
        {"ElderReact_test/50_50_100.wav": 7},
        ("50_50_100", "folder says ElderReact_test", "label file says train"),
    ),
    ("esd", "emotion of the folder"): (
        {"0001/Sad/train/0001_000403.wav": 7},
        ("0001_000403", "says Angry", "folder says Sad"),
    ),
    ("esd", "speaker of the folder"): (
        {"0002/Angry/train/0001_000403.wav": 7},
        ("0001_000403", "speaker 0001", "folder says 0002"),
    ),
    ("esd", "part of the folder"): (
        {"0001/Angry/test/0001_000403.wav": 7},
        ("0001_000403", "says train", "folder says test"),
    ),
    ("iemocap", "a label twice"): (
        {
            f"{EVALUATION}/more.txt": "[6.2901 - 8.2357]\tSes01F_impro01_F000\tang\t[2.5000, "
            "2.5000, 2.5000]\n"
        },
        ("Ses01F_impro01_F000", "Ses01F_impro01.txt:3", "'neu'", "more.txt:1", "'ang'"),
    ),
    ("iemocap", "folder"): (
        {
            "Session2/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": 7,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": None,
        },
        ("Ses01F_impro01_M011", "name says Ses01F_impro01", "folder says Session2"),
    ),
    ("iemocap", "folder in lower case"): (
        {
            "session2/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": 7,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": None,
        },
        ("Ses01F_impro01_M011", "name says Ses01F_impro01", "folder says session2"),
    ),
    ("iemocap", "dialog in lower case"): (
        {
            "Session1/sentences/wav/ses01f_impro02/Ses01F_impro01_M011.wav": 7,
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": None,
        },
        ("Ses01F_impro01_M011", "name says Ses01F_impro01", "folder says ses01f_impro02"),
    ),
    ("shemo", "folder"): ({"male/F03S03.wav": 7}, ("F03S03", "name says F", "folder says male")),
    ("tess", "emotion of the folder"): (
        {f"{TESS}/OAF_Fear/OAF_bar_sad.wav": 7},
        ("OAF_bar_sad", "name says OAF and sad", "folder says OAF_Fear"),
    ),
    ("tess", "speaker of the folder"): (
        {f"{TESS}/OAF_Fear/YAF_bar_fear.wav": 7},
        ("YAF_bar_fear", "name says YAF and fear", "folder says OAF_Fear"),
    ),
    ("urdu", "folder"): (
        {"Angry/SM1_F10_H011.wav": 7},
        ("SM1_F10_H011", "name says H", "folder says Angry"),
    ),
    ("yuemotion", "table and name"): (
        {"train_metadata.csv": f"{YUEMOTION}train,14,data/14_m60_02_4.wav,m,59,2,4,neutral\n"},
        ("train_metadata.csv:2", "14_m60_02_4", "'59'"),
    ),
    ("yuemotion", "two tables"): (
        {"train_metadata.csv": f"{YUEMOTION}train,14,data/14_m60_01_4.wav,m,60,1,4,neutral\n"},
        ("14_m60_01_4", "test_metadata.csv:2", "'test'", "train_metadata.csv:2", "'train'"),
    ),
    ("yuemotion", "row and table"): (
        {"train_metadata.csv": f"{YUEMOTION}validation,14,data/14_m60_02_4.wav,m,60,2,4,neutral\n"},
        ("train_metadata.csv:2", "says validation"),
    ),
    ("crema_d", "an actor twice, with a blank"): (
        {
            "VideoDemographics.csv": '"ActorID","Age","Sex"\n1001,61,"Male"\n1016,61,"Male"\n"1001 '
            '",25,"Male"\n'
        },
        ("1001", "VideoDemographics.csv:2", "61", "VideoDemographics.csv:4", "25"),
    ),
    ("crema_d", "a quote that is never closed"): (
        {"VideoDemographics.csv": 'ActorID,Age,Sex,Race\n1001,51,Male,"\n1016,61,Male,\n'},
        ("VideoDemographics.csv", "unexpected end of data"),
    ),
    ("csed", "folder further up"): (
        {"Training Data (wav)/NEGATIVE/more/Nat_Female-13.wav": 7},
        ("Nat_Female-13", "name says Nat", "folder says NEGATIVE"),
    ),
    ("elderreact", "folder further up"): (
        {"elderreact_TEST/more/50_50_100.wav": 7},
        ("50_50_100", "folder says elderreact_TEST", "label file says train"),
    ),
    ("esd", "folder in another case"): (
        {"0001/sad/more/0001_000403.wav": 7},
        ("0001_000403", "says Angry", "folder says sad"),
    ),
    ("esd", "part further up"): (
        {"Test/0001/Angry/0001_000403.wav": 7},
        ("0001_000403", "says train", "folder says Test"),
    ),
    ("shemo", "folder further up"): (
        {"MALE/more/F03S03.wav": 7},
        ("F03S03", "name says F", "folder says MALE"),
    ),
    ("tess", "folder further up"): (
        {f"{TESS}/yaf_FEAR/more/OAF_bar_fear.wav": 7},
        ("OAF_bar_fear", "name says OAF and fear", "folder says yaf_FEAR"),
    ),
    ("urdu", "folder further up"): (
        {"ANGRY/more/SM1_F10_H011.wav": 7},
        ("SM1_F10_H011", "name says H", "says ANGRY"),
    ),
    ("yuemotion", "two ages of a speaker"): (
        {"train_metadata.csv": f"{YUEMOTION}train,14,data/14_m25_02_4.wav,m,25,2,4,neutral\n"},
        ("yuemotion/14", "60 (yuemotion/14_m60_01_4)", "25 (yuemotion/14_m25_02_4)"),
    ),
    ("yuemotion", "two genders of a speaker"): (
        {"train_metadata.csv": f"{YUEMOTION}train,14,data/14_f60_02_4.wav,f,60,2,4,neutral\n"},
        ("yuemotion/14", "14_m60_01_4 says 'm'", "14_f60_02_4 says 'f'"),
    ),
    ("yuemotion", "a table with semicolons"): (
        {
            "old/test_metadata.csv": YUEMOTION.replace(",", ";")
            + "train;14;data/14_m60_01_4.wav;m;60;1;4;neutral\n"
        },
        ("old/test_metadata.csv:2", "expected columns split,speaker_id"),
    ),
}
TWICE = {  # corpus -> a second place for the recording of its tree's first clip
    "crema_d": "old/1001_DFA_ANG_XX.wav",
    "csed": "old/Nat_Female-12.wav",
    "elderreact": "old/50_50_100.wav",
    "emo_db": "old/03A01wA.wav",
    "esd": "0001/Angry/0001_000402.wav",
    "iemocap": "old/Ses01F_impro01_M011.wav",
    "shemo": "old/f03s02.wav",
    "tess": f"{TESS}/{TESS}/OAF_Fear/OAF_back_fear.wav",
    "urdu": "old/SM1_F10_A10.wav",
    "yuemotion": "old/14_m60_01_4.wav",
}


def sound(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (3000 * np.random.default_rng(seed).standard_normal(2000)).astype(np.int16)
    soundfile.write(path, samples, 16000, format=path.suffix[1:].upper())
    return path


def planted(root: Path, corpus: str, changes: dict) -> Path:
    """The corpus's literal tree with sound in its clips, changed: path -> text, seed of other
    sound, None for no file."""
    for path, content in (contracts.LITERAL[corpus] | changes).items():
        target = root / "corpus" / path
        if content is None:
            continue
        if target.suffix in SUFFIXES:
            sound(target, content or 1)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
    return root


def said(root: Path) -> str:
    """What is said of a corpus in which something is wrong: by an error, or by findings after which
    the clip is not used."""
    try:
        found = manifest.build(CorpusSource.of(root))
    except CorpusMalformed as error:
        return str(error)
    odd = [finding for finding in found.findings if finding.kind in ("contradiction", "conflict")]
    for finding in odd:
        assert finding.where not in set(found.table["path"]) | set(found.table["id"])
    return "; ".join(f"{finding.where}: {finding.detail}" for finding in odd)


def test_every_reader_is_tried():
    # EMO-DB says all in its names
    assert {corpus for corpus, _ in CONTRADICTIONS} | {"emo_db"} == set(TWICE) == set(CORPORA)


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_literal_trees_contradict_nothing(tmp_path, corpus):
    assert said(planted(tmp_path, corpus, {})) == ""


@pytest.mark.parametrize(("corpus", "case"), CONTRADICTIONS, ids=" ".join)
def test_facts_that_disagree(tmp_path, corpus, case):
    changes, named = CONTRADICTIONS[corpus, case]
    line = said(planted(tmp_path, corpus, changes))
    assert all(part in line for part in named), line
    assert "\n" not in line


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("other", [1, 2], ids=["equal", "other samples"])
def test_two_recordings_of_one_name(tmp_path, corpus, other):
    """Of the same size: only their samples tell them apart."""
    root = planted(tmp_path, corpus, {TWICE[corpus]: other})
    first = next(path for path, text in contracts.LITERAL[corpus].items() if path.endswith(".wav"))
    line = said(root)
    found = manifest.build(CorpusSource.of(root))
    copies = [finding for finding in found.findings if finding.kind == "copy"]
    if other == 1:
        assert line == ""
        assert [{finding.where, finding.detail.removeprefix("of ")} for finding in copies] == [
            {first, TWICE[corpus]}
        ]
    else:
        assert first in line
        assert TWICE[corpus] in line
        assert copies == []
        [found] = [
            one
            for one in doctor.diagnose(CorpusSource.of(root), Progress(), listen=False)
            if one.corpus == corpus
        ]
        assert [finding.kind for finding in found.problems].count("conflict") == 1


def test_the_same_samples_in_another_container_are_a_copy(tmp_path):
    root = planted(tmp_path, "csed", {"old/Nat_Female-12.flac": 1, "old/Neg-Male-3.flac": 2})
    kinds = [
        (finding.kind, finding.where)
        for finding in manifest.build(CorpusSource.of(root)).findings
        if finding.kind != "missing"
    ]
    assert [kind for kind in kinds if kind[0] != "rate"] == [
        ("copy", "old/Nat_Female-12.flac"),
        ("conflict", "csed/Neg_male_3"),
    ]


def test_tables_from_other_programs_say_the_same(tmp_path):
    """Byte order mark, \\r\\n, blanks, quotes, empty lines; Latin-1 with its byte 0x85, which ends
    a line in Unicode."""
    rows = ["ActorID , Age,Sex,Race", '"1001 ", 51 ,Male,"caf\xe9\x85"', "   ", "1016,61, Male ,"]
    for number, content in enumerate(
        ("\r\n".join(rows).encode("latin-1"), ("\ufeff" + "\r".join(rows)).encode())
    ):
        root = planted(tmp_path / str(number), "crema_d", {})
        (root / "corpus/VideoDemographics.csv").write_bytes(content)
        assert manifest.build(CorpusSource.of(root)).table["age_years"].tolist() == [51, 61]


def test_statements_that_are_made_twice_alike_are_fine(tmp_path):
    tables = {"old/VideoDemographics.csv": contracts.LITERAL["crema_d"]["VideoDemographics.csv"]}
    assert len(manifest.build(CorpusSource.of(planted(tmp_path, "crema_d", tables))).table) == 2


def test_two_archives_with_other_recordings(tmp_path):
    root = planted(tmp_path, "yuemotion", {"data/14_m60_01_4.wav": None})
    for name, seed in (("data.tar.bz2", 1), ("old/data.tar.gz", 2)):
        content = sound(tmp_path / f"{seed}.wav", seed).read_bytes()
        (root / "corpus" / name).parent.mkdir(exist_ok=True)
        with tarfile.open(root / "corpus" / name, f"w:{name[-3:].strip('.')}") as archive:
            member = tarfile.TarInfo("data/14_m60_01_4.wav")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert "copy 1/data/14_m60_01_4.wav" in said(root)


@pytest.mark.parametrize(
    ("column", "value"),
    [("label", "sad"), ("file_name", "data/14_m60_01_3.wav"), ("audio", "14_m60_01_3.wav")],
)
def test_a_row_of_parquet_that_contradicts_itself(tmp_path, column, value):
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = sound(tmp_path / "clip.wav", 1).read_bytes()
    row = {
        "audio": {"bytes": content, "path": "14_m60_01_4.wav"},
        "split": "test",
        "speaker_id": "14",
        "file_name": "data/14_m60_01_4.wav",
        "gender": "m",
        "age": 60,
        "sentence_id": 1,
        "label_id": 4,
        "label": "neutral",
    }
    (tmp_path / "root/Y").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "root/Y/0.parquet")
    assert said(tmp_path / "root") == ""
    row[column] = {"bytes": content, "path": value} if column == "audio" else value
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "root/Y/0.parquet")
    line = said(tmp_path / "root")
    assert "14_m60_01_4" in line
    assert Path(value).stem in line
