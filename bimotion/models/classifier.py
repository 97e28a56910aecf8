"""Audio classifiers: any model that transformers' AutoModelForAudioClassification loads, and the
logits of clips.

Batch size changes no value (inputs.py); of a clip that is cut into windows the logits of the
windows are averaged.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bimotion.errors import ClipError, some
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress
from bimotion.models import weights
from bimotion.models.inputs import BATCH_S, GPU_BATCH_S, Batch, Features, Intake
from bimotion.models.invariance import largest_difference
from bimotion.models.parallel import Ranks
from bimotion.models.spec_augment import SpecAugment
from bimotion.models.weights import (
    ModelError,
    ModelSpec,
    Origin,
    device_of,
    examined_configuration,
    opened,
    out_of_memory,
    placed,
)

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification")
"""Changes whenever any logit moves."""


def check_outputs(model: str, config) -> None:
    """Raise ModelError for a classifier whose outputs are no classes, or whose configuration names
    them in two ways."""
    if config.problem_type == "regression":
        raise ModelError(
            f"{model}: expected a classifier, found problem_type regression: its outputs are "
            "numbers, not classes"
        )
    if config.problem_type not in (None, *PROBLEM_TYPES):
        raise ModelError(
            f"{model}: problem_type: expected {' or '.join(PROBLEM_TYPES)}, found "
            f"{config.problem_type!r:.80}: nobody can tell what its outputs are"
        )
    names = {int(place): name for place, name in config.id2label.items()}
    if others := [name for name in names.values() if not isinstance(name, str)]:
        raise ModelError(f"{model}: id2label: expected names as text, found {others[0]!r:.80}")
    if sorted(names) != list(range(len(names))):
        raise ModelError(
            f"{model}: id2label: expected names of outputs 0, 1, ..., found those of "
            f"{some(sorted(names))}"
        )
    if unclear := [
        name for name in names.values() if not name.strip() or list(names.values()).count(name) > 1
    ]:
        raise ModelError(
            f"{model}: id2label: expected a name of its own for every output, found "
            f"{unclear[0]!r:.80} for some"
        )
    if len(names) < 2:
        raise ModelError(
            f"{model}: expected a classifier of two classes or more, found {len(names)} output"
        )
    for name, place in _numbers(model, config.label2id or {}).items():
        if name in names.values() and names.get(place) != name:
            ours = next(number for number, known in names.items() if known == name)
            raise ModelError(
                f"{model}: config.json: id2label calls output {ours} {name!r}, label2id says "
                f"output {place}: nobody can tell which is right; mend a copy of the file"
            )


def _numbers(model: str, label2id: object) -> dict[str, int]:
    """Number of each name's output, which the tutorial of transformers writes as text; raises
    ModelError."""
    try:
        return {name: int(place) for name, place in label2id.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ModelError(
            f"{model}: config.json: label2id: expected names with numbers of outputs, found "
            f"{label2id!r:.80}"
        ) from None


@dataclass(frozen=True)
class Clips:
    """Clips without their samples in memory. `waveform(i)`: mono float32 at 16 kHz, shape
    (n_samples[i],), called from one background thread. `fingerprint`: changes with any of them.
    """

    waveform: Callable[[int], np.ndarray]
    n_samples: np.ndarray
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.n_samples)

    def take(self, numbers: np.ndarray) -> "Clips":
        """Some of the clips, in the order given."""
        return Clips(
            lambda i: self.waveform(int(numbers[i])), self.n_samples[numbers], self.fingerprint
        )


PURPOSE = "a model for audio classification"


def _classes(_config) -> list[str]:
    return ["AutoModelForAudioClassification"]


def located(spec: ModelSpec) -> Origin:
    """Where a model lies that can be trained to classify; raises ModelError, of the Hub before the
    weights of any other are fetched."""
    return weights.located(
        spec,
        lambda path, revision: examined_configuration(spec, path, revision, _classes, PURPOSE),
    )


class Classifier:
    """A model with a head, on a device. Attributes:

    name, revision: as of ModelSpec; outputs: names of its outputs in order; exclusive: whether they
    exclude each other (softmax) or not (sigmoid), by its configuration; heads: names of the parts
    that are not its encoder; n_parameters; fingerprint: of weights, configuration and
    preprocessing.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        trained: bool = True,
        change: Callable[[object], None] = lambda config: None,
    ):
        """`trained`: the head's weights must be there, as all others must anyway; `change`: alters
        the configuration.

        Raises ModelError, SettingError.
        """

        def checked(config) -> None:
            if trained:
                check_outputs(spec.model, config)
            change(config)

        found = opened(spec, _classes, PURPOSE, checked)
        self.model, self.extractor = found.model, found.extractor
        self.name, self.revision, self.spec = spec.name, found.origin.revision, spec
        self.weights_format = found.origin.weights.format
        body = getattr(self.model, self.model.base_model_prefix, None) or getattr(
            self.model, "encoder", None
        )
        self.heads = [name for name, child in self.model.named_children() if child is not body]
        new = () if trained else (*self.heads, "layer_weights")
        if lost := sorted(name for name in found.unset if name.split(".")[0] not in new):
            in_head = [name for name in lost if name.split(".")[0] in self.heads]
            for name in (name for name in in_head if name in found.mismatched):
                held, wanted = found.mismatched[name]
                raise ModelError(
                    f"{spec.model}: expected as many names of outputs as outputs, found "
                    f"{self.model.config.num_labels} names, and {name} of shape {held} in its "
                    f"weights, not {wanted}"
                )
            kind = "a head that was trained" if in_head else "all weights"
            raise ModelError(
                f"{spec.model}: expected {kind} in {type(self.model).__name__}, found none for "
                f"{lost[0]}"
            )
        self.fingerprint = found.origin.fingerprint
        self.n_parameters = sum(part.numel() for part in self.model.parameters())
        self.intake = Intake(self.model, body, found.extractor, found.rate)
        self.spec_augment = SpecAugment(self.model, self.intake)
        placed(self.model, spec.model, device_of(spec.device))

    @property
    def outputs(self) -> tuple[str, ...]:
        names = self.model.config.id2label
        return tuple(str(names[place]) for place in range(self.model.config.num_labels))

    @property
    def exclusive(self) -> bool:
        config = self.model.config
        kinds = (config.problem_type or "", *(config.architectures or ()))
        return not any(
            word in kind.lower() for kind in kinds for word in ("multi_label", "multilabel")
        )

    @property
    def device(self):
        return next(self.model.parameters()).device

    def logits(self, batch: Batch, seeds: Sequence | None = None):
        """Float32 tensor (n, n_outputs). `seeds`: of SpecAugment, one a clip, while training."""
        self.intake.now, self.spec_augment.seeds = batch, seeds
        with warnings.catch_warnings():
            # WavLM's own affair
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            return self.model(**batch.to(self.device)).logits.float()

    def table(
        self,
        clips: Clips,
        *,
        ranks: Ranks | None = None,
        bf16: bool = False,
        progress: Progress | None = None,
        label: str = "",
    ):
        """Logits of all clips, tensor float64 (n, n_outputs): each clip computed once, by one of
        the processes.

        Raises ModelError where not one clip fits into memory.
        """
        rows, width = self.logits, self.model.config.num_labels
        return self._mean_rows(
            clips, rows, width, ranks=ranks, bf16=bf16, progress=progress or Progress(), label=label
        )

    def embeddings(
        self, clips: Clips, *, progress: Progress | None = None, label: str = ""
    ) -> np.ndarray:
        """What the last linear layer is given, float32 (n, dim): pooled and projected; of a clip in
        windows their mean.

        Raises ModelError for a head that does not end in a linear layer.
        """
        last, seen = self._last_linear(), []

        def rows(batch: Batch):
            seen.clear()
            self.logits(batch)
            return seen[0].float()

        hook = last.register_forward_pre_hook(lambda part, given: seen.append(given[0].detach()))
        try:
            found = self._mean_rows(
                clips, rows, last.in_features, progress=progress or Progress(), label=label
            )
        finally:
            hook.remove()
        return found.float().numpy()

    def _last_linear(self):
        """The layer whose outputs are the logits."""
        import torch

        parts = [part for name in self.heads for part in getattr(self.model, name).modules()]
        width = self.model.config.num_labels
        if found := [
            part
            for part in parts
            if isinstance(part, torch.nn.Linear) and part.out_features == width
        ]:
            return found[-1]
        raise ModelError(
            f"{self.name}: expected a head that ends in a linear layer of {width} outputs, found "
            "none"
        )

    def _mean_rows(self, clips, rows, width, *, progress, ranks=None, bf16=False, label=""):
        """Of all clips, tensor float64 (n, width): mean over a clip's windows of rows(batch)."""
        import torch

        device = self.device
        pieces = list(self._pieces(clips))
        batches = self._batches(pieces)
        mine = batches[ranks.rank :: ranks.n] if ranks else batches

        def prepare(batch: list[int]) -> list[Features]:
            chosen = [pieces[k] for k in batch]
            cut = [
                self.intake.windows(clips.waveform(piece.clip), piece.n_windows)[piece.window]
                for piece in chosen
            ]
            return [self.intake.features(window) for window in cut]

        total = torch.zeros(len(clips), width, dtype=torch.float64)
        self.model.eval()
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            done = ahead(lambda batch: (batch, prepare(batch)), mine)
            for batch, features in progress.track(done, len(mine), label, "batches"):
                for place, found in self._halved(features, rows, progress):
                    for k, row in zip(batch[place:], found, strict=False):
                        total[pieces[k].clip] += row
        if ranks:
            total = ranks.sum(total.to(device)).cpu()
        n_windows = np.bincount(
            np.array([piece.clip for piece in pieces], int), minlength=len(clips)
        )
        return total / torch.from_numpy(n_windows[:, None])

    def probabilities(
        self, clips: Clips, *, exclusive: bool | None = None, **options
    ) -> np.ndarray:
        """Float32 (n, n_outputs): softmax or sigmoid of `table` (None: by the configuration);
        options as there. Raises ModelError where no clip has finite logits, ClipError where one has
        not."""
        table = self.table(clips, **options)
        sound = table.isfinite().all(dim=1)
        if len(sound) and not sound.any():
            raise ModelError(
                f"{self.name}: expected finite logits, found NaN or infinity: are its weights "
                "broken?"
            )
        if not sound.all():
            raise ClipError(
                self.name,
                int((~sound).nonzero()[0]),
                "expected finite logits, found NaN or infinity",
            )
        exclusive = self.exclusive if exclusive is None else exclusive
        return (table.softmax(dim=1) if exclusive else table.sigmoid()).float().numpy()

    def largest_difference(self, clips: Clips) -> float:
        """Largest absolute difference between the logits of clips in one batch and of each of them
        alone."""
        return largest_difference(
            self.name,
            self.table(clips).numpy(),
            lambda place: self.table(clips.take(np.array([place]))).numpy(),
        )

    def _pieces(self, clips: Clips) -> Iterator["_Piece"]:
        for clip, n in enumerate(np.asarray(clips.n_samples).tolist()):
            n_windows = self.intake.n_windows(n * self.intake.rate // SAMPLE_RATE_HZ)
            size = self.intake.longest if self.intake.fixed else -(-n // n_windows)
            yield from (_Piece(clip, window, n_windows, size) for window in range(n_windows))

    def _batches(self, pieces: list["_Piece"]) -> list[list[int]]:
        """Places of pieces that go through the model together: alike in length, longest first,
        packed by seconds."""
        seconds = self.spec.batch_seconds or (
            GPU_BATCH_S if self.device.type == "cuda" else BATCH_S
        )
        room, batches = seconds * SAMPLE_RATE_HZ, []
        for k in sorted(range(len(pieces)), key=lambda k: -pieces[k].n_samples):
            longest = pieces[batches[-1][0]].n_samples if batches else 0
            fits = batches and (len(batches[-1]) + 1) * longest <= room
            if fits and (self.intake.mixes_lengths or pieces[k].n_samples == longest):
                batches[-1].append(k)
            else:
                batches.append([k])
        return batches

    def _halved(
        self, features: list[Features], rows, progress: Progress
    ) -> Iterator[tuple[int, object]]:
        """Place of the first, and rows(batch) as float64, of all windows, in as many steps as
        memory asks for."""
        place, size = 0, len(features)
        while place < len(features):
            some = features[place : place + size]
            found, full = None, False
            try:
                room = self.intake.room(some) if self.device.type == "cuda" else 0
                found = rows(self.intake.batch(some, room)).cpu().double()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise ModelError(
                        f"{self.name}: expected logits, found: {str(error).splitlines()[0]}"
                    ) from error
                full = True
            if full:  # outside of the handler: a traceback holds on to memory
                if size == 1:
                    raise ModelError(
                        f"{self.name}: not even one clip fits into the memory of {self.device}"
                    )
                size = -(-size // 2)
                progress.say(f"out of memory: going on with {size} clips at once")
                continue
            yield place, found
            place += len(some)


@dataclass(frozen=True)
class _Piece:
    """One of the windows of a clip, and its samples at 16 kHz (of models that see windows of one
    size: of that)."""

    clip: int
    window: int
    n_windows: int
    n_samples: int
