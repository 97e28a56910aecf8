"""The window that a model hears where its extractor fills one whatever the clip (Whisper's 30 s,
AST's spectrogram), or the beginning of it.

A shorter window is the first part of the model's own: of the spectrogram, as its extractor makes
it, and of its positions in time. Layer 0 stays the same; the layers above attend to less silence
behind the clip: other features, so another identity. Some of it they need: whisper-base makes one
frame a vast one, which falls into the speech where little silence is behind it (docs/evaluate.md
has figures).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from bimotion.errors import SettingError
from bimotion.models.audio_part import VALUES
from bimotion.models.spec import ModelSpec

AST = "audio-spectrogram-transformer"
FRAME_S, HOP_S = 0.025, 0.01  # of Kaldi's spectrograms, AST's among them
SILENCE_S = 1.0
"""Of silence that a window shorter than the model's own has behind every clip, at least."""
_SILENCES_S = (0.1, 0.2)  # of one shape where an extractor fills a window


@dataclass(frozen=True)
class Window:
    """The window of a model that has one, and how much of it is heard of a clip.

    >>> whisper = Window("clip", own=480_000, rate=16_000, first=320, step=320, least=1)
    >>> whisper.n_positions, whisper.positions(32_000), whisper.samples(32_000) / 16_000
    (1500, 158, 3.16)
    """

    choice: str | float
    """`model`, `clip`, or the seconds that are heard of every clip; `model` also where these are
    all that the model can hear."""
    own: int
    """Samples of the model's own window, at `rate`."""
    rate: int
    """Hz that the model hears."""
    first: int
    """Samples up to the end of its first position in time."""
    step: int
    """Samples that each other one adds."""
    least: int
    """Positions that are heard of every clip."""

    @property
    def n_positions(self) -> int:
        """Positions in time of the model's own window."""
        return 1 + (self.own - self.first) // self.step

    @property
    def is_whole(self) -> bool:
        """The model's own window is heard of every clip."""
        return self.least == self.n_positions

    def positions(self, n_samples: int) -> int:
        """Positions that are heard of a clip (no longer than the model's own window): those of its
        length and SILENCE_S, rounded up to one of few, or the least of all clips where that is
        more."""
        if self.is_whole:
            return self.least
        rounded = bucket(n_samples + round(SILENCE_S * self.rate))
        return max(self.least, _positions(rounded, self.own, self.first, self.step))

    def samples(self, n_samples: int) -> int:
        """Samples that a clip fills, silence behind it included."""
        positions = self.positions(n_samples)
        if positions == self.n_positions:
            return self.own
        return self.first + (positions - 1) * self.step

    def heard_s(self, seconds: float) -> float:
        """Seconds that are heard of a clip of any length: it is cut into as many equal parts as
        the model's own window asks for."""
        n_samples = math.ceil(seconds * self.rate - 1e-6)
        n_parts = max(1, -(-n_samples // self.own))
        return n_parts * self.samples(-(-n_samples // n_parts)) / self.rate

    @property
    def in_words(self) -> str:
        """The window that a clip fills, for messages."""
        own_s = f"{self.own / self.rate:g} s"
        if self.choice == "model":
            return f"a window of {own_s}"
        longer = f"its length and {SILENCE_S:g} s of silence, rounded up, of at most {own_s}"
        if self.choice == "clip":
            return f"a window of {longer}"
        return f"a window of {self.choice:g} s, or of {longer}, where that is more"


def _positions(n_samples: int, own: int, first: int, step: int) -> int:
    """The fewest positions that take so many samples; no more than there are."""
    return min(1 + max(0, -(-(n_samples - first) // step)), 1 + (own - first) // step)


def bucket(length: int) -> int:
    """The length rounded up to a power of 2 ** (1 / 8): 40 lengths between a second and half a
    minute.

    >>> bucket(16_000), bucket(16_001)
    (16384, 16384)
    """
    return math.ceil(2 ** (math.ceil(8 * math.log2(length) - 1e-9) / 8) - 1e-6)


def window_of(spec: ModelSpec, config, extractor, rate: int) -> Window | None:
    """The window of a model; None where it hears each clip as long as it is.

    Args:
        spec: The model, with the window that is asked for.
        config: Its configuration.
        extractor: Its feature extractor.
        rate: Hz that this takes.

    Raises:
        SettingError: A window that the model cannot hear.
    """
    own, choice = _own_window(config, extractor, rate), spec.window
    parts = None if own is None else _first_and_step(config, own, rate)
    shown = choice if isinstance(choice, str) else f"{choice:g}"
    expected = None
    if own is None:
        expected = "model, for it hears each clip as long as it is"
    elif parts is None:
        expected = "model, for only the windows of Whisper and AST can be cut"
    elif isinstance(choice, float) and choice > own / rate:
        expected = f"model, clip or seconds up to its own {own / rate:g}"
    if expected and choice != "model":
        raise SettingError(f"{spec.model}: window: expected {expected}, found {shown}")
    if own is None:
        return None
    first, step = parts or (own, own)
    asked_s = {"model": own / rate, "clip": 0.0}.get(choice, choice)
    least = _positions(math.ceil(asked_s * rate - 1e-6), own, first, step)
    is_whole = choice != "clip" and least == 1 + (own - first) // step
    return Window("model" if is_whole else choice, own, rate, first, step, least)


def _own_window(config, extractor, rate: int) -> int | None:
    """Samples of the window that a model hears whatever the clip; None where it hears the clip."""
    if config.model_type == AST:
        return (config.max_length - 1) * round(HOP_S * rate) + round(FRAME_S * rate)
    if not hasattr(extractor, "nb_max_frames"):
        return None
    silences = (np.zeros(round(seconds * rate), np.float32) for seconds in _SILENCES_S)
    made = [extracted(extractor, silence, rate) for silence in silences]
    shapes = {each[values_name(extractor, each)].shape for each in made}
    return int(extractor.n_samples) if len(shapes) == 1 else None


def _first_and_step(config, own: int, rate: int) -> tuple[int, int] | None:
    """Samples of the first position of a window, and of each other; None where it cannot be cut."""
    if config.model_type == AST:
        hop, frame = round(HOP_S * rate), round(FRAME_S * rate)
        return (config.patch_size - 1) * hop + frame, config.time_stride * hop
    if config.model_type == "whisper":
        step = max(1, own // config.max_source_positions)
        return step, step
    return None


def extracted(extractor, window: np.ndarray, rate: int, **options) -> dict:
    """One window through an extractor, alone."""
    try:
        return extractor([window], sampling_rate=rate, return_tensors="np", **options)
    except ValueError as error:
        if "return_tensors" not in str(error):
            raise
        return extractor([window], sampling_rate=rate, return_tensors="pt", **options)


def values_name(extractor, made: dict) -> str:
    """The name of waveforms or spectrograms in what an extractor makes."""
    return next((name for name in VALUES if name in made), extractor.model_input_names[0])


def heard_s(durations_s: np.ndarray, window: Window | None) -> float:
    """Seconds that a model hears of clips: of each the windows that it fills, or (no window) the
    clip."""
    if window is None:
        return float(np.sum(durations_s))
    return float(sum(map(window.heard_s, np.asarray(durations_s).tolist())))


@contextmanager
def positions_cut(body, n: int | None) -> Iterator[None]:
    """Let an encoder (Whisper's, or AST) hear its first `n` positions in time; None: all."""
    import torch

    if n is None:
        yield
        return
    if body.config.model_type == AST:
        part, name = body.embeddings, "position_embeddings"
        whole = part.position_embeddings
        # two class tokens, then row by row of the spectrogram's patches, time last
        rows, _ = part.get_shape(body.config)
        patches = whole[:, 2:].unflatten(1, (rows, -1))[:, :, :n].flatten(1, 2)
        cut = torch.nn.Parameter(torch.cat([whole[:, :2], patches], 1), requires_grad=False)
        longest = {}
    else:
        part, name, whole = body, "embed_positions", body.embed_positions
        cut = torch.nn.Embedding.from_pretrained(whole.weight[:n])
        longest = {"max_source_positions": n}  # else the length of the spectrogram is refused
    before = {key: getattr(body.config, key) for key in longest}
    setattr(part, name, cut)
    body.config.update(longest)
    try:
        yield
    finally:
        setattr(part, name, whole)
        body.config.update(before)
