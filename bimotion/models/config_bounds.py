"""Numbers that a stranger's model declares, bounded before anything of that size is made.

A configuration is a few lines of text that can ask for all the memory of a machine: a layer of 10^9
numbers that no weight file holds, a spectrogram of 10^9 bins, a stride of 0. Two looks: at the JSON
files, before any library reads them, and at the model, built without memory (torch's `meta`
device), before its weights are read.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from bimotion.errors import ModelError

FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
)
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 16  # the deepest of the installed transformers' own configurations has 6
MAX_ITEMS = 20_000  # of one list or object: names of a classifier's outputs, tokens to suppress
MAX_RECEPTIVE_S = 30.0  # of one frame behind all convolutions
MAX_FRAMES_A_SECOND = 1000.0  # attention costs their square
FREE_PARAMETERS = 64_000_000  # a head or a decoder that the weights do not hold: 256 MB
# of weights in float32, and a fourfold of those in half precision: whisper-large's encoder alone
# has 2.4
HELD_FOLD = 8
BYTES_A_PARAMETER = 4
RANGES: dict[str, tuple[float, float]] = {
    r"sampl(e|ing)_rate": (4_000, 192_000),
    r"(\w+_)?(strides?|kernels?|kernel_sizes?|kernel_lengths?|hop_length|dilations?)": (1, 65_536),
    r"(\w+_)?(patch_size|squeeze_factor)": (1, 65_536),
    r"n_fft|fft_length|fft_window_size|frame_length|win_length": (1, 65_536),
    r"(\w*_)?(layers|blocks|depths?)|n_layer|num_hidden_groups": (0, 512),
    r"max_source_positions": (1, 10**9),  # divided by
    r"feature_size|num_mel_bins|n_mels|num_mels": (1, 4_096),
    r"chunk_length(_s)?|max_length_s": (0, 600),
    r"n_samples|nb_max_samples": (0, 600 * 192_000),
    r"nb_max_frames|max_frames": (0, 1_000_000),
    r"conv_dim|conv_bias|conv_kernel|conv_stride": (0, 65_536),
}
"""Name of a setting, from its first letter to its last, and the range of its numbers. Lists: of
each of their numbers."""
HUB_CODE = re.compile(r"(attn|experts)_implementation")
"""Settings that may name a repository of the Hub: where `kernels` is installed, transformers
fetches its code and runs it."""


def check_files(model: str, fetch: Callable[[str], Path | None]) -> None:
    """Raise ModelError where the JSON files of a model are too large or too deep, or declare a
    number beyond RANGES.

    Files that are missing or no JSON are left to whoever reads them. `fetch`: name of a file -> the
    file, or None where it cannot be had.
    """
    for name in FILES:
        if (path := fetch(name)) is None:
            continue
        if (n_bytes := path.stat().st_size) > MAX_JSON_BYTES:
            raise ModelError(
                f"{model}: {name}: expected at most {MAX_JSON_BYTES} bytes, found {n_bytes}"
            )
        try:
            content = json.loads(path.read_bytes())
        except RecursionError:
            raise ModelError(
                f"{model}: {name}: expected at most {MAX_DEPTH} levels, found more than can be read"
            ) from None
        except ValueError:  # told where it is read
            continue
        for where, value, expected in out_of_bounds(content):
            raise ModelError(f"{model}: {name}: {where}: expected {expected}, found {value}")


def out_of_bounds(content: object) -> Iterator[tuple[str, str, str]]:
    """Yield path, value and what was expected, of everything in JSON that is beyond its bounds;
    never recursive."""
    pending: list[tuple[str, str, object, int]] = [("", "", content, 1)]
    while pending:
        where, key, value, depth = pending.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                yield where[:80], "more", f"at most {MAX_DEPTH} levels"
                return
            if len(value) > MAX_ITEMS:
                yield where[:80] or "file", f"{len(value)}", f"at most {MAX_ITEMS} entries"
                return
            named = value.items() if isinstance(value, dict) else ((key, item) for item in value)
            pending += [
                (f"{where}.{name}".lstrip("."), str(name), item, depth + 1) for name, item in named
            ]
        elif expected := _expected(where, key, value):
            yield where[-80:], f"{value!r:.80}", expected


def _expected(where: str, key: str, value: object) -> str | None:
    """The bound that a single value breaks, in words; None: it breaks none."""
    if isinstance(value, str):
        if "/" in value and HUB_CODE.search(where):
            return "an implementation of transformers itself, not code of the Hub"
        if "--" in value and where.startswith("auto_map"):  # its commit would be in no record
            return "code that lies beside the model, not in another repository"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for pattern, (least, most) in RANGES.items():
            if re.fullmatch(pattern, key) and not least <= value <= most:
                return f"{least:,} to {most:,}"
    return None


def check_size(model: str, n_bytes: int, skeleton) -> None:
    """Raise ModelError where a model would be far larger than its weights of `n_bytes`, or than
    this machine's memory. `skeleton`: the model on torch's `meta` device."""
    n_declared = sum(part.numel() for part in (*skeleton.parameters(), *skeleton.buffers()))
    if n_declared > FREE_PARAMETERS + HELD_FOLD * n_bytes // BYTES_A_PARAMETER:
        raise ModelError(
            f"{model}: expected a configuration that fits its weights ({n_bytes} bytes), "
            f"found one of {n_declared:,} numbers: the two are not of one model"
        )
    if n_declared * BYTES_A_PARAMETER > (memory := _memory_bytes()):
        need = n_declared * BYTES_A_PARAMETER >> 30
        raise ModelError(
            f"{model}: needs {need} GiB of memory for its weights alone, this machine has "
            f"{memory >> 30}"
        )


def check_convolutions(model: str, config) -> None:
    """Raise ModelError where the convolutions through which a model hears waveforms leave too few
    or too many frames."""
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not isinstance(kernels, list | tuple) or not isinstance(strides, list | tuple):
        return
    if len(kernels) != len(strides) or not kernels:
        raise ModelError(
            f"{model}: expected as many conv_kernel as conv_stride, found {len(kernels)} and "
            f"{len(strides)}"
        )
    rate, n_samples = 16_000, 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        n_samples = (n_samples - 1) * stride + kernel
    per_second = rate / math.prod(strides)
    if n_samples > MAX_RECEPTIVE_S * rate or per_second > MAX_FRAMES_A_SECOND:
        raise ModelError(
            f"{model}: conv_kernel, conv_stride: expected a frame of at most "
            f"{MAX_RECEPTIVE_S:g} s and at most {MAX_FRAMES_A_SECOND:g} a second, found "
            f"{n_samples / rate:.3g} s and {per_second:.3g}"
        )


def _memory_bytes() -> int:
    """Physical memory of the machine; beyond any model where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62
