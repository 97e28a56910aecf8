"""One fine-tuning run: epochs of steps over labelled clips, kept after each epoch, the best epoch
at the end."""

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.errors import MissingExtra, SettingError
from bimotion.io import checksums, files
from bimotion.io.bounds import MAX_COUNT, real_number, whole_number
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress
from bimotion.models import epoch_state
from bimotion.models.classifier import Classifier, Clips
from bimotion.models.inputs import Batch
from bimotion.models.parallel import Ranks, whole_batch_dropout
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import explained, out_of_memory, placed

TRAINING_FILE = "training.json"
NEVER = -30.0  # logit of a class without a positive training clip: it is never guessed
_SMALLER = "train less of the model (--lora-rank 8, --freeze-feature-encoder) or a smaller one"
_DROPOUTS = (
    "hidden_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "final_dropout",
    "dropout",
    "conformer_conv_dropout",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
)


@dataclass(frozen=True)
class FinetuneOptions:
    """How to train; recorded as it is. The paper's values, batches in clips over all processes.

    `dropout` replaces the model's own (not layerdrop). `patience`: epochs without a better
    validation loss. `batch_size` * `gradient_accumulation` clips make a step. `lora_rank`: low-rank
    updates of all linear layers (peft), merged when saved. `bf16`: None means on GPUs.
    `warmup_steps` rise to `learning_rate`, the rest falls linearly to 0.

    >>> FinetuneOptions(epochs=3).epochs
    3
    """

    learning_rate: float = 5e-5
    dropout: float = 0.1
    epochs: int = 20
    patience: int = 5
    batch_size: int = 8
    gradient_accumulation: int = 1
    freeze_feature_encoder: bool = False
    lora_rank: int | None = None
    bf16: bool | None = None
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0

    def __post_init__(self):
        real_number("learning_rate", self.learning_rate, 0, 1, above=True)
        real_number("dropout", self.dropout, 0, 1, below=True)
        whole_number("epochs", self.epochs, 1, 10_000)
        whole_number("patience", self.patience, 1, 10_000)
        whole_number("batch_size", self.batch_size, 1, 65_536)
        whole_number("gradient_accumulation", self.gradient_accumulation, 1, 65_536)
        if self.lora_rank is not None:
            whole_number("lora_rank", self.lora_rank, 1, 4096)
        whole_number("warmup_steps", self.warmup_steps, 0, MAX_COUNT)
        real_number("weight_decay", self.weight_decay, 0, 1)
        real_number("max_gradient_norm", self.max_gradient_norm, 0, 1_000_000, above=True)


def masked_loss(logits, reference, *, exclusive: bool):
    """Loss of each clip, tensor (n,), from logits and reference, tensors (n, n_classes).

    Binary cross-entropy over the annotated classes divided by their number, so that each clip
    weighs the same; `exclusive`: cross-entropy over the annotated classes. A clip with nothing to
    learn from has loss 0.

    >>> import torch
    >>> masked_loss(torch.zeros(1, 3), torch.tensor([[1, 0, -1]]),
    ...     exclusive=False).tolist() == [float(np.log(np.float32(2)))]
    True
    """
    from torch.nn import functional

    annotated, present = reference != -1, reference == 1
    if exclusive:
        scores = logits.masked_fill(~annotated, float("-inf")).log_softmax(dim=1)
        return -(scores.masked_fill(~present, 0.0)).sum(dim=1)
    loss = functional.binary_cross_entropy_with_logits(
        logits, present.to(logits.dtype), reduction="none"
    )
    return (loss * annotated).sum(dim=1) / annotated.sum(dim=1).clamp(min=1)


def learnable(reference: np.ndarray, exclusive: bool) -> np.ndarray:
    """Bool (n,): which clips have something to learn from: one class, or any that is annotated."""
    return (reference == 1).sum(axis=1) == 1 if exclusive else (reference != -1).any(axis=1)


def plan(n_samples: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Clips of each step: at random, but of similar length within a step; every clip once."""
    generator = np.random.default_rng((seed, epoch))
    order, steps = generator.permutation(len(n_samples)), []
    wanted = n_samples * generator.uniform(0.9, 1.1, len(n_samples))
    for first in range(0, len(order), 64 * size):
        block = order[first : first + 64 * size]
        block = block[np.argsort(wanted[block], kind="stable")]
        steps += [block[place : place + size] for place in range(0, len(block), size)]
    return [steps[place] for place in generator.permutation(len(steps))]


class Training:
    """One run: the model under training, its optimizer, and what an interrupted run goes on from.

    `train`, `validation`: clips and their reference, int8 (n, n_classes). `record`: what is
    trained, kept with the result.
    """

    def __init__(
        self,
        spec: ModelSpec,
        train: tuple[Clips, np.ndarray],
        validation: tuple[Clips, np.ndarray],
        record: dict,
        options: FinetuneOptions,
        folder: Path,
        ranks: Ranks,
        progress: Progress,
    ):
        import torch

        (self.train, self.reference), (self.validation, expected) = train, validation
        self.options, self.folder, self.record, self.seed = options, folder, record, record["seed"]
        self.ranks, self.progress, self.device = ranks, progress, ranks.device
        self.exclusive, self.micro = record["exclusive"], options.batch_size
        self.history: list[dict] = []
        possible = (self.reference == 1).any(axis=0)
        expected = np.where(possible, expected, -1)
        self.expected = (
            torch.from_numpy(expected),
            torch.from_numpy(learnable(expected, self.exclusive)),
        )
        if len(self.validation) and not self.expected[1].any():
            raise SettingError("no validation clip has a class that is in the training clips")
        torch.manual_seed(self.seed)
        self.classifier = Classifier(spec, trained=False, change=self._labelled)
        model = self.classifier.model.cpu()
        n_classes = len(record["classes"])
        last = [
            part
            for part in model.modules()
            if isinstance(part, torch.nn.Linear) and part.out_features == n_classes
        ][-1]
        with torch.no_grad():
            last.weight[~torch.from_numpy(possible)] = 0.0
            last.bias[~torch.from_numpy(possible)] = NEVER
        if options.freeze_feature_encoder:
            if not hasattr(model, "freeze_feature_encoder"):
                raise SettingError(
                    f"{record['model']}: {type(model).__name__} has no convolutional feature "
                    "encoder to freeze"
                )
            model.freeze_feature_encoder()
        if options.lora_rank is not None:
            self._add_lora()
        self.model = placed(self.classifier.model, record["model"], self.device)
        on = (
            self.device.type == "cuda" and torch.cuda.is_bf16_supported()
            if options.bf16 is None
            else options.bf16
        )
        self.precision = {"device_type": self.device.type, "dtype": torch.bfloat16, "enabled": on}
        self.parameters = {
            name: part for name, part in self.model.named_parameters() if part.requires_grad
        }
        groups = [
            [part for part in self.parameters.values() if (part.ndim > 1) == decays]
            for decays in (True, False)
        ]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": part, "weight_decay": decay}
                for part, decay in zip(groups, (options.weight_decay, 0.0), strict=True)
                if part
            ],
            lr=options.learning_rate,
            fused=self.device.type == "cuda",
        )

    def _labelled(self, config) -> None:
        """Name the outputs, and take the options' dropout."""
        config.id2label = dict(enumerate(self.record["classes"]))
        config.label2id = {name: place for place, name in config.id2label.items()}
        config.problem_type = f"{'single' if self.exclusive else 'multi'}_label_classification"
        for name in _DROPOUTS:
            if hasattr(config, name):
                setattr(config, name, self.options.dropout)

    def _add_lora(self) -> None:
        try:
            import peft
        except ImportError:
            raise MissingExtra("peft", "peft", "--lora-rank") from None
        import torch

        model, heads = self.classifier.model, self.classifier.heads
        inner = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
        inner = [name for name in inner if name.split(".")[0] not in heads]
        rank = self.options.lora_rank
        config = peft.LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=inner, modules_to_save=heads
        )
        self.classifier.model = peft.get_peft_model(model, config)

    @property
    def best_epoch(self) -> int:
        """From 1: the epoch with the lowest validation loss, the first of equals; without
        validation clips the last."""
        return epoch_state.best_epoch(self.history)

    def run(self) -> None:
        """All epochs that are left, then folder / "best"."""
        epoch_state.resume(self)
        ended = len(self.history)
        while ended < self.options.epochs and not (
            ended and len(self.validation) and ended - self.best_epoch >= self.options.patience
        ):
            ended += 1
            entry = {"epoch": ended, "train_loss": self._train(ended)}
            if len(self.validation):
                entry["validation_loss"] = self._validate(ended)
            self.history.append(entry)
            self.progress.say(
                f"{self.folder.name}: "
                + ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in entry.items())
            )
            if self.ranks.rank == 0:
                epoch_state.keep(self, ended)
        if self.ranks.rank == 0:
            self._finish()

    def _train(self, epoch: int) -> float:
        """One epoch; the mean loss of its clips."""
        import torch

        options, losses = self.options, []
        steps = plan(
            self.train.n_samples,
            options.batch_size * options.gradient_accumulation,
            self.seed,
            epoch,
        )
        self.model.train()

        def prepare(numbered):
            return *numbered, self.micro, self._shares(*numbered, epoch, self.micro)

        todo = ahead(prepare, list(enumerate(steps)))
        for step, ids, micro, shares in self.progress.track(
            todo, len(steps), f"epoch {epoch}/{options.epochs}", "steps"
        ):
            loss = None
            while loss is None:
                if micro != self.micro:
                    micro, shares = self.micro, self._shares(step, ids, epoch, self.micro)
                loss = self._gradients(shares, len(ids), epoch, step)
            self._update((epoch - 1) * len(steps) + step, options.epochs * len(steps))
            losses.append(loss)
            if step % 25 == 24 or step == len(steps) - 1:  # seldom, for it waits for the device
                recent = torch.stack(losses[step // 25 * 25 :]).cpu()
                if not recent.isfinite().all():
                    bad = step // 25 * 25 + int((~recent.isfinite()).nonzero()[0])
                    raise SettingError(
                        f"the training loss is not finite in epoch {epoch}, step {bad + 1}: "
                        f"{_advice(options)}"
                    )
        weights = torch.tensor([len(ids) for ids in steps], dtype=torch.float64)
        return float((torch.stack(losses).double().cpu() * weights).sum() / weights.sum())

    def _update(self, done: int, total: int) -> None:
        """One step of the optimizer, after `done` of `total`."""
        import torch

        options = self.options
        rate = min(
            (done + 1) / (options.warmup_steps + 1),
            (total - done) / max(total - options.warmup_steps, 1),
            1.0,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * rate
        try:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), options.max_gradient_norm)
            self.optimizer.step()
        # its moments take twice the memory of what is trained, whatever the batch
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise SettingError(
                f"step {done + 1}: the optimizer does not fit into the memory of "
                f"{self.device}: {_SMALLER}"
            ) from None

    def _shares(self, step: int, ids: np.ndarray, epoch: int, micro: int) -> list["_Share"]:
        """What this process computes of a step, a share of each micro batch."""
        import torch

        intake, made = self.classifier.intake, []

        def features(i: int):
            waveform = intake.resampled(self.train.waveform(i))
            if len(waveform) > intake.longest:
                start = np.random.default_rng((self.seed, epoch, i, 1)).integers(
                    len(waveform) - intake.longest + 1
                )
                waveform = waveform[start : start + intake.longest]
            return intake.features(waveform)

        for chunk in (ids[place : place + micro].tolist() for place in range(0, len(ids), micro)):
            rows = self.ranks.share(range(len(chunk)))
            own = {chunk[row]: features(chunk[row]) for row in rows}
            longest = max(chunk, key=self.train.n_samples.__getitem__)
            widest = own.get(longest) or features(longest)  # all processes pad to the same length
            room = intake.room([widest]) if self.device.type == "cuda" else len(widest.values)
            batch = intake.batch(list(own.values()), room) if own else None
            reference = torch.from_numpy(self.reference[chunk[rows.start : rows.stop]])
            made.append(
                _Share(
                    batch,
                    rows.start,
                    len(chunk),
                    [(self.seed, epoch, i, 0) for i in own],
                    reference,
                )
            )
        return made

    def _gradients(self, shares: list["_Share"], n: int, epoch: int, step: int):
        """Gradients of the mean loss over the n clips of a step, on all processes; that loss, or
        None: no memory, halved."""
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        total, failed = torch.zeros((), device=self.device), False
        try:
            for place, share in enumerate(shares):
                number = np.random.SeedSequence((self.seed, epoch, step, place)).generate_state(
                    1, np.uint64
                )[0] >> np.uint64(1)
                torch.default_generator.manual_seed(int(number))
                if self.device.type == "cuda":
                    torch.cuda.manual_seed(int(number) + self.ranks.rank)
                if share.batch is None:
                    continue
                n_own = len(share.seeds)
                with (
                    whole_batch_dropout(n_own, share.first, share.n)
                    if self.ranks.n > 1
                    else nullcontext()
                ):
                    with torch.autocast(**self.precision):
                        logits = self.classifier.logits(share.batch, share.seeds)
                    reference = share.reference.to(self.device, non_blocking=True)
                    loss = masked_loss(logits, reference, exclusive=self.exclusive).sum() / n
                loss.backward()
                total += loss.detach()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            failed = True
        if self.ranks.any(failed):
            if self.micro == 1:
                raise SettingError(
                    f"epoch {epoch}, step {step + 1}: not even one clip fits into the memory "
                    f"of {self.device}: {_SMALLER}"
                )
            self.micro = -(-self.micro // 2)
            self.progress.say(
                f"out of memory: going on with {self.micro} clips at once, steps of {n} as before"
            )
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            return None
        return self._summed(total) if self.ranks.n > 1 else total

    def _summed(self, loss):
        """The loss over all processes; gradients too, None where no process has one (a layer
        dropped in this step)."""
        import torch

        parts = list(self.parameters.values())
        given = torch.tensor(
            [part.grad is not None for part in parts], dtype=torch.float32, device=self.device
        )
        grads = [
            (torch.zeros_like(part) if part.grad is None else part.grad).flatten() for part in parts
        ]
        *grads, given, loss = self.ranks.sum(torch.cat([*grads, given, loss[None]])).split(
            [*map(len, grads), len(given), 1]
        )
        for part, grad, n in zip(parts, grads, given.tolist(), strict=True):
            part.grad = grad.view_as(part) if n else None
        return loss[0]

    def _validate(self, epoch: int) -> float:
        """Mean loss of the validation clips."""
        table = self.classifier.table(
            self.validation,
            ranks=self.ranks if self.ranks.n > 1 else None,
            bf16=self.precision["enabled"],
            progress=self.progress,
            label=f"validation {epoch}",
        )
        reference, counted = self.expected
        loss = float(
            masked_loss(table[counted], reference[counted], exclusive=self.exclusive).mean()
        )
        if not np.isfinite(loss):
            raise SettingError(
                f"the validation loss is not finite after epoch {epoch}: {_advice(self.options)}"
            )
        return loss

    def _finish(self) -> None:
        """The best weights as a checkpoint of transformers; then nothing else is needed."""
        from safetensors.torch import load_file

        self.model.load_state_dict(load_file(epoch_state.best_file(self)))
        model = self.model if self.options.lora_rank is None else self.model.merge_and_unload()
        chosen = (
            "lowest validation loss" if len(self.validation) else "last epoch: no validation clips"
        )
        kept = {
            **self.record,
            "best_epoch": self.best_epoch,
            "chosen_by": chosen,
            "micro_batch": self.micro,
        }
        with files.folder_written(self.folder / "best") as temporary:
            with explained(self.record["model"], "a model that can be saved"):
                model.save_pretrained(temporary)
                self.classifier.extractor.save_pretrained(temporary)
            (temporary / TRAINING_FILE).write_text(
                json.dumps({**kept, "history": self.history}, indent=1), encoding="utf-8"
            )
            checksums.write(temporary, checksums.listed(temporary))
        epoch_state.remove(self.folder)


def _advice(options: FinetuneOptions) -> str:
    return f"try a lower learning rate than {options.learning_rate:g}" + (
        ", or bf16 off" if options.bf16 else ""
    )


@dataclass(frozen=True)
class _Share:
    """What one process computes of a micro batch: its batch (None: no clip), the place of its first
    clip, clips of the micro batch over all processes, seeds of its clips, their reference."""

    batch: Batch | None
    first: int
    n: int
    seeds: list[tuple[int, ...]]
    reference: object
