"""Whether a model can be used, and what it would cost: made-up clips through it before a run of a
night."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bimotion.data.splits import PAPER_SIZES, YUEMOTION_PAPER_SIZES
from bimotion.errors import ModelError
from bimotion.evaluation.tracks.probe import refuse_idle
from bimotion.evaluation.tracks.track import clips_named
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.models.spec import ModelSpec
from bimotion.models.training import FinetuneOptions
from bimotion.protocol import settings

CLIPS_S = {"0.1 s": 0.1, "2 s": 2.0, "40 s": 40.0, "silence": 2.0}
TIMED_CLIPS, TIMED_S = 4, 2.0
MEAN_CLIP_S = 3.0
"""About the mean of the paper's clips (ESD has 3.0 s, IEMOCAP 4.5 s, CREMA-D 2.5 s, TESS 2.1 s)."""
BASELINE = "baseline"
EPOCHS = FinetuneOptions.epochs  # of track `finetune`, at most


@dataclass(frozen=True)
class ModelCheck:
    """What a person wants to know of a model before a long run.

    family, part         type of the configuration; class of the part that hears
    weights_format       safetensors or pytorch; None for the baselines. They run in float32, on
                         GPUs in bfloat16
    sample_rate_hz       what it hears: clips are resampled to it
    n_layers, dim        hidden states that `probe` sees, and the size of each
    window_s             longest audio that it hears at once: longer clips are cut into equal
                         windows
    padding              how clips of several lengths share a batch
    clips                made-up clip -> "ok", or what went wrong with it
    largest_difference   between the features of these clips alone and together; None where they
                         have none in common
    clips_a_second, realtime_factor   of clips of 2 s; seconds of audio in one second
    protocol_clips, probe_hours       clips of the whole paper protocol, and hours for `probe` on
                                      this device
    finetune_clip_visits              of track `finetune` over the whole protocol, at most (20
                                      epochs, one seed); None: none
    """

    model: str
    revision: str | None
    family: str
    part: str
    weights_format: str | None
    trusted_remote_code: bool
    n_parameters: int | None
    device: str
    sample_rate_hz: int
    n_layers: int
    dim: int
    window_s: float | None
    padding: str
    clips: dict[str, str]
    largest_difference: float | None
    clips_a_second: float
    realtime_factor: float
    protocol_clips: int
    probe_hours: float
    finetune_clip_visits: int | None

    def to_dict(self) -> dict:
        """Fields by name."""
        return asdict(self)


def check_model(spec: ModelSpec) -> ModelCheck:
    """Load a model, or one of the baselines `bimotion/...`, and send made-up clips through it.

    Raises ModelError, UnknownName, SettingError for a model that cannot be used for track `probe`.
    """
    is_baseline = spec.model.startswith("bimotion/")
    if is_baseline:
        refuse_idle(spec)
    encoder = _baseline(spec.model) if is_baseline else _encoder(spec)
    clips = _clips()
    said, alone = {}, {}
    for name, clip in clips.items():
        try:
            alone[name] = encoder.encode([clip])[0]
            said[name] = "ok" if np.isfinite(alone[name]).all() else "NaN or infinity"
        except ModelError as error:
            said[name] = str(error)
    if not any(text == "ok" for text in said.values()):
        raise ModelError(
            f"{spec.model}: expected features of made-up clips, found none: "
            f"{next(iter(said.values()))}"
        )
    good = [name for name, text in said.items() if text == "ok"]
    with clips_named(good):
        together = encoder.encode([clips[name] for name in good])
    differences = [
        float(np.abs(alone[name] - row).max(initial=0))
        for name, row in zip(good, together, strict=True)
    ]
    rate = _clips_a_second(encoder)
    n_clips, n_visits = protocol_cost()
    return ModelCheck(
        **encoder.facts,
        clips=said,
        largest_difference=max(differences),
        clips_a_second=rate,
        realtime_factor=rate * TIMED_S,
        protocol_clips=n_clips,
        probe_hours=n_clips * _slower(encoder) / rate / 3600,
        finetune_clip_visits=None if encoder.facts["family"] == BASELINE else n_visits,
    )


@dataclass(frozen=True)
class _Checked:
    """Facts of an encoder, and its function. has_fixed_window: a short clip costs as much as one
    that fills the window."""

    encode: Callable[[Sequence[np.ndarray]], np.ndarray]
    facts: dict
    has_fixed_window: bool


def _encoder(spec: ModelSpec) -> _Checked:
    from bimotion.models import encoder as encoders

    encoder = encoders.load(spec)
    return _Checked(
        encoder.encode,
        {
            "model": encoder.name,
            "revision": encoder.revision,
            "family": encoder.family,
            "part": encoder.part,
            "weights_format": encoder.weights_format,
            "trusted_remote_code": encoder.trusted_remote_code,
            "n_parameters": encoder.n_parameters,
            "device": str(encoder.device),
            "sample_rate_hz": encoder.sample_rate_hz,
            "n_layers": encoder.n_layers,
            "dim": encoder.dim,
            "window_s": encoder.window_s,
            "padding": encoder.padding,
        },
        encoder.has_fixed_window,
    )


def _baseline(name: str) -> _Checked:
    from bimotion.models.baselines import baseline_model

    model = baseline_model(name)
    encode = model.encode or (lambda clip: np.zeros(0, np.float32))
    dim = len(encode(_clips()["2 s"]))
    facts = dict.fromkeys(("revision", "weights_format", "n_parameters", "window_s")) | {
        "model": name,
        "family": BASELINE,
        "part": model.head.__name__,
        "trusted_remote_code": False,
        "device": "cpu",
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "n_layers": int(dim > 0),
        "dim": dim,
        "padding": "each clip for itself",
    }
    return _Checked(lambda clips: np.stack([encode(clip) for clip in clips]), facts, False)


def _clips() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = {name: round(seconds * SAMPLE_RATE_HZ) for name, seconds in CLIPS_S.items()}
    made = {
        name: (0.1 * generator.standard_normal(n)).astype(np.float32) for name, n in sizes.items()
    }
    return made | {"silence": np.zeros_like(made["silence"])}


def _clips_a_second(encoder: _Checked) -> float:
    generator = np.random.default_rng(1)
    n = round(TIMED_S * SAMPLE_RATE_HZ)
    clips = [(0.1 * generator.standard_normal(n)).astype(np.float32) for _ in range(TIMED_CLIPS)]
    started = time.perf_counter()
    encoder.encode(clips)
    return TIMED_CLIPS / max(time.perf_counter() - started, 1e-9)


def _slower(encoder: _Checked) -> float:
    """Cost of a clip of the protocol, in clips of those that were timed; the same of a model with a
    fixed window."""
    return 1.0 if encoder.has_fixed_window else MEAN_CLIP_S / TIMED_S


def protocol_cost() -> tuple[int, int]:
    """Clips of the paper's protocol, and visits of them by fine-tuning: training and validation in
    each epoch."""
    sizes = dict(PAPER_SIZES)
    sizes["yuemotion", "yue_adu"] = tuple(
        map(sum, zip(*YUEMOTION_PAPER_SIZES.values(), strict=True))
    )
    sets = {setting.training_set: setting for setting in settings.settings("all")}
    visits = sum(
        sum(parts[:2])
        for setting in sets.values()
        for (corpus, cell), parts in sizes.items()
        if cell in map(str, setting.train) and corpus in (setting.corpora or (corpus,))
    )
    return sum(map(sum, sizes.values())), EPOCHS * visits
