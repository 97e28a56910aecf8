"""Do the processes of a run end well? Starts pairs of them and counts how they end. Their threads
of torch.distributed hardly get the processor, as on a busy machine.

    python benchmarks/exits.py [STARTS] [--held]      (100; Linux)

`--held`: with the process group kept by something, as it was before `Processes` imported
torch.distributed.nn.functional first: its threads live on into the end of the interpreter, and some
processes abort ("terminate called without an active exception").
"""

import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import distributed, nn

from bimotion.models.distributed import Processes

TASKS = Path("/proc/self/task")


def main() -> None:
    """Start pairs one after the other; each process ends as any program does, at the end of this
    file."""
    held, starts = (
        "--held" in sys.argv,
        next((int(word) for word in sys.argv[1:] if word.isdigit()), 100),
    )
    torch.set_num_threads(1)
    ends: Counter = Counter()
    for _ in range(starts):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = {}
        for rank in range(2):
            child = os.fork()
            if child == 0:
                place = {
                    "RANK": rank,
                    "LOCAL_RANK": rank,
                    "WORLD_SIZE": 2,
                    "MASTER_ADDR": "127.0.0.1",
                    "MASTER_PORT": port,
                }
                os.environ.update({name: str(value) for name, value in place.items()})
                return work(held)
            children[child] = rank
        for child, rank in children.items():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            ends[rank, signal.Signals(-code).name if code < 0 else code] += 1
    print(f"{starts} starts of two processes; rank, end, times:")
    for (rank, end), n in sorted(ends.items(), key=str):
        print(rank, end, n)
    sys.exit(any(end != 0 for _, end in ends))


def work(held: bool) -> None:
    """What a training run does with its processes, in small."""
    processes = Processes("cpu")
    starve()
    network = nn.Sequential(nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 1))
    for _ in range(3):
        network(torch.ones(2, 8)).sum().backward()
        processes.sum(torch.cat([part.grad.flatten() for part in network.parameters()]))
        processes.from_first(1)
    if held:
        main.group = distributed.group.WORLD


def starve() -> None:
    """Let the threads that carry messages run only when nothing else wants their core."""
    for task in TASKS.iterdir():
        if "runloop" in (task / "comm").read_text():
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
    for task in TASKS.iterdir():
        os.sched_setaffinity(int(task.name), {min(os.sched_getaffinity(0))})


main()
