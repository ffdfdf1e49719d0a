"""Every network of the registry, small enough that a test takes milliseconds."""

from __future__ import annotations

from typing import Any

import torch

from LandmarkDetectorLib.models import HeatmapNetwork, HeatmapOutput, build_model

SMALL: dict[str, dict[str, Any]] = {
    "attention_unet": {"widths": (4, 8, 12)},
    "basic_unet": {"widths": (4, 4, 4, 4, 4)},
    "coortransformer": {"widths": (8,) * 5, "samples": 2, "grid": 2},
    "dyn_unet": {"widths": (4, 8, 12)},
    "farnet": {"backbone": "efficientnet_lite0", "width": 1 / 8},
    "hourglass": {"width": 8, "depth": 2},
    "hrnet": {"width": 4, "modules": (1, 1), "blocks": 1, "stem": 4},
    "local_appearance": {"width": 6, "levels": 3, "dropout": 0.0},
    "probabilistic_scn": {"width": 4, "kernel": 3, "appearance_arguments": {"widths": (4, 8)}},
    "residual_unet": {"widths": (4, 8, 12)},
    "scn": {"width": 6, "kernel": 3, "appearance_arguments": {"width": 6, "levels": 2, "dropout": 0.0}},
    "scn_monai": {"width": 4, "kernel": 3, "appearance_arguments": {"widths": (4, 8)}},
    "stacked_hourglass": {"width": 8, "depth": 2, "stacks": 3},
    "unet": {"widths": (4, 8, 12)},
}

SIZES = {2: (37, 50), 3: (17, 23, 19)}
"""No side is a multiple of anything."""


def small(
    name: str, dimension: int, in_channels: int = 2, landmarks: int = 5, seed: int = 0, **more: Any
) -> HeatmapNetwork:
    """The network with its small arguments, the same weights every time."""
    torch.manual_seed(seed)
    arguments = {"dimension": dimension, "in_channels": in_channels, "landmarks": landmarks}
    return build_model(name, **arguments, **SMALL[name], **more)


def images(dimension: int, in_channels: int = 2, batch: int = 2, size: tuple[int, ...] | None = None) -> torch.Tensor:
    """Noise, the same every time."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, in_channels, *(size or SIZES[dimension]), generator=generator)


def all_of(output: HeatmapOutput) -> list[torch.Tensor]:
    """Every tensor that a network gives."""
    return [
        output.heatmaps,
        output.presence,
        *output.auxiliary,
        *([] if output.covariance is None else [output.covariance]),
    ]
