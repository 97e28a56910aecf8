"""What a training that was broken off goes on from: the last epoch's model and optimizer, and the
best epoch's model.

Every file is checked before it is believed: where one is damaged, training starts anew. `training`:
a training.Training.
"""

import json
from pathlib import Path

from bimotion.io import checksums, files


def best_epoch(history: list[dict]) -> int:
    """From 1: the epoch with the lowest validation loss, the first of equals; without validation
    losses the last.

    >>> best_epoch([{"validation_loss": 0.5}, {"validation_loss": 0.4}, {"validation_loss": 0.4}])
    2
    """
    losses = [entry.get("validation_loss") for entry in history]
    return len(history) if not losses or None in losses else losses.index(min(losses)) + 1


def best_file(training) -> Path:
    """Weights of the best epoch so far."""
    return training.folder / f"best-{training.best_epoch:04d}.safetensors"


def keep(training, epoch: int) -> None:
    """Write what the next epoch starts from, then remove what the last one did."""
    from safetensors.torch import save_file

    weights = {
        name: part.detach().cpu().clone().contiguous()
        for name, part in training.model.state_dict().items()
    }
    if training.best_epoch == epoch:
        with files.written(best_file(training)) as temporary:
            save_file(weights, temporary)
    state = training.folder / f"state-{epoch:04d}"
    with files.folder_written(state) as temporary:
        save_file(weights, temporary / "model.safetensors")
        moments = {
            f"{name}|{kind}": value.detach().cpu().clone()
            for name, part in training.parameters.items()
            for kind, value in training.optimizer.state.get(part, {}).items()
        }
        save_file(moments, temporary / "optimizer.safetensors")
        kept = {
            "history": training.history,
            "micro": training.micro,
            "best": files.digest(best_file(training)),
        }
        (temporary / "state.json").write_text(json.dumps(kept), encoding="utf-8")
        checksums.write(temporary, checksums.listed(temporary))
    files.remove_others(training.folder, [state], "state-*")
    files.remove_others(training.folder, [best_file(training)], "best-*")


def resume(training) -> None:
    """Take over what the last epoch left, if it is whole."""
    from safetensors.torch import load_file

    ranks, folder = training.ranks, training.folder
    if ranks.rank == 0:
        files.remove_leftovers(folder)
    ranks.any(False)
    if not (states := sorted(folder.glob("state-*"))):
        return
    reason = _damage(states[-1])
    if ranks.any(reason is not None):
        training.progress.say(
            f"{folder.name}: training from the start: {reason or 'another process found damage'}"
        )
        if ranks.rank == 0:
            remove(folder)
        ranks.any(False)
        return
    found = json.loads((states[-1] / "state.json").read_text(encoding="utf-8"))
    training.history, training.micro = found["history"], found["micro"]
    training.model.load_state_dict(load_file(states[-1] / "model.safetensors"))
    for key, value in load_file(states[-1] / "optimizer.safetensors").items():
        name, kind = key.rsplit("|", 1)
        on_cpu = kind == "step" and training.device.type == "cpu"
        value = value.clone() if on_cpu else value.to(training.device, copy=True)
        training.optimizer.state[training.parameters[name]][kind] = value
    training.progress.say(f"{folder}: going on after epoch {len(training.history)}")


def remove(folder: Path) -> None:
    """Remove all of it."""
    for pattern in ("state-*", "best-*"):
        files.remove_others(folder, [], pattern)


def _damage(state: Path) -> str | None:
    """What is wrong with the files to go on from; None: nothing."""
    if reason := checksums.damage_of_all(state, required=True):
        return reason
    found = json.loads((state / "state.json").read_text(encoding="utf-8"))
    best = state.parent / f"best-{best_epoch(found['history']):04d}.safetensors"
    return (
        None
        if best.exists() and found["best"] == files.digest(best)
        else f"{best}: damaged or gone"
    )
