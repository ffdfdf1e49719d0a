"""A bundle's networks for the engine ``onnx``."""

from __future__ import annotations

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.pipeline import STAGES, Pipeline
from LandmarkDetectorLib.core import BundleError
from LandmarkDetectorLib.inference.onnx_export import make_graphs
from LandmarkDetectorLib.inference.onnx_graphs import has_graphs, package, read_graphs
from LandmarkDetectorLib.inference.onnx_network import CUDA, OnnxNetwork
from LandmarkDetectorLib.models.network import HeatmapNetwork


def onnx_networks(bundle: Bundle, pipeline: Pipeline) -> dict[str, HeatmapNetwork]:
    """The networks of a bundle for :class:`.Networks`, run by onnxruntime.

    A bundle that was exported brings its graphs. Of another they are made here, which takes some seconds.

    Raises:
        BundleError: a graph is not what it should be, or cannot be made.
        DeviceError: one of the packages of the extra ``onnx`` is missing.
    """
    package("onnxruntime")
    graphs = read_graphs(bundle) if has_graphs(bundle) else make_graphs(bundle)
    stages = [name for name in STAGES if getattr(pipeline, name) is not None]
    if set(graphs.index.stages) != set(stages):
        raise BundleError(f"The ONNX graphs of the bundle {bundle.name} are of other stages; export it again.")
    count = len(pipeline.design)
    return {name: OnnxNetwork(name, graphs, pipeline.dimension, count) for name in stages}


def onnx_device(device: str) -> str:
    """The device to begin with: ``auto`` is the CPU where this onnxruntime has no CUDA."""
    return "cpu" if device == "auto" and CUDA not in package("onnxruntime").get_available_providers() else device
