"""Several processes that train one network, as ``torchrun`` starts them; alone, the same calls do nothing.

A step learns from ``accumulate`` batches, and every batch is a function of its number. As many processes as these
batches allow take whole ones; where there are more processes, each batch is divided by rows, and each process draws the
random numbers of the whole batch but looks at its own rows only. The mean over processes of what they compute is thus
what one process computes, up to the order of additions; :class:`Share` says what is whose.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from LandmarkDetectorLib.core import DeviceError
from LandmarkDetectorLib.models.device import choose_device

Thing = TypeVar("Thing")

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one may be reading thousands of images. One that died is noticed
at once."""


@dataclass(frozen=True)
class Share:
    """What one process does of every step.

    Args:
        batches: which of the step's batches it learns from.
        piece: which piece of each, of ``pieces``.
        pieces: into how many a batch is divided.
    """

    batches: range
    piece: int = 0
    pieces: int = 1

    def rows(self, count: int) -> range:
        """Its rows of a batch of ``count``; pieces differ by one row at most."""
        return range(count * self.piece // self.pieces, count * (self.piece + 1) // self.pieces)


def share_of(rank: int, size: int, batches: int) -> Share:
    """The share of process ``rank`` of ``size`` in steps of so many batches."""
    groups = math.gcd(size, batches)
    pieces = size // groups
    return Share(range(rank // pieces, batches, groups), rank % pieces, pieces)


@dataclass(frozen=True, eq=False)
class Team:
    """The processes that train together, seen from one of them.

    Args:
        rank: which one this is; 0 speaks and writes.
        size: how many there are.
        device: where this one computes.
        words: the group in which they talk of other things than gradients, on the CPU; None for one alone.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    words: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes."""
        return self.rank == 0

    def any(self, yes: bool) -> bool:
        """Whether one of the processes says yes; all of them learn the same answer."""
        if self.words is None:
            return yes
        asked = torch.tensor([int(yes)])
        dist.all_reduce(asked, dist.ReduceOp.MAX, group=self.words)
        return bool(asked)

    def from_first(self, thing: Thing) -> Thing:
        """What the first process gave, for all; the others wait for it."""
        if self.words is None:
            return thing
        things: list[Any] = [thing]
        dist.broadcast_object_list(things, src=0, group=self.words)
        return things[0]

    def gather(self, thing: Thing) -> list[Thing]:
        """What each process gave, by rank, for all."""
        if self.words is None:
            return [thing]
        things: list[Any] = [None] * self.size
        dist.all_gather_object(things, thing, group=self.words)
        return things

    def mean_statistics(self, network: nn.Module) -> None:
        """Give every process the mean of all running statistics of the batch normalisations."""
        if self.words is None:
            return
        parts = [buffer for norm in batch_norms(network) for buffer in (norm.running_mean, norm.running_var)]
        tensors = [part for part in parts if part is not None]
        if not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, (flat / self.size).split([t.numel() for t in tensors]), strict=True):
            tensor.detach().copy_(mean.view_as(tensor))


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisations of a network, whose result for one image depends on the others beside it."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def assembled(device: str, environment: Mapping[str, str] | None = None) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started, for the time of the block; without it, a team of one.

    Gradients travel by NCCL between CUDA devices, by Gloo between CPUs.

    Args:
        device: ``auto`` or ``cuda`` gives each process of a machine a device of its own.
        environment: where ``torchrun`` says who is who; by default the process's.

    Raises:
        DeviceError: the device is not there, or there are more processes on this machine than devices.
    """
    environment = os.environ if environment is None else environment
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in environment:
        yield Team(device=choose_device(device))
        return
    own = _own_device(device, int(environment.get("LOCAL_RANK", "0")))
    if own.type == "cuda":
        torch.cuda.set_device(own)
    backend = "nccl" if own.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=int(environment["RANK"]), world_size=size, timeout=PATIENCE)
    try:
        words = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield Team(dist.get_rank(), size, own, words)
    finally:
        dist.destroy_process_group()


def _own_device(device: str, local: int) -> torch.device:
    chosen = choose_device(device)
    if chosen.type != "cuda":
        return chosen
    if ":" in device:
        raise DeviceError(f"Several processes cannot all use {device}; leave --device at auto.")
    if local >= torch.cuda.device_count():
        raise DeviceError(
            f"There are more processes than the {torch.cuda.device_count()} CUDA device(s) of this machine; "
            "start one for each."
        )
    return torch.device("cuda", local)


def mean_rows(histories: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    """The mean over processes of equally long lists of equally long rows."""
    return [[sum(values) / len(values) for values in zip(*rows, strict=True)] for rows in zip(*histories, strict=True)]
