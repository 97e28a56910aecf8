"""A check that a model can be used, and what it would cost: made-up clips through it before a run
of a night."""

import time
from dataclasses import asdict, dataclass

import numpy as np

from bimotion.data.splits import PAPER_SIZES, YUEMOTION_PAPER_SIZES
from bimotion.errors import ModelError
from bimotion.evaluation.tracks.probe import refuse_idle
from bimotion.evaluation.tracks.track import clips_named
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.protocol import settings

CLIPS_S = {"0.1 s": 0.1, "2 s": 2.0, "40 s": 40.0, "silence": 2.0}
TIMED_CLIPS, TIMED_S = 4, 2.0
MEAN_CLIP_S = 3.0
"""About the mean of the paper's clips (ESD has 3.0 s, IEMOCAP 4.5 s, CREMA-D 2.5 s, TESS 2.1 s)."""
EPOCHS = FinetuneOptions.epochs  # of track `finetune`, at most


@dataclass(frozen=True)
class EncoderFacts:
    """Properties of an encoder, which has attributes of these names."""

    family: str
    """Type of the configuration."""
    part: str
    """Class of the part that hears."""
    revision: str | None
    weights_format: str | None
    """safetensors or pytorch; None for the baselines. They run in float32, on GPUs in bfloat16."""
    trusted_remote_code: bool
    n_parameters: int | None
    sample_rate_hz: int
    """Clips are resampled to it."""
    n_layers: int
    """Hidden states that `probe` sees."""
    dim: int
    """The size of each."""
    window_s: float | None
    """Longest audio that it hears at once: longer clips are cut into equal windows."""
    padding: str
    """How clips of several lengths share a batch."""


@dataclass(frozen=True)
class ModelCheck(EncoderFacts):
    """The facts that a person wants to know of a model before a long run."""

    model: str
    device: str
    clips: dict[str, str]
    """Made-up clip -> "ok", or what went wrong with it."""
    largest_difference: float
    """Between the features of these clips alone and together."""
    clips_a_second: float
    """Of clips of 2 s."""
    realtime_factor: float
    """Seconds of audio in one second."""
    protocol_clips: int
    """Clips of the whole paper protocol."""
    probe_hours: float
    """Of track `probe` over them on this device."""
    finetune_clip_visits: int | None
    """Of track `finetune` over the whole protocol, at most (20 epochs, one seed); None: none."""

    def to_dict(self) -> dict:
        """Fields by name."""
        return asdict(self)


def check_model(spec: ModelSpec) -> ModelCheck:
    """Load a model, or one of the baselines `bimotion/...`, and send made-up clips through it.

    Raises ModelError, UnknownName, SettingError for a model that cannot be used for track `probe`.
    """
    encoder = _Baseline(spec) if spec.is_baseline else _encoder(spec)
    clips, outcomes, features = _clips(), {}, {}
    for name, clip in clips.items():
        try:
            features[name] = encoder.encode([clip])[0]
        except ModelError as error:
            outcomes[name] = str(error)
            continue
        outcomes[name] = "ok" if np.isfinite(features[name]).all() else "NaN or infinity"
    good = [name for name, outcome in outcomes.items() if outcome == "ok"]
    if not good:
        raise ModelError(
            f"{spec.model}: expected features of made-up clips, found none: "
            f"{next(iter(outcomes.values()))}"
        )
    with clips_named(good):
        together = encoder.encode([clips[name] for name in good])
    alone = np.stack([features[name] for name in good])
    rate = _clips_a_second(encoder)
    # a short clip costs as much as one that fills the window, where the window is fixed
    cost = encoder.heard_s(MEAN_CLIP_S) / encoder.heard_s(TIMED_S)
    n_clips, n_visits = protocol_cost()
    return ModelCheck(
        **{name: getattr(encoder, name) for name in EncoderFacts.__dataclass_fields__},
        model=encoder.name,
        device=str(encoder.device),
        clips=outcomes,
        largest_difference=float(np.abs(alone - together).max(initial=0)),
        clips_a_second=rate,
        realtime_factor=rate * TIMED_S,
        protocol_clips=n_clips,
        probe_hours=n_clips * cost / rate / 3600,
        finetune_clip_visits=None if spec.is_baseline else n_visits,
    )


def _encoder(spec: ModelSpec):
    from bimotion.models import encoder

    return encoder.load(spec)


class _Baseline:
    """A baseline with the attributes of an encoder."""

    family, device, padding = "baseline", "cpu", "each clip for itself"
    revision = weights_format = n_parameters = window_s = None
    trusted_remote_code = False
    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, spec: ModelSpec):
        from bimotion.models.baselines import baseline_model

        refuse_idle(spec)
        baseline = baseline_model(spec.model)
        self.name, self.part = spec.model, baseline.head.__name__
        self._encode = baseline.encode or (lambda clip: np.zeros(0, np.float32))
        self.dim = len(self._encode(_clips()["2 s"]))
        self.n_layers = int(self.dim > 0)

    def encode(self, clips) -> np.ndarray:
        """Features of clips, each for itself."""
        return np.stack([self._encode(clip) for clip in clips])

    def heard_s(self, seconds: float) -> float:
        """The clip."""
        return seconds


def _noise(generator: np.random.Generator, seconds: float) -> np.ndarray:
    return (0.1 * generator.standard_normal(round(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def _clips() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    clips = {name: _noise(generator, seconds) for name, seconds in CLIPS_S.items()}
    return clips | {"silence": np.zeros_like(clips["silence"])}


def _clips_a_second(encoder) -> float:
    generator = np.random.default_rng(1)
    clips = [_noise(generator, TIMED_S) for _ in range(TIMED_CLIPS)]
    started = time.perf_counter()
    encoder.encode(clips)
    return TIMED_CLIPS / max(time.perf_counter() - started, 1e-9)


def protocol_cost() -> tuple[int, int]:
    """Clips of the paper's protocol, and visits of them by fine-tuning: training and validation in
    each epoch."""
    adults = zip(*YUEMOTION_PAPER_SIZES.values(), strict=True)
    sizes = PAPER_SIZES | {("yuemotion", "yue_adu"): tuple(map(sum, adults))}
    sets = {setting.training_set: setting for setting in settings.settings("all")}
    visits = sum(
        sum(parts[:2])
        for setting in sets.values()
        for (corpus, cell), parts in sizes.items()
        if cell in map(str, setting.train) and corpus in (setting.corpora or (corpus,))
    )
    return sum(map(sum, sizes.values())), EPOCHS * visits
