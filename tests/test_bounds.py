"""Hostile twins: every number that a stranger's file declares is bounded before it is used.

Each twin is read in a process of its own, forked from one that has loaded the libraries. It may
take 1 GiB of memory in all, what the libraries hold included, and must end in one line. A limit of
CPU time stops what would never end; nothing here is measured in seconds.
"""

import bz2
import collections
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from tests.support import tiny_models

MOST_BYTES = 1 << 30
LIBRARIES = {
    "model": "torch, transformers, bimotion.models.encoder",
    "corpus": "pandas, pyarrow.parquet, soundfile, bimotion.data.checks.doctor",
}
# The parent of the twins. `what` of a twin: model (a folder), or a command line.
CHILD = """
import importlib, io, json, os, re, resource, sys, traceback
for name in sys.argv[1].split(", "):
    importlib.import_module(name)
from pathlib import Path
from bimotion.errors import BimotionError

def model(folder):
    from bimotion.models import encoder as encoders
    from bimotion.models import weights
    encoder = encoders.load(weights.ModelSpec(folder))
    import numpy as np
    encoder.encode([np.zeros(16_000, np.float32)])

def corpus(root):
    from bimotion.data import manifest; from bimotion.data import samples
    from bimotion.errors import AudioError
    from bimotion.io.progress import Progress
    found = manifest.build(root)
    bad = ("unreadable", "empty", "truncated")
    if broken := [finding.detail for finding in found.findings if finding.kind in bad]:
        raise AudioError(broken[0])
    samples.samples(found, found.table, Progress())

def peak():
    own = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024

def tried(what, place):
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is this process's own
    try:
        globals()[what](place)
        said, kind = "", "none"
    except BimotionError as error:
        said, kind = str(error), "told"
    except BaseException as error:
        said, kind = traceback.format_exc()[-2000:], "traceback"
    return {"kind": kind, "said": said, "peak": peak()}

for what, place in json.load(sys.stdin):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        os.dup2(2, 1)
        os.write(writer, json.dumps(tried(what, place)).encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        found = pipe.read()
    _, status = os.waitpid(child, 0)
    print(found or json.dumps({"kind": f"died ({status})", "said": "", "peak": 0}))
"""


def told(twins: list[tuple[str, Path]]) -> list[str]:
    """The line that each twin ended in; asserts that it was one line, within the memory."""
    what = twins[0][0]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, LIBRARIES[what]],
        input=json.dumps([(what, str(place)) for what, place in twins]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(twins), done.stderr
    for (_, place), one in zip(twins, found, strict=True):
        assert one["kind"] == "told", (place.name, one)
        assert "\n" not in one["said"], (place.name, one)
        assert one["peak"] < MOST_BYTES, (place.name, one)
    return [one["said"] for one in found]


# --- models -------------------------------------------------------------------------------------

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
DEEP = {"a": 1}
for _ in range(100):
    DEEP = {"a": DEEP}
MODELS = {  # name: family, file, what is changed in it, part of the message
    "hidden size": ("wav2vec2-group", CONFIG, {"hidden_size": 10**6}, "fits its weights"),
    "intermediate size": (
        "wav2vec2-group",
        CONFIG,
        {"intermediate_size": 10**9},
        "fits its weights",
    ),
    "layers": (
        "wav2vec2-group",
        CONFIG,
        {"num_hidden_layers": 10**6},
        "num_hidden_layers: expected 0 to 512",
    ),
    "layers below none": (
        "whisper",
        CONFIG,
        {"encoder_layers": -1},
        "encoder_layers: expected 0 to 512",
    ),
    "positions": ("whisper", CONFIG, {"max_source_positions": 10**9}, "fits its weights"),
    "vocabulary": ("whisper", CONFIG, {"vocab_size": 10**11}, "fits its weights"),
    "spectrogram": ("ast", CONFIG, {"max_length": 10**10}, "fits its weights"),
    "convolutions of positions": (
        "wav2vec2-group",
        CONFIG,
        {"num_conv_pos_embeddings": 10**10},
        "fits its weights",
    ),
    "kernel": (
        "wav2vec2-group",
        CONFIG,
        {"conv_kernel": [10**9] * 7},
        "conv_kernel: expected 1 to 65,536",
    ),
    "kernels that multiply": (
        "wav2vec2-group",
        CONFIG,
        {"conv_kernel": [60_000] * 7, "conv_stride": [60_000] * 7},
        "30 s",
    ),
    "stride of 0": (
        "wav2vec2-group",
        CONFIG,
        {"conv_stride": [0] * 7},
        "conv_stride: expected 1 to 65,536",
    ),
    "stride of 1": ("wav2vec2-group", CONFIG, {"conv_stride": [1] * 7}, "1000 a second, found"),
    "too many strides": (
        "wav2vec2-group",
        CONFIG,
        {"conv_stride": [1] * 10**5},
        "at most 20000 entries",
    ),
    "as many kernels as strides": ("wav2vec2-group", CONFIG, {"conv_stride": [2] * 6}, "validat"),
    "outputs": (
        "wav2vec2-group",
        CONFIG,
        {"id2label": {str(n): "x" for n in range(10**5)}},
        "at most 20000 entries",
    ),
    "levels": ("wav2vec2-group", CONFIG, {"x": DEEP}, "at most 16 levels"),
    "bytes": ("wav2vec2-group", CONFIG, {"x": "x" * 5 * 10**6}, "at most 4194304 bytes"),
    "rate": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": 10**9},
        "sampling_rate: expected 4,000 to 192,000",
    ),
    "rate of 0": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": 0},
        "sampling_rate: expected 4,000 to 192,000",
    ),
    "rate below 0": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": -16000},
        "sampling_rate: expected",
    ),
    "rate that is none": (
        "wav2vec2-group",
        PREPROCESSOR,
        {"sampling_rate": float("nan")},
        "sampling_rate: expected",
    ),
    "Fourier": ("whisper", PREPROCESSOR, {"n_fft": 10**9}, "n_fft: expected 1 to 65,536"),
    "window": ("whisper", PREPROCESSOR, {"chunk_length": 10**9}, "chunk_length: expected 0 to 600"),
    "mels": ("whisper", PREPROCESSOR, {"feature_size": 10**9}, "feature_size: expected 1 to 4,096"),
    "hop": ("whisper", PREPROCESSOR, {"hop_length": 0}, "hop_length: expected 1 to 65,536"),
}


def changed(folder: Path, name: str, **values) -> Path:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(content | values))
    return folder


def test_models_that_declare_too_much(tmp_path):
    twins = {}
    whole = {
        family: tiny_models.build(family, tmp_path / family)
        for family in {family for family, *_ in MODELS.values()}
    }
    for name, (family, file, values, part) in MODELS.items():
        twins[changed(shutil.copytree(whole[family], tmp_path / name), file, **values)] = part
    header = shutil.copytree(whole["ast"], tmp_path / "header") / "model.safetensors"
    header.write_bytes((1 << 62).to_bytes(8, "little") + header.read_bytes()[8:])
    endless = shutil.copytree(whole["ast"], tmp_path / "endless")
    (endless / CONFIG).write_text("[" * 1_000_000)
    twins |= {header.parent: "safetensors", endless: "levels"}
    said = told([("model", folder) for folder in twins])
    for (folder, part), line in zip(twins.items(), said, strict=True):
        assert part in line, (folder.name, line)


def lying(names: list[str], n_stored: int, shape: tuple, stride: tuple, *, zipped: bool) -> bytes:
    """Pickled weights of 16 bytes, whose storage, shapes and strides are what they are said to
    be."""
    import torch
    from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

    class Storage:
        pass

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (
                Storage(),
                0,
                shape,
                stride,
                False,
                collections.OrderedDict(),
            )

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            more = () if zipped else (None,)
            return (
                ("storage", torch.FloatStorage, "0", "cpu", n_stored, *more)
                if isinstance(value, Storage)
                else None
            )

    packed, out = io.BytesIO(), io.BytesIO()
    Pickler(packed, 2).dump({name: Tensor() for name in names})
    if zipped:
        writer = torch._C.PyTorchFileWriter(out)
        for name, content in {
            "data.pkl": packed.getvalue(),
            "byteorder": b"little",
            "data/0": bytes(16),
        }.items():
            writer.write_record(name, content, len(content))
        writer.write_end_of_file()
        return out.getvalue()
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    heads = [pickle.dumps(one, 2) for one in (MAGIC_NUMBER, PROTOCOL_VERSION, system)]
    return b"".join(
        [
            *heads,
            packed.getvalue(),
            pickle.dumps(["0"], 2),
            n_stored.to_bytes(8, "little"),
            bytes(16),
        ]
    )


def test_pickled_weights_that_declare_too_much(tmp_path):
    from safetensors import safe_open

    whole = tiny_models.build("wav2vec2-layer", tmp_path / "whole")
    with safe_open(whole / "model.safetensors", "np") as stream:
        names = list(stream.keys())
    lies = {
        "storage": (1 << 40, (4,), (1,)),
        "view": (4, (1 << 40,), (1,)),
        "strides": (4, (2, 2), (1 << 40, 1)),
        "stride of 0": (4, (1 << 31,), (0,)),
    }
    twins = []
    for name, lie in lies.items():
        for zipped in (False, True):
            folder = shutil.copytree(whole, tmp_path / f"{name}, {'zip' if zipped else 'legacy'}")
            (folder / "model.safetensors").unlink()
            (folder / "pytorch_model.bin").write_bytes(lying(names, *lie, zipped=zipped))
            twins.append(("model", folder))
    assert all("weights" in line for line in told(twins))


def test_every_configuration_of_transformers_is_within_the_bounds():
    import transformers

    from bimotion.models import config_bounds

    transformers.utils.logging.set_verbosity_error()
    made = {}
    for kind, config in transformers.CONFIG_MAPPING.items():
        try:
            made[kind] = json.loads(json.dumps(config().to_dict(), default=str))
        except Exception:  # one that has no defaults
            continue
    assert len(made) > 200
    assert [
        (kind, *found) for kind, content in made.items() for found in config_bounds._beyond(content)
    ] == []


# --- corpora ------------------------------------------------------------------------------------

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


def hostile_corpora(root: Path) -> dict[Path, str]:
    """Roots of one corpus each -> part of the line."""
    twins = {}
    for name, content in SOUNDS.items():
        clip = root / name / "CSED" / f"{STEM}.{'flac' if name.startswith('FLAC') else 'wav'}"
        clip.parent.mkdir(parents=True)
        clip.write_bytes(content)
        twins[root / name] = ""
    crema = {
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
    for name, text in crema.items():
        table = root / f"CSV {name}" / "CREMA-D" / "VideoDemographics.csv"
        table.parent.mkdir(parents=True)
        (table.parent / "1001_DFA_ANG_XX.wav").write_bytes(SOUNDS["wav rate"])
        table.write_text(text or "")
        if text is None:
            os.truncate(table, 1 << 40)
        twins[root / f"CSV {name}"] = "VideoDemographics.csv"
    clip = "data/14_m60_01_4.wav"
    tars = {
        "a member of a terabyte": ((clip, 1 << 40),),
        "a member that unpacks to much": ((clip, 100 << 20),),
        "something else that unpacks to much": (("movie", 120 << 20), (clip, 0)),
        "many small ones": tuple((f"{n}", 0) for n in range(41_000)),
        "clip and clip": ((clip, 1 << 20), (f"other/{clip}", 1 << 20)),
    }
    for name, members in tars.items():
        archive(tables(root / name / "Y") / "data.tar.bz2", *members)
        twins[root / name] = "data.tar.bz2"
    archive(tables(root / "tar xz" / "Y") / "data.tar.xz", ("movie", 120 << 20), kind="xz")
    archive(
        tables(root / "tar header" / "Y") / "data.tar.gz",
        (clip, 0),
        kind="gz",
        headers={"comment": "x" * (8 << 20)},
    )
    twins |= {root / "tar xz": "data.tar.xz", root / "tar header": "data.tar.gz"}
    parquet(root / "page" / "Y" / "0.parquet", 1, bytes(160 << 20), compression="zstd")
    parquet(
        root / "a value over and over" / "Y" / "0.parquet", 500, bytes(1 << 20), compression="zstd"
    )
    parquet(root / "rows" / "Y" / "0.parquet", 20_000, b"x")
    lie(root / "a footer that lies" / "Y" / "0.parquet", 28, bytes(30 << 20))
    twins |= {
        root / name: "parquet"
        for name in ("page", "a value over and over", "rows", "a footer that lies")
    }
    return twins


def test_corpora_that_declare_too_much(tmp_path):
    twins = hostile_corpora(tmp_path)
    said = told([("corpus", root) for root in twins])
    for (root, part), line in zip(twins.items(), said, strict=True):
        assert part in line, (root.name, line)
