"""The networks of a bundle, loaded, on their device, and called within time and memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import STAGES, Pipeline
from LandmarkDetectorLib.core import BundleError
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models.network import HeatmapNetwork

MAPS_AT_ONCE = 16 << 20
"""So many values of heatmaps stand in memory together, whatever the number of landmarks."""


class Networks:
    """The stages' networks.

    Args:
        networks: by the stage's name; made by :func:`torch_networks` or :func:`.onnx_network.onnx_networks`.
    """

    def __init__(self, networks: dict[str, HeatmapNetwork]) -> None:
        self._networks = networks
        self.device = torch.device("cpu")
        self._moved = True

    def to(self, device: torch.device) -> None:
        """Move all of them; where memory runs out on the way, the next call moves all of them again."""
        if device != self.device or not self._moved:
            self.device, self._moved = device, False
            for network in self._networks.values():
                network.to(device)
            self._moved = True

    def factor(self, name: str) -> int:
        """Sides of what this network sees are multiples of it."""
        return self._networks[name].factor

    @torch.inference_mode()
    def maps(self, name: str, images: Tensor, watch: Stopwatch, which: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of one map (B, 1, [Z, ]Y, X) and of one presence (B, 1) an image, in single precision.

        ``which`` (B,) says of which landmark. The maps of the others are not made, also where a network could.
        """
        network = self._networks[name]
        images, numbers, which = self._laid(images), which.tolist(), which.to(self.device)
        with watch("networks"), self._precision():
            if network.conditional:
                output = network(images, which)
                maps, presence = output.heatmaps.float(), output.presence.float()
            else:
                features, deepest = network.features(images)
                each = [network.head_maps(features[i : i + 1], slice(k, k + 1)) for i, k in enumerate(numbers)]
                maps = torch.cat(each).float()
                presence = network.presence_of(deepest).float().gather(1, which[:, None])
            self._finished()
        return maps, presence

    @torch.inference_mode()
    def features(self, name: str, images: Tensor, watch: Stopwatch) -> tuple[Tensor, Tensor]:
        """The features before the head, and the presence logits (B, K) in single precision."""
        network = self._networks[name]
        with watch("networks"), self._precision():
            features, deepest = network.features(self._laid(images))
            presence = network.presence_of(deepest).float()
            self._finished()
        return features, presence

    @torch.inference_mode()
    def head(self, name: str, features: Tensor, watch: Stopwatch) -> Iterator[Tensor]:
        """Logits of the maps, a few landmarks at a time: the maps of all never stand in memory together."""
        network = self._networks[name]
        at_once = max(1, MAPS_AT_ONCE // math.prod(features.shape[2:]))
        for start in range(0, network.landmarks, at_once):
            part = slice(start, min(start + at_once, network.landmarks))
            with watch("networks"):
                maps = network.head_maps(features, part).float()
            yield maps

    def _laid(self, images: Tensor) -> Tensor:
        memory = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
        return images.to(self.device).contiguous(memory_format=memory)

    def _precision(self) -> torch.autocast:
        """Mixed on CUDA, single on the CPU (docs/decisions/0006)."""
        return torch.autocast(self.device.type, enabled=self.device.type == "cuda")

    def _finished(self) -> None:
        """Wait for the GPU, so that the time is counted where it was spent."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def torch_networks(pipeline: Pipeline, state: dict[str, Tensor]) -> dict[str, HeatmapNetwork]:
    """The networks that a pipeline names, ready to look.

    Args:
        pipeline: says which there are.
        state: one flat state dict, keys prefixed by the stage's name.

    Raises:
        BundleError: the weights do not fit the networks that the pipeline names.
    """
    networks = {}
    memory = torch.channels_last if pipeline.dimension == 2 else torch.channels_last_3d
    for name in STAGES:
        stage = getattr(pipeline, name)
        if stage is None:
            continue
        network = build_network(pipeline, stage.network, weights_follow=True)
        weights = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise BundleError(f"The weights of stage {name} do not fit its network: {reason}.") from error
        networks[name] = network.eval().requires_grad_(False)
        network.to(memory_format=memory)  # type: ignore[call-overload]  # torch's stub lacks it
    return networks
