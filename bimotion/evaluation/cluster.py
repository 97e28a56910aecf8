"""A Ray cluster as the engine of runs: `RAY_ADDRESS`, or one of this machine that is started and
ended with the work.

Features: blocks of clips go through `map_batches` of Ray Data, with a pool of actors that have the
encoder loaded; this process writes what they make into its cache. Jobs: each is a task, the longest
first; this process writes its part. Scheduling, back-pressure and retries are Ray's.

Blocks of the cache that a job reads are read where they lie if its node sees the folder; else an
actor on this machine sends them, and the node keeps them in its own cache.
"""

import contextlib
import logging
import os
import secrets
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bimotion.data.cache import Row
from bimotion.data.stored_rows import Make, Part
from bimotion.errors import ClusterError, FolderInUse, SettingError, some
from bimotion.evaluation import worker
from bimotion.evaluation.engine import Engine, RunJob
from bimotion.evaluation.worker import BlockMaker, Failure, Host, Workplace, do_job, look
from bimotion.io import files
from bimotion.io.bounds import MAX_COUNT, real_number, whole_number
from bimotion.models.failures import first_sentence
from bimotion.models.spec import ModelSpec

CLIPS_A_BLOCK = 32
MAX_LOST = 10
"""Workers that a job or a block of clips may lose before the run is given up."""
MAX_IN_USE_S = 20 * 60
"""A file system frees the locks of a node that was cut off after a while: NFS 4 after 90 s, Lustre
after some minutes."""
WAITING = "its folder is in use, by a worker that was lost or still ends: trying again"
MIN_GPUS, MAX_GPUS = 0.0001, 64
"""Of each worker; Ray counts shares of a GPU to four digits."""
MARK, UNUSED_S = ".seen-", 30 * 24 * 3600
"""Beginning of the names of files that say that a folder is seen; those of killed processes go."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Nothing is told to anybody, and Ray's own lines stay in its log files."""
READERS = 8
"""Requests that the actor on this machine answers at a time."""


@dataclass
class RayEngine(Engine):
    """The workers of a Ray cluster.

    Example::

        engine = RayEngine(cpus_per_worker=4)
        bimotion.evaluate("openai/whisper-small", data_dir="/corpora", engine=engine)
    """

    name = "ray"
    shares = True

    cpus_per_worker: int = 1
    """Cores of each worker, and its threads."""
    gpus_per_worker: float | None = None
    """GPUs of each worker; None: one where the model would run on one here."""
    ship_audio: bool = False
    """Send samples to workers, which then need no corpora."""
    _gpus: float = field(default=0, init=False)
    _workplace: Workplace | None = field(default=None, init=False)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    def __post_init__(self) -> None:
        if (n := int(os.environ.get("WORLD_SIZE", 1))) > 1:
            raise SettingError(f"engine ray: expected one process, found {n} of torchrun")
        whole_number("cpus_per_worker", self.cpus_per_worker, 1, MAX_COUNT)
        if (gpus := self.gpus_per_worker) is not None:
            real_number("gpus_per_worker", gpus, 0, MAX_GPUS)
            if 0 < gpus < MIN_GPUS or (gpus > 1 and gpus % 1):
                raise SettingError(
                    f"gpus_per_worker: expected 0, a share from {MIN_GPUS:g} to 1 or a whole "
                    f"number, found {gpus:g}"
                )

    def placed(self, spec: ModelSpec) -> ModelSpec:
        """A model on the kind of device that workers run it on, which is part of what a run is: so
        this machine needs one too."""
        from bimotion.models.weights import device_of

        gpus = self.gpus_per_worker
        if not (spec.is_own or spec.is_baseline):
            device = spec.device if gpus is None or spec.device else _device(gpus)
            kind = device and (device.partition(":")[0] if gpus is None else _device(gpus))
            if device != kind:
                among = "" if gpus is None else f" with {gpus:g} GPUs a worker"
                raise SettingError(
                    f"device: expected {kind}{among} (Ray chooses which), found {device}"
                )
            kind = device_of(device).partition(":")[0]
            gpus = int(kind != "cpu") if gpus is None else gpus
            spec = replace(spec, device=kind)
        self._gpus = max(self._gpus, gpus or 0)
        return spec

    def spread(self, make: Make, parts: list[Part], together: int) -> Iterator[Row]:
        self._start()
        if not self.ship_audio:
            self._require_clips(parts)
        blocks = [
            {"number": number, "part": cloudpickle.dumps(block)}
            for number, block in enumerate(_blocks(parts, together))
        ]
        for made in self._mapped(blocks, cloudpickle.dumps(make)):
            if isinstance(made, Failure):
                raise made.error(_node_name(made.node_id))
            yield from made

    def _mapped(self, blocks: list[dict], make: bytes) -> Iterator[list[Row] | Failure]:
        """Each block as a worker made it, in order."""
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it raises is enough
        context = ray.data.DataContext()
        context.enable_progress_bars = False  # the store that is filled shows its own
        context.execution_options.preserve_order = True
        with ray.data.DataContext.current(context), warnings.catch_warnings():
            # Ray has no other words yet for how often a worker is started again
            warnings.simplefilter("ignore", DeprecationWarning)
            made = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
                BlockMaker,
                fn_constructor_args=(self._workplace, make),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(len(blocks), self._n_workers())),
                num_cpus=self.cpus_per_worker,
                num_gpus=self._gpus or None,
                max_restarts=MAX_LOST,
                max_task_retries=MAX_LOST,
            )
            try:
                for row in made.iter_rows():
                    yield cloudpickle.loads(row["made"])
            except ray.exceptions.RayError as error:
                raise _lost("features", error) from None

    def parts(self, jobs: Sequence[RunJob]) -> Iterator[tuple[int, bytes]]:
        if not jobs:
            return
        self._start()
        self._require_folders([todo for todo in jobs if todo.runner.leaves_files])
        runners = {id(todo.runner): todo.runner for todo in jobs}
        sent = {key: ray.put(cloudpickle.dumps(runner)) for key, runner in runners.items()}
        order = list(runners)
        begun: dict[ray.ObjectRef, int] = {}
        in_use: dict[int, float] = {}  # jobs whose folder another process has -> since when

        def begin(number: int) -> None:
            todo = jobs[number]
            task = self._task(todo)
            folder = todo.folder.absolute()
            made = task.remote(self._workplace, [sent[id(todo.runner)]], todo.job, folder)
            begun[made] = number

        for number in sorted(range(len(jobs)), key=lambda number: _turn(jobs[number], order)):
            begin(number)
        try:
            while begun:
                (made,), _ = ray.wait(list(begun))
                number = begun.pop(made)
                part = _received(made, jobs[number])
                if part is not None:
                    in_use.pop(number, None)
                    yield number, part
                    continue
                if number not in in_use:
                    in_use[number] = time.monotonic()
                    jobs[number].runner.progress.say(f"{_name(jobs[number])}: {WAITING}")
                elif in_use.keys() >= set(begun.values()):  # nothing else is left to do
                    _require_patience(jobs[number], in_use[number])
                begin(number)
        finally:
            for made in begun:
                ray.cancel(made, force=True)

    def _task(self, todo: RunJob):
        """The task that does a job."""
        return ray.remote(do_job).options(
            name=todo.job.name,
            num_cpus=self.cpus_per_worker,
            num_gpus=self._gpus if todo.runner.uses_device else 0,
            max_retries=MAX_LOST,
            scheduling_strategy="SPREAD",
        )

    def _start(self) -> None:
        """Connect to the cluster, or start one; look at its nodes."""
        if self._workplace is not None:
            return
        # what Ray prints of lost workers, from a thread, is no result
        self._stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        if not ray.is_initialized():
            connect(os.environ.get("RAY_ADDRESS") or "local")
            self._stack.callback(ray.shutdown)
        files.remove_others(files.cache_dir(), (), f"{MARK}*", UNUSED_S)
        mark = self._stack.enter_context(_marked(files.cache_dir()))
        self._nodes(self._gpus)
        answers = self._looked([str(mark)], 0)  # work without GPUs goes to any node
        for node_id, (versions, _) in answers.items():
            if versions != worker.versions():
                raise ClusterError(
                    f"{_node_name(node_id)}: expected {worker.versions()} as here, found {versions}"
                )
        host = None
        if self.ship_audio or any(lacking for _, lacking in answers.values()):
            host = ray.remote(Host).options(
                num_cpus=0,
                max_concurrency=READERS,
                scheduling_strategy=_on(ray.get_runtime_context().get_node_id()),
            )
            host = host.remote(str(mark.parent))
        self._workplace = Workplace(
            self.cpus_per_worker, str(mark.parent), mark.name, host, self.ship_audio
        )

    def _require_clips(self, parts: list[Part]) -> None:
        ends = {str(path.absolute()) for _, paths in parts for path in (paths[0], paths[-1])}
        self._require_on_nodes(
            sorted(ends), "the corpora", "mount them there, or send samples with --ship-audio"
        )

    def _require_folders(self, jobs: list[RunJob]) -> None:
        """Raise ClusterError unless every node sees the folders in which jobs go on."""
        folders = sorted({todo.folder.parent.parent for todo in jobs})
        with contextlib.ExitStack() as stack:
            seen = [str(stack.enter_context(_marked(folder))) for folder in folders]
            advice = "choose an --output that all share"
            self._require_on_nodes(seen, "the folder of results", advice)

    def _require_on_nodes(self, paths: list[str], what: str, advice: str) -> None:
        for node_id, (_, lacking) in self._looked(paths, self._gpus).items():
            if lacking:
                raise ClusterError(
                    f"{_node_name(node_id)}: expected {what} at the same path as here, found no "
                    f"{some(lacking, 1)}: {advice}"
                )

    def _looked(self, paths: list[str], gpus: float) -> dict[str, tuple[str, list[str]]]:
        """Node -> its versions, and those of some paths that it lacks; `gpus`: as of `_nodes`."""
        looking = {
            node["NodeID"]: ray.remote(look)
            .options(num_cpus=0, scheduling_strategy=_on(node["NodeID"]))
            .remote(paths)
            for node in self._nodes(gpus)
        }
        answers = {}
        for node_id, answer in looking.items():
            try:
                answers[node_id] = ray.get(answer)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ClusterError(
                    f"{_node_name(node_id)}: expected bimotion in its Python, found: {reason}"
                ) from None
        return answers

    def _nodes(self, gpus: float) -> list[dict]:
        """Nodes that can have a worker of so many GPUs; raises ClusterError where none can."""
        nodes = [node for node in ray.nodes() if node["Alive"] and self._places(node, gpus)]
        if not nodes:
            sizes = ray.cluster_resources()
            raise ClusterError(
                f"expected a node with {self.cpus_per_worker} CPUs and {gpus:g} GPUs for a "
                f"worker, found a cluster of {sizes.get('CPU', 0):g} CPUs and "
                f"{sizes.get('GPU', 0):g} GPUs, none of whose nodes has them"
            )
        return nodes

    def _places(self, node: dict, gpus: float) -> int:
        """Workers of so many GPUs that a node can have at a time; none shares two GPUs."""
        n = int(node["Resources"].get("CPU", 0) // self.cpus_per_worker)
        if not gpus:
            return n
        n_gpus = int(node["Resources"].get("GPU", 0))
        return min(n, int(n_gpus // gpus) if gpus > 1 else n_gpus * int(1 / gpus + 1e-9))

    def _n_workers(self) -> int:
        return sum(self._places(node, self._gpus) for node in self._nodes(self._gpus))

    def close(self) -> None:
        self._stack.close()
        self._workplace, self._gpus = None, 0


@contextlib.contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A new file by which nodes that see a folder are known, inside the block."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder.absolute() / f"{MARK}{secrets.token_hex(8)}"
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def connect(address: str) -> None:
    """Connect to a cluster that this machine is a node of, or (`local`) start one. Raises
    SettingError, ClusterError."""
    if "://" in address:
        raise SettingError(
            "RAY_ADDRESS: expected HOST:PORT of a cluster that this machine is a node of, or auto, "
            f"found {address:.80}"
        )
    os.environ |= {**QUIET, **os.environ}
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        reason = first_sentence(error)
        raise ClusterError(
            f"{address}: expected a Ray cluster with this RAY_AUTH_MODE and token, found: {reason}"
        ) from None


def _lost(work: str, error: ray.exceptions.RayError) -> Exception:
    """The error of work that no worker could do; what its code raised is raised as it is."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return error
    return ClusterError(
        f"{work}: expected a worker to live through it, found, after up to {MAX_LOST} others: "
        f"{first_sentence(error)}: has it enough memory?"
    )


def _blocks(parts: list[Part], together: int) -> Iterator[Part]:
    """Parts cut into whole groups of clips that are made together."""
    size = max(together, CLIPS_A_BLOCK // together * together)
    for clips, paths in parts:
        for start in range(0, len(paths), size):
            rows = slice(start, start + size)
            yield clips.iloc[rows], [path.absolute() for path in paths[rows]]


def _turn(todo: RunJob, order: list[int]) -> tuple[int, int, int]:
    """Longest first; of equal trainings those of a run together, whose model is loaded then."""
    return -len(todo.job.train), order.index(id(todo.runner)), -len(todo.job.test)


def _name(todo: RunJob) -> str:
    return f"training set {todo.job.name}, fold {todo.job.fold}, seed {todo.job.seed}"


def _received(made: ray.ObjectRef, todo: RunJob) -> bytes | None:
    """The part of a job that is done; None: another process has its folder."""
    try:
        received = ray.get(made)
    except ray.exceptions.RayError as error:
        raise _lost(_name(todo), error) from None
    if not isinstance(received, Failure):
        part, todo.runner.n_parameters = received
        return part
    if received.kind is FolderInUse:
        return None
    raise received.error(f"{_name(todo)}, {_node_name(received.node_id)}")


def _require_patience(todo: RunJob, since: float) -> None:
    """Raise ClusterError where a folder has been in use for too long."""
    if time.monotonic() - since > MAX_IN_USE_S:
        raise ClusterError(
            f"{todo.folder}: expected a lost worker to let go of it within {MAX_IN_USE_S // 60} "
            "minutes, found it still locked: end what is left of the worker, or wait until the "
            "file system forgets its node; the same command goes on"
        )


def _device(gpus: float) -> str:
    return "cuda" if gpus else "cpu"


def _on(node_id: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _node_name(node_id: str) -> str:
    """The name of a node, as its owner and as Ray know it."""
    names = {node["NodeID"]: node["NodeName"] for node in ray.nodes()}
    return f"node {names.get(node_id, 'that is gone')} ({node_id[:8]})"
