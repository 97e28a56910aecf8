"""Fine-tuning of any transformers audio model as arXiv 2306.14517 does it.

The paper and its code (HLTCHKUST/elderly_ser on the Hugging Face Trainer): masked binary
cross-entropy over one label space, mean pooling, projection and linear layer (the heads of
`AutoModelForAudioClassification`), AdamW at 5e-5 that falls linearly to 0, gradient norm cut at 1,
early stopping on the validation loss. What is new here:

- Every random number (head, order, SpecAugment, dropout) is a function of (seed, epoch, step or
  clip). No generator's state needs keeping: a run that was killed goes on from its last epoch, bit
  for bit (CPU), with 1 or N processes alike.
- Several processes (parallel.py) take a share of each batch; gradients are summed and dropout draws
  the masks of the whole batch, so that N processes compute what one does (on GPUs dropout differs).

Files in `folder`: run.json (what is trained), state-0003/ (the last epoch: model and optimizer as
safetensors, else JSON), best-0002.safetensors; at the end only best/, a standard checkpoint with
training.json (history) beside it. Nothing is pickled.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from bimotion.errors import SettingError
from bimotion.io import checksums, files
from bimotion.io.progress import Progress
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.classifier import Clips
from bimotion.models.parallel import Ranks
from bimotion.models.spec import ModelSpec
from bimotion.models.training import TRAINING_FILE, FinetuneOptions, Training, learnable


def finetune(
    spec: ModelSpec,
    clips: Clips,
    reference: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    *,
    classes: Sequence[str],
    exclusive: bool,
    seed: int,
    options: FinetuneOptions,
    folder: Path,
    ranks: Ranks,
    progress: Progress,
) -> Path:
    """Train, or go on with what was interrupted in `folder`; returns folder / "best", at once where
    that is there already.

    `reference`: int8 (len(clips), n_classes): 1 present, 0 absent, -1 not annotated; `train`,
    `validation`: numbers of clips.

    "best" is a checkpoint that `AutoModelForAudioClassification` loads: named classes,
    problem_type, safetensors, its feature extractor, and training.json (options, losses of each
    epoch, which epoch it is). Without validation clips it is the last epoch. A class without a
    positive training clip gets the constant logit -30, so probability 0, and stays out of the
    validation loss. Of a clip longer than the model's window each epoch sees one window at random.

    Raises SettingError (nothing to train on, another run or another process in the folder, loss not
    finite, no memory for one clip), ModelError, MissingExtra.

    Example::

        best = finetune(ModelSpec("facebook/wav2vec2-large-xlsr-53"), clips, reference, train,
        validation, classes=EMOTIONS,
                        exclusive=False, seed=0, options=FinetuneOptions(), folder=Path("runs/all"),
                        ranks=Ranks("cuda"), progress=Progress())
    """
    from torch import random

    folder = Path(folder)
    digest = sha256(clips.fingerprint.encode())
    for array, kind in (
        (train, "<i8"),
        (validation, "<i8"),
        (clips.n_samples, "<i8"),
        (reference, "i1"),
    ):
        digest.update(np.ascontiguousarray(array, kind).tobytes())
    record = {
        "finetune_version": NUMBERS_VERSION,
        "model": spec.name,
        "revision": spec.revision,
        "trust_remote_code": spec.trust_remote_code,
        "classes": list(classes),
        "exclusive": exclusive,
        "seed": seed,
        "options": asdict(options),
        "clips": digest.hexdigest(),
        "n_train": len(train),
        "n_validation": len(validation),
    }
    reason = checksums.damage_of_all(folder / "best")
    if ranks.any(reason is not None):
        progress.say(f"training again: {reason or 'damaged'}")
        if ranks.rank == 0:
            files.remove_folder(folder / "best")
        ranks.any(False)
    if _same_run(folder / "best" / TRAINING_FILE, record):
        return folder / "best"
    _check(reference[train], reference[validation], classes, exclusive, options)
    with (
        _locked(folder, ranks),
        random.fork_rng([ranks.device] if ranks.device.type == "cuda" else []),
    ):
        if not _same_run(folder / "best" / TRAINING_FILE, record):
            if not _same_run(folder / "run.json", record) and ranks.rank == 0:
                with files.written(folder / "run.json") as temporary:
                    temporary.write_text(
                        json.dumps(record | {"sha256": _digest(record)}, indent=1), encoding="utf-8"
                    )
            parts = [(clips.take(rows), reference[rows]) for rows in (train, validation)]
            Training(spec, *parts, record, options, folder, ranks, progress).run()
    return folder / "best"


def _check(
    train: np.ndarray, validation: np.ndarray, classes: Sequence[str], exclusive: bool, options
) -> None:
    for name, least in (
        ("epochs", 1),
        ("batch_size", 1),
        ("gradient_accumulation", 1),
        ("patience", 1),
        ("warmup_steps", 0),
    ):
        if getattr(options, name) < least:
            raise SettingError(f"{name}: expected at least {least}, found {getattr(options, name)}")
    if train.shape[1] != len(classes):
        raise SettingError(
            f"expected a reference over {len(classes)} classes, found {train.shape[1]}"
        )
    if not len(train):
        raise SettingError("no training clips")
    empty = np.flatnonzero(~learnable(train, exclusive))
    if len(empty):
        what = "exactly one class" if exclusive else "an annotated class"
        raise SettingError(
            f"training clip {empty[0]}: expected {what}, found none ({len(empty)} such clips)"
        )


def _same_run(path: Path, record: dict) -> bool:
    """Whether the file is there; raises SettingError where it tells of another run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.pop("sha256", None) not in (None, _digest(found)):
        raise SettingError(f"{path}: damaged: remove {path.parent} and run again")
    if other := [key for key in record if found.get(key) != record[key]]:
        raise SettingError(
            f"{path.parent}: holds another run, with another {', '.join(other)}: choose another "
            "folder"
        )
    return True


def _digest(record: dict) -> str:
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


@contextmanager
def _locked(folder: Path, ranks: Ranks) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock, taken = FileLock(folder / ".lock", timeout=0), False
    try:
        if ranks.rank == 0:
            lock.acquire()
    except Timeout:
        taken = True
    try:
        if ranks.any(taken):
            raise SettingError(
                f"{folder}: another process is training here: wait for it, or choose another folder"
            )
        yield
        ranks.any(False)  # nobody leaves before all is written
    finally:
        lock.release()
