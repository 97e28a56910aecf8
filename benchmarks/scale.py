"""Engine ray against engine local, and the benchmark on 1 to 64 workers.

    python benchmarks/scale.py train       # jobs train the probe's head on artificial features
    python benchmarks/scale.py wait        # jobs wait for 5 s: the cost of the engine only
    python benchmarks/scale.py simulate    # 1 to 64 workers, from the times of benchmarks/README.md

Of synthetic corpora, one core a job.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

import heapq
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bimotion.data.synthetic import layouts
from bimotion.evaluation import run
from bimotion.evaluation.cluster import RayEngine
from bimotion.evaluation.engine import LocalEngine
from bimotion.evaluation.job import JobPredictions
from bimotion.evaluation.tracks.probe import Probe, ProbeRunner
from bimotion.models.own import OwnEncoder

README = Path(__file__).with_name("README.md")
N_LAYERS, N_FEATURES = 13, 1536
WAITING_S = 5.0
CLIPS, CLIPS_A_SECOND, CLIPS_A_BLOCK = 57916, 3.55, 32
"""Clips of the benchmark; of whisper-tiny.en, that hears 30 s windows, on two cores."""
FOLDS, EPOCHS, FINETUNE_CLIPS_A_SECOND = 5, 20, 35.6
"""Of the default; of the paper's recipe, and of its own loop on one H200."""
WORKERS = (1, 2, 4, 8, 16, 32, 64)


class Artificial:
    """An encoder whose features cost nothing."""

    name = fingerprint = "artificial"
    clips_together = 32

    def encode(self, waveforms, sample_rate_hz):
        mixing = np.random.default_rng(0).standard_normal((64, N_LAYERS * N_FEATURES)) / 8
        spectra = np.log1p([np.abs(np.fft.rfft(w[4000:4126], 126)) for w in waveforms])
        noise = [np.random.default_rng(len(w)).standard_normal(64) for w in waveforms]
        return ((spectra + noise) @ mixing).reshape(-1, N_LAYERS, N_FEATURES)


class Waiting(Probe):
    """Jobs that need no core."""

    def _features(self, spec):
        return WaitingRunner(OwnEncoder(spec.model))


class WaitingRunner(ProbeRunner):
    """Waits, and guesses."""

    def run(self, job, folder):
        time.sleep(WAITING_S)
        n_classes = len(self.labelled.schema.classes)
        guesses = np.full((len(job.test), n_classes), 1 / n_classes)
        return JobPredictions(guesses, self.trained(job), {"layer": 0})


def timed(kind: type) -> type:
    """An engine that notes when its jobs begin and each of them is done."""

    class Timed(kind):
        def parts(self, jobs):
            self.times = [time.perf_counter()]
            for made in super().parts(jobs):
                self.times.append(time.perf_counter())
                yield made

    return Timed


def jobs_s(engine, track: Probe, root: Path, output: Path) -> np.ndarray:
    """Seconds between the jobs of a run, in the order in which they are done."""
    asked = {"protocol": "augmentation", "folds": 1, "allow_missing": True, "output": output}
    run.evaluate(Artificial(), track=track, data_dir=root, engine=engine, **asked)
    return np.diff(engine.times)


def measure(track: Probe, scale: float) -> None:
    """Print overhead and speed-up."""
    import ray

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "corpora")
        os.environ["BIMOTION_CACHE"] = str(Path(folder, "cache"))
        layouts.write(root, scale=scale, seed=0)
        local = timed(LocalEngine)()
        each = jobs_s(local, track, root, Path(folder, "local"))  # and features, before them
        sizes = f"{each.min():.1f} to {each.max():.1f} s, {each.mean():.1f} on average"
        print(f"{len(each)} jobs of {sizes}, one core each\n")
        print("| engine | jobs done after, s | to local |\n|---|---|---|")
        print(f"| local | {each.sum():.1f} | 1.00 |")
        for workers in (1, 2):
            started = time.perf_counter()
            ray.init("local", num_cpus=workers, include_dashboard=False, logging_level="ERROR")
            starting_s = time.perf_counter() - started
            total = jobs_s(timed(RayEngine)(), track, root, Path(folder, f"ray-{workers}")).sum()
            ray.shutdown()
            name = f"ray, {workers} of one core, cluster started in {starting_s:.1f} s"
            print(f"| {name} | {total:.1f} | {total / each.sum():.2f} |", flush=True)


def makespan_s(times: list[float], workers: int) -> float:
    """The time of jobs on some workers, the longest first."""
    ends = [0.0] * workers
    for each in sorted(times, reverse=True):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def simulate() -> None:
    """Print the wall time of the whole benchmark by number of workers."""
    _, _, section = README.read_text(encoding="utf-8").partition("## The probe's head")
    rows = re.findall(r"^\| (\w\S+) \| (\d+) \| ([\d.]+) \|", section.split("\n## ")[0], re.M)
    names, clips = [name for name, _, _ in rows], np.array([int(n) for _, n, _ in rows])
    fold_s = np.array([float(seconds) for _, _, seconds in rows])
    jobs = (fold_s.tolist()) * FOLDS
    block_s = CLIPS_A_BLOCK / CLIPS_A_SECOND
    blocks = [block_s] * -(-CLIPS // CLIPS_A_BLOCK)
    trainings = (clips * EPOCHS / FINETUNE_CLIPS_A_SECOND).tolist()
    print("| workers | features | jobs of the probe | together | fine-tuning, 13 jobs |")
    print("|---|---|---|---|---|")
    for workers in WORKERS:
        parts = [makespan_s(times, workers) for times in (blocks, jobs)]
        minutes = [seconds / 60 for seconds in (*parts, sum(parts))]
        hours = makespan_s(trainings, workers) / 3600
        shown = " | ".join(f"{each:.1f} min" for each in minutes)
        print(f"| {workers} | {shown} | {hours:.1f} h |")
    longest = names[int(fold_s.argmax())]
    print(
        f"\nThe longest chain of the probe: a block of features ({block_s:.0f} s), then a fold of "
        f"{longest} ({fold_s.max():.0f} s). Of fine-tuning: {names[int(clips.argmax())]} "
        f"({max(trainings) / 3600:.1f} h)."
    )


MEASURES = {
    "train": lambda: measure(Probe(), scale=0.06),
    "wait": lambda: measure(Waiting(), scale=0.01),
    "simulate": simulate,
}

if __name__ == "__main__":
    MEASURES[sys.argv[1]]()
