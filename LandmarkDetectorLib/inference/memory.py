"""How much is computed at once: never more than memory allows, less when it runs short, and never silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from LandmarkDetectorLib.core import DeviceError
from LandmarkDetectorLib.models.device import choose_device

Result = TypeVar("Result")


@dataclass(frozen=True)
class MemoryPlan:
    """``device``; ``tile``: samples a side of what the coarse network sees at once; ``patches`` in one forward pass."""

    device: torch.device
    tile: int
    patches: int

    def smaller(self) -> MemoryPlan | None:
        """The next smaller plan; the CPU after the smallest one on a GPU; ``None`` after the smallest of all."""
        if self.tile > 32 or self.patches > 1:
            return replace(self, tile=max(32, self.tile // 2), patches=max(1, self.patches // 4))
        if self.device.type != "cpu":
            return replace(_largest(3), device=torch.device("cpu"))
        return None

    def describe(self) -> str:
        """For a person."""
        device = "the CPU" if self.device.type == "cpu" else f"the GPU ({self.device})"
        return f"tiles of {self.tile} and {self.patches} patches at a time on {device}"


def first_plan(device: str | torch.device, dimension: int) -> MemoryPlan:
    """The plan to begin with.

    Args:
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        dimension: 2 or 3.

    Raises:
        DeviceError: the device is not there.
    """
    return replace(_largest(dimension), device=choose_device(device))


def run_within_memory(
    plan: MemoryPlan, work: Callable[[MemoryPlan], Result], notice: Callable[[str], None]
) -> tuple[Result, MemoryPlan]:
    """Do the work; when memory runs out, say so and do it again by a smaller plan.

    Returns:
        The result, and the plan that it was reached with.

    Raises:
        DeviceError: not even the smallest plan on the CPU fits.
    """
    while True:
        try:
            return work(plan), plan
        except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            reason = "GPU memory" if plan.device.type == "cuda" else "memory"
        if plan.device.type == "cuda":
            torch.cuda.empty_cache()
        following = plan.smaller()
        if following is None:
            raise DeviceError(f"There is too little {reason} even for {plan.describe()}; close other programs.")
        notice(f"There was too little {reason} for {plan.describe()}; going on with {following.describe()}.")
        plan = following


def _largest(dimension: int) -> MemoryPlan:
    return MemoryPlan(torch.device("cpu"), 512 if dimension == 2 else 96, 16)


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()  # by CUDA and cuBLAS, which begin when a GPU is nearly full, or by an allocator
    return "out of memory" in said or "alloc_failed" in said or ("alloc" in said and "memory" in said)
