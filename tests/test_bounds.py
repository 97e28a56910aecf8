"""Hostile twins: every number that a stranger's file declares is bounded before it is used.

Each twin is read in a process of its own, forked from one that has loaded the libraries. It may take 1 GiB of memory in all,
what the libraries hold included, and must end in one line. A limit of CPU time stops what would never end; nothing here is
measured in seconds.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("tiny_models", Path(__file__).parent / "tiny_models.py")
tiny_models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_models)

MOST_BYTES = 1 << 30
LIBRARIES = {
    "model": "torch, transformers, bimotion.models.encoders",
    "corpus": "pandas, pyarrow.parquet, soundfile, bimotion.doctor",
}
# The parent of the twins. `what` of a twin: model (a folder), or a command line.
CHILD = """
import importlib, io, json, os, re, resource, sys, traceback
for name in sys.argv[1].split(", "):
    importlib.import_module(name)
from pathlib import Path
from bimotion.errors import BimotionError

def model(folder):
    from bimotion.models import encoders, weights
    encoder = encoders.load(weights.ModelSpec(folder))
    import numpy as np
    encoder.encode([np.zeros(16_000, np.float32)])

def corpus(root):
    from bimotion import manifest, samples
    from bimotion.progress import Progress
    found = manifest.build(root)
    samples.samples(found, found.table, Progress())

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

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


# --- models ------------------------------------------------------------------------------------------------------------

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
DEEP = {"a": 1}
for _ in range(100):
    DEEP = {"a": DEEP}
MODELS = {  # name: family, file, what is changed in it, part of the message
    "hidden size": ("wav2vec2-group", CONFIG, {"hidden_size": 10**6}, "fits its weights"),
    "intermediate size": ("wav2vec2-group", CONFIG, {"intermediate_size": 10**9}, "fits its weights"),
    "layers": ("wav2vec2-group", CONFIG, {"num_hidden_layers": 10**6}, "num_hidden_layers: expected 0 to 512"),
    "layers below none": ("whisper", CONFIG, {"encoder_layers": -1}, "encoder_layers: expected 0 to 512"),
    "positions": ("whisper", CONFIG, {"max_source_positions": 10**9}, "fits its weights"),
    "vocabulary": ("whisper", CONFIG, {"vocab_size": 10**11}, "fits its weights"),
    "spectrogram": ("ast", CONFIG, {"max_length": 10**10}, "fits its weights"),
    "convolutions of positions": ("wav2vec2-group", CONFIG, {"num_conv_pos_embeddings": 10**10}, "fits its weights"),
    "kernel": ("wav2vec2-group", CONFIG, {"conv_kernel": [10**9] * 7}, "conv_kernel: expected 1 to 65,536"),
    "kernels that multiply": ("wav2vec2-group", CONFIG, {"conv_kernel": [60_000] * 7, "conv_stride": [60_000] * 7}, "30 s"),
    "stride of 0": ("wav2vec2-group", CONFIG, {"conv_stride": [0] * 7}, "conv_stride: expected 1 to 65,536"),
    "stride of 1": ("wav2vec2-group", CONFIG, {"conv_stride": [1] * 7}, "1000 a second, found"),
    "too many strides": ("wav2vec2-group", CONFIG, {"conv_stride": [1] * 10**5}, "at most 20000 entries"),
    "as many kernels as strides": ("wav2vec2-group", CONFIG, {"conv_stride": [2] * 6}, "validat"),
    "outputs": ("wav2vec2-group", CONFIG, {"id2label": {str(n): "x" for n in range(10**5)}}, "at most 20000 entries"),
    "levels": ("wav2vec2-group", CONFIG, {"x": DEEP}, "at most 16 levels"),
    "bytes": ("wav2vec2-group", CONFIG, {"x": "x" * 5 * 10**6}, "at most 4194304 bytes"),
    "rate": ("wav2vec2-group", PREPROCESSOR, {"sampling_rate": 10**9}, "sampling_rate: expected 4,000 to 192,000"),
    "rate of 0": ("wav2vec2-group", PREPROCESSOR, {"sampling_rate": 0}, "sampling_rate: expected 4,000 to 192,000"),
    "rate below 0": ("wav2vec2-group", PREPROCESSOR, {"sampling_rate": -16000}, "sampling_rate: expected"),
    "rate that is none": ("wav2vec2-group", PREPROCESSOR, {"sampling_rate": float("nan")}, "sampling_rate: expected"),
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
    whole = {family: tiny_models.build(family, tmp_path / family) for family in {family for family, *_ in MODELS.values()}}
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
    assert [(kind, *found) for kind, content in made.items() for found in config_bounds._beyond(content)] == []
