"""A GPU that is nearly full: whatever it says, and wherever it stops, the detection goes on with less."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from LandmarkDetectorLib.inference.memory import MemoryPlan, first_plan, run_within_memory
from LandmarkDetectorLib.inference.networks import Networks


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory",  # as a context says that cannot be made
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "[enforce fail at alloc_cpu.cpp:83] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
        "Failed to allocate memory for requested buffer of size 8",
    ],
)
def test_a_lack_of_memory_is_known_by_all_its_names(words: str) -> None:
    plans: list[MemoryPlan] = []

    def short_at_first(plan: MemoryPlan) -> str:
        plans.append(plan)
        if len(plans) == 1:
            raise RuntimeError(words)
        return "done"

    notices: list[str] = []
    assert run_within_memory(first_plan("cpu", 3), short_at_first, notices.append)[0] == "done"
    assert len(notices) == 1 and plans[1].tile < plans[0].tile


class Placed(torch.nn.Module):
    """A network that only knows where it is; a GPU has room for so many of them."""

    room = 1

    def __init__(self) -> None:
        super().__init__()
        self.place = "cpu"

    def to(self, device: Any) -> Placed:  # type: ignore[override]
        if device.type == "cuda" and self.room == 0:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        Placed.room -= device.type == "cuda"
        self.place = device.type
        return self


def test_networks_of_which_a_gpu_holds_only_some_are_all_on_the_cpu_in_the_end() -> None:
    parts = {"coarse": Placed(), "frame": Placed()}
    networks = Networks(parts)  # type: ignore[arg-type]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        networks.to(torch.device("cuda:0"))
    networks.to(torch.device("cpu"))
    assert [part.place for part in parts.values()] == ["cpu", "cpu"]
