"""Whether each network of the registry can learn at all: a few real images, learnt by heart.

    python benchmarks/overfit_networks.py --data DATA [--networks scn hrnet] [--dimensions 2 3] [--seconds 40] [--write]

``DATA`` holds ``fetal_head_us`` and ``hippocampus_mr``. Every image is seen twice, once with one half blackened: the
landmarks there are absent, and the presence must say so. A dead head, a bad beginning or a gradient that does not
arrive shows as an error of several voxels. This is no measure of which network is the better one: all are made small,
and seconds are of one thread's processor time. ``--write`` puts the table into ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from machine import ROOT, provenance
from torch import Tensor

sys.path.insert(0, str(ROOT))

from LandmarkDetectorLib.datasets.cases import read_dataset  # noqa: E402
from LandmarkDetectorLib.datasets.frames import image_frame  # noqa: E402
from LandmarkDetectorLib.datasets.intensity import Intensity  # noqa: E402
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample  # noqa: E402
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps  # noqa: E402
from LandmarkDetectorLib.heatmaps.expectation import spatial_expectation, spatial_softmax  # noqa: E402
from LandmarkDetectorLib.losses import GaussianNLLLoss, spatial_cross_entropy  # noqa: E402
from LandmarkDetectorLib.models import HeatmapNetwork, HeatmapOutput, build_model, model_names  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "overfit-networks.md"
IMAGES = {2: ("fetal_head_us", (48, 36)), 3: ("hippocampus_mr", (16, 22, 16))}
COUNT = 4
SIGMA = 1.5
RATE = 2e-3
SEED = 1

MODEST: dict[str, dict[str, Any]] = {
    "attention_unet": {"widths": (8, 16, 32, 64)},
    "basic_unet": {"widths": (8, 8, 16, 32, 64)},
    "dyn_unet": {"widths": (8, 16, 32, 64)},
    "hourglass": {"width": 64, "depth": 3, "covariance": True},
    "hrnet": {"width": 8, "modules": (1, 1), "blocks": 2, "stem": 16},
    "local_appearance": {"width": 24},
    "probabilistic_scn": {"width": 24, "kernel": 5, "appearance_arguments": {"widths": (8, 16, 32, 64)}},
    "residual_unet": {"widths": (8, 16, 32, 64)},
    "scn": {"width": 24, "kernel": 5, "appearance_arguments": {"width": 24}},
    "scn_monai": {"width": 24, "kernel": 5, "appearance_arguments": {"widths": (8, 16, 32, 64)}},
    "stacked_hourglass": {"stacks": 2, "width": 48, "depth": 3},
    "unet": {"covariance": True},
}
"""Arguments that let a network take a few hundred steps in the time; a network that is not here gets its defaults."""


class Views(NamedTuple):
    """Images (N, 1, [Z, ]Y, X), landmarks (N, K, D) in samples, whether each is there (N, K)."""

    images: Tensor
    landmarks: Tensor
    present: Tensor


def views(data: Path, dimension: int) -> Views:
    """The first images of a data set, small, whole and with one half black."""
    name, size = IMAGES[dimension]
    images, landmarks = [], []
    for case in read_dataset(data / name).cases[:COUNT]:
        image = case.image()
        spacing = float(np.max(np.asarray(image.grid.extent) / size))
        frame = image_frame(image.grid, spacing, size)
        images.append(sample(Pyramid(image, Intensity(quantiles=(0.01, 0.99))), frame.matrix[None], frame.shape)[0])
        to_frame = np.linalg.inv(frame.matrix)
        world = case.landmarks.positions
        landmarks.append(torch.from_numpy(world @ to_frame[:-1, :-1].T + to_frame[:-1, -1]).float())
    whole, marks = torch.stack(images), torch.stack(landmarks)
    middle = whole.shape[-1] // 2
    half = whole.clone()
    half[..., :middle] = 0
    return Views(
        torch.cat([whole, half]), torch.cat([marks, marks]), torch.cat([marks[..., 0] > -1, marks[..., 0] > middle])
    )


def loss_of(output: HeatmapOutput, network: HeatmapNetwork, seen: Views) -> Tensor:
    """Cross-entropy of every head's maps, of the presence, and the likelihood of what a Cholesky head says."""
    total = F.binary_cross_entropy_with_logits(output.presence, seen.present.float())
    heads = zip((*output.auxiliary, output.heatmaps), (*network.auxiliary_strides, 1), strict=True)
    for maps, stride in heads:
        here = (seen.landmarks + 0.5) / stride - 0.5
        targets, _ = gaussian_heatmaps(here, tuple(maps.shape[2:]), max(SIGMA / stride, 0.5), valid=seen.present)
        total = total + spatial_cross_entropy(maps, targets, seen.present)
    if getattr(network, "cholesky", None) is not None:
        assert output.covariance is not None
        mean = spatial_expectation(spatial_softmax(output.heatmaps)).mean.detach()
        total = total + 0.1 * GaussianNLLLoss()((mean, output.covariance), (seen.landmarks,), seen.present)
    return total


def learnt(name: str, dimension: int, seen: Views, seconds: float) -> str:
    """A row of the table."""
    torch.manual_seed(SEED)
    network = build_model(
        name, dimension=dimension, in_channels=1, landmarks=seen.landmarks.shape[1], **MODEST.get(name, {})
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
    start, steps, spent = time.process_time(), 0, 0.0
    network.train()
    while spent < seconds:
        for group in optimiser.param_groups:
            group["lr"] = (
                RATE * min(1.0, (steps + 1) / 20) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * spent / seconds)))
            )
        optimiser.zero_grad()
        loss_of(network(seen.images), network, seen).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        steps += 1
        spent = time.process_time() - start
    network.eval()
    with torch.no_grad():
        output = network(seen.images)
    mean = spatial_expectation(spatial_softmax(output.heatmaps)).mean
    error = (mean - seen.landmarks).norm(dim=-1)[seen.present]
    right = ((output.presence > 0) == seen.present).float().mean()
    parameters = sum(p.numel() for p in network.parameters())
    deviation = "-"
    if output.covariance is not None:
        deviation = f"{output.covariance.diagonal(dim1=-2, dim2=-1).sqrt()[seen.present].mean():.2f}"
    return (
        f"| {name} | {dimension}D | {parameters / 1e6:.2f} M | {steps} | {error.mean():.2f} | {error.max():.2f} "
        f"| {100 * right:.0f} % | {deviation} |"
    )


def main() -> None:
    """Print, and write where asked, a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=model_names())
    parser.add_argument("--dimensions", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "| network | | parameters | steps | mean error (voxels) | largest | presence right | deviation said (voxels) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for dimension in arguments.dimensions:
        seen = views(arguments.data, dimension)
        for name in arguments.networks:
            lines.append(learnt(name, dimension, seen, arguments.seconds))
            print(lines[-1], flush=True)
    if arguments.write:
        about = [f"- {key}: {value}" for key, value in provenance().items()]
        text = ["# Networks that learn a few images by heart", "", *about, "", *lines, ""]
        RESULTS.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
