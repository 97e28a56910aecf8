"""Ray clusters of several nodes in this machine, and models that fail in their workers."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.evaluation.tracks.probe import Probe, ProbeRunner
from bimotion.io.progress import Progress
from bimotion.models.own import OwnEncoder
from tests.support.small_runs import HANGS_S

OBJECT_STORE_BYTES = 200_000_000
NODE = "TESTED_NODE"
"""Environment variable of workers: the name of their node."""


@contextmanager
def cluster_of(*names: str) -> Iterator:
    """A cluster with a node of one core for each name; this process is connected to the first."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for name in names:
            node = {"num_cpus": 1, "node_name": name, "object_store_memory": OBJECT_STORE_BYTES}
            cluster.add_node(**node, env_vars={NODE: name}, include_dashboard=False)
        ray.init(cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def bare_node(address: str, name: str, hidden: Path) -> Iterator[int]:
    """A node of one core, in a cluster, that has nothing in a folder: the id of its process. Raises
    PermissionError where this user may not hide folders."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        raise PermissionError("unshare -m")
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
    start += [f"--address={address}", f"--node-name={name}"]
    start += [f"--object-store-memory={OBJECT_STORE_BYTES}"]
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, str(hidden), *start]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | {NODE: name}, **quiet)
    try:
        _wait_for(name)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_for(name: str) -> None:
    import ray

    deadline = time.monotonic() + HANGS_S
    while time.monotonic() < deadline:
        if any(node["NodeName"] == name and node["Alive"] for node in ray.nodes()):
            return
        time.sleep(0.1)
    raise TimeoutError(name)


@dataclass(frozen=True)
class Killing:
    """The first worker to come here is killed, as by a lack of memory; never the process that made
    this."""

    mark: Path
    pid: int

    def __call__(self) -> None:
        if os.getpid() != self.pid and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Noted:
    """Every call leaves a file in a folder."""

    folder: Path

    def __call__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        os.close(tempfile.mkstemp(dir=self.folder)[0])

    @property
    def n(self) -> int:
        """Calls, in all processes."""
        return len(list(self.folder.glob("*")))


class Levels:
    """An encoder of levels, before whose work something happens, or which fails on the node of a
    name."""

    name = fingerprint = "levels"
    clips_together = 3

    def __init__(self, before: Callable[[], None] | None = None, broken_on: str = ""):
        self.before, self.broken_on = before, broken_on

    def encode(self, waveforms, sample_rate_hz):
        if os.environ.get(NODE, "") == self.broken_on != "":
            raise RuntimeError("no driver for this card")
        if self.before:
            self.before()
        return np.array([[np.abs(w).mean(), np.square(w).mean(), w.std()] for w in waveforms])


@dataclass(frozen=True)
class WatchedProbe(Probe):
    """A probe, before whose trainings something happens."""

    before: Callable[[], None] | None = None

    def _features(self, spec):
        return WatchedRunner(OwnEncoder(spec.model), self.before)


class WatchedRunner(ProbeRunner):
    """Its runner."""

    def __init__(self, encoder, before: Callable[[], None]):
        super().__init__(encoder)
        self.before = before

    def run(self, job, folder):
        self.before()
        return super().run(job, folder)


class BrokenOff(Progress):
    """The command is broken off when one training is kept."""

    def track(self, items, total, label, unit="clips"):
        for item in items:
            yield item
            if unit == "trainings":
                raise KeyboardInterrupt


class Releasing(Progress):
    """Lets go of a lock when it hears of it."""

    def __init__(self, lock):
        self.lock = lock

    def say(self, message):
        if "its folder is in use" in message:
            self.lock.release()


@contextmanager
def head_with_token(token: str) -> Iterator[str]:
    """The address of a cluster of this machine that asks for a token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    start += [f"--port={port}", "--num-cpus=1", "--include-dashboard=false"]
    start += ["--node-ip-address=127.0.0.1", f"--object-store-memory={OBJECT_STORE_BYTES}"]
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(start, env=os.environ | own, **quiet)
    try:
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
