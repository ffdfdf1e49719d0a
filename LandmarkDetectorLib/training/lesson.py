"""One batch's loss, as one module, so that several processes can share it; and in which precision it is computed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training.distributed import Team
from LandmarkDetectorLib.training.narrow_convolutions import guard_narrow_convolutions
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.samplers import Batch

EVEN = (1.0, 1.0, 1.0)


class Lesson(nn.Module):
    """A network and what it is trained for: batches in, losses out.

    Args:
        network: from images to heatmaps.
        objective: from heatmaps to losses.
        device: where batches go.
        dimension: 2 or 3.
    """

    def __init__(self, network: nn.Module, objective: Objective, device: torch.device, dimension: int) -> None:
        super().__init__()
        self.network, self.objective, self.device = network, objective, device
        self.strides: tuple[int, ...] = getattr(network, "auxiliary_strides", ())
        self.memory = torch.channels_last if dimension == 2 else torch.channels_last_3d
        self.precision = precision_of(device)
        self.mixed = torch.autocast(device.type, dtype=self.precision, enabled=self.precision != torch.float32)
        if device.type == "cpu" and self.precision == torch.bfloat16:
            guard_narrow_convolutions(network)

    def forward(self, batch: Batch, weights: tuple[float, ...] = EVEN) -> tuple[Tensor, Tensor]:
        """The loss, and its three terms before the recipe's weights, (3,).

        Args:
            batch: on any device.
            weights: what each term counts, where the batch is a piece of a larger one.
        """
        return self.loss(self.see(batch), batch, weights)

    def loss(self, output: HeatmapOutput, batch: Batch, weights: tuple[float, ...] = EVEN) -> tuple[Tensor, Tensor]:
        """The same, of what the network says of the batch already."""
        landmarks, present = batch.landmarks.to(self.device), batch.present.to(self.device)
        which = None if batch.which is None else batch.which.to(self.device)
        known, strides = batch.known.to(self.device), self.strides
        total, parts = self.objective(output, landmarks, known, present, weights, which, strides)
        return total, torch.stack([part.detach() for part in parts])

    def see(self, batch: Batch) -> HeatmapOutput:
        """What the network says of a batch."""
        images = batch.images.to(self.device, memory_format=self.memory)
        with self.mixed:
            if batch.which is None:
                return self.network(images)
            return self.network(images, batch.which.to(self.device))


class SharedLesson:
    """A lesson that all processes of a team learn from; alone, the lesson as it is.

    Args:
        lesson: with the network that learns.
        team: of processes.
        pieces: into how many a batch is divided; where it is more than one, batch normalisations on CUDA take their
            statistics over all processes.
    """

    def __init__(self, lesson: Lesson, team: Team, pieces: int) -> None:
        self.call: Callable[..., Any] = lesson
        self.shared: DistributedDataParallel | None = None
        if team.size > 1:
            if pieces > 1 and lesson.device.type == "cuda":
                lesson.network = nn.SyncBatchNorm.convert_sync_batchnorm(lesson.network)
            # Running statistics are averaged by the team. Which heads a recipe trains, the network does not know.
            known = signature(DistributedDataParallel).parameters
            buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
            options: dict[str, Any] = {buffers: False}
            self.shared = DistributedDataParallel(lesson, find_unused_parameters=True, **options)
            self.call = self.shared

    def __call__(self, batch: Batch, weights: tuple[float, ...] = EVEN) -> tuple[Tensor, Tensor]:
        """As :class:`Lesson`."""
        return self.call(batch, weights)

    def alone(self, yes: bool) -> AbstractContextManager[object]:
        """While this lasts, and ``yes``, gradients stay with this process: there are more batches in this step."""
        return self.shared.no_sync() if yes and self.shared is not None else nullcontext()


def precision_of(device: torch.device) -> torch.dtype:
    """What networks are computed in: bfloat16 where the device multiplies it in hardware, half precision on other GPUs.

    Elsewhere bfloat16 would be emulated, and slower.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    bfloat = device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.bfloat16 if bfloat else torch.float32
