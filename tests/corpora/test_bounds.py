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
import pytest
import soundfile

from bimotion.data import manifest, samples
from bimotion.data.source import CorpusSource
from bimotion.errors import AudioError
from bimotion.io.progress import Progress
from tests.support.bounded_process import refusals
from tests.support.raw_corpora import YUEMOTION_HEADER, lay_tree

CLIP = "14_m60_01_4"
TABLES = {
    "train_metadata.csv": YUEMOTION_HEADER,
    "validation_metadata.csv": YUEMOTION_HEADER,
    "test_metadata.csv": YUEMOTION_HEADER + f"test,14,data/{CLIP}.wav,m,60,1,4,neutral\n",
}
MUCH = 120 << 20


def read(root: str) -> None:
    """Index a root and hear its clips; raises what is wrong with the first."""
    read = manifest.build(CorpusSource.of(root))
    for finding in read.findings:
        if finding.kind in ("unreadable", "empty", "truncated"):
            raise AudioError(finding.detail)
    samples.samples(read, read.table, Progress())


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
        depth = int.from_bytes(content[18:26], "big") & (0xFF << 36)
        bits = rate << 44 | depth | frames & ((1 << 36) - 1)
        content[18:26] = bits.to_bytes(8, "big")
    else:  # AIFF: channels, samples and bits, then the rate as an 80-bit float
        start = content.index(b"COMM") + 8
        content[start : start + 6] = struct.pack(">hI", channels, min(frames, 2**32 - 1))
        exponent = 16383 + rate.bit_length() - 1
        mantissa = rate << (64 - rate.bit_length())
        content[start + 8 : start + 18] = struct.pack(">HQ", exponent, mantissa)
    return bytes(content)


def parquet(path: Path, n_rows: int, content: bytes, **kind) -> None:
    facts = {"split": "test", "speaker_id": "14", "gender": "m", "age": 60}
    row = {"audio": {"bytes": content, "path": None}, **facts, "sentence_id": 1, "label_id": 4}
    path.parent.mkdir(parents=True)
    table = pa.concat_tables([pa.Table.from_pylist([row])] * n_rows).combine_chunks()
    pq.write_table(table, path, write_statistics=False, **kind)


def varint(number: int, n_bytes: int | None = None) -> bytes:
    """A number as Thrift writes it (zigzag, seven bits a byte), in as many bytes as are asked
    for."""
    number, packed = 2 * number, bytearray()
    while number or len(packed) < (n_bytes or 1):
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed[-1] &= 0x7F
    return bytes(packed)


def lie(path: Path, n_rows: int, content: bytes) -> None:
    """Parquet of one page a column, whose footer says that 10 000 bytes at most are in each."""
    plain = {"use_dictionary": False, "store_schema": False, "data_page_size": 1 << 40}
    parquet(path, n_rows, content, compression="zstd", **plain)
    packed = path.read_bytes()
    true = varint(pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size)
    start = len(packed) - 8 - int.from_bytes(packed[-8:-4], "little")
    footer = packed[start:].replace(true, varint(10_000, len(true)))
    path.write_bytes(packed[:start] + footer)
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 10_000


def archive(path: Path, *members: tuple[str, int], opener=bz2.open, comment: str = "") -> None:
    """A tar of zeros, made a piece at a time: (name, size)."""
    with opener(path, "wb") as stream:
        for name, size in members:
            member = tarfile.TarInfo(name)
            member.size = size
            member.pax_headers = {"comment": comment} if comment else {}
            stream.write(member.tobuf(tarfile.PAX_FORMAT))
            for _ in range(min(size, MUCH) >> 20):
                stream.write(bytes(1 << 20))


RATE, LENGTH = "expected a rate of 1000 to 384000 Hz, found ", "expected a clip of at most 1200 s"
SOUNDS = {  # twin -> content, part of the line
    "wav rate": (header(rate=2**31 - 1), f"{RATE}2147483647"),
    "wav rate of 0": (header(rate=0), "SF_INFO"),  # libsndfile's own words
    "wav rate of 1": (header(rate=1), f"{RATE}1"),
    "wav channels": (header(channels=1024), "no samples"),
    "wav channels of 0": (header(channels=0), "Channel count"),
    "FLAC samples": (
        header(kind="FLAC", frames=2**36 - 1),
        f"{LENGTH}, found one that says 1558265 s",
    ),
    "FLAC samples, an hour": (
        header(kind="FLAC", frames=44100 * 3600),
        f"{LENGTH}, found one that says 3600 s",
    ),
    "FLAC samples, a minute": (
        header(kind="FLAC", frames=44100 * 60),
        "flac: expected sound, found",
    ),
    "FLAC rate of 1": (header(kind="FLAC", rate=1), f"{RATE}1"),
    "AIFF rate": (header(kind="AIFF", rate=2**30), f"{RATE}800000000"),
    "AIFF channels": (header(kind="AIFF", channels=30000), "channel count"),
}
CSV = {
    "lines": "\n" * 8_000_000,
    "lines of CR": "\r" * 8_000_000,
    "rows": "ActorID,Age,Sex\n" + "1001,25,Male\n" * 400_000,
    "fields": "ActorID,Age,Sex\n1001,25,Male" + "," * 9_000,
    "columns": ",".join(f"c{n}" for n in range(1000)) + "\n",
    "columns twice": "ActorID,Age,Age,Sex\n1001,25,61,Male\n",
    "a field": 'ActorID,Age,Sex\n1001,"' + "5" * 5_000_000,
    "an age": "ActorID,Age,Sex\n1001,1e400,Male\n",
    "bytes": "",
}
ARCHIVES = {  # twin -> file, members
    "a member of a terabyte": ("data.tar.bz2", [(CLIP + ".wav", 1 << 40)], {}),
    "a member that unpacks to much": ("data.tar.bz2", [(CLIP + ".wav", 100 << 20)], {}),
    "another file that unpacks to much": ("data.tar.bz2", [("movie", MUCH)], {}),
    "many small ones": ("data.tar.bz2", [(f"{n}", 0) for n in range(41_000)], {}),
    "clip and clip": ("data.tar.bz2", [(CLIP + ".wav", 1 << 20), (f"x/{CLIP}.wav", 1 << 20)], {}),
    "xz": ("data.tar.xz", [("movie", MUCH)], {"opener": lzma.open}),
    "header": (
        "data.tar.gz",
        [(CLIP + ".wav", 0)],
        {"opener": gzip.open, "comment": "x" * (8 << 20)},
    ),
}


def hostile_sounds(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with a clip whose header lies -> part of the line."""
    for name, (content, _) in SOUNDS.items():
        suffix = "flac" if name.startswith("FLAC") else "wav"
        lay_tree(root / name / "CSED", "csed", {f"Nat_Female-12.{suffix}": content})
    return {root / name: part for name, (_, part) in SOUNDS.items()}


def hostile_tables(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with a table that is too large -> part of the line."""
    for name, text in CSV.items():
        tree = {"1001_DFA_ANG_XX.wav": header(), "VideoDemographics.csv": text}
        lay_tree(root / name / "CREMA-D", "crema_d", tree)
    os.truncate(root / "bytes" / "CREMA-D" / "VideoDemographics.csv", 1 << 40)
    return {root / name: "VideoDemographics.csv" for name in CSV}


def hostile_archives(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with an archive that unpacks to too much -> part of the line."""
    for name, (file, members, options) in ARCHIVES.items():
        archive(lay_tree(root / name / "Y", "yuemotion", TABLES) / file, *members, **options)
    return {root / name: file for name, (file, _, _) in ARCHIVES.items()}


def hostile_parquet(root: Path) -> dict[Path, str]:
    """Roots of one corpus each, with Parquet that unpacks to too much -> part of the line."""
    parquet(root / "page/Y/0.parquet", 1, bytes(160 << 20), compression="zstd")
    parquet(root / "a value over and over/Y/0.parquet", 150, bytes(1 << 20), compression="zstd")
    parquet(root / "rows/Y/0.parquet", 20_000, b"x")
    lie(root / "a footer that lies/Y/0.parquet", 28, bytes(30 << 20))
    return dict.fromkeys(root.iterdir(), "parquet")


@pytest.mark.parametrize(
    "twins", [hostile_sounds, hostile_tables, hostile_archives, hostile_parquet]
)
def test_corpora_that_declare_too_much(tmp_path, twins):
    parts = twins(tmp_path)
    lines = refusals("tests.corpora.test_bounds:read", parts)
    for (root, part), line in zip(parts.items(), lines, strict=True):
        assert part in line, (root.name, line)
