"""Fine-tuning of any transformers audio model as arXiv 2306.14517 does it, exactly or nearly.

The paper and its code (HLTCHKUST/elderly_ser on the Hugging Face Trainer): masked binary
cross-entropy over one label space, mean pooling, projection and linear layer (the heads of
`AutoModelForAudioClassification`), AdamW at 5e-5 that falls linearly to 0, gradient norm cut at 1,
early stopping on the validation loss. recipe.py has what its recipe and ours do not share. What is
new here:

- Every random number (head, order, SpecAugment, dropout) is drawn from a seed made of (seed, epoch,
  step). No generator's state needs keeping: a run that was killed goes on from its last epoch, bit
  for bit (CPU).
- Several processes (distributed.py) take a share of each batch, and their gradients are summed.
  Each draws its own dropout, layer drop and SpecAugment; without these N processes compute what one
  does (within 1e-5 on CPUs).

Files in `folder`: run.json (what is trained), state-0003/ (the last epoch: model and optimizer as
safetensors, else JSON), best-0002.safetensors; at the end only best/, a standard checkpoint with
training.json (history) beside it. Nothing is pickled.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from bimotion.errors import FolderInUse, SettingError
from bimotion.io import checksums, files
from bimotion.io.progress import Progress
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.distributed import Processes
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training import TRAINING_FILE, Training
from bimotion.models.training_data import TrainingData


def finetune(
    spec: ModelSpec,
    data: TrainingData,
    options: FinetuneOptions,
    *,
    seed: int,
    folder: Path,
    processes: Processes,
    progress: Progress,
) -> Path:
    """Train, or go on with what was interrupted in `folder`; returns folder / "best", at once where
    that is there already.

    "best" is a checkpoint that `AutoModelForAudioClassification` loads: named classes,
    problem_type, safetensors, its feature extractor, and training.json (options, losses of each
    epoch, which epoch it is). Without validation clips it is the last epoch. A class that the
    options silence, for it has no positive training clip, gets the constant logit -30, so
    probability 0, and stays out of the validation loss. Of a clip longer than the window of the
    model each epoch sees one window at random.

    Raises:
        SettingError: Another run or another process in the folder, a loss that is not finite, no
            memory for one clip.
        ModelError: A model that cannot be had or trained.
        MissingExtra: `lora_rank` without peft.

    Example::

        data = TrainingData(clips, reference, train, validation, EMOTIONS, exclusive=False)
        best = finetune(ModelSpec("facebook/wav2vec2-large-xlsr-53"), data, FinetuneOptions(),
                        seed=0, folder=Path("runs/all"), processes=Processes("cuda"),
                        progress=Progress())
    """
    folder = Path(folder)
    record = {
        "finetune_version": NUMBERS_VERSION,
        "model": spec.name,
        "revision": spec.revision,
        "trust_remote_code": spec.trust_remote_code,
        "classes": list(data.classes),
        "exclusive": data.exclusive,
        "seed": seed,
        "options": asdict(options),
        "clips": data.fingerprint,
        "n_train": len(data.train),
        "n_validation": len(data.validation),
    }
    best = folder / "best"
    reason = checksums.damage_of_all(best)
    if processes.any(reason is not None):
        progress.say(f"training again: {reason or 'damaged'}")
        if processes.is_first:
            files.remove_folder(best)
        processes.wait()
    if _same_run(best / TRAINING_FILE, record):
        return best
    with _locked(folder, processes), _random_state_kept(processes.device):
        if not _same_run(best / TRAINING_FILE, record):
            if not _same_run(folder / "run.json", record) and processes.is_first:
                content = json.dumps(record | {"sha256": _digest(record)}, indent=1)
                with files.written(folder / "run.json") as temporary:
                    temporary.write_text(content, encoding="utf-8")
            Training(spec, data, options, record, folder, processes, progress).run()
    return best


def _same_run(path: Path, record: dict) -> bool:
    """True where the file is there; raises SettingError where it tells of another run."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        earlier = None
    if not isinstance(earlier, dict) or earlier.pop("sha256", None) not in (None, _digest(earlier)):
        raise SettingError(f"{path}: damaged: remove {path.parent} and run again")
    if other := [key for key in record if earlier.get(key) != record[key]]:
        raise SettingError(
            f"{path.parent}: holds another run, with another {', '.join(other)}: choose another "
            "folder"
        )
    return True


def _digest(record: dict) -> str:
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


@contextmanager
def _random_state_kept(device) -> Iterator[None]:
    """Leave the global generators of torch and NumPy as they were."""
    import numpy as np
    from torch import random

    state = np.random.get_state()
    with random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            np.random.set_state(state)


@contextmanager
def _locked(folder: Path, processes: Processes) -> Iterator[None]:
    """Hold the folder, in the name of all processes."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock, is_taken = FileLock(folder / ".lock", timeout=0), False
    try:
        if processes.is_first:
            lock.acquire()
    except Timeout:
        is_taken = True
    try:
        if processes.any(is_taken):
            raise FolderInUse(
                f"{folder}: another process is training here: wait for it, or choose another folder"
            )
        yield
        processes.wait()  # nobody leaves before all is written
    finally:
        lock.release()
