"""One fine-tuning run: epochs of steps over labelled clips, kept after each epoch, the best epoch
at the end."""

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bimotion.errors import MissingExtra, SettingError
from bimotion.io import checksums, files
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress
from bimotion.models import epoch_state
from bimotion.models.classifier import Classifier, autocast
from bimotion.models.distributed import Processes
from bimotion.models.failures import explained, out_of_memory
from bimotion.models.inputs import Batch
from bimotion.models.losses import learnable, masked_loss
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training_data import TrainingData, chunks, plan
from bimotion.models.weights import placed

TRAINING_FILE = "training.json"
NEVER = -30.0  # logit of a class that is silenced: it is never guessed
BETA_2, EPSILON = 0.999, 1e-8  # of AdamW
CHECKED_EVERY = 25  # steps between looks at the loss, which wait for the device
_SMALLER = "train less of the model (--lora-rank 8, --freeze-feature-encoder) or a smaller one"
_DROPOUTS = """
hidden_dropout attention_dropout feat_proj_dropout final_dropout dropout conformer_conv_dropout
hidden_dropout_prob attention_probs_dropout_prob
"""


class _MicroBatch(NamedTuple):
    """The part of a batch that one process computes; `inputs` None: no clip."""

    inputs: Batch | None
    reference: object


@dataclass(eq=False)
class Training:
    """One run: the model under training, its optimizer, and what an interrupted run goes on from.

    `record`: what is trained, kept with the result. `micro`: clips that go through the model
    together, halved where memory is full. `history`: losses of each epoch.
    """

    spec: ModelSpec
    data: TrainingData
    options: FinetuneOptions
    record: dict
    folder: Path
    processes: Processes
    progress: Progress

    def __post_init__(self):
        import torch

        data = self.data
        self.device, self.seed = self.processes.device, self.record["seed"]
        self.micro, self.history = self.options.batch_size, []
        self.clips, self.validation = (data.clips.take(r) for r in (data.train, data.validation))
        self.reference = data.reference[data.train]
        silenced = np.zeros(len(data.classes), dtype=bool)
        if self.options.silence_untrained:
            silenced = ~(self.reference == 1).any(axis=0)
        expected = np.where(silenced, -1, data.reference[data.validation])
        over_labels = self.options.loss_over_labels and not data.exclusive
        self.divisor = len(data.classes) if over_labels else 1
        self.expected = torch.from_numpy(expected)
        self.counted = torch.from_numpy(learnable(expected, data.exclusive))
        if len(self.validation) and not self.counted.any():
            raise SettingError("no validation clip has a class that is in the training clips")
        torch.manual_seed(self.seed)
        self.classifier = Classifier(self.spec, trained=False, change=self._labelled)
        self.classifier.inputs.hear(
            raw_amplitude=self.options.raw_amplitude, whole_clips=self.options.whole_clips
        )
        self._prepare(self.classifier.model.cpu(), torch.from_numpy(silenced))
        self.model = placed(self.classifier.model, self.record["model"], self.device)
        on_gpu = self.device.type == "cuda"
        self.half_type = self.options.half_type(self.device)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.half_type is torch.float16
        )
        named = self.model.named_parameters()
        self.parameters = {name: part for name, part in named if part.requires_grad}
        groups = [
            {"params": params, "weight_decay": decay}
            for decay, is_matrix in ((self.options.weight_decay, True), (0.0, False))
            if (params := [p for p in self.parameters.values() if (p.ndim > 1) == is_matrix])
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=self.options.learning_rate, fused=on_gpu)

    def _labelled(self, config) -> None:
        """Name the outputs, and take the options' dropout."""
        config.id2label = dict(enumerate(self.data.classes))
        config.label2id = {name: output for output, name in config.id2label.items()}
        kind = "single" if self.data.exclusive else "multi"
        config.problem_type = f"{kind}_label_classification"
        for name in _DROPOUTS.split():
            if hasattr(config, name):
                setattr(config, name, self.options.dropout)

    def _prepare(self, model, silenced) -> None:
        """Silence classes, then freeze and add what the options ask for."""
        import torch

        last = self.classifier.last_linear()
        with torch.no_grad():
            last.weight[silenced] = 0.0
            last.bias[silenced] = NEVER
        if self.options.freeze_feature_encoder:
            if not hasattr(model, "freeze_feature_encoder"):
                raise SettingError(
                    f"{self.record['model']}: {type(model).__name__} has no convolutional feature "
                    "encoder to freeze"
                )
            model.freeze_feature_encoder()
        if (rank := self.options.lora_rank) is None:
            return
        try:
            import peft
        except ImportError:
            raise MissingExtra("peft", "peft", "--lora-rank") from None
        linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
        heads = self.classifier.heads
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules=[name for name in linear if name.split(".")[0] not in heads],
            modules_to_save=heads,
        )
        self.classifier.model = peft.get_peft_model(model, config)

    @property
    def best_epoch(self) -> int:
        """From 1: the epoch with the lowest validation loss, the first of equals; without
        validation clips the last."""
        return epoch_state.best_epoch(self.history)

    @property
    def is_done(self) -> bool:
        """No epoch is left, or too many went by without a better validation loss."""
        ended = len(self.history)
        waited = ended - self.best_epoch if ended and len(self.validation) else 0
        return ended >= self.options.epochs or waited >= self.options.patience

    def run(self) -> None:
        """All epochs that are left, then folder / "best"."""
        epoch_state.resume(self)
        while not self.is_done:
            epoch = len(self.history) + 1
            entry = {"epoch": epoch, "train_loss": self._train(epoch)}
            if len(self.validation):
                entry["validation_loss"] = self._validate(epoch)
            self.history.append(entry)
            figures = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in entry.items())
            self.progress.say(f"{self.folder.name}: {', '.join(figures)}")
            if self.processes.is_first:
                epoch_state.keep(self)
        if self.processes.is_first:
            self._finish()

    def _train(self, epoch: int) -> float:
        """One epoch; the mean loss of its clips."""
        import torch

        options, losses = self.options, []
        size = options.batch_size * options.gradient_accumulation
        steps = plan(
            self.clips.n_samples, size, self.seed, epoch, similar_lengths=options.similar_lengths
        )
        self.model.train()
        cut = partial(self._micro_batches, epoch)

        def prepare(ids: np.ndarray):
            micro = self.micro
            return ids, micro, cut(ids, micro)

        label, todo = f"epoch {epoch}/{options.epochs}", ahead(prepare, steps)
        prepared = self.progress.track(todo, len(steps), label, "steps")
        for step, (ids, micro, batches) in enumerate(prepared):
            if micro != self.micro:
                batches = cut(ids, self.micro)
            while (loss := self._gradients(batches, len(ids), epoch, step)) is None:
                self._halve(epoch, step, len(ids))
                batches = cut(ids, self.micro)
            self._update((epoch - 1) * len(steps) + step, options.epochs * len(steps))
            losses.append(loss)
            if (step + 1) % CHECKED_EVERY == 0 or step + 1 == len(steps):
                first = step // CHECKED_EVERY * CHECKED_EVERY
                sound = torch.stack(losses[first:]).isfinite().cpu()
                if not sound.all():
                    step = first + int(sound.int().argmin())
                    where = f"the training loss is not finite in epoch {epoch}, step {step + 1}"
                    raise SettingError(f"{where}: {self._advice}")
        weights = torch.tensor([len(ids) for ids in steps], dtype=torch.float64)
        return float((torch.stack(losses).double().cpu() * weights).sum() / weights.sum())

    def _update(self, done: int, total: int) -> None:
        """One step of the optimizer, after `done` of `total`."""
        import torch

        warmup = self.options.warmup_steps
        rate = min((done + 1) / (warmup + 1), (total - done) / max(total - warmup, 1), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * rate
            if self.options.adamw == "transformers":  # torch divides the moments, not epsilon
                group["eps"] = EPSILON / math.sqrt(1 - BETA_2 ** (done + 1))
        try:
            norm = self.options.max_gradient_norm
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        # its moments take twice the memory of what is trained, whatever the batch
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise SettingError(
                f"step {done + 1}: the optimizer does not fit into the memory of "
                f"{self.device}: {_SMALLER}"
            ) from None

    def _micro_batches(self, epoch: int, ids: np.ndarray, micro: int) -> list[_MicroBatch]:
        """This process's share of every micro batch of a step; all processes pad alike."""
        import torch

        inputs, batches = self.classifier.inputs, []
        for chunk in chunks(ids.tolist(), micro):
            share = self.processes.share(chunk)
            features = {i: self._features(epoch, i) for i in share}
            longest = max(chunk, key=self.clips.n_samples.__getitem__)
            widest = features.get(longest) or self._features(epoch, longest)
            on_gpu = self.device.type == "cuda"
            room = inputs.room([widest]) if on_gpu else len(widest.values)
            batch = inputs.batch(list(features.values()), room) if share else None
            batches.append(_MicroBatch(batch, torch.from_numpy(self.reference[share])))
        return batches

    def _features(self, epoch: int, i: int):
        """A training clip; of one that is longer than the model's window a part at random."""
        inputs = self.classifier.inputs
        waveform = inputs.resampled(self.clips.waveform(i))
        if (spare := len(waveform) - inputs.longest) > 0:
            start = np.random.default_rng((self.seed, epoch, i, 1)).integers(spare + 1)
            waveform = waveform[start : start + inputs.longest]
        return inputs.features(waveform)

    def _gradients(self, batches: list[_MicroBatch], n: int, epoch: int, step: int):
        """Compute gradients of the mean loss over the n clips of a step, on all processes.

        Returns the loss, a tensor that was not waited for; None where memory was full.
        """
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        try:
            for number, (batch, reference) in enumerate(batches):
                self._seed(epoch, step, number)
                if batch is None:
                    continue
                with autocast(self.device, self.half_type):
                    logits = self.classifier.logits(batch)
                reference = reference.to(self.device, non_blocking=True)
                losses = masked_loss(logits, reference, exclusive=self.data.exclusive)
                loss = losses.sum() / (n * self.divisor)
                self.scaler.scale(loss).backward()
                total += loss.detach()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            total = None
        if self.processes.any(total is None):
            self.optimizer.zero_grad(set_to_none=True)
            return None
        return self._summed(total) if self.processes.n > 1 else total

    def _seed(self, *numbers: int) -> None:
        """Seed dropout, layer drop and SpecAugment, each process with numbers of its own."""
        import torch

        (number,) = np.random.SeedSequence((self.seed, *numbers)).generate_state(1, np.uint64)
        number = (int(number) >> 1) + self.processes.rank
        torch.manual_seed(number)
        np.random.seed(number % 2**32)  # of which transformers draws the masks of SpecAugment

    def _halve(self, epoch: int, step: int, n: int) -> None:
        """Go on with half as many clips at once. Raises SettingError where there was only one."""
        import torch

        if self.micro == 1:
            raise SettingError(
                f"epoch {epoch}, step {step + 1}: not even one clip fits into the memory "
                f"of {self.device}: {_SMALLER}"
            )
        self.micro = -(-self.micro // 2)
        self.progress.say(
            f"out of memory: going on with {self.micro} clips at once, steps of {n} as before"
        )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _summed(self, loss):
        """The loss over all processes; gradients too, None where no process has one (a layer
        dropped in this step)."""
        import torch

        parts = list(self.parameters.values())
        given = loss.new_tensor([part.grad is not None for part in parts])
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parts]
        together = self.processes.sum(torch.cat([*map(torch.flatten, grads), given, loss[None]]))
        *grads, given, loss = together.split([*(p.numel() for p in parts), len(parts), 1])
        for part, grad, n in zip(parts, grads, given.tolist(), strict=True):
            part.grad = grad.view_as(part) if n else None
        return loss[0]

    def _validate(self, epoch: int) -> float:
        """Mean loss of the validation clips."""
        table = self.classifier.table(
            self.validation,
            processes=self.processes,
            half_type=self.half_type,
            progress=self.progress,
            label=f"validation {epoch}",
        )[self.counted]
        expected = self.expected[self.counted]
        losses = masked_loss(table, expected, exclusive=self.data.exclusive)
        loss = float(losses.mean()) / self.divisor
        if not np.isfinite(loss):
            where = f"the validation loss is not finite after epoch {epoch}"
            raise SettingError(f"{where}: {self._advice}")
        return loss

    def _finish(self) -> None:
        """Write the best weights as a checkpoint of transformers; then nothing else is needed."""
        from safetensors.torch import load_file

        self.model.load_state_dict(load_file(epoch_state.best_file(self)))
        model = self.model if self.options.lora_rank is None else self.model.merge_and_unload()
        by_loss = len(self.validation)
        record = {
            **self.record,
            "best_epoch": self.best_epoch,
            "chosen_by": "lowest validation loss" if by_loss else "last epoch: no validation clips",
            "micro_batch": self.micro,
            "history": self.history,
        }
        with files.folder_written(self.folder / "best") as temporary:
            with explained(self.record["model"], "a model that can be saved"):
                model.save_pretrained(temporary)
                self.classifier.extractor.save_pretrained(temporary)
            (temporary / TRAINING_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
            checksums.write(temporary, checksums.listed(temporary))
        epoch_state.remove(self.folder)

    @property
    def _advice(self) -> str:
        lower = f"try a lower learning rate than {self.options.learning_rate:g}"
        return lower + (", or --precision fp32" if self.half_type else "")
