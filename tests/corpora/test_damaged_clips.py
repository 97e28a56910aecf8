"""Files that look like clips and are damaged, or of another format, are reported."""

import re
from contextlib import suppress

import pytest

from bimotion.errors import AudioError, CorpusIncomplete
from bimotion.io import audio
from tests.support.raw_corpora import TESS, Clip, findings, ids, lay, missing, mp4

VICTIM, VICTIM_ID = "Training Data (wav)/Natural/Nat_Female-12.wav", "csed/Nat_female_12"
TEXT = b"The owner of this server has moved the file you asked for.\n" * 40


def announcing_nothing(content: bytes) -> bytes:
    """The header of a file without samples."""
    return content[:4] + (36).to_bytes(4, "little") + content[8:40] + bytes(4)


DAMAGES = {  # damage -> kind, detail
    "empty": (lambda content: b"", "empty", "0 bytes"),
    "header only": (announcing_nothing, "empty", "no samples"),
    "truncated": (lambda content: content[: len(content) // 2], "truncated", "17684 .* found 8842"),
    "header of a longer file": (lambda content: content[:44], "truncated", "17684 .* found 44"),
    "half a header": (lambda content: content[:20], "truncated", "17684 .* found 20"),
    "text": (lambda content: TEXT, "unreadable", ".+"),
    "zeros": (lambda content: bytes(4000), "unreadable", ".+"),
    "one byte": (lambda content: b"x", "unreadable", ".+"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_sound_is_told_and_never_used(csed, index, plain, damage):
    change, kind, detail = DAMAGES[damage]
    path = csed / VICTIM
    path.write_bytes(change(path.read_bytes()))
    damaged = index(csed.parent)
    [line] = findings(damaged)
    assert re.match(f"{kind} {re.escape(VICTIM)}: .*{detail}", line)
    assert ids(damaged) == ids(plain["csed"]) - {VICTIM_ID}
    assert VICTIM_ID in set(damaged.listed["id"])
    assert VICTIM_ID not in missing(damaged)
    with pytest.raises(CorpusIncomplete, match=f"1 {kind}: {re.escape(VICTIM)}"):
        damaged.require_complete(["csed"])


def test_aiff_and_another_sampling_rate_are_usable_and_told(tmp_path, index, plain):
    aiff, fast = f"{TESS}/YAF_disgust/YAF_back_disgust.wav", f"{TESS}/OAF_Fear/OAF_food_fear.wav"
    lay(tmp_path, "tess", {aiff: Clip(format="AIFF"), fast: Clip(rate=96000)})
    read = index(tmp_path)
    assert findings(read) == [f"rate {fast}: 96000 Hz, expected 24414", f"aiff {aiff}"]
    assert ids(read) == ids(plain["tess"])
    rows = read.table.set_index("id")
    row = rows.loc["tess/YAF_back_disgust"]
    assert (row["container"], row["sample_rate_hz"]) == ("AIFF", 24414)
    assert row["n_frames"] == round(0.2 * 24414)
    assert rows.at["tess/OAF_food_fear", "duration_s"] == pytest.approx(0.2)
    assert {finding.kind for finding in read.unusable("tess")} == {"missing"}
    for path in (aiff, fast):
        assert len(audio.decode(read.path("tess", path))) == pytest.approx(3200, abs=2)


def test_stereo_is_mixed_down(tmp_path, index, plain):
    folder = lay(tmp_path, "csed", {VICTIM: Clip(channels=2)})
    stereo = index(tmp_path)
    assert findings(stereo) == []
    row = stereo.table.set_index("id").loc[VICTIM_ID]
    assert (row["n_channels"], row["duration_s"]) == (2, pytest.approx(0.2))
    assert stereo.fingerprint == plain["csed"].fingerprint
    assert audio.decode(folder / VICTIM).ndim == 1


def test_streamed_wav_without_a_length_is_sound(csed, index, plain):
    content = bytearray((csed / VICTIM).read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    (csed / VICTIM).write_bytes(content)
    streamed = index(csed.parent)
    assert findings(streamed) == []
    assert ids(streamed) == ids(plain["csed"])


def test_the_same_samples_in_another_container_are_a_copy(tmp_path, index):
    clips = {
        "old/Nat_Female-12.flac": Clip(format="FLAC"),
        "old/Neg-Male-3.flac": Clip(format="FLAC", take=1),
    }
    lay(tmp_path, "csed", clips)
    copy, conflict = findings(index(tmp_path))
    assert copy == f"copy old/Nat_Female-12.flac: of {VICTIM}"
    assert conflict.startswith("conflict csed/Neg_male_3: ")


@pytest.mark.parametrize(
    ("sound", "content", "kind"),
    [
        (False, None, "unreadable"),
        (True, b"not an mp4 at all" * 9, "unreadable"),
        (True, b"", "empty"),
    ],
)
def test_damaged_video(tmp_path, index, sound, content, kind):
    clips = ("ElderReact_dev/50_50_35.wav", "ElderReact_dev/50_50_69.wav")
    folder = lay(tmp_path, "elderreact", dict.fromkeys(clips))
    path = mp4(folder / "videos" / "50_50_35.mp4", sound=sound)
    if content is not None:
        path.write_bytes(content)
    damaged = index(tmp_path)
    [line] = findings(damaged)
    assert re.match(f"{kind} videos/50_50_35.mp4: .+", line)
    assert content is not None or line.endswith("expected a video with sound, found none in it")
    assert ids(damaged) == {"elderreact/50_50_100", "elderreact/50_50_42"}
    assert "elderreact/50_50_69" in missing(damaged)


def test_a_video_with_any_byte_of_its_tables_changed_is_read_or_told(tmp_path):
    content = mp4(tmp_path / "clip.mp4", seconds=0.04, rate=8000).read_bytes()
    of_sound, problems = content.index(b"soun"), set()  # who made it, codec, rate, sizes, offsets
    for offset in (*range(32), *range(of_sound, len(content), 2)):
        path = tmp_path / f"{offset % 2}.mp4"
        path.write_bytes(content[:offset] + b"\xff" + content[offset + 1 :])
        header = audio.header(path)
        assert (header.n_frames > 0) == (header.problem is None)
        assert "\n" not in header.detail
        problems.add(header.problem)
        if header.problem is None and offset % 20 == 0:
            with suppress(AudioError):
                audio.read(path)
    assert problems >= {None, "unreadable"}
