"""Archives that the authors of a corpus send: checked, laid out, or refused with nothing left."""

import io
import stat
import struct
import tarfile
import zipfile

import pytest

from bimotion.corpora import archives, sources
from bimotion.data import published
from bimotion.data.download import ledger
from bimotion.errors import CorpusMalformed, StorageError
from tests.support import tiny_corpora
from tests.support.tiny_corpora import content_of
from tests.test_full_disk import files_of_at_most

BOUNDS = sources.Bounds(max_files=20, max_bytes=10_000, max_file_bytes=2000)
WAV = frozenset({".wav"})
CLIPS = {"root/a/1.wav": b"RIFF1", "root/a/2.WAV": b"RIFF2", "root/readme.md": b"x"}


@pytest.fixture
def elderreact(publish, hosts):
    """The label files of ElderReact, published and served; names of its videos."""
    labels = {
        f"Annotations/{name}": text for name, text in tiny_corpora.tables("elderreact").items()
    }
    publish("elderreact", labels)
    commit = "97a14ad3473d6a750d0dfc5e709f2a61ca776a56"
    hosts.add(f"raw.githubusercontent.com/Mayer123/ElderReact/{commit}", labels)
    return labels, [
        line.split()[0] for text in labels.values() for line in text.decode().splitlines()
    ]


@pytest.mark.parametrize("pack", [tiny_corpora.zipped, tiny_corpora.tarred])
def test_labels_are_fetched_and_videos_taken_from_what_was_sent(
    elderreact, bimotion, hosts, root, tmp_path, pack
):
    labels, names = elderreact
    words = (
        "data",
        "download",
        "elderreact",
        "--yes",
        "--mirror",
        *hosts.mirrors("raw.githubusercontent.com"),
    )
    code, output, _ = bimotion(*words)
    assert code == 0
    assert "1. open https://github.com/Mayer123/ElderReact and fill in the form" in output
    assert "3. bimotion data download elderreact --from ARCHIVE" in output
    assert content_of(root / "ElderReact") == labels
    videos = {f"videos/{name}": b"mp4" for name in names}
    halves = [dict(list(videos.items())[:700]), dict(list(videos.items())[700:])]
    sent = [tmp_path / f"{number}.bin" for number in range(2)]
    for path, half in zip(sent, halves, strict=True):
        path.write_bytes(pack(half))
    code, _, errors = bimotion(*words, "--from", sent[0])
    assert code == 2
    assert "0.bin: expected 1323 clips of ElderReact, found 700, missing elderreact/" in errors
    assert "give all archives, --from A --from B" in errors
    assert content_of(root / "ElderReact") == labels
    n_asked = len(hosts.requests)
    code, _, errors = bimotion(*words, "--from", sent[0], "--from", sent[1])
    assert code == 0, errors
    assert len(hosts.requests) == n_asked
    assert content_of(root / "ElderReact/Videos") == videos
    code, output, _ = bimotion(*words)
    assert output == f"elderreact: is there already, 1323 clips: {root / 'ElderReact'}\n"
    code, _, errors = bimotion(*words, "--from", sent[0])
    assert (code, "is there already" in errors) == (2, True)
    assert set(ledger.Ledger.of(root).corpora["elderreact"][1].pins) == {"0.bin", "1.bin"}


def test_steps_and_refusals(bimotion, root, tmp_path):
    code, output, errors = bimotion("data", "download", "iemocap", "esd")
    assert (code, errors) == (0, "")
    assert "IEMOCAP (signed USC release) is given by its authors:" in output
    assert "ESD (research licence, signed form) is given by its authors:" in output
    small = tmp_path / "small.zip"
    small.write_bytes(tiny_corpora.zipped({"0001/Angry/0001_000351.wav": b"RIFF"}))
    for words, message in (
        (("esd", "--from", small), "expected --yes, which accepts the licences of esd"),
        (("esd", "--yes", "--from", small), "expected 35000 clips of ESD, found 1"),
        (("esd", "--from", tmp_path / "none.zip"), "expected an archive, found no file"),
        (
            ("tess", "--from", small),
            "expected a corpus that its authors send (elderreact, esd, iemocap), found tess",
        ),
        (("esd", "iemocap", "--from", small), "expected the name of one corpus: esd, iemocap"),
        ((), "expected names of corpora: crema_d, csed"),
        (("tes",), "unknown corpus 'tes': expected one of crema_d"),
    ):
        code, _, errors = bimotion("data", "download", *words)
        assert (code, message in errors) == (2, True), errors
    assert {path for path in content_of(root) if "lock" not in path} == {
        f"{ledger.FOLDER}/downloads.json"
    }
    assert bimotion("data", "download", "esd", "--yes", "--allow-missing", "--from", small)[0] == 0
    assert content_of(root / "ESD") == {"0001/Angry/0001_000351.wav": b"RIFF"}


@pytest.mark.parametrize("pack", [tiny_corpora.zipped, tiny_corpora.tarred])
def test_files_keep_their_folders(tmp_path, pack):
    hidden = {"root/.x.wav": b"x", "__MACOSX/root/a/._1.wav": b"x", ".git/1.wav": b"x"}
    (tmp_path / "sent").write_bytes(pack(CLIPS | hidden))
    assert archives.unpack(tmp_path / "sent", tmp_path / "out", WAV, BOUNDS) == 2
    assert content_of(tmp_path / "out") == {
        path: content for path, content in CLIPS.items() if path.lower().endswith(".wav")
    }


def _zip_of_links() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("1.wav")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return packed.getvalue()


def _tar_of(kind: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("1.wav")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return packed.getvalue()


def _long_list() -> bytes:
    """A zip that says of its list of files that it has 17 MB."""
    size = 17 * 1024**2
    return bytes(size) + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, size, 0, 0)


def _with_password() -> bytes:
    """A zip that says of its only file that it is encrypted."""
    packed = bytearray(tiny_corpora.zipped({"1.wav": b"x"}))
    packed[6] |= 1
    packed[packed.find(b"PK\1\2") + 8] |= 1
    return bytes(packed)


HOSTILE = {
    "a password": (_with_password, "without a password, found one: unpack it by hand"),
    "a RAR archive": (lambda: b"Rar!\x1a\x07" + bytes(900), "found a RAR archive: unpack it by h"),
    "a 7-Zip archive": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(900), "found a 7-Zip archive"),
    "a path out": (lambda: tiny_corpora.zipped({"../1.wav": b"x"}), "leads out of it"),
    "a path out of a tar": (
        lambda: tiny_corpora.tarred({"a/../../1.wav": b"x"}),
        "leads out of it",
    ),
    "a path from the root": (lambda: tiny_corpora.tarred({"/tmp/1.wav": b"x"}), "leads out of it"),
    "a path of Windows": (lambda: tiny_corpora.zipped({"..\\1.wav": b"x"}), "leads out of it"),
    "a drive": (lambda: tiny_corpora.zipped({"C:1.wav": b"x"}), "leads out of it"),
    "a name that moves the cursor": (
        lambda: tiny_corpora.zipped({"\x1b[2K.wav": b"x"}),
        "a link or an unprintable name",
    ),
    "a link in a zip": (_zip_of_links, "a link or"),
    "a link in a tar": (lambda: _tar_of(tarfile.SYMTYPE), "a link or"),
    "a hard link": (lambda: _tar_of(tarfile.LNKTYPE), "a link or"),
    "a device": (lambda: _tar_of(tarfile.CHRTYPE), "a link or"),
    "too many": (
        lambda: tiny_corpora.zipped({f"{number}.txt": b"" for number in range(41)}),
        "expected at most 40 files of 10000 bytes",
    ),
    "too large": (lambda: tiny_corpora.zipped({"1.wav": bytes(2001)}), "at most 2000 bytes"),
    "too large in all": (
        lambda: tiny_corpora.tarred({f"{number}.wav": bytes(1900) for number in range(6)}),
        "expected at most 40 files of 10000 bytes",
    ),
    "twice": (
        lambda: tiny_corpora.tarred({"1.wav": b"x", "./1.wav": b"x"}),
        "expected each file once",
    ),
    "cut": (lambda: tiny_corpora.tarred(CLIPS)[:-30], "expected a zip or tar"),
    "no archive": (lambda: b"<html>" * 1000, "expected a zip or tar"),
    "a list of files of 17 MB": (_long_list, "has at most 16777216 bytes"),
    "a pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(tmp_path, kind):
    make, message = HOSTILE[kind]
    sent = tmp_path / "sent.bin"
    sent.write_bytes(make())
    before = content_of(tmp_path)
    with pytest.raises(CorpusMalformed, match=message) as refused:
        archives.unpack(sent, tmp_path / "in/out", WAV, BOUNDS)
    assert str(sent) in str(refused.value)
    assert refused.value.args[0].isprintable()
    assert set(content_of(tmp_path)) - set(before) <= {
        f"in/out/{path}"
        for path in ("1.wav", "root/a/1.wav", "root/a/2.WAV", *(f"{n}.wav" for n in range(5)))
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html>", "expected files of the corpus, found web pages: Videos/videos/"),
        (b"", "expected 1323 clips of ElderReact, found 0"),
    ],
)
def test_names_without_their_sound_are_never_laid_out(
    elderreact, bimotion, hosts, root, tmp_path, content, message
):
    """A script that packed what a server answered to strangers."""
    _, names = elderreact
    (tmp_path / "sent.zip").write_bytes(
        tiny_corpora.zipped({f"videos/{name}": content for name in names})
    )
    mirrors = ("--mirror", *hosts.mirrors("raw.githubusercontent.com"))
    words = ("data", "download", "elderreact", "--yes", *mirrors, "--from", tmp_path / "sent.zip")
    code, _, errors = bimotion(*words)
    assert (code, message in errors) == (2, True)
    assert not (root / "ElderReact").exists()


def test_a_full_disk_while_unpacking_or_fetching(tmp_path, publish, bimotion, hosts, root):
    (tmp_path / "sent.zip").write_bytes(tiny_corpora.zipped({"1.wav": bytes(1999)}))
    with files_of_at_most(1000), pytest.raises(StorageError, match=r"1\.wav: expected to use it"):
        archives.unpack(tmp_path / "sent.zip", tmp_path / "out", WAV, BOUNDS)
    publish("urdu", files := tiny_corpora.tiny("urdu"))
    large = {path: content * 100 for path, content in files.items()}
    publish("urdu", large)
    hosts.add("urdu", large)
    words = ("data", "download", "urdu", "--yes", "--mirror", hosts.url)
    with files_of_at_most(5000):
        code, _, errors = bimotion(*words)
    assert code == 2
    assert "expected to use it, found: File too large; make room" in errors.splitlines()[-1]
    code, _, errors = bimotion(*words)
    assert code == 0, errors
    assert content_of(root / "URDU") == large
    assert len(published.load("urdu")) == 400
