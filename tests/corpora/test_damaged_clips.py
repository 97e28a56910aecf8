"""Files that look like clips and are damaged, pointers, or of another format are reported."""

import re
from contextlib import suppress

import pytest

from bimotion.corpora.utterance import FINDINGS
from bimotion.errors import (
    AudioError,
    CorpusIncomplete,
)
from bimotion.io import audio
from tests.support.raw_corpora import (
    CREMA_D,
    CSED_IDS,
    ELDERREACT_IDS,
    TESS_FOLDER,
    VICTIM,
    VICTIM_ID,
    ids,
    lay_crema_d,
    lay_csed,
    lay_elderreact,
    lay_iemocap,
    lay_tess,
    missing,
    mp4,
    odd,
    only,
    text,
    truncated,
)

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:c6f94b2592487c7556bd86df7df6e8f4420d1b9c11414aeec9d8e5e640b51495\nsize 72862\n"
)


def test_files_of_the_finder_are_not_seen(csed, index):
    for name in (
        ".DS_Store",
        "Training Data (wav)/.DS_Store",
        "Training Data (wav)/Natural/._Nat_Female-1.wav",
        "Training Data (wav)/Natural/._Nat_Female-3.wav",
    ):
        (csed / name).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    (csed / "__MACOSX").mkdir()
    (csed / "__MACOSX" / "._Nat_Female-4.wav").write_bytes(b"\x00\x05\x16\x07")
    found = index(csed.parent)
    assert ids(found) == CSED_IDS
    assert odd(found) == []


def test_hidden_files_and_folders_are_not_seen_where_any_name_would_count(tmp_path, wav, index):
    junk = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    elderreact, iemocap, csed = (
        lay_elderreact(tmp_path, wav),
        lay_iemocap(tmp_path, wav),
        lay_csed(tmp_path, wav),
    )
    (elderreact / "ElderReact_dev" / "._50_50_35.wav").write_bytes(junk)
    (elderreact / "ElderReact-master" / "Annotations" / "._dev_labels.txt").write_bytes(junk)
    (iemocap / "Session1" / "dialog" / "EmoEvaluation" / "._Ses01F_impro01.txt").write_bytes(junk)
    wav(csed / ".Trash-1000" / "files" / "Nat_Female-12.wav", seconds=0.3, rate=44100)
    found = index(tmp_path)
    assert odd(found) == []
    assert ids(found) >= CSED_IDS | ELDERREACT_IDS


def test_upper_case_extension(csed, index):
    for path in list(csed.rglob("*.wav")):
        path.rename(path.with_suffix(".WAV"))
    found = index(csed.parent)
    assert ids(found) == CSED_IDS
    assert odd(found) == []


def test_git_lfs_pointer(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav)
    for stem in CREMA_D[:7]:
        (folder / "AudioWAV" / f"{stem}.wav").write_text(POINTER)
    found = index(tmp_path)
    assert odd(found) == [
        ("pointer", f"AudioWAV/{stem}.wav", f"{len(POINTER)} bytes of text")
        for stem in sorted(CREMA_D[:7])
    ]
    assert ids(found) == {f"crema_d/{stem}" for stem in CREMA_D[7:]}
    assert not missing(found) & {f"crema_d/{stem}" for stem in CREMA_D}
    with pytest.raises(CorpusIncomplete) as raised:
        found.require_complete(["crema_d"])
    message = str(raised.value)
    assert "7 pointer: AudioWAV/1001_DFA_ANG_XX.wav" in message
    assert "... (7 in all)" in message
    assert str(folder) in message
    assert "allow_missing" in message
    assert "git lfs pull" in FINDINGS["pointer"]


def test_aiff_named_wav_is_usable_and_told(tmp_path, wav, index):
    folder = lay_tess(tmp_path, wav)
    wav(folder / TESS_FOLDER / "YAF_angry" / "YAF_germ_angry.wav", rate=24414, format="AIFF")
    found = index(tmp_path)
    assert only(found) == ("aiff", f"{TESS_FOLDER}/YAF_angry/YAF_germ_angry.wav", "")
    row = found.table.set_index("id").loc["tess/YAF_germ_angry"]
    assert (row["container"], row["sample_rate_hz"], row["n_frames"]) == (
        "AIFF",
        24414,
        round(0.2 * 24414),
    )
    assert len(audio.decode(found.path("tess", row["path"]))) == pytest.approx(3200, abs=2)
    assert found.unusable("tess") == [
        finding for finding in found.findings if finding.kind == "missing"
    ]


def test_another_sampling_rate_is_usable_and_told(tmp_path, wav, index):
    folder = lay_tess(tmp_path, wav)
    wav(folder / TESS_FOLDER / "OAF_Fear" / "OAF_food_fear.wav", rate=96000)
    found = index(tmp_path)
    assert only(found) == (
        "rate",
        f"{TESS_FOLDER}/OAF_Fear/OAF_food_fear.wav",
        "96000 Hz, expected 24414",
    )
    row = found.table.set_index("id").loc["tess/OAF_food_fear"]
    assert row["duration_s"] == pytest.approx(0.2)
    assert len(audio.decode(found.path("tess", row["path"]))) == 3200


def test_stereo_is_mixed_down(csed, wav, index):
    before = index(csed.parent)
    wav(csed / VICTIM, rate=44100, channels=2)
    found = index(csed.parent)
    assert odd(found) == []
    row = found.table.set_index("id").loc[VICTIM_ID]
    assert (row["n_channels"], row["duration_s"]) == (2, pytest.approx(0.2))
    assert found.fingerprint == before.fingerprint
    assert audio.decode(csed / VICTIM).ndim == 1


@pytest.mark.parametrize(
    ("damage", "kind", "detail"),
    [
        (lambda content: b"", "empty", r"0 bytes"),
        (lambda content: content[:40] + bytes(4), "empty", r"no samples"),
        (truncated, "truncated", r"header announces 17684 bytes, found 8842"),
        (lambda content: content[:44], "truncated", r"header announces 17684 bytes, found 44"),
        (lambda content: content[:20], "truncated", r"header announces 17684 bytes, found 20"),
        (text, "unreadable", r"\S+.*"),
        (lambda content: b"\0" * 4000, "unreadable", r"\S+.*"),
        (lambda content: b"x", "unreadable", r"\S+.*"),
    ],
    ids=[
        "empty",
        "header only",
        "truncated",
        "header of a longer file",
        "half a header",
        "text",
        "zeros",
        "one byte",
    ],
)
def test_damaged_sound_is_told_and_never_used(csed, index, damage, kind, detail):
    path = csed / VICTIM
    content = path.read_bytes()
    if kind == "empty" and detail == "no samples":  # a whole header, of a file without samples
        content = (36).to_bytes(4, "little").join([content[:4], content[8:]])
    path.write_bytes(damage(content))
    found = index(csed.parent)
    seen = only(found)
    assert seen[:2] == (kind, VICTIM)
    assert re.fullmatch(detail, seen[2]), seen
    assert ids(found) == CSED_IDS - {VICTIM_ID}
    assert VICTIM_ID in set(found.listed["id"])
    assert VICTIM_ID not in missing(found)
    with pytest.raises(CorpusIncomplete, match=f"1 {kind}: {re.escape(VICTIM)}"):
        found.require_complete(["csed"])


def test_streamed_wav_without_a_length_is_sound(csed, index):
    path = csed / VICTIM
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    found = index(csed.parent)
    assert odd(found) == []
    assert ids(found) == CSED_IDS


@pytest.mark.parametrize(
    ("sound", "content"), [(False, None), (True, b"not an mp4 at all" * 9), (True, b"")]
)
def test_damaged_video(tmp_path, wav, index, sound, content):
    folder = lay_elderreact(tmp_path, wav, media=False)
    path = mp4(folder / "videos" / "50_50_35.mp4", sound=sound)
    if content is not None:
        path.write_bytes(content)
    found = index(tmp_path)
    kind, where, detail = only(found)
    assert (kind, where) == ("empty" if content == b"" else "unreadable", "videos/50_50_35.mp4")
    assert detail
    if content is None:
        assert detail == "expected a video with sound, found none in it"
    assert ids(found) == set()
    assert missing(found) >= ELDERREACT_IDS - {"elderreact/50_50_35"}


def test_a_video_with_any_byte_of_its_tables_changed_is_read_or_told(tmp_path):
    content = mp4(tmp_path / "clip.mp4", seconds=0.04, rate=8000).read_bytes()
    of_sound, told = content.index(b"soun"), set()  # who made it, codec, rate, sizes, places
    for place in (*range(32), *range(of_sound, len(content))):
        path = tmp_path / f"{place % 2}.mp4"
        path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        header = audio.header(path)
        assert (header.n_frames > 0) == (header.problem is None)
        assert "\n" not in header.detail
        told.add(header.problem)
        if header.problem is None and place % 20 == 0:
            with suppress(AudioError):
                audio.read(path)
    assert told >= {None, "unreadable"}
