"""Corpora that declare too much: every number is bounded before it is used."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from tests.support.bounded_process import told

STEM = "Nat_Female-12"


YUEMOTION = "split,speaker_id,file_name,gender,age,sentence_id,label_id,label\n"


ROW = "test,14,data/14_m60_01_4.wav,m,60,1,4,neutral\n"


def tables(folder: Path, rows: str = ROW) -> Path:
    folder.mkdir(parents=True)
    for part in ("train", "validation", "test"):
        (folder / f"{part}_metadata.csv").write_text(YUEMOTION + (rows if part == "test" else ""))
    return folder


def header(rate=44100, channels=1, frames=1000, kind="wav") -> bytes:
    """A file of 1000 samples at most, whose header says what it is told to."""
    if kind == "wav":
        n_bytes = min(frames * channels * 2, 0xFFFFFFFF)
        form = struct.pack(
            "<HHIIHH", 1, channels, rate, rate * channels * 2 % 2**32, channels * 2 % 2**16, 16
        )
        return (
            b"RIFF"
            + bytes(4)
            + b"WAVEfmt \x10\0\0\0"
            + form
            + b"data"
            + struct.pack("<I", n_bytes)
            + b"\1\0" * 1000
        )
    stream = io.BytesIO()
    soundfile.write(stream, np.full(1000, 0.1), 44100, format=kind)
    content = bytearray(stream.getvalue())
    if kind == "FLAC":  # STREAMINFO: 20 bits of rate, 3 of channels, 5 of depth, 36 of samples
        place = 8 + 10
        bits = int.from_bytes(content[place : place + 8], "big")
        bits = (
            (rate << 44)
            | (bits & (0xFFF << 32) & ~(0xF << 32))
            | frames & ((1 << 36) - 1)
            | (bits & (0xFF << 36))
        )
        content[place : place + 8] = bits.to_bytes(8, "big")
    else:  # AIFF: channels, samples and bits, then the rate as an 80-bit float
        place = content.index(b"COMM") + 8
        content[place : place + 6] = struct.pack(">hI", channels, min(frames, 2**32 - 1))
        exponent = 16383 + rate.bit_length() - 1
        content[place + 8 : place + 18] = struct.pack(
            ">HQ", exponent, rate << (64 - rate.bit_length())
        )
    return bytes(content)


def parquet(path: Path, n_rows: int, content: bytes, **kind) -> None:
    audio = pa.array(
        [{"bytes": content, "path": None}] * n_rows,
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    facts = {
        "split": "test",
        "speaker_id": "14",
        "gender": "m",
        "age": 60,
        "sentence_id": 1,
        "label_id": 4,
    }
    path.parent.mkdir(parents=True)
    pq.write_table(
        pa.table({"audio": audio} | {name: [value] * n_rows for name, value in facts.items()}),
        path,
        **kind,
    )


def lie(path: Path, n_rows: int, content: bytes) -> None:
    """Parquet of one page a column, whose footer says that 10 000 bytes at most are in each."""
    plain = {
        "compression": "zstd",
        "use_dictionary": False,
        "store_schema": False,
        "data_page_size": 1 << 40,
    }
    parquet(path, n_rows, content, **plain)
    packed = path.read_bytes()
    n_bytes = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    true, number, lied = varint(2 * n_bytes), 2 * 10_000, bytearray()  # Thrift: zigzag
    for place in range(len(true)):
        lied.append(number & 0x7F | (0x80 if place + 1 < len(true) else 0))
        number >>= 7
    place = len(packed) - 8 - int.from_bytes(packed[-8:-4], "little")
    path.write_bytes(packed[:place] + packed[place:].replace(true, bytes(lied)))
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 10_000


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


SOUNDS = {
    "wav rate": header(rate=2**31 - 1),
    "wav rate of 0": header(rate=0),
    "wav rate of 1": header(rate=1),
    "wav channels": header(channels=1024),
    "wav channels of 0": header(channels=0),
    "FLAC samples": header(kind="FLAC", frames=2**36 - 1),
    "FLAC samples, an hour": header(kind="FLAC", frames=44100 * 3600),
    "FLAC samples, a minute": header(kind="FLAC", frames=44100 * 60),
    "FLAC rate of 1": header(kind="FLAC", rate=1),
    "AIFF rate": header(kind="AIFF", rate=2**30),
    "AIFF channels": header(kind="AIFF", channels=30000),
}


RATE, LENGTH = "expected a rate of 1000 to 384000 Hz, found ", "expected a clip of at most 1200 s"
SAID = {  # name in SOUNDS -> part of the line
    "wav rate": f"{RATE}2147483647",
    "wav rate of 0": "SF_INFO",  # libsndfile's own words
    "wav rate of 1": f"{RATE}1",
    "wav channels": "no samples",
    "wav channels of 0": "Channel count",
    "FLAC samples": f"{LENGTH}, found one that says 1558265 s",
    "FLAC samples, an hour": f"{LENGTH}, found one that says 3600 s",
    "FLAC samples, a minute": "flac: expected sound, found",
    "FLAC rate of 1": f"{RATE}1",
    "AIFF rate": f"{RATE}800000000",
    "AIFF channels": "channel count",
}


def archive(
    path: Path,
    *members: tuple[str, int],
    kind: str = "bz2",
    headers: dict | None = None,
    sparse: int = 0,
) -> None:
    """A tar of zeros, made a piece at a time: (name, size)."""
    opener = {"bz2": bz2.open, "gz": gzip.open, "xz": lzma.open}[kind]
    with opener(path, "wb") as stream:
        for name, size in members:
            member = tarfile.TarInfo(name)
            member.size = size
            if headers:
                member.pax_headers = headers
            stream.write(member.tobuf(tarfile.PAX_FORMAT))
            for _ in range(min(size, 120 << 20) >> 20):
                stream.write(bytes(1 << 20))


def hostile_sounds(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with a clip whose header lies -> part of the line."""
    twins = {}
    for name, content in SOUNDS.items():
        clip = root / name / "CSED" / f"{STEM}.{'flac' if name.startswith('FLAC') else 'wav'}"
        clip.parent.mkdir(parents=True)
        clip.write_bytes(content)
        twins[root / name] = SAID[name]
    return twins


def hostile_tables(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with a table that is too large -> part of the line."""
    tables = {
        "lines": "\n" * 8_000_000,
        "lines of CR": "\r" * 8_000_000,
        "rows": "ActorID,Age,Sex\n" + "1001,25,Male\n" * 400_000,
        "fields": "ActorID,Age,Sex\n1001,25,Male" + "," * 9_000,
        "columns": ",".join(f"c{n}" for n in range(1000)) + "\n",
        "columns twice": "ActorID,Age,Age,Sex\n1001,25,61,Male\n",
        "a field": 'ActorID,Age,Sex\n1001,"' + "5" * 5_000_000,
        "an age": "ActorID,Age,Sex\n1001,1e400,Male\n",
        "bytes": None,
    }
    twins = {}
    for name, text in tables.items():
        table = root / f"CSV {name}" / "CREMA-D" / "VideoDemographics.csv"
        table.parent.mkdir(parents=True)
        (table.parent / "1001_DFA_ANG_XX.wav").write_bytes(SOUNDS["wav rate"])
        table.write_text(text or "")
        if text is None:
            os.truncate(table, 1 << 40)
        twins[root / f"CSV {name}"] = "VideoDemographics.csv"
    return twins


def hostile_archives(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with an archive that unpacks to too much -> part of the line."""
    clip, much = "data/14_m60_01_4.wav", 120 << 20
    archives = {
        "a member of a terabyte": ((clip, 1 << 40),),
        "a member that unpacks to much": ((clip, 100 << 20),),
        "something else that unpacks to much": (("movie", much), (clip, 0)),
        "many small ones": tuple((f"{n}", 0) for n in range(41_000)),
        "clip and clip": ((clip, 1 << 20), (f"other/{clip}", 1 << 20)),
    }
    twins = {}
    for name, members in archives.items():
        archive(tables(root / name / "Y") / "data.tar.bz2", *members)
        twins[root / name] = "data.tar.bz2"
    xz, gz = (tables(root / f"tar {name}" / "Y") for name in ("xz", "header"))
    archive(xz / "data.tar.xz", ("movie", much), kind="xz")
    archive(gz / "data.tar.gz", (clip, 0), kind="gz", headers={"comment": "x" * (8 << 20)})
    return twins | {root / "tar xz": "data.tar.xz", root / "tar header": "data.tar.gz"}


def hostile_parquet(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with Parquet that unpacks to too much -> part of the line."""
    files = {
        name: root / name / "Y" / "0.parquet"
        for name in ("page", "a value over and over", "rows", "a footer that lies")
    }
    parquet(files["page"], 1, bytes(160 << 20), compression="zstd")
    parquet(files["a value over and over"], 500, bytes(1 << 20), compression="zstd")
    parquet(files["rows"], 20_000, b"x")
    lie(files["a footer that lies"], 28, bytes(30 << 20))
    return {root / name: "parquet" for name in files}


def test_corpora_that_declare_too_much(tmp_path):
    kinds = (hostile_sounds, hostile_tables, hostile_archives, hostile_parquet)
    twins = {root: part for made in kinds for root, part in made(tmp_path).items()}
    said = told([("corpus", root) for root in twins])
    for (root, part), line in zip(twins.items(), said, strict=True):
        assert part in line, (root.name, line)
