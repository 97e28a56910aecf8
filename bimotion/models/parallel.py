"""The processes of one run: one alone, or those that `torchrun` or `accelerate launch --multi_gpu`
started together.

`accelerate launch --cpu --num_processes 2` starts one process where there is no MPI: on CPUs take
torchrun.
"""

import atexit
import os
from collections.abc import Sequence

from bimotion.models.weights import device_of


class Ranks:
    """n processes, this one the rank-th (from 0), on a device; communication through
    torch.distributed.

    >>> Ranks("cpu").n
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
            # Its functions have the group that there is when it is imported as a default, and would
            # keep that for ever: with
            # it the threads, one of which may wait for an interpreter that has ended and abort the
            # process. So: before.
            import torch.distributed.nn.functional

            distributed.init_process_group("gloo" if self.device.type == "cpu" else "nccl")
            # ends its threads, if nothing else has the group
            atexit.register(distributed.destroy_process_group)

    def sum(self, tensor):
        """The sum of all processes' tensors, in place."""
        from torch import distributed

        if self.n > 1:
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether it holds for one of the processes; all of them wait here for each other."""
        import torch

        return (
            flag
            if self.n == 1
            else bool(self.sum(torch.tensor(float(flag), device=self.device)).item())
        )

    def told(self, number: int) -> int:
        """The number that the first process gives; the others wait for it."""
        import torch
        from torch import distributed

        tensor = torch.tensor(number, device=self.device)
        if self.n > 1:
            distributed.broadcast(tensor, 0)
        return int(tensor.item())

    def share(self, items: Sequence) -> Sequence:
        """This process's part of some items."""
        return items[len(items) * self.rank // self.n : len(items) * (self.rank + 1) // self.n]


def whole_batch_dropout(share: int, first: int, n: int):
    """A context in which dropout on the CPU draws for all n clips of the batch and takes the rows
    of this process (`share` of them, from `first`), whatever asks for it: N processes drop what one
    would.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is not torch.ops.aten.bernoulli_.float:
                return function(*args, **(kwargs or {}))
            mask = args[0]
            rows = len(mask) // share  # attention may have a row a head
            order = sorted(range(mask.ndim), key=mask.stride, reverse=True)
            whole = torch.empty_permuted(
                (n * rows, *mask.shape[1:]), order, dtype=mask.dtype
            ).bernoulli_(*args[1:])
            return mask.copy_(whole[first * rows : (first + share) * rows])

    return Mode()
