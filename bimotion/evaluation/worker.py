"""The workers of a Ray cluster (cluster.py): what they are told, what they do, and the errors that
they send back."""

import gc
import os
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import ray
from ray import cloudpickle

import bimotion
from bimotion.data import cache
from bimotion.data.cache import Row
from bimotion.data.features import Decoded, decoded
from bimotion.errors import BimotionError, FolderInUse, ModelError, StorageError
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.part import part_of
from bimotion.evaluation.tracks import Runner
from bimotion.io import audio
from bimotion.io.versions import CACHE_VERSION, NUMBERS_VERSION
from bimotion.models.failures import first_sentence

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
PACKAGES = ("numpy", "torch", "transformers")
MAX_OPEN = 4
"""Runs whose data a worker keeps for its next job."""
PAUSE_S = 2.0
"""Between two tries of a job whose folder is in use."""

_open: dict[object, Runner] = {}
"""Runners by reference; at most one of them has jobs that run a model."""


@dataclass(frozen=True)
class Failure:
    """An error that a user can mend, on its way from a worker."""

    kind: type[BimotionError]
    message: str
    node_id: str

    @classmethod
    def of(cls, error: BimotionError | OSError) -> "Failure":
        """An error that was raised in this worker."""
        node_id = ray.get_runtime_context().get_node_id()
        if isinstance(error, OSError):
            where = error.filename or "input or output"
            return cls(StorageError, f"{where}: {error.strerror or error}", node_id)
        return cls(type(error), str(error), node_id)

    def error(self, where: str) -> BimotionError:
        """The error again, about a node or a job."""
        error = self.kind.__new__(self.kind)  # what they are made of is not always their message
        error.args = (f"{where}: {self.message}",)
        return error


@dataclass(frozen=True)
class Workplace:
    """The surroundings in which workers work as the process that sent them would."""

    threads: int
    cache: str
    """Folder of the cache on the machine of the command."""
    mark: str
    """Name of a file that is in it now: a node that sees it shares the folder."""
    host: object | None = None
    """Handle of the actor `Host`, where some node needs it."""
    ships_audio: bool = False

    def enter(self) -> None:
        """Work so in this process from now on."""
        from threadpoolctl import threadpool_limits

        os.environ |= dict.fromkeys(THREADS, str(self.threads))
        threadpool_limits(self.threads)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(self.threads)
        if os.path.exists(os.path.join(self.cache, self.mark)):
            os.environ["BIMOTION_CACHE"] = self.cache
        elif self.host is not None:
            cache.receive_blocks(lambda name: ray.get(self.host.block.remote(name)))


class Host:
    """An actor on the machine of the command, which has the cache and the corpora."""

    def __init__(self, cache_dir: str):
        self.cache = Path(cache_dir)

    def block(self, name: str) -> bytes | None:
        """A file of the cache; None: there is none."""
        path = self.cache / name
        return path.read_bytes() if path.exists() else None

    def clips(self, paths: list[Path]) -> list[Decoded] | Failure:
        """The samples of clips."""
        try:
            return list(map(decoded, paths))
        except (BimotionError, OSError) as error:
            return Failure.of(error)


class BlockMaker:
    """An actor of the pool that makes rows; `make` (data/stored_rows.py), pickled, has the encoder,
    which is loaded once."""

    def __init__(self, workplace: Workplace, make: bytes):
        workplace.enter()
        self.workplace = workplace
        try:
            self.make = _unpickled(make)
        except (BimotionError, OSError) as error:  # raised here, Ray would start it again and again
            self.make = Failure.of(error)

    def __call__(self, batch: dict) -> dict:
        made = [self._made(*cloudpickle.loads(part)) for part in batch["part"]]
        return {"number": batch["number"], "made": list(map(cloudpickle.dumps, made))}

    def _made(self, clips, paths: list[Path]) -> list[Row] | Failure:
        if isinstance(self.make, Failure):
            return self.make
        try:
            if self.workplace.ships_audio:
                paths = ray.get(self.workplace.host.clips.remote(paths))
                if isinstance(paths, Failure):
                    return paths
            return list(self.make(clips, paths))
        except (BimotionError, OSError) as error:
            return Failure.of(error)


def do_job(
    workplace: Workplace, runner: list, job: TrainingJob, folder: Path
) -> tuple[bytes, int | None] | Failure:
    """The part of a job, and the parameters of the model; `runner`: reference to it, pickled, in a
    list, so that Ray does not fetch it for a worker that has it."""
    workplace.enter()
    try:
        opened = _runner(*runner)
        return part_of(opened, job, folder), opened.n_parameters
    except FolderInUse as error:
        time.sleep(PAUSE_S)
        return Failure.of(error)
    except (BimotionError, OSError) as error:
        return Failure.of(error)
    finally:
        _free_device()


def _runner(reference) -> Runner:
    """A runner that is open. No other one that runs a model stays, here or on a device that another
    worker may have next."""
    if reference not in _open:
        opened = _unpickled(ray.get(reference))  # it has no model yet but one that is here already
        if with_model := [key for key, runner in _open.items() if runner.uses_device]:
            for other in with_model:
                del _open[other]
            gc.collect()
        while len(_open) >= MAX_OPEN:
            del _open[next(iter(_open))]
        _open[reference] = opened
    return _open[reference]


def _free_device() -> None:
    """Give back memory of a GPU, which may be another worker's next, that nothing here holds."""
    if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _unpickled(content: bytes) -> object:
    """Load what was sent, its model too; raises ModelError, with the reason."""
    try:
        return cloudpickle.loads(content)
    except (BimotionError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_sentence(error)}"
        raise ModelError(f"expected to load what was sent, found {reason}") from error


def versions() -> str:
    """The versions that a worker must have as the process that sends it work has them."""
    parts = (bimotion.__version__, NUMBERS_VERSION, CACHE_VERSION, audio.version())
    # without the build, which differs between nodes with and without a GPU
    made_by = (f"{name} {metadata.version(name).partition('+')[0]}" for name in PACKAGES)
    own = "bimotion {}, numbers {}, cache {}, decoder {}".format(*parts)
    return ", ".join([own, *made_by])


def look(paths: list[str]) -> tuple[str, list[str]]:
    """The versions of this node, and those of some paths that it lacks."""
    return versions(), [path for path in paths if not os.path.exists(path)]
