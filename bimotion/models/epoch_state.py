"""The state from which an interrupted training goes on: the last epoch's model and optimizer, and
the best epoch's model.

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


def keep(training) -> None:
    """Write what the next epoch starts from, then remove what the last one did."""
    from safetensors.torch import save_file

    weights = _on_cpu(training.model.state_dict())
    epoch, best = len(training.history), best_file(training)
    if training.best_epoch == epoch:
        with files.written(best) as temporary:
            save_file(weights, temporary)
    state = training.folder / f"state-{epoch:04d}"
    with files.folder_written(state) as temporary:
        save_file(weights, temporary / "model.safetensors")
        moments = {
            f"{name}|{kind}": value
            for name, part in training.parameters.items()
            for kind, value in training.optimizer.state.get(part, {}).items()
        }
        save_file(_on_cpu(moments), temporary / "optimizer.safetensors")
        kept = {
            "history": training.history,
            "micro": training.micro,
            "best": files.digest(best),
            "scaler": training.scaler.state_dict(),
        }
        (temporary / "state.json").write_text(json.dumps(kept), encoding="utf-8")
        checksums.write(temporary, checksums.listed(temporary))
    files.remove_others(training.folder, [state], "state-*")
    files.remove_others(training.folder, [best], "best-*")


def _on_cpu(tensors: dict) -> dict:
    return {name: part.detach().cpu().clone().contiguous() for name, part in tensors.items()}


def resume(training) -> None:
    """Take over what the last epoch left, if it is whole."""
    from safetensors.torch import load_file

    processes, folder = training.processes, training.folder
    if processes.is_first:
        files.remove_leftovers(folder)
    processes.wait()
    if not (states := sorted(folder.glob("state-*"))):
        return
    reason = _damage(states[-1])
    if processes.any(reason is not None):
        reason = reason or "another process found damage"
        training.progress.say(f"{folder.name}: training from the start: {reason}")
        if processes.is_first:
            remove(folder)
        processes.wait()
        return
    kept = json.loads((states[-1] / "state.json").read_text(encoding="utf-8"))
    training.history, training.micro = kept["history"], kept["micro"]
    training.scaler.load_state_dict(kept["scaler"])
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
    """The damage of the files to go on from; None: there is none."""
    if reason := checksums.damage_of_all(state, required=True):
        return reason
    kept = json.loads((state / "state.json").read_text(encoding="utf-8"))
    best = state.parent / f"best-{best_epoch(kept['history']):04d}.safetensors"
    is_whole = best.exists() and kept["best"] == files.digest(best)
    return None if is_whole else f"{best}: damaged or gone"
