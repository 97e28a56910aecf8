"""Tables of labels and demographics that are malformed are refused by file and line."""

import pytest

from bimotion.corpora import tree as trees
from bimotion.errors import (
    CorpusMalformed,
)
from tests.support.raw_corpora import (
    CREMA_D,
    DEMOGRAPHICS,
    ELDERREACT_IDS,
    YUEMOTION,
    YUEMOTION_STEMS,
    ids,
    indexed_or_refused,
    lay_crema_d,
    lay_elderreact,
    lay_iemocap,
    lay_yuemotion,
    lay_yuemotion_tables,
    missing,
    odd,
    only,
)


def test_unknown_iemocap_label(tmp_path, wav, index):
    table = lay_iemocap(tmp_path, wav) / "Session2/dialog/EmoEvaluation/Ses02F_script01_1.txt"
    table.write_text(table.read_text().replace("\thap\t", "\tjoy\t"))
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path)
    message = str(raised.value)
    assert f"{table}:6: unknown label 'joy'" in message
    assert "ang, dis, exc, fea, fru, hap, neu, oth, sad, sur, xxx" in message


def test_iemocap_clip_without_a_label_and_release_without_label_files(tmp_path, wav, index):
    folder = lay_iemocap(tmp_path, wav)
    wav(folder / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M012.wav")
    found = index(tmp_path)
    assert only(found) == (
        "unlabelled",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M012.wav",
        "not in EmoEvaluation/Ses01F_impro01.txt",
    )
    for path in folder.rglob("*.txt"):
        path.unlink()
    with pytest.raises(
        CorpusMalformed, match=r"expected label files .*EmoEvaluation.*found none"
    ) as raised:
        index(tmp_path)
    assert str(folder) in str(raised.value)


def test_crema_d_actor_who_is_not_in_the_demographics(tmp_path, wav, index):
    lay_crema_d(tmp_path, wav, demographics=DEMOGRAPHICS.replace('1091,29,"Female","x","x"\n', ""))
    found = index(tmp_path)
    assert odd(found) == [
        ("unlabelled", f"AudioWAV/{stem}.wav", "actor 1091 is not in VideoDemographics.csv")
        for stem in ("1091_MTI_ANG_XX", "1091_WSI_FEA_XX")
    ]
    assert ids(found) == {f"crema_d/{stem}" for stem in CREMA_D if not stem.startswith("1091")}


def test_crema_d_without_demographics(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav, demographics=None)
    with pytest.raises(
        CorpusMalformed, match=r"expected VideoDemographics\.csv .* found none"
    ) as raised:
        index(tmp_path)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        DEMOGRAPHICS.replace("Age", "Years"),
        DEMOGRAPHICS.replace('1002,21,"Female"', '1002,young,"Female"'),
        DEMOGRAPHICS.replace('1002,21,"Female"', '1002,21,"Lady"'),
        DEMOGRAPHICS + "1003\n",
    ],
    ids=["column", "age", "sex", "short row"],
)
def test_crema_d_demographics_that_make_no_sense(tmp_path, wav, index, content):
    folder = lay_crema_d(tmp_path, wav, demographics=content)
    with pytest.raises(CorpusMalformed, match="expected columns ActorID, Age, Sex") as raised:
        index(tmp_path)
    assert str(folder / "VideoDemographics.csv") in str(raised.value)


def test_text_file_that_is_binary(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav)
    (folder / "VideoDemographics.csv").write_bytes(b"PK\x03\x04\0\0\0\0")
    with pytest.raises(
        CorpusMalformed, match=r"VideoDemographics\.csv: expected text, found binary data"
    ):
        index(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "50_50_36.mp4 1 1 1 1 1 1 m",
        "50_50_36.mp4 1 1 1 1 1 2 m 3.0",
        "50_50_36.mp4 1 1 1 1 1 1 male 3.0",
        "50_50_36.mp4,1,1,1,1,1,1,m,3.0",
        "50 50 36.mp4 1 1 1 1 1 1 m 3.0",
    ],
)
def test_malformed_elderreact_line(tmp_path, wav, index, line):
    table = lay_elderreact(tmp_path, wav) / "ElderReact-master/Annotations/dev_labels.txt"
    table.write_text(table.read_text() + line + "\n")
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path)
    message = str(raised.value)
    assert f"{table}:4: expected '<name>.mp4'" in message
    assert f"found {line!r}" in message


def test_elderreact_without_a_label_file_and_with_a_clip_too_many(tmp_path, wav, index):
    folder = lay_elderreact(tmp_path, wav)
    wav(folder / "ElderReact_dev" / "50_50_999.wav")
    assert only(index(tmp_path)) == (
        "unlabelled",
        "ElderReact_dev/50_50_999.wav",
        "in no label file",
    )
    (folder / "ElderReact-master/Annotations/dev_labels.txt").unlink()
    with pytest.raises(
        CorpusMalformed, match=r"expected train_labels\.txt, .* missing dev_labels\.txt"
    ):
        index(tmp_path)


def test_elderreact_clip_that_is_labelled_twice(tmp_path, wav, index):
    table = lay_elderreact(tmp_path, wav) / "ElderReact-master/Annotations/test_labels.txt"
    # in train too, with other emotions
    table.write_text(table.read_text() + "50_50_100.mp4 1 0 0 0 0 0 f 2.0\n")
    found = indexed_or_refused(index, tmp_path)
    said = found if isinstance(found, str) else " ".join(only(found)[:2])
    assert "50_50_100" in said
    assert isinstance(found, str) or said.startswith("contradiction")


@pytest.mark.parametrize("corpus", ["elderreact", "yuemotion"])
def test_clip_that_is_listed_twice_alike_counts_once(tmp_path, wav, index, corpus):
    if corpus == "elderreact":
        table = (
            lay_elderreact(tmp_path, wav, media=False)
            / "ElderReact-master/Annotations/test_labels.txt"
        )
        table.write_text(table.read_text() * 2)
        expected = len(ELDERREACT_IDS)
    else:
        lay_yuemotion_tables(tmp_path, train=YUEMOTION["train"] * 2)
        expected = len(YUEMOTION_STEMS)
    found = index(tmp_path)
    assert len(found.listed) == found.listed["id"].nunique() == expected
    assert odd(found) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "test,14,data/14_m60_01_4.wav,m,59,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'59'.* disagree",
        ),
        (
            "test,13,data/14_m60_01_4.wav,m,60,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'13'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,f,60,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'f'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,m,60,2,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'02'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,m,60,1,4,fear",
            r"'data/14_m60_01_4\.wav' and columns .*'fear'.* disagree",
        ),
        (
            "dev,14,data/14_m60_01_4.wav,m,60,1,4,neutral",
            r"expected a split \(train, validation, test\).*found 'dev'",
        ),
        (
            "test,14,data/14_m60_01_7.wav,m,60,1,7,neutral",
            r"expected .* a file name .*found .*'data/14_m60_01_7\.wav'",
        ),
        ("test,14,data/14_m60_01_4.wav,m,60,1,4,joy", r"a label \(anger, happy, .*'joy'"),
        (
            "test,14,data/14_m60_01_4.wav",
            r"expected columns split,speaker_id,.*; missing gender, age, ",
        ),
    ],
)
def test_yuemotion_row_that_disagrees_with_its_file_name(tmp_path, wav, index, line, said):
    lay_yuemotion(tmp_path, wav)
    lay_yuemotion_tables(tmp_path, test=(YUEMOTION["test"][1], line))
    with pytest.raises(CorpusMalformed, match=said) as raised:
        index(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / 'YueMotion' / 'test_metadata.csv'}:3: ")


def test_yuemotion_without_one_table_and_with_a_clip_too_many(tmp_path, wav, index):
    folder = lay_yuemotion(tmp_path, wav)
    wav(folder / "data" / "14_m60_02_2.wav")
    assert only(index(tmp_path)) == ("unlabelled", "data/14_m60_02_2.wav", "in no metadata table")
    (folder / "validation_metadata.csv").unlink()
    with pytest.raises(
        CorpusMalformed,
        match=r"validation_metadata\.csv.*found test_metadata\.csv, train_metadata\.csv;",
    ):
        index(tmp_path)


def test_yuemotion_says_how_many_clips_its_metadata_lacks(tmp_path, wav, index):
    folder = lay_yuemotion(tmp_path, wav)
    (folder / "data" / "04_f28_09_5.wav").unlink()
    found = index(tmp_path)
    assert missing(found) == {"yuemotion/04_f28_09_5", f"{1080 - len(YUEMOTION_STEMS)} more"}
    assert odd(found) == []


@pytest.mark.parametrize("encoding", ["utf-16", "binary"])
@pytest.mark.parametrize(
    ("lay", "name"),
    [
        (lay_yuemotion, "train_metadata.csv"),
        (lay_elderreact, "ElderReact-master/Annotations/dev_labels.txt"),
    ],
)
def test_a_table_that_is_no_text_is_told_and_not_missed(tmp_path, wav, index, lay, name, encoding):
    table = lay(tmp_path, wav) / name
    text = table.read_text()
    table.write_bytes(
        text.encode("utf-16") if encoding == "utf-16" else b"PK\3\4\0" + text.encode()
    )
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path)
    assert f"{table}: expected text, found binary data" in str(raised.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_as_many_lines_as_are_said(tmp_path, end, monkeypatch):
    monkeypatch.setattr(trees, "MAX_LINES", 50)
    for n_lines in (50, 51):
        (tmp_path / "table.txt").write_bytes(f"a{end}".encode() * n_lines)
        tree = trees.Tree(tmp_path)
        if n_lines == 50:
            assert [line for _, line in tree.lines(tree.files[0])] == ["a"] * 50
        else:
            with pytest.raises(CorpusMalformed, match="expected at most 50 lines, found 51"):
                list(tree.lines(tree.files[0]))
