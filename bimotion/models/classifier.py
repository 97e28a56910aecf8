"""Audio classifiers: any model that transformers' AutoModelForAudioClassification loads, and the
logits of clips.

Batch size changes no value (inputs.py); of a clip that is cut into windows the logits of the
windows are averaged.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from bimotion.errors import ClipError, ModelError, some
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress
from bimotion.models.distributed import Processes
from bimotion.models.failures import first_sentence, out_of_memory
from bimotion.models.inputs import Batch, Features, ModelInputs, batch_seconds
from bimotion.models.invariance import largest_difference
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import ModelFiles, Opened, Origin, device_of, opened, placed

PURPOSE = "a model for audio classification"
PROBLEM_TYPES = ("single_label_classification", "multi_label_classification")
SILENT = Progress()


def check_outputs(model: str, config) -> None:
    """Raise ModelError for a classifier whose outputs are no classes, or whose configuration names
    them in two ways."""
    for complaint in _complaints(config):
        raise ModelError(f"{model}: {complaint}")


def _complaints(config) -> Iterator[str]:
    """Yield reasons not to trust the outputs, each only where those before it do not hold."""
    kind, nobody = config.problem_type, "nobody can tell"
    if kind == "regression":
        wanted = "expected a classifier, found problem_type regression"
        yield f"{wanted}: its outputs are numbers, not classes"
    if kind not in (None, *PROBLEM_TYPES):
        expected = " or ".join(PROBLEM_TYPES)
        outputs = f"{nobody} what its outputs are"
        yield f"problem_type: expected {expected}, found {kind!r:.80}: {outputs}"
    names = {int(output): name for output, name in config.id2label.items()}
    labels = list(names.values())
    if unnamed := [name for name in labels if not isinstance(name, str)]:
        yield f"id2label: expected names as text, found {unnamed[0]!r:.80}"
    if sorted(names) != list(range(len(names))):
        yield f"id2label: expected names of outputs 0, 1, ..., found those of {some(sorted(names))}"
    if unclear := [name for name in labels if not name.strip() or labels.count(name) > 1]:
        expected = "expected a name of its own for every output"
        yield f"id2label: {expected}, found {unclear[0]!r:.80} for some"
    if len(names) < 2:
        yield f"expected a classifier of two classes or more, found {len(names)} output"
    label2id = config.label2id or {}
    try:  # the tutorial of transformers writes the numbers as text
        numbers = {name: int(output) for name, output in label2id.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        expected = "expected names with numbers of outputs"
        yield f"config.json: label2id: {expected}, found {label2id!r:.80}"
    for name, output in numbers.items():
        if name in labels and names.get(output) != name:
            yield (
                f"config.json: id2label calls output {labels.index(name)} {name!r}, label2id says "
                f"output {output}: {nobody} which is right; mend a copy of the file"
            )


@dataclass(frozen=True)
class Clips:
    """Clips without their samples in memory."""

    waveform: Callable[[int], np.ndarray]
    """Number of a clip -> mono float32 at 16 kHz, shape (n_samples[i],); called from one background
    thread."""
    n_samples: np.ndarray
    """Of each clip."""
    fingerprint: str = ""
    """Changes with any of the clips."""

    def __len__(self) -> int:
        return len(self.n_samples)

    def take(self, numbers: np.ndarray) -> "Clips":
        """Some of the clips, in the order given."""
        return Clips(
            lambda i: self.waveform(int(numbers[i])), self.n_samples[numbers], self.fingerprint
        )


def _classes(_config) -> list[str]:
    return ["AutoModelForAudioClassification"]


def located(spec: ModelSpec) -> Origin:
    """The files of a model that can be trained to classify; raises ModelError, of the Hub before
    the weights of any other are fetched."""
    model_files = ModelFiles(spec)
    model_files.settings(_classes, PURPOSE)
    return model_files.origin()


class Classifier:
    """A model with a head, on a device. Attributes:

    name, revision: as of ModelSpec; heads: names of the parts that are not its encoder;
    n_parameters; fingerprint: of weights, configuration and preprocessing; inputs: what it takes.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        trained: bool = True,
        change: Callable[[object], None] = lambda config: None,
    ):
        """Load it.

        Args:
            spec: The model.
            trained: The head's weights must be there, as all others must anyway.
            change: Alters the configuration.

        Raises:
            ModelError: Weights are missing, or do not fit the names of outputs; as of `opened`.
            SettingError: A device or a window that cannot be used.
        """

        def checked(config) -> None:
            if trained:
                check_outputs(spec.model, config)
            change(config)

        loaded = opened(spec, _classes, PURPOSE, checked)
        self.spec, self.name = spec, spec.name
        self.model, self.extractor = loaded.model, loaded.extractor
        self.revision, self.fingerprint = loaded.origin.revision, loaded.origin.fingerprint
        self.weights_format = loaded.origin.weights_format
        body = getattr(self.model, self.model.base_model_prefix, None) or getattr(
            self.model, "encoder", None
        )
        self.heads = [name for name, child in self.model.named_children() if child is not body]
        self._check_weights(loaded, () if trained else (*self.heads, "layer_weights"))
        self.n_parameters = sum(part.numel() for part in self.model.parameters())
        self.inputs = ModelInputs(self.model, body, loaded.extractor, loaded.rate, spec)
        _spare_short_clips(self.model)
        placed(self.model, spec.model, device_of(spec.device))

    def _check_weights(self, loaded: Opened, new: tuple[str, ...]) -> None:
        """Raise ModelError for random weights in other parts than the `new` ones."""
        model, config = self.spec.model, self.model.config
        missing = sorted(name for name in loaded.unset if name.split(".")[0] not in new)
        if not missing:
            return
        in_head = [name for name in missing if name.split(".")[0] in self.heads]
        for name in in_head:
            if name in loaded.mismatched:
                held, wanted = loaded.mismatched[name]
                raise ModelError(
                    f"{model}: expected as many names of outputs as outputs, found "
                    f"{config.num_labels} names, and {name} of shape {held} in its weights, not "
                    f"{wanted}"
                )
        kind = "a head that was trained" if in_head else "all weights"
        raise ModelError(
            f"{model}: expected {kind} in {type(self.model).__name__}, found none for {missing[0]}"
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs in order."""
        names = self.model.config.id2label
        return tuple(str(names[output]) for output in range(self.model.config.num_labels))

    @property
    def exclusive(self) -> bool:
        """Its outputs exclude each other (softmax), by its configuration; else sigmoid."""
        config = self.model.config
        kinds = " ".join((config.problem_type or "", *(config.architectures or ()))).lower()
        return "multi_label" not in kinds and "multilabel" not in kinds

    @property
    def device(self):
        """The device of its weights."""
        return next(self.model.parameters()).device

    def logits(self, batch: Batch):
        """Float32 tensor (n, n_outputs)."""
        return self.inputs.run(self.model, batch, self.device).logits.float()

    def table(self, clips: Clips, **options):
        """Logits of all clips, tensor float64 (n, n_outputs); options as of `_mean_rows`.

        Raises ModelError where not one clip fits into memory.
        """
        return self._mean_rows(clips, self.logits, self.model.config.num_labels, **options)

    def embeddings(
        self, clips: Clips, *, progress: Progress = SILENT, label: str = ""
    ) -> np.ndarray:
        """Inputs of the last linear layer, float32 (n, dim): pooled and projected; of a clip in
        windows their mean.

        Raises ModelError for a head that does not end in a linear layer.
        """
        last, seen = self.last_linear(), []

        def rows(batch: Batch):
            seen.clear()
            self.logits(batch)
            return seen[0].float()

        hook = last.register_forward_pre_hook(lambda part, given: seen.append(given[0].detach()))
        try:
            means = self._mean_rows(clips, rows, last.in_features, progress=progress, label=label)
        finally:
            hook.remove()
        return means.float().numpy()

    def last_linear(self):
        """The layer whose outputs are the logits. Raises ModelError where there is none."""
        import torch

        width = self.model.config.num_labels
        for name in reversed(self.heads):
            for part in reversed([*getattr(self.model, name).modules()]):
                if isinstance(part, torch.nn.Linear) and part.out_features == width:
                    return part
        raise ModelError(
            f"{self.name}: expected a head that ends in a linear layer of {width} outputs, found "
            "none"
        )

    def _mean_rows(
        self,
        clips: Clips,
        rows: Callable[[Batch], object],
        width: int,
        *,
        processes: Processes | None = None,
        half_type: object = None,
        progress: Progress = SILENT,
        label: str = "",
    ):
        """Mean over a clip's windows of rows(batch), of all clips, tensor float64 (n, width): each
        clip computed once, by one of the processes."""
        import torch

        pieces = list(self._pieces(clips))
        batches = self._batches(pieces)
        mine = batches[processes.rank :: processes.n] if processes else batches

        def prepare(batch: list[int]) -> tuple[list[int], list[Features]]:
            return batch, [self._features(clips, pieces[k]) for k in batch]

        total = torch.zeros(len(clips), width, dtype=torch.float64)
        self.model.eval()
        prepared = progress.track(ahead(prepare, mine), len(mine), label, "batches")
        with torch.inference_mode(), autocast(self.device, half_type):
            for batch, features in prepared:
                for start, means in self._halved(features, rows, progress):
                    for k, row in zip(batch[start:], means, strict=False):
                        total[pieces[k].clip] += row
        if processes:
            total = processes.sum(total.to(self.device)).cpu()
        n_windows = np.bincount([piece.clip for piece in pieces], minlength=len(clips))
        return total / torch.from_numpy(n_windows[:, None])

    def _features(self, clips: Clips, piece: "_Piece") -> Features:
        windows = self.inputs.windows(clips.waveform(piece.clip), piece.n_windows)
        return self.inputs.features(windows[piece.window])

    def probabilities(
        self, clips: Clips, *, exclusive: bool | None = None, **options
    ) -> np.ndarray:
        """Float32 (n, n_outputs): softmax or sigmoid of `table` (None: by the configuration);
        options as there. Raises ModelError where no clip has finite logits, ClipError where one has
        not."""
        table = self.table(clips, **options)
        sound = table.isfinite().all(dim=1)
        reason = "expected finite logits, found NaN or infinity"
        if len(sound) and not sound.any():
            raise ModelError(f"{self.name}: {reason}: are its weights broken?")
        if not sound.all():
            raise ClipError(self.name, int((~sound).nonzero()[0]), reason)
        exclusive = self.exclusive if exclusive is None else exclusive
        return (table.softmax(dim=1) if exclusive else table.sigmoid()).float().numpy()

    def largest_difference(self, clips: Clips) -> float:
        """Largest absolute difference between the logits of clips in one batch and of each of them
        alone."""
        return largest_difference(
            self.name,
            self.table(clips).numpy(),
            lambda i: self.table(clips.take(np.array([i]))).numpy(),
        )

    def _pieces(self, clips: Clips) -> Iterator["_Piece"]:
        inputs = self.inputs
        for clip, n in enumerate(np.asarray(clips.n_samples).tolist()):
            n_windows = inputs.n_windows(n * inputs.rate // SAMPLE_RATE_HZ)
            size = inputs.heard(-(-n // n_windows))
            yield from (_Piece(clip, window, n_windows, size) for window in range(n_windows))

    def _batches(self, pieces: list["_Piece"]) -> list[list[int]]:
        """Numbers of pieces that go through the model together: alike in length, longest first,
        packed by seconds."""
        room, batches = batch_seconds(self.spec, self.device) * SAMPLE_RATE_HZ, []
        for k in sorted(range(len(pieces)), key=lambda k: -pieces[k].n_samples):
            longest = pieces[batches[-1][0]].n_samples if batches else 0
            fits = batches and (len(batches[-1]) + 1) * longest <= room
            if fits and (self.inputs.mixes_lengths or pieces[k].n_samples == longest):
                batches[-1].append(k)
            else:
                batches.append([k])
        return batches

    def _halved(
        self, features: list[Features], rows, progress: Progress
    ) -> Iterator[tuple[int, object]]:
        """Yield the number of the first, and rows(batch) as float64, of all windows, in as many
        steps as memory asks for."""
        start, size = 0, len(features)
        while start < len(features):
            values, chosen = None, features[start : start + size]
            try:
                batch = self.inputs.batch_on(self.device, list(_alike(chosen)))
                values = rows(batch).cpu().double()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    reason = f"expected logits, found: {first_sentence(error)}"
                    raise ModelError(f"{self.name}: {reason}") from error
            if values is not None:
                yield start, values
                start += len(values)
            elif size == 1:  # outside of the handler: a traceback holds on to memory
                raise ModelError(
                    f"{self.name}: not even one clip fits into the memory of {self.device}"
                )
            else:
                size = -(-size // 2)
                progress.say(f"out of memory: going on with {size} clips at once")


def autocast(device, half_type):
    """A context in which a device computes in a half-precision type of torch where that is safe;
    None: in single precision."""
    import torch

    return torch.autocast(device.type, half_type, enabled=half_type is not None)


def _spare_short_clips(model) -> None:
    """Leave clips unmasked that are shorter than a mask of SpecAugment, for which the layers of
    transformers raise."""
    for part in model.modules():
        if hasattr(part, "_mask_hidden_states"):
            part._mask_hidden_states = partial(_masked, part._mask_hidden_states, model.config)


def _masked(mask: Callable, config, hidden, *arguments, **options):
    spans = (getattr(config, f"mask_{axis}_length", 0) for axis in ("time", "feature"))
    fits = all(size >= span for size, span in zip(hidden.shape[1:], spans, strict=True))
    return mask(hidden, *arguments, **options) if fits else hidden


def _alike(features: list[Features]) -> Iterator[Features]:
    """The first of them, as many as hear the same part of the model's window."""
    positions = features[0].positions
    return takewhile(lambda window: window.positions == positions, features)


class _Piece(NamedTuple):
    """One of the windows of a clip, and its samples at 16 kHz (of models that see windows of one
    size: of that)."""

    clip: int
    window: int
    n_windows: int
    n_samples: int
