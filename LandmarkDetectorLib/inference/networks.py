"""The networks of a bundle, loaded, on their device, and called within time and memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import BundleError
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models.network import HeatmapNetwork


class Networks:
    """The stages' networks.

    Args:
        pipeline: says which there are.
        state: one flat state dict, keys prefixed by the stage's name.

    Raises:
        BundleError: the weights do not fit the networks that the pipeline names.
    """

    def __init__(self, pipeline: Pipeline, state: dict[str, Tensor]) -> None:
        self._networks: dict[str, HeatmapNetwork] = {}
        self.device = torch.device("cpu")
        for name in ("coarse", "image", "frame", "patch"):
            stage = getattr(pipeline, name)
            if stage is None:
                continue
            network = build_network(pipeline, stage.network, weights_follow=True)
            weights = {
                key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")
            }
            try:
                network.load_state_dict(weights)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise BundleError(f"The weights of stage {name} do not fit its network: {reason}.") from error
            memory = torch.channels_last if pipeline.dimension == 2 else torch.channels_last_3d
            self._networks[name] = network.eval().requires_grad_(False)
            network.to(memory_format=memory)  # type: ignore[call-overload]  # torch's stub lacks it

    def to(self, device: torch.device) -> None:
        """Move all of them."""
        if device != self.device:
            for network in self._networks.values():
                network.to(device)
            self.device = device

    def factor(self, name: str) -> int:
        """Sides of what this network sees are multiples of it."""
        return self._networks[name].factor

    @torch.inference_mode()
    def maps(self, name: str, images: Tensor, watch: Stopwatch, which: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of heatmaps and of presence, in single precision. On CUDA the network runs in mixed precision."""
        network = self._networks[name]
        memory = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
        images = images.to(self.device).contiguous(memory_format=memory)
        with watch("networks"), torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            output = network(images, which.to(self.device)) if which is not None else network(images)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
        return output.heatmaps.float(), output.presence.float()

    @torch.inference_mode()
    def features(self, name: str, images: Tensor, watch: Stopwatch) -> tuple[Tensor, Tensor]:
        """The features before the head, and the presence logits (B, K) in single precision."""
        network = self._networks[name]
        memory = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
        images = images.to(self.device).contiguous(memory_format=memory)
        with watch("networks"), torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            features, deepest = network.features(images)
            return features, network.presence_of(deepest).float()

    @torch.inference_mode()
    def head(self, name: str, features: Tensor, at_once: int, watch: Stopwatch) -> Iterator[tuple[slice, Tensor]]:
        """Logits of the maps, a few landmarks at a time: the maps of all never stand in memory together."""
        network = self._networks[name]
        for start in range(0, network.landmarks, at_once):
            part = slice(start, min(start + at_once, network.landmarks))
            with watch("networks"):
                maps = network.head_maps(features, part).float()
            yield part, maps
