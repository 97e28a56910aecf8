"""The processes of one run: a single one, or those that `torchrun` or `accelerate launch
--multi_gpu` started together.

`accelerate launch --cpu --num_processes 2` starts one process where there is no MPI: on CPUs take
torchrun.
"""

import atexit
import os
from collections.abc import Sequence

from bimotion.models.weights import device_of


class Processes:
    """n processes, this one the rank-th (from 0), on a device; they talk by torch.distributed.

    >>> Processes("cpu").n
    1
    """

    def __init__(self, device: str | None = None):
        import torch
        from torch import distributed

        self.n, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self.device = torch.device(device_of(device))
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.n > 1 and not distributed.is_initialized():
            # Its functions take the group that exists at their import as a default, and would keep
            # it, and its threads, until the interpreter has ended: a thread that waits then aborts
            # the process. So it is imported before there is a group.
            import torch.distributed.nn.functional

            distributed.init_process_group("gloo" if self.device.type == "cpu" else "nccl")
            atexit.register(distributed.destroy_process_group)

    @property
    def is_first(self) -> bool:
        """The process that writes files."""
        return self.rank == 0

    def sum(self, tensor):
        """The sum of all processes' tensors, in place."""
        from torch import distributed

        if self.n > 1:
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """True where it is true in one of the processes; all of them wait here for each other."""
        import torch

        return flag if self.n == 1 else bool(self.sum(torch.tensor(+flag, device=self.device)))

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.any(False)

    def from_first(self, number: int) -> int:
        """The number that the first process gives; the others wait for it."""
        import torch

        return int(self.sum(torch.tensor(number * self.is_first, device=self.device)))

    def share(self, items: Sequence) -> Sequence:
        """This process's part of some items."""
        return items[len(items) * self.rank // self.n : len(items) * (self.rank + 1) // self.n]
