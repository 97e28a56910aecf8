"""Ray clusters of several nodes in this machine, and models that fail in their workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.evaluation.tracks.probe import Probe, ProbeRunner
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


class Levels:
    """An encoder of levels, whose worker is killed, or which fails on the node of a name."""

    name = fingerprint = "levels"
    clips_together = 3

    def __init__(self, killing: Killing | None = None, broken_on: str = ""):
        self.killing, self.broken_on = killing, broken_on

    def encode(self, waveforms, sample_rate_hz):
        if os.environ.get(NODE, "") == self.broken_on != "":
            raise RuntimeError("no driver for this card")
        if self.killing:
            self.killing()
        return np.array([[np.abs(w).mean(), np.square(w).mean(), w.std()] for w in waveforms])


@dataclass(frozen=True)
class KilledProbe(Probe):
    """A probe, one of whose trainings is killed."""

    killing: Killing | None = None

    def _features(self, spec):
        return KilledRunner(OwnEncoder(spec.model), self.killing)


class KilledRunner(ProbeRunner):
    """Its runner."""

    def __init__(self, encoder, killing: Killing):
        super().__init__(encoder)
        self.killing = killing

    def run(self, job, folder):
        self.killing()
        return super().run(job, folder)
