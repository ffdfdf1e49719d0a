"""A stage's network run by onnxruntime instead of torch, in the same clothes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from LandmarkDetectorLib.core import BundleError, DeviceError
from LandmarkDetectorLib.inference.onnx_graphs import (
    FEATURES,
    IMAGES,
    LANDMARKS,
    SIGNATURES,
    Graphs,
    file_name,
    package,
)
from LandmarkDetectorLib.models.network import HeatmapNetwork, HeatmapOutput, cropped, padded

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
"""What onnxruntime calls the devices."""


class OnnxNetwork(HeatmapNetwork):
    """A network of a bundle, its graphs run by onnxruntime in single precision.

    The arrays pass through the host's memory; on CUDA that is a copy each way.

    Args:
        stage: its name, for messages.
        graphs: of the bundle.
        dimension: 2 or 3.
        landmarks: number of landmarks that the network sees.

    Raises:
        BundleError: onnxruntime does not accept a graph.
        DeviceError: onnxruntime is missing.
    """

    def __init__(self, stage: str, graphs: Graphs, dimension: int, landmarks: int) -> None:
        super().__init__()
        self.dimension, self.landmarks = dimension, landmarks
        about = graphs.index.stages[stage]
        self.factor, self.conditional = about.factor, about.conditional
        self._multiple = about.multiple
        self._files = {part: graphs.files[file_name(stage, part)] for part in about.parts}
        self._stage = stage
        self.to(torch.device("cpu"))

    def to(self, device: torch.device) -> OnnxNetwork:  # type: ignore[override]  # there is no dtype to change
        """Run on this device from now on.

        Raises:
            DeviceError: onnxruntime here has no CUDA.
        """
        runtime = package("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # not the errors: they are raised
        provider: Any = CPU
        if device.type == "cuda":
            if CUDA not in runtime.get_available_providers():
                raise DeviceError("This onnxruntime has no CUDA; install onnxruntime-gpu, or take the CPU.")
            provider = (CUDA, {"device_id": device.index or 0})
        try:
            self._sessions = {
                part: runtime.InferenceSession(data, options, providers=[provider])
                for part, data in self._files.items()
            }
        except Exception as error:  # onnxruntime's errors have no common parent but this one
            raise BundleError(
                f"onnxruntime does not accept the graph of stage {self._stage}: {_line(error)}"
            ) from error
        return self

    def features(self, images: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features at full resolution, and the logits (B, K) of presence, which :meth:`presence_of` hands on."""
        features, presence = self._run("body", images.device, {IMAGES: self._padded(images)})
        return cropped(features, images), presence

    def head_maps(self, features: Tensor, part: slice) -> Tensor:
        """Raw maps (B, k, [Z, ]Y, X) of some landmarks from features."""
        landmarks = torch.arange(self.landmarks)[part]
        (maps,) = self._run("head", features.device, {FEATURES: features, LANDMARKS: landmarks})
        return maps

    def presence_of(self, vector: Tensor) -> Tensor:
        """Logits (B, K) of presence: what :meth:`features` gave."""
        return vector

    def forward(self, images: Tensor, landmark: Tensor | None = None) -> HeatmapOutput:
        """All of it; ``landmark`` (B,) says which one a conditioned network is asked for."""
        if self.conditional:
            if landmark is None:
                raise ValueError("this network is asked for one landmark an image; say which")
            maps, presence = self._run("whole", images.device, {IMAGES: images, LANDMARKS: landmark})
            return HeatmapOutput(maps, presence)
        features, presence = self.features(images)
        return HeatmapOutput(self.head_maps(features, slice(0, self.landmarks)), presence)

    def _padded(self, images: Tensor) -> Tensor:
        """As :class:`~LandmarkDetectorLib.models.padded_network.PaddedNetwork` pads what it sees."""
        seen = padded(images, self._multiple)
        if self._multiple > self.factor and all(side == self._multiple for side in seen.shape[2:]):
            seen = F.pad(seen, [0, self._multiple])
        return seen

    def _run(self, part: str, device: torch.device, inputs: dict[str, Tensor]) -> list[Tensor]:
        feed = {name: np.ascontiguousarray(value.cpu().numpy()) for name, value in inputs.items()}
        try:
            results = self._sessions[part].run(SIGNATURES[part][1], feed)
        except Exception as error:
            if "allocat" in str(error).lower():
                raise MemoryError(_line(error)) from error  # the memory plan knows what to do
            raise BundleError(f"onnxruntime stopped in stage {self._stage}: {_line(error)}") from error
        return [torch.from_numpy(result).to(device) for result in results]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
