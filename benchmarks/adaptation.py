"""What each adaptation method gains under six known shifts, and how long it takes.

    python benchmarks/adaptation.py shifts [REPLICATES] [METHOD ...]

Simulated domains (tests/support/domain_shifts.py): mean UAR of each method, and its difference from
`none`, from `corpus-norm` and from the control of the methods that standardise, on the same draws
with the standard error of that difference.

    python benchmarks/adaptation.py [SEEDS] [inductive] [METHOD ...]

CPU seconds over all settings. Features of noise, 1024 numbers a clip, for as many clips as the
corpora have (62 000: four classes, ten speakers a corpus), in the train, validation and test sizes
of the rosters; every cross-group setting of protocols inference, cantonese and extension,
transductive: adapted to all clips of the target and tested on them; or inductive: adapted to its
train part and tested on its test part. As in a run, a method's settings of one training set follow
each other, and methods share what they begin with, a regression or the choice of the network's
training: once a process. One process a core. Methods without a seed
run once.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed

from bimotion.adaptation import METHODS, methods_named
from bimotion.adaptation.method import SETTINGS, Clips, Source, inductive, transductive
from bimotion.corpora import CORPORA
from bimotion.data import rosters
from bimotion.data.splits import YUEMOTION_PAPER_SIZES
from bimotion.io.progress import Bars
from bimotion.protocol import settings as protocol

DIM, N_CLASSES = 1024, 4
FAMILIES = (
    "none",
    "corpus-norm",
    "corpus-norm-em",
    "speaker-norm",
    "logit-adjust",
    "coral",
    "mmd",
    "dann",
    "mcc",
    "shot",
    "t3a",
    "lame",
    "speaker-clusters",
    "nnpm-c",
    "nnpm-h",
)
"""Without controls and ablations; `python benchmarks/adaptation.py 5 all` runs these too."""
CONTROLS = ("none-network", "corpus-norm-em-network", "nnpm-vote")
BESIDE = ("none", "corpus-norm", "corpus-norm-em-network")


def sizes() -> dict[tuple[str, str], dict[str, int]]:
    """(corpus, cell) -> clips in the parts `train` and `test`, and in `all` parts."""
    known = {}
    for corpus in CORPORA:
        if (rows := rosters.load(corpus)) is not None:
            for cell, of_cell in rows.groupby("cell"):
                parts = of_cell["paper"].value_counts()
                known[corpus, cell] = {name: int(parts.get(name, 0)) for name in ("train", "test")}
                known[corpus, cell]["all"] = len(of_cell)
    train, validation, test = map(sum, zip(*YUEMOTION_PAPER_SIZES.values(), strict=True))
    adults = train + validation + test
    elderly = CORPORA["yuemotion"].card.n_utterances - adults
    known["yuemotion", "yue_adu"] = {"train": train, "test": test, "all": adults}
    halves = {"train": elderly // 2, "test": elderly - elderly // 2}
    known["yuemotion", "yue_eld"] = halves | {"all": elderly}
    return known


def clips(numbers: dict[str, int], seed: int) -> tuple[Clips, np.ndarray]:
    """Clips of some corpora (name -> how many), each with a shift of its own, and their classes."""
    rng = np.random.default_rng(seed)
    corpora = np.repeat(list(numbers), list(numbers.values()))
    labels = rng.integers(0, N_CLASSES, len(corpora))
    centres = 0.15 * np.random.default_rng(0).normal(size=(N_CLASSES, DIM))
    features = rng.standard_normal((len(corpora), DIM), dtype=np.float32)
    for index, name in enumerate(CORPORA):
        shift = 0.5 * np.random.default_rng([1, index]).normal(size=DIM)
        features[corpora == name] += shift.astype(np.float32)
    features += centres[labels].astype(np.float32)
    speakers = [f"{name}/{row % 10}" for row, name in enumerate(corpora)]
    return Clips(features, corpora, speakers), labels


def timed(
    settings: list[protocol.Setting], form: str, name: str, seeds: int
) -> list[tuple[str, float, float]]:
    """Method, CPU seconds and accuracy of each setting of one training set, over the seeds."""
    known = sizes()

    def used(setting: protocol.Setting, cells, part: str) -> dict[str, int]:
        wanted = {str(cell) for cell in cells}
        return {
            corpus: n[part]
            for (corpus, cell), n in known.items()
            if cell in wanted and (setting.corpora is None or corpus in setting.corpora)
        }

    source, labels = clips(used(settings[0], settings[0].train, "train"), 0)
    times = []
    method, labelled = METHODS[name], Source(source, np.eye(N_CLASSES, dtype=np.int8)[labels])
    for setting in settings:
        cell = [setting.test]
        test, truth = clips(used(setting, cell, "test" if form == "inductive" else "all"), 1)
        target = clips(used(setting, cell, "train"), 2)[0] if form == "inductive" else test
        start = time.process_time()
        for seed in range(seeds if method.seeded else 1):
            if form == "inductive":
                probabilities = inductive(method, labelled, target, test, seed=seed)
            else:
                probabilities = transductive(method, labelled, test, seed=seed)
        accuracy = float((probabilities.argmax(axis=1) == truth).mean())
        times.append((name, time.process_time() - start, accuracy))
    return times


def gains(shift: str, replicate: int, names: list[str]) -> list[tuple[str, int, str, float]]:
    """Shift, replicate, method, UAR of one draw."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.domain_shifts import shifted

    case, rows = shifted(shift, replicate), []
    for name in names:
        probabilities = transductive(METHODS[name], case.source, case.target, seed=replicate)
        rows.append((shift, replicate, name, case.uar(probabilities)))
    return rows


def main_shifts(replicates: int = 20, names: tuple[str, ...] = (*FAMILIES, *CONTROLS)) -> None:
    """Print a table of means, and of paired differences from each of BESIDE."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support.domain_shifts import SHIFTS

    names = tuple(method.name for method in methods_named(names))
    asked = [(shift, replicate) for replicate in range(replicates) for shift in SHIFTS]
    start = time.perf_counter()
    of_cases = Parallel(n_jobs=-1, return_as="generator_unordered")(
        delayed(gains)(*case, list(names)) for case in asked
    )
    rows = [
        row for of_case in Bars().track(of_cases, len(asked), "draws", "draws") for row in of_case
    ]
    table = pd.DataFrame(rows, columns=["shift", "replicate", "method", "uar"])
    scores = table.pivot(index=["shift", "replicate"], columns="method", values="uar")
    for without in (None, *(name for name in BESIDE if name in names)):
        title = "UAR, %" if without is None else f"minus `{without}`, +- s.e."
        print(f"\n| {title} | {' | '.join(SHIFTS)} |\n|---|{'---|' * len(SHIFTS)}")
        for name in names:
            found = scores[name] - (scores[without] if without else 0)
            mean, error = (found.groupby("shift").agg(what) for what in ("mean", "sem"))
            cells = [
                f"{mean[s]:+.1f} +- {error[s]:.1f}" if without else f"{mean[s]:.1f}" for s in SHIFTS
            ]
            print(f"| `{name}` | {' | '.join(cells)} |")
    print(f"\n{replicates} replicates, wall clock: {time.perf_counter() - start:.0f} s")


def main(seeds: int = 5, form: str = "transductive", names: tuple[str, ...] = FAMILIES) -> None:
    """Print one line a method."""
    plans = [protocol.PROTOCOLS[name] for name in ("inference", "cantonese", "extension")]
    settings = [setting for plan in plans for setting in plan if setting.transfer != "in-group"]
    n_clips = sum(of_parts["all"] for of_parts in sizes().values())
    methods = methods_named(METHODS if list(names) == ["all"] else names)
    names = [method.name for method in methods if method.inductive or form != "inductive"]
    print(
        f"{n_clips} clips, {DIM} features, {len(settings)} settings, {form}, {seeds} seeds, "
        f"{cpu_count()} processes",
        flush=True,
    )
    start = time.perf_counter()
    of_sets: dict[str, list[protocol.Setting]] = {}
    for setting in settings:
        of_sets.setdefault(setting.training_set, []).append(setting)
    calls = [(of_set, name) for of_set in of_sets.values() for name in names]
    times = Parallel(n_jobs=-1, return_as="generator_unordered")(
        delayed(timed)(of_set, form, name, seeds) for of_set, name in calls
    )
    rows = [
        row
        for of_call in Bars().track(times, len(calls), "trainings", "trainings")
        for row in of_call
    ]
    print("| method | CPU seconds, all settings | mean accuracy |\n|---|---|---|")
    table = pd.DataFrame(rows, columns=["method", "seconds", "accuracy"]).groupby("method")
    for name in names:
        of_method = table.get_group(name)
        print(f"| {name} | {of_method.seconds.sum():.0f} | {of_method.accuracy.mean():.3f} |")
    print(
        f"{len(settings)} settings x {len(names)} methods, wall clock: "
        f"{time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    given = sys.argv[2:]
    if sys.argv[1:2] == ["shifts"]:
        main_shifts(int(given[0]) if given else 20, tuple(given[1:]) or (*FAMILIES, *CONTROLS))
    else:
        form = given.pop(0) if given[:1] and given[0] in SETTINGS else "transductive"
        main(int((sys.argv[1:2] or ["5"])[0]), form, tuple(given) or FAMILIES)
